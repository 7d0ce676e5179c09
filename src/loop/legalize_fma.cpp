// fma without the instruction: a*b + c rounded once.
//
// f32: the product is exact in f64, the sum is not; rounded to odd (the last bit set when anything was lost), it keeps
// what the second rounding, to f32, has to know (Boldo and Melquiond). f64: in integers, as a software float library
// does it: a product of 106 bits, aligned with c in 128 bits, where bits shifted out leave a one behind.
#include "expand_math.h"
#include "legalize_ops.h"

#include <limits>

namespace cameo::loop {

namespace {

using namespace math;

Expr fma_f32(Expr a, Expr b, Expr c) {
  Pair sum = two_sum(widen(a) * widen(b), widen(c));
  Expr i = bits_of(sum.hi);
  Expr lost = (sum.lo < 0.0) | (sum.lo > 0.0); // not when it is NaN: then the sum is infinite or NaN
  Expr even = (i & 1) == 0;
  Expr outward = (sum.lo > 0.0) ^ (sum.hi < 0.0); // the exact sum is larger in magnitude
  Expr odd = select(outward, i + 1, i - 1);
  return narrow(float_of(select(lost & even, odd, i)));
}

constexpr int64_t kSign = std::numeric_limits<int64_t>::min();
constexpr int64_t kInfinityBits = int64_t{0x7ff} << 52;

// (mantissa) 2^(exponent - 1075), the leading bit of the mantissa at 52, for finite x; zero has mantissa 0.
struct Unpacked {
  Expr sign, exponent, mantissa;
};
Unpacked unpack(Expr x) {
  Expr i = bits_of(x), a = i & ~kSign;
  Expr denormal = a < (int64_t{1} << 52);
  Expr up = clz(a) - 11;
  return {i & kSign, select(denormal, 1 - up, a >> 52),
          select(denormal, a << up, (a & ((int64_t{1} << 52) - 1)) | (int64_t{1} << 52))};
}

struct Wide { // 128 bits
  Expr hi, lo;
};

Wide multiply(Expr a, Expr b) {
  constexpr int64_t kLow = 0xffffffff;
  Expr a1 = a >> 32, a0 = a & kLow, b1 = b >> 32, b0 = b & kLow;
  Expr low = a0 * b0, middle = a0 * b1 + a1 * b0; // mantissas have 53 bits: no overflow
  Expr lo = low + (middle << 32);
  Expr carry = ult(lo, low).cast(Opcode::zext, Scalar::i64);
  return {a1 * b1 + (middle >> 32) + carry, lo};
}

// a >> n for 0 <= n < 128, the lowest bit set when ones were lost. Counts of 64 and more give 0 in Loop IR.
Wide shift_right_sticky(Wide a, Expr n) {
  Expr far = n > 63;
  Expr m = n & 63;
  Expr lost = select(far, (a.hi << (64 - m)) | a.lo, a.lo << (64 - m));
  Expr lo = select(far, a.hi >> m, (a.lo >> m) | (a.hi << (64 - m)));
  Expr hi = select(far, 0, a.hi >> m);
  return {hi, lo | (lost != 0).cast(Opcode::zext, Scalar::i64)};
}

Expr fma_f64(Expr a, Expr b, Expr c) {
  Unpacked ua = unpack(a), ub = unpack(b), uc = unpack(c);
  // Both with 20 and more zeros below and the leading bit at 124 or 125: no sum overflows, and what cancels is exact.
  Wide p = multiply(ua.mantissa, ub.mantissa);
  p = {(p.hi << 20) | (p.lo >> 44), p.lo << 20};
  Expr p_exponent = ua.exponent + ub.exponent - (2 * 1075 + 20), p_sign = ua.sign ^ ub.sign;
  Wide q{uc.mantissa << 8, uc.mantissa & 0};
  Expr q_exponent = uc.exponent - (1075 + 72);
  Expr distance = p_exponent - q_exponent;
  Expr swap = distance < 0;
  Wide big{select(swap, q.hi, p.hi), select(swap, q.lo, p.lo)},
      small{select(swap, p.hi, q.hi), select(swap, p.lo, q.lo)};
  Expr exponent = select(swap, q_exponent, p_exponent);
  Expr far = select(swap, 0 - distance, distance);
  small = shift_right_sticky(small, select(far > 127, 127, far));

  Expr differ = p_sign != uc.sign;
  Wide sum{big.hi + small.hi, big.lo + small.lo};
  sum.hi = sum.hi + ult(sum.lo, big.lo).cast(Opcode::zext, Scalar::i64);
  Wide difference{big.hi - small.hi - ult(big.lo, small.lo).cast(Opcode::zext, Scalar::i64), big.lo - small.lo};
  Expr negative = difference.hi < 0;
  Wide opposite{~difference.hi + (difference.lo == 0).cast(Opcode::zext, Scalar::i64), 0 - difference.lo};
  difference = {select(negative, opposite.hi, difference.hi), select(negative, opposite.lo, difference.lo)};
  Wide total{select(differ, difference.hi, sum.hi), select(differ, difference.lo, sum.lo)};
  Expr sign = select(swap, uc.sign, p_sign) ^ select(differ & negative, kSign, uc.sign.integer(0));

  // leading bit to the top, then 55 bits: 53, a rounding bit, a sticky bit
  Expr small_total = total.hi == 0;
  Expr h = select(small_total, total.lo, total.hi), l = select(small_total, 0, total.lo);
  Expr zeros = clz(h);
  Expr top = (h << zeros) | (l >> (64 - zeros));
  Expr rest = (top & 0x1ff) | (l << zeros);
  Expr kept = (top >> 9) | (rest != 0).cast(Opcode::zext, Scalar::i64);
  Expr biased = exponent + (127 + 1023) - zeros - select(small_total, 64, zeros.integer(0));
  Expr denormal_by = select(biased < 1, 1 - biased, biased.integer(0));
  Expr shift = select(denormal_by > 58, 58, denormal_by) + 2;
  Expr one = uc.sign.integer(1);
  Expr mantissa = kept >> shift, remainder = kept & ((one << shift) - 1), half = one << (shift - 1);
  Expr up = (remainder > half) | ((remainder == half) & ((mantissa & 1) != 0));
  mantissa = mantissa + up.cast(Opcode::zext, Scalar::i64);
  Expr packed = (select(biased > 1, biased - 1, biased.integer(0)) << 52) + mantissa;
  packed = umin(packed, kInfinityBits);
  Expr y = float_of(packed | sign);
  y = select((total.hi | total.lo) == 0, 0.0, y); // exact cancellation

  // Where the product is exact, or only c is not finite, or nothing has to be added.
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Expr product = a * b;
  y = select(c == 0.0, product, y);
  y = select(abs(c) < kInfinity, y, c);
  Expr inexact = (abs(a) < kInfinity) & (abs(b) < kInfinity) & (a != 0.0) & (b != 0.0);
  return select(inexact, y, product + c);
}

} // namespace

Value expand_fma(Builder &builder, const Replaced &replaced) {
  Expr a{&builder, replaced.operands[0]}, b{&builder, replaced.operands[1]}, c{&builder, replaced.operands[2]};
  return (is_f32(a) ? fma_f32(a, b, c) : fma_f64(a, b, c)).value;
}

} // namespace cameo::loop
