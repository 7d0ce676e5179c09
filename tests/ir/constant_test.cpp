#include "cameo/ir/constant.h"

#include "cameo/support/check.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace cameo;
using namespace cameo::graph;

namespace {

TEST(Constant, PacksLowBitsFirst) {
  const int64_t values[] = {-8, 7, -1};
  Constant data = ConstantData::of_ints(DType::i4, {3}, values);
  ASSERT_EQ(data->bytes().size(), 2u);
  EXPECT_EQ(std::to_integer<int>(data->bytes()[0]), 0x78);
  EXPECT_EQ(std::to_integer<int>(data->bytes()[1]), 0x0f);
  EXPECT_EQ(data->as_ints(), (std::vector<int64_t>{-8, 7, -1}));
}

TEST(Constant, RefusesWhatTheDtypeCannotHold) {
  EXPECT_THROW(ConstantData::scalar_int(DType::i4, 8), InternalError);
  EXPECT_THROW(ConstantData::scalar_int(DType::u8, -1), InternalError);
  EXPECT_THROW(ConstantData::scalar(DType::f16, 0.1), InternalError);
  EXPECT_THROW(ConstantData::scalar(DType::i32, 0.5), InternalError);
  const double tenth = 0.1;
  EXPECT_EQ(ConstantData::of_rounded(DType::f16, {}, {&tenth, 1})->as_double(0), 0.0999755859375);
  EXPECT_EQ(ConstantData::scalar_int(DType::u64, -1)->as_double(0), 18446744073709551616.0);
  EXPECT_TRUE(std::isnan(ConstantData::scalar(DType::bf16, std::nan(""))->as_double(0)));
  EXPECT_THROW(ConstantData::own(DType::f32, {2}, std::vector<std::byte>(7)), InternalError);
}

TEST(Constant, SharesAndComparesByContent) {
  const int64_t values[] = {1, 2, 3, 4, 5, 6};
  Constant a = ConstantData::of_ints(DType::i32, {6}, values), b = ConstantData::of_ints(DType::i32, {6}, values);
  EXPECT_TRUE(same_content(*a, *b));
  EXPECT_EQ(a->content_hash(), b->content_hash());
  Constant shaped = a->with_dims({2, 3});
  EXPECT_EQ(shaped->bytes().data(), a->bytes().data()) << "no copy";
  EXPECT_FALSE(same_content(*a, *shaped));
  EXPECT_NE(a->content_hash(), shaped->content_hash());
  EXPECT_TRUE(same_content(*a, *ConstantData::absent(DType::i32, {6}, a->content_hash())));
  EXPECT_FALSE(same_content(*a, *ConstantData::absent(DType::i32, {6}, 1)));
  EXPECT_THROW(ConstantData::absent(DType::i32, {6}, 1)->bytes(), InternalError);
}

TEST(Constant, OwnerOutlivesItsMaker) {
  Constant data;
  {
    auto buffer = std::make_shared<std::vector<std::byte>>(4, std::byte{1});
    std::span<const std::byte> bytes = *buffer;
    data = ConstantData::view(DType::u8, {4}, bytes, std::move(buffer));
  }
  EXPECT_EQ(data->as_int(3), 1);
}

} // namespace
