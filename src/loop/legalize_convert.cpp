// fpext and fptrunc that targets lack, by integer arithmetic.
//
// f16 to f32: the bits move to f32's place and the exponent is biased anew; denormals go through the float adder, as
// offsets from 2^-14 (multiplying by 2^112 would be shorter, but denormal operands are slow on some machines). f32 to
// f16: normal results round by adding just under half a last place to the bits (half to even); denormal ones by a float
// addition of 1/2, whose last place is that of f16's denormals. bf16 is the upper half of an f32. From f64, the step to
// f32 rounds to odd, so that the step after it still sees what was lost.
//
// bf16 is never left to the hardware: vcvtneps2bf16 takes denormals for zero.
#include "expand_math.h"
#include "legalize_ops.h"

namespace cameo::loop {

namespace {

using namespace math;

constexpr int64_t kInfinityF32 = 0x7f800000, kMagnitude = 0x7fffffff, kSign = 0x80000000;

Expr code_of(Expr x) { // i16 bits of an f16 or bf16, zero-extended
  Expr i{x.builder, x.builder->bitcast(x.value, x.type().with_scalar(Scalar::i16))};
  return i.cast(Opcode::zext, Scalar::i32);
}

Expr from_code(Expr code, Scalar scalar) {
  Expr i = code.cast(Opcode::trunc, Scalar::i16);
  return {i.builder, i.builder->bitcast(i.value, i.type().with_scalar(scalar))};
}

Expr f16_to_f32(Expr x) {
  constexpr int64_t kInfinity = 0x7c00 << 13;
  Expr code = code_of(x);
  Expr a = (code & 0x7fff) << 13;
  Expr denormal = bits_of(float_of(a + (113 << 23)) - 0x1p-14);
  Expr special = select(a > kInfinity, a | 0x7fc00000, a | kInfinityF32); // NaNs become quiet
  Expr i = select(a < (1 << 23), denormal, a + (112 << 23));
  return float_of(select(a < kInfinity, i, special) | ((code & 0x8000) << 16));
}

Expr bf16_to_f32(Expr x) { return float_of(code_of(x) << 16); }

Expr f32_to_f16(Expr x) {
  Expr i = bits_of(x), a = i & kMagnitude;
  Expr normal = ((a + ((a >> 13) & 1) + 0xfff) >> 13) - (112 << 10);
  Expr denormal = bits_of(float_of(a) + 0.5) - 0x3f000000;
  Expr code = select(a < 0x38800000, denormal, umin(normal, 0x7c00));
  code = select(a > kInfinityF32, ((a >> 13) & 0x3ff) | 0x7e00, code);
  return from_code(code | ((i & kSign) >> 16), Scalar::f16);
}

Expr f32_to_bf16(Expr x) {
  Expr i = bits_of(x), upper = i >> 16;
  Expr rounded = (i + (upper & 1) + 0x7fff) >> 16;
  return from_code(select((i & kMagnitude) > kInfinityF32, upper | 0x40, rounded), Scalar::bf16);
}

// f64 to f32: towards zero, with the last bit set when anything was lost.
Expr round_to_odd(Expr x) {
  Expr nearest = narrow(x), back = widen(nearest), i = bits_of(nearest);
  Expr lost = (back < x) | (back > x);
  Expr even = (i & 1) == 0;
  // f64 comparisons give i1 lanes, which select f32 bits as well
  return float_of(select(lost & even, select(abs(back) > abs(x), i - 1, i + 1), i));
}

} // namespace

Value expand_fpext(Builder &builder, const Replaced &replaced) {
  Expr x{&builder, replaced.operands[0]};
  Expr wide = x.type().scalar == Scalar::bf16 ? bf16_to_f32(x)
              : replaced.target.f16_convert   ? x.cast(Opcode::fpext, Scalar::f32)
                                              : f16_to_f32(x);
  return (replaced.result.scalar == Scalar::f64 ? widen(wide) : wide).value;
}

Value expand_fptrunc(Builder &builder, const Replaced &replaced) {
  Expr x{&builder, replaced.operands[0]};
  Expr single = is_f32(x) ? x : round_to_odd(x);
  if (replaced.result.scalar == Scalar::bf16) return f32_to_bf16(single).value;
  return (replaced.target.f16_convert ? single.cast(Opcode::fptrunc, Scalar::f16) : f32_to_f16(single)).value;
}

} // namespace cameo::loop
