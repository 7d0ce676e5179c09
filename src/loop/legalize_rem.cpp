// rem of floats is C's fmod: x - trunc(x/y) y without any rounding, with the sign of x. LLVM would call a library.
//
// f32: in f64, by division: quotients of up to 28 bits leave an exact remainder; larger ones are taken 28 bits at a
// time, and only when some lane needs it. f64: by subtracting y times the largest fitting power of two until the
// remainder is below y, one iteration per bit of the quotient at most.
#include "expand_math.h"
#include "legalize_ops.h"

#include <cmath>
#include <limits>

namespace cameo::loop {

namespace {

using namespace math;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// r mod b for r < 2^28 b: the quotient may be one too large by rounding.
Expr step(Expr r, Expr b) {
  Expr rest = r - ftrunc(r / b) * b;
  return select(rest < 0.0, rest + b, rest);
}

Expr rem_f32(Expr a, Expr b) {
  Expr r = widen(a), d = widen(b);
  Expr far = any((r >= d * 0x1p28) & (r < kInfinity) & (d > 0.0));
  std::vector<Value> reduced = r.builder->if_else(
      far.value,
      [&]() -> std::vector<Value> { // quotients of f32 are below 2^277
        Expr rest = r;
        for (int k = 9; k >= 1; --k) rest = step(rest, d * std::ldexp(1.0, 28 * k));
        return {rest.value};
      },
      [&]() -> std::vector<Value> { return {r.value}; });
  return narrow(step({r.builder, reduced[0]}, d));
}

Expr rem_f64(Expr a, Expr b) {
  constexpr int64_t kMantissa = (int64_t{1} << 52) - 1;
  constexpr double kLeastNormal = std::numeric_limits<double>::min();
  Builder *builder = a.builder;
  // b's mantissa, normalized; with r's exponent it is b times a power of two.
  Expr mantissa = bits_of(select(b < kLeastNormal, b * 0x1p54, b)) & kMantissa;
  Expr valid = (b > 0.0) & (a < kInfinity);
  auto unfinished = [&](Expr r) { return valid & (r >= b) & (r >= kLeastNormal); };
  std::vector<Value> reduced = builder->while_loop(
      {a.value},
      [&](std::span<const Value> v) -> std::vector<Value> { return {any(unfinished({builder, v[0]})).value, v[0]}; },
      [&](std::span<const Value> v) -> std::vector<Value> {
        Expr r{builder, v[0]};
        Expr t = float_of((bits_of(r) & ~kMantissa) | mantissa);
        t = select(t > r, t * 0.5, t);
        return {select(unfinished(r), r - t, r).value};
      });
  Expr r{builder, reduced[0]};
  // Denormals are integers.
  Expr small = valid & (r >= b);
  std::vector<Value> last = builder->if_else(
      any(small).value,
      [&]() -> std::vector<Value> {
        Expr rest = float_of(bits_of(r).binary(Opcode::urem, bits_of(b)));
        return {select(small, rest, r).value};
      },
      [&]() -> std::vector<Value> { return {r.value}; });
  return {builder, last[0]};
}

} // namespace

Value expand_rem(Builder &builder, const Replaced &replaced) {
  Expr x{&builder, replaced.operands[0]}, y{&builder, replaced.operands[1]};
  Expr a = abs(x), b = abs(y);
  Expr r = copysign(is_f32(x) ? rem_f32(a, b) : rem_f64(a, b), x);
  r = select(a < b, x, r); // y infinite
  Expr valid = (b > 0.0) & (a < kInfinity);
  return select(valid, r, std::numeric_limits<double>::quiet_NaN()).value;
}

} // namespace cameo::loop
