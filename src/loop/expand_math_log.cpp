// log and what is made of it: log1p, asinh, acosh, atanh.
//
// x = 2^e (1 + f) with 1 + f in [sqrt 1/2, sqrt 2), so that e is 0 around x = 1 and nothing cancels; then log x =
// e ln2 + log(1 + f). f32: a polynomial of f. f64: log(1 + f) = 2 atanh s with s = f/(2 + f), which needs half as many
// terms; 2s is taken as f - f^2/2 + s f^2/2, whose first term is exact.
#include "expand_math.h"

#include "expand_math_tables.h"

#include <limits>

namespace cameo::loop::math {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct LogFormat {
  int mantissa;
  int64_t root_half; // bits of sqrt(1/2)
  double least_normal;
  double ln2_hi, ln2_lo;
};
constexpr LogFormat kF32{23, 0x3f3504f3, 0x1p-126, kLn2HiF32, kLn2LoF32};
constexpr LogFormat kF64{52, 0x3fe6a09e667f3bcd, 0x1p-1022, kLn2HiF64, kLn2LoF64};

const LogFormat &format_of(Expr x) { return is_f32(x) ? kF32 : kF64; }

// Positive normal x = 2^e (1 + f). Few machines convert vectors of i64 to f64: e + bias stands as the low bits of 2^52
// instead.
LogParts split(Expr x) {
  const LogFormat &format = format_of(x);
  int64_t one = is_f32(x) ? 0x3f800000 : 0x3ff0000000000000;
  Expr shifted = bits_of(x) + (one - format.root_half);
  Expr m = float_of((shifted & ((int64_t{1} << format.mantissa) - 1)) + format.root_half);
  Expr biased = shifted >> format.mantissa;
  if (is_f32(x)) return {(biased - 127).cast(Opcode::sitofp, Scalar::f32), m - 1.0};
  return {float_of(biased | 0x4330000000000000) - (0x1p52 + 1023), m - 1.0};
}

// e ln2 + log(1 + f) + tail.
Expr log_of(LogParts p, const Expr *tail = nullptr) {
  const LogFormat &format = format_of(p.f);
  Expr f = p.f, square = f * f;
  Expr low = p.e * format.ln2_lo;
  if (tail) low = low + *tail;
  if (is_f32(f)) {
    low = muladd(square * f, polynomial(f, kLogF32), low);
    low = muladd(square, -0.5, low) + f;
    return muladd(p.e, format.ln2_hi, low);
  }
  Expr half_square = square * 0.5;
  Expr s = f / (f + 2.0), z = s * s;
  Expr r = z * polynomial(z, kLogF64); // log(1 + f) = f - half_square + s (half_square + r)
  low = muladd(s, half_square + r, low) - half_square + f;
  return muladd(p.e, format.ln2_hi, low);
}

} // namespace

Expr log_for_f32(Expr x) {
  LogParts p = split(x);
  Expr s = p.f / (p.f + 2.0), z = s * s;
  return muladd(p.e, kLn2, muladd(polynomial(z, kLogRoughF64), z * s, s + s));
}

LogParts log_parts(Expr x) {
  const LogFormat &format = format_of(x);
  int up = format.mantissa;
  Expr denormal = x < format.least_normal;
  LogParts p = split(select(denormal, x * static_cast<double>(int64_t{1} << up), x));
  p.e = p.e - select(denormal, static_cast<double>(up), x.real(0.0));
  return p;
}

Expr log(Expr x) {
  Expr y = log_of(log_parts(x));
  y = select(x == 0.0, -kInfinity, y);
  y = select(x < 0.0, kNan, y);
  return select(x < kInfinity, y, x); // infinity and NaN
}

// With u = fl(1 + x): log(1 + x) = log u + (1 + x - u)/u, the second term lost in rounding u. Where u needs no
// exponent, f is x itself.
Expr log1p(Expr x) {
  Expr u = x + 1.0;
  Expr lost = select(x < 1.0, x - (u - 1.0), 1.0 - (u - x));
  LogParts p = split(u);
  Expr near = p.e == 0.0;
  p.f = select(near, x, p.f);
  Expr tail = select(near, 0.0, lost / u);
  Expr y = copysign(log_of(p, &tail), x);
  y = select(x == -1.0, -kInfinity, y);
  y = select(x < -1.0, kNan, y);
  return select(x < kInfinity, y, x);
}

// log(a + sqrt(a^2 + 1)) = log1p(a + a^2/(1 + sqrt(a^2 + 1))); for huge a, log a + ln 2.
Expr asinh(Expr x) {
  Expr a = abs(x);
  Expr huge = a > 0x1p60;
  Expr c = at_most(a, 0x1p60);
  Expr square = c * c;
  Expr y = c + square / (sqrt(square + 1.0) + 1.0);
  y = log1p(select(huge, a, y));
  return copysign(y + select(huge, kLn2, x.real(0.0)), x);
}

// log(x + sqrt(x^2 - 1)) = log1p(t + sqrt(2t + t^2)), t = x - 1.
Expr acosh(Expr x) {
  Expr huge = x > 0x1p60;
  Expr t = at_most(x, 0x1p60) - 1.0;
  Expr y = log1p(select(huge, x, t + sqrt(muladd(t, t, t + t))));
  return select(x < 1.0, kNan, y + select(huge, kLn2, x.real(0.0)));
}

// log((1 + a)/(1 - a))/2 = log1p(2a/(1 - a))/2.
Expr atanh(Expr x) {
  Expr a = abs(x);
  return copysign(log1p((a + a) / (1.0 - a)) * 0.5, x);
}

} // namespace cameo::loop::math
