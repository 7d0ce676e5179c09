// erf, odd: x + x P(x^2) for small |x|; beyond, 1 - P(|x|)^4 (f64: ^8). erfc falls like e^(-x^2), which no polynomial
// of low degree follows, but a root of it is tame: degree 7 and two squarings do what degree 12 does for erfc itself,
// and no division is needed. The rounding errors of the power count little because erfc <= 0.12 there.
#include "expand_math.h"

#include "expand_math_tables.h"

namespace cameo::loop::math {

Expr erf(Expr x) {
  bool f32 = x.type().scalar == Scalar::f32;
  Expr a = abs(x);
  Expr t = a * a;
  Expr small = muladd(a, f32 ? polynomial(t, kErfSmallF32) : polynomial(t, kErfSmallF64), a);
  Expr c = at_most(a, f32 ? 3.93 : 5.93); // 1 - 2^-26 (2^-55) and nearer to 1
  Expr root = f32 ? polynomial(c, kErfTailF32) : polynomial(c, kErfTailF64);
  root = root * root;
  if (!f32) root = root * root;
  Expr large = muladd(-root, root, 1.0);
  return copysign(select(a < 1.1, small, large), x);
}

} // namespace cameo::loop::math
