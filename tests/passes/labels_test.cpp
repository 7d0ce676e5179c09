// Outputs of strings and maps become numbers with labels beside them; what cannot stays as it is.
#include "cameo/ir/print.h"
#include "cameo/ir/verify.h"
#include "cameo/passes/labels.h"

#include <gtest/gtest.h>

namespace cameo::passes {
namespace {

struct Exposed {
  graph::Graph graph;
  std::vector<OutputLabels> labels;
};

Exposed expose(const std::string &body) {
  Result<graph::Graph> parsed = graph::parse("graph @g stage canonical {\n  main(" + body + "\n  }\n}\n", "test.graph");
  if (!parsed.ok()) {
    ADD_FAILURE() << to_string(parsed.errors()[0]);
    return {graph::Graph("broken"), {}};
  }
  Exposed e{std::move(*parsed), {}};
  e.labels = expose_labels(e.graph);
  const std::vector<std::string> problems = graph::verify(e.graph);
  EXPECT_TRUE(problems.empty()) << problems[0];
  return e;
}

TEST(Labels, ASequenceOfMapsIsItsTensor) {
  const Exposed e = expose(R"(%x: f32[n, 3]) {
    %maps = zip_map %x {keys = i64[3] [4, 5, 9]} : seq<map<i64, f32[]>>
    yield %maps as "probabilities", %x as "same")");
  ASSERT_EQ(e.labels.size(), 2u);
  EXPECT_EQ(e.labels[0].kind, OutputLabels::Kind::columns);
  EXPECT_EQ(e.labels[0].labels->as_ints(), (std::vector<int64_t>{4, 5, 9}));
  EXPECT_EQ(e.labels[1].kind, OutputLabels::Kind::none);
  EXPECT_EQ(e.graph.main().body->results()[0]->type().str(), "f32[n, 3]");
  EXPECT_EQ(e.graph.main().result_names[0], "probabilities");
}

TEST(Labels, StringsArePositionsInAllStringsThatThereCanBe) {
  const Exposed e = expose(R"(%i: i64[n], %c: bool[n]) {
    %a = constant string[2] ["no", "yes"]
    %b = constant string[] ["maybe"]
    %g = gather %a, %i {axis = 0} : string[n]
    %s = select %c, %g, %b : string[n]
    %r = reshape %s : string[1, n]
    yield %r as "label")");
  ASSERT_EQ(e.labels.size(), 1u);
  EXPECT_EQ(e.labels[0].kind, OutputLabels::Kind::elements);
  EXPECT_EQ(e.labels[0].labels->string_values(), (std::vector<std::string>{"no", "yes", "maybe"}));
  EXPECT_EQ(e.graph.main().body->results()[0]->type().str(), "i64[1, n]");
}

TEST(Labels, StringsOfTheRunStay) {
  const Exposed e = expose(R"(%s: string[n], %c: bool[n]) {
    %b = constant string[] ["maybe"]
    %r = select %c, %s, %b : string[n]
    yield %r as "text")");
  ASSERT_EQ(e.labels.size(), 1u);
  EXPECT_EQ(e.labels[0].kind, OutputLabels::Kind::none);
  EXPECT_EQ(e.graph.main().body->results()[0]->type().str(), "string[n]");
}

} // namespace
} // namespace cameo::passes
