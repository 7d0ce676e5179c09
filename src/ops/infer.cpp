// Dispatch of type inference, and what several rules share.
#include "cameo/ops/infer.h"

#include "cameo/ops/small_value.h"
#include "rules.h"

#include <algorithm>

namespace cameo::ops {

using namespace graph;

const Type &InferContext::type(size_t i) const {
  CAMEO_CHECK(operand(i), "an operand that the rule needs is absent");
  return operand(i)->type();
}

const Attribute *InferContext::find(std::string_view name) const {
  for (const auto &[key, value] : node.attributes)
    if (key == name) return &value;
  return nullptr;
}

int64_t InferContext::integer(std::string_view name, int64_t otherwise) const {
  const auto *v = get<int64_t>(name);
  return v ? *v : otherwise;
}

bool InferContext::flag(std::string_view name) const {
  const auto *v = get<bool>(name);
  return v && *v;
}

std::string_view InferContext::word(std::string_view name) const {
  const auto *v = get<std::string>(name);
  return v ? std::string_view(*v) : std::string_view();
}

const std::vector<int64_t> &InferContext::ints(std::string_view name) const {
  static const std::vector<int64_t> none;
  const auto *v = get<std::vector<int64_t>>(name);
  return v ? *v : none;
}

const std::vector<Dim> &InferContext::dims(std::string_view name) const {
  static const std::vector<Dim> none;
  const auto *v = get<std::vector<Dim>>(name);
  return v ? *v : none;
}

std::optional<int64_t> normal_axis(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank) return std::nullopt;
  return axis < 0 ? axis + rank : axis;
}

std::string shape_text(const Shape &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + shape[i].str();
  return text + "]";
}

bool may_be_equal(const Dim &a, const Dim &b) { return !a.is_constant() || !b.is_constant() || a == b; }

namespace {

// Nullopt for ops whose type the operands do not determine.
std::optional<Inferred> dispatch(InferContext &c) {
  switch (c.node.op) {
  case Op::constant:
  case Op::dims:
  case Op::range:
  case Op::seed:
    return infer_source(c);
  case Op::elementwise:
    return infer_elementwise(c);
  case Op::cast:
  case Op::bitcast:
  case Op::quantize:
  case Op::dequantize:
    return infer_convert(c);
  case Op::contract:
    return infer_contract(c);
  case Op::conv:
  case Op::deform_conv:
    return infer_conv(c);
  case Op::conv_transpose:
    return infer_conv_transpose(c);
  case Op::pool:
    return infer_pool(c);
  case Op::det:
    return infer_det(c);
  case Op::reduce:
  case Op::arg_reduce:
    return infer_reduce(c);
  case Op::cumulative:
  case Op::softmax:
  case Op::string_normalize:
    return infer_same(c);
  case Op::normalize:
    return infer_normalize(c);
  case Op::attention:
    return infer_attention(c);
  case Op::rnn:
    return infer_rnn(c);
  case Op::slice:
    if (c.find("starts")) return std::nullopt; // the extents say where it ends
    return infer_movement(c);
  case Op::transpose:
  case Op::concat:
  case Op::pad:
  case Op::gather:
  case Op::gather_elements:
  case Op::gather_nd:
  case Op::shape_of:
    return infer_movement(c);
  case Op::scatter_elements:
  case Op::scatter_nd:
    return infer_scatter(c);
  case Op::grid_sample:
  case Op::nms:
  case Op::image_decode:
    return infer_image(c);
  case Op::topk:
  case Op::unique:
  case Op::nonzero:
    return infer_search(c);
  case Op::sequence_construct:
  case Op::optional_make:
    if (c.operands() == 0) return std::nullopt; // an empty one may be of any type
    return infer_container(c);
  case Op::sequence_at:
  case Op::sequence_insert:
  case Op::sequence_erase:
  case Op::sequence_length:
  case Op::sequence_split:
  case Op::sequence_concat:
  case Op::optional_has:
  case Op::optional_get:
  case Op::zip_map:
  case Op::dict_vectorize:
  case Op::map_cast:
    return infer_container(c);
  case Op::string_split:
  case Op::regex_match:
  case Op::tfidf:
  case Op::tree_ensemble:
  case Op::tree_masks:
  case Op::pairwise_coupling:
    return infer_ml(c);
  default:
    return std::nullopt;
  }
}

// Equal, or one of them refined where only a run can tell the other.
bool agree(const Type &inferred, const Type &stated) {
  if (inferred.kind() != stated.kind()) return false;
  if (!inferred.is_tensor()) return true;
  if (inferred.dtype() != stated.dtype()) return false;
  if (!inferred.is_ranked() || !stated.is_ranked()) return true;
  if (inferred.rank() != stated.rank()) return false;
  for (int i = 0; i < inferred.rank(); ++i) {
    const Dim &a = inferred.dim(i), &b = stated.dim(i);
    if (a != b && !mentions_runtime(a) && !mentions_runtime(b)) return false;
  }
  return true;
}

} // namespace

Inferred infer(Graph &graph, const NodeSpec &node) {
  InferContext context(graph, node);
  std::optional<Inferred> determined = dispatch(context);
  CAMEO_CHECK(determined, "the type of " + std::string(name(node.op)) + " is not determined by its operands");
  Inferred result = std::move(*determined);
  if (!result.ok()) return result;
  for (const Type &type : result.types) {
    if (!type.is_ranked()) continue;
    for (size_t i = 0; i < type.shape().size(); ++i) {
      const Dim &d = type.shape()[i];
      if (!d.valid())
        return Inferred::wrong("extent " + std::to_string(i) + " of the result " + std::string(d.fault_text()));
      if (d.is_constant() && d.value() < 0)
        return Inferred::wrong("extent " + std::to_string(i) + " of the result is " + d.str());
    }
    if (Dim n = product(type.shape()); !n.valid())
      return Inferred::wrong("the number of elements of the result " + std::string(n.fault_text()));
    // An extent of 0 hides an overflow of the others from the product, but not from strides.
    Dim strides = 1;
    for (const Dim &d : type.shape())
      if (!d.is(0)) strides *= d;
    if (!strides.valid())
      return Inferred::wrong("the product of the result's extents " + std::string(strides.fault_text()));
  }
  return result;
}

std::optional<std::string> check_types(Graph &graph, const Node &node) {
  NodeSpec spec{node.op(), node.operands(), node.attributes(), node.result_count(), std::nullopt};
  if (node.result_count() > 0 && node.result()->type().is_tensor()) spec.dtype = node.result()->type().dtype();
  InferContext context(graph, spec);
  if (node.is(Op::pool) || node.is(Op::conv_transpose))
    return std::nullopt; // ceil_mode and output_shape are the importer's
  const std::optional<Inferred> inferred = dispatch(context);
  if (!inferred) return std::nullopt;
  if (!inferred->ok()) return inferred->problem;
  for (size_t i = 0; i < std::min(inferred->types.size(), node.result_count()); ++i)
    if (!agree(inferred->types[i], node.result(i)->type()))
      return "result " + std::to_string(i) + " is " + node.result(i)->type().str() + " where its operands give " +
             inferred->types[i].str();
  return std::nullopt;
}

std::optional<std::vector<Dim>> symbolic_value(const Value *value) {
  std::optional<SmallTensor> small = small_value(value);
  if (!small || small->is_real || small->dims.size() > 1) return std::nullopt;
  return std::move(small->ints);
}

} // namespace cameo::ops
