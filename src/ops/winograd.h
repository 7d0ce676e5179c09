// Winograd's minimal filtering F(m x m, 3 x 3) for m = 2 and 4 (Lavin and Gray, arXiv:1509.09308): its transforms as
// expressions, and a convolution's lowering by it. Private to src/ops.
//
// Every tile of m x m results needs n^2 = (m + 2)^2 products per pair of channels instead of 9 m^2:
//   Y = A^T [ sum over c of (G w G^T) . (B^T d B) ] A
// with d the n x n patch of the input behind the tile. Filters are transformed when compiling.
#pragma once

#include "lowering.h"

#include <functional>

namespace cameo::ops {

/// Element i of a vector of expressions.
using Element = std::function<ExprId(int64_t)>;
/// B^T d, n values of n.
std::vector<ExprId> winograd_input(loop::Kernel &kernel, int64_t m, const Element &d);
/// A^T x, m values of n.
std::vector<ExprId> winograd_output(loop::Kernel &kernel, int64_t m, const Element &x);
/// G[i][a].
double winograd_filter(int64_t m, int64_t i, int64_t a);

/// Whether lower_winograd takes the convolution: filters of 3 x 3 that are known (`weights` is the operand behind
/// them), one group, stride and dilation 1, constant extents, f32.
bool winograd_applies(const graph::Node &conv, const graph::Value &weights);
/// Stages rows, v (transformed input), m (products), columns, tile. The result's space are tiles, of which the last
/// ones may reach over the edges.
Problem lower_winograd(Lowering &l, const graph::Node &conv, int64_t m);

} // namespace cameo::ops
