// What an importer sees of one node, and what it builds with.
//
// An importer is one function `void import_x(NodeImport &n)` and one row in importers.cpp. It reads inputs and
// attributes (already checked against the op table: arity, types, kinds, defaults), builds canonical nodes through
// n.make(...), and sets every output with n.result(). Errors are sticky: after n.fail() or n.unsupported() everything
// returns null and does nothing, so that an importer needs no checks between its steps.
//
//   void import_softsign(NodeImport &n) { n.result(n.map(Fn::softsign, {n.input(0)})); }
#pragma once

#include "cameo/frontend/limits.h"
#include "cameo/frontend/op_table.h"
#include "cameo/ir/builder.h"
#include "cameo/ops/infer.h"
#include "cameo/support/result.h"

#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace onnx {
class AttributeProto;
class GraphProto;
class NodeProto;
} // namespace onnx

namespace cameo::frontend {

using graph::Attributes;
using graph::Constant;
using graph::ConstantData;
using graph::Dim;
using graph::Fn;
using graph::Node;
using graph::Op;
using graph::Region;
using graph::Shape;
using graph::Type;
using graph::Value;

class ModelImporter;
struct Scope;

class NodeImport {
public:
  NodeImport(ModelImporter &model, Scope &scope, const onnx::NodeProto &proto, const OpRow &row,
             const OpSignature &signature, std::string where, graph::InsertPoint at);

  // The node.
  int version() const { return row_.since; } ///< of the operator: the since_version that applies
  std::string_view op() const { return row_.name; }
  const onnx::NodeProto &proto() const { return proto_; }

  // Inputs, in the order of the standard.
  size_t input_count() const { return inputs_.size(); }                              ///< without trailing absent ones
  Value *input(size_t i) const { return i < inputs_.size() ? inputs_[i] : nullptr; } ///< null: absent
  bool has(size_t i) const { return input(i) != nullptr; }
  std::vector<Value *> inputs() const { return inputs_; }

  // Outputs.
  size_t output_count() const { return outputs_; } ///< without trailing unwanted ones
  bool wants(size_t i) const;
  void result(Value *value) { result(0, value); }
  void result(size_t i, Value *value);
  /// The rank that the model declares for output i.
  std::optional<int64_t> declared_rank(size_t i) const;

  // Attributes, with the defaults of the op table.
  bool has(std::string_view attribute) const;     ///< given by the node
  bool defines(std::string_view attribute) const; ///< this version of the operator has it
  int64_t integer(std::string_view attribute, std::optional<int64_t> otherwise = {});
  double real(std::string_view attribute, std::optional<double> otherwise = {});
  bool flag(std::string_view attribute) { return integer(attribute, 0) != 0; }
  std::string text(std::string_view attribute, std::optional<std::string> otherwise = {});
  std::vector<int64_t> ints(std::string_view attribute); ///< empty when absent
  std::vector<double> reals(std::string_view attribute);
  std::vector<std::string> texts(std::string_view attribute);
  Constant tensor(std::string_view attribute);        ///< null when absent
  Constant sparse_tensor(std::string_view attribute); ///< dense; null when absent
  const onnx::GraphProto *graph_attribute(std::string_view attribute) const;
  /// One of the words; fails otherwise.
  std::string word(std::string_view attribute, std::initializer_list<std::string_view> words);
  DType dtype(std::string_view attribute, DType otherwise); ///< an attribute that is a TensorProto.DataType
  std::optional<Type> type_attribute(std::string_view attribute);

  // Problems, each the user's: 65 and 69.
  Value *fail(std::string what);
  Value *unsupported(std::string what);
  bool failed() const { return failed_; }

  // Asking about values. All of them fail the node where the answer is not what the operator needs.
  bool ranked(const Value *value);                                          ///< unsupported when the rank is not known
  int rank(const Value *value);                                             ///< -1 after failing
  int64_t axis(int64_t axis, int64_t rank, std::string_view what = "axis"); ///< made non-negative
  std::vector<int64_t> axes(std::vector<int64_t> axes, int64_t rank);       ///< each made non-negative, no one twice
  /// Integers that are known now, as expressions; nullopt (no failure) where they are not.
  std::optional<std::vector<Dim>> dims_of(const Value *value) const;
  std::optional<std::vector<int64_t>> ints_of(const Value *value) const;
  std::optional<std::vector<double>> reals_of(const Value *value) const;
  std::optional<double> real_of(const Value *value) const; ///< of one element
  /// As above but known only at run time is `unsupported`.
  std::vector<int64_t> need_ints(const Value *value, std::string_view what);
  std::vector<double> need_reals(const Value *value, std::string_view what);

  // Building. A null operand is an absent one.
  Value *make(Op op, std::vector<Value *> operands, Attributes attributes = {}, std::optional<DType> dtype = {});
  /// With the result type stated: ops whose shape is not determined by their operands.
  Value *make_typed(Op op, std::vector<Value *> operands, Attributes attributes, Type type);
  /// Several results.
  std::vector<Value *> make_many(Op op, std::vector<Value *> operands, Attributes attributes, size_t results,
                                 std::vector<Type> types = {});
  Value *map(Fn fn, std::vector<Value *> operands, std::optional<double> alpha = {}, std::optional<double> beta = {},
             std::optional<DType> compute = {});
  Value *constant(Constant data);
  Value *scalar(DType dtype, double value);
  Value *scalar_int(DType dtype, int64_t value);
  Value *ints_constant(const std::vector<int64_t> &values);
  Value *dims(const std::vector<Dim> &values); ///< i64[n]; a constant when all are
  Value *cast(Value *x, DType dtype, bool saturate = true);
  Value *reshape(Value *x, Shape shape);
  /// To a shape that the run knows, of a known rank.
  Value *reshape_to(Value *x, Value *shape, Shape type);
  Value *transpose(Value *x, std::vector<int64_t> perm);
  Value *broadcast(Value *x, Shape shape);
  Value *concat(std::vector<Value *> xs, int64_t axis);
  Value *slice(Value *x, int64_t axis, Dim start, Dim size);
  Value *gather(Value *x, Value *indices, int64_t axis);
  Value *reduce(std::string fn, Value *x, std::vector<int64_t> axes, bool keepdims);
  /// The value with these extents. The run checks those of its own that only it knows; what cannot fit fails.
  Value *with_shape(Value *x, std::string_view what, Shape wanted);
  /// The extents of a value as i64[rank].
  Value *shape_of(Value *x);
  Dim fresh_dim(std::optional<Dim> upper = {});
  /// The type of a sequence's elements like this one: extents that only the run knows get symbols of their own.
  Type element_type(const Type &type);
  graph::Graph &graph();
  const Limits &limits() const;

  /// Imports a graph attribute into a new region of `owner`: arguments of these types, results as the body's outputs.
  /// Null after a problem (reported with the node inside that has it). `argument_names` come from the body.
  Region *body(std::string_view attribute, Node *owner, const std::vector<Type> &arguments);
  /// Replaces result `index` of a body by what `change` makes of it, inside the body.
  void change_result(Region *region, size_t index, const std::function<Value *(Value *)> &change);
  /// Which of two alternatives to take: false at first, true when the import of the whole model failed and starts
  /// again.
  bool second_alternative();
  /// Erases a node that an attempt has created.
  void discard(Node *node);
  /// Erases a node but for one of its regions (without arguments), whose nodes follow what was built so far; its
  /// results.
  std::vector<Value *> unwrap(Node *node, size_t region);
  /// Imports a graph attribute in place of the node; empty after a problem.
  std::vector<Value *> inline_body(std::string_view attribute, const std::vector<Value *> &arguments = {});
  /// A new region of `owner` that an importer fills itself: everything that `fill` makes goes there.
  void region(Node *owner, const std::vector<Type> &arguments,
              const std::function<std::vector<Value *>(const std::vector<Value *> &)> &fill);
  /// condition ? then() : otherwise(), of that type, where only the taken one is computed. The condition is a scalar.
  Value *choose(Value *condition, const Type &type, const std::function<Value *()> &then,
                const std::function<Value *()> &otherwise);
  /// Number of inputs and outputs that a graph attribute declares.
  std::pair<size_t, size_t> body_arity(std::string_view attribute) const;
  /// A node as it is, for control flow.
  Node *create(Op op, std::vector<Value *> operands, Attributes attributes, std::vector<Type> types);

private:
  const onnx::AttributeProto *find(std::string_view attribute) const;
  const OpAttribute *schema(std::string_view attribute) const;
  Value *build(const ops::NodeSpec &spec, const Type &type);

  ModelImporter &model_;
  Scope &scope_;
  const onnx::NodeProto &proto_;
  const OpRow &row_;
  const OpSignature &signature_;
  std::string where_;
  graph::Builder builder_;
  std::vector<Value *> inputs_;
  size_t outputs_ = 0;
  bool failed_ = false;
};

/// Where products and sums of a narrow float type are computed: f32 for f16, bf16 and 8-bit floats.
std::optional<DType> wide_compute(DType dtype);
/// Appends `compute` to the attributes when the dtype asks for it.
Attributes with_compute(Attributes attributes, DType dtype);

} // namespace cameo::frontend
