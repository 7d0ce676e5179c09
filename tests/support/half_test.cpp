#include "cameo/support/half.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

namespace cameo {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

const std::vector<DType> kFloats = {DType::f16,    DType::bf16,       DType::f8e4m3fn, DType::f8e4m3fnuz,
                                    DType::f8e5m2, DType::f8e5m2fnuz, DType::f4e2m1,   DType::f8e8m0};

std::string label(DType dtype, uint64_t code) { return std::string(name(dtype)) + " " + std::to_string(code); }

TEST(Half, KnownValues) {
  EXPECT_EQ(decode(DType::f16, 0x3c00), 1.0);
  EXPECT_EQ(decode(DType::f16, 0x7bff), 65504.0);
  EXPECT_EQ(decode(DType::f16, 0x0001), 0x1p-24);
  EXPECT_EQ(decode(DType::f16, 0xfc00), -kInf);
  EXPECT_EQ(decode(DType::bf16, 0x3f80), 1.0);
  EXPECT_EQ(decode(DType::bf16, 0x0001), 0x1p-133);
  EXPECT_EQ(decode(DType::f8e4m3fn, 0x7e), 448.0);
  EXPECT_TRUE(std::isnan(decode(DType::f8e4m3fn, 0x7f)));
  EXPECT_EQ(decode(DType::f8e4m3fnuz, 0x7f), 240.0);
  EXPECT_TRUE(std::isnan(decode(DType::f8e4m3fnuz, 0x80)));
  EXPECT_EQ(decode(DType::f8e5m2, 0x7b), 57344.0);
  EXPECT_EQ(decode(DType::f8e5m2, 0x7c), kInf);
  EXPECT_EQ(decode(DType::f8e5m2fnuz, 0x7f), 57344.0);
  EXPECT_EQ(decode(DType::f4e2m1, 0xf), -6.0);
  EXPECT_EQ(decode(DType::f8e8m0, 0), 0x1p-127);
  EXPECT_EQ(decode(DType::i4, 0xf8), -8.0);
  EXPECT_EQ(decode(DType::u4, 0x1f), 15.0);
  EXPECT_EQ(decode(DType::i2, 2), -2.0);
  EXPECT_EQ(decode(DType::u64, ~uint64_t{0}), 0x1p64);
  EXPECT_EQ(decode(DType::boolean, 7), 1.0);
}

// Every code comes back, NaNs included (f4e2m1 and f8e8m0 saturate 0 and NaN as documented, but codes are values).
TEST(Half, EveryCodeSurvives) {
  for (DType dtype : kFloats)
    for (uint64_t code = 0; code < uint64_t{1} << bits(dtype); ++code) {
      double value = decode(dtype, code);
      uint64_t expected = code;
      if (std::isnan(value) && (dtype == DType::f16 || dtype == DType::bf16 || dtype == DType::f8e5m2))
        expected |= dtype == DType::f16 ? 0x200 : dtype == DType::bf16 ? 0x40 : 2; // quiet
      EXPECT_EQ(encode(dtype, value, {.saturate = !std::isinf(value)}), expected) << label(dtype, code);
    }
}

// Between neighbours the nearer wins, and the even one at the midpoint: checked on both sides of every midpoint.
TEST(Half, RoundsToNearestEven) {
  for (DType dtype : kFloats) {
    if (dtype == DType::f8e8m0) continue;
    uint64_t codes = uint64_t{1} << (bits(dtype) - 1);
    for (uint64_t code = 0; code + 1 < codes; ++code) {
      double low = decode(dtype, code), high = decode(dtype, code + 1);
      if (!(std::isfinite(low) && std::isfinite(high))) continue;
      double middle = (low + high) / 2;
      EXPECT_EQ(encode(dtype, std::nextafter(middle, 0)), code) << label(dtype, code);
      EXPECT_EQ(encode(dtype, middle), code % 2 ? code + 1 : code) << label(dtype, code);
      EXPECT_EQ(encode(dtype, std::nextafter(middle, kInf)), code + 1) << label(dtype, code);
      if (code > 0) { // -0 has no code in every format
        EXPECT_EQ(encode(dtype, -middle), (code % 2 ? code + 1 : code) | codes) << label(dtype, code);
      }
    }
  }
}

// 1 + 2^-11 + 2^-40 is above the midpoint of two halves, but its f32 rounding is the midpoint.
TEST(Half, RoundsDoublesOnce) {
  EXPECT_EQ(encode(DType::f16, 1 + 0x1p-11 + 0x1p-40), 0x3c01u);
  EXPECT_EQ(encode(DType::f16, static_cast<float>(1 + 0x1p-11 + 0x1p-40)), 0x3c00u);
}

// The inputs and results of ONNX's backend cases test_cast_FLOAT_to_* and test_cast_no_saturate_FLOAT_to_*.
TEST(Half, FollowsOnnxCast) {
  const float in[] = {0.47892547f,
                      0.48033667f,
                      0.49968487f,
                      0.81910545f,
                      0.47031248f,
                      0.7229038f,
                      1e6f,
                      1e-7f,
                      static_cast<float>(kNan),
                      static_cast<float>(kInf),
                      -static_cast<float>(kInf),
                      -1e-7f,
                      -1e6f};
  struct Case {
    DType dtype;
    bool saturate;
    uint8_t out[13];
  };
  const Case cases[] = {
      {DType::f8e4m3fn, true, {0x2f, 0x2f, 0x30, 0x35, 0x2f, 0x34, 0x7e, 0, 0x7f, 0x7e, 0xfe, 0x80, 0xfe}},
      {DType::f8e4m3fn, false, {0x2f, 0x2f, 0x30, 0x35, 0x2f, 0x34, 0x7f, 0, 0x7f, 0x7f, 0xff, 0x80, 0xff}},
      {DType::f8e4m3fnuz, true, {0x37, 0x37, 0x38, 0x3d, 0x37, 0x3c, 0x7f, 0, 0x80, 0x7f, 0xff, 0, 0xff}},
      {DType::f8e4m3fnuz, false, {0x37, 0x37, 0x38, 0x3d, 0x37, 0x3c, 0x80, 0, 0x80, 0x80, 0x80, 0, 0x80}},
      {DType::f8e5m2, true, {0x38, 0x38, 0x38, 0x3b, 0x38, 0x3a, 0x7b, 0, 0x7e, 0x7b, 0xfb, 0x80, 0xfb}},
      {DType::f8e5m2, false, {0x38, 0x38, 0x38, 0x3b, 0x38, 0x3a, 0x7c, 0, 0x7e, 0x7c, 0xfc, 0x80, 0xfc}},
      {DType::f8e5m2fnuz, true, {0x3c, 0x3c, 0x3c, 0x3f, 0x3c, 0x3e, 0x7f, 0, 0x80, 0x7f, 0xff, 0, 0xff}},
      {DType::f8e5m2fnuz, false, {0x3c, 0x3c, 0x3c, 0x3f, 0x3c, 0x3e, 0x80, 0, 0x80, 0x80, 0x80, 0, 0x80}},
  };
  for (const Case &c : cases)
    for (size_t i = 0; i < std::size(in); ++i)
      EXPECT_EQ(encode(c.dtype, in[i], {.saturate = c.saturate}), c.out[i]) << name(c.dtype) << " " << in[i];
}

TEST(Half, FollowsOnnxCastTo4Bits) {
  const double in[] = {0.48, 0.25, 1.05, -3.5, -8, 9, 1e6, 1e-7, kNan, kInf, -kInf, -4, 0.01, -0.0};
  const uint64_t out[] = {1, 0, 2, 0xe, 0xf, 7, 7, 0, 8, 7, 0xf, 0xe, 0, 8};
  for (size_t i = 0; i < std::size(in); ++i) EXPECT_EQ(encode(DType::f4e2m1, in[i]), out[i]) << in[i];
}

TEST(Half, IntegersWrapOrClamp) {
  constexpr Narrowing wrap{.saturate = false};
  EXPECT_EQ(encode(DType::i4, -9.0, wrap), 7u);
  EXPECT_EQ(encode(DType::u4, -9.0, wrap), 7u);
  EXPECT_EQ(encode(DType::u4, 17.9, wrap), 1u);
  EXPECT_EQ(encode(DType::i2, 3.0, wrap), 3u);
  EXPECT_EQ(encode(DType::i8, kNan, wrap), 0u);
  EXPECT_EQ(encode(DType::u64, 0x1.8p63, wrap), uint64_t{3} << 62);
  EXPECT_EQ(encode(DType::i64, 0x1p70, wrap), uint64_t{1} << 63);
  EXPECT_EQ(encode(DType::i4, -9.0), 8u);
  EXPECT_EQ(encode(DType::i4, 7.9), 7u);
  EXPECT_EQ(encode(DType::u8, 256.0), 255u);
  EXPECT_EQ(encode(DType::u8, -1.0), 0u);
  EXPECT_EQ(encode(DType::i64, 1e30), uint64_t{INT64_MAX});
  EXPECT_EQ(encode(DType::i32, kNan), uint64_t{1} << 31);
  EXPECT_EQ(encode(DType::boolean, kNan), 1u);
}

TEST(Half, ScalesRoundAsAsked) {
  auto scale = [](double x, ScaleRounding mode, bool saturate = true) {
    return encode(DType::f8e8m0, x, {.saturate = saturate, .scale = mode});
  };
  using enum ScaleRounding;
  EXPECT_EQ(scale(1.0, up), 127u);
  EXPECT_EQ(scale(1.1, up), 128u);
  EXPECT_EQ(scale(1.9, down), 127u);
  EXPECT_EQ(scale(1.49, nearest), 127u);
  EXPECT_EQ(scale(1.5, nearest), 128u);
  EXPECT_EQ(scale(0.0, up), 0u);
  EXPECT_EQ(scale(0.0, nearest, false), 255u);
  EXPECT_EQ(scale(kInf, up), 254u);
  EXPECT_EQ(scale(kInf, nearest, false), 255u);
  EXPECT_EQ(scale(kNan, up), 255u);
  EXPECT_EQ(scale(-1.0, up), 255u);
}

TEST(Half, PackedElementsAreLowBitsFirst) {
  std::byte data[2] = {};
  for (int64_t i = 0; i < 4; ++i) store_element(data, DType::u4, i, static_cast<uint64_t>(i + 1));
  EXPECT_EQ(data[0], std::byte{0x21});
  EXPECT_EQ(data[1], std::byte{0x43});
  store_element(data, DType::i2, 1, 3);
  EXPECT_EQ(data[0], std::byte{0x2d});
  EXPECT_EQ(load_element(data, DType::i2, 1), 3u);
  EXPECT_EQ(load_element(data, DType::u4, 3), 4u);
  std::byte wide[16] = {};
  store_element(wide, DType::f64, 1, std::bit_cast<uint64_t>(2.5));
  double value;
  std::memcpy(&value, wide + 8, 8);
  EXPECT_EQ(value, 2.5);
  EXPECT_EQ(load_element(wide, DType::f64, 1), std::bit_cast<uint64_t>(2.5));
}

TEST(Half, ShortHands) {
  EXPECT_EQ(f16_to_f32(0x3555), 0x1.554p-2f);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(f32_to_f16(65519.0f), 0x7bff);
  EXPECT_EQ(bf16_to_f32(0xc049), -3.140625f);
  EXPECT_EQ(f32_to_bf16(3.1415927f), 0x4049);
  EXPECT_EQ(f32_to_bf16(std::numeric_limits<float>::max()), 0x7f80);
}

} // namespace
} // namespace cameo
