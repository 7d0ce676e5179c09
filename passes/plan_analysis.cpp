// What the planner knows of a graph before it places anything: the kernel of each node, the last use of each value, the borders that
// readers wish.
#include "planner.h"

#include "cameo/ir/print.h"

#include <algorithm>

namespace cameo::passes {

using graph::Dim;
using graph::Node;
using graph::Op;
using graph::Type;
using graph::Value;

bool moves_only(const Node &node) {
  switch (node.op()) {
  case Op::reshape:
  case Op::transpose:
  case Op::slice:
  case Op::broadcast:
  case Op::bitcast:
  case Op::relayout:
    return true;
  default:
    return false;
  }
}

uint64_t hash_of(const graph::Graph &graph) {
  uint64_t hash = 0xcbf29ce484222325ull; // FNV-1a
  for (const char c : graph::print(graph)) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return hash;
}

void Planner::lower_nodes() {
  kernels_.resize(static_cast<size_t>(numbers_.node_count()));
  for (Node *node : body()->nodes()) {
    if (node->is(Op::constant)) continue;
    Result<ops::Lowered> lowered = ops::lower(*node);
    if (lowered.ok())
      kernels_[static_cast<size_t>(numbers_.of(node))] = std::move(*lowered);
    else
      problems_.insert(problems_.end(), lowered.errors().begin(), lowered.errors().end());
  }
}

// The last node that may read the memory behind each value, through views as well.
void Planner::find_last_uses() {
  last_use_.assign(static_cast<size_t>(numbers_.value_count()), -1);
  for (const Value *v : body()->results()) last_use_[static_cast<size_t>(numbers_.of(v))] = kForever;
  std::vector<Node *> nodes = body()->node_list();
  for (size_t i = nodes.size(); i-- > 0;) {
    const Node &node = *nodes[i];
    int32_t at = numbers_.of(&node);
    if (moves_only(node) || node.is(Op::concat))
      at = std::max(at, last_use_[static_cast<size_t>(numbers_.of(node.result()))]);
    for (const Value *v : node.operands())
      if (v)
        last_use_[static_cast<size_t>(numbers_.of(v))] = std::max(last_use_[static_cast<size_t>(numbers_.of(v))], at);
  }
}

// The border that readers of each value wish: of those that agree with the first one on what fills it.
void Planner::find_borders() {
  borders_.resize(static_cast<size_t>(numbers_.value_count()));
  if (!options_.halos) return;
  for (Node *node : body()->nodes()) {
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
  // A border pays while it is small beside the tensor, and needs strides that are constant.
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
    if (!constant || outer > 4 * inner) border.reset();
  }
}

} // namespace cameo::passes
