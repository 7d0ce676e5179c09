// Strings become numbers: in types, constants and ports; what nothing can do with them is told, all of it.
#include "cameo/ir/print.h"
#include "cameo/ir/verify.h"
#include "cameo/passes/strings.h"

#include <gtest/gtest.h>

namespace cameo::passes {
namespace {

graph::Graph parsed(const std::string &body) {
  Result<graph::Graph> graph = graph::parse("graph @g stage imported {\n  main(" + body + "\n  }\n}\n", "test.graph");
  EXPECT_TRUE(graph.ok()) << to_string(graph.errors()[0]);
  return graph.ok() ? std::move(*graph) : graph::Graph("broken");
}

StringTable number(graph::Graph &graph) {
  Result<StringTable> table = number_strings(graph);
  EXPECT_TRUE(table.ok()) << to_string(table.errors()[0]);
  const std::vector<std::string> problems = graph::verify(graph);
  EXPECT_TRUE(problems.empty()) << problems[0];
  return table.ok() ? std::move(*table) : StringTable();
}

TEST(Strings, ConstantsGetTheirPlaceInTheOrderOfAllStrings) {
  graph::Graph g = parsed(R"(%x: string[n], %i: i64[n]) {
    %keys = constant string[3] ["pear", "apple", "pear"]
    %k = reshape %keys : string[1, 3]
    %e = reshape %x : string[n, 1]
    %hit = equal %e, %k : bool[n, 3]
    %table = constant string[2] ["apple", "Zoo"]
    %g = gather %table, %i {axis = 0} : string[n]
    %all = concat %x, %g {axis = 0} : string[2*n]
    yield %hit as "hit", %all as "all")");
  const StringTable table = number(g);
  EXPECT_EQ(table.strings, (std::vector<std::string>{"", "Zoo", "apple", "pear"}));
  EXPECT_EQ(table.inputs, (std::vector<bool>{true, false}));
  EXPECT_EQ(table.outputs, (std::vector<bool>{false, true}));
  const std::string text = graph::print(g);
  EXPECT_NE(text.find("[3, 2, 3]"), std::string::npos) << text;
  EXPECT_NE(text.find("[2, 1]"), std::string::npos) << text;
  EXPECT_EQ(text.find("string"), std::string::npos) << text;
}

TEST(Strings, SequencesAndBranchesAreFollowed) {
  graph::Graph g = parsed(R"(%x: string[2], %c: bool[]) {
    %s = sequence_construct %x, %x : seq<string[2]>
    %y = if %c : string[2] () {
      %one = constant i64[] [1]
      %a = sequence_at %s, %one : string[2]
      yield %a
    } () {
      %b = constant string[2] ["no", "none"]
      yield %b
    }
    yield %y as "y")");
  const StringTable table = number(g);
  EXPECT_EQ(table.strings, (std::vector<std::string>{"", "no", "none"}));
  EXPECT_EQ(graph::print(g).find("string"), std::string::npos) << graph::print(g);
}

TEST(Strings, WhoHasNoneHasNoTable) {
  graph::Graph g = parsed(R"(%x: f32[2]) {
    %unused = constant string[1] ["nobody reads this"]
    %y = neg %x : f32[2]
    yield %y as "y")");
  const StringTable table = number(g);
  EXPECT_TRUE(table.strings.empty());
  EXPECT_TRUE(table.inputs.empty());
}

TEST(Strings, WhatLooksIntoStringsBecomesCalls) {
  graph::Graph g = parsed(R"(%x: string[n], %z: f16[n]) {
    %t = cast %z {saturate = true} : string[n]
    %c = string_concat %x, %t : string[n]
    %parts, %counts = string_split %c {delimiter = ",", max_split = 2} : string[n, ?0], i64[n]
    %r = cast %x {saturate = true} : i8[n]
    %m = regex_match %x {pattern = "a|b"} : bool[n]
    yield %parts as "parts", %counts as "counts", %r as "r", %m as "m")");
  const StringTable table = number(g);
  EXPECT_EQ(table.strings, (std::vector<std::string>{"", ","}));
  EXPECT_EQ(table.outputs, (std::vector<bool>{true, false, false, false}));
  const std::string text = graph::print(g);
  for (const char *line :
       {"fn = print} : i64[n]", "fn = concat} : i64[n]", "fn = counts, limit = 2} : i64[n]",
        "fn = parts, limit = 2} : i64[n, ?0]", "fn = parse} : i64[n]", ": i8[n]", "fn = match} : bool[n]"})
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
}

TEST(Strings, NormalizationIsMovementButForTheCase) {
  graph::Graph g = parsed(R"(%x: string[1, n]) {
    %y = string_normalize %x {case = upper, case_sensitive = false, stopwords = ["The", "a"]} : string[1, ?0]
    %z = string_normalize %x {case = none, case_sensitive = true, stopwords = []} : string[1, n]
    yield %y as "y", %z as "z")");
  const StringTable table = number(g);
  EXPECT_EQ(table.strings, (std::vector<std::string>{"", "The", "a"}));
  const std::string text = graph::print(g);
  EXPECT_NE(text.find("fn = upper} : i64[1, n]"), std::string::npos) << text;
  EXPECT_NE(text.find("nonzero"), std::string::npos) << text;
  EXPECT_NE(text.find("%x as \"z\""), std::string::npos) << text;
}

TEST(Strings, EachNodeThatCannotBeDoneIsTold) {
  graph::Graph g = parsed(R"(%x: string[n]) {
    %y, %first = unique %x {sorted = true} : string[?0], i64[?0]
    %t = scatter_elements %x, %first, %y {axis = 0, reduction = add} : string[n]
    yield %y as "y", %t as "t")");
  const Result<StringTable> table = number_strings(g);
  ASSERT_FALSE(table.ok());
  ASSERT_EQ(table.errors().size(), 2u);
  EXPECT_EQ(exit_code(table.errors()), ExitCode::unsupported);
  EXPECT_EQ(table.errors()[0].what, "unique of strings is not supported");
  EXPECT_EQ(table.errors()[1].what, "scatter_elements of strings is not supported");
}

} // namespace
} // namespace cameo::passes
