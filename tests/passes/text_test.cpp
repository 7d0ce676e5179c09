// tests/passes/*.graph: parse, run the passes of the run line with the verifier after each, print.
#include "text_runner.h"

#include "cameo/ir/print.h"
#include "cameo/ir/verify.h"
#include "cameo/passes/pass_manager.h"

#include <gtest/gtest.h>

using namespace cameo;

namespace {

Result<std::string> run_passes(const std::string &text, const std::string &file, const std::string &run) {
  CAMEO_TRY(graph::Graph graph, graph::parse(text, file));
  CAMEO_TRY(auto passes, passes::parse_pass_list(run));
  for (const std::string &problem : graph::verify(graph)) return Diagnostic{ExitCode::internal, "before", problem};
  passes::RunOptions options;
  options.verify_always = true;
  CAMEO_TRY([[maybe_unused]] bool changed, passes::run_passes(graph, passes, options));
  // A second run finds nothing left to do.
  graph::Graph again = graph.copy();
  CAMEO_TRY(changed, passes::run_passes(again, passes, options));
  EXPECT_EQ(graph::print(graph), graph::print(again)) << file << ": the passes are not idempotent";
  return graph::print(graph);
}

class PassText : public testing::TestWithParam<std::string> {};

TEST_P(PassText, Holds) {
  for (const std::string &failure : test::check_file(GetParam(), run_passes)) ADD_FAILURE() << failure;
}

INSTANTIATE_TEST_SUITE_P(Files, PassText, testing::ValuesIn(test::text_tests("passes", ".graph")),
                         [](const auto &info) { return test::test_name(info.param); });

} // namespace
