// How exact the expansions of mathematical functions are: the one table of their bounds, what they are measured
// against, and the inputs that tests measure on. Used by math_test.cpp (interpreter), codegen/math_test.cpp (compiled)
// and bench/math_exhaustive.cpp (every f32).
//
// The error is |got - exact| in units of the last place of a result of exact's magnitude (denormals: of the smallest
// number). NaN has to be NaN, an overflow infinite, zeros of the right sign. The references are the host's libm, in f64
// for f32 and in 80-bit long double for f64: libm is used by tests only.
#pragma once

#include "cameo/loop/builder.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace cameo::loop {

struct MathBound {
  Opcode code;
  double f32, f64; ///< largest error that is published, in ULP
  double (*single)(double);
  long double (*wide)(long double);
};

template <class T> T reference_sigmoid(T x) {
  T z = std::exp(-std::fabs(x));
  return (x < 0 ? z : 1) / (1 + z);
}

// f32: the maximum over all 2^32 inputs, with and without fma, rounded up to a quarter (math_exhaustive; tan: over
// every 101st input). f64: likewise over some 10^6 random inputs. About 1: the polynomial, and its last addition. Up
// to 1.75: one more rounding in sight (e^a and 1/e^a, a sum of two parts). 2 and more: a quotient of rounded numbers
// (tanh, sigmoid, tan), an argument that was rounded (atanh, acosh), or a result that just entered a smaller binade
// (asin and atan past their joints).
inline const MathBound kMathBounds[] = {
    {Opcode::exp, 1.25, 1.25, std::exp, std::exp},
    {Opcode::expm1, 1.75, 2.25, std::expm1, std::expm1},
    {Opcode::log, 1, 1, std::log, std::log},
    {Opcode::log1p, 1, 1, std::log1p, std::log1p},
    {Opcode::sin, 1.75, 1, std::sin, std::sin},
    {Opcode::cos, 1.75, 1, std::cos, std::cos},
    {Opcode::tan, 2.5, 2.5, std::tan, std::tan},
    {Opcode::asin, 2.5, 2.5, std::asin, std::asin},
    {Opcode::acos, 1.25, 1.25, std::acos, std::acos},
    {Opcode::atan, 2.5, 2.5, std::atan, std::atan},
    {Opcode::sinh, 1.75, 1.75, std::sinh, std::sinh},
    {Opcode::cosh, 1.75, 1.75, std::cosh, std::cosh},
    {Opcode::tanh, 2.75, 2.75, std::tanh, std::tanh},
    {Opcode::asinh, 2, 2, std::asinh, std::asinh},
    {Opcode::acosh, 2.25, 2.25, std::acosh, std::acosh},
    {Opcode::atanh, 2.25, 2.25, std::atanh, std::atanh},
    {Opcode::erf, 1.75, 1.75, std::erf, std::erf},
    {Opcode::sigmoid, 2.5, 2.5, reference_sigmoid, reference_sigmoid},
};
// pow, of two operands: measured on random and special pairs.
inline constexpr double kPowBoundF32 = 0.75, kPowBoundF64 = 1.5;

/// Error in ULP of `got`; 1e9 where NaN, infinity or the sign is wrong. T is float or double, Exact a wider type.
template <class T, class Exact> double ulp_error(T got, Exact exact) {
  constexpr double kWrong = 1e9;
  if (std::isnan(exact)) return std::isnan(got) ? 0 : kWrong;
  if (std::isnan(got) || std::signbit(got) != std::signbit(exact)) return kWrong;
  T rounded = static_cast<T>(exact);
  if (std::isinf(rounded)) { // the last finite number is one unit away from the first that overflows
    if (std::isinf(got)) return 0;
    if (std::isinf(exact)) return kWrong;
  }
  int digits = std::numeric_limits<T>::digits, least = std::numeric_limits<T>::min_exponent, exponent = 0;
  std::frexp(exact, &exponent);
  Exact unit = std::ldexp(Exact(1), std::max(exponent, least) - digits);
  if (std::isinf(got)) { // as if the range went on
    Exact next = std::ldexp(Exact(1), std::numeric_limits<T>::max_exponent);
    return static_cast<double>((next - std::fabs(exact)) / unit);
  }
  return static_cast<double>(std::fabs(Exact(got) - exact) / unit);
}

/// Reproducible random bits (xorshift64*).
class RandomBits {
public:
  explicit RandomBits(uint64_t seed) : state_(seed * 2 + 1) {}
  uint64_t operator()() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_ * 0x2545F4914F6CDD1Du;
  }

private:
  uint64_t state_;
};

/// Inputs of every sign and exponent (`per_exponent` mantissas each: the ends and random ones), and the neighbours of
/// points where some function changes its method, overflows, vanishes or has a zero. NaN, infinities and zeros are
/// among them.
template <class T> std::vector<T> math_inputs(int per_exponent) {
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  constexpr int kMantissa = std::numeric_limits<T>::digits - 1;
  constexpr Bits kMask = (Bits{1} << kMantissa) - 1;
  std::vector<T> inputs;
  RandomBits random(1);
  for (Bits top = 0; top >> (sizeof(T) * 8 - kMantissa) == 0; ++top)
    for (int k = 0; k < per_exponent; ++k) {
      Bits mantissa = k == 0 ? 0 : k == 1 ? 1 : k == 2 ? kMask : static_cast<Bits>(random()) & kMask;
      inputs.push_back(std::bit_cast<T>(static_cast<Bits>(top << kMantissa | mantissa)));
    }
  std::vector<double> points = {0.25,
                                0.3466,
                                0.4142135623730951,
                                0.5,
                                0.5493,
                                0.7071067811865476,
                                1.0,
                                1.1,
                                1.4142135623730951,
                                2.0,
                                2.414213562373095,
                                3.93,
                                5.93,
                                9.02,
                                17.33,
                                18.1,
                                19.1,
                                37.4,
                                38.2,
                                88.3763,
                                88.72284,
                                89.416,
                                103.97,
                                104.0,
                                709.78,
                                710.4758,
                                745.13,
                                746.0,
                                0x1p20,
                                0x1p22,
                                0x1p30,
                                0x1p60};
  for (int k = 1; k <= 64; ++k) points.push_back(k * 1.5707963267948966);
  for (double point : points)
    for (double sign : {1.0, -1.0}) {
      Bits center = std::bit_cast<Bits>(static_cast<T>(sign * point));
      for (int d = -16; d <= 16; ++d)
        inputs.push_back(std::bit_cast<T>(static_cast<Bits>(center + static_cast<Bits>(d))));
    }
  // and everyday numbers
  for (int k = 0; k < 1 << 16; ++k)
    inputs.push_back(static_cast<T>((static_cast<double>(random() >> 11) * 0x1p-53 - 0.5) * 40));
  return inputs;
}

/// Pairs for pow: all of the special values against each other, and random ones whose result is mostly finite.
template <class T> std::vector<std::pair<T, T>> pow_inputs(int random_pairs) {
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  using Limits = std::numeric_limits<T>;
  T odd = std::ldexp(T(1), Limits::digits) - 1; // the largest odd integer
  std::vector<T> specials = {0,
                             1,
                             2,
                             3,
                             T(0.5),
                             T(2.5),
                             T(1) / 3,
                             odd,
                             odd + 1,
                             odd - 1,
                             Limits::denorm_min(),
                             Limits::min(),
                             Limits::max(),
                             Limits::infinity(),
                             Limits::quiet_NaN(),
                             1 - Limits::epsilon() / 2,
                             1 + Limits::epsilon(),
                             127,
                             T(1e30)};
  std::vector<std::pair<T, T>> pairs;
  for (T x : specials)
    for (T y : specials)
      for (int signs = 0; signs < 4; ++signs) pairs.emplace_back(signs & 1 ? -x : x, signs & 2 ? -y : y);
  RandomBits random(2);
  double reach = Limits::max_exponent * 0.75;
  for (int k = 0; k < random_pairs; ++k) {
    T x = std::bit_cast<T>(static_cast<Bits>(random() >> 1 >> (64 - sizeof(T) * 8)));
    if (std::isnan(x)) x = 3;
    if (k % 2) x = 1 + (x > 1 ? 1 / x : x) * T(0.4);
    double unit = (static_cast<double>(random() >> 11) * 0x1p-53 - 0.5) * 2;
    double scale = k % 3 == 0 ? 8 : reach / std::max(std::fabs(std::log(static_cast<double>(x))), 1e-300);
    T y = static_cast<T>(unit * scale);
    pairs.emplace_back(k % 5 == 0 ? -x : x, k % 5 == 0 ? std::rint(y) : y);
  }
  return pairs;
}

} // namespace cameo::loop
