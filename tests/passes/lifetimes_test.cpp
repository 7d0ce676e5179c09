// The peak that is kept while parts leave their hosts is the one that is computed anew, for work that grows with what
// leaves.
#include "../../passes/lifetimes.h"

#include "cameo/ir/print.h"

#include <gtest/gtest.h>

namespace cameo::passes {
namespace {

using graph::Node;
using graph::Op;
using graph::Value;

// Halves of n concatenations that are put aside on the way down and joined on the way up.
graph::Graph skips(int n) {
  std::string text = "graph @g stage canonical {\n main(%x: f32[8]) {\n %a0 = relu %x : f32[8]\n";
  for (int i = 1; i < n; ++i) text += " %a" + std::to_string(i) + " = relu %a" + std::to_string(i - 1) + " : f32[8]\n";
  std::string last = "%x";
  for (int i = n; i-- > 0;) {
    const std::string k = std::to_string(i);
    text += " %b" + k + " = neg " + last + " : f32[8]\n";
    text += " %c" + k + " = concat %a" + k + ", %b" + k + " {axis = 0} : f32[16]\n";
    text += " %d" + k + " = relu %c" + k + " : f32[16]\n";
    text += " %e" + k + " = slice %d" + k + " {axes = [0], starts = [4], steps = [1]} : f32[8]\n";
    last = "%e" + k;
  }
  text += " %y = neg " + last + " : f32[8]\n yield %y as \"y\"\n }\n}\n";
  Result<graph::Graph> g = graph::parse(text, "skips");
  EXPECT_TRUE(g.ok()) << (g.ok() ? "" : to_string(g.errors()[0]));
  return std::move(*g);
}

struct Case {
  explicit Case(int n) : graph(skips(n)), body(graph.main().body), order(body->node_list()) {
    for (const Node *node : order)
      if (node->is(Op::concat))
        for (const Value *v : node->operands()) hosts.emplace(v, node->result());
    for (const Node *node : order)
      if (node->is(Op::concat)) parts.push_back(node->operand(0));
  }
  graph::Graph graph;
  const graph::Region *body;
  std::vector<Node *> order;
  Hosts hosts;
  std::vector<const Value *> parts; // the early ones
};

TEST(PeakOfHosts, IsWhatLivePeakSays) {
  Case c(9);
  PeakOfHosts live(*c.body, c.order, c.hosts);
  for (const Value *part : c.parts) {
    const Peak expected = live_peak(*c.body, c.order, c.hosts), got = live.peak();
    EXPECT_EQ(got.bytes, expected.bytes);
    EXPECT_EQ(got.at, expected.at);
    live.give_up({part});
    c.hosts.erase(part);
  }
  EXPECT_EQ(live.peak().bytes, live_peak(*c.body, c.order, c.hosts).bytes);
}

TEST(PeakOfHosts, WorkGrowsWithWhatLeaves) {
  auto work = [](int n) {
    const Case c(n);
    PeakOfHosts live(*c.body, c.order, c.hosts);
    for (const Value *part : c.parts) live.give_up({part});
    return live.visits();
  };
  EXPECT_LE(double(work(2000)), 2.3 * double(work(1000)));
}

} // namespace
} // namespace cameo::passes
