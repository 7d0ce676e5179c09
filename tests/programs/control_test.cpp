// Branches, loops and run-time extents as programs, against plain C++ under every decision of the planner.
#include "program_runner.h"

#include "cameo/abi.h"

namespace cameo::passes {
namespace {

// What run_graph gives with each decision undone, and with functions of few steps.
void check_all(const std::string &text, const std::vector<Values> &inputs, const std::vector<Values> &want,
               const std::vector<std::vector<int64_t>> &dims, const std::vector<int64_t> &symbols = {}) {
  const graph::Graph graph = parse_graph(text);
  std::map<std::string, ProgramOptions> variants;
  variants["default"];
  variants["no views"].plan.views = false;
  variants["no in-place"].plan.in_place = false;
  variants["no in-place, no views"].plan.in_place = false;
  variants["no in-place, no views"].plan.views = false;
  variants["functions of one step"].calls_per_function = 1;
  variants["functions of three steps"].calls_per_function = 3;
  for (const auto &[name, options] : variants) {
    const RunResult result = run_graph(graph, inputs, options, symbols);
    EXPECT_EQ(result.status, 0) << name;
    EXPECT_EQ(result.leaked, 0u) << name;
    ASSERT_EQ(result.outputs.size(), want.size()) << name;
    for (size_t i = 0; i < want.size(); ++i) {
      EXPECT_EQ(result.dims[i], dims[i]) << name << ": output " << i;
      expect_near(result.outputs[i], want[i], 1e-6, name + ": output " + std::to_string(i));
    }
  }
}

Values map(const Values &x, double (*f)(double)) {
  Values y;
  for (double v : x) y.push_back(f(v));
  return y;
}

double neg(double v) { return -v; }

} // namespace

// ---- branches

constexpr const char *kBranch = R"(graph @g stage canonical {
  main(%c: bool[], %x: f32[6], %k: f32[6]) {
    %y, %z = if %c : f32[6], f32[6] () {
      %a = neg %x : f32[6]
      %b = add %a, %k : f32[6]
      yield %a, %b
    } () {
      %d = constant f32[6] [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
      yield %d, %x
    }
    %s = add %y, %z : f32[6]
    yield %s as "s", %y as "y"
  }
})";

TEST(Control, ABranchRunsAndItsResultsAreTheSameValues) {
  const Values x = some(6, 1), k = some(6, 2);
  Values a = map(x, neg), s;
  for (size_t i = 0; i < 6; ++i) s.push_back(a[i] + (a[i] + k[i]));
  check_all(kBranch, {{1}, x, k}, {s, a}, {{6}, {6}});
  const Values d{1, 2, 3, 4, 5, 6};
  s.clear();
  for (size_t i = 0; i < 6; ++i) s.push_back(d[i] + x[i]);
  check_all(kBranch, {{0}, x, k}, {s, d}, {{6}, {6}});
}

// ---- loops

TEST(Control, ALoopCarriesStacksAndCounts) {
  // a' = a + b, b' = a (the values change places), slices of both, the number of the iteration.
  const std::string text = R"(graph @g stage canonical {
  main(%n: i64[], %x: f32[3], %z: f32[3]) {
    %a, %b, %s, %t = loop %n, _, %x, %z : f32[3], f32[3], f32[?0, 3], f32[?1] (%i: i64[], %c: bool[], %u: f32[3], %v: f32[3]) {
      %w = add %u, %v : f32[3]
      %f = cast %i {saturate = false} : f32[]
      yield %c, %w, %u, %v, %f
    }
    yield %a as "a", %b as "b", %s as "s", %t as "t"
  }
})";
  for (int64_t n : {0, 1, 4}) {
    Values a = some(3, 1), b = some(3, 2), stack, count;
    const std::vector<Values> inputs{{double(n)}, a, b};
    for (int64_t i = 0; i < n; ++i) {
      stack.insert(stack.end(), b.begin(), b.end());
      count.push_back(double(i));
      Values next;
      for (size_t j = 0; j < 3; ++j) next.push_back(a[j] + b[j]);
      b = std::exchange(a, next);
    }
    check_all(text, inputs, {a, b, stack, count}, {{3}, {3}, {n, 3}, {n}});
  }
}

TEST(Control, AConditionEndsALoop) {
  // Doubles until the first element is above 10; the bound of the stacked values comes from the input's extent.
  const std::string text = R"(graph @g stage canonical {
  symbol ?0 in [0, m]
  main(%x: f32[2], %z: f32[m]) {
    %d = dims {values = [m]} : i64[1]
    %n = reshape %d : i64[]
    %y, %s = loop %n, _, %x : f32[2], f32[?0, 2] (%i: i64[], %c: bool[], %u: f32[2]) {
      %w = add %u, %u : f32[2]
      %f = slice %w {axes = [0], starts = [0], steps = [1]} : f32[1]
      %g = reshape %f : f32[]
      %ten = constant f32[] [10.0]
      %go = less %g, %ten : bool[]
      yield %go, %w, %w
    }
    yield %y as "y", %s as "s"
  }
})";
  check_all(text, {{1, 3}, some(9, 1)}, {{16, 48}, {2, 6, 4, 12, 8, 24, 16, 48}}, {{2}, {4, 2}}, {9});
  check_all(text, {{1, 3}, some(2, 1)}, {{4, 12}, {2, 6, 4, 12}}, {{2}, {2, 2}}, {2});
  const RunResult r = run_graph(parse_graph(text), {{1, 3}, some(9, 1)}, {}, {9});
  for (const BufferPlan &b : r.program.variants[0].plan.buffers)
    EXPECT_NE(b.space, BufferPlan::Space::grown) << "every size has a bound";
}

TEST(Control, LoopsNestAndKeepWhatIsOutsideAlive) {
  // y = x; 3 times: (z = 0; 2 times: z += y * k); y = z + x. Every value that the inner loop reads is used behind it as
  // well.
  const std::string text = R"(graph @g stage canonical {
  main(%x: f32[4], %k: f32[4]) {
    %three = constant i64[] [3]
    %two = constant i64[] [2]
    %q = neg %k : f32[4]
    %y = loop %three, _, %x : f32[4] (%i: i64[], %c: bool[], %u: f32[4]) {
      %zero = constant f32[4] [0.0, 0.0, 0.0, 0.0]
      %m = mul %u, %q : f32[4]
      %r = loop %two, _, %zero : f32[4] (%j: i64[], %d: bool[], %v: f32[4]) {
        %w = add %v, %m : f32[4]
        yield %d, %w
      }
      %p = add %r, %x : f32[4]
      yield %c, %p
    }
    %e = mul %y, %q : f32[4]
    yield %e as "e"
  }
})";
  const Values x = some(4, 1), k = some(4, 2);
  Values y = x, want;
  for (int i = 0; i < 3; ++i)
    for (size_t j = 0; j < 4; ++j) y[j] = 2 * (y[j] * -k[j]) + x[j];
  for (size_t j = 0; j < 4; ++j) want.push_back(y[j] * -k[j]);
  check_all(text, {x, k}, {want}, {{4}});
}

TEST(Control, AnEndlessLoopIsStopped) {
  const std::string text = R"(graph @g stage canonical {
  main(%x: i32[]) {
    %y = loop _, _, %x : i32[] (%i: i64[], %c: bool[], %u: i32[]) {
      yield %c, %u
    }
    yield %y as "y"
  }
})";
  EXPECT_EQ(run_graph(parse_graph(text), {{1}}).status, CAMEO_LIMIT_EXCEEDED);
}

// ---- extents of the run

TEST(Control, AShapeFromAnInput) {
  const std::string text = R"(graph @g stage canonical {
  main(%x: f32[12], %s: i64[2]) {
    %y = reshape %x, %s : f32[?0, ?1]
    %p = transpose %y {perm = [1, 0]} : f32[?1, ?0]
    %z = neg %p : f32[?1, ?0]
    yield %z as "z"
  }
})";
  const Values x = some(12, 1);
  for (auto [a, b] : {std::pair<int64_t, int64_t>{3, 4}, {12, 1}, {1, 12}}) {
    Values want;
    for (int64_t j = 0; j < b; ++j)
      for (int64_t i = 0; i < a; ++i) want.push_back(-x[size_t(i * b + j)]);
    check_all(text, {x, {double(a), double(b)}}, {want}, {{b, a}});
  }
  const graph::Graph graph = parse_graph(text);
  EXPECT_EQ(run_graph(graph, {x, {3, 5}}).status, CAMEO_SHAPE_MISMATCH);
  EXPECT_EQ(run_graph(graph, {x, {-3, -4}}).status, CAMEO_SHAPE_MISMATCH);
  EXPECT_NE(run_graph(graph, {x, {1e12, 1e12}}).status, 0);
  // 2^32 * 2^32 wraps to 0.
  EXPECT_NE(run_graph(parse_graph(R"(graph @g stage canonical {
  main(%x: f32[0], %s: i64[2]) {
    %y = reshape %x, %s : f32[?0, ?1]
    yield %y as "y"
  }
})"),
                      {{}, {4294967296.0, 4294967296.0}})
                .status,
            0);
  // Too little room: the dims say what is needed.
  const RunResult small = run_graph(graph, {x, {3, 4}}, {}, {}, 47);
  EXPECT_EQ(small.status, 0);
  EXPECT_EQ(small.dims[0], (std::vector<int64_t>{4, 3}));
}

TEST(Control, RangeSliceAndBroadcastOfTheRun) {
  const std::string text = R"(graph @g stage canonical {
  main(%a: i64[], %b: i64[], %d: i64[], %from: i64[1], %to: i64[1]) {
    %r = range %a, %b, %d : i64[?0]
    %s = slice %r, %from, %to {axes = [0]} : i64[?1]
    %o = constant i64[1] [1]
    %t = add %s, %o : i64[?1]
    yield %r as "r", %t as "t"
  }
})";
  check_all(text, {{2}, {11}, {3}, {-2}, {100}}, {{2, 5, 8}, {6, 9}}, {{3}, {2}});
  check_all(text, {{5}, {5}, {1}, {0}, {3}}, {{}, {}}, {{0}, {0}});
  check_all(text, {{3}, {-4}, {-2}, {1}, {3}}, {{3, 1, -1, -3}, {2, 0}}, {{4}, {2}});
  EXPECT_EQ(run_graph(parse_graph(text), {{2}, {11}, {0}, {0}, {1}}).status, CAMEO_SHAPE_MISMATCH);
  EXPECT_EQ(run_graph(parse_graph(text), {{2}, {11}, {1}, {0}, {1}}, {}, {}, 1 << 16, 16).status, CAMEO_OUT_OF_MEMORY);
  EXPECT_NE(run_graph(parse_graph(text), {{0}, {1e18}, {1}, {0}, {1}}).status, 0);
}

TEST(Control, NonzeroCountsAndGathers) {
  const std::string text = R"(graph @g stage canonical {
  symbol ?0 in [0, 3*n]
  main(%x: f32[n, 3]) {
    %y = nonzero %x : i64[2, ?0]
    %f = cast %y {saturate = false} : f32[2, ?0]
    yield %y as "y", %f as "f"
  }
})";
  const Values x{0, 1, 0, 2, 0, 3}, want{0, 1, 1, 1, 0, 2};
  check_all(text, {x}, {want, want}, {{2, 3}, {2, 3}}, {2});
  check_all(text, {Values(9, 0)}, {{}, {}}, {{2, 0}, {2, 0}}, {3});
  check_all(text, {{}}, {{}, {}}, {{2, 0}, {2, 0}}, {0});
}

TEST(Control, ExtentsThatDoNotBroadcastAreRefused) {
  const graph::Graph graph = parse_graph(R"(graph @g stage canonical {
  main(%x: f32[a], %y: f32[b]) {
    %z = add %x, %y : f32[max(a, b)]
    yield %z as "z"
  }
})");
  EXPECT_EQ(run_graph(graph, {{1, 2}, {3, 4}}, {}, {2, 2}).outputs[0], (Values{4, 6}));
  EXPECT_EQ(run_graph(graph, {{1, 2}, {3}}, {}, {2, 1}).outputs[0], (Values{4, 5}));
  EXPECT_EQ(run_graph(graph, {{1, 2}, {3, 4, 5}}, {}, {2, 3}).status, CAMEO_SHAPE_MISMATCH);
}

TEST(Control, BranchesOfDifferentExtents) {
  const std::string text = R"(graph @g stage canonical {
  symbol ?0 in [0, 5]
  main(%c: bool[], %x: f32[3], %y: f32[5]) {
    %z = if %c : f32[?0] () {
      %a = neg %x : f32[3]
      yield %a
    } () {
      yield %y
    }
    %w = relu %z : f32[?0]
    yield %w as "w"
  }
})";
  check_all(text, {{1}, {-1, 2, -3}, {1, 2, 3, 4, 5}}, {{1, 0, 3}}, {{3}});
  check_all(text, {{0}, {-1, 2, -3}, {1, -2, 3, 4, 5}}, {{1, 0, 3, 4, 5}}, {{5}});
}

TEST(Control, ACarriedValueGrows) {
  // A concatenation in each iteration; slices of an extent of the run.
  const std::string text = R"(graph @g stage canonical {
  main(%n: i64[], %x: f32[2]) {
    %y = loop %n, _, %x : f32[?1] (%i: i64[], %c: bool[], %u: f32[?0]) {
      %w = concat %u, %x {axis = 0} : f32[?0 + 2]
      yield %c, %w
    }
    %z = neg %y : f32[?1]
    yield %z as "z"
  }
})";
  for (int64_t n : {0, 1, 2, 17}) {
    Values want;
    for (int64_t i = 0; i <= n; ++i) want.insert(want.end(), {-1, -2});
    check_all(text, {{double(n)}, {1, 2}}, {want}, {{2 + 2 * n}});
  }
}

TEST(Control, StackedSlicesWithoutABound) {
  const std::string text = R"(graph @g stage canonical {
  main(%n: i64[], %x: f32[6], %s: i64[2]) {
    %m = reshape %x, %s : f32[?0, ?1]
    %y = loop %n, _ : f32[?2, ?3, ?4] (%i: i64[], %c: bool[]) {
      %f = cast %i {saturate = false} : f32[]
      %v = add %m, %f : f32[?0, ?1]
      yield %c, %v
    }
    yield %y as "y"
  }
})";
  const Values x = some(6, 1);
  for (int64_t n : {1, 2, 9}) {
    Values want;
    for (int64_t i = 0; i < n; ++i)
      for (double v : x) want.push_back(v + double(i));
    check_all(text, {{double(n)}, x, {2, 3}}, {want}, {{n, 2, 3}});
  }
  check_all(text, {{0}, x, {2, 3}}, {{}}, {{0, 0, 0}});
}

TEST(Control, AFailedCheckEndsTheRun) {
  const graph::Graph graph = parse_graph(R"(graph @g stage canonical {
  main(%c: bool[], %x: f32[3]) {
    check %c {message = "m"}
    %y = neg %x : f32[3]
    yield %y as "y"
  }
})");
  EXPECT_EQ(run_graph(graph, {{1}, {1, 2, 3}}).outputs[0], (Values{-1, -2, -3}));
  EXPECT_EQ(run_graph(graph, {{0}, {1, 2, 3}}).status, CAMEO_SHAPE_MISMATCH);
}

} // namespace cameo::passes
