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

  /// The taps of an output that lie in [0, x) along spatial axis `d`, whose padding is known.
  struct Taps {
    int64_t first = 0, count = 0;
    friend bool operator==(const Taps &, const Taps &) = default;
  };
  Taps taps_inside(size_t d, int64_t output, int64_t x, int64_t taps) const;
};

/// The boxes of a convolution's result in which every window has the same taps inside of the image: none of them needs
/// padding. The one with the most work is last: what they share is packed for the last stage. Empty where there would
/// be no gain: nothing is dilated, extents are symbolic, the boxes are many or some window has no tap inside.
std::vector<Part> window_parts(const graph::Node &conv);
/// Taps per output that lie inside, for a box of window_parts.
int64_t taps_of(const graph::Node &conv, const Part &part);

/// a * index.
Index scaled(Index index, int64_t a);
/// a + b; at most one of them has an indirect part.
Index sum(Lowering &l, Index a, const Index &b);

} // namespace cameo::ops
