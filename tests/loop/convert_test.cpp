// Conversions between stored elements and f32 on the interpreter, bit for bit against support/half.h: as they are built
// (f16 and bf16 by the interpreter's own conversions) and as they are after legalize() for a target without any.
#include "convert_cases.h"

#include "cameo/loop/legalize.h"
#include "cameo/loop/verify.h"

namespace cameo::loop {
namespace {

TEST(Convert, EveryCodeAndBoundary) {
  Module module;
  add_all_conversions(module);
  ASSERT_EQ(verify(module), std::vector<std::string>());
  check_all_conversions(interpreted(module));
}

TEST(Convert, EveryCodeAndBoundaryLegalized) {
  Module module;
  for (DType dtype : {DType::f16, DType::bf16})
    for (int32_t lanes : convert_lanes(dtype)) add_conversions(module, dtype, lanes);
  legalize(module, {});
  ASSERT_EQ(verify(module), std::vector<std::string>());
  for (DType dtype : {DType::f16, DType::bf16})
    for (int32_t lanes : convert_lanes(dtype)) {
      check_decoder(interpreted(module), dtype, lanes);
      for (Narrowing narrowing : narrowings(dtype)) check_encoder(interpreted(module), dtype, lanes, narrowing);
    }
}

TEST(Convert, SmallStorageComputesInF32) {
  Module module;
  constexpr DType kStorage[] = {DType::f16, DType::bf16, DType::f8e4m3fn, DType::f8e5m2, DType::f4e2m1, DType::i4};
  for (DType dtype : kStorage) add_multiply(module, dtype);
  for (DType dtype : kStorage) check_multiply(interpreted(module), dtype);
}

TEST(Convert, UnpacksIntoAnyLanes) {
  for (int32_t lanes : {1, 2, 3, 4, 5, 7, 8, 16})
    for (DType dtype : {DType::u4, DType::u2}) {
      int32_t bytes = (lanes + elements_per_byte(dtype) - 1) / elements_per_byte(dtype);
      Module module;
      Builder b(module, "f");
      Value in = b.buffer_param("in", Scalar::i8, true), out = b.buffer_param("out", Scalar::i8, false);
      Value back = b.buffer_param("back", Scalar::i8, false);
      Value elements = unpack(b, b.load(in, 0, bytes), dtype, lanes);
      b.store(elements, out, 0);
      b.store(pack(b, elements, dtype), back, 0);
      b.finish();
      std::vector<std::byte> packed(static_cast<size_t>(bytes)), repacked(packed.size());
      std::vector<uint8_t> codes(static_cast<size_t>(lanes));
      for (int32_t i = 0; i < lanes; ++i) store_element(packed.data(), dtype, i, static_cast<uint64_t>(i * 7 + 3));
      auto size = static_cast<int64_t>(packed.size());
      auto result = interpret(module, "f",
                              std::vector<Argument>{Argument::readonly(packed.data(), size),
                                                    Argument::buffer(codes.data(), lanes),
                                                    Argument::buffer(repacked.data(), size)});
      ASSERT_TRUE(result.ok()) << to_string(result.errors()[0]);
      for (int32_t i = 0; i < lanes; ++i)
        EXPECT_EQ(codes[static_cast<size_t>(i)], load_element(packed.data(), dtype, i))
            << lanes << " lanes, lane " << i;
      EXPECT_EQ(repacked, packed) << lanes << " lanes";
    }
}

TEST(Convert, RefusesAddressesInsideBytes) {
  Module module;
  Builder b(module, "f");
  Value in = b.buffer_param("in", Scalar::i8, true);
  EXPECT_THROW(load_as_f32(b, in, 1, 4, DType::i4), InternalError);
  EXPECT_THROW(load_as_f32(b, in, 2, 4, DType::i2), InternalError);
  EXPECT_NO_THROW(load_as_f32(b, in, 2, 4, DType::i4));
}

} // namespace
} // namespace cameo::loop
