// Sliding windows (see window.h).
#include "window.h"

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

} // namespace cameo::ops
