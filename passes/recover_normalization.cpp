// Finds layer normalisation and its form without mean in the steps that exporters write.
//
//   %m = reduce %x {axes = [2], fn = mean, keepdims = true}      %y = normalize %x, %g, %b {axes = [2], epsilon =
//   1e-12, kind = layer} %d = sub %x, %m %v = reduce (mul %d, %d) {axes = [2], fn = mean, ...}   => %y = add (mul (div
//   %d, (sqrt (add %v, 1e-12))), %g), %b
//
// The quotient may be a product with a reciprocal, scale and bias may be missing; without %m it is the rms kind. It
// refuses axes that are not the last ones, steps whose value somebody else reads, scales that are larger than a row,
// and dtypes other than f32, f16 and bf16 (half precision is then normalised in f32). It expects canonical nodes:
// pow(x, 2) is mul(x, x), constants stand on the right.
#include "cameo/passes/passes.h"

#include "canonicalize.h"

#include <algorithm>

namespace cameo::passes {

namespace {

using namespace graph;

Node *function(const Value *v, Fn fn) { return v && v->producer() && v->producer()->is(fn) ? v->producer() : nullptr; }

// The mean over the last axes.
Node *mean(const Value *v) {
  Node *node = producer(v, Op::reduce);
  if (!node || node->string("fn") != "mean" || !node->flag("keepdims")) return nullptr;
  const std::vector<int64_t> &axes = node->ints("axes");
  const int64_t rank = node->operand()->type().rank();
  for (size_t i = 0; i < axes.size(); ++i)
    if (axes[i] != rank - static_cast<int64_t>(axes.size()) + static_cast<int64_t>(i)) return nullptr;
  return axes.empty() ? nullptr : node;
}

bool read_by(const Value *v, std::initializer_list<const Node *> readers) {
  return std::all_of(v->uses().begin(), v->uses().end(), [&](const Use &use) {
    return std::find(readers.begin(), readers.end(), use.node) != readers.end();
  });
}

struct Statistics {
  Node *squares = nullptr; ///< mul(d, d)
  Node *variance = nullptr;
  Node *root = nullptr; ///< sqrt
  double epsilon = 0;
};

// v = sqrt(mean(d * d) + epsilon)
std::optional<Statistics> root_of(const Value *v) {
  Statistics s;
  s.root = function(v, Fn::sqrt);
  Node *sum = s.root ? function(s.root->operand(), Fn::add) : nullptr;
  const auto epsilon = sum ? uniform(sum->operand(1)) : std::nullopt;
  s.variance = epsilon ? mean(sum->operand(0)) : nullptr;
  s.squares = s.variance ? function(s.variance->operand(), Fn::mul) : nullptr;
  if (!s.squares || s.squares->operand(0) != s.squares->operand(1) || !(*epsilon >= 0)) return std::nullopt;
  if (!s.root->operand()->has_one_use() || !sum->operand()->has_one_use() || !s.squares->result()->has_one_use())
    return std::nullopt;
  s.epsilon = *epsilon;
  return s;
}

// What d is divided by, and the statistics behind it: div(d, root), mul(d, 1 / root).
std::optional<std::pair<Value *, Statistics>> quotient(const Node *node) {
  if (node->is(Fn::div))
    if (const auto s = root_of(node->operand(1))) {
      if (!node->operand(1)->has_one_use()) return std::nullopt;
      return std::pair(node->operand(0), *s);
    }
  if (!node->is(Fn::mul)) return std::nullopt;
  for (size_t i = 0; i < 2; ++i) {
    const Value *factor = node->operand(i);
    if (!factor->has_one_use()) continue;
    const Node *inverse = function(factor, Fn::reciprocal);
    const Value *root = inverse ? inverse->operand() : nullptr;
    if (!root)
      if (const Node *division = function(factor, Fn::div); division && uniform(division->operand(0)) == 1)
        root = division->operand(1);
    if (!root || !root->has_one_use()) continue;
    if (const auto s = root_of(root)) return std::pair(node->operand(1 - i), *s);
  }
  return std::nullopt;
}

// A function of `fn` that alone reads v, with an operand as large as a row at most: null when there is none.
Node *with_parameter(const Value *v, Fn fn, size_t axes, Value *&parameter) {
  if (!v->has_one_use()) return nullptr;
  Node *node = v->uses()[0].node;
  if (!node->is(fn) || node->result()->type() != v->type()) return nullptr;
  parameter = node->operand(node->operand(0) == v ? 1 : 0);
  const Shape &own = parameter->type().shape(), &shape = v->type().shape();
  if (parameter == v || own.size() > axes || parameter->type().dtype() != v->type().dtype()) return nullptr;
  for (size_t d = 0; d < own.size(); ++d)
    if (own[d] != shape[shape.size() - own.size() + d] && !own[d].is(1)) return nullptr;
  return node;
}

bool recover(Graph &graph, Node *node) {
  const auto found = quotient(node);
  if (!found) return false;
  Value *x = found->first;
  const Statistics &s = found->second;
  if (s.squares->operand() != x || node->result()->type() != x->type()) return false;
  const DType dtype = x->type().dtype();
  if (dtype != DType::f32 && dtype != DType::f16 && dtype != DType::bf16) return false;
  for (const Node *n : {s.squares, s.variance, s.root})
    if (n->has_attribute("compute") && n->dtype("compute") != DType::f32) return false;
  bool centred = false;
  if (const Node *difference = function(x, Fn::sub))
    if (const Node *m = mean(difference->operand(1));
        m && m->operand() == difference->operand(0) && m->ints("axes") == s.variance->ints("axes")) {
      // The mean may be read by nothing but differences, these by nothing but the normalisation.
      if (!read_by(x, {node, s.squares}) || !m->result()->has_one_use()) return false;
      x = difference->operand(0);
      centred = true;
    }
  const std::vector<int64_t> axes = s.variance->ints("axes");
  Node *last = node;
  Value *scale = nullptr, *bias = nullptr;
  if (Node *n = with_parameter(last->result(), Fn::mul, axes.size(), scale)) {
    last = n;
    if (Node *a = with_parameter(last->result(), Fn::add, axes.size(), bias)) last = a;
  }
  if (last == node) scale = nullptr;
  if (last->is(Fn::mul) || last == node) bias = nullptr;
  Attributes attributes = {{"kind", std::string(centred ? "layer" : "rms")}, {"axes", axes}, {"epsilon", s.epsilon}};
  if (dtype != DType::f32) attributes.emplace_back("compute", DType::f32);
  std::vector<Value *> operands = {x};
  if (scale) operands.push_back(scale);
  if (bias) operands.push_back(bias);
  Node *normal = graph.create(InsertPoint::ahead_of(last), Op::normalize, operands, std::move(attributes), {x->type()});
  for (const Node *n : {s.variance, s.root, node, last}) normal->merge_origin(*n);
  const std::string name = last->result()->name();
  graph.replace(last->result(), normal->result());
  if (!name.empty()) normal->result()->set_name(name);
  graph.erase(last);
  return true;
}

} // namespace

Result<bool> recover_normalization(Graph &graph, const PassOptions &) {
  bool changed = false;
  for (Node *node : Graph::all_nodes(graph.main().body))
    if (!node->erased() && node->is(Op::elementwise)) changed |= recover(graph, node);
  return changed;
}

} // namespace cameo::passes
