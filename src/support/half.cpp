// Every float format is a row: widths of the fields, bias, and what its largest codes mean. Rounding happens in units
// of the result's last place, where a double holds both the integer and the remainder exactly.
#include "cameo/support/half.h"

#include "cameo/support/check.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace cameo {

namespace {

/// What the codes above the finite values are.
enum class Specials : uint8_t {
  ieee, ///< exponent all ones: infinity (mantissa 0) and NaN
  fn,   ///< NaN is all ones, no infinity
  fnuz, ///< NaN is the code of -0, no infinity
  none, ///< every code is finite
};

struct Format {
  int exponent_bits;
  int mantissa_bits;
  int bias;
  Specials specials;

  int width() const { return 1 + exponent_bits + mantissa_bits; }
  uint64_t sign() const { return uint64_t{1} << (width() - 1); }
  uint64_t exponent_mask() const { return ((uint64_t{1} << exponent_bits) - 1) << mantissa_bits; }
  uint64_t mantissa_mask() const { return (uint64_t{1} << mantissa_bits) - 1; }
  uint64_t largest_finite() const {
    if (specials == Specials::ieee) return exponent_mask() - 1;
    return sign() - 1 - (specials == Specials::fn);
  }
};

Format format_of(DType dtype) {
  switch (dtype) {
  case DType::f16:
    return {5, 10, 15, Specials::ieee};
  case DType::bf16:
    return {8, 7, 127, Specials::ieee};
  case DType::f32:
    return {8, 23, 127, Specials::ieee};
  case DType::f8e4m3fn:
    return {4, 3, 7, Specials::fn};
  case DType::f8e4m3fnuz:
    return {4, 3, 8, Specials::fnuz};
  case DType::f8e5m2:
    return {5, 2, 15, Specials::ieee};
  case DType::f8e5m2fnuz:
    return {5, 2, 16, Specials::fnuz};
  case DType::f4e2m1:
    return {2, 1, 1, Specials::none};
  default:
    CAMEO_UNREACHABLE("not a float format: " + std::string(name(dtype)));
  }
}

constexpr int kDoubleMantissa = 52;

double quiet_nan(bool negative, uint64_t payload) {
  return std::bit_cast<double>(uint64_t{negative} << 63 | uint64_t{0x7ff8} << 48 | payload);
}

double decode_float(const Format &f, uint64_t bits) {
  bool negative = bits & f.sign();
  uint64_t magnitude = bits & (f.sign() - 1);
  uint64_t mantissa = magnitude & f.mantissa_mask();
  if (f.specials == Specials::fnuz && bits == f.sign()) return quiet_nan(false, 0);
  if (magnitude > f.largest_finite()) {
    bool infinite = f.specials == Specials::ieee && mantissa == 0;
    if (!infinite) return quiet_nan(negative, mantissa << (kDoubleMantissa - f.mantissa_bits));
    return negative ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
  }
  int exponent = static_cast<int>(magnitude >> f.mantissa_bits);
  uint64_t significand = exponent ? mantissa | (f.mantissa_mask() + 1) : mantissa;
  double value = std::ldexp(static_cast<double>(significand), (exponent ? exponent : 1) - f.bias - f.mantissa_bits);
  return negative ? -value : value;
}

uint64_t encode_nan(const Format &f, double value) {
  if (f.specials == Specials::fnuz || f.specials == Specials::none) return f.sign();
  uint64_t sign = std::signbit(value) ? f.sign() : 0;
  if (f.specials == Specials::fn) return sign | (f.sign() - 1);
  uint64_t payload = std::bit_cast<uint64_t>(value) >> (kDoubleMantissa - f.mantissa_bits) & f.mantissa_mask();
  return sign | f.exponent_mask() | payload | (f.mantissa_mask() + 1) >> 1;
}

uint64_t encode_float(const Format &f, double value, bool saturate) {
  if (std::isnan(value)) return encode_nan(f, value);
  bool negative = std::signbit(value);
  double a = std::fabs(value);
  uint64_t magnitude = f.largest_finite() + 1; // stays where a is too large, infinity included
  int exponent = 0;
  std::frexp(a, &exponent);
  exponent -= 1; // a = 1.xxx 2^exponent
  int smallest = 1 - f.bias;
  if (a == 0) {
    magnitude = 0;
  } else if (!std::isinf(a) && exponent <= (1 << f.exponent_bits) - f.bias) {
    int unit = std::max(exponent, smallest) - f.mantissa_bits; // exponent of the last place
    double scaled = std::ldexp(a, -unit);                      // < 2^(mantissa_bits + 1)
    double floor = std::floor(scaled), rest = scaled - floor;  // exact: scaled has at most 53 bits
    auto n = static_cast<uint64_t>(floor);
    n += rest > 0.5 || (rest == 0.5 && n % 2 == 1);
    // n has its leading bit at mantissa_bits when normal: adding it to the exponent field carries where n was rounded
    // up
    magnitude = n + (static_cast<uint64_t>(std::max(exponent, smallest) - smallest) << f.mantissa_bits);
  }
  if (magnitude > f.largest_finite()) {
    bool clamp = f.specials == Specials::none || (saturate && f.width() == 8);
    if (clamp)
      magnitude = f.largest_finite();
    else if (f.specials == Specials::ieee)
      magnitude = f.exponent_mask();
    else
      return encode_nan(f, negative ? -quiet_nan(false, 0) : quiet_nan(false, 0));
  }
  if (f.specials == Specials::fnuz && magnitude == 0) return 0;
  return magnitude | (negative ? f.sign() : 0);
}

constexpr uint64_t kScaleNan = 255;

uint64_t encode_scale(double value, Narrowing narrowing) {
  if (std::isnan(value) || value < 0) return kScaleNan;
  if (value > 0x1p127) return narrowing.saturate ? 254 : kScaleNan;
  if (value < 0x1p-127) return narrowing.saturate ? 0 : kScaleNan;
  int exponent = 0;
  double half = std::frexp(value, &exponent); // in [1/2, 1)
  bool up = narrowing.scale == ScaleRounding::up        ? half > 0.5
            : narrowing.scale == ScaleRounding::nearest ? half >= 0.75
                                                        : false;
  return static_cast<uint64_t>(exponent - 1 + up + 127);
}

uint64_t mask_of(int width) { return width == 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1; }

uint64_t encode_integer(DType dtype, double value, bool saturate) {
  int width = bits(dtype);
  bool is_signed = kind(dtype) == DTypeKind::signed_integer;
  if (saturate) {
    uint64_t least = is_signed ? uint64_t{1} << (width - 1) : 0;
    uint64_t greatest = is_signed ? least - 1 : mask_of(width);
    double above = std::ldexp(1.0, is_signed ? width - 1 : width); // the greatest value + 1
    if (!(value > (is_signed ? -above : 0.0))) return least;
    if (value >= above) return greatest;
  }
  uint64_t integer = uint64_t{1} << 63;
  if (width <= 16 || dtype == DType::i32)
    integer = static_cast<uint64_t>(static_cast<int64_t>(value >= -0x1p31 && value < 0x1p31 ? value : -0x1p31));
  else if (value >= -0x1p63 && value < 0x1p63)
    integer = static_cast<uint64_t>(static_cast<int64_t>(value));
  else if (dtype == DType::u64 && value >= 0x1p63 && value < 0x1p64)
    integer = static_cast<uint64_t>(value);
  return integer & mask_of(width);
}

} // namespace

double decode(DType dtype, uint64_t element) {
  int width = bits(dtype);
  CAMEO_CHECK(width >= 1 && width <= 64 && kind(dtype) != DTypeKind::complex, std::string(name(dtype)));
  element &= mask_of(width);
  switch (dtype) {
  case DType::f64: {
    auto value = std::bit_cast<double>(element);
    return std::isnan(value) ? quiet_nan(std::signbit(value), element & mask_of(kDoubleMantissa)) : value;
  }
  case DType::f8e8m0:
    return element == kScaleNan ? quiet_nan(false, 0) : std::ldexp(1.0, static_cast<int>(element) - 127);
  case DType::boolean:
    return element != 0;
  default:
    break;
  }
  if (is_float(dtype)) return decode_float(format_of(dtype), element);
  if (kind(dtype) == DTypeKind::unsigned_integer) return static_cast<double>(element);
  uint64_t sign = uint64_t{1} << (width - 1);
  return static_cast<double>(static_cast<int64_t>((element ^ sign) - sign));
}

uint64_t encode(DType dtype, double value, Narrowing narrowing) {
  switch (dtype) {
  case DType::f64:
    return std::bit_cast<uint64_t>(std::isnan(value) ? decode(DType::f64, std::bit_cast<uint64_t>(value)) : value);
  case DType::f8e8m0:
    return encode_scale(value, narrowing);
  case DType::boolean:
    return value != 0;
  default:
    break;
  }
  if (is_float(dtype)) return encode_float(format_of(dtype), value, narrowing.saturate);
  CAMEO_CHECK(is_integer(dtype), std::string(name(dtype)));
  return encode_integer(dtype, value, narrowing.saturate);
}

uint64_t load_element(const std::byte *data, DType dtype, int64_t index) {
  int width = bits(dtype);
  CAMEO_CHECK(width >= 1 && width <= 64, std::string(name(dtype)));
  if (width < 8) {
    int64_t bit = index * width;
    return std::to_integer<uint64_t>(data[bit / 8]) >> (bit % 8) & mask_of(width);
  }
  uint64_t element = 0;
  std::memcpy(&element, data + index * (width / 8), static_cast<size_t>(width / 8));
  return element;
}

void store_element(std::byte *data, DType dtype, int64_t index, uint64_t element) {
  int width = bits(dtype);
  CAMEO_CHECK(width >= 1 && width <= 64, std::string(name(dtype)));
  element &= mask_of(width);
  if (width < 8) {
    int64_t bit = index * width;
    std::byte &byte = data[bit / 8];
    byte = (byte & ~static_cast<std::byte>(mask_of(width) << (bit % 8))) | static_cast<std::byte>(element << (bit % 8));
    return;
  }
  std::memcpy(data + index * (width / 8), &element, static_cast<size_t>(width / 8));
}

float f16_to_f32(uint16_t element) { return static_cast<float>(decode(DType::f16, element)); }
uint16_t f32_to_f16(float value) { return static_cast<uint16_t>(encode(DType::f16, value)); }
float bf16_to_f32(uint16_t element) { return static_cast<float>(decode(DType::bf16, element)); }
uint16_t f32_to_bf16(float value) { return static_cast<uint16_t>(encode(DType::bf16, value)); }

} // namespace cameo
