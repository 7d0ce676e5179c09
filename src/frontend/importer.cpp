#include "importer.h"

#include "importers.h"
#include "node_order.h"

#include <algorithm>

namespace cameo::frontend {
namespace {

std::string quoted(std::string_view name) { return "'" + escape_name(std::string(name)) + "'"; }

// `node 'conv1'`, or what identifies a node without a name.
std::string node_text(const onnx::NodeProto &node, int index) {
  if (!node.name().empty()) return "node " + quoted(node.name());
  std::string text = "node #" + std::to_string(index);
  if (node.output_size() > 0 && !node.output(0).empty()) text += " of output " + quoted(node.output(0));
  return text;
}

std::string op_text(const onnx::NodeProto &node) {
  const std::string domain = normal_domain(node.domain());
  return domain.empty() ? escape_name(node.op_type()) : escape_name(domain) + "::" + escape_name(node.op_type());
}

} // namespace

Value *Scope::find(std::string_view name, bool &known) const {
  for (const Scope *scope = this; scope; scope = scope->parent)
    if (auto at = scope->values.find(name); at != scope->values.end()) {
      known = true;
      return at->second;
    }
  known = false;
  return nullptr;
}

bool Scope::is_absent(std::string_view name) const {
  for (const Scope *scope = this; scope; scope = scope->parent)
    if (scope->own_names.count(name)) return scope->absent.count(name) > 0;
  return false;
}

ModelImporter::ModelImporter(const onnx::ModelProto &model, std::string file, TensorSource source,
                             const LoadOptions &options, Diagnostics &problems, Diagnostics &warnings)
    : graph(model.graph().name()), options(options), model_(model), file_(std::move(file)), source_(std::move(source)),
      problems_(problems), warnings_(warnings) {}

void ModelImporter::report(ExitCode code, std::string where, std::string what) {
  Diagnostic d{code, std::move(where), std::move(what)};
  if (!seen_problems_.insert(to_string(d)).second) return;
  ++problem_count_;
  if (int64_t(problems_.size()) < options.limits.diagnostics) {
    problems_.push_back(std::move(d));
  } else {
    const std::string more = "and " + std::to_string(problem_count_ - options.limits.diagnostics) + " more problems";
    if (problems_.size() == size_t(options.limits.diagnostics)) problems_.push_back({code, file_, more});
    problems_.back().what = more;
    seen_problems_.clear(); // bounded memory; repeats beyond the limit only count
  }
}

bool ModelImporter::second_alternative() {
  if (chosen_ == choices.size()) choices.push_back(false);
  return choices[chosen_++];
}

void ModelImporter::warn(std::string what) { warnings_.push_back({ExitCode::ok, file_, std::move(what)}); }

bool ModelImporter::count_node() {
  // Bodies of loops may be imported several times until their types settle: a budget over all of it
  // that grows with the model, since a small one that is nested deeply may ask for 2^depth imports.
  constexpr int64_t kAtLeast = 10'000, kTimes = 64;
  const int64_t budget = std::min(8 * options.limits.nodes, kAtLeast + kTimes * functions_.nodes());
  if (++imported_nodes_ <= budget) return true;
  report(ExitCode::bad_model, file_, "loops are nested so that their types do not settle");
  return false;
}

// --- the model
// ---------------------------------------------------------------------------------------------------------

void ModelImporter::check_model() {
  auto bad = [&](std::string what) { report(ExitCode::bad_model, file_, std::move(what)); };
  constexpr int64_t kNewestIr = 14;
  if (!model_.has_graph()) bad("has no graph");
  if (model_.ir_version() < 1)
    bad("has ir_version " + std::to_string(model_.ir_version()));
  else if (model_.ir_version() > kNewestIr)
    report(ExitCode::unsupported, file_,
           "has ir_version " + std::to_string(model_.ir_version()) + "; the newest that is supported is " +
               std::to_string(kNewestIr));
  if (model_.opset_import_size() == 0) {
    if (model_.ir_version() >= 3)
      bad("imports no opset");
    else
      opsets_.emplace("", 1); // before IR version 3 there was only one
  }
  for (const auto &opset : model_.opset_import()) {
    const std::string domain = normal_domain(opset.domain());
    const std::string shown = domain.empty() ? "ai.onnx" : escape_name(domain);
    if (!opsets_.emplace(domain, opset.version()).second) bad("imports the opset of " + shown + " twice");
    const int newest = newest_opset(domain);
    if (opset.version() < 1)
      bad("imports opset " + std::to_string(opset.version()) + " of " + shown);
    else if (newest > 0 && opset.version() > newest)
      report(ExitCode::unsupported, file_,
             "imports opset " + std::to_string(opset.version()) + " of " + shown +
                 "; the newest that is supported is " + std::to_string(newest));
  }
  if (model_.training_info_size() > 0) warn("training information is ignored");
}

void ModelImporter::run() {
  check_model();
  for (const auto &[name, value] : options.dims)
    if (value < 0) report(ExitCode::usage, file_, "dim " + quoted(name) + " cannot be " + std::to_string(value));
  for (Diagnostic &d : functions_.build(model_, options.limits, file_)) report(d.code, d.where, d.what);
  if (has_problems()) return;

  const onnx::GraphProto &proto = model_.graph();
  Scope scope;
  scope.region = graph.main().body;
  scope.opsets = &opsets_;
  if (!declare_names(proto, scope)) return;

  std::unordered_set<std::string_view> initialized;
  for (const auto &tensor : proto.initializer()) initialized.insert(tensor.name());
  for (const auto &tensor : proto.sparse_initializer()) initialized.insert(tensor.values().name());
  for (const auto &input : proto.input()) {
    if (initialized.count(input.name())) continue; // an input with an initializer is a constant
    const std::string where = file_ + ": input " + quoted(input.name());
    std::optional<Type> type;
    if (input.has_type())
      type = value_type(input.type(), where, input.name());
    else
      report(ExitCode::bad_model, where, "has no type");
    scope.values[input.name()] = type ? graph.add_argument(scope.region, *type, input.name()) : nullptr;
  }
  for (const auto &[name, value] : options.dims)
    if (!bound_dims_.count(name)) {
      std::string known;
      for (const std::string &s : symbols_) known += (known.empty() ? "" : ", ") + quoted(s);
      report(ExitCode::usage, file_,
             "no input has a dim " + quoted(name) + (known.empty() ? "; all dims are fixed" : "; there are " + known));
    }
  if (proto.output_size() == 0) report(ExitCode::bad_model, file_, "the graph has no outputs");

  std::vector<Value *> results = import_body(proto, scope);
  std::vector<std::string> names;
  std::unordered_set<std::string_view> seen;
  for (const auto &output : proto.output()) {
    if (!seen.insert(output.name()).second)
      report(ExitCode::bad_model, file_, "output " + quoted(output.name()) + " is listed twice");
    names.push_back(output.name());
  }
  if (has_problems()) return;
  graph.set_results(graph.main(), std::move(results), std::move(names));
}

// --- names
// -------------------------------------------------------------------------------------------------------------

bool ModelImporter::declare_names(const onnx::GraphProto &proto, Scope &scope) {
  const int64_t before = problem_count_;
  const std::string where = file_ + (scope.context.empty() ? "" : ":" + scope.context);
  std::unordered_set<std::string_view> inputs, initializers;
  auto declare = [&](std::string_view name, const char *what) {
    if (!scope.own_names.insert(name).second) {
      report(ExitCode::bad_model, where, std::string(what) + " " + quoted(name) + " is defined twice");
      return;
    }
    for (const Scope *outer = scope.parent; outer; outer = outer->parent)
      if (outer->own_names.count(name)) {
        report(ExitCode::bad_model, where,
               std::string(what) + " " + quoted(name) + " hides a value of the graph around");
        return;
      }
  };
  for (const auto &input : proto.input()) {
    if (input.name().empty()) report(ExitCode::bad_model, where, "an input has no name");
    if (inputs.insert(input.name()).second)
      declare(input.name(), "input");
    else
      report(ExitCode::bad_model, where, "input " + quoted(input.name()) + " is listed twice");
  }
  auto declare_initializer = [&](const std::string &name) {
    if (name.empty()) report(ExitCode::bad_model, where, "an initializer has no name");
    if (!initializers.insert(name).second)
      report(ExitCode::bad_model, where, "initializer " + quoted(name) + " is defined twice");
    else if (!inputs.count(name)) // the value of an input, as all were before IR version 4
      declare(name, "initializer");
  };
  for (const auto &tensor : proto.initializer()) declare_initializer(tensor.name());
  for (const auto &tensor : proto.sparse_initializer()) declare_initializer(tensor.values().name());
  for (const onnx::NodeProto &node : proto.node())
    for (const std::string &name : node.output())
      if (!name.empty()) declare(name, "value");
  return problem_count_ == before;
}

// --- a graph
// -----------------------------------------------------------------------------------------------------------

void ModelImporter::import_initializers(const onnx::GraphProto &proto, Scope &scope,
                                        const std::unordered_set<std::string_view> &used) {
  graph::Builder builder = graph::Builder::at_end(graph, scope.region);
  auto add = [&](const std::string &name, Result<Constant> data) {
    Value *&value = scope.values[name];
    value = nullptr;
    if (!data.ok())
      for (const Diagnostic &d : data.errors()) report(d.code, d.where, d.what);
    else if (used.count(name))
      value = builder.constant(std::move(*data), name);
  };
  const std::string where = file_ + ": initializer ";
  for (const auto &tensor : proto.initializer())
    add(tensor.name(), decode_tensor(tensor, source_, where + quoted(tensor.name()) + scope.context));
  for (const auto &tensor : proto.sparse_initializer())
    add(tensor.values().name(), decode_sparse(tensor, source_, where + quoted(tensor.values().name()) + scope.context));
}

std::vector<Value *> ModelImporter::import_body(const onnx::GraphProto &proto, Scope &scope) {
  std::unordered_set<std::string_view> used;
  for (const onnx::NodeProto &node : proto.node())
    for_each_use(node, [&](std::string_view name) { used.insert(name); });
  for (const auto &output : proto.output()) used.insert(output.name());
  import_initializers(proto, scope, used);
  for (const auto *list : {&proto.value_info(), &proto.output()})
    for (const auto &info : *list)
      if (info.type().has_tensor_type() && info.type().tensor_type().has_shape())
        scope.declared_ranks[info.name()] = info.type().tensor_type().shape().dim_size();
  if (!import_nodes(proto.node(), scope)) return {nullptr};

  for (const auto &info : proto.value_info())
    if (auto at = scope.values.find(info.name()); at != scope.values.end())
      check_declared(info, at->second, "value " + quoted(info.name()) + scope.context);
  std::vector<Value *> results;
  for (const auto &output : proto.output()) {
    bool known = false;
    Value *value = scope.find(output.name(), known);
    if (!known)
      report(ExitCode::bad_model, file_, "output " + quoted(output.name()) + scope.context + " is not defined");
    check_declared(output, value, "output " + quoted(output.name()) + scope.context);
    results.push_back(value);
  }
  return results;
}

bool ModelImporter::import_nodes(const NodeList &nodes, Scope &scope) {
  const NodeOrder order = order_nodes(nodes);
  if (!order.cycle.empty()) {
    std::string text;
    for (size_t i = 0; i < order.cycle.size() && i < 8; ++i)
      text += (i ? ", " : "") + node_text(nodes[order.cycle[i]], order.cycle[i]);
    if (order.cycle.size() > 8) text += ", ...";
    report(ExitCode::bad_model, file_,
           order.cycle.size() == 1 ? text + scope.context + " uses its own output"
                                   : "nodes depend on each other in a circle" + scope.context + ": " + text);
    return false;
  }
  if (!order.was_sorted) warn("nodes" + scope.context + " are not in topological order; they were sorted");
  for (int i : order.order) {
    if (!count_node()) return false;
    import_node(nodes[i], i, scope);
  }
  return true;
}

// --- types
// -------------------------------------------------------------------------------------------------------------

// A dim of an input: bound by --dim, by its number, its symbol, or a symbol of our own for one that has no name.
std::optional<Dim> ModelImporter::input_dim(const onnx::TensorShapeProto::Dimension &dim, const std::string &input,
                                            int axis, const std::string &where) {
  const std::string position = input + ":" + std::to_string(axis);
  const std::string name = dim.dim_param().empty() ? position : dim.dim_param();
  if (dim.has_dim_value()) {
    if (dim.dim_value() < 0) {
      report(ExitCode::bad_model, where, "has the negative dim " + std::to_string(dim.dim_value()));
      return std::nullopt;
    }
    return Dim(dim.dim_value());
  }
  symbols_.insert(name);
  for (const auto &[bound, value] : options.dims)
    if (bound == name || bound == position) {
      bound_dims_.insert(bound);
      return Dim(value);
    }
  return Dim::symbol(name);
}

// `input` names the model's input whose type it is.
std::optional<Type> ModelImporter::value_type(const onnx::TypeProto &proto, const std::string &where,
                                              const std::string &input) {
  auto dtype_of = [&](int64_t number) -> std::optional<DType> {
    Result<DType> dtype = decode_dtype(number, where);
    if (dtype.ok()) return *dtype;
    for (const Diagnostic &d : dtype.errors()) report(d.code, d.where, d.what);
    return std::nullopt;
  };
  if (proto.has_tensor_type()) {
    const std::optional<DType> dtype = dtype_of(proto.tensor_type().elem_type());
    if (!dtype) return std::nullopt;
    if (!proto.tensor_type().has_shape()) return Type::unranked(*dtype);
    const auto &dims = proto.tensor_type().shape().dim();
    if (dims.size() > options.limits.rank) {
      report(ExitCode::bad_model, where,
             "has rank " + std::to_string(dims.size()) + " (limit " + std::to_string(options.limits.rank) + ")");
      return std::nullopt;
    }
    Shape shape;
    Dim product = 1;
    for (int i = 0; i < dims.size(); ++i) {
      std::optional<Dim> d = input_dim(dims[i], input, i, where);
      if (!d) return std::nullopt;
      if (!d->is(0)) product *= *d;
      shape.push_back(std::move(*d));
    }
    if (!product.valid()) {
      report(ExitCode::bad_model, where, "has more elements than 64 bits can count");
      return std::nullopt;
    }
    Type type = Type::tensor(*dtype, std::move(shape));
    if (const auto problem = type.problem()) {
      report(ExitCode::bad_model, where, *problem);
      return std::nullopt;
    }
    return type;
  }
  if (proto.has_sequence_type() || proto.has_optional_type()) {
    const auto &inner =
        proto.has_sequence_type() ? proto.sequence_type().elem_type() : proto.optional_type().elem_type();
    std::optional<Type> element;
    if (inner.has_tensor_type()) { // extents that have no name are of the run: each element has its own
      if (auto dtype = dtype_of(inner.tensor_type().elem_type())) element = Type::unranked(*dtype);
      if (element && inner.tensor_type().has_shape() && inner.tensor_type().shape().dim_size() <= options.limits.rank) {
        Shape shape;
        for (const auto &d : inner.tensor_type().shape().dim())
          shape.push_back(d.has_dim_value() && d.dim_value() >= 0 ? Dim(d.dim_value()) : graph.new_runtime_symbol());
        element = Type::tensor(element->dtype(), std::move(shape));
      }
    } else {
      element = value_type(inner, where, input);
    }
    if (!element) return std::nullopt;
    return proto.has_sequence_type() ? Type::sequence(*element) : Type::optional(*element);
  }
  if (proto.has_map_type()) {
    const std::optional<DType> key = dtype_of(proto.map_type().key_type());
    std::optional<Type> value = value_type(proto.map_type().value_type(), where, input);
    if (!key || !value) return std::nullopt;
    if (*key != DType::string && !is_integer(*key)) {
      report(ExitCode::bad_model, where, "is a map with keys of " + std::string(name(*key)));
      return std::nullopt;
    }
    if (value->is_tensor() && !value->is_ranked()) value = Type::scalar(value->dtype());
    return Type::map(*key, *value);
  }
  if (proto.has_sparse_tensor_type())
    report(ExitCode::unsupported, where, "sparse tensors as inputs are not supported");
  else
    report(ExitCode::bad_model, where, "has no type");
  return std::nullopt;
}

// What a model declares must not contradict what follows from its inputs.
void ModelImporter::check_declared(const onnx::ValueInfoProto &declared, const Value *value, const std::string &what) {
  if (!value || !declared.has_type() || !declared.type().has_tensor_type()) return;
  const auto &proto = declared.type().tensor_type();
  const std::string where = file_ + ": " + what;
  if (proto.elem_type() == 0) return;
  const std::optional<DType> dtype = dtype_from_onnx(proto.elem_type());
  if (!dtype) {
    report(ExitCode::bad_model, where,
           "declares the element type " + std::to_string(proto.elem_type()) + ", which is not defined");
    return;
  }
  const Type &type = value->type();
  if (!type.is_tensor()) return report(ExitCode::bad_model, where, "is declared as a tensor but is " + type.str());
  if (type.dtype() != *dtype)
    return report(ExitCode::bad_model, where,
                  "is declared as " + std::string(name(*dtype)) + " but is " + std::string(name(type.dtype())));
  if (!proto.has_shape() || !type.is_ranked()) return;
  const auto &dims = proto.shape().dim();
  for (const auto &d : dims)
    if (d.has_dim_value() && d.dim_value() < 0)
      return report(ExitCode::bad_model, where, "declares the negative dim " + std::to_string(d.dim_value()));
  bool fits = dims.size() == type.rank();
  for (int i = 0; fits && i < dims.size() && options.dims.empty(); ++i)
    fits = !dims[i].has_dim_value() || !type.dim(i).is_constant() || type.dim(i).is(dims[i].dim_value());
  if (fits) return;
  std::string text;
  for (const auto &d : dims)
    text += (text.empty() ? "" : ", ") + (d.has_dim_value()       ? std::to_string(d.dim_value())
                                          : d.dim_param().empty() ? "?"
                                                                  : escape_name(d.dim_param()));
  report(ExitCode::bad_model, where,
         "is declared as " + std::string(name(*dtype)) + "[" + text + "] but is " + type.str());
}

// --- nodes
// -------------------------------------------------------------------------------------------------------------

const OpSignature &ModelImporter::signature_of(const OpRow &row) {
  auto at = signatures_.find(&row);
  if (at == signatures_.end()) at = signatures_.emplace(&row, decode(row)).first;
  return at->second;
}

void ModelImporter::import_node(const onnx::NodeProto &node, int index, Scope &scope) {
  for (const std::string &name : node.output())
    if (!name.empty()) scope.values[name] = nullptr;
  const std::string domain = normal_domain(node.domain());
  std::string where = file_ + ": " + node_text(node, index) + " (" + op_text(node);

  const LocalFunction *function = functions_.find(node);
  const OpRow *row = nullptr;
  if (!function) {
    auto unsupported = [&](std::string what) {
      report(ExitCode::unsupported, where + ")" + scope.context, "not supported: " + what);
    };
    auto opset = scope.opsets->find(domain);
    const bool known_domain = newest_opset(domain) > 0;
    if (opset == scope.opsets->end() && known_domain)
      return report(ExitCode::bad_model, where + ")" + scope.context,
                    "no opset of " + (domain.empty() ? "ai.onnx" : escape_name(domain)) + " is imported");
    if (!known_domain) return unsupported("operators of domain " + quoted(domain));
    row = find_op(domain, node.op_type(), opset->second);
    if (!row) {
      const OpRow *later = find_op(domain, node.op_type(), INT32_MAX);
      return unsupported("opset " + std::to_string(opset->second) + " of " + (domain.empty() ? "ai.onnx" : domain) +
                         (later ? " does not have the operator yet" : " has no such operator"));
    }
    where += "-" + std::to_string(row->since);
    if (row->deprecated) return unsupported("the operator was removed in opset " + std::to_string(row->since));
  }
  where += ")" + scope.context;

  bool ready = true;
  std::string dtype;
  for (const std::string &name : node.input()) {
    if (name.empty()) continue;
    bool known = false;
    const Value *value = scope.find(name, known);
    if (!known) report(ExitCode::bad_model, where, "input " + quoted(name) + " is not defined");
    if (value && dtype.empty()) dtype = value->type().str();
    ready = ready && (value || scope.is_absent(name));
  }
  if (function) {
    if (ready) call_function(node, *function, scope, where);
    return;
  }
  const Importer *importer = find_importer(*row);
  if (!importer) // dtype and shape of the first input, where the import has come so far
    return report(ExitCode::unsupported, where,
                  "not supported: the operator, at opset " + std::to_string(scope.opsets->find(domain)->second) +
                      (dtype.empty() ? "" : ", of " + dtype));
  const OpSignature &signature = signature_of(*row);
  if (!ready || !check_signature(node, *row, signature, scope, where)) return;
  NodeImport import(*this, scope, node, *row, signature, where, graph::InsertPoint::end(scope.region));
  importer->import(import);
  for (size_t i = 0; !import.failed() && i < import.output_count(); ++i)
    CAMEO_CHECK(!import.wants(i) || scope.values[node.output(int(i))], "the importer left an output out: " + where);
  if (import.failed())
    for (const std::string &name : node.output())
      if (!name.empty()) scope.values[name] = nullptr;
}

// The body of a model-local function in place of its call.
void ModelImporter::call_function(const onnx::NodeProto &node, const LocalFunction &function, Scope &scope,
                                  const std::string &where) {
  const onnx::FunctionProto &proto = *function.proto;
  auto bad = [&](std::string what) { report(ExitCode::bad_model, where, std::move(what)); };
  if (node.input_size() > proto.input_size())
    return bad("has " + std::to_string(node.input_size()) + " inputs; the function has " +
               std::to_string(proto.input_size()));
  if (node.output_size() > proto.output_size())
    return bad("has " + std::to_string(node.output_size()) + " outputs; the function has " +
               std::to_string(proto.output_size()));

  AttributeEnvironment environment;
  for (const onnx::AttributeProto &attribute : function.default_attributes) environment[attribute.name()] = &attribute;
  for (const onnx::AttributeProto &attribute : node.attribute()) {
    const onnx::AttributeProto *value = &attribute;
    if (!attribute.ref_attr_name().empty()) { // handed through from the call around
      auto at = scope.environment ? scope.environment->find(attribute.ref_attr_name())
                                  : AttributeEnvironment::const_iterator();
      if (!scope.environment || at == scope.environment->end()) continue;
      value = at->second;
    }
    environment[attribute.name()] = value;
  }

  Scope body;
  body.region = scope.region;
  body.context = scope.context + " in function " + quoted(proto.name());
  body.opsets = &function.opsets;
  body.environment = &environment;
  body.function_depth = scope.function_depth + 1;
  std::unordered_set<std::string_view> defined;
  for (int i = 0; i < proto.input_size(); ++i) {
    if (!defined.insert(proto.input(i)).second)
      return bad("the function has input " + quoted(proto.input(i)) + " twice");
    bool known = false;
    Value *value = i < node.input_size() ? scope.find(node.input(i), known) : nullptr;
    body.own_names.insert(proto.input(i));
    body.values[proto.input(i)] = value;
    if (!value) body.absent.insert(proto.input(i)); // a call is imported only when all that is there is known
  }
  for (const onnx::NodeProto &inner : proto.node())
    for (const std::string &name : inner.output()) {
      if (name.empty()) continue;
      body.own_names.insert(name);
      if (!defined.insert(name).second) return bad("the function defines " + quoted(name) + " twice");
    }
  if (!import_nodes(proto.node(), body)) return;
  for (int i = 0; i < node.output_size(); ++i) {
    if (node.output(i).empty()) continue;
    bool known = false;
    Value *value = body.find(proto.output(i), known);
    if (!known) return bad("the function does not define its output " + quoted(proto.output(i)));
    scope.values[node.output(i)] = value;
  }
}

} // namespace cameo::frontend
