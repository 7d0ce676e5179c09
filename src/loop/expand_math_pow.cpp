// pow: e^(y log |x|), its sign, and C's table of special cases.
//
// y log x may be as large as 745 and then turns an absolute error into a relative one of the result, so the logarithm
// has to be known to 10 bits more than the result. f32: log and exp in f64 do. f64: the logarithm is a pair of doubles,
// of relative error 2^-65.
#include "expand_math.h"

#include "expand_math_tables.h"

#include <limits>

namespace cameo::loop::math {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Pair product(Pair a, Pair b, bool fma) {
  Pair p = two_product(a.hi, b.hi, fma);
  return {p.hi, p.lo + muladd(a.hi, b.lo, a.lo * b.hi)};
}

// log x = e ln2 + log(1 + f), log(1 + f) = 2s + s^3 (2/3 + s^2 P(s^2)), s = f/(2 + f).
Pair log_pair(Expr x, bool fma) {
  LogParts parts = log_parts(x);
  Expr f = parts.f;
  Pair d = fast_two_sum(f.real(2.0), f);
  Expr sh = f / d.hi;
  Pair back = two_product(sh, d.hi, fma);
  Pair s{sh, (((f - back.hi) - back.lo) - sh * d.lo) / d.hi};
  Pair z = product(s, s, fma);
  Pair w = fast_two_sum(f.real(kTwoThirdsHi), z.hi * polynomial(z.hi, kLogTailF64));
  w.lo = w.lo + kTwoThirdsLo;
  Pair cubic = product(product(s, z, fma), w, fma);
  Pair sum = fast_two_sum(s.hi + s.hi, cubic.hi);
  Expr low = sum.lo + ((s.lo + s.lo) + cubic.lo);
  Pair total = two_sum(parts.e * kLn2HiF64, sum.hi);
  return fast_two_sum(total.hi, total.lo + muladd(parts.e, kLn2LoF64, low));
}

// |x|^y for finite x > 0 and y not NaN.
Expr magnitude(Expr a, Expr y, bool fma) {
  if (is_f32(a)) return narrow(exp_for_f32(widen(y) * log_for_f32(widen(a))));
  Expr bounded = at_least(at_most(y, 0x1p80), -0x1p80); // beyond, the result is 0, 1 or infinite as well
  Pair l = log_pair(a, fma);
  Pair p = two_product(bounded, l.hi, fma);
  Expr tail = muladd(bounded, l.lo, p.lo);
  return exp(p.hi, select(abs(p.hi) < 1024.0, tail, 0.0));
}

} // namespace

Expr pow(Expr x, Expr y, const Target &target) {
  Expr a = abs(x);
  Expr m = magnitude(a, y, target.fma);
  // 0 and infinity to the y: infinite or 0. A NaN y is put right below.
  Expr zero = a == 0.0;
  Expr endless = select((zero ^ (y > 0.0)), x.real(kInfinity), 0.0);
  m = select(zero | (a == kInfinity), endless, m);
  // sign and domain; huge y are even integers, infinite ones too
  Expr integral = rint(y) == y;
  Expr half = y * 0.5;
  Expr odd = integral & (rint(half) != half);
  m = select(odd, copysign(m, x), m);
  m = select((x < 0.0) & (x > -kInfinity) & ~integral, kNan, m);
  m = select(a == 1.0, select(odd, x, 1.0), m); // (-1)^infinity = 1
  m = select((x != x) | (y != y) | ((x == -1.0) & ~integral), kNan, m);
  return select((x == 1.0) | (y == 0.0), 1.0, m);
}

} // namespace cameo::loop::math
