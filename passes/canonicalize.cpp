// Rewrites nodes by local laws until none applies: what says nothing goes, compositions become one node, and of several
// ways to say a thing one remains, so that the passes behind have fewer forms to know.
//
//   %b = transpose %a {perm = [1, 0]}      %c = relu %a
//   %c = transpose %b {perm = [1, 0]}
//   %d = relu %c
//
// Each rule carries its law. All are exact, bit for bit, but for the payload of NaN. Rules look at a node and at what
// produces its operands, never further. Replaced nodes leave their producers unused: dead_code drops them. Refuses:
// values with a layout (laws hold for row-major tensors), and at stage imported graphs with tensors whose rank nobody
// knows (the user's fault).
#include "canonicalize.h"

#include "cameo/passes/passes.h"

#include <algorithm>

namespace cameo::passes {

using namespace graph;

Builder Rewriter::builder(Node *node) {
  Builder builder = Builder::ahead_of(graph_, node);
  builder.set_origin(node->origin());
  return builder;
}

void Rewriter::push(Node *node) {
  if (!node->is(Op::yield) && queued_.insert(node).second) work_.push_back(node);
}

Node *Rewriter::pop() {
  if (work_.empty()) return nullptr;
  Node *node = work_.front();
  work_.pop_front();
  queued_.erase(node);
  return node;
}

void Rewriter::touch(Node *node) {
  push(node);
  for (const Value *result : node->results())
    for (Node *user : result->users()) push(user);
}

void Rewriter::refine(const Node *node, const Type &before, const Type &now) {
  if (before.is_tensor() && before.is_ranked() && now.is_ranked() && before.rank() == now.rank()) {
    for (int i = 0; i < before.rank(); ++i) {
      const Dim &symbol = before.dim(i);
      if (symbol == now.dim(i) || !symbol.is_runtime()) continue;
      auto definer = definers_.find(symbol.symbol_key());
      bool mentions_itself = false;
      now.dim(i).for_each_symbol([&](const std::string &key) { mentions_itself |= key == symbol.symbol_key(); });
      if (definer != definers_.end() && definer->second == node && !mentions_itself)
        symbols_.emplace(symbol.symbol_key(), now.dim(i));
    }
  } else if (before.kind() == now.kind() && (before.is_sequence() || before.is_optional())) {
    refine(node, before.element(), now.element());
  }
}

bool Rewriter::apply_symbols() {
  if (symbols_.empty()) return false;
  // A symbol may stand for an expression over symbols that are replaced as well.
  auto lookup = [&](const std::string &key) -> std::optional<Dim> {
    auto it = symbols_.find(key);
    return it == symbols_.end() ? std::nullopt : std::optional(it->second);
  };
  for (size_t round = 0; round < symbols_.size() && round < 64; ++round) {
    bool changed = false;
    for (auto &[key, value] : symbols_) {
      Dim next = value.substitute(lookup);
      changed |= next != value;
      value = std::move(next);
    }
    if (!changed) break;
  }
  Status status = graph_.substitute(symbols_);
  CAMEO_CHECK(status.ok(), "refining symbols: " + to_string(status.errors()[0]));
  symbols_.clear();
  definers_ = graph_.runtime_definers();
  return true;
}

void Rewriter::replace(Node *node, Value *result, Value *value) {
  refine(node, result->type(), value->type());
  const Type &before = result->type(), &now = value->type();
  bool same = before == now;
  if (!same && before.is_ranked() && now.is_ranked() && before.rank() == now.rank()) {
    // Extents that the symbols noted above make equal are equal.
    same = before == now.with_shape(before.shape());
    for (int i = 0; i < before.rank() && same; ++i) {
      const Dim &dim = before.dim(i);
      auto noted = dim.is_runtime() ? symbols_.find(dim.symbol_key()) : symbols_.end();
      same = dim == now.dim(i) || (noted != symbols_.end() && noted->second == now.dim(i));
    }
    if (!same) value = builder(node).value(Op::reshape, {value}, {}, before.with_dtype(now.dtype()));
  }
  for (Node *user : result->users()) push(user);
  if (value->producer()) push(value->producer());
  graph_.replace(result, value);
}

void Rewriter::replace(Node *node, Value *value) {
  replace(node, node->result(), value);
  graph_.erase(node);
}

std::optional<std::vector<int64_t>> known_ints(const Value *value) {
  const ConstantData *data = value ? value->constant() : nullptr;
  if (!data || !data->available() || data->count() > 1024) return std::nullopt;
  if (!is_integer(data->dtype()) && data->dtype() != DType::boolean) return std::nullopt;
  return data->as_ints();
}

std::optional<double> uniform(const Value *value) {
  const ConstantData *data = value ? value->constant() : nullptr;
  if (!data || !data->available() || data->count() == 0 || data->count() > 4096) return std::nullopt;
  if (!is_integer(data->dtype()) && !is_float(data->dtype())) return std::nullopt;
  for (int64_t i = 1; i < data->count(); ++i)
    if (data->bits_at(i) != data->bits_at(0)) return std::nullopt;
  const double first = data->as_double(0);
  return first == first ? std::optional(first) : std::nullopt;
}

namespace {

bool row_major(const Node &node) {
  auto plain = [](const Value *value) {
    return !value || !value->type().is_ranked() || value->type().layout().is_row_major();
  };
  for (const Value *operand : node.operands())
    if (!plain(operand)) return false;
  for (const Value *result : node.results())
    if (!plain(result)) return false;
  return true;
}

// Applies the rules of the node's op until none does. New nodes are looked at as operands of their users.
bool rewrite(Rewriter &rewriter, const std::vector<std::vector<Law>> &rules, Node *node) {
  bool changed = false;
  for (bool again = true; again && !node->erased();) {
    again = false;
    if (!row_major(*node)) break;
    for (const Law &rule : rules[static_cast<size_t>(node->op())]) {
      again = rule.apply(rewriter, node);
      changed |= again;
      if (again) break;
    }
    if (again && !node->erased()) rewriter.touch(node);
  }
  return changed;
}

Diagnostics unknown_ranks(const Graph &graph) {
  Diagnostics problems;
  auto look = [&](const Value *value, const Node *node) {
    if (!value->type().is_tensor() || value->type().is_ranked() || problems.size() == 20) return;
    std::string where = node && !node->origin().empty() ? "node '" + escape_name(node->origin()[0]) + "'" : "graph";
    problems.push_back(
        {ExitCode::unsupported, where, "the rank of '" + escape_name(value->name()) + "' is known only while running"});
  };
  for (const Function &function : graph.functions()) {
    for (const Value *argument : function.body->arguments()) look(argument, nullptr);
    for (const Node *node : Graph::all_nodes(function.body)) {
      for (const Value *result : node->results()) look(result, node);
      for (size_t i = 0; i < node->region_count(); ++i)
        for (const Value *argument : node->body(i)->arguments()) look(argument, node);
    }
  }
  return problems;
}

} // namespace

Result<bool> canonicalize(Graph &graph, const PassOptions &) {
  std::vector<std::vector<Law>> rules(256);
  for (auto table : {movement_rules(), arithmetic_rules(), structural_rules()})
    for (const Law &rule : table) rules[static_cast<size_t>(rule.op)].push_back(rule);
  Rewriter rewriter(graph);
  bool changed = false;
  do {
    for (const Function &function : graph.functions())
      for (Node *node : Graph::all_nodes(function.body)) rewriter.push(node);
    while (Node *node = rewriter.pop())
      if (!node->erased()) changed |= rewrite(rewriter, rules, node);
  } while (rewriter.apply_symbols()); // extents that became known let more rules apply
  if (changed) graph.prune_symbols(); // a branch that is never taken may have defined some
  if (graph.stage() == Stage::imported)
    if (Diagnostics problems = unknown_ranks(graph); !problems.empty()) return problems;
  return changed;
}

} // namespace cameo::passes
