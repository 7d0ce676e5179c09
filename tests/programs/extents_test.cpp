// Extents that are no sizes: negative ones and products that no memory has are a status of the run, whatever computed
// them; those of what does not run hurt nobody.
#include "program_runner.h"

#include "cameo/abi.h"

namespace cameo::passes {
namespace {

// The status under every decision of the planner; outputs as wanted where it is 0.
void check_status(const std::string &text, const std::vector<Values> &inputs, int status,
                  const std::vector<Values> &want = {}, const std::vector<int64_t> &symbols = {}) {
  const graph::Graph graph = parse_graph(text);
  std::map<std::string, ProgramOptions> variants;
  variants["default"];
  variants["no views"].plan.views = false;
  variants["no in-place"].plan.in_place = false;
  variants["functions of one step"].calls_per_function = 1;
  for (const auto &[name, options] : variants) {
    const RunResult result = run_graph(graph, inputs, options, symbols, 1 << 16, int64_t{1} << 30);
    EXPECT_EQ(result.status, status) << name;
    if (status != 0) continue;
    EXPECT_EQ(result.leaked, 0u) << name; // the runtime releases what a failed run leaves
    ASSERT_EQ(result.outputs.size(), want.size()) << name;
    for (size_t i = 0; i < want.size(); ++i) expect_near(result.outputs[i], want[i], 1e-6, name);
  }
}

// The part of the whole that %a is begins in front of it when ?0 is small, and %b with it.
constexpr const char *kDifference = R"(graph @g stage canonical {
  symbol ?0 in [0, 64]
  main(%x: f32[64], %from: i64[1], %to: i64[1]) {
    %s = slice %x, %from, %to {axes = [0]} : f32[?0]
    %b = neg %x : f32[64]
    %w = slice %s {axes = [0], starts = [1], steps = [1]} : f32[?0 - 40]
    %a = relu %w : f32[?0 - 40]
    %c = concat %a, %b {axis = 0} : f32[?0 + 24]
    yield %c as "c"
  }
})";

TEST(Extents, ADifferenceOfTheRunThatIsNegativeIsAStatus) {
  Values x(64), minus;
  for (size_t i = 0; i < 64; ++i) x[i] = double(i);
  for (double v : x) minus.push_back(-v);
  for (double end : {0, 1, 2, 39}) check_status(kDifference, {x, {0}, {end}}, CAMEO_SHAPE_MISMATCH);
  check_status(kDifference, {x, {0}, {40}}, 0, {minus});
  Values want{1, 2, 3};
  want.insert(want.end(), minus.begin(), minus.end());
  check_status(kDifference, {x, {0}, {43}}, 0, {want});
}

TEST(Extents, ADifferenceWithoutABoundIsAStatusToo) {
  const std::string text = R"(graph @g stage canonical {
  main(%n: i64[], %m: i64[], %x: f32[4]) {
    %z = constant i64[] [0]
    %o = constant i64[] [1]
    %r = range %z, %n, %o : i64[?0]
    %q = range %z, %m, %o : i64[?1]
    %b = neg %r : i64[?0]
    %w = slice %b {axes = [0], starts = [0], steps = [1]} : i64[?0 - ?1]
    %a = neg %w : i64[?0 - ?1]
    %c = concat %a, %q {axis = 0} : i64[?0]
    yield %c as "c"
  }
})";
  const Values x(4, 1);
  check_status(text, {{3}, {1}, x}, 0, {{0, 1, 0}});
  check_status(text, {{3}, {3}, x}, 0, {{0, 1, 2}});
  check_status(text, {{3}, {4}, x}, CAMEO_SHAPE_MISMATCH);
  check_status(text, {{0}, {9999}, x}, CAMEO_SHAPE_MISMATCH);
}

// The tensor in the middle has no memory: it is fused into the sum.
TEST(Extents, AProductThatNoMemoryHasIsAStatus) {
  const std::string text = R"(graph @g stage canonical {
  main(%x: f32[1], %s: i64[3]) {
    %y = broadcast %x, %s : f32[?0, ?1, ?2]
    %z = reduce %y {axes = [0, 1, 2], fn = sum, keepdims = false} : f32[]
    yield %z as "z"
  }
})";
  check_status(text, {{0.5}, {2, 3, 4}}, 0, {{12}});
  check_status(text, {{0.5}, {2, 0, 4}}, 0, {{0}});
  const double big = INT32_MAX;
  check_status(text, {{0.5}, {big, big, 1}}, CAMEO_LIMIT_EXCEEDED);
  check_status(text, {{0.5}, {big, big, big}}, CAMEO_LIMIT_EXCEEDED);
  check_status(text, {{0.5}, {double(1 << 22), double(1 << 21), double(1 << 21)}}, CAMEO_LIMIT_EXCEEDED); // 2^64
  check_status(text, {{0.5}, {-1, 1, 1}}, CAMEO_SHAPE_MISMATCH);
}

TEST(Extents, AnExtentThatIsAProductIsCheckedBeforeItWraps) {
  const std::string text = R"(graph @g stage canonical {
  main(%x: f32[1], %s: i64[3]) {
    %y = broadcast %x, %s : f32[?0, ?1, ?2]
    %r = reshape %y : f32[?0*?1*?2]
    %c = concat %r, %x {axis = 0} : f32[?0*?1*?2 + 1]
    yield %c as "c"
  }
})";
  check_status(text, {{0.5}, {1, 2, 2}}, 0, {{0.5, 0.5, 0.5, 0.5, 0.5}});
  const double big = INT32_MAX;
  check_status(text, {{0.5}, {big, big, big}}, CAMEO_LIMIT_EXCEEDED);
  check_status(text, {{0.5}, {double(1 << 22), double(1 << 21), double(1 << 21)}}, CAMEO_LIMIT_EXCEEDED);
}

// Tensors of n - 5000 elements: in the branch that is not taken they must refuse nothing and move nothing.
constexpr const char *kBranch = R"(graph @g stage canonical {
  main(%c: bool[], %x: f32[n]) {
    %u = cumulative %x {axis = 0, exclusive = false, fn = sum, reverse = false} : f32[n]
    %y = if %c : f32[] () {
      %w = slice %x {axes = [0], starts = [0], steps = [1]} : f32[n - 5000]
      %d = cumulative %w {axis = 0, exclusive = false, fn = sum, reverse = false} : f32[n - 5000]
      %e = cumulative %d {axis = 0, exclusive = false, fn = sum, reverse = false} : f32[n - 5000]
      %f = mul %d, %e : f32[n - 5000]
      %s = reduce %f {axes = [0], fn = sum, keepdims = false} : f32[]
      yield %s
    } () {
      %t = reduce %x {axes = [0], fn = sum, keepdims = false} : f32[]
      yield %t
    }
    %z = mul %u, %y : f32[n]
    %v = cumulative %z {axis = 0, exclusive = false, fn = sum, reverse = false} : f32[n]
    %r = add %u, %v : f32[n]
    yield %r as "r"
  }
})";

TEST(Extents, ABranchThatIsNotTakenRefusesNothing) {
  check_status(kBranch, {{0}, {1, 2}}, 0, {{1 + 3, 3 + 3 + 9}}, {2}); // sums 1, 3; times 3: 3, 9; their sums 3, 12
  check_status(kBranch, {{1}, {1, 2}}, CAMEO_DIM_OUT_OF_RANGE, {}, {2});
  Values x(5001, 0), want;
  x[0] = 1;
  for (int i = 0; i < 5001; ++i) want.push_back(i + 2); // 1, and the sum of i + 1 ones
  check_status(kBranch, {{0}, x}, 0, {want}, {5001});
}

TEST(Extents, WhatALoopSkipsRefusesNothing) {
  const std::string text = R"(graph @g stage canonical {
  main(%k: i64[], %x: f32[n]) {
    %y = loop %k, _, %x : f32[n] (%i: i64[], %c: bool[], %u: f32[n]) {
      %w = slice %u {axes = [0], starts = [0], steps = [1]} : f32[n - 3]
      %s = reduce %w {axes = [0], fn = sum, keepdims = true} : f32[1]
      %v = add %u, %s : f32[n]
      yield %c, %v
    }
    yield %y as "y"
  }
})";
  check_status(text, {{0}, {1, 2}}, 0, {{1, 2}}, {2});
  check_status(text, {{1}, {1, 2}}, CAMEO_DIM_OUT_OF_RANGE, {}, {2});
  check_status(text, {{1}, {1, 2, 3, 4}}, 0, {{2, 3, 4, 5}}, {4});
}

// Index 0 is not inside of an empty tensor, though it is what indices are clamped to.
TEST(Extents, NothingLiesInsideOfAnEmptyTensor) {
  const std::string gather = R"(graph @g stage canonical {
  main(%x: f32[n, 100], %i: i64[2]) {
    %y = gather %x, %i {axis = 0} : f32[2, 100]
    yield %y as "y"
  }
})";
  check_status(gather, {{}, {0, 0}}, CAMEO_INDEX_OUT_OF_RANGE, {}, {0});
  const std::string scatter = R"(graph @g stage canonical {
  main(%x: f32[n], %i: i64[1], %u: f32[1]) {
    %a = neg %x : f32[n]
    %y = scatter_elements %a, %i, %u {axis = 0, reduction = none} : f32[n]
    %z = neg %y : f32[n]
    yield %z as "z"
  }
})";
  check_status(scatter, {{}, {0}, {7}}, CAMEO_INDEX_OUT_OF_RANGE, {}, {0});
  check_status(scatter, {{1}, {0}, {7}}, 0, {{-7}}, {1});
  for (const char *mode : {"constant", "edge"}) { // what nobody defines is 0, always the same
    const std::string pad = std::string(R"(graph @g stage canonical {
  main(%x: f32[n, 20]) {
    %a = neg %x : f32[n, 20]
    %y = pad %a {high = [1, 0], low = [2, 0], mode = )") +
                            mode + R"(} : f32[n + 3, 20]
    yield %y as "y"
  }
})";
    check_status(pad, {{}}, 0, {Values(60, 0)}, {0});
    if (mode[0] == 'e') check_status(pad, {Values(20, 1)}, 0, {Values(80, -1)}, {1});
  }
}

} // namespace
} // namespace cameo::passes
