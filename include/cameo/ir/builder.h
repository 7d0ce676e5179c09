// Short forms for creating nodes whose result type follows from the operands in one line: elementwise functions, casts,
// movement, constants. Ops with a real inference rule get their types from ops/ (infer) or from the importer.
#pragma once

#include "cameo/ir/graph.h"

namespace cameo::graph {

/// The row-major tensor type of a constant.
Type constant_type(const ConstantData &data);

class Builder {
public:
  Builder(Graph &graph, InsertPoint at) : graph_(graph), at_(at) {}
  static Builder at_end(Graph &graph, Region *region) { return {graph, InsertPoint::end(region)}; }
  static Builder ahead_of(Graph &graph, Node *node) { return {graph, InsertPoint::ahead_of(node)}; }

  Graph &graph() { return graph_; }
  InsertPoint point() const { return at_; }
  void set_point(InsertPoint at) { at_ = at; }
  /// Origin of the nodes created from now on.
  void set_origin(std::vector<std::string> names) { origin_ = std::move(names); }

  /// Any op; the first result is returned by value().
  Node *node(Op op, std::vector<Value *> operands, Attributes attributes, std::vector<Type> result_types);
  Value *value(Op op, std::vector<Value *> operands, Attributes attributes, Type result_type);

  Value *constant(Constant data, std::string name = {});
  Value *scalar(DType dtype, double value); ///< rank 0; rounded to a float dtype
  Value *ints(std::vector<int64_t> values); ///< i64[n]
  Value *dims(std::vector<Dim> values);     ///< i64[n]
  /// Broadcasts the shapes of the operands; result dtype by the function's row. Operands must be ranked and broadcast
  /// (CAMEO_CHECKed: importers check the model first).
  Value *elementwise(Fn fn, std::vector<Value *> operands, std::optional<double> alpha = {},
                     std::optional<double> beta = {});
  Value *add(Value *a, Value *b) { return elementwise(Fn::add, {a, b}); }
  Value *sub(Value *a, Value *b) { return elementwise(Fn::sub, {a, b}); }
  Value *mul(Value *a, Value *b) { return elementwise(Fn::mul, {a, b}); }
  Value *div(Value *a, Value *b) { return elementwise(Fn::div, {a, b}); }
  Value *cast(Value *x, DType to, bool saturate = true); ///< x itself when the dtype is the same
  Value *reshape(Value *x, Shape shape);                 ///< x itself when the shape is the same
  Value *transpose(Value *x, std::vector<int64_t> perm);
  Value *broadcast(Value *x, Shape shape); ///< x itself when the shape is the same
  Value *concat(std::vector<Value *> xs, int64_t axis);
  /// x[start : start + size] along one axis.
  Value *slice(Value *x, int64_t axis, Dim start, Dim size);
  Value *iota(DType dtype, Shape shape, int64_t axis);
  Value *gather(Value *x, Value *indices, int64_t axis);
  /// `fn` as in ops.def: "sum", "max", ...
  Value *reduce(std::string fn, Value *x, std::vector<int64_t> axes, bool keepdims);

private:
  Graph &graph_;
  InsertPoint at_;
  std::vector<std::string> origin_;
};

} // namespace cameo::graph
