#include "cameo/loop/builder.h"

#include <gtest/gtest.h>

namespace cameo::loop {

TEST(Affine, TermsStaySortedAndZeroesVanish) {
  Value i{1}, j{2};
  Affine a = Affine(j, 3) + Affine(i) + 5;
  EXPECT_EQ(a.terms, (std::vector<std::pair<Value, int64_t>>{{i, 1}, {j, 3}}));
  EXPECT_EQ(a.constant, 5);
  EXPECT_EQ(a - Affine(i), Affine(j, 3) + 5);
  EXPECT_EQ(a * 0, Affine());
  EXPECT_EQ((Affine(i, int64_t{1} << 62) * 4), Affine()); // wraps
}

TEST(Opcode, NamesInvert) {
  for (int i = 0; i <= static_cast<int>(Opcode::check); ++i)
    EXPECT_EQ(opcode_from_name(name(static_cast<Opcode>(i))), static_cast<Opcode>(i));
  EXPECT_EQ(opcode_from_name("nope"), std::nullopt);
}

TEST(Builder, IntegerConstantsFold) {
  Module module;
  Builder b(module, "f");
  auto constant = [&](int64_t v) { return b.index_constant(v); };
  EXPECT_EQ(b.known_constant(b.add(constant(2), constant(3))), 5);
  EXPECT_EQ(b.known_constant(b.binary(Opcode::div, constant(-7), constant(2))), -3);
  EXPECT_EQ(b.known_constant(b.binary(Opcode::rem, constant(-7), constant(2))), -1);
  EXPECT_EQ(b.known_constant(b.binary(Opcode::div, constant(7), constant(0))), 0);
  EXPECT_EQ(b.known_constant(b.binary(Opcode::div, constant(INT64_MIN), constant(-1))), INT64_MIN);
  EXPECT_EQ(b.known_constant(b.compare(Opcode::ult, constant(1), constant(-1))), -1);
  Value n = b.scalar_param("n");
  EXPECT_EQ(b.select(b.compare(Opcode::lt, constant(4), constant(3)), n, constant(9)), constant(9));
  EXPECT_EQ(b.add(n, constant(0)), n);
  EXPECT_EQ(b.known_constant(b.mul(n, constant(0))), 0);
  b.index(Affine(n, 2) + Affine(constant(5), 3) - Affine(n));
  EXPECT_EQ(b.function().body.ops.back().address, Affine(n) + 15);
  EXPECT_EQ(b.index(Affine(n, 2) - Affine(n)), n);
}

TEST(Builder, ConstantsAreSharedWhereTheyDominate) {
  Module module;
  Builder b(module, "f");
  Value n = b.scalar_param("n");
  Value outer = b.index_constant(7), inner;
  b.for_loop(outer, n, 1, {}, [&](Value, std::span<const Value>) -> std::vector<Value> {
    EXPECT_EQ(b.index_constant(7), outer);
    inner = b.index_constant(8);
    EXPECT_EQ(b.index_constant(8), inner);
    return {};
  });
  EXPECT_NE(b.index_constant(8), inner); // the one in the loop does not reach here
  EXPECT_NE(b.constant(kF32, 0.0), b.constant(kF32, -0.0));
  EXPECT_EQ(b.constant(kF32, 0.1), b.constant(kF32, static_cast<float>(0.1)));
}

TEST(Builder, LoopsOfKnownCourseVanish) {
  Module module;
  Builder b(module, "f");
  int runs = 0;
  b.for_range(3, 4, 8, [&](Value iv) {
    ++runs;
    EXPECT_EQ(b.known_constant(iv), 3);
  });
  b.for_range(4, 4, 1, [&](Value) { FAIL(); });
  b.if_else(
      b.compare(Opcode::lt, b.index_constant(1), b.index_constant(2)),
      [&]() -> std::vector<Value> { return ++runs, std::vector<Value>(); },
      [&]() -> std::vector<Value> {
        ADD_FAILURE();
        return {};
      });
  EXPECT_EQ(runs, 2);
  b.finish();
  for (const Op &op : module.functions[0].body.ops) EXPECT_TRUE(op.regions.empty());
}

TEST(Builder, AllocaIsHoistedToTheOutermostBlock) {
  Module module;
  Builder b(module, "f");
  Value n = b.scalar_param("n");
  b.for_loop(n, n, 1, {}, [&](Value, std::span<const Value>) -> std::vector<Value> {
    b.alloca_buffer(Scalar::f32, 8);
    return {};
  });
  EXPECT_THROW(b.parallel(n, [&](Value) { b.alloca_buffer(Scalar::f32, 8); }), InternalError);
  EXPECT_EQ(b.function().body.ops[0].code, Opcode::alloca);
}

TEST(Builder, WrongOperandsAreCaughtAtOnce) {
  Module module;
  Builder b(module, "f");
  Value x = b.buffer_param("x", Scalar::f32, true), n = b.scalar_param("n");
  Value one = b.constant(kF32, 1);
  EXPECT_THROW(b.add(one, n), InternalError);
  EXPECT_THROW(b.binary(Opcode::bit_and, one, one), InternalError);
  EXPECT_THROW(b.unary(Opcode::add, one), InternalError);
  EXPECT_THROW(b.load(x, Affine(one)), InternalError);
  EXPECT_THROW(b.load(x, n, 4, 3), InternalError);
  EXPECT_THROW(b.load(x, n, 5000), InternalError);
  EXPECT_THROW(b.store(n, x, 0), InternalError);
  EXPECT_THROW(b.cast(Opcode::fptrunc, one, Scalar::f64), InternalError);
  EXPECT_THROW(b.extract(b.broadcast(one, 4), 4), InternalError);
  EXPECT_THROW(b.reduce(Opcode::reduce_add, b.broadcast(one, 12)), InternalError);
  EXPECT_THROW(b.target("vpdpbusd", kF32, {one}), InternalError);
  EXPECT_THROW(b.finish({one}), InternalError);
}

} // namespace cameo::loop
