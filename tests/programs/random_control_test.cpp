// Random graphs with branches, loops and run-time extents, compiled and run, against the evaluator of Graph IR: with
// the pipeline and without, and with decisions of the planner undone.
#include "program_runner.h"

#include "evaluator.h"
#include "random_graph.h"

#include <cstdlib>

namespace cameo::passes {
namespace {

struct Setting {
  bool pipeline;
  ProgramOptions options;
};

std::vector<Setting> settings() {
  std::vector<Setting> list(4);
  list[0].pipeline = false;
  list[1].pipeline = true;
  list[2].pipeline = true;
  list[2].options.plan.in_place = false;
  list[2].options.calls_per_function = 2;
  list[3].pipeline = false;
  list[3].options.plan.views = false;
  list[3].options.calls_per_function = 5;
  return list;
}

} // namespace

TEST(RandomControl, ProgramsComputeWhatTheGraphsMean) {
  const char *wanted = std::getenv("CAMEO_SEEDS"); // more of them by hand
  const uint32_t seeds = wanted ? static_cast<uint32_t>(std::atoi(wanted)) : 24;
  const std::vector<Setting> list = settings();
  size_t ran = 0;
  for (uint32_t seed = 1; seed <= seeds; ++seed) {
    const graph::Graph graph = test::random_graph(seed, 4 + static_cast<int>(seed % 20));
    const int64_t n = 1 + seed % 3;
    const std::vector<Values> inputs{some(n * 12, seed, 0.5, 8), some(24, seed + 1, 0.5, 8), {seed % 2 ? 1.0 : 0.0}};
    const std::vector<test::TestValue> expected =
        test::evaluate(graph, {{{n, 3, 4}, inputs[0], {}}, {{4, 6}, inputs[1], {}}, {{}, inputs[2], {}}}, {{"n", n}});
    for (size_t v = seed % 2; v < list.size(); v += 2) { // two of them each
      graph::Graph copy = graph.copy();
      if (list[v].pipeline) {
        const Result<bool> passed = run_pipeline(copy);
        ASSERT_TRUE(passed.ok());
      }
      const std::string what = "seed " + std::to_string(seed) + ", variant " + std::to_string(v);
      SCOPED_TRACE(what);
      const auto targets = codegen::resolve_targets("native");
      if (!build_program(copy, *targets, list[v].options).ok()) continue; // sequences
      const RunResult result = run_graph(copy, inputs, list[v].options, {n});
      ++ran;
      ASSERT_EQ(result.status, 0) << graph::print(copy);
      EXPECT_EQ(result.leaked, 0u);
      ASSERT_EQ(result.outputs.size(), expected.size());
      for (size_t i = 0; i < expected.size(); ++i) {
        ASSERT_EQ(result.dims[i], expected[i].dims) << "output " << i << "\n" << graph::print(copy);
        expect_near(result.outputs[i], expected[i].elements, 1e-5, "output " + std::to_string(i));
        if (testing::Test::HasFailure()) FAIL() << graph::print(copy);
      }
    }
  }
  EXPECT_GT(ran, seeds / 2);
}

} // namespace cameo::passes
