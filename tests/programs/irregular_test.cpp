// Programs of ops whose reads depend on data or on order: search, running sums, attention's rules, sampling,
// transforms.
#include "program_runner.h"

namespace cameo::passes {
namespace {

std::string graph_of(const std::string &arguments, const std::string &body,
                     const std::string &results = "%y as \"y\"") {
  return "graph @g stage canonical {\n  main(" + arguments + ") {\n    " + body + "\n    yield " + results +
         "\n  }\n}\n";
}

constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInf = std::numeric_limits<double>::infinity();

} // namespace

TEST(TopK, TiesGiveTheLowerIndexAndNaNIsTheLargest) {
  auto text = [](bool largest) {
    return graph_of("%x: f32[2, 5]",
                    std::string("%k = constant i64[] [3]\n    %y, %i = topk %x, %k {axis = 1, largest = ") +
                        (largest ? "true" : "false") + ", sorted = true} : f32[2, 3], i64[2, 3]",
                    "%y as \"y\", %i as \"i\"");
  };
  const Values x = {1, 3, 3, -1, 2, kNan, -kInf, kInf, kNan, 0};
  check_graph(text(true), {x}, {{3, 3, 2, kNan, kNan, kInf}, {1, 2, 4, 0, 3, 2}});
  check_graph(text(false), {x}, {{-1, 1, 2, -kInf, 0, kInf}, {3, 0, 4, 1, 4, 2}});
}

TEST(TopK, AlongAnOuterAxisOfUnsignedNumbers) {
  check_graph(graph_of("%x: u8[3, 2]",
                       "%k = constant i64[] [2]\n    %y, %i = topk %x, %k {axis = 0, largest = true, sorted = true} : "
                       "u8[2, 2], i64[2, 2]",
                       "%y as \"y\", %i as \"i\""),
              {{1, 200, 255, 3, 127, 128}}, {{255, 200, 127, 128}, {1, 0, 2, 2}});
}

TEST(Cumulative, AnyAxisDirectionAndStart) {
  const Values x = {1, 2, 3, 4, 5, 6};
  auto check = [&](const std::string &attributes, const Values &want) {
    check_graph(graph_of("%x: f32[2, 3]", "%y = cumulative %x {" + attributes + "} : f32[2, 3]"), {x}, {want});
  };
  check("fn = sum, axis = 1, exclusive = false, reverse = false", {1, 3, 6, 4, 9, 15});
  check("fn = sum, axis = 1, exclusive = true, reverse = false", {0, 1, 3, 0, 4, 9});
  check("fn = sum, axis = 0, exclusive = false, reverse = true", {5, 7, 9, 4, 5, 6});
  check("fn = product, axis = 1, exclusive = true, reverse = true", {6, 3, 1, 30, 6, 1});
}

TEST(Attention, ARowWithoutAKeyIsZero) {
  // Two query heads share a key head; the second query may see no key.
  const Values q = some(8, 1), k = some(6, 2), v = {1, 2, 3};
  Values want;
  for (size_t h = 0; h < 2; ++h) {
    double p[3], sum = 0;
    for (size_t t = 0; t < 3; ++t) sum += p[t] = std::exp(0.5 * (q[h * 4] * k[t * 2] + q[h * 4 + 1] * k[t * 2 + 1]));
    want.push_back((p[0] * v[0] + p[1] * v[1] + p[2] * v[2]) / sum);
    want.push_back(0);
  }
  check_graph(graph_of("%q: f32[1, 2, 2, 2], %k: f32[1, 1, 3, 2], %v: f32[1, 1, 3, 1], %m: bool[2, 3]",
                       "%y = attention %q, %k, %v, %m {scale = 0.5, causal = false} : f32[1, 2, 2, 1]"),
              {q, k, v, {1, 1, 1, 0, 0, 0}}, {want});
}

TEST(Attention, CausalityCountsThePast) {
  // One key of the past, two of now; scores are equal, so each row is the mean of what it sees.
  check_graph(
      graph_of(
          "%q: f32[1, 1, 2, 1], %k: f32[1, 1, 2, 1], %v: f32[1, 1, 2, 1], %a: f32[1, 1, 1, 1], %b: f32[1, 1, 1, 1]",
          "%y, %pk, %pv = attention %q, %k, %v, _, %a, %b {scale = 1.0, causal = true} : f32[1, 1, 2, 1], "
          "f32[1, 1, 3, 1], f32[1, 1, 3, 1]",
          "%y as \"y\", %pk as \"pk\", %pv as \"pv\""),
      {{0, 0}, {7, 8}, {4, 9}, {6}, {2}}, {{3, 5}, {6, 7, 8}, {2, 4, 9}});
}

TEST(GridSample, MirrorsAtTheEdges) {
  // Positions of a row of four, at coordinates -1.5 and 4.25 between the elements.
  auto text = [](const std::string &mode, const std::string &padding) {
    return graph_of("%x: f32[1, 1, 1, 4], %g: f32[1, 1, 2, 2]", "%y = grid_sample %x, %g {mode = " + mode +
                                                                    ", padding = " + padding +
                                                                    ", align_corners = false} : f32[1, 1, 1, 2]");
  };
  const Values x = {1, 2, 4, 8}, grid = {-1.5, 0, 1.375, 0}; // ((g + 1) * 4 - 1) / 2 = -1.5 and 4.25
  check_graph(text("linear", "zeros"), {x, grid}, {{0, 0}});
  check_graph(text("linear", "border"), {x, grid}, {{1, 8}});
  check_graph(text("linear", "reflection"), {x, grid}, {{1.5, 8 * 0.75 + 4 * 0.25}}); // 0.5 and 2.75
  check_graph(text("nearest", "zeros"), {x, {-1, 0, 0.375, 0}}, {{1, 4}});            // -0.5 to even, 2.25
}

TEST(RoiPool, TheAverageOfAsManySamplesAsTheBinIsLarge) {
  const int64_t h = 5, w = 6;
  const Values x = some(h * w, 3), roi = {-1.25, 0.5, 5, 4.75};
  Values want;
  auto at = [&](double r, double c) { // bilinear
    if (r < -1 || r > h || c < -1 || c > w) return 0.0;
    r = std::clamp(r, 0.0, double(h - 1)), c = std::clamp(c, 0.0, double(w - 1));
    const auto i = size_t(r), j = size_t(c), i2 = std::min(i + 1, size_t(h - 1)), j2 = std::min(j + 1, size_t(w - 1));
    const double a = r - double(i), b = c - double(j);
    auto e = [&](size_t p, size_t q) { return x[p * size_t(w) + q]; };
    return (1 - a) * ((1 - b) * e(i, j) + b * e(i, j2)) + a * ((1 - b) * e(i2, j) + b * e(i2, j2));
  };
  const double bin_h = (roi[3] - roi[1]) / 2, bin_w = (roi[2] - roi[0]) / 2;
  const int n = int(std::ceil(bin_h)), m = int(std::ceil(bin_w));
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 2; ++j) {
      double sum = 0;
      for (int p = 0; p < n; ++p)
        for (int q = 0; q < m; ++q)
          sum += at(roi[1] - 0.5 + i * bin_h + (p + 0.5) * bin_h / n, roi[0] - 0.5 + j * bin_w + (q + 0.5) * bin_w / m);
      want.push_back(sum / (n * m));
    }
  check_graph(graph_of("%x: f32[1, 1, 5, 6], %r: f32[1, 4], %b: i64[1]",
                       "%y = roi_pool %x, %r, %b {mode = align_average, coordinates = half_pixel, sampling_ratio = 0, "
                       "spatial_scale = "
                       "1.0} : f32[1, 1, 2, 2]"),
              {x, roi, {0}}, {want}, 1e-5);
}

TEST(RoiPool, TheMaximumBetweenRoundedBorders) {
  const Values x = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const std::string text = graph_of("%x: f32[1, 1, 4, 4], %r: f32[1, 4], %b: i64[1]",
                                    "%y = roi_pool %x, %r, %b {mode = quantized_max, coordinates = output_half_pixel, "
                                    "sampling_ratio = 0, spatial_scale = "
                                    "0.5} : f32[1, 1, 2, 2]");
  check_graph(text, {x, {0, 2, 4.8, 6}, {0}}, {{9, 10, 13, 14}}); // columns 0 to 2, rows 1 to 3
  const RunResult bad = run_graph(parse_graph(text), {x, {0, 0, 4, 4}, {1}});
  EXPECT_NE(bad.status, 0); // there is one image
}

TEST(DeformConv, AnOffsetMovesATap) {
  check_graph(
      graph_of(
          "%x: f32[1, 1, 1, 3], %w: f32[1, 1, 1, 2], %o: f32[1, 4, 1, 2], %b: f32[1], %m: f32[1, 2, 1, 2]",
          "%y = deform_conv %x, %w, %o, %b, %m {strides = [1, 1], dilations = [1, 1], pads = [0, 0, 0, 0], group = 1, "
          "offset_group = 1} : f32[1, 1, 1, 2]"),
      {{1, 2, 4}, {10, 100}, {0, 0.5, 0.5, 0, 0, 0, 0, 0.5}, {1000}, {1, 1, 1, 0.5}},
      // first: x[0.5] and x[1]; second: x[1] half a row below, x[2.5]
      {{1000 + 10 * 1.5 + 100 * 2, 1000 + 10 * 2 * 0.5 + 100 * 4 * 0.5 * 0.5}});
}

TEST(Dft, InverseUndoesIt) {
  const Values x = some(2 * 6, 4);
  check_graph(graph_of("%x: f32[2, 6, 1]", "%s = dft %x {axis = 1, inverse = false, onesided = true, length = 6} : "
                                           "f32[2, 4, 2]\n    %y = dft %s {axis = 1, "
                                           "inverse = true, onesided = true, length = 6} : f32[2, 6, 1]"),
              {x}, {x});
}

TEST(Gather, LanesThatDoNotExistAreNotChecked) {
  const Values x = some(3 * 37, 5), rows = {2, -3, 1};
  Values want;
  for (size_t r : {2, 0, 1})
    for (size_t c = 0; c < 37; ++c) want.push_back(x[r * 37 + c]);
  const std::string text = graph_of("%x: f32[n, m], %i: i64[n]", "%y = gather %x, %i {axis = 0} : f32[n, m]");
  check_graph(text, {x, rows}, {want}, 0, {3, 37});
  EXPECT_NE(run_graph(parse_graph(text), {x, {2, 3, 0}}, {}, {3, 37}).status, 0);
}

TEST(Softmax, AcrossRowsOfUnknownLength) {
  const Values x = some(2 * 3 * 5, 6);
  Values want(x.size());
  for (size_t i = 0; i < 2; ++i)
    for (size_t k = 0; k < 5; ++k) {
      double sum = 0;
      for (size_t j = 0; j < 3; ++j) sum += std::exp(x[(i * 3 + j) * 5 + k]);
      for (size_t j = 0; j < 3; ++j) want[(i * 3 + j) * 5 + k] = std::exp(x[(i * 3 + j) * 5 + k]) / sum;
    }
  check_graph(graph_of("%x: f32[a, b, c]", "%y = softmax %x {axis = 1, log = false} : f32[a, b, c]"), {x}, {want}, 1e-5,
              {2, 3, 5});
}

TEST(Normalize, StatisticsAreResultsToo) {
  const Values x = some(3 * 7, 7);
  Values y, means, deviations;
  for (size_t r = 0; r < 3; ++r) {
    double mean = 0, squares = 0;
    for (size_t i = 0; i < 7; ++i) mean += x[r * 7 + i] / 7;
    for (size_t i = 0; i < 7; ++i) squares += (x[r * 7 + i] - mean) * (x[r * 7 + i] - mean) / 7;
    means.push_back(mean);
    deviations.push_back(1 / std::sqrt(squares + 0.5));
    for (size_t i = 0; i < 7; ++i) y.push_back((x[r * 7 + i] - mean) * deviations.back());
  }
  check_graph(
      graph_of("%x: f32[a, b]",
               "%y, %m, %d = normalize %x {kind = layer, axes = [1], epsilon = 0.5} : f32[a, b], f32[a, 1], f32[a, 1]",
               "%y as \"y\", %m as \"m\", %d as \"d\""),
      {x}, {y, means, deviations}, 1e-5, {3, 7});
}

TEST(Reduce, NothingOfNothing) {
  check_graph(graph_of("%x: f32[2, 0, 4]", "%y = reduce %x {fn = sum, axes = [2], keepdims = true} : f32[2, 0, 1]"),
              {{}}, {{}});
  check_graph(graph_of("%x: f32[2, 0, 4]", "%y = reduce %x {fn = sum, axes = [1], keepdims = false} : f32[2, 4]"), {{}},
              {Values(8, 0.0)});
}

TEST(Resize, AStretchedKernelOfFewTapsIsNormalised) {
  // 4 to 2 with scale 0.6: taps at distance d weigh 1 - 0.6 d, divided by their sum; a constant stays what it is.
  check_graph(graph_of("%x: f32[1, 1, 4]",
                       "%y = resize %x {mode = linear, coordinates = half_pixel, antialias = true, axes = [2], "
                       "scales = [0.6]} : f32[1, 1, 2]"),
              {{3, 3, 3, 3}}, {{3, 3}});
}

TEST(Det, PivotsWhereItMust) {
  check_graph(graph_of("%x: f32[3, 3, 3]", "%y = det %x : f32[3]"),
              {{0, 2, 0, 3, 0, 0, 0, 0, 5, 1, 2, 3, 4, 5, 6, 7, 8, 10, 1, 2, 3, 2, 4, 6, 0, 0, 1}}, {{-30, -3, 0}},
              1e-5);
}

TEST(ScatterNd, RowsOfASymbolicNumberOfColumns) {
  // 0 and 2 of 3 rows of 20: stored by vectors, each where its index is valid.
  const Values x = some(60, 1), u = some(40, 2);
  Values want = u;
  want.insert(want.begin() + 20, x.begin() + 20, x.begin() + 40);
  check_graph(graph_of("%x: f32[n, m], %i: i64[2, 1], %u: f32[2, m]",
                       "%y = scatter_nd %x, %i, %u {reduction = none} : f32[n, m]"),
              {x, {0, 2}, u}, {want}, 1e-6, {3, 20});
}

TEST(Transpose, OfExtentsDividedBySymbols) {
  // A part of n in g parts has no bound over the symbols but itself.
  const Values x = some(24, 1);
  Values want;
  for (size_t j = 0; j < 3; ++j)
    for (size_t i = 0; i < 2; ++i)
      for (size_t k = 0; k < 4; ++k) want.push_back(2 * std::abs(x[(i * 3 + j) * 4 + k]));
  check_graph(graph_of("%x: f32[n, 4], %w: f32[g]",
                       "%r = reshape %x : f32[g, floordiv(n, g), 4]\n    %a = abs %r : f32[g, floordiv(n, g), 4]\n"
                       "    %t = transpose %a {perm = [1, 0, 2]} : f32[floordiv(n, g), g, 4]\n    %y = add %t, %t : "
                       "f32[floordiv(n, g), g, 4]"),
              {x, {0, 0}}, {want}, 1e-6, {6, 2});
}

} // namespace cameo::passes
