// Sliding windows over spatial axes, shared by convolutions and pools: coordinate = out * stride + tap * dilation -
// pad. Private to src/ops.
#pragma once

#include "lowering.h"

namespace cameo::ops {

struct Window {
  std::vector<int64_t> strides, dilations;
  std::vector<graph::Dim> low, high; ///< padding per spatial axis
  static Window of(const graph::Node &node);

  /// Coordinate in the input along spatial axis `d` for the output index and the tap.
  Index coordinate(Lowering &l, size_t d, const Index &out, const Index &tap) const;
  /// Whether no tap of any output leaves [0, x) along spatial axis `d`.
  bool inside(size_t d, const graph::Dim &x, const graph::Dim &y, const graph::Dim &taps) const;
};

/// a * index.
Index scaled(Index index, int64_t a);
/// a + b; at most one of them has an indirect part.
Index sum(Lowering &l, Index a, const Index &b);

} // namespace cameo::ops
