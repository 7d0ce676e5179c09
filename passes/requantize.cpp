// Quantises integer sums with one multiplication.
//
//   %f = cast %sums : f32                    %f = cast %sums : f32
//   %y = mul %f, 0.05                  =>    %y = mul %f, 0.2
//   %r = relu %y                             %q = quantize %y, 1.0, 0
//   %q = quantize %r, 0.25, 0
//
// Laws, for a scale s > 0:
//   quantize(x * m + b, s, z) = quantize(x * (m / s) + b / s, 1, z)       sums are integers, so only a quotient next to
//   a tie may turn relu(x) / s = relu(x / s),  clip(x, l, h) / s = clip(x / s, l / s, h / s),  leaky_relu(x) / s =
//   leaky_relu(x / s) quantize(relu(x), s, z) = quantize(x, s, z)                           where z is the least
//   integer
// It refuses values on the way that others need, and functions that do not scale.
#include "cameo/passes/passes.h"

#include "quantized.h"

#include "cameo/ir/builder.h"

#include <algorithm>

namespace cameo::passes {

namespace {

using namespace graph;

/// An operand of a node on the way that is multiplied with 1 / s.
struct Factor {
  Node *node;
  size_t operand;
};

const ConstantData *reals(const Value *v) {
  const ConstantData *c = data_of(v);
  return c && c->dtype() == DType::f32 ? c : nullptr;
}

// From what is quantised down to the product with the sums; nullopt where the chain does not scale.
std::optional<std::vector<Factor>> chain_of(Value *v) {
  std::vector<Factor> factors;
  while (v->has_one_use() && v->type().dtype() == DType::f32) {
    Node *node = v->producer();
    if (!node || !node->is(Op::elementwise) || node->has_attribute("compute")) return std::nullopt;
    switch (node->fn()) {
    case Fn::relu:
    case Fn::leaky_relu:
      break;
    case Fn::clip:
      if (!reals(node->operand(1)) || !reals(node->operand(2))) return std::nullopt;
      factors.push_back({node, 1});
      factors.push_back({node, 2});
      break;
    case Fn::add:
      if (node->operand_count() != 2 || !reals(node->operand(1))) return std::nullopt;
      factors.push_back({node, 1});
      break;
    case Fn::mul: {
      if (node->operand_count() != 2 || !reals(node->operand(1))) return std::nullopt;
      const Node *cast = node->operand()->producer();
      if (!cast || !cast->is(Op::cast) || cast->operand()->type().dtype() != DType::i32) return std::nullopt;
      factors.push_back({node, 1});
      return factors;
    }
    default:
      return std::nullopt;
    }
    v = node->operand();
  }
  return std::nullopt;
}

Constant divided(const ConstantData &c, float by) {
  std::vector<double> list;
  for (int64_t i = 0; i < c.count(); ++i) list.push_back(c.as_double(i) / by);
  return ConstantData::of_rounded(DType::f32, c.dims(), list);
}

bool drop_relu(Graph &graph, Node *quantize, int64_t zero) {
  Node *relu = quantize->operand()->producer();
  const DType dtype = quantize->result()->type().dtype();
  if (!relu || !relu->is(Fn::relu) || zero != (dtype == DType::i8 ? -128 : 0)) return false;
  graph.set_operand(quantize, 0, relu->operand());
  if (relu->result()->unused()) graph.erase(relu);
  return true;
}

bool fold_scale(Graph &graph, Node *quantize, float scale) {
  if (scale == 1 || quantize->has_attribute("compute")) return false;
  const auto factors = chain_of(quantize->operand());
  if (!factors) return false;
  Builder builder = Builder::ahead_of(graph, quantize);
  graph.set_operand(quantize, 1, builder.scalar(DType::f32, 1));
  for (const Factor &f : *factors) {
    builder.set_point(InsertPoint::ahead_of(f.node));
    graph.set_operand(f.node, f.operand, builder.constant(divided(*reals(f.node->operand(f.operand)), scale)));
  }
  return true;
}

} // namespace

Result<bool> requantize(Graph &graph, const PassOptions &) {
  bool changed = false;
  for (Node *node : Graph::all_nodes(graph.main().body)) {
    if (node->erased() || !node->is(Op::quantize) || !is_byte(node->result()->type().dtype())) continue;
    const auto by = per_tensor(*node);
    if (!by || node->operand()->type().dtype() != DType::f32) continue;
    while (drop_relu(graph, node, by->zero)) changed = true;
    changed |= fold_scale(graph, node, by->scale);
  }
  return changed;
}

} // namespace cameo::passes
