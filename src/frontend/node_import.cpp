#include "node_import.h"

#include "cameo/ops/small_value.h"
#include "importer.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace cameo::frontend {

using ops::SmallTensor;

std::optional<DType> wide_compute(DType dtype) {
  if (is_float(dtype) && bits(dtype) <= 16) return DType::f32;
  return std::nullopt;
}

Attributes with_compute(Attributes attributes, DType dtype) {
  if (auto wide = wide_compute(dtype)) attributes.emplace_back("compute", *wide);
  return attributes;
}

NodeImport::NodeImport(ModelImporter &model, Scope &scope, const onnx::NodeProto &proto, const OpRow &row,
                       const OpSignature &signature, std::string where, graph::InsertPoint at)
    : model_(model), scope_(scope), proto_(proto), row_(row), signature_(signature), where_(std::move(where)),
      builder_(model.graph, at) {
  for (const std::string &name : proto.input()) {
    bool known = true;
    inputs_.push_back(name.empty() ? nullptr : scope.find(name, known));
  }
  while (!inputs_.empty() && !inputs_.back()) inputs_.pop_back();
  outputs_ = size_t(proto.output_size());
  while (outputs_ > 0 && proto.output(int(outputs_) - 1).empty()) --outputs_;
  std::string origin = proto.name();
  if (origin.empty()) origin = proto.op_type() + (proto.output_size() > 0 ? ":" + proto.output(0) : std::string());
  builder_.set_origin({std::move(origin)});
}

// --- outputs ---------------------------------------------------------------------------------------------------------

bool NodeImport::wants(size_t i) const { return i < outputs_ && !proto_.output(int(i)).empty(); }

void NodeImport::result(size_t i, Value *value) {
  if (failed_ || !wants(i)) return;
  CAMEO_CHECK(value, "an output of " + where_ + " without a value");
  const std::string &name = proto_.output(int(i));
  if (value->name().empty()) value->set_name(name);
  scope_.values[name] = value;
}

std::optional<int64_t> NodeImport::declared_rank(size_t i) const {
  if (!wants(i)) return std::nullopt;
  const auto at = scope_.declared_ranks.find(proto_.output(int(i)));
  return at == scope_.declared_ranks.end() ? std::nullopt : std::optional(at->second);
}

// --- attributes
// --------------------------------------------------------------------------------------------------------

const onnx::AttributeProto *NodeImport::find(std::string_view attribute) const {
  for (const onnx::AttributeProto &a : proto_.attribute()) {
    if (a.name() != attribute) continue;
    if (a.ref_attr_name().empty()) return &a;
    if (!scope_.environment) return nullptr;
    auto at = scope_.environment->find(a.ref_attr_name());
    return at == scope_.environment->end() ? nullptr : at->second;
  }
  return nullptr;
}

const OpAttribute *NodeImport::schema(std::string_view attribute) const {
  for (const OpAttribute &a : signature_.attributes)
    if (a.name == attribute) return &a;
  return nullptr;
}

bool NodeImport::has(std::string_view attribute) const { return find(attribute) != nullptr; }

bool NodeImport::defines(std::string_view attribute) const { return schema(attribute) != nullptr; }

namespace {
template <class T> T parse_number(std::string_view text) {
  T value{};
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}
} // namespace

int64_t NodeImport::integer(std::string_view attribute, std::optional<int64_t> otherwise) {
  if (const auto *a = find(attribute)) return a->i();
  if (const OpAttribute *s = schema(attribute); s && s->default_text) return parse_number<int64_t>(*s->default_text);
  CAMEO_CHECK(otherwise, "attribute " + std::string(attribute) + " has no default");
  return *otherwise;
}

double NodeImport::real(std::string_view attribute, std::optional<double> otherwise) {
  if (const auto *a = find(attribute)) return a->f();
  if (const OpAttribute *s = schema(attribute); s && s->default_text)
    return double(parse_number<float>(*s->default_text));
  CAMEO_CHECK(otherwise, "attribute " + std::string(attribute) + " has no default");
  return *otherwise;
}

std::string NodeImport::text(std::string_view attribute, std::optional<std::string> otherwise) {
  if (const auto *a = find(attribute)) return a->s();
  if (const OpAttribute *s = schema(attribute); s && s->default_text) return std::string(*s->default_text);
  return otherwise.value_or("");
}

std::vector<int64_t> NodeImport::ints(std::string_view attribute) {
  std::vector<int64_t> result;
  if (const auto *a = find(attribute)) {
    result.assign(a->ints().begin(), a->ints().end());
  } else if (const OpAttribute *s = schema(attribute); s && s->default_text) {
    for (std::string_view rest = *s->default_text; !rest.empty();) {
      const size_t comma = std::min(rest.find(','), rest.size());
      result.push_back(parse_number<int64_t>(rest.substr(0, comma)));
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }
  return result;
}

std::vector<double> NodeImport::reals(std::string_view attribute) {
  const auto *a = find(attribute);
  return a ? std::vector<double>(a->floats().begin(), a->floats().end()) : std::vector<double>();
}

std::vector<std::string> NodeImport::texts(std::string_view attribute) {
  std::vector<std::string> result;
  if (const auto *a = find(attribute)) {
    result.assign(a->strings().begin(), a->strings().end());
  } else if (const OpAttribute *s = schema(attribute); s && s->default_text) {
    for (std::string_view rest = *s->default_text; !rest.empty();) {
      const size_t comma = std::min(rest.find(','), rest.size());
      result.emplace_back(rest.substr(0, comma));
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }
  return result;
}

Constant NodeImport::tensor(std::string_view attribute) {
  const auto *a = find(attribute);
  if (!a) return nullptr;
  Result<Constant> data =
      decode_tensor(a->t(), model_.source(), where_ + ", attribute '" + std::string(attribute) + "'");
  if (data.ok()) return *data;
  failed_ = true;
  for (const Diagnostic &d : data.errors()) model_.report(d.code, d.where, d.what);
  return nullptr;
}

Constant NodeImport::sparse_tensor(std::string_view attribute) {
  const auto *a = find(attribute);
  if (!a) return nullptr;
  Result<Constant> data =
      decode_sparse(a->sparse_tensor(), model_.source(), where_ + ", attribute '" + std::string(attribute) + "'");
  if (data.ok()) return *data;
  failed_ = true;
  for (const Diagnostic &d : data.errors()) model_.report(d.code, d.where, d.what);
  return nullptr;
}

const onnx::GraphProto *NodeImport::graph_attribute(std::string_view attribute) const {
  const auto *a = find(attribute);
  return a && a->has_g() ? &a->g() : nullptr;
}

std::string NodeImport::word(std::string_view attribute, std::initializer_list<std::string_view> words) {
  std::string value = text(attribute);
  if (std::find(words.begin(), words.end(), value) != words.end()) return value;
  std::string known;
  for (std::string_view w : words) known += (known.empty() ? "" : ", ") + std::string(w);
  fail(std::string(attribute) + " is '" + escape_name(value) + "', not one of " + known);
  return std::string(*words.begin());
}

DType NodeImport::dtype(std::string_view attribute, DType otherwise) {
  const auto *a = find(attribute);
  const OpAttribute *s = schema(attribute);
  if (!a && !(s && s->default_text)) return otherwise;
  Result<DType> result = decode_dtype(integer(attribute), where_ + ", attribute '" + std::string(attribute) + "'");
  if (result.ok()) return *result;
  failed_ = true;
  for (const Diagnostic &d : result.errors()) model_.report(d.code, d.where, d.what);
  return otherwise;
}

std::optional<Type> NodeImport::type_attribute(std::string_view attribute) {
  const auto *a = find(attribute);
  if (!a) return std::nullopt;
  std::optional<Type> type = model_.value_type(a->tp(), where_, "");
  if (!type) failed_ = true;
  return type;
}

// --- problems
// ----------------------------------------------------------------------------------------------------------

Value *NodeImport::fail(std::string what) {
  if (!failed_) model_.report(ExitCode::bad_model, where_, std::move(what));
  failed_ = true;
  return nullptr;
}

Value *NodeImport::unsupported(std::string what) {
  if (!failed_) {
    std::string types;
    for (const Value *v : inputs_)
      if (v) types += (types.empty() ? "" : ", ") + v->type().str();
    model_.report(ExitCode::unsupported, where_,
                  "not supported: " + what + (types.empty() ? "" : " (inputs " + types + ")"));
  }
  failed_ = true;
  return nullptr;
}

// --- questions
// ---------------------------------------------------------------------------------------------------------

bool NodeImport::ranked(const Value *value) {
  if (failed_ || !value) return false;
  if (value->type().is_ranked()) return true;
  unsupported("the rank of '" + escape_name(value->name()) + "' is not known");
  return false;
}

int NodeImport::rank(const Value *value) { return ranked(value) ? value->type().rank() : -1; }

int64_t NodeImport::axis(int64_t axis, int64_t rank, std::string_view what) {
  if (failed_) return 0;
  if (axis >= -rank && axis < rank) return axis < 0 ? axis + rank : axis;
  fail(std::string(what) + " " + std::to_string(axis) + " is outside rank " + std::to_string(rank));
  return 0;
}

std::vector<int64_t> NodeImport::axes(std::vector<int64_t> axes, int64_t rank) {
  std::vector<bool> seen(size_t(std::max<int64_t>(rank, 0)), false);
  for (int64_t &a : axes) {
    const int64_t given = a;
    a = axis(a, rank);
    if (failed_) return {};
    if (seen[size_t(a)]) {
      fail("axis " + std::to_string(given) + " is named twice");
      return {};
    }
    seen[size_t(a)] = true;
  }
  return axes;
}

std::optional<std::vector<Dim>> NodeImport::dims_of(const Value *value) const { return ops::symbolic_value(value); }

std::optional<std::vector<int64_t>> NodeImport::ints_of(const Value *value) const {
  const std::optional<SmallTensor> small = ops::small_value(value);
  if (!small || small->is_real) return std::nullopt;
  std::vector<int64_t> result;
  for (const Dim &d : small->ints) {
    if (!d.is_constant()) return std::nullopt;
    result.push_back(d.value());
  }
  return result;
}

std::optional<std::vector<double>> NodeImport::reals_of(const Value *value) const {
  const std::optional<SmallTensor> small = ops::small_value(value);
  if (!small) return std::nullopt;
  if (small->is_real) return small->reals;
  std::vector<double> result;
  for (const Dim &d : small->ints) {
    if (!d.is_constant()) return std::nullopt;
    result.push_back(double(d.value()));
  }
  return result;
}

std::optional<double> NodeImport::real_of(const Value *value) const {
  const auto reals = reals_of(value);
  return reals && reals->size() == 1 ? std::optional((*reals)[0]) : std::nullopt;
}

std::vector<int64_t> NodeImport::need_ints(const Value *value, std::string_view what) {
  if (failed_) return {};
  if (auto ints = ints_of(value)) return *ints;
  unsupported(std::string(what) + " known only at run time");
  return {};
}

std::vector<double> NodeImport::need_reals(const Value *value, std::string_view what) {
  if (failed_) return {};
  if (auto reals = reals_of(value)) return *reals;
  unsupported(std::string(what) + " known only at run time");
  return {};
}

// --- building
// ----------------------------------------------------------------------------------------------------------

graph::Graph &NodeImport::graph() { return model_.graph; }
const Limits &NodeImport::limits() const { return model_.options.limits; }
Dim NodeImport::fresh_dim(std::optional<Dim> upper) { return model_.graph.new_runtime_symbol(std::move(upper)); }

Type NodeImport::element_type(const Type &type) {
  if (!type.is_ranked()) return type;
  Shape shape = type.shape();
  for (Dim &d : shape) {
    bool runtime = false;
    d.for_each_symbol([&](const std::string &key) { runtime = runtime || Dim::from_key(key).is_runtime(); });
    if (runtime) d = fresh_dim();
  }
  return Type::tensor(type.dtype(), std::move(shape));
}

Value *NodeImport::build(const ops::NodeSpec &spec, const Type &type) {
  if (const auto problem = type.problem()) return fail("the result " + type.str() + ": " + *problem);
  if (auto known = ops::evaluate(spec, type, model_.graph)) return ops::materialize(builder_, *known);
  return builder_.value(spec.op, spec.operands, spec.attributes, type);
}

Value *NodeImport::make(Op op, std::vector<Value *> operands, Attributes attributes, std::optional<DType> dtype) {
  if (failed_) return nullptr;
  while (!operands.empty() && !operands.back()) operands.pop_back();
  const ops::NodeSpec spec{op, std::move(operands), std::move(attributes), 1, dtype};
  ops::Inferred inferred = ops::infer(model_.graph, spec);
  if (!inferred.ok()) return fail(std::move(inferred.problem));
  return build(spec, inferred.types[0]);
}

Value *NodeImport::make_typed(Op op, std::vector<Value *> operands, Attributes attributes, Type type) {
  if (failed_) return nullptr;
  while (!operands.empty() && !operands.back()) operands.pop_back();
  if (type.is_ranked()) {
    Dim strides = 1;
    for (size_t i = 0; i < type.shape().size(); ++i) {
      const Dim &d = type.shape()[i];
      if (!d.valid()) return fail("extent " + std::to_string(i) + " of the result " + std::string(d.fault_text()));
      if (d.is_constant() && d.value() < 0) return fail("extent " + std::to_string(i) + " of the result is " + d.str());
      if (!d.is(0)) strides *= d;
    }
    if (!strides.valid()) return fail("the product of the result's extents " + std::string(strides.fault_text()));
    if (int64_t(type.shape().size()) > limits().rank)
      return fail("a result of rank " + std::to_string(type.shape().size()) + " (limit " +
                  std::to_string(limits().rank) + ")");
  }
  return build({op, std::move(operands), std::move(attributes), 1, {}}, type);
}

std::vector<Value *> NodeImport::make_many(Op op, std::vector<Value *> operands, Attributes attributes, size_t results,
                                           std::vector<Type> types) {
  if (failed_) return std::vector<Value *>(results, nullptr);
  while (!operands.empty() && !operands.back()) operands.pop_back();
  if (types.empty()) {
    ops::Inferred inferred = ops::infer(model_.graph, {op, operands, attributes, results, {}});
    if (!inferred.ok()) {
      fail(std::move(inferred.problem));
      return std::vector<Value *>(results, nullptr);
    }
    types = std::move(inferred.types);
  }
  for (const Type &type : types)
    if (const auto problem = type.problem()) {
      fail("the result " + type.str() + ": " + *problem);
      return std::vector<Value *>(results, nullptr);
    }
  Node *node = builder_.node(op, std::move(operands), std::move(attributes), std::move(types));
  return {node->results().begin(), node->results().end()};
}

Node *NodeImport::create(Op op, std::vector<Value *> operands, Attributes attributes, std::vector<Type> types) {
  while (!operands.empty() && !operands.back()) operands.pop_back();
  return builder_.node(op, std::move(operands), std::move(attributes), std::move(types));
}

bool NodeImport::second_alternative() { return model_.second_alternative(); }

void NodeImport::discard(Node *node) { model_.graph.erase(node); }

std::vector<Value *> NodeImport::unwrap(Node *node, size_t region) {
  Region *body = node->body(region);
  std::vector<Value *> results = body->results();
  model_.graph.splice(body, builder_.point());
  model_.graph.erase(node);
  return results;
}

Value *NodeImport::map(Fn fn, std::vector<Value *> operands, std::optional<double> alpha, std::optional<double> beta,
                       std::optional<DType> compute) {
  if (failed_) return nullptr;
  Attributes attributes = {{"fn", fn}};
  if (alpha) attributes.emplace_back("alpha", *alpha);
  if (beta) attributes.emplace_back("beta", *beta);
  if (compute) attributes.emplace_back("compute", *compute);
  return make(Op::elementwise, std::move(operands), std::move(attributes));
}

Value *NodeImport::constant(Constant data) { return failed_ || !data ? nullptr : builder_.constant(std::move(data)); }
Value *NodeImport::scalar(DType dtype, double value) {
  if (failed_) return nullptr;
  return builder_.constant(is_float(dtype) ? ConstantData::of_rounded(dtype, {}, {&value, 1})
                                           : ConstantData::scalar(dtype, value));
}
Value *NodeImport::scalar_int(DType dtype, int64_t value) {
  return failed_ ? nullptr : builder_.constant(ConstantData::scalar_int(dtype, value));
}
Value *NodeImport::ints_constant(const std::vector<int64_t> &values) {
  return failed_ ? nullptr : builder_.constant(ConstantData::i64s(values));
}

Value *NodeImport::dims(const std::vector<Dim> &values) {
  if (failed_) return nullptr;
  for (const Dim &d : values)
    if (!d.valid()) return fail("an extent " + std::string(d.fault_text()));
  SmallTensor small;
  small.ints = values;
  small.dims = {int64_t(values.size())};
  return ops::materialize(builder_, small);
}

Value *NodeImport::cast(Value *x, DType dtype, bool saturate) {
  if (failed_ || x->type().dtype() == dtype) return failed_ ? nullptr : x;
  return make(Op::cast, {x}, {{"saturate", saturate}}, dtype);
}

Value *NodeImport::reshape(Value *x, Shape shape) {
  if (failed_ || (x->type().is_ranked() && x->type().shape() == shape)) return failed_ ? nullptr : x;
  if (x->type().is_ranked()) {
    const Dim from = product(x->type().shape()), to = product(shape);
    if (from.is_constant() && to.is_constant() && from.value() != to.value())
      return fail(x->type().str() + " has " + from.str() + " elements where " + to.str() + " are needed");
  }
  return make_typed(Op::reshape, {x}, {}, Type::tensor(x->type().dtype(), std::move(shape)));
}

Value *NodeImport::reshape_to(Value *x, Value *shape, Shape type) {
  if (failed_) return nullptr;
  return make_typed(Op::reshape, {x, shape}, {}, Type::tensor(x->type().dtype(), std::move(type)));
}

Value *NodeImport::transpose(Value *x, std::vector<int64_t> perm) {
  if (failed_) return nullptr;
  if (std::is_sorted(perm.begin(), perm.end()) && x->type().is_ranked() && int64_t(perm.size()) == x->type().rank() &&
      (perm.empty() || (perm.front() == 0 && perm.back() == int64_t(perm.size()) - 1)))
    return x;
  return make(Op::transpose, {x}, {{"perm", std::move(perm)}});
}

Value *NodeImport::broadcast(Value *x, Shape shape) {
  if (failed_ || (x->type().is_ranked() && x->type().shape() == shape)) return failed_ ? nullptr : x;
  return make_typed(Op::broadcast, {x}, {}, Type::tensor(x->type().dtype(), std::move(shape)));
}

Value *NodeImport::with_shape(Value *x, std::string_view what, Shape wanted) {
  if (!x || failed_ || !ranked(x)) return nullptr;
  const Shape &own = x->type().shape();
  bool may_fit = own.size() == wanted.size();
  for (size_t i = 0; may_fit && i < wanted.size(); ++i)
    may_fit = own[i] == wanted[i] || !own[i].is_constant() || !wanted[i].is_constant();
  if (!may_fit)
    return fail(std::string(what) + " is " + x->type().str() + " where " +
                Type::tensor(x->type().dtype(), std::move(wanted)).str() + " is needed");
  return broadcast(x, std::move(wanted));
}

Value *NodeImport::concat(std::vector<Value *> xs, int64_t axis) {
  if (failed_ || xs.size() == 1) return failed_ ? nullptr : xs[0];
  return make(Op::concat, std::move(xs), {{"axis", axis}});
}

Value *NodeImport::slice(Value *x, int64_t axis, Dim start, Dim size) {
  if (failed_) return nullptr;
  Shape shape = x->type().shape();
  if (start.is(0) && shape[size_t(axis)] == size) return x;
  shape[size_t(axis)] = size;
  return make_typed(
      Op::slice, {x},
      {{"axes", std::vector<int64_t>{axis}}, {"starts", std::vector<Dim>{start}}, {"steps", std::vector<int64_t>{1}}},
      Type::tensor(x->type().dtype(), std::move(shape)));
}

Value *NodeImport::gather(Value *x, Value *indices, int64_t axis) {
  return make(Op::gather, {x, indices}, {{"axis", axis}});
}

Value *NodeImport::reduce(std::string fn, Value *x, std::vector<int64_t> axes, bool keepdims) {
  if (failed_) return nullptr;
  std::sort(axes.begin(), axes.end());
  return make(
      Op::reduce, {x},
      with_compute({{"fn", std::move(fn)}, {"axes", std::move(axes)}, {"keepdims", keepdims}}, x->type().dtype()));
}

Value *NodeImport::shape_of(Value *x) {
  if (failed_) return nullptr;
  if (x->type().is_ranked()) return dims(x->type().shape());
  return make(Op::shape_of, {x});
}

// --- bodies
// ------------------------------------------------------------------------------------------------------------

std::pair<size_t, size_t> NodeImport::body_arity(std::string_view attribute) const {
  const onnx::GraphProto *proto = graph_attribute(attribute);
  return proto ? std::pair(size_t(proto->input_size()), size_t(proto->output_size())) : std::pair(size_t{0}, size_t{0});
}

Region *NodeImport::body(std::string_view attribute, Node *owner, const std::vector<Type> &arguments) {
  const onnx::GraphProto *proto = graph_attribute(attribute);
  if (failed_ || !proto) return nullptr;
  Scope scope;
  scope.parent = &scope_;
  scope.region = model_.graph.add_region(owner);
  scope.context = scope_.context + " in " + std::string(attribute) + " of '" + escape_name(proto_.name()) + "'";
  scope.opsets = scope_.opsets;
  scope.environment = scope_.environment;
  scope.function_depth = scope_.function_depth;
  CAMEO_CHECK(size_t(proto->input_size()) == arguments.size(), "arguments of a body");
  bool ok = model_.declare_names(*proto, scope);
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string &name = proto->input(int(i)).name();
    scope.values[name] = model_.graph.add_argument(scope.region, arguments[i], name);
  }
  std::vector<Value *> results = ok ? model_.import_body(*proto, scope) : std::vector<Value *>{nullptr};
  ok = ok && std::find(results.begin(), results.end(), nullptr) == results.end();
  if (!ok) {
    failed_ = true; // reported where it happened
    return nullptr;
  }
  model_.graph.set_results(scope.region, results);
  return scope.region;
}

void NodeImport::region(Node *owner, const std::vector<Type> &arguments,
                        const std::function<std::vector<Value *>(const std::vector<Value *> &)> &fill) {
  Region *region = model_.graph.add_region(owner);
  std::vector<Value *> values;
  for (const Type &type : arguments) values.push_back(model_.graph.add_argument(region, type));
  const graph::InsertPoint outside = builder_.point();
  builder_.set_point(graph::InsertPoint::end(region));
  std::vector<Value *> results = fill(values);
  builder_.set_point(outside);
  if (!failed_) model_.graph.set_results(region, std::move(results));
}

void NodeImport::change_result(Region *region, size_t index, const std::function<Value *(Value *)> &change) {
  if (failed_) return;
  std::vector<Value *> results = region->results();
  const graph::InsertPoint outside = builder_.point();
  builder_.set_point(graph::InsertPoint::end(region));
  results[index] = change(results[index]);
  builder_.set_point(outside);
  if (!failed_) model_.graph.set_results(region, std::move(results));
}

Value *NodeImport::choose(Value *condition, const Type &type, const std::function<Value *()> &then,
                          const std::function<Value *()> &otherwise) {
  if (failed_) return nullptr;
  if (const auto known = ints_of(condition)) return (*known)[0] ? then() : otherwise();
  Node *node = create(Op::if_, {condition}, {}, {type});
  region(node, {}, [&](const auto &) { return std::vector<Value *>{then()}; });
  region(node, {}, [&](const auto &) { return std::vector<Value *>{otherwise()}; });
  if (!failed_) return node->result();
  discard(node);
  return nullptr;
}

std::vector<Value *> NodeImport::inline_body(std::string_view attribute, const std::vector<Value *> &arguments) {
  const onnx::GraphProto *proto = graph_attribute(attribute);
  if (failed_ || !proto) return {};
  CAMEO_CHECK(size_t(proto->input_size()) == arguments.size(), "arguments of a body");
  Scope scope;
  scope.parent = &scope_;
  scope.region = builder_.point().region;
  scope.context = scope_.context + " in " + std::string(attribute) + " of '" + escape_name(proto_.name()) + "'";
  scope.opsets = scope_.opsets;
  scope.environment = scope_.environment;
  scope.function_depth = scope_.function_depth;
  for (size_t i = 0; i < arguments.size(); ++i) scope.values[proto->input(int(i)).name()] = arguments[i];
  std::vector<Value *> results;
  if (model_.declare_names(*proto, scope)) results = model_.import_body(*proto, scope);
  if (results.empty() || std::find(results.begin(), results.end(), nullptr) != results.end()) {
    failed_ = true;
    return {};
  }
  return results;
}

} // namespace cameo::frontend
