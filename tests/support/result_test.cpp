#include "cameo/support/dtype.h"
#include "cameo/support/result.h"

#include <gtest/gtest.h>

namespace cameo {

TEST(EscapeName, ControlAndQuoteBytesAreEscaped) {
  EXPECT_EQ(escape_name("conv1"), "conv1");
  EXPECT_EQ(escape_name("a\nb'c"), "a\\x0ab\\x27c");
  EXPECT_EQ(escape_name("\xff\xfe"), "\\xff\\xfe");
  EXPECT_EQ(escape_name("héé"), "héé");
  EXPECT_EQ(escape_name(std::string(1000, 'x'), 5), "xxxxx...");
}

TEST(ExitCode, TheMostSevereWins) {
  EXPECT_EQ(exit_code({{ExitCode::unsupported, "", ""}, {ExitCode::bad_model, "", ""}}), ExitCode::bad_model);
  EXPECT_EQ(exit_code({}), ExitCode::ok);
}

TEST(DType, NamesAndNumbersInvert) {
  for (int number = 1; number <= 26; ++number) {
    auto dtype = dtype_from_onnx(number);
    ASSERT_TRUE(dtype) << number;
    EXPECT_EQ(onnx_number(*dtype), number);
    EXPECT_EQ(dtype_from_name(name(*dtype)), dtype);
  }
  EXPECT_FALSE(dtype_from_onnx(0));
  EXPECT_FALSE(dtype_from_onnx(999));
}

TEST(DType, SubByteSizesRoundUp) {
  EXPECT_EQ(byte_size(DType::i4, 3), 2);
  EXPECT_EQ(byte_size(DType::u2, 5), 2);
  EXPECT_EQ(byte_size(DType::f32, INT64_MAX / 2), std::nullopt);
}

} // namespace cameo
