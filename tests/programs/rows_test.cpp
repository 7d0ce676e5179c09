// Reductions, softmax, normalisations, movement and indexing against plain loops; symbolic extents.
#include "program_runner.h"

#include "cameo/passes/passes.h"

#include <numeric>

namespace cameo::passes {
namespace {

std::string graph_text(const std::string &arguments, const std::string &body,
                       const std::string &results = "%y as \"y\"") {
  return "graph @g stage canonical {\n  main(" + arguments + ") {\n" + body + "\n    yield " + results + "\n  }\n}\n";
}

// f over rows of `n` consecutive elements.
Values rows(const Values &x, size_t n, const std::function<Values(Values)> &f) {
  Values out;
  for (size_t i = 0; i < x.size(); i += n) {
    const Values row = f(Values(x.begin() + std::ptrdiff_t(i), x.begin() + std::ptrdiff_t(i + n)));
    out.insert(out.end(), row.begin(), row.end());
  }
  return out;
}

// x[a, b, c] to [c, a, b] order.
Values last_to_front(const Values &x, size_t rows, size_t columns) {
  Values y;
  for (size_t j = 0; j < columns; ++j)
    for (size_t i = 0; i < rows; ++i) y.push_back(x[i * columns + j]);
  return y;
}

Values softmax(Values v) {
  const double top = *std::max_element(v.begin(), v.end());
  double sum = 0;
  for (double &e : v) sum += e = std::exp(e - top);
  for (double &e : v) e /= sum;
  return v;
}

} // namespace

TEST(Rows, ReduceOverTheLastAxis) {
  const Values x = some(6 * 37, 1);
  const std::map<std::string, std::function<double(const Values &)>> functions = {
      {"sum", [](const Values &v) { return std::accumulate(v.begin(), v.end(), 0.0); }},
      {"mean", [](const Values &v) { return std::accumulate(v.begin(), v.end(), 0.0) / double(v.size()); }},
      {"max", [](const Values &v) { return *std::max_element(v.begin(), v.end()); }},
      {"min", [](const Values &v) { return *std::min_element(v.begin(), v.end()); }},
      {"l1",
       [](const Values &v) {
         return std::accumulate(v.begin(), v.end(), 0.0, [](double s, double e) { return s + std::abs(e); });
       }},
      {"l2", [](const Values &v) { return std::sqrt(std::inner_product(v.begin(), v.end(), v.begin(), 0.0)); }},
      {"sum_square", [](const Values &v) { return std::inner_product(v.begin(), v.end(), v.begin(), 0.0); }},
      {"log_sum_exp", [](const Values &v) {
         return std::log(std::accumulate(v.begin(), v.end(), 0.0, [](double s, double e) { return s + std::exp(e); }));
       }}};
  for (const auto &[fn, f] : functions) {
    SCOPED_TRACE(fn);
    const Values want = rows(x, 37, [&f = f](const Values &v) { return Values{f(v)}; });
    check_graph(
        graph_text("%x: f32[2, 3, 37]", "%y = reduce %x {axes = [2], fn = " + fn + ", keepdims = true} : f32[2, 3, 1]"),
        {x}, {want}, 1e-5);
    check_graph(
        graph_text("%x: f32[n, 3, 37]", "%y = reduce %x {axes = [2], fn = " + fn + ", keepdims = false} : f32[n, 3]"),
        {x}, {want}, 1e-5, {2});
    const Values front = last_to_front(x, 6, 37); // reduced over axis 0
    check_graph(
        graph_text("%x: f32[37, 2, 3]", "%y = reduce %x {axes = [0], fn = " + fn + ", keepdims = false} : f32[2, 3]"),
        {front}, {want}, 1e-5);
    check_graph(
        graph_text("%x: f32[n, 2, 3]", "%y = reduce %x {axes = [0], fn = " + fn + ", keepdims = false} : f32[2, 3]"),
        {front}, {want}, 1e-5, {37});
  }
}

TEST(Rows, ReduceEverything) {
  const Values x = some(2 * 3 * 5, 1);
  check_graph(graph_text("%x: f32[2, 3, 5]", "%y = reduce %x {axes = [0, 1, 2], fn = sum, keepdims = false} : f32[]"),
              {x}, {{std::accumulate(x.begin(), x.end(), 0.0)}});
}

TEST(Rows, Softmax) {
  const Values x = some(6 * 37, 1, 0.5);
  const Values want = rows(x, 37, softmax);
  check_graph(graph_text("%x: f32[2, 3, 37]", "%y = softmax %x {axis = 2, log = false} : f32[2, 3, 37]"), {x}, {want});
  check_graph(graph_text("%x: f32[n, 3, 37]", "%y = softmax %x {axis = 2, log = false} : f32[n, 3, 37]"), {x}, {want},
              1e-6, {2});
  check_graph(graph_text("%x: f32[2, 3, n]", "%y = softmax %x {axis = 2, log = false} : f32[2, 3, n]"), {x}, {want},
              1e-6, {37});
  const Values front = last_to_front(x, 6, 37), front_want = last_to_front(want, 6, 37);
  check_graph(graph_text("%x: f32[37, 2, 3]", "%y = softmax %x {axis = 0, log = false} : f32[37, 2, 3]"), {front},
              {front_want});
  check_graph(graph_text("%x: f32[37, n, 3]", "%y = softmax %x {axis = 0, log = false} : f32[37, n, 3]"), {front},
              {front_want}, 1e-6, {2});
  Values logs = want;
  for (double &e : logs) e = std::log(e);
  check_graph(graph_text("%x: f32[2, 3, 37]", "%y = softmax %x {axis = 2, log = true} : f32[2, 3, 37]"), {x}, {logs},
              1e-5);
}

// Softmax down each column of x: [rows, columns].
Values softmax_of_columns(const Values &x, size_t rows, size_t columns) {
  Values result(x.size());
  for (size_t c = 0; c < columns; ++c) {
    Values column;
    for (size_t r = 0; r < rows; ++r) column.push_back(x[r * columns + c]);
    column = softmax(column);
    for (size_t r = 0; r < rows; ++r) result[r * columns + c] = column[r];
  }
  return result;
}

TEST(Rows, SoftmaxAlongASymbolicAxis) {
  const Values x = some(5 * 6, 4), want = softmax_of_columns(x, 5, 6);
  check_graph(graph_text("%x: f32[n, 2, 3]", "    %y = softmax %x {axis = 0, log = false} : f32[n, 2, 3]"), {x}, {want},
              1e-6, {5});
}

TEST(Rows, WhatReadsASymbolicSoftmaxTwiceStaysOutsideItsSums) {
  const Values x = some(5 * 6, 4);
  Values want = softmax_of_columns(x, 5, 6);
  for (double &e : want) e = std::pow(1 / (1 + std::exp(-e)), 2);
  graph::Graph g =
      parse_graph(graph_text("%x: f32[1, n, m, 3]", "    %s = softmax %x {axis = 1, log = false} : f32[1, n, m, 3]\n"
                                                    "    %h = sigmoid %s : f32[1, n, m, 3]\n"
                                                    "    %y = mul %h, %h : f32[1, n, m, 3]"));
  ASSERT_TRUE(fuse(g, {}).ok());
  const RunResult got = run_graph(g, {x}, {}, {5, 2});
  ASSERT_EQ(got.outputs.size(), 1u);
  expect_near(got.outputs[0], want, 1e-6, "y");
}

TEST(Rows, LayerNormalisation) {
  const Values x = some(6 * 37, 1), scale = some(37, 2), bias = some(37, 3);
  const Values want = rows(x, 37, [&](Values v) {
    const double mean = std::accumulate(v.begin(), v.end(), 0.0) / 37;
    double variance = 0;
    for (double e : v) variance += (e - mean) * (e - mean) / 37;
    for (size_t i = 0; i < v.size(); ++i) v[i] = (v[i] - mean) / std::sqrt(variance + 1e-5) * scale[i] + bias[i];
    return v;
  });
  for (const std::string batch : {"2", "n"})
    check_graph(
        graph_text("%x: f32[" + batch + ", 3, 37], %s: f32[37], %b: f32[37]",
                   "%y = normalize %x, %s, %b {axes = [2], epsilon = 1e-5, kind = layer} : f32[" + batch + ", 3, 37]"),
        {x, scale, bias}, {want}, 1e-5, batch == "n" ? std::vector<int64_t>{2} : std::vector<int64_t>{});
}

TEST(Rows, GroupAndInstanceNormalisation) {
  const int64_t n = 2, c = 6, s = 5;
  const Values x = some(n * c * s, 1), scale = some(c, 2), bias = some(c, 3);
  for (int64_t groups : {2, 6}) {
    const int64_t each = c / groups * s;
    Values want = rows(x, size_t(each), [&](Values v) {
      const double mean = std::accumulate(v.begin(), v.end(), 0.0) / double(each);
      double variance = 0;
      for (double e : v) variance += (e - mean) * (e - mean) / double(each);
      for (double &e : v) e = (e - mean) / std::sqrt(variance + 1e-5);
      return v;
    });
    for (int64_t i = 0; i < n * c * s; ++i)
      want[size_t(i)] = want[size_t(i)] * scale[size_t(i / s % c)] + bias[size_t(i / s % c)];
    check_graph(
        graph_text(
            "%x: f32[2, 6, 5], %s: f32[6], %b: f32[6]",
            groups == 6
                ? "%y = normalize %x, %s, %b {axes = [2], epsilon = 1e-5, kind = instance} : f32[2, 6, 5]"
                : "%y = normalize %x, %s, %b {axes = [1, 2], epsilon = 1e-5, groups = 2, kind = group} : f32[2, 6, 5]"),
        {x, scale, bias}, {want}, 1e-5);
  }
}

TEST(Movement, TransposeThenReshape) {
  const Values x = some(2 * 3 * 4, 1);
  Values want;
  for (size_t k = 0; k < 4; ++k)
    for (size_t i = 0; i < 2; ++i)
      for (size_t j = 0; j < 3; ++j) want.push_back(x[(i * 3 + j) * 4 + k]);
  check_graph(graph_text("%x: f32[2, 3, 4]", "%t = transpose %x {perm = [2, 0, 1]} : f32[4, 2, 3]\n%r = reshape %t : "
                                             "f32[8, 3]\n%y = neg %r : f32[8, 3]\n"),
              {x}, {[&] {
                Values v = want;
                for (double &e : v) e = -e;
                return v;
              }()});
  check_graph(graph_text("%x: f32[n, 3, 4]",
                         "%t = transpose %x {perm = [2, 0, 1]} : f32[4, n, 3]\n%y = reshape %t : f32[4*n, 3]\n"),
              {x}, {want}, 0, {2});
  check_graph(graph_text("%x: f32[2, 3, 4]",
                         "%t = transpose %x {perm = [2, 0, 1]} : f32[4, 2, 3]\n%y = reshape %t : f32[3, 2, 4]\n"),
              {x}, {want});
}

TEST(Movement, SliceBackwards) {
  const Values x = {0, 1, 2, 3, 4, 5, 6, 7};
  check_graph(graph_text("%x: f32[8]",
                         "%s = slice %x {axes = [0], starts = [6], steps = [-2]} : f32[3]\n%y = add %s, %s : f32[3]"),
              {x}, {{12, 8, 4}});
  check_graph(
      graph_text("%x: f32[n]",
                 "%s = slice %x {axes = [0], starts = [n - 1], steps = [-1]} : f32[n]\n%y = add %s, %s : f32[n]"),
      {x}, {{14, 12, 10, 8, 6, 4, 2, 0}}, 0, {8});
}

TEST(Movement, ConcatOfComputedAndGivenParts) {
  const Values a = {1, 2, 3, 4}, b = {5, 6};
  check_graph(
      graph_text("%a: f32[2, 2], %b: f32[2, 1]",
                 "%n = neg %a : f32[2, 2]\n%c = concat %n, %b, %a {axis = 1} : f32[2, 5]\n%y = relu %c : f32[2, 5]",
                 "%y as \"y\", %n as \"n\""),
      {a, b}, {{0, 0, 5, 1, 2, 0, 0, 6, 3, 4}, {-1, -2, -3, -4}});
  check_graph(graph_text("%a: f32[m, 2], %b: f32[n, 2]",
                         "%n = neg %a : f32[m, 2]\n%y = concat %n, %b {axis = 0} : f32[m + n, 2]"),
              {a, b}, {{-1, -2, -3, -4, 5, 6}}, 0, {2, 1});
}

TEST(Movement, Pad) {
  const Values x = {1, 2, 3};
  const std::map<std::string, Values> want = {{"constant", {0, 0, 1, 2, 3, 0}},
                                              {"edge", {1, 1, 1, 2, 3, 3}},
                                              {"reflect", {3, 2, 1, 2, 3, 2}},
                                              {"wrap", {2, 3, 1, 2, 3, 1}}};
  for (const auto &[mode, values] : want)
    check_graph(graph_text("%x: f32[3]", "%y = pad %x {high = [1], low = [2], mode = " + mode + "} : f32[6]"), {x},
                {values});
}

TEST(Indexing, GatherCountsFromTheEnd) {
  const Values x = {0, 1, 2, 3, 4, 5}, i = {-1, 0};
  check_graph(graph_text("%x: f32[3, 2], %i: i64[2]", "%y = gather %x, %i {axis = 0} : f32[2, 2]"), {x, i},
              {{4, 5, 0, 1}});
  check_graph(graph_text("%x: f32[2, n], %i: i64[2]", "%y = gather %x, %i {axis = 1} : f32[2, 2]"), {x, i},
              {{2, 0, 5, 3}}, 0, {3});
}

TEST(Indexing, GatherOfRowsOfSymbolicLength) {
  const Values x = some(3 * 5, 1);
  Values want;
  for (int64_t row : {2, 0, 1, 1})
    for (int64_t c = 0; c < 5; ++c) want.push_back(x[size_t(row * 5 + c)]);
  check_graph(graph_text("%x: f32[3, n], %i: i64[4]", "    %y = gather %x, %i {axis = 0} : f32[4, n]"),
              {x, {-1, 0, 1, -2}}, {want}, 0, {5});
}

TEST(Indexing, GatherOutOfRangeIsAStatus) {
  const RunResult r =
      run_graph(parse_graph(graph_text("%x: f32[3, 2], %i: i64[2]", "%y = gather %x, %i {axis = 0} : f32[2, 2]")),
                {{0, 1, 2, 3, 4, 5}, {0, 3}});
  EXPECT_EQ(r.status, 32);
}

TEST(Indexing, ScatterReduces) {
  const Values x = {1, 2, 3}, i = {1, 1, -1}, u = {10, 20, 30};
  const std::map<std::string, Values> want = {
      {"add", {1, 32, 33}}, {"mul", {1, 400, 90}}, {"max", {1, 20, 30}}, {"min", {1, 2, 3}}};
  for (const auto &[fn, values] : want)
    check_graph(graph_text("%x: f32[3], %i: i64[3], %u: f32[3]",
                           "%y = scatter_elements %x, %i, %u {axis = 0, reduction = " + fn + "} : f32[3]"),
                {x, i, u}, {values});
  check_graph(graph_text("%x: f32[3, 2], %i: i64[2, 1], %u: f32[2, 2]",
                         "%y = scatter_nd %x, %i, %u {reduction = none} : f32[3, 2]"),
              {{0, 0, 0, 0, 0, 0}, {2, 0}, {1, 2, 3, 4}}, {{3, 4, 0, 0, 1, 2}});
}

TEST(Indexing, ArgReduceAndRunningSum) {
  const Values x = {3, 5, 5, 1, 0, 7};
  check_graph(graph_text("%x: f32[2, 3]",
                         "%y = arg_reduce %x {axis = 1, fn = max, keepdims = false, select_last = false} : i64[2]"),
              {x}, {{1, 2}});
  check_graph(graph_text("%x: f32[2, 3]",
                         "%y = arg_reduce %x {axis = 1, fn = max, keepdims = true, select_last = true} : i64[2, 1]"),
              {x}, {{2, 2}});
  check_graph(graph_text("%x: f32[2, 3]",
                         "%y = cumulative %x {axis = 1, exclusive = false, fn = sum, reverse = false} : f32[2, 3]"),
              {x}, {{3, 8, 13, 1, 1, 8}});
  check_graph(graph_text("%x: f32[2, 3]",
                         "%y = cumulative %x {axis = 1, exclusive = true, fn = sum, reverse = true} : f32[2, 3]"),
              {x}, {{10, 5, 0, 7, 7, 0}});
}

TEST(Types, NarrowFloatsAndIntegers) {
  const Values a = some(40, 1), b = some(40, 2);
  Values sum;
  for (size_t i = 0; i < 40; ++i) sum.push_back(a[i] + b[i]);
  for (const std::string t : {"f16", "bf16", "f64"})
    check_graph(graph_text("%a: " + t + "[5, 8], %b: " + t + "[5, 8]", "%y = add %a, %b : " + t + "[5, 8]"), {a, b},
                {sum}, 1e-2);
  for (const std::string t : {"i8", "i16", "i32", "i64"})
    check_graph(graph_text("%a: " + t + "[4], %b: " + t + "[4]", "%y = div %a, %b : " + t + "[4]"),
                {{7, -7, 100, 5}, {2, 2, -3, 5}}, {{3, -3, -33, 1}});
  check_graph(graph_text("%a: u8[2], %b: u8[2]", "%y = div %a, %b : u8[2]"), {{250, 7}, {2, 2}}, {{125, 3}});
  check_graph(graph_text("%a: f32[4], %b: f32[4]",
                         "%l = less %a, %b : bool[4]\n%n = logical_not %l : bool[4]\n%y = select %n, %a, %b : f32[4]",
                         "%y as \"y\", %l as \"l\""),
              {{1, 2, 3, 4}, {4, 3, 2, 1}}, {{4, 3, 3, 4}, {1, 1, 0, 0}});
  check_graph(graph_text("%a: f32[4]", "%y = cast %a {saturate = true} : i32[4]"), {{1.75, -1.75, 100, 0}},
              {{1, -1, 100, 0}});
}

} // namespace cameo::passes
