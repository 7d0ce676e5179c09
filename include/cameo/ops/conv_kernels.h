// Two-dimensional convolutions in NHWC as kernels: direct, and by Winograd's minimal filtering (Lavin and Gray,
// arXiv:1509.09308). The algorithms compute the same function; the plan of a model chooses between them.
#pragma once

#include "cameo/loop/apply.h"

#include <vector>

namespace cameo::ops {

struct ConvShape {
  int64_t height, width, in, out; ///< of the input without padding; channels
  int64_t taps = 3, stride = 1, pad = 1;
  bool residual = false; ///< r[y, x, o] is added before the ReLU
  bool relu = true;
  int64_t out_height() const { return (height + 2 * pad - taps) / stride + 1; }
  int64_t out_width() const { return (width + 2 * pad - taps) / stride + 1; }
};

/// Buffers x[h, w, in], w[taps, taps, in, out], b[out], (r[oh, ow, out]), y[oh, ow, out]. Stages sum, y.
loop::Kernel direct_conv(const ConvShape &shape);

/// F(m x m, 3 x 3) for m = 2 or 4, taps 3, stride 1, pad 1. Buffers x, u[(m+2)^2, in, out] (winograd_weights), b,
/// (r), y. Every output tile of m x m needs (m+2)^2 products per channel instead of 9 m^2. Errors: norm-wise per
/// tile, about 3 (m = 2) and 10 (m = 4) times those of the direct form; a NaN or infinity reaches all of its tile.
/// Stages: rows, v (transformed input), m (products), columns, y.
loop::Kernel winograd_conv(const ConvShape &shape, int64_t m);

/// u[xi][c][o] = G w G^T from row-major w[3][3][in][out]; (m+2)^2 * in * out floats, computed in double.
std::vector<float> winograd_weights(const float *w, int64_t in, int64_t out, int64_t m);

/// Blocks of tile rows whose transformed tensors stay in the second-level cache. Packs u by panels. Each task has a
/// block in memory: smaller ones and fewer tasks when memory is `scarce`.
loop::Schedule winograd_schedule(const loop::Kernel &kernel, std::vector<loop::Binding> &bindings,
                                 const loop::Target &target, bool scarce = false);

/// Row-major NHWC with `before` and `after` rows and columns of zeros around (the two outer dims).
loop::Binding with_halo(const loop::KernelBuffer &buffer, int64_t before, int64_t after);

} // namespace cameo::ops
