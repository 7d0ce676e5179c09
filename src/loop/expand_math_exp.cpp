// exp and what is made of it: expm1, sigmoid, tanh, sinh, cosh.
//
// e^x = 2^n e^r with n = rint(x / ln 2) and |r| <= ln2/2, e^r by a polynomial. n comes out of one addition: x/ln2 + 1.5
// 2^23 rounds to an integer that stands in the low bits of the sum, ready to be shifted into an exponent field. 2^n is
// applied as two factors, so that the largest results and denormal ones are rounded once, by the last multiplication.
// x - n ln2 is taken in two steps; the first product is exact because its constant ends in zeros (Cody and Waite), so
// no fma is needed.
#include "expand_math.h"

#include "expand_math_tables.h"

namespace cameo::loop::math {

namespace {

// What the two precisions differ in.
struct ExpFormat {
  double round;     // 1.5 2^(mantissa bits): adding it rounds to an integer
  int mantissa;     // width of the mantissa field
  int bias;         // of the exponent field
  double ln2_hi;    // ln 2 with enough trailing zeros that n ln2_hi is exact
  double ln2_lo;    // ln 2 - ln2_hi
  double overflow;  // e^x is infinite from a little below
  double underflow; // e^x rounds to 0 from a little above
};
constexpr ExpFormat kF32{0x1.8p23, 23, 127, kLn2HiF32, kLn2LoF32, 89.0, -104.0};
constexpr ExpFormat kF64{0x1.8p52, 52, 1023, kLn2HiF64, kLn2LoF64, 710.0, -746.0};

const ExpFormat &format_of(Expr x) { return x.type().scalar == Scalar::f32 ? kF32 : kF64; }

struct Reduced {
  Expr r;       // |r| <= ln2/2 and a little
  Expr counter; // integer whose low bits are n + offset
};

// x = n ln2 + r.
Reduced reduce(Expr x, int offset) {
  const ExpFormat &f = format_of(x);
  double magic = f.round + offset;
  Expr sum = muladd(x, 1 / kLn2, magic);
  Expr n = sum - magic;
  Expr r = muladd(n, -f.ln2_lo, muladd(n, -f.ln2_hi, x));
  return {r, bits_of(sum)};
}

// e^r - 1, relative to itself: r + r^2 P(r).
Expr expm1_of_reduced(Expr r) {
  Expr p = is_f32(r) ? polynomial(r, kExpm1F32) : polynomial(r, kExpm1F64);
  return muladd(p, r * r, r);
}

// 2^scale e^(x + tail) for x within (underflow, overflow) and a little beyond.
Expr exp_scaled(Expr x, int scale, const Expr *tail = nullptr) {
  const ExpFormat &f = format_of(x);
  Reduced reduced = reduce(x, 2 * f.bias + scale);
  Expr r = tail ? reduced.r + *tail : reduced.r;
  Expr p = is_f32(r) ? polynomial(r, kExpF32) : polynomial(r, kExpF64);
  p = muladd(p, r * r, r) + 1.0;
  Expr half = reduced.counter >> 1; // exponent field of 2^floor((n + scale)/2), the rest of the bits is shifted out
  return p * float_of(half << f.mantissa) * float_of((reduced.counter - half) << f.mantissa);
}

// 2^n - 1 + 2^n (e^r - 1) for x >= 0 up to where 2^n overflows.
Expr expm1_positive(Expr x) {
  const ExpFormat &f = format_of(x);
  Reduced reduced = reduce(x, f.bias);
  Expr power = float_of(reduced.counter << f.mantissa);
  return muladd(power, expm1_of_reduced(reduced.r), power - 1.0);
}

} // namespace

Expr exp(Expr x) {
  const ExpFormat &f = format_of(x);
  return exp_scaled(at_least(at_most(x, f.overflow), f.underflow), 0);
}

Expr exp(Expr x, Expr tail) {
  const ExpFormat &f = format_of(x);
  return exp_scaled(at_least(at_most(x, f.overflow), f.underflow), 0, &tail);
}

Expr exp_for_f32(Expr x) {
  Reduced reduced = reduce(at_least(at_most(x, kF32.overflow), kF32.underflow), kF64.bias);
  Expr p = polynomial(reduced.r, kExpF32);
  p = muladd(p, reduced.r * reduced.r, reduced.r) + 1.0;
  return p * float_of(reduced.counter << kF64.mantissa);
}

Expr exp_half(Expr x) {
  const ExpFormat &f = format_of(x);
  return exp_scaled(at_most(x, f.overflow + 2), -1);
}

// With half powers, so that the last binade does not overflow early: 2 (2^(n-1) - 1/2 + 2^(n-1) (e^r - 1)).
Expr expm1(Expr x) {
  const ExpFormat &f = format_of(x);
  double lowest = -2.0 * (f.mantissa + 1) * kLn2; // -1 from far above
  Reduced reduced = reduce(at_least(at_most(x, f.overflow), lowest), f.bias - 1);
  Expr power = float_of(reduced.counter << f.mantissa);
  Expr p = expm1_of_reduced(reduced.r);
  Expr half = muladd(power, p, power - 0.5);
  Expr y = select(abs(x) < 0.25, p, half + half); // n = 0: exact for denormals as well
  return copysign(y, x);
}

// z = e^-|x| never overflows: 1/(1 + z), or z/(1 + z) for negative x, which keeps the relative precision down to
// denormals.
Expr sigmoid(Expr x) {
  Expr z = exp_scaled(at_least(-abs(x), format_of(x).underflow), 0);
  return select(x < 0.0, z, 1.0) / (z + 1.0);
}

// tanh |x| = m/(m + 2), m = e^(2|x|) - 1: precise from denormals up to where it is 1.
Expr tanh(Expr x) {
  Expr a = abs(x);
  Expr m = expm1_positive(at_most(a + a, is_f32(x) ? 18.1 : 38.2));
  return copysign(m / (m + 2.0), x);
}

Expr sinh(Expr x) {
  Expr a = abs(x);
  Expr t = x * x;
  Expr small = muladd(is_f32(x) ? polynomial(t, kSinhF32) : polynomial(t, kSinhF64), t * x, x);
  Expr h = exp_half(a);
  return copysign(select(a < 1.0, small, h - 0.25 / h), x);
}

Expr cosh(Expr x) {
  Expr h = exp_half(abs(x));
  return h + 0.25 / h;
}

} // namespace cameo::loop::math
