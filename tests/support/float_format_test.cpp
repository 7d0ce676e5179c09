#include "cameo/support/float_format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

using namespace cameo;

namespace {

constexpr DType kSmall[] = {DType::f16,    DType::bf16,       DType::f8e4m3fn, DType::f8e4m3fnuz,
                            DType::f8e5m2, DType::f8e5m2fnuz, DType::f4e2m1,   DType::f8e8m0};

TEST(FloatFormat, EveryPatternRoundTrips) {
  for (DType dtype : kSmall)
    for (uint64_t pattern = 0; pattern < uint64_t{1} << bits(dtype); ++pattern) {
      double value = decode_float(dtype, pattern);
      uint64_t back = encode_float(dtype, value);
      if (std::isnan(value))
        ASSERT_TRUE(std::isnan(decode_float(dtype, back))) << name(dtype) << " " << pattern;
      else
        ASSERT_EQ(back, pattern) << name(dtype) << " " << value;
    }
}

// Between neighbours a < b: below the midpoint gives a, above it b, at it the one with an even pattern.
TEST(FloatFormat, RoundsHalfToEven) {
  for (DType dtype : kSmall)
    for (uint64_t pattern = 0; pattern + 1 < uint64_t{1} << (bits(dtype) - (dtype == DType::f8e8m0 ? 0 : 1));
         ++pattern) {
      double a = decode_float(dtype, pattern), b = decode_float(dtype, pattern + 1);
      if (!std::isfinite(a) || !std::isfinite(b)) continue;
      double middle = a + (b - a) / 2;
      uint64_t even = pattern % 2 ? pattern + 1 : pattern;
      ASSERT_EQ(encode_float(dtype, middle), even) << name(dtype) << " " << middle;
      ASSERT_EQ(encode_float(dtype, std::nextafter(middle, a)), a == 0 && middle == 0 ? even : pattern) << name(dtype);
      ASSERT_EQ(encode_float(dtype, std::nextafter(middle, b)), pattern + 1) << name(dtype);
    }
}

TEST(FloatFormat, KnownExtremes) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  EXPECT_EQ(decode_float(DType::f16, 0x7bff), 65504);
  EXPECT_EQ(decode_float(DType::f8e4m3fn, 0x7e), 448);
  EXPECT_EQ(decode_float(DType::f8e4m3fnuz, 0x7f), 240);
  EXPECT_EQ(decode_float(DType::f8e5m2, 0x7b), 57344);
  EXPECT_EQ(decode_float(DType::f8e5m2fnuz, 0x7f), 57344);
  EXPECT_EQ(decode_float(DType::f4e2m1, 0x7), 6);
  EXPECT_EQ(decode_float(DType::f8e8m0, 0), std::ldexp(1.0, -127));
  EXPECT_EQ(decode_float(DType::f16, encode_float(DType::f16, 65520)), inf);
  EXPECT_EQ(decode_float(DType::f16, encode_float(DType::f16, 65519)), 65504);
  EXPECT_EQ(decode_float(DType::f16, encode_float(DType::f16, 1e300)), inf);
  EXPECT_EQ(decode_float(DType::f16, encode_float(DType::f16, -inf, true)), -65504);
  EXPECT_TRUE(std::isnan(decode_float(DType::f8e4m3fn, encode_float(DType::f8e4m3fn, inf))));
  EXPECT_EQ(decode_float(DType::f8e4m3fn, encode_float(DType::f8e4m3fn, 1e9, true)), 448);
  EXPECT_EQ(decode_float(DType::f4e2m1, encode_float(DType::f4e2m1, -1e9)), -6);
  EXPECT_EQ(encode_float(DType::f8e5m2fnuz, -0.0), 0u);
  EXPECT_EQ(encode_float(DType::f16, -1e-300), 0x8000u);
}

} // namespace
