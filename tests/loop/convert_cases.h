// Functions that convert between stored elements and f32, and inputs that reach every code and every rounding boundary. Used on
// the interpreter (convert_test.cpp) and on compiled code (codegen/convert_test.cpp); the oracle is support/half.h.
#pragma once

#include "math_bounds.h"

#include "cameo/loop/convert.h"

#include <cstring>
#include <string>

namespace cameo::loop {

inline constexpr DType kConvertible[] = {
    DType::f16,    DType::bf16,   DType::f8e4m3fn, DType::f8e4m3fnuz, DType::f8e5m2, DType::f8e5m2fnuz,
    DType::f8e8m0, DType::f4e2m1, DType::i2,       DType::u2,         DType::i4,     DType::u4,
    DType::i8,     DType::u8,     DType::i16,      DType::u16,        DType::i32,    DType::u32,
    DType::i64,    DType::u64,    DType::boolean,  DType::f32,        DType::f64};

/// Lane counts that are tried: packed types need whole bytes.
inline std::vector<int32_t> convert_lanes(DType dtype) {
  return elements_per_byte(dtype) == 1 ? std::vector<int32_t>{1, 3, 16} : std::vector<int32_t>{4, 16};
}

/// decode_<dtype>x<lanes>(in, out, n): n elements as f32, the last vector masked.
inline std::string decoder_name(DType dtype, int32_t lanes) {
  return "decode_" + std::string(name(dtype)) + "x" + std::to_string(lanes);
}
/// encode_<dtype>x<lanes>_<saturate><scale>(in, out, n): the inverse.
inline std::string encoder_name(DType dtype, int32_t lanes, Narrowing narrowing) {
  return "encode_" + std::string(name(dtype)) + "x" + std::to_string(lanes) + "_" + std::to_string(narrowing.saturate) +
         std::to_string(static_cast<int>(narrowing.scale));
}

inline void add_conversion(Module &module, DType dtype, int32_t lanes, const Narrowing *encoding) {
  Builder b(module, encoding ? encoder_name(dtype, lanes, *encoding) : decoder_name(dtype, lanes));
  b.function().exported = true;
  Value in = b.buffer_param("in", encoding ? Scalar::f32 : storage_scalar(dtype), true);
  Value out = b.buffer_param("out", encoding ? storage_scalar(dtype) : Scalar::f32, false), n = b.scalar_param("n");
  b.for_loop(b.index_constant(0), n, lanes, {}, [&](Value i, std::span<const Value>) {
    Value active = b.min(b.sub(n, i), b.index_constant(lanes));
    if (encoding)
      store_from_f32(b, b.load(in, i, lanes, 0, active), out, i, dtype, *encoding, active);
    else
      b.store(load_as_f32(b, in, i, lanes, dtype, active), out, i, 0, active);
    return std::vector<Value>();
  });
  b.finish();
}

/// What encoders are asked for: both values of `saturate`, and the roundings where they matter.
inline std::vector<Narrowing> narrowings(DType dtype) {
  if (dtype != DType::f8e8m0) return {{.saturate = true}, {.saturate = false}};
  std::vector<Narrowing> all;
  for (bool saturate : {true, false})
    for (ScaleRounding scale : {ScaleRounding::up, ScaleRounding::down, ScaleRounding::nearest})
      all.push_back({saturate, scale});
  return all;
}

inline void add_conversions(Module &module, DType dtype, int32_t lanes) {
  add_conversion(module, dtype, lanes, nullptr);
  for (Narrowing narrowing : narrowings(dtype)) add_conversion(module, dtype, lanes, &narrowing);
}

/// Stored elements: every code of types up to 16 bits, else corners and random ones. Packed.
inline std::vector<std::byte> stored_inputs(DType dtype, int64_t &count) {
  int width = bits(dtype);
  std::vector<uint64_t> codes;
  if (width <= 16) {
    for (uint64_t code = 0; code < uint64_t{1} << width; ++code) codes.push_back(code);
    if (dtype == DType::boolean) codes = {0, 1};
  } else {
    RandomBits random(3);
    for (int bit = 0; bit < width; ++bit)
      for (int d = -2; d <= 2; ++d) {
        codes.push_back((uint64_t{1} << bit) + static_cast<uint64_t>(d));
        codes.push_back(~((uint64_t{1} << bit) + static_cast<uint64_t>(d)));
      }
    for (int k = 0; k < 4096; ++k) codes.push_back(random() >> (random() % static_cast<uint64_t>(width)));
  }
  count = static_cast<int64_t>(codes.size());
  std::vector<std::byte> bytes(static_cast<size_t>(*byte_size(dtype, count)) + 8);
  for (int64_t i = 0; i < count; ++i) store_element(bytes.data(), dtype, i, codes[static_cast<size_t>(i)]);
  return bytes;
}

/// f32 values: every representable value of the type and every midpoint with their neighbours, and numbers of all exponents.
inline std::vector<float> f32_inputs(DType dtype) {
  std::vector<float> inputs = math_inputs<float>(16);
  auto around = [&](double x) {
    uint32_t bits = std::bit_cast<uint32_t>(static_cast<float>(x));
    for (int d = -1; d <= 1; ++d)
      for (uint32_t sign : {0u, 0x80000000u})
        inputs.push_back(std::bit_cast<float>((bits + static_cast<uint32_t>(d)) ^ sign));
  };
  if (bits(dtype) <= 16 && is_float(dtype)) {
    for (uint64_t code = 0; code < uint64_t{1} << (bits(dtype) - (dtype != DType::f8e8m0)); ++code) {
      double low = decode(dtype, code), high = decode(dtype, code + 1);
      around(low);
      if (std::isfinite(low) && std::isfinite(high)) around((low + high) / 2);
      if (std::isfinite(low) && !std::isfinite(high))
        around(low * (1 + std::ldexp(0.5, -10))), around(low * 1.0625), around(low * 1.5);
    }
    for (uint32_t nan : {0x7f800001u, 0x7fc00000u, 0x7fbfffffu, 0x7fffffffu, 0xffabcdefu})
      inputs.push_back(std::bit_cast<float>(nan));
  } else {
    for (int power = 0; power <= 64; ++power)
      for (double d : {-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5}) around(std::ldexp(1.0, power) + d);
  }
  return inputs;
}

} // namespace cameo::loop
