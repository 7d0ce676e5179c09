// One row per small format, one generic decoder and encoder.
#include "cameo/support/float_format.h"

#include "cameo/support/check.h"

#include <bit>
#include <cmath>
#include <limits>
#include <string>

namespace cameo {

namespace {

// ieee: infinities and NaN at the top exponent. fn: NaN with all ones, no infinity. fnuz: NaN where -0 would be. none: neither.
enum class Special : uint8_t { ieee, fn, fnuz, none };
struct Format {
  int exponent, mantissa, bias;
  Special special;
};

Format format(DType dtype) {
  switch (dtype) {
  case DType::f16:
    return {5, 10, 15, Special::ieee};
  case DType::bf16:
    return {8, 7, 127, Special::ieee};
  case DType::f8e4m3fn:
    return {4, 3, 7, Special::fn};
  case DType::f8e4m3fnuz:
    return {4, 3, 8, Special::fnuz};
  case DType::f8e5m2:
    return {5, 2, 15, Special::ieee};
  case DType::f8e5m2fnuz:
    return {5, 2, 16, Special::fnuz};
  case DType::f4e2m1:
    return {2, 1, 1, Special::none};
  default:
    CAMEO_UNREACHABLE("not a small float: " + std::string(name(dtype)));
  }
}

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

uint64_t encode_e8m0(double value, bool saturate) {
  if (!(value > 0)) return 0xff;
  if (std::isinf(value)) return saturate ? 0xfe : 0xff;
  int power;
  double fraction = std::frexp(value, &power); // in [0.5, 1)
  // The candidates are 2^(power-1) and 2^power, whose midpoint is 0.75; a tie goes to the even encoding.
  int biased = power - 1 + 127;
  if (fraction > 0.75 || (fraction == 0.75 && biased % 2 != 0)) ++biased;
  if (biased < 0) return 0;
  if (biased > 0xfe) return saturate ? 0xfe : 0xff;
  return static_cast<uint64_t>(biased);
}

} // namespace

double decode_float(DType dtype, uint64_t bits) {
  if (dtype == DType::f64) return std::bit_cast<double>(bits);
  if (dtype == DType::f32) return std::bit_cast<float>(static_cast<uint32_t>(bits));
  if (dtype == DType::f8e8m0) return bits == 0xff ? kNaN : std::ldexp(1.0, static_cast<int>(bits) - 127);
  const Format f = format(dtype);
  const uint64_t sign_bit = uint64_t{1} << (f.exponent + f.mantissa), magnitude = bits & (sign_bit - 1);
  const double sign = bits & sign_bit ? -1 : 1;
  const uint64_t top = ((uint64_t{1} << f.exponent) - 1) << f.mantissa;
  if (f.special == Special::ieee && magnitude >= top) return magnitude == top ? sign * kInfinity : kNaN;
  if (f.special == Special::fn && magnitude == sign_bit - 1) return kNaN;
  if (f.special == Special::fnuz && bits == sign_bit) return kNaN;
  const auto power = static_cast<int>(magnitude >> f.mantissa);
  const auto fraction = static_cast<double>(magnitude & ((uint64_t{1} << f.mantissa) - 1));
  const double one = std::ldexp(1.0, f.mantissa);
  return sign * (power == 0 ? std::ldexp(fraction, 1 - f.bias - f.mantissa)
                            : std::ldexp(fraction + one, power - f.bias - f.mantissa));
}

uint64_t encode_float(DType dtype, double value, bool saturate) {
  if (dtype == DType::f64) return std::bit_cast<uint64_t>(value);
  if (dtype == DType::f32) {
    auto narrow = static_cast<float>(value);
    if (saturate && std::isinf(narrow)) narrow = std::copysign(std::numeric_limits<float>::max(), narrow);
    return std::bit_cast<uint32_t>(narrow);
  }
  if (dtype == DType::f8e8m0) return encode_e8m0(value, saturate);
  const Format f = format(dtype);
  const uint64_t sign_bit = uint64_t{1} << (f.exponent + f.mantissa);
  const uint64_t top = ((uint64_t{1} << f.exponent) - 1) << f.mantissa;
  const uint64_t nan = f.special == Special::ieee   ? top | (uint64_t{1} << (f.mantissa - 1))
                       : f.special == Special::fn   ? sign_bit - 1
                       : f.special == Special::fnuz ? sign_bit
                                                    : 0;
  const uint64_t largest = f.special == Special::ieee ? top - 1
                           : f.special == Special::fn ? sign_bit - 2
                                                      : sign_bit - 1;
  if (std::isnan(value)) return nan;
  const uint64_t sign = std::signbit(value) ? sign_bit : 0;
  uint64_t magnitude = largest + 1;
  if (value == 0) {
    magnitude = 0;
  } else if (!std::isinf(value)) {
    int power = 0;
    std::frexp(value, &power);
    // Spacing of values at this magnitude, subnormals included; rounding up to the next binade carries into the exponent.
    const int exponent = std::max(power - 1, 1 - f.bias);
    const double steps = std::nearbyint(std::ldexp(std::fabs(value), f.mantissa - exponent));
    if (exponent + f.bias < (1 << f.exponent) + 1) {
      const auto count = static_cast<uint64_t>(steps); // below 2^(mantissa + 1) + 1
      magnitude = (static_cast<uint64_t>(exponent + f.bias - 1) << f.mantissa) + count;
    }
  }
  if (magnitude > largest) {
    if (saturate || f.special == Special::none) return sign | largest;
    return f.special == Special::ieee ? sign | top : nan;
  }
  if (magnitude == 0 && f.special == Special::fnuz) return 0; // no -0
  return sign | magnitude;
}

} // namespace cameo
