// Sliding windows (see window.h).
#include "window.h"

#include <algorithm>
#include <iterator>
#include <set>

namespace cameo::ops {

Window Window::of(const graph::Node &node) {
  Window w;
  w.strides = node.ints("strides");
  w.dilations = node.ints("dilations");
  const std::vector<graph::Dim> &pads = node.dims("pads");
  const size_t rank = w.strides.size();
  CAMEO_CHECK(pads.size() == 2 * rank && w.dilations.size() == rank, "pads of a window");
  w.low.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(rank));
  w.high.assign(pads.begin() + static_cast<std::ptrdiff_t>(rank), pads.end());
  return w;
}

Index scaled(Index index, int64_t a) {
  CAMEO_CHECK(index.indirect < 0, "a multiple of an indirect index");
  for (auto &entry : index.axes) entry.second *= a;
  index.constant *= a;
  return index;
}

Index sum(Lowering &l, Index a, const Index &b) {
  a.axes.insert(a.axes.end(), b.axes.begin(), b.axes.end());
  a.constant += b.constant;
  if (b.indirect >= 0) a.indirect = a.indirect < 0 ? b.indirect : l.op(Opcode::add, a.indirect, b.indirect);
  return a;
}

Index Window::coordinate(Lowering &l, size_t d, const Index &out, const Index &tap) const {
  return l.offset(sum(l, scaled(out, strides[d]), scaled(tap, dilations[d])), graph::Dim(0) - low[d]);
}

bool Window::inside(size_t d, const graph::Dim &x, const graph::Dim &y, const graph::Dim &taps) const {
  if (!low[d].is(0)) return false;
  const graph::Dim reach = (taps - 1) * dilations[d];
  if (x.is_constant() && y.is_constant() && reach.is_constant())
    return (y.value() - 1) * strides[d] + reach.value() < x.value();
  return high[d].is(0) && y == floordiv(x - reach - 1, strides[d]) + 1;
}

Window::Taps Window::taps_inside(size_t d, int64_t output, int64_t x, int64_t taps) const {
  const int64_t start = output * strides[d] - low[d].value(); // of the first tap
  auto up = [&](int64_t distance) { return distance <= 0 ? 0 : (distance + dilations[d] - 1) / dilations[d]; };
  const int64_t first = up(-start), end = std::min(taps, up(x - start)); // taps in front of 0, taps in front of x
  return {first, std::max<int64_t>(end - first, 0)};
}

std::vector<Part> window_parts(const graph::Node &conv) {
  constexpr size_t kMostParts = 9;  // of a result: a 3 x 3 filter whose corners, edges and centre differ
  constexpr int64_t kMostTaps = 64; // along an axis
  const Window window = Window::of(conv);
  const std::optional<std::vector<int64_t>> x = conv.operand(0)->type().static_shape(),
                                            w = conv.operand(1)->type().static_shape(),
                                            y = conv.result()->type().static_shape();
  if (!x || !w || !y || conv.integer("group") != 1 || graph::product(conv.result()->type().shape()).is(0)) return {};
  if (std::all_of(window.dilations.begin(), window.dilations.end(), [](int64_t d) { return d == 1; })) return {};
  std::vector<Part> parts{{*y, {{0, (*y)[0]}, {0, (*y)[1]}}}};
  for (size_t d = 0; d + 2 < y->size(); ++d) {
    if (!window.low[d].is_constant() || window.low[d].value() < 0) return {};
    const int64_t outputs = (*y)[d + 2], taps = (*w)[d + 2];
    if (taps > kMostTaps) return {};
    std::set<int64_t> starts{0}; // outputs from which on a tap is inside, or no longer
    for (int64_t tap = 0; tap < taps; ++tap)
      for (const int64_t edge : {int64_t{0}, (*x)[d + 2]}) {
        const int64_t distance = edge + window.low[d].value() - tap * window.dilations[d];
        const int64_t start = distance <= 0 ? 0 : (distance + window.strides[d] - 1) / window.strides[d];
        if (start < outputs) starts.insert(start);
      }
    if (starts.size() * parts.size() > kMostParts) return {};
    std::vector<std::pair<int64_t, int64_t>> pieces; // start and extent
    for (auto it = starts.begin(); it != starts.end(); ++it) {
      if (window.taps_inside(d, *it, (*x)[d + 2], taps).count == 0) return {};
      const auto next = std::next(it);
      pieces.emplace_back(*it, (next == starts.end() ? outputs : *next) - *it);
    }
    std::vector<Part> cut;
    for (const Part &part : parts)
      for (const auto &piece : pieces) {
        cut.push_back(part);
        cut.back().box.push_back(piece);
      }
    parts = std::move(cut);
  }
  int64_t filter = 1;
  for (size_t d = 2; d < w->size(); ++d) filter *= (*w)[d];
  if (parts.size() == 1 && taps_of(conv, parts[0]) == filter) return {};
  std::stable_sort(parts.begin(), parts.end(), [&](const Part &a, const Part &b) {
    return a.points() * taps_of(conv, a) < b.points() * taps_of(conv, b);
  });
  return parts;
}

int64_t taps_of(const graph::Node &conv, const Part &part) {
  const Window window = Window::of(conv);
  int64_t taps = 1;
  for (size_t d = 0; d + 2 < part.box.size(); ++d)
    taps *= window
                .taps_inside(d, part.box[d + 2].first, conv.operand(0)->type().dim(d + 2).value(),
                             conv.operand(1)->type().dim(d + 2).value())
                .count;
  return taps;
}

} // namespace cameo::ops
