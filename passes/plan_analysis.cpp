// What the planner knows of a graph before it places anything: the kernel of each node, the last use of each value, the
// borders that readers wish.
#include "planner.h"

#include "choose_algorithm.h"

#include "cameo/ir/print.h"

#include <algorithm>

namespace cameo::passes {

using graph::Dim;
using graph::Node;
using graph::Op;
using graph::Type;
using graph::Value;

uint64_t hash_of(const graph::Graph &graph) {
  uint64_t hash = 0xcbf29ce484222325ull; // FNV-1a
  for (const char c : graph::print(graph)) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return hash;
}

bool has_branches(const Node &node) { return node.is(Op::if_) || node.is(Op::loop); }

void Planner::list_nodes(const graph::Region *region) {
  for (Node *node : region->nodes()) {
    Times &times = times_[static_cast<size_t>(numbers_.of(node))];
    times.begin = times.end = ++now_;
    nodes_.push_back(node);
    if (!has_branches(*node)) continue;
    for (size_t r = 0; r < node->region_count(); ++r) {
      list_nodes(node->body(r));
      yield_times_[node->body(r)->id()] = ++now_;
    }
    times.end = ++now_;
  }
}

void Planner::lower_nodes() {
  times_.resize(static_cast<size_t>(numbers_.node_count()));
  list_nodes(body());
  kernels_.resize(static_cast<size_t>(numbers_.node_count()));
  algorithms_.resize(kernels_.size());
  for (Node *node : nodes_) {
    if (node->is(Op::constant)) continue;
    if (has_branches(*node) || node->is(Op::check)) {
      check_control(*node);
      continue;
    }
    std::string &algorithm = algorithms_[static_cast<size_t>(numbers_.of(node))];
    algorithm = choose_algorithm(*node, target_, options_);
    Result<ops::Lowered> lowered = ops::lower(*node, {algorithm});
    if (lowered.ok())
      kernels_[static_cast<size_t>(numbers_.of(node))] = std::move(*lowered);
    else
      problems_.insert(problems_.end(), lowered.errors().begin(), lowered.errors().end());
  }
}

// Values that cross the edges of a branch or a loop must be tensors with addresses of their own.
void Planner::check_control(const Node &node) {
  std::string where = "node";
  if (!node.origin().empty()) where += " '" + escape_name(node.origin()[0]) + "'";
  auto check = [&](const Value *v) {
    if (!v) return;
    const Type &type = v->type();
    if (type.is_tensor() && type.is_ranked() && type.dtype() != DType::string &&
        kind(type.dtype()) != DTypeKind::complex)
      return;
    problems_.push_back({ExitCode::unsupported, where,
                         std::string(name(node.op())) + " with a value of type " + type.str() + " has no kernel"});
  };
  const size_t before = problems_.size();
  for (const Value *v : node.operands()) check(v);
  for (const Value *v : node.results()) check(v);
  for (size_t r = 0; r < node.region_count(); ++r)
    for (const Value *v : node.body(r)->results()) check(v);
  if (problems_.size() > before + 1) problems_.resize(before + 1); // one for a node
  if (node.is(Op::check) && problems_.size() == before && !node.operand()->type().elements().is(1))
    problems_.push_back({ExitCode::unsupported, where, "a check of several elements has no kernel"});
  if (node.is(Op::loop) && problems_.size() == before)
    for (size_t i = std::max<size_t>(node.operand_count(), 2) - 2; i < node.result_count(); ++i)
      if (bits(node.result(i)->type().dtype()) < 8)
        problems_.push_back(
            {ExitCode::unsupported, where,
             "a loop that stacks slices of " + std::string(name(node.result(i)->type().dtype())) + " has no kernel"});
}

// `time` of a use in region `where`, or when the loops end that repeat it while the value stays the same.
int32_t Planner::use_time(const Value *v, const graph::Region *where, int32_t time) const {
  for (const graph::Region *r = where; r != v->region() && r->parent(); r = r->parent()->region())
    if (r->parent()->is(Op::loop)) time = std::max(time, times(*r->parent()).end);
  return time;
}

// The last time that anyone may read the memory behind each value, through views as well.
void Planner::find_last_uses() {
  last_use_.assign(static_cast<size_t>(numbers_.value_count()), -1);
  auto last = [&](const Value *v) -> int32_t & { return last_use_[static_cast<size_t>(numbers_.of(v))]; };
  for (const Value *v : body()->results()) last(v) = kForever;
  for (const auto *node : nodes_)
    for (size_t r = 0; has_branches(*node) && r < node->region_count(); ++r)
      for (const Value *v : node->body(r)->results())
        last(v) = std::max(last(v), use_time(v, node->body(r), yield_times_.at(node->body(r)->id())));
  for (size_t i = nodes_.size(); i-- > 0;) {
    const Node &node = *nodes_[i];
    int32_t at = times(node).begin;
    if (moves_only(node) || node.is(Op::concat)) at = std::max(at, last(node.result()));
    for (const Value *v : node.operands())
      if (v) last(v) = std::max(last(v), use_time(v, node.region(), at));
  }
}

// The border that readers of each value wish: of those that agree with the first one on what fills it.
void Planner::find_borders() {
  borders_.resize(static_cast<size_t>(numbers_.value_count()));
  if (!options_.halos) return;
  for (Node *node : nodes_) {
    const auto &lowered = kernels_[static_cast<size_t>(numbers_.of(node))];
    if (!lowered || moves_only(*node) || node->is(Op::pad)) continue;
    for (size_t i = 0; i < lowered->arguments.size(); ++i) {
      if (lowered->arguments[i].kind != ops::Argument::Kind::operand) continue;
      const std::optional<Reach> wish = reach(lowered->kernel, static_cast<int32_t>(i));
      if (!wish) continue;
      const Value *v = argument_value(*node, lowered->arguments[i]);
      std::optional<Reach> &border = borders_[static_cast<size_t>(numbers_.of(v))];
      if (!border) border = wish;
      if (border->fill != wish->fill) continue;
      for (size_t d = 0; d < border->halo.size(); ++d) {
        border->halo[d].first = std::max(border->halo[d].first, wish->halo[d].first);
        border->halo[d].second = std::max(border->halo[d].second, wish->halo[d].second);
      }
    }
  }
  // A border pays while it is small, by itself or beside the tensor, and needs strides that are constant.
  constexpr double kLargest = 1.75;
  constexpr double kSmall = 64 << 10; // bytes
  for (int32_t n = 0; n < numbers_.value_count(); ++n) {
    std::optional<Reach> &border = borders_[static_cast<size_t>(n)];
    if (!border) continue;
    const Type &type = numbers_.value(n)->type();
    double inner = 1, outer = 1;
    bool constant = type.layout().blocks.empty() && bits(type.dtype()) >= 8;
    for (size_t d = 0; d < border->halo.size(); ++d) {
      const auto [before, after] = border->halo[d];
      const Dim &extent = type.shape()[d];
      if (!extent.is_constant()) continue;
      inner *= double(extent.value());
      outer *= double(extent.value() + before + after);
    }
    // Symbolic dims may only be outermost in memory.
    const std::vector<int32_t> &order = type.layout().order;
    bool seen = false;
    for (size_t i = 0; i < border->halo.size(); ++i) {
      const size_t d = order.empty() ? i : static_cast<size_t>(order[i]);
      if (type.shape()[d].is_constant())
        seen = true;
      else
        constant = constant && !seen;
    }
    const double more = (outer - inner) * bits(type.dtype()) / 8;
    if (!constant || outer > 4 * inner || (more > kSmall && outer > kLargest * inner)) border.reset();
  }
}

} // namespace cameo::passes
