#include "cameo/loop/legalize.h"
#include "cameo/loop/verify.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace cameo::loop {
namespace {

Target plain() { return {}; }

// Every operation of a block and the blocks inside it.
void walk(const Block &block, const std::function<void(const Op &)> &visit) {
  for (const Op &op : block.ops) {
    visit(op);
    for (const Block &region : op.regions) walk(region, visit);
  }
}

int64_t count(const Function &function, Opcode code) {
  int64_t n = 0;
  walk(function.body, [&](const Op &op) { n += op.code == code; });
  return n;
}

TEST(Legalize, ReplacesMathAndKeepsTheResult) {
  Module module;
  Builder b(module, "f");
  Value x = b.scalar_param("x", {Scalar::f32, 8});
  b.set_results({{Scalar::f32, 8}});
  Value y = b.unary(Opcode::exp, x);
  b.finish({y});
  legalize(module, plain());
  const Function &f = module.functions[0];
  EXPECT_EQ(count(f, Opcode::exp), 0);
  ASSERT_EQ(f.body.ops.back().code, Opcode::ret);
  EXPECT_EQ(f.body.ops.back().operands[0], y); // users of the result need no change
  EXPECT_EQ(f.type(y), (Type{Scalar::f32, 8}));
}

TEST(Legalize, IsIdempotent) {
  Module module;
  Builder b(module, "f");
  Value x = b.scalar_param("x", kF32);
  b.set_results({kF32});
  b.finish({b.unary(Opcode::erf, x)});
  legalize(module, plain());
  size_t ops = module.functions[0].body.ops.size(), values = module.functions[0].values.size();
  legalize(module, plain());
  EXPECT_EQ(module.functions[0].body.ops.size(), ops);
  EXPECT_EQ(module.functions[0].values.size(), values);
}

// Two uses in a loop: one set of constants at the start of the function, none in the loop.
TEST(Legalize, SharesConstantsOutsideOfLoops) {
  auto build = [](int uses) {
    Module module;
    Builder b(module, "f");
    Value x = b.buffer_param("x", Scalar::f32, false, true, 64);
    b.for_range(0, 64, 16, [&](Value i) {
      Value v = b.load(x, i, 16);
      for (int k = 0; k < uses; ++k) v = b.unary(Opcode::tanh, v);
      b.store(v, x, i);
    });
    b.finish();
    legalize(module, plain());
    return module;
  };
  Module once = build(1), twice = build(2);
  EXPECT_GT(count(once.functions[0], Opcode::constant), 5);
  EXPECT_EQ(count(once.functions[0], Opcode::constant), count(twice.functions[0], Opcode::constant));
  EXPECT_EQ(count(twice.functions[0], Opcode::div), 2 * count(once.functions[0], Opcode::div));
  for (const Op &op : once.functions[0].body.ops)
    for (const Block &region : op.regions)
      walk(region, [](const Op &inner) { EXPECT_NE(inner.code, Opcode::constant); });
}

// Constants of a parallel body stay in it: they would otherwise have to be handed to its tasks.
TEST(Legalize, KeepsConstantsInsideParallelBodies) {
  Module module;
  Builder b(module, "f");
  Value x = b.buffer_param("x", Scalar::f32, false, true, 4);
  b.parallel(b.index_constant(4), [&](Value task) { b.store(b.unary(Opcode::exp, b.load(x, task)), x, task); });
  b.finish();
  legalize(module, plain());
  const Function &f = module.functions[0];
  auto parallel = std::find_if(f.body.ops.begin(), f.body.ops.end(), [](const Op &op) { return !op.regions.empty(); });
  ASSERT_NE(parallel, f.body.ops.end());
  int64_t inside = 0;
  walk(parallel->regions[0], [&](const Op &op) { inside += op.code == Opcode::constant; });
  EXPECT_GT(inside, 5);
}

// What stays and what goes, by target.
TEST(Legalize, ReplacesWhatTheTargetLacks) {
  auto left = [](Opcode code, Scalar from, Scalar to, const Target &target) {
    Module module;
    Builder b(module, "f");
    Type type{from, 4};
    std::vector<Value> x;
    for (int i = 0; i < 3; ++i) x.push_back(b.scalar_param("", type));
    b.set_results({type.with_scalar(to)});
    switch (op_class(code)) {
    case OpClass::ternary:
      b.finish({b.ternary(code, x[0], x[1], x[2])});
      break;
    case OpClass::binary:
      b.finish({b.binary(code, x[0], x[1])});
      break;
    default:
      b.finish({b.cast(code, x[0], to)});
    }
    legalize(module, target);
    EXPECT_EQ(verify(module), std::vector<std::string>());
    int64_t n = 0; // of this operation between these types
    const Function &f = module.functions[0];
    walk(f.body, [&](const Op &op) {
      n += op.code == code && f.type(op.operands[0]).scalar == from && f.type(op.results[0]).scalar == to;
    });
    return n == 1;
  };
  Target none, all;
  all.fma = all.f16_convert = all.bf16_convert = true;
  using enum Scalar;
  EXPECT_TRUE(left(Opcode::muladd, f32, f32, none));
  EXPECT_FALSE(left(Opcode::fma, f32, f32, none));
  EXPECT_FALSE(left(Opcode::fma, f64, f64, none));
  EXPECT_TRUE(left(Opcode::fma, f64, f64, all));
  EXPECT_FALSE(left(Opcode::rem, f32, f32, all));
  EXPECT_TRUE(left(Opcode::rem, i32, i32, none));
  EXPECT_FALSE(left(Opcode::fpext, f16, f32, none));
  EXPECT_TRUE(left(Opcode::fpext, f16, f32, all));
  EXPECT_FALSE(left(Opcode::fpext, f16, f64, all));
  EXPECT_FALSE(left(Opcode::fpext, bf16, f32, all));
  EXPECT_TRUE(left(Opcode::fpext, f32, f64, none));
  EXPECT_FALSE(left(Opcode::fptrunc, f32, f16, none));
  EXPECT_TRUE(left(Opcode::fptrunc, f32, f16, all));
  EXPECT_FALSE(left(Opcode::fptrunc, f64, f16, all));
  EXPECT_FALSE(left(Opcode::fptrunc, f32, bf16, all));
  EXPECT_TRUE(left(Opcode::fptrunc, f64, f32, none));
}

// How many instructions are left of one of so many lanes.
TEST(Legalize, ReplacesTheDotProduct) {
  auto left = [](const Target &target, int32_t lanes) {
    Module module;
    Builder b(module, "f");
    Type type{Scalar::i32, lanes};
    Value c = b.scalar_param("c", type), x = b.scalar_param("x", type), y = b.scalar_param("y", type);
    b.set_results({type});
    b.finish({b.target("vpdpbusd", type, {c, x, y})});
    legalize(module, target);
    EXPECT_EQ(verify(module), std::vector<std::string>());
    return count(module.functions[0], Opcode::target);
  };
  Target vnni;
  vnni.dot_u8s8 = true;
  vnni.vector_bits = 256;
  EXPECT_EQ(left({}, 8), 0);
  EXPECT_EQ(left(vnni, 4), 1);
  EXPECT_EQ(left(vnni, 8), 1);
  EXPECT_EQ(left(vnni, 32), 4);
  EXPECT_EQ(left(vnni, 24), 0); // halves of 12 lanes are no register
  EXPECT_EQ(left(vnni, 1), 0);
}

// Every function, f32 and f64, lanes that are not a power of two included.
TEST(Legalize, LeavesValidModules) {
  for (int code = static_cast<int>(Opcode::exp); code <= static_cast<int>(Opcode::pow); ++code)
    for (Scalar scalar : {Scalar::f32, Scalar::f64})
      for (int32_t lanes : {1, 3, 8}) {
        auto opcode = static_cast<Opcode>(code);
        Module module;
        Builder b(module, "f");
        Type type{scalar, lanes};
        Value x = b.scalar_param("x", type), y = b.scalar_param("y", type);
        b.set_results({type});
        b.finish({opcode == Opcode::pow ? b.binary(opcode, x, y) : b.unary(opcode, x)});
        legalize(module, {});
        EXPECT_EQ(verify(module), std::vector<std::string>()) << name(opcode) << " " << to_string(type);
        EXPECT_EQ(count(module.functions[0], opcode), 0);
      }
}

TEST(Legalize, LeavesDeclarationsAlone) {
  Module module;
  Function declared;
  declared.name = "sort";
  declared.declaration = true;
  module.functions.push_back(declared);
  legalize(module, plain());
  EXPECT_TRUE(module.functions[0].body.ops.empty());
}

} // namespace
} // namespace cameo::loop
