// Copies that turn an axis: lanes lie far apart in the source, and another axis of the point box is contiguous there.
// Squares of lanes x lanes elements are loaded as whole rows and transposed in registers, log2(lanes) rounds of
// two-operand shuffles, instead of gathering each vector from as many cache lines as it has lanes.
#include "lowerer.h"

#include <algorithm>

namespace cameo::loop {

namespace {

// Row i, lane l of the result is row l, lane i of `rows`.
void transpose(Builder &b, std::vector<Value> &rows) {
  const auto lanes = static_cast<int32_t>(rows.size());
  for (int32_t s = 1; s < lanes; s *= 2) {
    std::vector<int32_t> low(lanes), high(lanes);
    for (int32_t l = 0; l < lanes; ++l) {
      low[l] = l & s ? lanes + l - s : l;  // a where the bit is clear, b moved up where it is set
      high[l] = l & s ? lanes + l : l + s; // a moved down, b
    }
    for (int32_t i = 0; i < lanes; ++i) {
      if (i & s) continue;
      Value a = rows[i], c = rows[i + s];
      rows[i] = b.shuffle(a, c, low);
      rows[i + s] = b.shuffle(a, c, high);
    }
  }
}

} // namespace

bool Lowerer::transposed_points(Frame &frame) {
  const Stage &s = kernel_.stages[frame.stage];
  const StageSchedule &plan = schedule_.stages[frame.stage];
  const int32_t lanes = plan.lanes, v = plan.vector_axis;
  if (s.is_reduction() || s.next.size() != 1 || lanes < 2 || (lanes & (lanes - 1)) != 0 || v < 0) return false;
  const Expr &e = kernel_.exprs[s.next[0]];
  if (e.rule != OutOfRange::never || bits(e.type) != 32) return false;
  const bool from_buffer = e.kind == Expr::Kind::buffer;
  Binding binding; // of the source
  if (from_buffer) {
    const KernelBuffer &buffer = kernel_.buffers[e.source];
    if (bits(buffer.dtype) != 32 || compute_type(buffer.dtype) != storage_type(buffer.dtype)) return false;
    binding = bindings_[e.source];
  } else {
    if (e.kind != Expr::Kind::stage) return false;
    const Storage &storage = storage_[e.source];
    if (storage.kind != Storage::Kind::memory || storage.rolling_axis >= 0) return false;
    for (size_t d = 0; d < storage.strides.size(); ++d)
      if (storage.strides[d] != 0) binding.terms.push_back({static_cast<int32_t>(d), 1, 0, storage.strides[d], -1});
  }
  for (const Index &i : e.indices)
    if (i.indirect >= 0) return false;
  for (const Range &range : frame.ranges)
    if (range.symbolic.valid() || range.limit.valid()) return false;
  if (frame.ranges[v].extent % lanes != 0) return false;
  // Element steps of the source along each axis.
  auto step_along = [&](int32_t axis) -> std::optional<int64_t> {
    Point point;
    for (const Range &range : frame.ranges) point.index.push_back(range.base);
    Point next = point;
    next.index[axis] += Affine(1);
    std::vector<LaneIndex> at, beside;
    Context here{frame.stage, point}, there{frame.stage, next};
    for (const Index &i : e.indices) {
      at.push_back(lane_index(i, here));
      beside.push_back(lane_index(i, there));
    }
    const Affine distance = place(beside, binding, 1).address - place(at, binding, 1).address;
    return distance.is_constant() ? std::optional(distance.constant) : std::nullopt;
  };
  for (const LayoutTerm &term : binding.terms)
    if (term.divide != 1 || term.modulo != 0) return false;
  if (step_along(v) == 1) return false;
  int32_t u = -1;
  for (int32_t a = 0; a < s.outer_rank(); ++a)
    if (a != v && frame.ranges[a].extent > 0 && frame.ranges[a].extent % lanes == 0 && step_along(a) == 1) u = a;
  if (u < 0) return false;
  // Squares over u and v, one by one over the other axes.
  const Box box = frame.ranges;
  std::vector<int64_t> at(box.size(), 0);
  for (;;) {
    std::vector<Value> rows;
    Point point;
    for (size_t a = 0; a < box.size(); ++a) point.index.push_back(box[a].base + Affine(at[a]));
    for (int32_t r = 0; r < lanes; ++r) { // the row of lane r, along u
      Point source = point;
      source.index[v] += Affine(r);
      source.vector_axis = u;
      source.lanes = lanes;
      Context context{frame.stage, source};
      rows.push_back(eval(s.next[0], context));
    }
    transpose(b_, rows);
    for (int32_t r = 0; r < lanes; ++r) {
      levels_[rows[r].id] = b_.depth();
      Point result = point;
      result.index[u] += Affine(r);
      result.vector_axis = v;
      result.lanes = lanes;
      define(frame.stage, result, {rows[r]});
    }
    size_t a = box.size();
    while (a > 0) {
      const auto axis = static_cast<int32_t>(a) - 1;
      at[axis] += axis == u || axis == v ? lanes : 1;
      if (at[axis] < box[axis].extent) break;
      at[axis] = 0;
      --a;
    }
    if (a == 0) return true;
  }
}

} // namespace cameo::loop
