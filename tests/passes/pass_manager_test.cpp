#include "cameo/passes/pass_manager.h"

#include "cameo/ir/print.h"
#include "cameo/ir/verify.h"
#include "cameo/support/files.h"

#include <gtest/gtest.h>

#include <filesystem>

using namespace cameo;
using namespace cameo::passes;

namespace {

const char *kText = R"(graph @g stage imported {
  main(%x: f32[4]) {
    %unused = exp %x : f32[4]
    %y = relu %x : f32[4]
    yield %y as "y"
  }
}
)";

graph::Graph read() {
  auto graph = graph::parse(kText, "test");
  EXPECT_TRUE(graph.ok());
  return std::move(*graph);
}

// Passes that are wrong, each in its own way.
Result<bool> breaks(graph::Graph &graph, const PassOptions &) {
  graph.main().body->first()->result()->set_type(graph::Type::tensor(DType::i8, {4}));
  return true;
}
Result<bool> throws(graph::Graph &, const PassOptions &) { CAMEO_UNREACHABLE("first line\nsecond line"); }
Result<bool> lies(graph::Graph &graph, const PassOptions &) {
  graph.main().body->first()->result()->set_name("renamed");
  return false;
}
Result<bool> refuses(graph::Graph &, const PassOptions &) {
  return Diagnostic{ExitCode::unsupported, "node 'a'", "not for us"};
}
Result<bool> nothing(graph::Graph &, const PassOptions &) { return false; }

std::string internal_error(const Pass &pass, const RunOptions &options) {
  graph::Graph graph = read();
  const Pass *list[] = {&pass};
  try {
    (void)run_passes(graph, list, options).ok();
  } catch (const InternalError &error) {
    return error.what();
  }
  return "no error";
}

TEST(PassManager, RunsTheListAndReportsTimes) {
  graph::Graph graph = read();
  auto passes = parse_pass_list("dead_code, canonicalize,dead_code");
  ASSERT_TRUE(passes.ok());
  std::vector<PassTime> times;
  auto changed = run_passes(graph, *passes, {}, &times);
  ASSERT_TRUE(changed.ok());
  EXPECT_TRUE(*changed);
  ASSERT_EQ(times.size(), 3u);
  EXPECT_EQ(times[1].name, "canonicalize");
  EXPECT_TRUE(times[0].changed);
  EXPECT_FALSE(times[2].changed);
  EXPECT_EQ(graph.stage(), graph::Stage::canonical);
  EXPECT_EQ(graph.node_count(), 1u);
}

TEST(PassManager, BisectsAndDisables) {
  graph::Graph none = read();
  RunOptions options;
  options.stop_after = 0;
  EXPECT_FALSE(*run_pipeline(none, options));
  EXPECT_EQ(graph::print(none), kText);

  graph::Graph disabled = read();
  options.stop_after = -1;
  options.disabled = {"dead_code"};
  ASSERT_TRUE(run_pipeline(disabled, options).ok());
  EXPECT_EQ(disabled.node_count(), 2u);
  EXPECT_EQ(disabled.stage(), graph::Stage::laid_out);

  graph::Graph unharmed = read();
  options.disabled = {"canonicalize"};
  ASSERT_TRUE(run_pipeline(unharmed, options).ok());
  EXPECT_EQ(unharmed.stage(), graph::Stage::laid_out) << "the stage advances without the pass";
}

TEST(PassManager, UnknownNamesAreUsageErrors) {
  auto passes = parse_pass_list("dead_cod,canonicalize,x");
  ASSERT_FALSE(passes.ok());
  EXPECT_EQ(passes.errors().size(), 2u);
  EXPECT_EQ(exit_code(passes.errors()), ExitCode::usage);
  EXPECT_NE(passes.errors()[0].what.find("did you mean 'dead_code'?"), std::string::npos) << passes.errors()[0].what;
  EXPECT_TRUE(parse_pass_list(" ")->empty());
  EXPECT_FALSE(parse_pass_list("dead_code,").ok());
  graph::Graph graph = read();
  RunOptions options;
  options.disabled = {"cse"};
  EXPECT_FALSE(run_pipeline(graph, options).ok());
  options = {};
  options.dump_after = {"cse"};
  EXPECT_FALSE(run_pipeline(graph, options).ok());
}

TEST(PassManager, DumpsWhatWasAskedFor) {
  graph::Graph graph = read();
  RunOptions options;
  std::string titles;
  options.dump = [&](std::string_view title, const std::string &text) {
    (titles += title) += ";";
    EXPECT_EQ(text.rfind("graph @g", 0), 0u);
  };
  options.dump_all = true;
  ASSERT_TRUE(run_pipeline(graph, options).ok());
  EXPECT_EQ(titles, "after dead_code;") << "only passes that changed something";
  titles.clear();
  options.dump_all = false;
  options.dump_after = {"common_subexpressions"};
  ASSERT_TRUE(run_pipeline(graph, options).ok());
  EXPECT_EQ(titles, "after common_subexpressions;");
}

TEST(PassManager, ErrorsOfAPassComeBack) {
  graph::Graph graph = read();
  const Pass pass = {"refuses", refuses, std::nullopt, ""};
  const Pass *list[] = {&pass};
  auto result = run_passes(graph, list);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(to_string(result.errors()[0]), "node 'a': not for us");
}

TEST(PassManager, FindsWrongPasses) {
  const std::string broken = internal_error({"breaks", breaks, std::nullopt, ""}, {});
  EXPECT_NE(broken.find("pass 'breaks'"), std::string::npos) << broken;
  EXPECT_NE(broken.find("result is i8[4], not f32"), std::string::npos) << broken;
  EXPECT_EQ(internal_error({"lies", lies, std::nullopt, ""}, {}), "no error");
  RunOptions always;
  always.verify_always = true;
  EXPECT_NE(internal_error({"lies", lies, std::nullopt, ""}, always).find("did not say so"), std::string::npos);
  EXPECT_EQ(internal_error({"nothing", nothing, graph::Stage::canonical, ""}, always), "no error");
}

TEST(PassManager, ReproducerReplays) {
  const std::string path = testing::TempDir() + "reproducer.graph";
  std::filesystem::remove(path);
  graph::Graph graph = read();
  const Pass wrong = {"canonicalize", throws, std::nullopt, ""};
  const Pass *list[] = {find_pass("dead_code"), &wrong, find_pass("dead_code")};
  RunOptions options;
  options.reproducer_path = path;
  try {
    (void)run_passes(graph, list, options).ok();
    FAIL() << "no error";
  } catch (const InternalError &error) {
    EXPECT_NE(std::string(error.what()).find("reproducer: " + path), std::string::npos) << error.what();
  }
  auto text = read_file(path, 1 << 20);
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(run_line(*text), "canonicalize,dead_code");
  auto again = graph::parse(*text, path);
  ASSERT_TRUE(again.ok()) << to_string(again.errors()[0]);
  EXPECT_EQ(again->node_count(), 1u) << "the graph from before the failing pass";
  auto passes = parse_pass_list(*run_line(*text));
  ASSERT_TRUE(passes.ok());
  EXPECT_TRUE(run_passes(*again, *passes).ok());
  std::filesystem::remove(path);
}

TEST(PassManager, RunLine) {
  EXPECT_EQ(run_line("// run: a,b\nx"), "a,b");
  EXPECT_EQ(run_line("// first\n// run:\n"), "");
  EXPECT_EQ(run_line("graph // run: a"), std::nullopt);
}

TEST(Pipeline, RowsAreSound) {
  graph::Stage stage = graph::Stage::imported;
  for (const Pass &pass : pipeline()) {
    EXPECT_FALSE(pass.description.empty()) << pass.name;
    EXPECT_EQ(find_pass(pass.name)->run, pass.run) << pass.name << " names two passes";
    if (pass.after) {
      EXPECT_GE(*pass.after, stage) << pass.name;
      stage = *pass.after;
    }
  }
}

} // namespace
