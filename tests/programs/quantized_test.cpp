// Quantised models: integer sums, requantisation and tables against the reals that they stand for. Scales are powers of
// two and numbers are small, so that f32 is exact and both ways agree bit for bit.
#include "program_runner.h"

namespace cameo::passes {
namespace {

Values bytes(int64_t count, uint32_t seed, int64_t low) {
  Values v;
  for (int64_t i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    v.push_back(static_cast<double>(static_cast<int64_t>(seed >> 24) + low));
  }
  return v;
}

std::string list(const Values &values) {
  std::string text = "[";
  for (double v : values) text += (text.size() > 1 ? ", " : "") + std::to_string(static_cast<int64_t>(v));
  return text + "]";
}

// The whole pipeline, and with what these passes do switched off.
void both_agree(const std::string &text, const std::vector<Values> &inputs, bool expects_integers = true) {
  graph::Graph fast = parse_graph(text), plain = parse_graph(text);
  ASSERT_TRUE(run_pipeline(fast).ok());
  RunOptions off;
  off.disabled = {"move_quantized", "integer_arithmetic", "requantize", "tabulate", "fuse"};
  ASSERT_TRUE(run_pipeline(plain, off).ok());
  const std::string optimised = graph::print(fast);
  EXPECT_EQ(optimised.find("compute = i32") != std::string::npos, expects_integers) << optimised;
  const RunResult a = run_graph(fast, inputs), b = run_graph(plain, inputs);
  EXPECT_EQ(a.outputs, b.outputs) << optimised;
}

struct Layer {
  int64_t c = 13, m = 21, h = 6, w = 9, k = 3, stride = 1, pad = 1, group = 1;
  const char *x = "u8", *weights = "i8";
  int64_t x_zero = 7, w_zero = 0;

  void check() const {
    const int64_t oh = (h + 2 * pad - k) / stride + 1, ow = (w + 2 * pad - k) / stride + 1, cg = c / group;
    auto n = [](int64_t v) { return std::to_string(v); };
    auto four = [&](int64_t a, int64_t b, int64_t d, int64_t e) {
      return "[" + n(a) + ", " + n(b) + ", " + n(d) + ", " + n(e) + "]";
    };
    const std::string xs = four(1, c, h, w), ys = four(1, m, oh, ow), ws = four(m, cg, k, k);
    Values filter = bytes(m * cg * k * k, 5, std::string(weights) == "i8" ? -128 : 0);
    for (double &v : filter) v = std::string(weights) == "i8" ? v : std::abs(v - 128) + 60;
    std::string scales, bias;
    for (int64_t i = 0; i < m; ++i) {
      scales += (i ? ", " : "") + std::string(i % 2 ? "0.0078125" : "0.00390625");
      bias += (i ? ", " : "") + n(37 * i - 400);
    }
    std::string bias_scales;
    for (int64_t i = 0; i < m; ++i) bias_scales += (i ? ", " : "") + std::string(i % 2 ? "0.00390625" : "0.001953125");
    const std::string text = "graph @g stage canonical {\n  main(%x: " + std::string(x) + xs +
                             ") {\n"
                             "    %s = constant f32[] [0.5]\n    %z = constant " +
                             x + "[] [" + n(x_zero) +
                             "]\n"
                             "    %f = constant " +
                             weights + ws + " " + list(filter) +
                             "\n"
                             "    %t = constant f32[" +
                             n(m) + "] [" + scales + "]\n    %u = constant f32[" + n(m) + "] [" + bias_scales +
                             "]\n"
                             "    %o = constant " +
                             weights + "[" + n(m) + "] " + list(Values(size_t(m), double(w_zero))) +
                             "\n"
                             "    %i = constant i32[" +
                             n(m) + "] [" + bias +
                             "]\n"
                             "    %p = constant f32[] [0.25]\n    %r = constant u8[] [100]\n"
                             "    %a = dequantize %x, %s, %z : f32" +
                             xs + "\n    %b = dequantize %f, %t, %o {axis = 0} : f32" + ws +
                             "\n"
                             "    %d = dequantize %i, %u {axis = 0} : f32[" +
                             n(m) +
                             "]\n"
                             "    %c = conv %a, %b, %d {dilations = [1, 1], group = " +
                             n(group) + ", pads = " + four(pad, pad, pad, pad) + ", strides = [" + n(stride) + ", " +
                             n(stride) + "]} : f32" + ys +
                             "\n"
                             "    %q = quantize %c, %p, %r {saturate = true} : u8" +
                             ys +
                             "\n"
                             "    %e = dequantize %q, %p, %r : f32" +
                             ys + "\n    %g = abs %e : f32" + ys +
                             "\n"
                             "    %y = quantize %g, %p, %r {saturate = true} : u8" +
                             ys + "\n    yield %y as \"y\"\n  }\n}\n";
    both_agree(text, {bytes(c * h * w, 3, std::string(x) == "i8" ? -128 : 0)});
  }
};

} // namespace

TEST(Quantized, Convolutions) {
  Layer{}.check();
  Layer{.c = 3, .m = 16, .stride = 2}.check();
  Layer{.c = 64, .m = 33, .k = 1, .pad = 0}.check();
  Layer{.c = 103, .m = 5, .k = 1, .pad = 0}.check();
  Layer{.c = 1, .m = 8}.check(); // taps in a row instead of channels
}

TEST(Quantized, DepthwiseAndGrouped) {
  Layer{.c = 24, .m = 24, .group = 24}.check();
  Layer{.c = 8, .m = 12, .group = 4}.check();
}

TEST(Quantized, SignedActivationsAndUnsignedWeights) {
  Layer{.x = "i8", .x_zero = -5}.check();
  Layer{.weights = "u8", .w_zero = 128}.check();
}

TEST(Quantized, MatricesOfEveryRemainder) {
  for (int64_t k : {3, 4, 17, 130}) {
    const std::string n = std::to_string(k);
    const std::string text = "graph @g stage canonical {\n  main(%x: i8[5, " + n +
                             "]) {\n"
                             "    %s = constant f32[] [0.5]\n    %z = constant i8[] [3]\n"
                             "    %f = constant i8[" +
                             n + ", 19] " + list(bytes(k * 19, 9, -128)) +
                             "\n"
                             "    %p = constant f32[] [64.0]\n"
                             "    %a = dequantize %x, %s, %z : f32[5, " +
                             n +
                             "]\n"
                             "    %b = dequantize %f, %s : f32[" +
                             n +
                             ", 19]\n"
                             "    %c = contract %a, %b {equation = \"mk,kn->mn\"} : f32[5, 19]\n"
                             "    %y = quantize %c, %p {saturate = true} : i8[5, 19]\n    yield %y as \"y\"\n  }\n}\n";
    both_agree(text, {bytes(5 * k, 4, -128)});
  }
}

TEST(Quantized, OperatorsWithZeroPointsOfTheRun) {
  for (const char *pads : {"[0, 0, 0, 0]", "[1, 1, 1, 1]"}) {
    const bool padded = pads[1] == '1';
    const std::string ys = "[2, 6, 5, 5]", k = padded ? "3" : "1";
    const int64_t count = 6 * 7 * (padded ? 9 : 1);
    for (int64_t range : {0, 40}) { // the second is no signed byte less its zero point
      const std::string text =
          "graph @g stage canonical {\n  main(%x: u8[2, 7, 5, 5], %z: u8[]) {\n"
          "    %w = constant u8[6, 7, " +
          k + ", " + k + "] " + list(bytes(count, 8, 0)) +
          "\n"
          "    %o = constant u8[] [" +
          std::to_string(128 - range) +
          "]\n"
          "    %y = conv %x, %w, _, %z, %o {compute = i32, dilations = [1, 1], group = 1, pads = " +
          pads + ", strides = [1, 1]} : i32" + ys + "\n    yield %y as \"y\"\n  }\n}\n";
      both_agree(text, {bytes(2 * 7 * 25, 6, 0), {77}});
    }
  }
}

TEST(Quantized, MovesAndParts) {
  both_agree("graph @g stage canonical {\n  main(%x: u8[2, 3], %w: u8[2, 3]) {\n"
             "    %s = constant f32[] [0.5]\n    %t = constant f32[] [0.25]\n    %z = constant u8[] [9]\n"
             "    %a = dequantize %x, %s, %z : f32[2, 3]\n    %b = dequantize %w, %t, %z : f32[2, 3]\n"
             "    %c = concat %a, %b {axis = 0} : f32[4, 3]\n"
             "    %d = quantize %c, %s, %z {saturate = true} : u8[4, 3]\n"
             "    %e = dequantize %d, %s, %z : f32[4, 3]\n    %f = transpose %e {perm = [1, 0]} : f32[3, 4]\n"
             "    %y = quantize %f, %s, %z {saturate = true} : u8[3, 4]\n    yield %y as \"y\"\n  }\n}\n",
             {bytes(6, 1, 0), bytes(6, 2, 0)}, false);
}

} // namespace cameo::passes
