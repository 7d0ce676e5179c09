// How results are compared: exactly where nothing is rounded, within the row of the table elsewhere.
#include "../../src/driver/tolerance.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

namespace cameo::driver {
namespace {

template <class T> Tensor tensor(DType dtype, std::vector<int64_t> shape, std::vector<T> values) {
  Tensor t;
  t.dtype = dtype;
  t.shape = std::move(shape);
  t.data.resize(values.size() * sizeof(T));
  if (!values.empty()) std::memcpy(t.data.data(), values.data(), t.data.size()); // none has no address
  return t;
}

Tensor floats(std::vector<float> values) {
  const auto n = static_cast<int64_t>(values.size());
  return tensor(DType::f32, {n}, std::move(values));
}

std::string compared(const Tensor &actual, const Tensor &expected, const ModelTraits &traits = {}) {
  return difference(actual, expected, tolerance_for(traits, expected.dtype)).value_or("same");
}

constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInf = std::numeric_limits<float>::infinity();

TEST(Tolerance, DefaultIsThatOfOnnx) {
  EXPECT_EQ(compared(floats({1000.f, 0.f}), floats({1000.9f, 5e-8f})), "same");
  EXPECT_EQ(
      compared(floats({1.f, 1001.1f}), floats({1.f, 1000.f})),
      "1 of 2 elements differ, first at [1]: 1001.1 instead of 1000, by at most 1.09998 (rtol 0.001, atol 1e-07)");
  EXPECT_EQ(compared(floats({2e-7f}), floats({0.f})).substr(0, 6), "1 of 1");
}

TEST(Tolerance, NonFiniteElementsMustBeTheSame) {
  EXPECT_EQ(compared(floats({kNan, kInf, -kInf}), floats({kNan, kInf, -kInf})), "same");
  EXPECT_NE(compared(floats({kInf}), floats({-kInf})), "same");
  EXPECT_NE(compared(floats({1.f}), floats({kNan})), "same");
  EXPECT_NE(compared(floats({kNan}), floats({1.f})), "same");
  EXPECT_NE(compared(floats({3e38f}), floats({kInf})), "same");
  const ModelTraits net{.conv_net = true};
  EXPECT_NE(compared(floats({1.f, kNan}), floats({1.f, 2.f}), net), "same"); // no row lets a NaN through
  EXPECT_NE(compared(floats({1.f, 2.f}), floats({1.f, kNan}), net), "same");
  EXPECT_NE(compared(floats({1.f, kInf}), floats({1.f, 2.f}), net), "same");
}

TEST(Tolerance, IntegersAreExact) {
  EXPECT_EQ(
      compared(tensor<int64_t>(DType::i64, {2}, {INT64_MAX, 1}), tensor<int64_t>(DType::i64, {2}, {INT64_MAX - 1, 1})),
      "1 of 2 elements differ, first at [0]: 9223372036854775807 instead of 9223372036854775806 (exact)");
  EXPECT_EQ(compared(tensor<uint8_t>(DType::boolean, {1}, {2}), tensor<uint8_t>(DType::boolean, {1}, {1})), "same");
}

TEST(Tolerance, QuantisedOutputsMayBeOffByOneStep) {
  const ModelTraits quantised{.quantized = true};
  const Tensor a = tensor<uint8_t>(DType::u8, {3}, {10, 20, 31}), b = tensor<uint8_t>(DType::u8, {3}, {10, 20, 30});
  EXPECT_NE(compared(a, b), "same");
  EXPECT_EQ(compared(a, b, quantised), "same");
  EXPECT_NE(compared(tensor<uint8_t>(DType::u8, {3}, {10, 20, 33}), b, quantised), "same");
  EXPECT_EQ(compared(floats({1.f, 100.f}), floats({0.f, 99.f}), quantised), "same"); // relative L2 of 1.4%
  EXPECT_NE(compared(floats({5.f, 100.f}), floats({0.f, 99.f}), quantised), "same");
  const ModelTraits deep{.quantized = true, .deep = true};
  EXPECT_EQ(compared(floats({5.f, 100.f}), floats({0.f, 99.f}), deep), "same");
  EXPECT_NE(compared(floats({11.f, 100.f}), floats({0.f, 99.f}), deep), "same");
}

TEST(Tolerance, ConvNetsAreMeasuredAgainstTheRange) {
  const ModelTraits net{.conv_net = true};
  EXPECT_EQ(compared(floats({0.0009f, 10.f}), floats({0.f, 10.f}), net), "same");
  EXPECT_NE(compared(floats({0.002f, 10.f}), floats({0.f, 10.f}), net), "same");
  EXPECT_EQ(compared(floats({1.009f, 10.f}), floats({1.f, 10.f}), net), "same");
}

TEST(Tolerance, FourierTransformsAreMeasuredAgainstTheRange) {
  const ModelTraits transform{.fourier = true};
  EXPECT_EQ(compared(floats({100.f, 5e-5f}), floats({100.f, 0.f}), transform), "same");
  EXPECT_NE(compared(floats({100.f, 2e-4f}), floats({100.f, 0.f}), transform), "same");
}

TEST(Tolerance, RecurrentNetsHaveTheBoundOfWholeModels) {
  const Tolerance &one = tolerance_for({}, DType::f32), &several = tolerance_for({.recurrent = true}, DType::f32);
  const Tensor state = floats({1.8e-6f, 0.5f}), noise = floats({1.5e-6f, 0.5f}), wrong = floats({3e-5f, 0.5f});
  EXPECT_TRUE(difference(noise, state, one).has_value());
  EXPECT_FALSE(difference(noise, state, several).has_value());
  EXPECT_TRUE(difference(wrong, state, several).has_value());
}

TEST(Tolerance, OfRandomNumbersOnlyTypeAndShapeAreFixed) {
  const ModelTraits drawn{.random = true};
  EXPECT_EQ(compared(floats({1.f, 2.f}), floats({3.f, 4.f}), drawn), "same");
  EXPECT_EQ(compared(floats({1.f, 2.f}), floats({3.f}), drawn), "is f32[2] instead of f32[1]");
}

TEST(Tolerance, HalfPrecision) {
  const auto half = [](uint16_t bits) { return tensor<uint16_t>(DType::f16, {1}, {bits}); };
  EXPECT_EQ(compared(half(0x3c02), half(0x3c00)), "same"); // 1 + 2 ULP
  EXPECT_NE(compared(half(0x3c10), half(0x3c00)), "same");
  EXPECT_EQ(compared(floats({1.02f}), floats({1.f}), {.bf16 = true}), "same");
  EXPECT_NE(compared(floats({1.04f}), floats({1.f}), {.bf16 = true}), "same");
}

TEST(Tolerance, ComplexPartsAreComparedSeparately) {
  EXPECT_EQ(compared(tensor<float>(DType::c64, {1}, {1, 2}), tensor<float>(DType::c64, {1}, {1, 2})), "same");
  EXPECT_EQ(compared(tensor<float>(DType::c64, {1}, {1, 3}), tensor<float>(DType::c64, {1}, {1, 2})),
            "1 of 2 elements differ, first at [0,1]: 3 instead of 2, by at most 1 (rtol 0.001, atol 1e-07)");
}

TEST(Tolerance, StringsAndShapes) {
  Tensor a, b;
  a.dtype = b.dtype = DType::string;
  a.shape = b.shape = {1, 2};
  a.strings = {"x", "y"};
  b.strings = {"x", "z"};
  EXPECT_EQ(compared(a, a), "same");
  EXPECT_EQ(compared(a, b), "1 of 2 elements differ, first at [0,1]: \"y\" instead of \"z\" (exact)");
  EXPECT_EQ(compared(floats({1, 2}), floats({1})), "is f32[2] instead of f32[1]");
  EXPECT_EQ(compared(floats({}), floats({})), "same");
}

TEST(Tolerance, EveryRowSaysItself) {
  EXPECT_EQ(text(tolerance_for({.conv_net = true}, DType::f32)),
            "rtol 0.01, atol of the range 0.0001, relative L2 0.0001");
  EXPECT_EQ(text(tolerance_for({}, DType::i32)), "exact");
}

} // namespace
} // namespace cameo::driver
