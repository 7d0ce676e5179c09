// Functions that convert between stored elements and f32, and inputs that reach every code and every rounding boundary.
// Used on the interpreter (convert_test.cpp) and on compiled code (codegen/convert_test.cpp); the oracle is
// support/half.h.
#pragma once

#include "elementwise.h"
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
  Value in = b.buffer_param("in", encoding ? Scalar::f32 : storage_type(dtype), true);
  Value out = b.buffer_param("out", encoding ? storage_type(dtype) : Scalar::f32, false), n = b.scalar_param("n");
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

/// f32 values: every representable value of the type and every midpoint with their neighbours, and numbers of all
/// exponents.
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

/// Fails at the first difference. NaNs agree in any bits when decoded: hardware may quieten them.
inline void check_decoder(const RunElementwise &run, DType dtype, int32_t lanes) {
  int64_t count = 0;
  std::vector<std::byte> in = stored_inputs(dtype, count);
  std::vector<float> out(static_cast<size_t>(count));
  run(decoder_name(dtype, lanes), {in}, writable_bytes_of(out), count);
  for (int64_t i = 0; i < count; ++i) {
    uint64_t code = load_element(in.data(), dtype, i);
    auto expected = static_cast<float>(decode(dtype, code));
    if (dtype == DType::i64) expected = static_cast<float>(static_cast<int64_t>(code)); // decode() rounds to f64 first
    if (dtype == DType::u64) expected = static_cast<float>(code);
    float got = out[static_cast<size_t>(i)];
    if (std::isnan(expected) && std::isnan(got)) continue;
    ASSERT_EQ(std::bit_cast<uint32_t>(got), std::bit_cast<uint32_t>(expected))
        << decoder_name(dtype, lanes) << " of code " << code << ": got " << got << ", expected " << expected;
  }
}

inline void check_encoder(const RunElementwise &run, DType dtype, int32_t lanes, Narrowing narrowing) {
  std::vector<float> in = f32_inputs(dtype);
  auto count = static_cast<int64_t>(in.size()) - 1; // odd or not, a tail for some lane count
  std::vector<std::byte> out(static_cast<size_t>(*byte_size(dtype, count)) + 8, std::byte{0x55});
  run(encoder_name(dtype, lanes, narrowing), {bytes_of(in)}, out, count);
  for (int64_t i = 0; i < count; ++i) {
    float x = in[static_cast<size_t>(i)];
    uint64_t got = load_element(out.data(), dtype, i), expected = encode(dtype, x, narrowing);
    if (dtype == DType::f64 && std::isnan(x)) continue;
    if (dtype == DType::f32) expected = std::bit_cast<uint32_t>(x);
    ASSERT_EQ(got, expected) << encoder_name(dtype, lanes, narrowing) << std::hexfloat << " of " << x << " ("
                             << std::hex << std::bit_cast<uint32_t>(x) << ")";
  }
  int64_t tail = count * bits(dtype) % 8;
  EXPECT_EQ(std::to_integer<int>(out[static_cast<size_t>(count * bits(dtype) / 8)]) >> tail, tail ? 0 : 0x55)
      << "padding";
  for (auto i = static_cast<size_t>(*byte_size(dtype, count)); i < out.size(); ++i)
    EXPECT_EQ(out[i], std::byte{0x55}) << "written past the end";
}

inline void add_all_conversions(Module &module) {
  for (DType dtype : kConvertible)
    for (int32_t lanes : convert_lanes(dtype)) add_conversions(module, dtype, lanes);
}

inline void check_all_conversions(const RunElementwise &run) {
  for (DType dtype : kConvertible)
    for (int32_t lanes : convert_lanes(dtype)) {
      check_decoder(run, dtype, lanes);
      for (Narrowing narrowing : narrowings(dtype)) check_encoder(run, dtype, lanes, narrowing);
    }
}

/// multiply_<dtype>(x, y, out, n): storage of that type, computation in f32; n a multiple of 16.
inline void add_multiply(Module &module, DType dtype) {
  Builder b(module, "multiply_" + std::string(name(dtype)));
  b.function().exported = true;
  Value x = b.buffer_param("x", storage_type(dtype), true), y = b.buffer_param("y", storage_type(dtype), true);
  Value out = b.buffer_param("out", storage_type(dtype), false), n = b.scalar_param("n");
  b.for_loop(b.index_constant(0), n, 16, {}, [&](Value i, std::span<const Value>) {
    store_from_f32(b, b.mul(load_as_f32(b, x, i, 16, dtype), load_as_f32(b, y, i, 16, dtype)), out, i, dtype);
    return std::vector<Value>();
  });
  b.finish();
}

inline void check_multiply(const RunElementwise &run, DType dtype) {
  constexpr int64_t kCount = 4096;
  RandomBits random(8);
  std::vector<std::byte> x(static_cast<size_t>(*byte_size(dtype, kCount))), y(x.size()), out(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = static_cast<std::byte>(random());
    y[i] = static_cast<std::byte>(random());
  }
  run("multiply_" + std::string(name(dtype)), {x, y}, out, kCount);
  for (int64_t i = 0; i < kCount; ++i) {
    auto a = static_cast<float>(decode(dtype, load_element(x.data(), dtype, i)));
    auto b = static_cast<float>(decode(dtype, load_element(y.data(), dtype, i)));
    uint64_t got = load_element(out.data(), dtype, i), expected = encode(dtype, a * b);
    if (std::isnan(a * b) && std::isnan(decode(dtype, got)) && std::isnan(decode(dtype, expected)))
      continue; // sign of NaN
    ASSERT_EQ(got, expected) << name(dtype) << ": " << a << " * " << b;
  }
}

} // namespace cameo::loop
