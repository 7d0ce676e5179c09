// Small tensors whose elements are known, as numbers or as expressions over the model's symbols: what shape arithmetic
// computes.
//
//   shape_of(x) : [batch, 3, n]   gather(.., 2) : n   n / 2 : floordiv(n, 2)   concat([1], [..]) : [1, floordiv(n, 2)]
//
// Evaluation is exact or does not happen: integers as Dim expressions (which refuse overflow), floats only through
// operations that IEEE 754 rounds correctly, so that no result depends on the host's libm.
#pragma once

#include "cameo/ir/builder.h"
#include "cameo/ops/infer.h"

namespace cameo::ops {

inline constexpr int64_t kMaxSmallElements = 1024;

struct SmallTensor {
  DType dtype = DType::i64;
  std::vector<int64_t> dims;
  bool is_real = false;         ///< which of the two lists is used
  std::vector<graph::Dim> ints; ///< integers and bools (0, 1), row-major
  std::vector<double> reals;    ///< f16, bf16, f32, f64, exactly
  int64_t count() const { return int64_t(is_real ? reals.size() : ints.size()); }
};

/// What is known of a value: a constant or `dims` node, seen through reshapes and casts of such; nullopt when not
/// everything is known or there are more than kMaxSmallElements.
std::optional<SmallTensor> small_value(const graph::Value *value);

/// The result of a node whose operands are all small; nullopt when the op has no rule here, or an element cannot be
/// followed. `type` is the node's result type.
std::optional<SmallTensor> evaluate(const NodeSpec &node, const graph::Type &type, const graph::Graph &graph);

/// The nodes that stand for a small tensor: a constant, or `dims` brought to its shape and type.
graph::Value *materialize(graph::Builder &builder, const SmallTensor &value);

} // namespace cameo::ops
