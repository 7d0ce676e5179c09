// Plans print and parse, and the verifier finds what is wrong with them. Plans of random graphs, for several targets
// and options, are sound and survive their text.
#include "../support/mutate.h"
#include "random_graph.h"

#include "cameo/ir/print.h"
#include "cameo/passes/pass_manager.h"
#include "cameo/passes/plan.h"

#include <gtest/gtest.h>

using namespace cameo;
using namespace cameo::passes;

namespace {

loop::Target target(const char *name, int32_t bits, int32_t registers) {
  loop::Target t;
  t.name = name;
  t.vector_bits = bits;
  t.vector_registers = registers;
  t.fma = bits > 128;
  t.masked_memory = bits == 512;
  return t;
}

std::string joined(const std::vector<std::string> &lines) {
  std::string text;
  for (const std::string &line : lines) text += line + "\n";
  return text;
}

// `count` elements of a constant.
std::string elements(int count) {
  std::string text = "[0.5";
  for (int i = 1; i < count; ++i) text += i % 2 ? ", -0.25" : ", 0.5";
  return text + "]";
}

// Two convolutions: a border, packed filters, symbolic sizes.
std::string two_layers() {
  return R"(
graph @net stage canonical {
  symbol n in [1, 64]
  main(%x: f32[n, 3, 8, 8]) {
    %w = constant f32[4, 3, 3, 3] )" +
         elements(108) + R"(
    %v = constant f32[4, 4, 3, 3] )" +
         elements(144) + R"(
    %a = conv %x, %w {dilations = [1, 1], group = 1, pads = [1, 1, 1, 1], strides = [1, 1]} : f32[n, 4, 8, 8]
    %b = relu %a : f32[n, 4, 8, 8]
    %c = conv %b, %v {dilations = [1, 1], group = 1, pads = [1, 1, 1, 1], strides = [2, 2]} : f32[n, 4, 4, 4]
    yield %c as "y"
  }
}
)";
}

class TwoLayers : public ::testing::Test {
protected:
  void SetUp() override {
    auto parsed = graph::parse(two_layers(), "net");
    ASSERT_TRUE(parsed.ok()) << to_string(parsed.errors()[0]);
    graph = std::move(*parsed);
    ASSERT_TRUE(run_pipeline(graph).ok());
    auto made = make_plan(graph, target("x86-64-v3", 256, 16));
    ASSERT_TRUE(made.ok()) << to_string(made.errors()[0]);
    plan = std::move(*made);
  }
  // That the verifier objects with that text once `change` has been at the plan.
  void broken(const std::string &expected, const std::function<void(Plan &)> &change) {
    Plan changed = plan;
    change(changed);
    const std::string said = joined(verify(changed, graph));
    EXPECT_NE(said.find(expected), std::string::npos) << "expected: " << expected << "\nsaid: " << said;
  }
  int32_t first(BufferPlan::Space space) const {
    for (size_t b = 0; b < plan.buffers.size(); ++b)
      if (plan.buffers[b].space == space) return static_cast<int32_t>(b);
    return -1;
  }
  size_t kernel() const {
    for (size_t s = 0; s < plan.steps.size(); ++s)
      if (plan.steps[s].kind == Step::Kind::kernel) return s;
    return 0;
  }
  graph::Graph graph;
  Plan plan;
};

TEST_F(TwoLayers, PrintsAndParses) {
  const std::string text = print(plan, graph);
  auto parsed = parse_plan(text, graph, "plan");
  ASSERT_TRUE(parsed.ok()) << to_string(parsed.errors()[0]) << "\n" << text;
  EXPECT_EQ(*parsed, plan);
  EXPECT_EQ(print(*parsed, graph), text);
  EXPECT_EQ(joined(verify(plan, graph)), "");
}

TEST_F(TwoLayers, EveryCutTextIsRefusedInOneLine) {
  const std::string text = print(plan, graph);
  for (size_t n = 0; n + 2 < text.size(); n += 1 + text.size() / 400) {
    auto parsed = parse_plan(std::string_view(text).substr(0, n), graph, "plan");
    ASSERT_FALSE(parsed.ok()) << n;
    EXPECT_EQ(parsed.errors().size(), 1u);
  }
}

// A changed text is refused, or is a plan that can be verified and printed.
TEST_F(TwoLayers, ChangedTextsAreRefusedOrPlans) {
  const std::string text = print(plan, graph);
  int plans = 0;
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    auto parsed = parse_plan(cameo::testing::mutated(text, seed), graph, "plan");
    if (!parsed.ok()) {
      EXPECT_EQ(parsed.errors().size(), 1u) << seed;
      continue;
    }
    ++plans;
    if (!verify(*parsed, graph).empty()) continue;
    auto again = parse_plan(print(*parsed, graph), graph, "plan");
    ASSERT_TRUE(again.ok()) << seed << ": " << to_string(again.errors()[0]);
    EXPECT_EQ(*again, *parsed) << seed;
  }
  EXPECT_GT(plans, 0);
}

TEST_F(TwoLayers, APlanOfAnotherGraphIsRefused) {
  const std::string text = print(plan, graph);
  graph::Graph other = *graph::parse(two_layers(), "net");
  auto parsed = parse_plan(text, other, "net.plan");
  ASSERT_FALSE(parsed.ok());
  EXPECT_NE(to_string(parsed.errors()[0]).find("the plan is for another graph"), std::string::npos);
}

TEST_F(TwoLayers, MistakesInSchedulesAreToldWhereTheyStand) {
  std::string text = print(plan, graph);
  const size_t at = text.find(" root");
  ASSERT_NE(at, std::string::npos);
  text.replace(at, 5, " nest");
  const auto line = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n') + 1;
  auto parsed = parse_plan(text, graph, "net.plan");
  ASSERT_FALSE(parsed.ok());
  EXPECT_NE(to_string(parsed.errors()[0]).find("net.plan:" + std::to_string(line) + ":"), std::string::npos)
      << to_string(parsed.errors()[0]);
}

TEST_F(TwoLayers, BrokenRulesOfForm) {
  broken("lies in buffer 99, which does not exist", [](Plan &p) { p.values[0].place.buffer = 99; });
  broken("has a term of dim 7", [](Plan &p) { p.values[0].place.terms.push_back({7, 1, 0, 1}); });
  broken("has a halo of another rank", [](Plan &p) { p.values[0].place.halo = {{1, 1}}; });
  broken("which is symbolic", [](Plan &p) { p.values[0].place.halo = {{1, 1}, {0, 0}, {0, 0}, {0, 0}}; });
  broken("begins a symbolic distance ahead", [](Plan &p) { p.values[0].place.terms.push_back({0, 1, 0, -1}); });
  broken("does not exist, or stands in the wrong place", [](Plan &p) { p.values[0].value = 1000; });
  broken("runs node 1000, which does not exist", [&](Plan &p) { p.steps[kernel()].node = 1000; });
  broken("has no algorithm 'magic'", [&](Plan &p) { p.steps[kernel()].algorithm = "magic"; });
  broken("has no end", [](Plan &p) {
    Step s;
    s.kind = Step::Kind::branch;
    p.steps.push_back(s);
  });
  broken("ends nothing", [](Plan &p) {
    Step s;
    s.kind = Step::Kind::end;
    p.steps.push_back(s);
  });
  broken("which has no memory", [&](Plan &p) { p.values.clear(); });
}

TEST_F(TwoLayers, BrokenRulesOfMeaning) {
  const int32_t arena = first(BufferPlan::Space::arena);
  ASSERT_GE(arena, 0);
  broken("does not lie in the arena", [&](Plan &p) { p.buffers[size_t(arena)].offset = p.arena_bytes; });
  broken("does not lie in the arena", [&](Plan &p) { p.buffers[size_t(arena)].offset += 4; });
  broken("leaves its buffer", [&](Plan &p) {
    for (ValuePlan &v : p.values)
      if (v.place.buffer == arena) v.place.offset = v.place.offset + p.buffers[size_t(arena)].bytes;
  });
  broken("before anything is written there", [&](Plan &p) { std::reverse(p.steps.begin(), p.steps.end()); });
  broken("overlaps", [&](Plan &p) {
    BufferPlan twin = p.buffers[size_t(arena)];
    p.buffers.push_back(twin);
  });
}

TEST(Plans, OfRandomGraphsAreSoundAndSurviveTheirText) {
  const loop::Target targets[] = {target("x86-64-v2", 128, 16), target("x86-64-v3", 256, 16),
                                  target("x86-64-v4", 512, 32)};
  int planned = 0;
  for (uint32_t seed = 1; seed <= 150; ++seed) {
    graph::Graph graph = test::random_graph(seed, 2 + static_cast<int>(seed % 40));
    ASSERT_TRUE(run_pipeline(graph).ok());
    PlanOptions options;
    options.in_place = seed % 3 != 0;
    options.views = seed % 5 != 0;
    options.halos = seed % 7 != 0;
    options.pack_weights = seed % 2 != 0;
    auto plan = make_plan(graph, targets[seed % 3], options);
    if (!plan.ok()) {
      EXPECT_EQ(exit_code(plan.errors()), ExitCode::unsupported) << to_string(plan.errors()[0]);
      continue;
    }
    ++planned;
    ASSERT_EQ(joined(verify(*plan, graph)), "") << "seed " << seed << "\n"
                                                << graph::print(graph) << print(*plan, graph);
    auto parsed = parse_plan(print(*plan, graph), graph, "plan");
    ASSERT_TRUE(parsed.ok()) << "seed " << seed << ": " << to_string(parsed.errors()[0]) << "\n" << print(*plan, graph);
    ASSERT_EQ(*parsed, *plan) << "seed " << seed << "\n" << print(*plan, graph);
  }
  EXPECT_GT(planned, 100);
}

} // namespace
