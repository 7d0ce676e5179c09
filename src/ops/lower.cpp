// The table from canonical op to the function that lowers it, and the lowering of groups (see cameo/ops/lower.h).
#include "lowering.h"
#include "window.h"
#include "winograd.h"

#include <algorithm>

namespace cameo::ops {
namespace {

using graph::Node;
using graph::Op;
using graph::Value;

using LowerFunction = Problem (*)(Lowering &, const Node &);

LowerFunction function_of(Op op) {
  switch (op) {
  case Op::elementwise:
    return lower_elementwise;
  case Op::cast:
  case Op::bitcast:
    return lower_cast;
  case Op::quantize:
  case Op::dequantize:
    return lower_quantize;
  case Op::contract:
    return lower_contract;
  case Op::conv:
    return lower_conv;
  case Op::conv_transpose:
    return lower_conv_transpose;
  case Op::pool:
    return lower_pool;
  case Op::reduce:
  case Op::arg_reduce:
  case Op::cumulative:
    return lower_reduce;
  case Op::softmax:
    return lower_softmax;
  case Op::normalize:
    return lower_normalize;
  case Op::attention:
    return lower_attention;
  case Op::reshape:
  case Op::transpose:
  case Op::broadcast:
  case Op::concat:
  case Op::slice:
  case Op::pad:
  case Op::relayout:
    return lower_movement;
  case Op::resize:
    return lower_resize;
  case Op::grid_sample:
  case Op::roi_pool:
  case Op::deform_conv:
    return lower_sample;
  case Op::topk:
    return lower_topk;
  case Op::dft:
    return lower_dft;
  case Op::det:
    return lower_det;
  case Op::tree_ensemble:
    return lower_trees;
  case Op::tree_masks:
    return lower_masks;
  case Op::pairwise_coupling:
    return lower_coupling;
  case Op::gather:
  case Op::gather_elements:
  case Op::gather_nd:
  case Op::scatter_elements:
  case Op::scatter_nd:
  case Op::nonzero:
    return lower_index;
  case Op::dims:
  case Op::iota:
  case Op::range:
    return lower_source;
  case Op::rnn:
    return lower_rnn;
  default:
    return nullptr;
  }
}

// What keeps a value out of a kernel.
Problem bad_value(const Value *value) {
  if (!value) return {};
  const graph::Type &type = value->type();
  if (!type.is_tensor()) return "a value of type " + type.str() + " has no kernel";
  if (!type.is_ranked()) return "a tensor of unknown rank has no kernel";
  if (type.dtype() == DType::string || kind(type.dtype()) == DTypeKind::complex)
    return "a tensor of " + std::string(name(type.dtype())) + " has no kernel";
  return {};
}

Problem lower_one(Lowering &l, const Node &node, const std::string &algorithm) {
  if (node.is(Op::conv) && algorithm.starts_with("winograd"))
    return lower_winograd(l, node, algorithm == "winograd2" ? 2 : 4);
  const LowerFunction lower = function_of(node.op());
  if (!lower) return std::string(name(node.op())) + " has no kernel";
  for (const Value *v : node.operands())
    if (Problem p = bad_value(v)) return p;
  for (const Value *v : node.results())
    if (Problem p = bad_value(v)) return p;
  return lower(l, node);
}

std::string origin_of(const Node &node) {
  std::string text;
  for (const std::string &name : node.origin()) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// A name for people: the op, or those of a group.
std::string kernel_name(const Node &node) {
  if (!node.is(Op::fused)) return std::string(node.is(Op::elementwise) ? name(node.fn()) : name(node.op()));
  std::string text;
  int count = 0;
  for (const Node *inner : node.body()->nodes())
    if (++count <= 4) text += (text.empty() ? "" : "_") + kernel_name(*inner);
  return count > 4 ? text + "_" + std::to_string(count - 4) + "_more" : text;
}

Result<Lowered> unsupported(const Node &node, const std::string &why) {
  std::string where = "node";
  if (!node.origin().empty()) where += " '" + escape_name(node.origin()[0]) + "'";
  return Diagnostic{ExitCode::unsupported, where, why};
}

struct Refusal {
  const Node *node;
  std::string why;
};

// The stages of a node whose operands are bound, and its results.
std::optional<Refusal> lower_results(Lowering &l, const Node &node, const std::string &algorithm) {
  std::vector<Value *> results(node.results().begin(), node.results().end());
  if (node.is(Op::fused)) {
    for (const Node *inner : node.body()->nodes())
      if (Problem p = lower_one(l, *inner, algorithm)) return Refusal{inner, *p};
    results = node.body()->results();
  } else if (Problem p = lower_one(l, node, algorithm)) {
    return Refusal{&node, *p};
  }
  for (size_t i = 0; i < results.size(); ++i) l.store_result(results[i], i);
  return {};
}

// The one convolution of a node whose other nodes compute point by point what it gives; null when there is none.
const Node *pointwise_conv(const Node &node) {
  if (node.is(Op::conv)) return &node;
  if (!node.is(Op::fused) || node.result_count() != 1) return nullptr;
  const Node *conv = nullptr;
  for (const Node *inner : node.body()->nodes()) {
    const bool first = !conv && inner->is(Op::conv);
    const bool pointwise =
        inner->is(Op::elementwise) || inner->is(Op::cast) || inner->is(Op::quantize) || inner->is(Op::dequantize);
    if (first)
      conv = inner;
    else if (!pointwise || !conv || inner->result()->type().shape() != conv->result()->type().shape())
      return nullptr;
  }
  return conv;
}

// The boxes that a convolution is computed by where windows of a dilated filter leave the image; empty: as a whole.
std::vector<Part> parts_of(const Node &node) {
  const Node *conv = pointwise_conv(node);
  return conv ? window_parts(*conv) : std::vector<Part>{};
}

} // namespace

std::vector<std::string> algorithms(const Node &node) {
  std::vector<std::string> list{"direct"};
  if (!node.is(Op::fused)) {
    if (!function_of(node.op()) && !node.is(Op::string_call)) return {};
    if (node.is(Op::conv) && winograd_applies(node, *node.operand(1)))
      list.insert(list.end(), {"winograd2", "winograd4"});
    if (!parts_of(node).empty()) list.emplace_back("parts");
    return list;
  }
  const graph::Region *body = node.body();
  int windows = 0;
  for (const Node *inner : body->nodes()) windows += inner->is(Op::conv) || inner->is(Op::pool);
  if (windows > 1) return list; // a chain that runs in strips
  for (const Node *inner : body->nodes())
    for (size_t i = 0; inner->is(Op::conv) && i < node.operand_count(); ++i)
      if (body->argument(i) == inner->operand(1) && winograd_applies(*inner, *node.operand(i)))
        list.insert(list.end(), {"winograd2", "winograd4"});
  if (!parts_of(node).empty()) list.emplace_back("parts");
  return list;
}

std::vector<PartWork> part_work(const Node &node) {
  std::vector<PartWork> list;
  for (const Part &part : parts_of(node))
    list.push_back({part.points() / part.box[1].second, taps_of(*pointwise_conv(node), part)});
  return list;
}

Result<Lowered> lower(const Node &node, const LowerOptions &options) {
  if (node.is(Op::string_call)) return lower_string_call(node);
  Lowering l(kernel_name(node));
  if (node.is(Op::fused)) {
    const graph::Region *body = node.body();
    for (size_t i = 0; i < node.operand_count(); ++i) {
      if (Problem p = bad_value(node.operand(i))) return unsupported(node, *p);
      l.bind_operand(body->argument(i), node.operand(i), i);
    }
  } else {
    for (size_t i = 0; i < node.operand_count(); ++i)
      if (node.operand(i)) {
        if (Problem p = bad_value(node.operand(i))) return unsupported(node, *p);
        l.bind_operand(node.operand(i), node.operand(i), i);
      }
  }
  if (options.algorithm != "parts") {
    if (std::optional<Refusal> r = lower_results(l, node, options.algorithm)) return unsupported(*r->node, r->why);
    return l.finish(origin_of(node));
  }
  for (const Part &part : parts_of(node)) {
    l.begin_part(part);
    if (std::optional<Refusal> r = lower_results(l, node, options.algorithm)) return unsupported(*r->node, r->why);
  }
  return l.finish(origin_of(node));
}

Result<Lowered> lower_extents(const Node &node) {
  Lowering l("extents_" + kernel_name(node));
  for (size_t i = 0; i < node.operand_count(); ++i)
    if (node.operand(i)) {
      if (Problem p = bad_value(node.operand(i))) return unsupported(node, *p);
      l.bind_operand(node.operand(i), node.operand(i), i);
    }
  if (Problem p = lower_extents(l, node)) return unsupported(node, *p);
  return l.finish(origin_of(node));
}

std::optional<std::string> lowering_problem(const Node &node) {
  const Result<Lowered> result = lower(node);
  if (result.ok()) return {};
  return result.errors()[0].what;
}

} // namespace cameo::ops
