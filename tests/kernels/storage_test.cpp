// Small floats and packed integers: loaded, converted, multiplied in f32 and stored, against support's scalar
// conversions.
#include "kernel_runner.h"

#include "cameo/ops/stage_builder.h"
#include "cameo/support/half.h"

namespace cameo::loop {
namespace {

// y = x * 1.5 with x and y of the given types; elements are checked bit for bit.
void expect_product(DType from, DType to, const char *cpu) {
  SCOPED_TRACE(std::string(name(from)) + " to " + std::string(name(to)) + " for " + cpu);
  constexpr int64_t kCount = 37;
  Kernel k;
  k.name = "scale";
  const int32_t x = k.add_buffer("x", from, {kCount}, BufferRole::input);
  const int32_t y = k.add_buffer("y", to, {kCount}, BufferRole::output);
  ExprId v = k.read(x, {axis_index(0)});
  if (is_integer(from))
    v = k.cast(kind(from) == DTypeKind::signed_integer ? Opcode::sitofp : Opcode::uitofp, v, Scalar::f32);
  v = k.op(Opcode::mul, {v, k.constant(Scalar::f32, 1.5)});
  Scalar type = Scalar::f32;
  if (is_integer(to)) {
    const double most = kind(to) == DTypeKind::signed_integer ? (1 << (bits(to) - 1)) - 1 : (1 << bits(to)) - 1;
    const double least = kind(to) == DTypeKind::signed_integer ? -most - 1 : 0;
    v = k.op(Opcode::min, {k.op(Opcode::max, {k.op(Opcode::rint, {v}), k.constant(Scalar::f32, least)}),
                           k.constant(Scalar::f32, most)});
    v = k.cast(Opcode::trunc, k.cast(Opcode::fptosi, v, Scalar::i32), Scalar::i8);
    type = Scalar::i8;
  }
  k.add_stage(ops::stored(ops::stage("y", {{"i", kCount}}, type, v), y, {axis_index(0)}));
  EXPECT_TRUE(verify(k).empty());
  const Target target = codegen::resolve_targets(cpu)->back();
  if (!codegen::host_can_run(target)) GTEST_SKIP() << "this machine cannot run " << cpu;
  std::vector<Binding> bindings = dense_bindings(k);
  Module module;
  apply(module, k, bindings, target, default_schedule(k, bindings, target), "kernel");
  for (const std::string &e : loop::verify(module)) ADD_FAILURE() << e;
  legalize(module, target);
  module.find("kernel")->exported = true;
  auto jit = codegen::Jit::create(module, target);
  ASSERT_TRUE(jit.ok());
  auto get = [](const std::array<uint8_t, 256> &bytes, DType d, int64_t i) {
    const int b = bits(d);
    if (b >= 8) {
      uint64_t v = 0;
      std::memcpy(&v, bytes.data() + i * b / 8, static_cast<size_t>(b) / 8);
      return v;
    }
    return static_cast<uint64_t>(bytes[static_cast<size_t>(i * b / 8)] >> (i * b % 8)) & ((1u << b) - 1);
  };
  alignas(64) std::array<uint8_t, 256> in{}, out{};
  out.fill(0xcb);
  std::mt19937 random(5);
  for (uint8_t &b : in) b = static_cast<uint8_t>(random());
  cameo_env env{};
  jit->function<void(cameo_env *, const uint8_t *, uint8_t *)>("kernel")(&env, in.data(), out.data());
  for (int64_t i = 0; i < kCount; ++i) {
    const float value = static_cast<float>(decode(from, get(in, from, i))) * 1.5f;
    double want = value;
    if (is_integer(to)) {
      const double most = kind(to) == DTypeKind::signed_integer ? (1 << (bits(to) - 1)) - 1 : (1 << bits(to)) - 1;
      want =
          std::isnan(want)
              ? want
              : std::min(std::max(std::nearbyint(want), kind(to) == DTypeKind::signed_integer ? -most - 1 : 0.0), most);
      if (std::isnan(want)) continue; // no integer is right
    }
    const double got = decode(to, get(out, to, i)), expected = decode(to, encode(to, want));
    EXPECT_TRUE(got == expected || (std::isnan(got) && std::isnan(expected)))
        << i << ": " << value << " became " << got << ", not " << expected;
  }
}

} // namespace

TEST(Storage, SmallTypesComputeInF32) {
  const DType types[] = {DType::f16,    DType::bf16,       DType::f8e4m3fn, DType::f8e4m3fnuz,
                         DType::f8e5m2, DType::f8e5m2fnuz, DType::f4e2m1,   DType::i4,
                         DType::u4,     DType::i2,         DType::u2};
  for (const char *cpu : {"x86-64-v2", "x86-64-v3", "x86-64-v4", "native"})
    for (DType type : types) {
      expect_product(type, DType::f32, cpu);
      expect_product(type, type, cpu);
    }
}

} // namespace cameo::loop
