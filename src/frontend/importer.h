// The import of a whole model: scopes of names, graphs, functions, and the order of nodes. What a node means is not
// here but with the importers of the families.
#pragma once

#include "cameo/frontend/frontend.h"
#include "functions.h"
#include "node_import.h"
#include "tensor_proto.h"

#include <set>
#include <unordered_map>
#include <unordered_set>

#include <onnx/onnx_pb.h>

namespace cameo::frontend {

/// Attributes of the call of a model-local function, by name: what `ref_attr_name` in its body means.
using AttributeEnvironment = std::map<std::string, const onnx::AttributeProto *, std::less<>>;

/// The names that a graph or a function body defines. A name that could not be imported is there with a null value:
/// what depends on it is skipped without a word.
struct Scope {
  Scope *parent = nullptr;  ///< of the graph around; null for the main graph and for function bodies
  Region *region = nullptr; ///< where nodes go
  std::string context;      ///< for messages: ` in then_branch of node 'x'`
  const std::map<std::string, int64_t, std::less<>> *opsets = nullptr;
  const AttributeEnvironment *environment = nullptr; ///< inside a function body
  int function_depth = 0;
  std::unordered_map<std::string_view, Value *> values;
  std::unordered_set<std::string_view> own_names; ///< everything that the graph defines, also what is not imported yet

  std::unordered_map<std::string_view, int64_t> declared_ranks; ///< of the graph's values, as far as it says
  std::unordered_set<std::string_view> absent; ///< optional inputs of a function that its call leaves out

  /// Null with `known` false: no such name here or around.
  Value *find(std::string_view name, bool &known) const;
  /// The name stands for an optional input that is not there.
  bool is_absent(std::string_view name) const;
};

class ModelImporter {
public:
  ModelImporter(const onnx::ModelProto &model, std::string file, TensorSource source, const LoadOptions &options,
                Diagnostics &problems, Diagnostics &warnings);

  /// The whole model; the graph is complete only when no problem was reported.
  void run();

  graph::Graph graph;
  const LoadOptions &options;

  /// Which of two alternatives the import takes, in the order of the questions: those that were given, then `false`.
  bool second_alternative();
  std::vector<bool> choices;

  // Problems are collected, each text once.
  void report(ExitCode code, std::string where, std::string what);
  void warn(std::string what);
  bool has_problems() const { return problem_count_ > 0; }

  // For NodeImport.
  bool import_nodes(const google::protobuf::RepeatedPtrField<onnx::NodeProto> &nodes, Scope &scope);
  /// Nodes, initializers and outputs of a body into `scope` (whose region, names and arguments exist). Null values in
  /// the result where an output could not be imported.
  std::vector<Value *> import_body(const onnx::GraphProto &proto, Scope &scope);
  /// Registers the names of a graph, refusing duplicates and shadowing.
  bool declare_names(const onnx::GraphProto &proto, Scope &scope);
  const TensorSource &source() const { return source_; }
  const std::string &file() const { return file_; }
  std::optional<Type> value_type(const onnx::TypeProto &proto, const std::string &where, const std::string &input);
  bool count_node();

private:
  void check_model();
  void import_node(const onnx::NodeProto &node, int index, Scope &scope);
  void call_function(const onnx::NodeProto &node, const LocalFunction &function, Scope &scope,
                     const std::string &where);
  void check_declared(const onnx::ValueInfoProto &declared, const Value *value, const std::string &what);
  void import_initializers(const onnx::GraphProto &proto, Scope &scope,
                           const std::unordered_set<std::string_view> &used);
  /// Arity, types and attributes of a node against the standard (check_node.cpp).
  bool check_signature(const onnx::NodeProto &node, const OpRow &row, const OpSignature &signature, const Scope &scope,
                       const std::string &where);
  const OpSignature &signature_of(const OpRow &row);
  std::optional<Dim> input_dim(const onnx::TensorShapeProto::Dimension &dim, const std::string &input, int axis,
                               const std::string &where);

  const onnx::ModelProto &model_;
  std::string file_; ///< escaped
  TensorSource source_;
  Diagnostics &problems_, &warnings_;
  int64_t problem_count_ = 0;
  std::set<std::string> seen_problems_;
  std::map<std::string, int64_t, std::less<>> opsets_;
  FunctionTable functions_;
  std::map<const OpRow *, OpSignature> signatures_;
  std::set<std::string> bound_dims_, symbols_;
  int64_t imported_nodes_ = 0;
  size_t chosen_ = 0;
};

} // namespace cameo::frontend
