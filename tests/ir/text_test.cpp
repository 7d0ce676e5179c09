// tests/ir/*.graph: parse, verify, print; printing again what was printed must give the same text.
#include "text_runner.h"

#include "cameo/ir/print.h"
#include "cameo/ir/verify.h"

#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <sstream>

using namespace cameo;

namespace {

Result<std::string> round_trip(const std::string &text, const std::string &file, const std::string &) {
  CAMEO_TRY(graph::Graph graph, graph::parse(text, file));
  Diagnostics problems;
  for (const std::string &problem : graph::verify(graph)) problems.push_back({ExitCode::internal, "verify", problem});
  if (!problems.empty()) return problems;
  graph::PrintOptions options;
  options.data = graph::PrintOptions::Data::hex;
  std::string printed = graph::print(graph, options);
  auto again = graph::parse(printed, "printed");
  EXPECT_TRUE(again.ok()) << to_string(again.errors()[0]) << "\n" << printed;
  if (again.ok()) {
    EXPECT_EQ(graph::print(*again, options), printed);
    EXPECT_TRUE(graph::same(graph, *again));
    EXPECT_EQ(graph::print(graph.copy(), options), printed) << "a copy differs";
  }
  return printed;
}

class IrText : public testing::TestWithParam<std::string> {};

TEST_P(IrText, Holds) {
  for (const std::string &failure : test::check_file(GetParam(), round_trip)) ADD_FAILURE() << failure;
}

// The files above hold every op, so that a new row of ops.def comes with text that reads and prints.
TEST(Ops, EveryOpIsWritten) {
  std::string all;
  for (const std::string &path : test::text_tests("ir", ".graph")) {
    std::ifstream stream(path);
    std::stringstream text;
    text << stream.rdbuf();
    all += text.str();
  }
  for (std::string_view op : {
#define GRAPH_OP(id, text, operands, results, regions, traits, attributes) std::string_view(text),
#include "cameo/ir/ops.def"
       }) {
    if (op == "elementwise" || op == "yield") continue;
    EXPECT_TRUE(std::regex_search(all, std::regex("(= |\n *)" + std::string(op) + " "))) << op;
  }
}

INSTANTIATE_TEST_SUITE_P(Files, IrText, testing::ValuesIn(test::text_tests("ir", ".graph")),
                         [](const auto &info) { return test::test_name(info.param); });

} // namespace
