// Sequences and optionals of run-time length: what each operation gives, which positions it takes, and which parts from
// outside it refuses.
#include "program_runner.h"

namespace cameo::passes {
namespace {

struct Element {
  Values dims, data;
  friend bool operator==(const Element &, const Element &) = default;
};
using Sequence = std::vector<Element>;

Values all_dims(const Sequence &s) {
  Values v;
  for (const Element &e : s) v.insert(v.end(), e.dims.begin(), e.dims.end());
  return v;
}
Values all_data(const Sequence &s) {
  Values v;
  for (const Element &e : s) v.insert(v.end(), e.data.begin(), e.data.end());
  return v;
}

// The sequence that outputs `at` (extents) and at + 1 (data) are.
Sequence sequence_of(const RunResult &result, size_t at = 0) {
  Sequence s;
  const int64_t n = result.dims.at(at)[0], rank = result.dims[at][1];
  size_t next = 0;
  for (int64_t k = 0; k < n; ++k) {
    Element e;
    size_t size = 1;
    for (int64_t d = 0; d < rank; ++d) {
      e.dims.push_back(result.outputs[at][static_cast<size_t>(k * rank + d)]);
      size *= static_cast<size_t>(e.dims.back());
    }
    for (size_t i = 0; i < size; ++i) e.data.push_back(result.outputs[at + 1].at(next++));
    s.push_back(std::move(e));
  }
  EXPECT_EQ(next, result.outputs[at + 1].size()) << "data behind the last element";
  return s;
}

RunResult run(const std::string &text, const std::vector<Values> &inputs, const std::vector<int64_t> &symbols = {}) {
  graph::Graph graph = parse_graph(text);
  const auto changed = run_pipeline(graph);
  if (!changed.ok()) {
    ADD_FAILURE() << to_string(changed.errors()[0]);
    return {};
  }
  EXPECT_EQ(graph::print(graph).find("seq<"), std::string::npos) << graph::print(graph);
  RunResult result = run_graph(graph, inputs, {}, symbols);
  EXPECT_EQ(result.leaked, 0u);
  return result;
}

// `body` turns %s, a sequence of f32 matrices, into %t, with %p: i64[] and %x: f32[2, 1].
RunResult run_on(const Sequence &s, const std::string &body, double position = 0) {
  const std::string text = "graph @g stage canonical {\n  main(%d: i64[n, 2], %v: f32[t], %p: i64[], %x: f32[2, 1]) {\n"
                           "    %s = container_make %d, %v : seq<f32[?0, ?1]>\n    " +
                           body +
                           "\n    %e, %w = container_parts %t : i64[?8, 2], f32[?9]\n"
                           "    yield %e as \"dims\", %w as \"data\"\n  }\n}\n";
  return run(text, {all_dims(s), all_data(s), {position}, {50, 51}},
             {static_cast<int64_t>(s.size()), static_cast<int64_t>(all_data(s).size())});
}

const Sequence kFour = {{{1, 2}, {1, 2}}, {{2, 2}, {3, 4, 5, 6}}, {{0, 3}, {}}, {{1, 1}, {7}}};
const Element kX = {{2, 1}, {50, 51}};

} // namespace

TEST(Sequences, InsertAtAnyPosition) {
  const std::string insert = "%t = sequence_insert %s, %x, %p : seq<f32[?2, ?3]>";
  for (const int p : {-4, -1, 0, 2, 4}) {
    Sequence want = kFour;
    want.insert(want.begin() + (p < 0 ? p + 4 : p), kX);
    const RunResult result = run_on(kFour, insert, p);
    EXPECT_EQ(result.status, 0) << p;
    EXPECT_EQ(sequence_of(result), want) << p;
  }
  EXPECT_EQ(sequence_of(run_on({}, insert, 0)), Sequence{kX});
  for (const double p : {5.0, -5.0, 9e15}) EXPECT_NE(run_on(kFour, insert, p).status, 0) << p;
  EXPECT_NE(run_on({}, insert, 1).status, 0);
  Sequence longer = kFour;
  longer.push_back(kX);
  EXPECT_EQ(sequence_of(run_on(kFour, "%t = sequence_insert %s, %x : seq<f32[?2, ?3]>")), longer);
}

TEST(Sequences, EraseAtAnyPosition) {
  const std::string erase = "%t = sequence_erase %s, %p : seq<f32[?0, ?1]>";
  for (const int p : {-4, 0, 2, 3}) {
    Sequence want = kFour;
    want.erase(want.begin() + (p < 0 ? p + 4 : p));
    const RunResult result = run_on(kFour, erase, p);
    EXPECT_EQ(result.status, 0) << p;
    EXPECT_EQ(sequence_of(result), want) << p;
  }
  EXPECT_EQ(sequence_of(run_on({kX}, erase, 0)), Sequence{});
  for (const double p : {4.0, -5.0, 9e15}) EXPECT_NE(run_on(kFour, erase, p).status, 0) << p;
  EXPECT_NE(run_on({}, erase, 0).status, 0);
  EXPECT_NE(run_on({}, "%t = sequence_erase %s : seq<f32[?0, ?1]>").status, 0);
  EXPECT_EQ(sequence_of(run_on({kFour[0], kX}, "%t = sequence_erase %s : seq<f32[?0, ?1]>")), Sequence{kFour[0]});
}

TEST(Sequences, TakenOutAndPutInAgain) {
  const std::string at = "%y = sequence_at %s, %p : f32[?4, ?5]\n    %t = sequence_construct %y, %y : seq<f32[?4, ?5]>";
  for (const int p : {-4, -3, 2, 3}) {
    const Element want = kFour[static_cast<size_t>(p < 0 ? p + 4 : p)];
    EXPECT_EQ(sequence_of(run_on(kFour, at, p)), (Sequence{want, want})) << p;
  }
  for (const double p : {4.0, -5.0, 9e15}) EXPECT_NE(run_on(kFour, at, p).status, 0) << p;
  EXPECT_NE(run_on({}, at, 0).status, 0);
}

TEST(Sequences, ElementsOfAFixedShapeAreRows) {
  const std::string text = "graph @g stage canonical {\n  main(%d: i64[n, 1], %v: i64[t], %p: i64[]) {\n"
                           "    %s = container_make %d, %v : seq<i64[3]>\n    %y = sequence_at %s, %p : i64[3]\n"
                           "    %n = sequence_length %s : i64[]\n    yield %y as \"y\", %n as \"n\"\n  }\n}\n";
  const RunResult result = run(text, {{3, 3}, {1, 2, 3, 4, 5, 6}, {-1}}, {2, 6});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.outputs.at(0), (Values{4, 5, 6}));
  EXPECT_EQ(result.outputs.at(1), Values{2});
  EXPECT_NE(run(text, {{3, 2}, {1, 2, 3, 4, 5}, {0}}, {2, 5}).status, 0) << "another shape than the model's";
}

TEST(Sequences, PartsFromOutsideMustFitTogether) {
  const std::string same = "%t = sequence_erase %s : seq<f32[?0, ?1]>"; // reads all of it
  auto status = [&](const Values &dims, int64_t total) {
    return run_on({{dims, Values(static_cast<size_t>(total))}}, same).status;
  };
  EXPECT_EQ(status({2, 3}, 6), 0);
  EXPECT_EQ(status({0, 2147483647}, 0), 0);
  EXPECT_NE(status({2, 3}, 5), 0);
  EXPECT_NE(status({2, 3}, 7), 0);
  EXPECT_NE(status({-2, -3}, 6), 0);
  EXPECT_NE(status({4294967296, 4294967296}, 0), 0) << "the product is 0 in 64 bits";
  EXPECT_NE(status({0, 2147483648}, 0), 0);
  EXPECT_NE(status({2147483648, 8589934592}, 0), 0);
}

TEST(Sequences, ElementsOfAnyRank) {
  // f32[*]: %s has ranks; a matrix is put in front, then all are told.
  const std::string text =
      "graph @g stage canonical {\n  main(%d: i64[n, 8], %v: f32[t], %r: i64[n], %x: f32[2, 1]) {\n"
      "    %zero = constant i64[] [0]\n"
      "    %s = container_make %d, %v, %r : seq<f32[*]>\n"
      "    %u = sequence_insert %s, %x, %zero : seq<f32[*]>\n"
      "    %e, %w, %q = container_parts %u : i64[?1, 8], f32[?2], i64[?1]\n"
      "    yield %e as \"dims\", %w as \"data\", %q as \"ranks\"\n  }\n}\n";
  auto of_ranks = [&](Values ranks, Values dims, Values data) {
    return run(text, {dims, data, ranks, {8, 9}},
               {static_cast<int64_t>(ranks.size()), static_cast<int64_t>(data.size())});
  };
  const RunResult result = of_ranks({0, 1}, {-7, 0, 5, 5, 5, 5, 5, 5, 2, -1, 0, 0, 0, 0, 0, 0}, {1, 2, 3});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.outputs.at(2), (Values{2, 0, 1}));
  EXPECT_EQ(result.outputs.at(1), (Values{8, 9, 1, 2, 3}));
  EXPECT_EQ(result.outputs.at(0), (Values{2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1}));
  EXPECT_NE(of_ranks({9}, {1, 1, 1, 1, 1, 1, 1, 1}, {1}).status, 0);
  EXPECT_NE(of_ranks({-1}, {1, 1, 1, 1, 1, 1, 1, 1}, {1}).status, 0);
  EXPECT_NE(of_ranks({2}, {1, 2, 1, 1, 1, 1, 1, 1}, {1}).status, 0);
}

namespace {

RunResult split(const std::string &how, const Values &sizes, const std::string &sizes_type, const std::string &element,
                int axis, int rank) {
  const std::string text = "graph @g stage canonical {\n  main(%x: f32[2, 5], %z: " + sizes_type +
                           ") {\n    %s = sequence_split %x" + how + " {axis = " + std::to_string(axis) +
                           ", keepdims = " + (rank == 2 ? "true" : "false") + "} : seq<f32" + element +
                           ">\n    %e, %w = container_parts %s : i64[?8, " + std::to_string(rank) +
                           "], f32[?9]\n    yield %e as \"dims\", %w as \"data\"\n  }\n}\n";
  return run(text, {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, sizes});
}

} // namespace

TEST(Sequences, SplitBySizesOfTheRun) {
  auto columns = [](const Values &sizes) { return split(", %z", sizes, "i64[3]", "[2, ?0]", 1, 2); };
  EXPECT_EQ(sequence_of(columns({1, 0, 4})),
            (Sequence{{{2, 1}, {0, 5}}, {{2, 0}, {}}, {{2, 4}, {1, 2, 3, 4, 6, 7, 8, 9}}}));
  EXPECT_EQ(sequence_of(columns({2, 2, 1})),
            (Sequence{{{2, 2}, {0, 1, 5, 6}}, {{2, 2}, {2, 3, 7, 8}}, {{2, 1}, {4, 9}}}));
  for (const Values &wrong : {Values{2, 2, 2}, Values{6, -1, 0}, Values{5, 5, -5}, Values{9e18, 9e18, 5}})
    EXPECT_NE(columns(wrong).status, 0) << wrong[0];
  const RunResult rows = split(", %z", {1, 1, 0}, "i64[3]", "[?0, 5]", 0, 2);
  EXPECT_EQ(sequence_of(rows), (Sequence{{{1, 5}, {0, 1, 2, 3, 4}}, {{1, 5}, {5, 6, 7, 8, 9}}, {{0, 5}, {}}}));
}

TEST(Sequences, SplitIntoPartsOfOneSize) {
  auto columns = [](double size) { return split(", %z", {size}, "i64[]", "[2, ?0]", 1, 2); };
  EXPECT_EQ(sequence_of(columns(2)), (Sequence{{{2, 2}, {0, 1, 5, 6}}, {{2, 2}, {2, 3, 7, 8}}, {{2, 1}, {4, 9}}}));
  EXPECT_EQ(sequence_of(columns(9)), (Sequence{{{2, 5}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}}}));
  EXPECT_NE(columns(0).status, 0);
  EXPECT_NE(columns(-1).status, 0);
  EXPECT_EQ(sequence_of(split("", {1}, "i64[]", "[2]", 1, 1)),
            (Sequence{{{2}, {0, 5}}, {{2}, {1, 6}}, {{2}, {2, 7}}, {{2}, {3, 8}}, {{2}, {4, 9}}}));
}

TEST(Sequences, ConcatAlongEachAxis) {
  auto concat = [](const Sequence &s, int axis, bool new_axis) {
    const std::string type = new_axis ? "f32[?4, ?5, ?6]" : "f32[?4, ?5]";
    const std::string text = "graph @g stage canonical {\n  main(%d: i64[n, 2], %v: f32[t]) {\n"
                             "    %s = container_make %d, %v : seq<f32[?0, ?1]>\n    %y = sequence_concat %s {axis = " +
                             std::to_string(axis) + ", new_axis = " + (new_axis ? "true" : "false") + "} : " + type +
                             "\n    yield %y as \"y\"\n  }\n}\n";
    return run(text, {all_dims(s), all_data(s)},
               {static_cast<int64_t>(s.size()), static_cast<int64_t>(all_data(s).size())});
  };
  const Sequence wide = {{{2, 1}, {1, 2}}, {{2, 0}, {}}, {{2, 3}, {3, 4, 5, 6, 7, 8}}};
  RunResult r = concat(wide, 1, false);
  EXPECT_EQ(r.dims.at(0), (std::vector<int64_t>{2, 4}));
  EXPECT_EQ(r.outputs.at(0), (Values{1, 3, 4, 5, 2, 6, 7, 8}));
  EXPECT_NE(concat(wide, 0, false).status, 0) << "the elements differ in the other extent";
  EXPECT_NE(concat(wide, 1, true).status, 0);
  EXPECT_NE(concat({}, 1, false).status, 0);
  const Sequence tall = {{{1, 2}, {1, 2}}, {{2, 2}, {3, 4, 5, 6}}};
  r = concat(tall, 0, false);
  EXPECT_EQ(r.dims.at(0), (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(r.outputs.at(0), (Values{1, 2, 3, 4, 5, 6}));
  const Sequence alike = {{{1, 2}, {1, 2}}, {{1, 2}, {3, 4}}, {{1, 2}, {5, 6}}};
  r = concat(alike, 2, true);
  EXPECT_EQ(r.dims.at(0), (std::vector<int64_t>{1, 2, 3}));
  EXPECT_EQ(r.outputs.at(0), (Values{1, 3, 5, 2, 4, 6}));
  r = concat(alike, 0, true);
  EXPECT_EQ(r.dims.at(0), (std::vector<int64_t>{3, 1, 2}));
  EXPECT_EQ(r.outputs.at(0), (Values{1, 2, 3, 4, 5, 6}));
}

TEST(Sequences, OptionalsOfTensors) {
  const std::string text = "graph @g stage canonical {\n  main(%d: i64[n, 1], %v: f32[t]) {\n"
                           "    %o = container_make %d, %v : opt<f32[?0]>\n    %h = optional_has %o : bool[]\n"
                           "    yield %h as \"h\"\n  }\n}\n";
  EXPECT_EQ(run(text, {{3}, {1, 2, 3}}, {1, 3}).outputs.at(0), Values{1});
  EXPECT_EQ(run(text, {{}, {}}, {0, 0}).outputs.at(0), Values{0});
  EXPECT_NE(run(text, {{1, 1}, {1, 2}}, {2, 2}).status, 0) << "two elements";
  const std::string get = "graph @g stage canonical {\n  main(%d: i64[n, 1], %v: f32[t]) {\n"
                          "    %o = container_make %d, %v : opt<f32[?0]>\n    %y = optional_get %o : f32[?1]\n"
                          "    yield %y as \"y\"\n  }\n}\n";
  EXPECT_EQ(run(get, {{3}, {1, 2, 3}}, {1, 3}).outputs.at(0), (Values{1, 2, 3}));
  EXPECT_NE(run(get, {{}, {}}, {0, 0}).status, 0);
}

TEST(Sequences, OptionalsOfSequencesThroughBranches) {
  // The sequence where there is one, else one of x.
  const std::string text =
      "graph @g stage canonical {\n  main(%d: i64[n, 1], %v: f32[t], %b: bool[], %x: f32[2]) {\n"
      "    %o = container_make %d, %v, %b : opt<seq<f32[?0]>>\n    %h = optional_has %o : bool[]\n"
      "    %t = if %h : seq<f32[?2]> () {\n      %s = optional_get %o : seq<f32[?1]>\n      yield %s\n"
      "    } () {\n      %c = sequence_construct %x : seq<f32[2]>\n      yield %c\n    }\n"
      "    %e, %w = container_parts %t : i64[?8, 1], f32[?9]\n"
      "    yield %e as \"dims\", %w as \"data\"\n  }\n}\n";
  EXPECT_EQ(sequence_of(run(text, {{1, 3}, {1, 2, 3, 4}, {1}, {8, 9}}, {2, 4})),
            (Sequence{{{1}, {1}}, {{3}, {2, 3, 4}}}));
  EXPECT_EQ(sequence_of(run(text, {{}, {}, {1}, {8, 9}}, {0, 0})), Sequence{});
  EXPECT_EQ(sequence_of(run(text, {{}, {}, {0}, {8, 9}}, {0, 0})), (Sequence{{{2}, {8, 9}}}));
}

TEST(Sequences, ALoopCollectsElementsOfItsOwnSizes) {
  // Iteration i appends the first i elements of x to the sequence that it was given.
  const std::string text =
      "graph @g stage canonical {\n  main(%d: i64[n, 1], %v: f32[t], %k: i64[], %x: f32[4]) {\n"
      "    %s = container_make %d, %v : seq<f32[?0]>\n"
      "    %t = loop %k, _, %s : seq<f32[?4]> (%i: i64[], %c: bool[], %a: seq<f32[?1]>) {\n"
      "      %from = constant i64[1] [0]\n      %to = reshape %i : i64[1]\n      %step = constant i64[1] [1]\n"
      "      %y = slice %x, %from, %to, %step {axes = [0]} : f32[?2]\n"
      "      %b = sequence_insert %a, %y : seq<f32[?3]>\n      yield %c, %b\n    }\n"
      "    %e, %w = container_parts %t : i64[?8, 1], f32[?9]\n    yield %e as \"dims\", %w as \"data\"\n  }\n}\n";
  const Sequence start = {{{2}, {8, 9}}};
  auto after = [&](double k) { return sequence_of(run(text, {{2}, {8, 9}, {k}, {1, 2, 3, 4}}, {1, 2})); };
  EXPECT_EQ(after(0), start);
  EXPECT_EQ(after(1), (Sequence{start[0], {{0}, {}}}));
  EXPECT_EQ(after(4), (Sequence{start[0], {{0}, {}}, {{1}, {1}}, {{2}, {1, 2}}, {{3}, {1, 2, 3}}}));
}

} // namespace cameo::passes
