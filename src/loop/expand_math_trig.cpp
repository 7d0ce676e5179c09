// sin, cos, tan and their inverses.
//
// |x| = n pi/2 + r with |r| <= pi/4; then sin and cos of r by polynomials, swapped when n is odd, signs from n. The
// subtraction loses the leading digits of x, so it is done with pi/2 in pieces whose products with n are exact (Cody
// and Waite): in f64 for both types, for |x| below a limit.
//
// Beyond the limit (Payne and Hanek, in floating point): x 2/pi is summed from the pieces of 2/pi whose products with x
// are exact; whole multiples of 4 are taken out of each product, also exactly, so it does not matter how large x is.
// The code for that runs only when some lane needs it.
#include "expand_math.h"

#include "expand_math_tables.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <span>
#include <vector>

namespace cameo::loop::math {

namespace {

constexpr double kTwoOverPi = 2 * 0x1.45f306dc9c883p-2;

struct Angle {
  Expr r;        // of x's type, |r| <= pi/4
  Expr tail;     // what r lacks; f32: only where asked for
  Expr quadrant; // integer of r's width; its two low bits count
};

// p minus the nearest multiple of 4.
Expr mod4(Expr p) { return p - rint(p * 0.25) * 4.0; }

// x 2/pi = n + (r + tail) 2/pi from products that add up to x 2/pi modulo 4.
struct Turns {
  Expr n, r, tail;
};
Turns turns_of(std::span<const Expr> products) {
  Pair sum{mod4(products[0]), products[0].real(0.0)};
  for (Expr p : products.subspan(1)) {
    Pair next = two_sum(sum.hi, mod4(p));
    sum = {mod4(next.hi), sum.lo + next.lo};
  }
  Expr n = rint(sum.hi);
  Pair fraction = two_sum(sum.hi - n, sum.lo);
  Pair product = two_product(fraction.hi, n.real(kPiOver2Hi), false);
  Expr lo = muladd(fraction.hi, kPiOver2Lo, muladd(fraction.lo, kPiOver2Hi, product.lo));
  Pair r = fast_two_sum(product.hi, lo);
  return {n, r.hi, r.lo};
}

// x holds an f32 value: 24 bits times pieces of 29 bits. 2^128 turns need 2/pi to 2^-185.
Turns reduce_huge_f32(Expr x) {
  std::vector<Expr> products;
  for (double piece : kTwoOverPi29) products.push_back(x * piece);
  return turns_of(products);
}

// x in halves of at most 27 and 26 bits, times 9 pieces of 26 bits: those before give multiples of 4, those after
// nothing. The window starts at piece `first`, picked like a barrel shifter does, one bit of `first` after the other.
Turns reduce_huge_f64(Expr x) {
  constexpr int kWindow = 9, kWidth = 26, kPieces = std::size(kTwoOverPi26);
  Expr exponent = (bits_of(x) >> 52) - 1023;
  exponent = select(exponent > 54, exponent, 54);
  Expr first = ((exponent - 54) * 1260) >> 15; // /26, or one less
  std::vector<Expr> pieces;
  for (double piece : kTwoOverPi26) pieces.push_back(x.real(piece));
  for (int bit = 5; bit >= 0; --bit) {
    Expr take = (first & (int64_t{1} << bit)) != 0;
    size_t step = size_t{1} << bit, left = std::min<size_t>(kWindow + step - 1, kPieces);
    std::vector<Expr> shifted;
    for (size_t i = 0; i < left; ++i)
      shifted.push_back(i + step < pieces.size() ? select(take, pieces[i + step], pieces[i]) : pieces[i]);
    pieces = std::move(shifted);
  }
  Expr scale = float_of((1023 - kWidth - first * kWidth) << 52); // 2^-(26 (first + 1))
  Expr high = float_of(bits_of(x) & ~int64_t{0x7ffffff});
  Expr low = (x - high) * scale;
  high = high * scale;
  std::vector<Expr> products;
  double unit = 1;
  for (int i = 0; i < kWindow; ++i, unit *= 0x1p-26) {
    Expr piece = pieces[static_cast<size_t>(i)] * unit;
    products.push_back(high * piece);
    products.push_back(low * piece);
  }
  return turns_of(products);
}

// f64 always has a tail, or its largest results would miss their bound. x >= 0; a NaN or infinite x gives a NaN r.
Angle reduce(Expr x, bool with_tail) {
  bool f32 = is_f32(x);
  Expr wide = f32 ? widen(x) : x;
  double limit = f32 ? 0x1p22 : 0x1p20;
  double magic = 0x1.8p52;
  Expr sum = muladd(wide, kTwoOverPi, magic);
  Expr n = sum - magic;
  Expr r = muladd(n, -kPiOver2Pieces[0], wide), tail = r;
  if (f32) {
    r = muladd(n, -(kPiOver2Pieces[1] + kPiOver2Pieces[2]), r);
  } else {
    Pair exact = two_sum(r, n * -kPiOver2Pieces[1]);
    exact = fast_two_sum(exact.hi, muladd(n, -kPiOver2Pieces[2], exact.lo));
    r = exact.hi;
    tail = exact.lo;
  }
  Expr quadrant = bits_of(sum);

  Expr limit_bits{x.builder, x.builder->constant_int(bits_of(x).type().with_lanes(1),
                                                     f32 ? std::bit_cast<int32_t>(static_cast<float>(limit))
                                                         : std::bit_cast<int64_t>(limit))};
  Expr some_huge = greatest(bits_of(x)) >= limit_bits;
  std::vector<Value> reduced = x.builder->if_else(
      some_huge.value,
      [&]() -> std::vector<Value> {
        Turns turns = f32 ? reduce_huge_f32(wide) : reduce_huge_f64(wide);
        Expr huge = wide >= limit;
        Expr whole = bits_of(turns.n + magic);
        std::vector<Value> values = {select(huge, turns.r, r).value, select(huge, whole, quadrant).value};
        if (!f32) values.push_back(select(huge, turns.tail, tail).value);
        return values;
      },
      [&]() -> std::vector<Value> {
        std::vector<Value> values = {r.value, quadrant.value};
        if (!f32) values.push_back(tail.value);
        return values;
      });
  r.value = reduced[0];
  quadrant.value = reduced[1];
  if (f32) {
    Expr single = narrow(r);
    return {single, with_tail ? narrow(r - widen(single)) : Expr(), quadrant.cast(Opcode::trunc, Scalar::i32)};
  }
  tail.value = reduced[2];
  return {r, tail, quadrant};
}

struct SinCos {
  Expr sin, cos;
};
// With a tail: sin(r + tail) = sin r + tail cos r, cos(r + tail) = cos r - tail sin r.
SinCos sin_cos_of(const Angle &angle) {
  Expr r = angle.r, t = r * r;
  Expr s = is_f32(r) ? polynomial(t, kSinF32) : polynomial(t, kSinF64);
  Expr c = is_f32(r) ? polynomial(t, kCosF32) : polynomial(t, kCosF64);
  Expr upper = muladd(t, -0.5, 1.0); // about cos r
  if (!angle.tail.builder) return {muladd(s, t * r, r), muladd(c, t * t, upper)};
  // 1 - t/2 rounds; what that loses goes with the rest
  Expr lost = muladd(t, -0.5, 1.0 - upper);
  return {muladd(s, t * r, angle.tail * upper) + r, (muladd(c, t * t, lost) - angle.tail * r) + upper};
}

// Bit `bit` of i as the sign bit.
Expr to_sign(Expr i, int bit) {
  int width = bits(i.type().scalar);
  return (i & (int64_t{1} << bit)) << (width - 1 - bit);
}
Expr sign_bits(Expr x) { return bits_of(x) & (is_f32(x) ? int64_t{1} << 31 : std::numeric_limits<int64_t>::min()); }
Expr flip_sign(Expr x, Expr sign) { return float_of(bits_of(x) ^ sign); }

double pi_over_2_hi(Expr x) { return is_f32(x) ? kPiOver2HiF32 : kPiOver2Hi; }
double pi_over_2_lo(Expr x) { return is_f32(x) ? kPiOver2LoF32 : kPiOver2Lo; }

} // namespace

Expr sin(Expr x) {
  Angle angle = reduce(abs(x), false);
  SinCos sc = sin_cos_of(angle);
  Expr y = select((angle.quadrant & 1) != 0, sc.cos, sc.sin);
  return flip_sign(y, to_sign(angle.quadrant, 1) ^ sign_bits(x));
}

Expr cos(Expr x) {
  Angle angle = reduce(abs(x), false);
  SinCos sc = sin_cos_of(angle);
  Expr y = select((angle.quadrant & 1) != 0, sc.sin, sc.cos);
  return flip_sign(y, to_sign(angle.quadrant + 1, 1));
}

// sin/cos, or -cos/sin in odd quadrants.
Expr tan(Expr x) {
  Angle angle = reduce(abs(x), true);
  SinCos sc = sin_cos_of(angle);
  Expr odd = (angle.quadrant & 1) != 0;
  Expr y = select(odd, sc.cos, sc.sin) / select(odd, sc.sin, sc.cos);
  return flip_sign(y, to_sign(angle.quadrant, 0) ^ sign_bits(x));
}

// Arguments beyond tan(pi/8) are turned by pi/4 or pi/2: atan a = pi/4 + atan((a - 1)/(a + 1)) = pi/2 - atan(1/a).
Expr atan(Expr x) {
  Expr a = abs(x);
  Expr beyond = a > 2.414213562373095, middle = a > 0.4142135623730950;
  Expr numerator = select(beyond, -1.0, select(middle, a - 1.0, a));
  Expr denominator = select(beyond, a, select(middle, a + 1.0, a.real(1.0)));
  Expr z = numerator / denominator;
  Expr t = z * z;
  Expr y = muladd(is_f32(x) ? polynomial(t, kAtanF32) : polynomial(t, kAtanF64), t * z, z);
  Expr turn = select(beyond, 1.0, select(middle, 0.5, a.real(0.0)));
  y = muladd(turn, pi_over_2_hi(x), muladd(turn, pi_over_2_lo(x), y));
  return copysign(y, x);
}

namespace {

// asin a, or, beyond 1/2, acos(a)/2 = asin(sqrt((1 - a)/2)).
struct Arc {
  Expr beyond, y;
};
Arc arc_of(Expr a) {
  Expr beyond = a > 0.5;
  Expr t = select(beyond, (1.0 - a) * 0.5, a * a);
  Expr z = select(beyond, sqrt(t), a);
  return {beyond, muladd(is_f32(a) ? polynomial(t, kAsinF32) : polynomial(t, kAsinF64), t * z, z)};
}

} // namespace

Expr asin(Expr x) {
  Arc arc = arc_of(abs(x));
  Expr complement = x.real(pi_over_2_hi(x)) - (arc.y + arc.y - pi_over_2_lo(x));
  return copysign(select(arc.beyond, complement, arc.y), x);
}

Expr acos(Expr x) {
  Arc arc = arc_of(abs(x));
  double hi = pi_over_2_hi(x), lo = pi_over_2_lo(x);
  Expr twice = arc.y + arc.y;
  Expr near_one = select(x < 0.0, 2 * hi - (twice - 2 * lo), twice);
  return select(arc.beyond, near_one, hi - (copysign(arc.y, x) - lo));
}

} // namespace cameo::loop::math
