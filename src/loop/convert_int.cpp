// Integers of 2 to 64 bits and bool. fptosi is unspecified out of range, so values are brought into range first; every
// input has one defined result, on every target and in the interpreter.
#include "convert.h"

#include <cmath>
#include <limits>

namespace cameo::loop {

namespace {

using namespace math;

// NaN and what is smaller become `least`.
Expr nan_to_least(Expr x, double least) { return select(x > least, x, least); }

// x within [least, above), else `least`.
Expr within(Expr x, double least, double above) {
  Expr y = nan_to_least(x, least);
  return select(y < above, y, least);
}

Expr to_i64(Expr x) { return x.cast(Opcode::fptosi, Scalar::i64); }

// x below 2^64: from 2^63 on in two parts.
Expr to_u64(Expr x) {
  Expr high = x >= 0x1p63;
  Expr i = to_i64(select(high, x - 0x1p63, x));
  return select(high, i ^ std::numeric_limits<int64_t>::min(), i);
}

Expr clamped(Expr x, DType dtype) {
  int width = bits(dtype);
  bool is_signed = kind(dtype) == DTypeKind::signed_integer;
  double above = std::ldexp(1.0, is_signed ? width - 1 : width), least = is_signed ? -above : 0.0;
  Expr y = nan_to_least(x, least);
  if (width <= 16) return at_most(y, above - 1).cast(Opcode::fptosi, Scalar::i32);
  // The greatest integer is not an f32: what reaches `above` is replaced.
  Expr over = y >= above;
  y = select(over, 0.0, y);
  Expr i = width == 32 && is_signed    ? y.cast(Opcode::fptosi, Scalar::i32)
           : width == 64 && !is_signed ? to_u64(y)
                                       : to_i64(y);
  int64_t greatest = !is_signed    ? -1
                     : width == 32 ? std::numeric_limits<int32_t>::max()
                                   : std::numeric_limits<int64_t>::max();
  return select(over, greatest, i);
}

Expr wrapped(Expr x, DType dtype) {
  if (bits(dtype) <= 16 || dtype == DType::i32) return within(x, -0x1p31, 0x1p31).cast(Opcode::fptosi, Scalar::i32);
  if (dtype != DType::u64) return to_i64(within(x, -0x1p63, 0x1p63));
  return to_u64(within(x, -0x1p63, 0x1p64));
}

} // namespace

Expr decode_integer(Expr x, DType dtype) {
  if (dtype == DType::boolean) return (x != 0).cast(Opcode::uitofp, Scalar::f32);
  int width = bits(dtype);
  bool is_signed = kind(dtype) == DTypeKind::signed_integer;
  if (width < 8) {
    Expr i = x.cast(Opcode::zext, Scalar::i32) & ((1 << width) - 1);
    if (is_signed) i = (i ^ (1 << (width - 1))) - (1 << (width - 1));
    return i.cast(Opcode::sitofp, Scalar::f32);
  }
  if (width < 32) return x.cast(is_signed ? Opcode::sext : Opcode::zext, Scalar::i32).cast(Opcode::sitofp, Scalar::f32);
  return x.cast(is_signed ? Opcode::sitofp : Opcode::uitofp, Scalar::f32);
}

Expr encode_integer(Expr x, DType dtype, Narrowing narrowing) {
  if (dtype == DType::boolean) return (x != 0.0).cast(Opcode::zext, Scalar::i8);
  CAMEO_CHECK(is_integer(dtype), "no conversion from f32 to " + std::string(name(dtype)));
  Expr i = narrowing.saturate ? clamped(x, dtype) : wrapped(x, dtype);
  int width = bits(dtype);
  if (width < 8) i = i & ((1 << width) - 1);
  Scalar to = width <= 8 ? Scalar::i8 : width == 16 ? Scalar::i16 : width == 32 ? Scalar::i32 : Scalar::i64;
  return to == i.type().scalar ? i : i.cast(Opcode::trunc, to);
}

} // namespace cameo::loop
