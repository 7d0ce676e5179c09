// Small floats, by integer arithmetic on f32's bits. A code moved into f32's place has the right mantissa and, up to
// the difference of the biases, the right exponent. Denormals go through the float adder: as offsets from the power of
// two whose last place is theirs. No operation meets a denormal f32, which would be slow on some machines.
#include "convert.h"

#include <bit>

namespace cameo::loop {

namespace {

using namespace math;

constexpr int64_t kInfinity = 0x7f800000, kMagnitude = 0x7fffffff;
constexpr int kF32Mantissa = 23, kF32Bias = 127;

enum class Specials : uint8_t {
  ieee, ///< exponent all ones: infinity and NaN
  fn,   ///< all ones: NaN
  fnuz, ///< sign alone: NaN
  none,
};
struct Format {
  int exponent, mantissa, bias;
  Specials specials;

  int width() const { return 1 + exponent + mantissa; }
  int64_t sign() const { return int64_t{1} << (width() - 1); }
  int64_t infinity() const { return ((int64_t{1} << exponent) - 1) << mantissa; }
  int64_t largest() const {
    return specials == Specials::ieee ? infinity() - 1 : specials == Specials::fn ? sign() - 2 : sign() - 1;
  }
  int shift() const { return kF32Mantissa - mantissa; }                          ///< from a code to f32's place
  int rebias() const { return kF32Bias - bias; }                                 ///< of the exponents
  int64_t least_normal() const { return int64_t{rebias() + 1} << kF32Mantissa; } ///< f32 bits
};

Format format_of(DType dtype) {
  switch (dtype) {
  case DType::f8e4m3fn:
    return {4, 3, 7, Specials::fn};
  case DType::f8e4m3fnuz:
    return {4, 3, 8, Specials::fnuz};
  case DType::f8e5m2:
    return {5, 2, 15, Specials::ieee};
  case DType::f8e5m2fnuz:
    return {5, 2, 16, Specials::fnuz};
  case DType::f4e2m1:
    return {2, 1, 1, Specials::none};
  default:
    CAMEO_UNREACHABLE("not a small float: " + std::string(name(dtype)));
  }
}

// Formats without infinities: f8e5m2 is half an f16 instead.
Expr decode_small(Expr x, const Format &f) {
  Expr code = x.cast(Opcode::zext, Scalar::i32);
  Expr a = (code & (f.sign() - 1)) << f.shift();
  Expr normal = a + (int64_t{f.rebias()} << kF32Mantissa);
  Expr based = float_of(a + f.least_normal());
  Expr denormal = bits_of(based - static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(f.least_normal()))));
  Expr i = select(a < (1 << kF32Mantissa), denormal, normal);
  if (f.specials == Specials::fn)
    i = select((code & (f.sign() - 1)) == (f.sign() - 1), 0x7ff00000, i); // quiet, its payload the mantissa
  i = i | ((code & f.sign()) << (32 - f.width()));
  if (f.specials == Specials::fnuz) i = select(code == f.sign(), 0x7fc00000, i);
  return float_of(i);
}

Expr encode_small(Expr x, const Format &f, bool saturate) {
  Expr i = bits_of(x), a = i & kMagnitude;
  int shift = f.shift();
  // half a last place, less one unit unless the kept part is odd
  Expr rounded = a + ((a >> shift) & 1) + ((int64_t{1} << (shift - 1)) - 1);
  Expr normal = (rounded >> shift) - (int64_t{f.rebias()} << f.mantissa);
  // the last place of 2^(23 + 1 - bias - mantissa) is that of a denormal
  int64_t base = int64_t{kF32Bias + kF32Mantissa + 1 - f.bias - f.mantissa} << kF32Mantissa;
  Expr denormal = bits_of(float_of(a) + static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(base)))) - base;
  Expr code = select(a < f.least_normal(), denormal, normal);
  Expr sign = (i >> (32 - f.width())) & f.sign();
  if (f.specials == Specials::none) return select(a > kInfinity, f.sign(), umin(code, f.largest()) | sign);
  Expr nan = a > kInfinity;
  if (f.specials == Specials::fnuz) {
    if (saturate) code = umin(code, f.largest());
    Expr is_nan = nan | (code > f.largest());
    code = select(code == 0, code, code | sign);
    return select(is_nan, f.sign(), code);
  }
  code = umin(code, saturate ? f.largest() : f.largest() + 1); // above the largest: infinity, or NaN in fn
  if (f.specials == Specials::ieee) {
    int64_t quiet = f.infinity() | int64_t{1} << (f.mantissa - 1);
    code = select(nan, ((a >> shift) & ((1 << f.mantissa) - 1)) | quiet, code);
  } else {
    code = select(nan, f.sign() - 1, code);
  }
  return code | sign;
}

// Powers of two, 2^(code - 127); 255 is NaN. f32 has 2^-127 as a denormal.
Expr decode_scale(Expr x) {
  Expr code = x.cast(Opcode::zext, Scalar::i32);
  Expr i = code << kF32Mantissa;
  return float_of(select((code == 0) | (code == 255), i | 0x400000, i));
}

Expr encode_scale(Expr x, Narrowing narrowing) {
  constexpr int64_t kLeast = 0x400000; // 2^-127
  Expr i = bits_of(x), code = i >> kF32Mantissa;
  switch (narrowing.scale) {
  case ScaleRounding::up:
    code = select(i > kLeast, (i + 0x7fffff) >> kF32Mantissa, 0);
    break;
  case ScaleRounding::nearest:
    code = select(i < 0x600000, 0, (i + 0x400000) >> kF32Mantissa);
    break;
  case ScaleRounding::down:
    break;
  }
  code = select(x > 0x1p127, narrowing.saturate ? 254 : 255, code);
  code = select((i & kMagnitude) < kLeast, narrowing.saturate ? 0 : 255, code);
  return select((x < 0.0) | (x != x), 255, code);
}

} // namespace

Expr decode_float(Expr x, DType dtype) {
  switch (dtype) {
  case DType::f32:
    return x;
  case DType::f64:
    return narrow(x);
  case DType::f16:
  case DType::bf16:
    return x.cast(Opcode::fpext, Scalar::f32);
  case DType::f8e8m0:
    return decode_scale(x);
  case DType::f8e5m2: { // the upper half of an f16
    Expr code = x.cast(Opcode::zext, Scalar::i16) << 8;
    return Expr{x.builder, x.builder->bitcast(code.value, x.type().with_scalar(Scalar::f16))}.cast(Opcode::fpext,
                                                                                                   Scalar::f32);
  }
  default:
    return decode_small(x, format_of(dtype));
  }
}

Expr encode_float(Expr x, DType dtype, Narrowing narrowing) {
  switch (dtype) {
  case DType::f32:
    return x;
  case DType::f64:
    return widen(x);
  case DType::f16:
    return x.cast(Opcode::fptrunc, Scalar::f16);
  case DType::bf16:
    return x.cast(Opcode::fptrunc, Scalar::bf16);
  case DType::f8e8m0:
    return encode_scale(x, narrowing).cast(Opcode::trunc, Scalar::i8);
  default:
    return encode_small(x, format_of(dtype), narrowing.saturate).cast(Opcode::trunc, Scalar::i8);
  }
}

} // namespace cameo::loop
