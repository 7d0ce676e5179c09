// The rule of each canonical op for the types of its results; private to src/ops. Rules stand in the family files;
// infer.cpp dispatches.
#pragma once

#include "cameo/ops/infer.h"

#include <initializer_list>
#include <span>
#include <string_view>

namespace cameo::ops {

/// What a rule sees: the node to be, with typed access to its attributes.
class InferContext {
public:
  InferContext(graph::Graph &graph, const NodeSpec &node) : graph(graph), node(node) {}

  graph::Graph &graph;
  const NodeSpec &node;

  size_t operands() const { return node.operands.size(); }
  const graph::Value *operand(size_t i) const { return i < node.operands.size() ? node.operands[i] : nullptr; }
  const graph::Type &type(size_t i = 0) const;
  bool wants(size_t result) const { return result < node.results; }

  const graph::Attribute *find(std::string_view name) const;
  template <class T> const T *get(std::string_view name) const {
    const graph::Attribute *a = find(name);
    return a ? std::get_if<T>(a) : nullptr;
  }
  int64_t integer(std::string_view name, int64_t otherwise = 0) const;
  bool flag(std::string_view name) const;
  std::string_view word(std::string_view name) const;
  const std::vector<int64_t> &ints(std::string_view name) const;
  const std::vector<graph::Dim> &dims(std::string_view name) const;

  graph::Dim fresh(std::optional<graph::Dim> upper = std::nullopt) {
    return graph.new_runtime_symbol(std::move(upper));
  }
};

/// `axis` in [-rank, rank) made non-negative; nullopt outside.
std::optional<int64_t> normal_axis(int64_t axis, int64_t rank);
/// The extents of a shape as text: `[batch, 3, 224]`.
std::string shape_text(const graph::Shape &shape);
/// The two extents must be the same number; equal text of symbols, or unknown until the run, is fine.
bool may_be_equal(const graph::Dim &a, const graph::Dim &b);

/// Whether the expression has a symbol that only the run knows.
bool mentions_runtime(const graph::Dim &d);

// sources.cpp
Inferred infer_source(InferContext &c);
// elementwise.cpp
Inferred infer_elementwise(InferContext &c);
Inferred infer_convert(InferContext &c);
// contract.cpp
Inferred infer_contract(InferContext &c);
// conv.cpp
Inferred infer_conv(InferContext &c);
Inferred infer_conv_transpose(InferContext &c);
Inferred infer_pool(InferContext &c);
// reduce.cpp
Inferred infer_reduce(InferContext &c);
Inferred infer_same(InferContext &c);
Inferred infer_normalize(InferContext &c);
Inferred infer_det(InferContext &c);
// movement.cpp
Inferred infer_movement(InferContext &c);
Inferred infer_scatter(InferContext &c);
// recurrent.cpp
Inferred infer_attention(InferContext &c);
Inferred infer_rnn(InferContext &c);
// search.cpp
Inferred infer_search(InferContext &c);
// image.cpp
Inferred infer_image(InferContext &c);
// containers.cpp
Inferred infer_container(InferContext &c);
// ml.cpp
Inferred infer_ml(InferContext &c);

} // namespace cameo::ops
