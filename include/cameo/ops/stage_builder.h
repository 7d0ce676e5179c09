// Small helpers that make kernels in stage form readable: indices, reads and stages in one line each.
#pragma once

#include "cameo/loop/kernel.h"

namespace cameo::ops {

/// Axes 0 .. rank-1 in order.
inline std::vector<loop::Index> identity(int32_t rank) {
  std::vector<loop::Index> list;
  for (int32_t d = 0; d < rank; ++d) list.push_back(loop::axis_index(d));
  return list;
}

/// stride * axis + dilation * tap + constant: a coordinate of a sliding window.
inline loop::Index window_index(int32_t axis, int64_t stride, int32_t tap, int64_t dilation, int64_t constant) {
  loop::Index index = loop::axis_index(axis, stride, constant);
  index.axes.emplace_back(tap, dilation);
  return index;
}

inline loop::Axis reduction(std::string name, loop::Extent extent) {
  return {std::move(name), extent, loop::AxisKind::reduction};
}

/// A stage that is not a result: value, or sum/max/... with an initial value when `init` >= 0.
inline loop::Stage stage(std::string name, std::vector<loop::Axis> axes, loop::Scalar type, loop::ExprId next,
                         loop::ExprId init = -1, std::optional<loop::Opcode> combine = std::nullopt) {
  loop::Stage s;
  s.name = std::move(name);
  s.axes = std::move(axes);
  s.types = {type};
  s.next = {next};
  if (init >= 0) s.init = {init};
  s.combine = combine;
  return s;
}

/// The same stage with its value stored to `buffer` at `indices`.
inline loop::Stage stored(loop::Stage s, int32_t buffer, std::vector<loop::Index> indices) {
  loop::StageStore store;
  store.buffer = buffer;
  store.indices = std::move(indices);
  s.stores.push_back(std::move(store));
  return s;
}

} // namespace cameo::ops
