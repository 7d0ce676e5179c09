// Orders the nodes of the model so that less memory lives at once.
//
//   %a = conv %x ...                 %a = conv %x ...
//   %b = conv %x ...                 %c = pool %a ...
//   %c = pool %a ...          =>     %b = conv %x ...
//   %d = pool %b ...                 %d = pool %b ...
//   %y = add %c, %d                  %y = add %c, %d
//
// Files list nodes in any order that computes operands first; exporters often walk a network breadth first, so that
// branches wait for each other half done. Two other orders are looked at, both depth first from the results: each
// node right behind what it reads, the first or the last operand first. The order of the file stays unless another
// one needs clearly less (live_peak of lifetimes.h, with the parts of concatenations apart or in place, whichever is
// less: the planner finds out which).
//
// It refuses models with control flow, checks or extents that only the run knows: there the order has a meaning.
#include "cameo/passes/passes.h"

#include "lifetimes.h"
#include "planner.h"

#include <algorithm>
#include <unordered_set>

namespace cameo::passes {

namespace {

using namespace graph;

constexpr double kClearly = 0.95;

bool may_reorder(const Region &region) {
  for (const Node *node : region.nodes()) {
    if (has_branches(*node) || node->result_count() == 0) return false;
    for (const Value *v : node->results())
      if (!v->type().is_tensor() || !v->type().is_ranked() || is_runtime(v->type())) return false;
  }
  return true;
}

// What the planner hosts when it can.
Hosts hosts_of(const Region &region) {
  Hosts hosts;
  for (const Node *node : region.nodes()) {
    if (!node->is(Op::concat)) continue;
    for (const Value *v : node->operands())
      if (const Node *producer = v->producer();
          producer && !producer->is(Op::constant) && !producer->is(Op::concat) && !moves_only(*producer))
        hosts.emplace(v, node->result());
  }
  return hosts;
}

int64_t memory(const Region &region, const std::vector<Node *> &order, const Hosts &hosts) {
  return std::min(live_peak(region, order, {}).bytes, live_peak(region, order, hosts).bytes);
}

// Operands first, depth first from the results; without recursion, since networks are deep.
std::vector<Node *> depth_first(const Region &region, bool last_operand_first) {
  std::vector<Node *> order;
  std::unordered_set<const Node *> seen; // looked up, never iterated
  struct Visit {
    Node *node;
    size_t next = 0;
  };
  std::vector<Visit> stack;
  auto enter = [&](const Value *v) {
    Node *producer = v ? v->producer() : nullptr;
    if (producer && producer->region() == &region && seen.insert(producer).second) stack.push_back({producer});
  };
  for (const Value *result : region.results()) {
    enter(result);
    while (!stack.empty()) {
      Visit &top = stack.back();
      const size_t count = top.node->operand_count();
      if (top.next < count) {
        const size_t i = top.next++;
        enter(top.node->operand(last_operand_first ? count - 1 - i : i)); // may move `top`
        continue;
      }
      order.push_back(top.node);
      stack.pop_back();
    }
  }
  return order;
}

} // namespace

Result<bool> order_nodes(Graph &graph, const PassOptions &) {
  Region *region = graph.main().body;
  if (!may_reorder(*region)) return false;
  const Hosts hosts = hosts_of(*region);
  const std::vector<Node *> before = region->node_list();
  std::vector<Node *> best = before;
  double least = kClearly * double(memory(*region, before, hosts));
  for (const bool last_first : {false, true}) {
    std::vector<Node *> order = depth_first(*region, last_first);
    if (order.size() != before.size()) return false; // dead nodes: someone else's business
    if (const double bytes = double(memory(*region, order, hosts)); bytes < least) {
      least = bytes;
      best = std::move(order);
    }
  }
  if (best == before) return false;
  for (Node *node : best) graph.move(node, InsertPoint::end(region));
  return true;
}

} // namespace cameo::passes
