// Replaced operations as compiled code: the same bits as the exact operation, on every CPU level.
#include "../loop/math_bounds.h"
#include "compiled.h"

#include "cameo/loop/legalize.h"

namespace cameo::codegen {
namespace {

// Operands whose exponents are everywhere, or near each other, or at the ends of the range; and special ones.
template <class T> T operand(loop::RandomBits &random) {
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  using Limits = std::numeric_limits<T>;
  const T specials[] = {0,
                        -T(0),
                        1,
                        -1,
                        Limits::infinity(),
                        -Limits::infinity(),
                        Limits::quiet_NaN(),
                        Limits::max(),
                        -Limits::max(),
                        Limits::min(),
                        -Limits::min(),
                        Limits::denorm_min(),
                        -Limits::denorm_min(),
                        1 + Limits::epsilon()};
  uint64_t bits = random();
  T any = std::bit_cast<T>(static_cast<Bits>(random()));
  T unit = 1 + static_cast<T>(random() >> 11) * T(0x1p-53);
  switch (bits % 5) {
  case 0:
    return any;
  case 1:
    return std::ldexp(bits & 64 ? unit : -unit, static_cast<int>(bits >> 32 & 7) - 4);
  case 2:
    return std::ldexp(bits & 64 ? T(1.25) : T(-1.5), static_cast<int>((bits >> 32) % 600) - 300);
  case 3:
    return std::ldexp(unit, Limits::min_exponent - static_cast<int>((bits >> 32) % 60));
  default:
    return specials[(bits >> 32) % std::size(specials)];
  }
}

template <class T> bool same(T a, T b) {
  return (std::isnan(a) && std::isnan(b)) || std::memcmp(&a, &b, sizeof a) == 0;
}

template <class T> void check_exact(Opcode opcode, T (*reference)(T, T, T), int count) {
  constexpr Scalar kScalar = scalar_of<T>();
  std::vector<T> x, y, z, out(static_cast<size_t>(count));
  loop::RandomBits random(5);
  for (int i = 0; i < count; ++i) {
    x.push_back(operand<T>(random));
    y.push_back(operand<T>(random));
    z.push_back(i % 3 ? operand<T>(random) : std::nextafter(-x.back() * y.back(), T(i % 2))); // nearly cancelling
  }
  for (const loop::Target &target : runnable_targets()) {
    SCOPED_TRACE(target.name + " " + std::string(loop::name(opcode)));
    int32_t lanes = target.lanes(sizeof(T) * 8);
    loop::Module module;
    loop::add_elementwise(
        module, "f", {kScalar, kScalar, kScalar}, kScalar, lanes, [&](Builder &b, std::span<const Value> v) {
          return opcode == Opcode::fma ? b.ternary(opcode, v[0], v[1], v[2]) : b.binary(opcode, v[0], v[1]);
        });
    loop::legalize(module, target);
    Jit code = jit(module, target);
    compiled(code)("f", {loop::bytes_of(x), loop::bytes_of(y), loop::bytes_of(z)}, loop::writable_bytes_of(out), count);
    for (size_t i = 0; i < out.size(); ++i) {
      T expected = reference(x[i], y[i], z[i]);
      ASSERT_TRUE(same(out[i], expected))
          << std::hexfloat << x[i] << ", " << y[i] << ", " << z[i] << ": got " << out[i] << ", expected " << expected;
    }
  }
}

TEST(Legalized, FmaIsExact) {
  check_exact<float>(Opcode::fma, std::fma, 1 << 18);
  check_exact<double>(Opcode::fma, std::fma, 1 << 18);
}

TEST(Legalized, RemIsExact) {
  check_exact<float>(Opcode::rem, [](float x, float y, float) { return std::fmod(x, y); }, 1 << 16);
  check_exact<double>(Opcode::rem, [](double x, double y, double) { return std::fmod(x, y); }, 1 << 14);
}

TEST(Legalized, DotProductIsExact) {
  constexpr int kCount = 4096;
  std::vector<int32_t> c(kCount), x(kCount), y(kCount), out(kCount);
  loop::RandomBits random(6);
  for (int i = 0; i < kCount; ++i) {
    c[size_t(i)] = static_cast<int32_t>(random());
    x[size_t(i)] = i < 16 ? -1 : static_cast<int32_t>(random()); // 255s
    y[size_t(i)] = i < 16 ? INT32_MIN >> (i % 8 * 4) : static_cast<int32_t>(random());
  }
  for (const loop::Target &target : runnable_targets()) {
    SCOPED_TRACE(target.name);
    for (int32_t lanes : {1, 4, 64, target.lanes(32)}) {
      loop::Module module;
      loop::add_elementwise(module, "f", {Scalar::i32, Scalar::i32, Scalar::i32}, Scalar::i32, lanes,
                            [&](Builder &b, std::span<const Value> v) {
                              return b.target("vpdpbusd", {Scalar::i32, lanes}, {v[0], v[1], v[2]});
                            });
      loop::legalize(module, target);
      Jit code = jit(module, target);
      compiled(code)("f", {loop::bytes_of(c), loop::bytes_of(x), loop::bytes_of(y)}, loop::writable_bytes_of(out),
                     kCount);
      for (size_t i = 0; i < kCount; ++i) {
        auto sum = static_cast<uint32_t>(c[i]);
        for (int k = 0; k < 32; k += 8)
          sum += static_cast<uint32_t>(static_cast<uint8_t>(x[i] >> k) * static_cast<int8_t>(y[i] >> k));
        ASSERT_EQ(static_cast<uint32_t>(out[i]), sum);
      }
    }
  }
}

} // namespace
} // namespace cameo::codegen
