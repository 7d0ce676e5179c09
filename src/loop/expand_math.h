// What the expansions of mathematical functions are written in: values with operators, so that the code reads like the
// formulas that it emits. Scalars and vectors alike; every constant is a splat of the value's own type.
#pragma once

#include "cameo/loop/legalize.h"

#include <concepts>

namespace cameo::loop::math {

/// A value and the builder that emits what is done with it.
struct Expr {
  Builder *builder = nullptr;
  Value value;

  const Type &type() const { return builder->type(value); }
  Expr real(double c) const { return {builder, builder->constant(type(), c)}; }
  Expr integer(int64_t c) const { return {builder, builder->constant_int(type(), c)}; }
  Expr cast(Opcode code, Scalar to) const { return {builder, builder->cast(code, value, to)}; }
  Expr unary(Opcode code) const { return {builder, builder->unary(code, value)}; }
  Expr binary(Opcode code, Expr b) const { return {builder, builder->binary(code, value, b.value)}; }
  Expr compare(Opcode code, Expr b) const { return {builder, builder->compare(code, value, b.value)}; }
};

// A constant operand takes the type of the other: `x * 0.5`, `bits & 0xff`. Hexadecimal integers above the sign bit
// wrap, as in C.
template <class T>
concept Constant = std::floating_point<T> || std::integral<T>;
template <Constant C> Expr like(Expr x, C c) {
  if constexpr (std::floating_point<C>)
    return x.real(c);
  else
    return is_float(x.type().scalar) ? x.real(static_cast<double>(c)) : x.integer(static_cast<int64_t>(c));
}

#define CAMEO_EXPR_BINARY(function, opcode)                                                                            \
  inline Expr function(Expr a, Expr b) { return a.binary(Opcode::opcode, b); }                                         \
  template <Constant C> Expr function(Expr a, C b) { return a.binary(Opcode::opcode, like(a, b)); }                    \
  template <Constant C> Expr function(C a, Expr b) { return like(b, a).binary(Opcode::opcode, b); }
CAMEO_EXPR_BINARY(operator+, add)
CAMEO_EXPR_BINARY(operator-, sub)
CAMEO_EXPR_BINARY(operator*, mul)
CAMEO_EXPR_BINARY(operator/, div)
CAMEO_EXPR_BINARY(operator&, bit_and)
CAMEO_EXPR_BINARY(operator|, bit_or)
CAMEO_EXPR_BINARY(operator^, bit_xor)
CAMEO_EXPR_BINARY(operator<<, shl)
CAMEO_EXPR_BINARY(operator>>, shr) // logical
CAMEO_EXPR_BINARY(sar, sar)
CAMEO_EXPR_BINARY(umin, umin)
CAMEO_EXPR_BINARY(copysign, copysign)
#undef CAMEO_EXPR_BINARY

#define CAMEO_EXPR_COMPARE(function, opcode)                                                                           \
  inline Expr function(Expr a, Expr b) { return a.compare(Opcode::opcode, b); }                                        \
  template <Constant C> Expr function(Expr a, C b) { return a.compare(Opcode::opcode, like(a, b)); }
CAMEO_EXPR_COMPARE(operator<, lt)
CAMEO_EXPR_COMPARE(operator<=, le)
CAMEO_EXPR_COMPARE(operator>, gt)
CAMEO_EXPR_COMPARE(operator>=, ge)
CAMEO_EXPR_COMPARE(operator==, eq)
CAMEO_EXPR_COMPARE(operator!=, ne)
CAMEO_EXPR_COMPARE(ult, ult)
CAMEO_EXPR_COMPARE(ugt, ugt)
#undef CAMEO_EXPR_COMPARE

inline Expr operator-(Expr a) { return a.unary(Opcode::neg); }
inline Expr operator~(Expr a) { return a.unary(Opcode::bit_not); }
inline Expr abs(Expr a) { return a.unary(Opcode::abs); }
inline Expr ftrunc(Expr a) { return a.unary(Opcode::ftrunc); }
inline Expr clz(Expr a) { return a.unary(Opcode::clz); }
inline Expr sqrt(Expr a) { return a.unary(Opcode::sqrt); }
inline Expr rint(Expr a) { return a.unary(Opcode::rint); }

inline Expr select(Expr condition, Expr a, Expr b) {
  return {a.builder, a.builder->select(condition.value, a.value, b.value)};
}
template <Constant C> Expr select(Expr condition, C a, Expr b) { return select(condition, like(b, a), b); }
template <Constant C> Expr select(Expr condition, Expr a, C b) { return select(condition, a, like(a, b)); }

/// The lesser, or the greater, of x and a constant; NaN stays NaN (and it is one minps or maxps on x86).
inline Expr at_most(Expr x, double limit) { return select(x > limit, limit, x); }
inline Expr at_least(Expr x, double limit) { return select(x < limit, limit, x); }

/// a*b + c where one rounding or two are both fine.
inline Expr muladd(Expr a, Expr b, Expr c) { return {a.builder, a.builder->muladd(a.value, b.value, c.value)}; }
inline Expr muladd(Expr a, double b, Expr c) { return muladd(a, a.real(b), c); }
inline Expr muladd(Expr a, Expr b, double c) { return muladd(a, b, a.real(c)); }
inline Expr muladd(Expr a, double b, double c) { return muladd(a, a.real(b), a.real(c)); }

/// c[0] + c[1] x + c[2] x^2 + ... by Horner's rule.
template <class T, size_t n> Expr polynomial(Expr x, const T (&c)[n]) {
  static_assert(n >= 2);
  Expr p = muladd(x, static_cast<double>(c[n - 1]), static_cast<double>(c[n - 2]));
  for (size_t k = n - 2; k-- > 0;) p = muladd(p, x, static_cast<double>(c[k]));
  return p;
}

// Floats as their bits and back.
inline Expr bits_of(Expr x) {
  Type type = x.type().with_scalar(x.type().scalar == Scalar::f32 ? Scalar::i32 : Scalar::i64);
  return {x.builder, x.builder->bitcast(x.value, type)};
}
inline Expr float_of(Expr i) {
  Type type = i.type().with_scalar(i.type().scalar == Scalar::i32 ? Scalar::f32 : Scalar::f64);
  return {i.builder, i.builder->bitcast(i.value, type)};
}
inline Expr widen(Expr x) { return x.cast(Opcode::fpext, Scalar::f64); }
inline Expr narrow(Expr x) { return x.cast(Opcode::fptrunc, Scalar::f32); }

inline bool is_f32(Expr x) { return x.type().scalar == Scalar::f32; }

/// The greatest lane of integers; any number of lanes.
Expr greatest(Expr a);
/// Whether some lane is true, as an i1.
Expr any(Expr condition);

/// An unevaluated sum, hi + lo with |lo| <= ulp(hi)/2.
struct Pair {
  Expr hi, lo;
};

/// a + b exactly (Knuth); a NaN or infinite sum has a NaN lo.
inline Pair two_sum(Expr a, Expr b) {
  Expr hi = a + b;
  Expr bb = hi - a;
  return {hi, (a - (hi - bb)) + (b - bb)};
}

/// a + b exactly where |a| >= |b| or a = 0 (Dekker).
inline Pair fast_two_sum(Expr a, Expr b) {
  Expr hi = a + b;
  return {hi, b - (hi - a)};
}

/// a * b exactly, for f64 (Dekker), unless the product overflows or its lower half underflows. By fma where the target
/// has it, else by halves of 26 bits, cut by rounding in the bits, which cannot overflow; the result is the same.
inline Pair two_product(Expr a, Expr b, bool fma) {
  Expr hi = a * b;
  if (fma) return {hi, Expr{a.builder, a.builder->ternary(Opcode::fma, a.value, b.value, (-hi).value)}};
  auto upper = [](Expr x) { return float_of((bits_of(x) + (1 << 26)) & ~int64_t{0x7ffffff}); };
  Expr ah = upper(a), al = a - ah, bh = upper(b), bl = b - bh;
  return {hi, ((ah * bh - hi) + ah * bl + al * bh) + al * bl};
}

// The functions, by family. Each takes f32 or f64.
Expr exp(Expr x);
Expr exp(Expr x, Expr tail); ///< e^(x + tail), tail at most a few ulp of x
/// e^x of an f64, to be narrowed to f32: good to 2^-28 of itself.
Expr exp_for_f32(Expr x);
Expr exp_half(Expr x); ///< e^x / 2 for x >= 0, finite as long as that is
Expr expm1(Expr x);
Expr sigmoid(Expr x);
Expr tanh(Expr x);
Expr sinh(Expr x);
Expr cosh(Expr x);

/// x = 2^e (1 + f), 1 + f in [sqrt 1/2, sqrt 2], for finite x > 0, denormals included.
struct LogParts {
  Expr e; ///< as a float
  Expr f;
};
LogParts log_parts(Expr x);
/// log of an f64 that came from a positive f32, good to 2^-37 of itself.
Expr log_for_f32(Expr x);
Expr log(Expr x);
Expr log1p(Expr x);
Expr asinh(Expr x);
Expr acosh(Expr x);
Expr atanh(Expr x);

Expr erf(Expr x);

Expr sin(Expr x);
Expr cos(Expr x);
Expr tan(Expr x);
Expr asin(Expr x);
Expr acos(Expr x);
Expr atan(Expr x);

Expr pow(Expr x, Expr y, const Target &target);

} // namespace cameo::loop::math
