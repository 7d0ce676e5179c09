// Laws of elementwise functions, casts, reductions, contractions and convolutions. All are exact in floating point (x +
// 0 is not x for x = -0, so it stays), but for the order of a sum's terms.
#include "canonicalize.h"

#include <algorithm>
#include <cmath>

namespace cameo::passes {

namespace {

using namespace graph;

// f(f(x)) = f(x): abs, sign, floor, ceil, round, relu
bool idempotent(Rewriter &rewriter, Node *node) {
  if (!info(node->fn()).has(kIdempotent)) return false;
  Node *inner = producer(node->operand(), Op::elementwise);
  if (!inner || inner->fn() != node->fn()) return false;
  rewriter.replace(node, node->operand());
  return true;
}

// f(f(x)) = x: neg, logical_not, bitwise_not
bool involution(Rewriter &rewriter, Node *node) {
  if (!info(node->fn()).has(kInvolution)) return false;
  Node *inner = producer(node->operand(), Op::elementwise);
  if (!inner || inner->fn() != node->fn() || inner->operand()->type() != node->result()->type()) return false;
  rewriter.replace(node, inner->operand());
  return true;
}

// f(constant, x) = f(x, constant) for commutative f: constants stand on the right
bool constant_right(Rewriter &rewriter, Node *node) {
  if (!info(node->fn()).has(kCommutative) || !node->operand(0)->is(Op::constant) || node->operand(1)->is(Op::constant))
    return false;
  rewriter.graph().set_operands(node, {node->operand(1), node->operand(0)});
  return true;
}

// x * 1 = x / 1 = pow(x, 1) = x - 0 = x + (-0) = x; of integers also x + 0 = x
bool neutral(Rewriter &rewriter, Node *node) {
  if (node->operand_count() != 2 || node->operand()->type() != node->result()->type()) return false;
  auto value = uniform(node->operand(1));
  if (!value) return false;
  const bool negative_zero = *value == 0 && std::signbit(*value);
  const bool integer = is_integer(node->result()->type().dtype());
  bool same = false;
  switch (node->fn()) {
  case Fn::mul:
  case Fn::div:
  case Fn::pow:
    same = *value == 1;
    break;
  case Fn::sub:
    same = *value == 0 && !negative_zero; // x - (-0) = x + 0
    break;
  case Fn::add:
    same = integer ? *value == 0 : negative_zero;
    break;
  default:
    break;
  }
  if (!same) return false;
  rewriter.replace(node, node->operand());
  return true;
}

// pow(x, 2) = x * x
bool square(Rewriter &rewriter, Node *node) {
  if (!node->is(Fn::pow) || uniform(node->operand(1)) != 2 || node->operand()->type() != node->result()->type() ||
      node->has_attribute("compute"))
    return false;
  rewriter.replace(node, rewriter.builder(node).mul(node->operand(), node->operand()));
  return true;
}

// min(x, x) = max(x, x) = and(x, x) = or(x, x) = x; select(c, x, x) = x
bool of_itself(Rewriter &rewriter, Node *node) {
  const Fn fn = node->fn();
  const bool pair = fn == Fn::min || fn == Fn::max || fn == Fn::logical_and || fn == Fn::logical_or ||
                    fn == Fn::bitwise_and || fn == Fn::bitwise_or;
  const size_t first = fn == Fn::select ? 1 : 0;
  if (!(pair || fn == Fn::select) || node->operand(first) != node->operand(first + 1) ||
      node->operand(first)->type() != node->result()->type())
    return false;
  rewriter.replace(node, node->operand(first));
  return true;
}

// select(not(c), a, b) = select(c, b, a)
bool select_of_not(Rewriter &rewriter, Node *node) {
  if (!node->is(Fn::select)) return false;
  Node *condition = producer(node->operand(), Op::elementwise);
  if (!condition || !condition->is(Fn::logical_not)) return false;
  rewriter.graph().set_operands(node, {condition->operand(), node->operand(2), node->operand(1)});
  return true;
}

// f(broadcast(x), y) = f(x, y) when the operands still broadcast to the same shape: functions broadcast by themselves
bool broadcast_operand(Rewriter &rewriter, Node *node) {
  for (size_t i = 0; i < node->operand_count(); ++i) {
    Node *inner = producer(node->operand(i), Op::broadcast);
    if (!inner || inner->operand_count() > 1 || !inner->operand()->type().is_ranked()) continue;
    Shape shape;
    bool broadcasts = true;
    for (size_t j = 0; j < node->operand_count() && broadcasts; ++j) {
      const Value *operand = j == i ? inner->operand() : node->operand(j);
      auto joined = broadcast_shapes(shape, operand->type().shape());
      broadcasts = joined.has_value();
      if (joined) shape = std::move(*joined);
    }
    if (!broadcasts || shape != node->result()->type().shape()) continue;
    rewriter.graph().set_operand(node, i, inner->operand());
    return true;
  }
  return false;
}

// Whether every value of `from` is one of `to`, so that casting there and on loses nothing.
bool widens(DType from, DType to) {
  if (from == to) return true;
  if (is_integer(from) && is_integer(to))
    return kind(from) == kind(to) ? bits(from) < bits(to)
                                  : kind(from) == DTypeKind::unsigned_integer && bits(from) < bits(to);
  if (is_float(from) && is_float(to)) {
    if (from == DType::f8e8m0) return to == DType::f32 || to == DType::f64 || to == DType::bf16;
    const bool small = bits(from) < 16; // every other 8- and 4-bit float fits f16, bf16 too
    return (bits(to) > bits(from) && bits(to) >= 32) || (small && bits(to) == 16);
  }
  return is_integer(from) && ((to == DType::f32 && bits(from) <= 16) || (to == DType::f64 && bits(from) <= 32));
}

// cast to the dtype that is there = x
bool cast_identity(Rewriter &rewriter, Node *node) {
  if (node->operand()->type() != node->result()->type()) return false;
  rewriter.replace(node, node->operand());
  return true;
}

// cast(cast(x, b), c) = cast(x, c) when b holds every value of x's dtype
bool cast_of_cast(Rewriter &rewriter, Node *node) {
  Node *inner = producer(node->operand(), Op::cast);
  if (!inner) return false;
  const DType from = inner->operand()->type().dtype(), via = inner->result()->type().dtype(),
              to = node->result()->type().dtype();
  const bool numbers = (is_integer(to) || is_float(to)) && (is_integer(from) || is_float(from));
  if (!numbers || !widens(from, via)) return false;
  // From integers, saturation acts otherwise than from floats: only within one kind, or where nothing saturates.
  if (is_float(from) != is_float(via) && !widens(from, to)) return false;
  rewriter.graph().set_operand(node, 0, inner->operand());
  node->merge_origin(*inner);
  return true;
}

// A reduction over nothing, or over extents of 1, moves elements: sum, mean, product, max, min
bool reduce_nothing(Rewriter &rewriter, Node *node) {
  const std::string &fn = node->string("fn");
  if (fn != "sum" && fn != "mean" && fn != "product" && fn != "max" && fn != "min") return false;
  for (int64_t axis : node->ints("axes"))
    if (!node->operand()->type().dim(static_cast<int>(axis)).is(1)) return false;
  rewriter.replace(node, rewriter.builder(node).reshape(node->operand(), node->result()->type().shape()));
  return true;
}

// contract(transpose(a, p), b) = contract(a, b) with a's labels moved: axis p[i] of a has label i
bool contract_of_transpose(Rewriter &rewriter, Node *node) {
  const std::string &equation = node->string("equation");
  const size_t arrow = equation.find("->"), comma = equation.find(',');
  if (arrow == std::string::npos || node->operand(2) || node->operand(3)) return false;
  for (size_t i = 0; i < 2; ++i) {
    Node *inner = producer(node->operand(i), Op::transpose);
    if (!inner) continue;
    const size_t begin = i == 0 ? 0 : comma + 1, end = i == 0 && comma != std::string::npos ? comma : arrow;
    const std::vector<int64_t> &perm = inner->ints("perm");
    if (end - begin != perm.size()) return false;
    std::string moved = equation;
    for (size_t axis = 0; axis < perm.size(); ++axis)
      moved[begin + static_cast<size_t>(perm[axis])] = equation[begin + axis];
    node->set("equation", std::move(moved));
    rewriter.graph().set_operand(node, i, inner->operand());
    node->merge_origin(*inner);
    return true;
  }
  return false;
}

// transpose(contract(a, b), p) = contract(a, b) with the result's labels moved, when nothing else uses the product
bool transpose_of_contract(Rewriter &rewriter, Node *node) {
  Node *inner = producer(node->operand(), Op::contract);
  if (!inner || !node->operand()->has_one_use()) return false;
  std::string equation = inner->string("equation");
  const size_t arrow = equation.find("->");
  const std::vector<int64_t> &perm = node->ints("perm");
  if (arrow == std::string::npos || equation.size() - arrow - 2 != perm.size()) return false;
  const std::string labels = equation.substr(arrow + 2);
  for (size_t i = 0; i < perm.size(); ++i) equation[arrow + 2 + i] = labels[static_cast<size_t>(perm[i])];
  Attributes attributes = inner->attributes();
  for (auto &[name, value] : attributes)
    if (name == "equation") value = equation;
  Value *value =
      rewriter.builder(node).value(Op::contract, inner->operands(), std::move(attributes), node->result()->type());
  value->producer()->merge_origin(*inner);
  rewriter.replace(node, value);
  return true;
}

// conv_transpose(x, w, bias) = slice(contract(x, w)) + bias for x of one pixel, which each tap moves to a place of its
// own
bool conv_transpose_of_pixel(Rewriter &rewriter, Node *node) {
  const Value *x = node->operand(0), *bias = node->operand(2);
  const std::optional<std::vector<int64_t>> w = node->operand(1)->type().static_shape();
  const Shape &ys = node->result()->type().shape();
  const size_t rank = ys.size();
  if (!w || node->integer("group") != 1 || node->result()->type().dtype() != x->type().dtype()) return false;
  const std::vector<Dim> &pads = node->dims("pads");
  for (size_t d = 2; d < rank; ++d) {
    const Dim &low = pads[d - 2];
    if (!x->type().dim(d).is(1) || node->ints("dilations")[d - 2] != 1 || !low.is_constant() || low.value() < 0 ||
        !ys[d].is_constant() || low.value() + ys[d].value() > (*w)[d])
      return false;
  }
  Builder b = rewriter.builder(node);
  const int64_t channels = (*w)[0], results = product(Shape(w->begin() + 1, w->end())).value();
  Attributes attributes;
  if (node->has_attribute("compute")) attributes.push_back({"compute", node->dtype("compute")});
  attributes.push_back({"equation", std::string("nc,cz->nz")});
  Value *y = b.value(Op::contract,
                     {b.reshape(node->operand(0), {ys[0], channels}), b.reshape(node->operand(1), {channels, results})},
                     std::move(attributes), Type::tensor(x->type().dtype(), {ys[0], results}));
  Shape shape(w->begin(), w->end());
  shape[0] = ys[0];
  y = b.reshape(y, shape);
  std::vector<int64_t> axes;
  std::vector<Dim> starts;
  for (size_t d = 2; d < rank; ++d) {
    if (ys[d].is((*w)[d])) continue;
    axes.push_back(static_cast<int64_t>(d));
    starts.push_back(pads[d - 2]);
    shape[d] = ys[d];
  }
  if (!axes.empty()) {
    const std::vector<int64_t> steps(axes.size(), 1);
    y = b.value(Op::slice, {y}, {{"axes", axes}, {"starts", starts}, {"steps", steps}},
                Type::tensor(x->type().dtype(), shape));
  }
  if (bias) {
    Shape column(rank - 1, 1);
    column[0] = ys[1];
    y = b.add(y, b.reshape(node->operand(2), column));
  }
  rewriter.replace(node, y);
  return true;
}

constexpr Law kLaws[] = {
    {Op::elementwise, idempotent},
    {Op::elementwise, involution},
    {Op::elementwise, constant_right},
    {Op::elementwise, neutral},
    {Op::elementwise, square},
    {Op::elementwise, of_itself},
    {Op::elementwise, select_of_not},
    {Op::elementwise, broadcast_operand},
    {Op::cast, cast_identity},
    {Op::cast, cast_of_cast},
    {Op::reduce, reduce_nothing},
    {Op::contract, contract_of_transpose},
    {Op::transpose, transpose_of_contract},
    {Op::conv_transpose, conv_transpose_of_pixel},
};

} // namespace

std::span<const Law> arithmetic_rules() { return kLaws; }

} // namespace cameo::passes
