// Passes on random graphs: every pass alone, the pipeline, and random orders keep what the graph computes, bit for bit,
// and leave it well formed; printing and parsing between them changes nothing.
#include "evaluator.h"
#include "random_graph.h"

#include "cameo/ir/print.h"
#include "cameo/ir/verify.h"
#include "cameo/ops/infer.h"
#include "cameo/passes/pass_manager.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <random>

using namespace cameo;
using namespace cameo::test;

namespace {

TestValue some(std::vector<int64_t> dims, uint32_t seed) {
  std::mt19937 random(seed);
  TestValue value{dims, {}, {}};
  int64_t count = 1;
  for (int64_t dim : dims) count *= dim;
  for (int64_t i = 0; i < count; ++i)
    value.elements.push_back(static_cast<double>(static_cast<int>(random() % 17) - 8) / 2);
  return value;
}

std::vector<TestValue> run(const graph::Graph &graph, uint32_t seed) {
  const int64_t n = 1 + seed % 3;
  return evaluate(graph, {some({n, 3, 4}, seed), some({4, 6}, seed + 1), {{}, {seed % 2 ? 1.0 : 0.0}, {}}}, {{"n", n}});
}

// -0 and 0 are different results, but no NaN comes up.
bool equal(const std::vector<TestValue> &a, const std::vector<TestValue> &b) {
  if (a != b) return false;
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t j = 0; j < a[i].elements.size(); ++j)
      if (std::signbit(a[i].elements[j]) != std::signbit(b[i].elements[j])) return false;
  return true;
}

TEST(RandomGraphs, PassesKeepTheMeaning) {
  const char *lists[] = {"dead_code", "canonicalize", "common_subexpressions", "canonicalize,dead_code",
                         "common_subexpressions,canonicalize,common_subexpressions,dead_code"};
  size_t before = 0, after = 0;
  const char *wanted = std::getenv("CAMEO_SEEDS"); // more of them by hand
  const uint32_t seeds = wanted ? static_cast<uint32_t>(std::atoi(wanted)) : 400;
  for (uint32_t seed = 1; seed <= seeds; ++seed) {
    const graph::Graph graph = random_graph(seed, 2 + static_cast<int>(seed % 40)); // from small to large
    std::vector<std::string> problems = graph::verify(graph);
    ASSERT_TRUE(problems.empty()) << "seed " << seed << ": " << problems[0] << "\n" << graph::print(graph);
    std::vector<TestValue> expected;
    try {
      expected = run(graph, seed);
    } catch (const std::exception &error) {
      FAIL() << "seed " << seed << ": " << error.what() << "\n" << graph::print(graph);
    }
    auto check = [&](const std::string &list, const auto &transform) {
      auto text = graph::parse(graph::print(graph), "printed");
      ASSERT_TRUE(text.ok()) << "seed " << seed << ": " << to_string(text.errors()[0]);
      graph::Graph changed = std::move(*text);
      try {
        transform(changed);
        for (graph::Node *node : changed.main().body->nodes())
          ASSERT_EQ(ops::check_types(changed, *node).value_or(""), "")
              << "seed " << seed << ": " << list << ": " << node->str();
        ASSERT_TRUE(equal(run(changed, seed), expected)) << "seed " << seed << ": " << list << "\n"
                                                         << graph::print(graph) << "\n"
                                                         << graph::print(changed);
      } catch (const std::exception &error) {
        FAIL() << "seed " << seed << ": " << list << ": " << error.what() << "\n"
               << graph::print(graph) << "\n"
               << graph::print(changed);
      }
      before += graph.node_count();
      after += changed.node_count();
    };
    passes::RunOptions options;
    options.verify_always = true;
    for (const char *list : lists)
      check(list,
            [&](graph::Graph &g) { ASSERT_TRUE(passes::run_passes(g, *passes::parse_pass_list(list), options).ok()); });
    check("pipeline", [&](graph::Graph &g) { ASSERT_TRUE(passes::run_pipeline(g, options).ok()); });
    if (HasFatalFailure()) return;
  }
  EXPECT_LT(after, before * 4 / 5) << "passes find work in these graphs";
}

} // namespace
