// Parts of importers that several operators share: of the standard and of com.microsoft, whose operators are often one
// of the standard's with something before or behind it.
#pragma once

#include "node_import.h"

namespace cameo::frontend {

// attention.cpp
/// 1 / sqrt(size): a number, or what the run computes of an extent.
Value *inverse_root(NodeImport &n, const Dim &size, DType dtype);
/// [b, s, h * e] to [b, h, s, e]; what has rank 4 stays.
Value *split_heads(NodeImport &n, Value *x, int64_t heads, const char *what);
/// [b, h, s, e] to [b, s, h * e].
Value *join_heads(NodeImport &n, Value *x);
/// i64 positions along one axis, of extent 1 along the others.
Value *positions(NodeImport &n, const Dim &extent, int64_t rank, int64_t axis);
/// Turns the first `size` of each head's elements, x of [b, s, h, e], by angles of [b or 1, s, 1, size / 2]:
/// (cos x1 - sin x2, sin x1 + cos x2), where the pairs stand side by side when `interleaved`, else in two halves.
Value *rotate(NodeImport &n, Value *x, Value *cosines, Value *sines, const Dim &size, bool interleaved);

// conv_pool.cpp: with the attributes of the node.
Value *convolve(NodeImport &n, Value *x, Value *weights, Value *bias);
/// `fn` is max, average or lp; all `results` (2: with indices).
std::vector<Value *> pool(NodeImport &n, Value *x, const std::string &fn, size_t results);
/// Between [n, c, spatial...] and [n, spatial..., c].
Value *channels_first(NodeImport &n, Value *x);
Value *channels_last(NodeImport &n, Value *x);

// matmul.cpp
/// The equation of numpy's matmul: batch axes broadcast, a vector on either side loses its axis.
std::string matmul_equation(NodeImport &n, const graph::Type &a, const graph::Type &b);
/// x, whose extent along the axis is what the weights know where only the run knows it.
Value *with_known_axis(NodeImport &n, Value *x, int axis, const Dim &known);
/// (a - a_zero)(b - b_zero) in i32, with zero points of any shape.
Value *integer_matmul(NodeImport &n, Value *a, Value *b, Value *a_zero, Value *b_zero);
/// alpha op(A) op(B) + beta C, with the attributes of the node.
Value *gemm(NodeImport &n, Value *a, Value *b, Value *c, double alpha, double beta);

// quantize.cpp
/// A scale or zero point of one element, as a scalar; fails the node where it has more. Null stays null.
Value *one_number(NodeImport &n, Value *v, std::string_view what);
/// One element as a scalar, whatever its rank; others as they are.
Value *per_tensor(NodeImport &n, Value *v);
/// Fails the node where a known scale is not a positive number; whether it has failed.
bool scale_problem(NodeImport &n, const Value *scale);
struct Quantized {
  Value *x = nullptr, *scale = nullptr, *zero = nullptr;
  Value *range = nullptr; ///< the scale as computed, where `scale` is 1 instead of 0
};
/// To u8 with scale = (max(x, 0) - min(x, 0)) / 255, but 1 where all are 0.
Quantized dynamically_quantized(NodeImport &n, Value *x);

// microsoft_quantized.cpp
/// (a - a_zero)(b - b_zero) * (a_scale * b_scale) + bias in f32, of integers a and b.
Value *scaled_product(NodeImport &n, Value *a, Value *b, Value *a_zero, Value *b_zero, Value *a_scale, Value *b_scale,
                      Value *bias);

// reduce.cpp
/// With the axes from `axis` on taken as one when `flat`, as before opset 13.
Value *softmax(NodeImport &n, Value *x, int64_t axis, bool flat, bool log);

} // namespace cameo::frontend
