// Moves quantised tensors instead of the reals that they stand for.
//
//   %a = dequantize %x, %s, %z               %b = transpose %x : u8
//   %b = transpose %a : f32             =>   %c = dequantize %b, %s, %z
//   %c = quantize %b, %s, %z                 then %c = %b
//
// Laws, for one scale s > 0 and zero point z of the tensor and a move M (reshape, transpose, slice, gather, largest of
// a window, ...):
//   M(dequantize(x, s, z)) = dequantize(M(x), s, z)
//   quantize(concat(a, b), s, z) = concat(quantize(a, s, z), quantize(b, s, z))     where a, b are dequantised
//   quantize(dequantize(x, s, z), s, z) = x                                         tried on every x
// It refuses scales per axis and per block, which a move would have to follow, and tensors of more than 8 bits.
#include "cameo/passes/passes.h"

#include "quantized.h"

#include "cameo/ir/builder.h"

#include <algorithm>
#include <cmath>

namespace cameo::passes {

namespace {

using namespace graph;

// Whether the node only moves elements of operand 0, or picks the largest ones.
bool moves(const Node &node) {
  switch (node.op()) {
  case Op::reshape:
  case Op::transpose:
  case Op::slice:
  case Op::broadcast:
  case Op::gather:
  case Op::gather_nd:
  case Op::gather_elements:
    return true;
  case Op::pool:
    return node.string("fn") == "max" && node.result_count() == 1;
  case Op::resize:
    return node.string("mode") == "nearest" && !node.has_attribute("extrapolation");
  default:
    return false;
  }
}

Value *same_dequantize(Graph &graph, Node *at, const Node &dequantize, Value *x) {
  std::vector<Value *> operands = dequantize.operands();
  operands[0] = x;
  Node *node = graph.create(InsertPoint::ahead_of(at), Op::dequantize, std::move(operands), dequantize.attributes(),
                            {x->type().with_dtype(DType::f32)}, dequantize.origin());
  return node->result();
}

// The move of x instead of that of dequantize(x).
bool move_integers(Graph &graph, Node *node) {
  const bool concat = node->is(Op::concat);
  if (!concat && !moves(*node)) return false;
  const auto first = dequantized(node->operand());
  if (!first) return false;
  std::vector<Value *> operands = node->operands();
  for (size_t i = 0; i < (concat ? operands.size() : 1); ++i) {
    const auto part = dequantized(operands[i]);
    if (!part || part->by != first->by || part->x->type().dtype() != first->x->type().dtype()) return false;
    operands[i] = part->x;
  }
  const Node &dequantize = *node->operand()->producer();
  Node *moved = graph.create(InsertPoint::ahead_of(node), node->op(), std::move(operands), node->attributes(),
                             {node->result()->type().with_dtype(first->x->type().dtype())}, node->origin());
  graph.replace(node->result(), same_dequantize(graph, node, dequantize, moved->result()));
  graph.erase(node);
  return true;
}

// The concatenation of integers where one of reals is quantised.
bool quantize_parts(Graph &graph, Node *quantize) {
  Value *whole = quantize->operand();
  Node *concat = whole->producer();
  if (!concat || !concat->is(Op::concat) || !whole->has_one_use() || !per_tensor(*quantize)) return false;
  std::vector<Value *> parts = concat->operands();
  if (!std::all_of(parts.begin(), parts.end(), [](const Value *v) { return dequantized(v).has_value(); })) return false;
  const DType dtype = quantize->result()->type().dtype();
  for (Value *&part : parts) {
    std::vector<Value *> operands = quantize->operands();
    operands[0] = part;
    part = graph
               .create(InsertPoint::ahead_of(quantize), Op::quantize, std::move(operands), quantize->attributes(),
                       {part->type().with_dtype(dtype)}, quantize->origin())
               ->result();
  }
  Node *joined = graph.create(InsertPoint::ahead_of(quantize), Op::concat, std::move(parts), concat->attributes(),
                              {quantize->result()->type()}, concat->origin());
  graph.replace(quantize->result(), joined->result());
  graph.erase(quantize);
  graph.erase(concat);
  return true;
}

// quantize(dequantize(x)) in f32, as the lowering of both computes it.
bool gives_back(int64_t x, const PerTensor &by, DType dtype) {
  const float real = static_cast<float>(x - by.zero) * by.scale;
  const float q = std::nearbyint(real / by.scale) + static_cast<float>(by.zero);
  const float low = dtype == DType::i8 ? -128 : 0;
  return std::clamp(q, low, low + 255) == static_cast<float>(x);
}

bool drop_round_trip(Graph &graph, Node *quantize) {
  const auto inner = dequantized(quantize->operand());
  const auto outer = per_tensor(*quantize);
  if (!inner || !outer || inner->by != *outer || quantize->has_attribute("compute")) return false;
  const DType dtype = quantize->result()->type().dtype();
  if (inner->x->type().dtype() != dtype) return false;
  const int64_t low = dtype == DType::i8 ? -128 : 0;
  for (int64_t x = low; x < low + 256; ++x)
    if (!gives_back(x, *outer, dtype)) return false;
  graph.replace(quantize->result(), inner->x);
  graph.erase(quantize);
  return true;
}

} // namespace

Result<bool> move_quantized(Graph &graph, const PassOptions &) {
  bool changed = false;
  // A rule makes work for others in front of it (parts) or behind it (moves): until nothing changes.
  for (bool again = true; again; changed |= again) {
    again = false;
    for (Node *node : Graph::all_nodes(graph.main().body)) {
      if (node->erased()) continue;
      if (node->is(Op::quantize))
        again |= drop_round_trip(graph, node) || quantize_parts(graph, node);
      else
        again |= move_integers(graph, node);
    }
  }
  return changed;
}

} // namespace cameo::passes
