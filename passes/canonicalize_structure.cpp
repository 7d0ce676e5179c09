// Laws of control flow, sequences, optionals and shapes.
#include "canonicalize.h"

namespace cameo::passes {

namespace {

using namespace graph;

// if(true, a, b) = a; if(false, a, b) = b
bool if_of_constant(Rewriter &rewriter, Node *node) {
  auto condition = known_ints(node->operand());
  if (!condition || condition->size() != 1) return false;
  Region *taken = node->body((*condition)[0] != 0 ? 0 : 1);
  std::vector<Value *> results = taken->results();
  for (Node *inner : taken->nodes()) rewriter.push(inner);
  rewriter.graph().splice(taken, InsertPoint::ahead_of(node));
  rewriter.graph().set_results(taken, {});
  for (size_t i = 0; i < results.size(); ++i) rewriter.replace(node, node->result(i), results[i]);
  rewriter.graph().erase(node);
  return true;
}

// check(true) does nothing
bool check_of_true(Rewriter &rewriter, Node *node) {
  auto condition = known_ints(node->operand());
  if (!condition) return false;
  for (int64_t element : *condition)
    if (element == 0) return false;
  rewriter.graph().erase(node);
  return true;
}

// shape_of(x) = dims(extents of x)
bool shape_of_ranked(Rewriter &rewriter, Node *node) {
  if (!node->operand()->type().is_ranked()) return false;
  rewriter.replace(node, rewriter.builder(node).dims(node->operand()->type().shape()));
  return true;
}

// dims of constants = constant
bool constant_dims(Rewriter &rewriter, Node *node) {
  std::vector<int64_t> values;
  for (const Dim &dim : node->dims("values")) {
    if (!dim.is_constant()) return false;
    values.push_back(dim.value());
  }
  rewriter.replace(node, rewriter.builder(node).ints(std::move(values)));
  return true;
}

// optional_get(optional_make(x)) = x; of what is no optional: optional_get(x) = x
bool get_of_make(Rewriter &rewriter, Node *node) {
  Value *value = node->operand();
  if (value->type().is_optional()) {
    Node *make = producer(value, Op::optional_make);
    if (!make || !make->operand()) return false; // getting nothing is a run-time error
    value = make->operand();
  }
  if (value->type().kind() != node->result()->type().kind()) return false;
  rewriter.replace(node, value);
  return true;
}

// optional_has(optional_make(x)) = true, optional_has(optional_make()) = false; of what is no optional: true
bool has_of_make(Rewriter &rewriter, Node *node) {
  bool has = node->operand() != nullptr;
  if (has && node->operand()->type().is_optional()) {
    Node *make = producer(node->operand(), Op::optional_make);
    if (!make) return false;
    has = make->operand() != nullptr;
  }
  rewriter.replace(node, rewriter.builder(node).constant(ConstantData::scalar_int(DType::boolean, has)));
  return true;
}

// sequence_at(sequence_construct(x0, ..., xn), i) = xi for a constant i in range
bool at_of_construct(Rewriter &rewriter, Node *node) {
  Node *construct = producer(node->operand(), Op::sequence_construct);
  auto position = known_ints(node->operand(1));
  if (!construct || !position || position->size() != 1) return false;
  const auto count = static_cast<int64_t>(construct->operand_count());
  const int64_t i = (*position)[0] < 0 ? (*position)[0] + count : (*position)[0];
  if (i < 0 || i >= count) return false; // a run-time error
  Value *value = construct->operand(static_cast<size_t>(i));
  if (value->type().kind() != node->result()->type().kind()) return false;
  rewriter.replace(node, value);
  return true;
}

// sequence_length(sequence_construct(x0, ..., xn)) = n + 1
bool length_of_construct(Rewriter &rewriter, Node *node) {
  Node *construct = producer(node->operand(), Op::sequence_construct);
  if (!construct) return false;
  const auto count = static_cast<int64_t>(construct->operand_count());
  rewriter.replace(node, rewriter.builder(node).constant(ConstantData::scalar_int(DType::i64, count)));
  return true;
}

constexpr Law kLaws[] = {
    {Op::if_, if_of_constant},          {Op::check, check_of_true},
    {Op::shape_of, shape_of_ranked},    {Op::dims, constant_dims},
    {Op::optional_get, get_of_make},    {Op::optional_has, has_of_make},
    {Op::sequence_at, at_of_construct}, {Op::sequence_length, length_of_construct},
};

} // namespace

std::span<const Law> structural_rules() { return kLaws; }

} // namespace cameo::passes
