#include "cameo/support/tensor.h"

#include "cameo/support/result.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

namespace cameo {

std::optional<int64_t> element_count(const std::vector<int64_t> &shape) {
  int64_t count = 1;
  bool overflow = false;
  for (int64_t dim : shape) {
    if (dim < 0) return std::nullopt;
    if (dim == 0) return 0; // whatever the others are
  }
  for (int64_t dim : shape) overflow |= __builtin_mul_overflow(count, dim, &count);
  if (overflow) return std::nullopt;
  return count;
}

std::string type_text(DType dtype, const std::vector<int64_t> &shape) {
  std::string text(name(dtype));
  if (shape.empty()) return text;
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? "," : "[") + std::to_string(shape[i]);
  return text + "]";
}

namespace {

template <class T> T load(const Tensor &t, int64_t index) {
  T value;
  std::memcpy(&value, t.data.data() + static_cast<size_t>(index) * sizeof value, sizeof value);
  return value;
}

// Element of a type of less than a byte: its bits, low elements first.
unsigned small_bits(const Tensor &t, int64_t index, int width) {
  const auto byte = static_cast<unsigned>(t.data[static_cast<size_t>(index * width / 8)]);
  return (byte >> (index * width % 8)) & ((1u << width) - 1);
}

// Value of a float of `exponent` and `mantissa` bits, given as its bits without the sign. The caller has dealt with
// infinities and NaN.
double float_value(unsigned magnitude, int exponent, int mantissa, int bias) {
  const unsigned fraction = magnitude & ((1u << mantissa) - 1);
  const int power = static_cast<int>(magnitude >> mantissa) & ((1 << exponent) - 1);
  return power == 0 ? std::ldexp(fraction, 1 - bias - mantissa)
                    : std::ldexp(fraction + (1u << mantissa), power - bias - mantissa);
}

double f16_value(unsigned bits, int exponent, int mantissa) {
  const unsigned magnitude = bits & 0x7fff;
  const unsigned infinity = ((1u << exponent) - 1) << mantissa;
  const double sign = bits & 0x8000 ? -1 : 1;
  if (magnitude > infinity) return std::numeric_limits<double>::quiet_NaN();
  if (magnitude == infinity) return sign * std::numeric_limits<double>::infinity();
  return sign * float_value(magnitude, exponent, mantissa, (1 << (exponent - 1)) - 1);
}

// The 8-bit floats of ONNX (onnx.ai, "Float stored in 8 bits").
double f8_value(DType dtype, unsigned bits) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  const unsigned magnitude = bits & 0x7f;
  const double sign = bits & 0x80 ? -1 : 1;
  switch (dtype) {
  case DType::f8e4m3fn:
    return magnitude == 0x7f ? nan : sign * float_value(magnitude, 4, 3, 7);
  case DType::f8e4m3fnuz:
    return bits == 0x80 ? nan : sign * float_value(magnitude, 4, 3, 8);
  case DType::f8e5m2:
    return magnitude > 0x7c ? nan : magnitude == 0x7c ? sign * inf : sign * float_value(magnitude, 5, 2, 15);
  case DType::f8e5m2fnuz:
    return bits == 0x80 ? nan : sign * float_value(magnitude, 5, 2, 16);
  case DType::f8e8m0:
    return bits == 0xff ? nan : std::ldexp(1.0, static_cast<int>(bits) - 127);
  default:
    CAMEO_UNREACHABLE("not an 8-bit float");
  }
}

template <class T> std::string number_text(T value) {
  char buffer[64];
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  }
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}

} // namespace

double element_value(const Tensor &t, int64_t i) {
  switch (t.dtype) {
  case DType::f32:
    return load<float>(t, i);
  case DType::f64:
    return load<double>(t, i);
  case DType::f16:
    return f16_value(load<uint16_t>(t, i), 5, 10);
  case DType::bf16:
    return f16_value(load<uint16_t>(t, i), 8, 7);
  case DType::c64:
    return load<float>(t, 2 * i);
  case DType::c128:
    return load<double>(t, 2 * i);
  case DType::i8:
    return load<int8_t>(t, i);
  case DType::i16:
    return load<int16_t>(t, i);
  case DType::i32:
    return load<int32_t>(t, i);
  case DType::i64:
    return static_cast<double>(load<int64_t>(t, i));
  case DType::u8:
    return load<uint8_t>(t, i);
  case DType::u16:
    return load<uint16_t>(t, i);
  case DType::u32:
    return load<uint32_t>(t, i);
  case DType::u64:
    return static_cast<double>(load<uint64_t>(t, i));
  case DType::boolean:
    return load<uint8_t>(t, i) != 0;
  case DType::u4:
    return small_bits(t, i, 4);
  case DType::u2:
    return small_bits(t, i, 2);
  case DType::i4:
    return static_cast<int>(small_bits(t, i, 4) ^ 8) - 8;
  case DType::i2:
    return static_cast<int>(small_bits(t, i, 2) ^ 2) - 2;
  case DType::f4e2m1: {
    const unsigned bits = small_bits(t, i, 4);
    return (bits & 8 ? -1 : 1) * float_value(bits & 7, 2, 1, 1);
  }
  case DType::f8e4m3fn:
  case DType::f8e4m3fnuz:
  case DType::f8e5m2:
  case DType::f8e5m2fnuz:
  case DType::f8e8m0:
    return f8_value(t.dtype, load<uint8_t>(t, i));
  case DType::string:
    break;
  }
  CAMEO_UNREACHABLE("a string has no value");
}

std::string element_text(const Tensor &t, int64_t i) {
  switch (t.dtype) {
  case DType::string:
    return "\"" + escape_name(t.strings[static_cast<size_t>(i)]) + "\"";
  case DType::f32:
    return number_text(load<float>(t, i));
  case DType::c64:
    return "(" + number_text(load<float>(t, 2 * i)) + "," + number_text(load<float>(t, 2 * i + 1)) + ")";
  case DType::c128:
    return "(" + number_text(load<double>(t, 2 * i)) + "," + number_text(load<double>(t, 2 * i + 1)) + ")";
  case DType::i64:
    return number_text(load<int64_t>(t, i));
  case DType::u64:
    return number_text(load<uint64_t>(t, i));
  case DType::boolean:
    return load<uint8_t>(t, i) ? "true" : "false";
  default:
    break;
  }
  const double value = element_value(t, i);
  // An f16 or narrower float has at most 5 significant digits, as a float is enough to show them.
  return is_float(t.dtype) && t.dtype != DType::f64 ? number_text(static_cast<float>(value)) : number_text(value);
}

} // namespace cameo
