// Computes what depends on constants alone.
//
//   %a = constant f32[2] [1.0, 2.0]          %y = constant f32[2] [-1.0, -2.0]
//   %y = neg %a : f32[2]                =>
//
// Values come from the op's own lowering, so a folded result has the bits that the run would give. A result may be as
// large as fold_bytes_per_tensor or twice its operands; what is left of all of them together, after operands that
// nobody else reads are gone, as fold_bytes_total: a model of a few bytes cannot become a large file. It refuses nodes
// whose checks fail (the run reports them), nodes without a kernel, and what takes too many steps.
#include "cameo/passes/passes.h"

#include "evaluate.h"

#include "cameo/ir/builder.h"

#include <algorithm>

namespace cameo::passes {

namespace {

using namespace graph;

constexpr uint64_t kFuel = 2'000'000'000; ///< of one node; interpreter steps, some seconds

std::optional<int64_t> bytes_of_type(const Type &type) {
  if (!type.is_tensor() || !type.is_ranked()) return std::nullopt;
  const auto shape = type.static_shape();
  if (!shape) return std::nullopt;
  int64_t count = 1;
  for (int64_t d : *shape)
    if (__builtin_mul_overflow(count, d, &count)) return std::nullopt;
  return byte_size(type.dtype(), count);
}

bool foldable(const Node &node) {
  if (!node.has(kPure) || node.is(Op::constant) || node.is(Op::seed) || node.is(Op::random)) return false;
  if (node.region_count() > 0 || node.result_count() == 0) return false;
  if (node.operand_count() == 0 && !node.is(Op::dims) && !node.is(Op::iota)) return false;
  const std::vector<Value *> operands = node.operands();
  return std::all_of(operands.begin(), operands.end(), [](const Value *v) { return !v || v->constant(); });
}

// Erases constants that nothing reads any more and returns their bytes.
int64_t erase_unused(Graph &graph, const std::vector<Value *> &values) {
  int64_t bytes = 0;
  std::vector<Node *> gone;
  for (const Value *v : values)
    if (v && v->uses().empty() && std::find(gone.begin(), gone.end(), v->producer()) == gone.end()) {
      bytes += bytes_of_type(v->type()).value_or(0);
      gone.push_back(v->producer());
    }
  for (Node *node : gone) graph.erase(node);
  return bytes;
}

} // namespace

Result<bool> fold_constants(Graph &graph, const PassOptions &options) {
  bool changed = false;
  int64_t total = 0;
  for (Node *node : Graph::all_nodes(graph.main().body)) {
    const std::vector<Value *> operands = node->operands();
    if (!foldable(*node)) continue;
    int64_t in = 0, out = 0;
    bool known = true;
    for (const Value *v : operands)
      if (v) in += bytes_of_type(v->type()).value_or(0);
    for (const Value *v : node->results()) {
      const auto bytes = bytes_of_type(v->type());
      known = known && bytes;
      out += bytes.value_or(0);
    }
    if (!known || out > std::max(options.fold_bytes_per_tensor, 2 * in) || total + out > options.fold_bytes_total)
      continue;
    const auto results = evaluate(*node, kFuel);
    if (!results) continue;
    total += out;
    Builder builder = Builder::ahead_of(graph, node);
    builder.set_origin(node->origin());
    for (size_t i = 0; i < results->size(); ++i) {
      Value *constant = builder.constant((*results)[i], node->result(i)->name());
      graph.replace(node->result(i), constant);
    }
    graph.erase(node);
    total -= erase_unused(graph, operands);
    changed = true;
  }
  return changed;
}

} // namespace cameo::passes
