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

// The functions, by family. Each takes f32 or f64.
Expr exp(Expr x);
Expr exp_half(Expr x); ///< e^x / 2 for x >= 0, finite as long as that is
Expr expm1(Expr x);
Expr sigmoid(Expr x);
Expr tanh(Expr x);
Expr sinh(Expr x);
Expr cosh(Expr x);

Expr log(Expr x);
Expr log1p(Expr x);
Expr asinh(Expr x);
Expr acosh(Expr x);
Expr atanh(Expr x);

Expr erf(Expr x);

} // namespace cameo::loop::math
