// Host-side conversions between numbers and the bits of ONNX's element types: f16, bf16, the 8- and 4-bit floats, and
// integers down to 2 bits. Exact and without tables: what .npy and .pb files are read, written and printed with, and
// the oracle that compiled conversions are tested against.
#pragma once

#include "cameo/support/dtype.h"

#include <cstddef>
#include <cstdint>

namespace cameo {

/// Direction of a conversion to f8e8m0 (Cast's round_mode): away from zero, towards zero, or to the nearest power of
/// two with ties up.
enum class ScaleRounding : uint8_t { up, down, nearest };

/// What a conversion to fewer bits does with values that do not fit.
struct Narrowing {
  bool saturate = true;                    ///< Cast's attribute of that name; see encode()
  ScaleRounding scale = ScaleRounding::up; ///< for f8e8m0 only
};

/// The value of an element whose bits are the low bits(dtype) bits of `bits` (higher ones are ignored). Numeric types
/// of up to 64 bits; exact except for i64 and u64 beyond 2^53, which round to nearest even. NaNs become quiet; bool: 0
/// or 1.
double decode(DType dtype, uint64_t bits);

/// The bits of `value` as an element of `dtype`, following ONNX's Cast.
///
/// Floats are rounded once, to nearest even (f8e8m0: as `narrowing` says), and a value is out of range when its
/// rounding exceeds the largest finite one:
///   f16, bf16, f32            out of range: infinity
///   f8e4m3fn, f8e5m2, *fnuz   out of range and infinite: saturate ? largest finite : infinity if there is one, else
///   NaN f4e2m1                    out of range and infinite: 6 with the sign; NaN: -0, as the cases of ONNX's suite
///   have it f8e8m0                    above 2^127 or below 2^-127 (0 included): saturate ? the nearest end : NaN;
///   negative: NaN
/// NaNs keep their sign and the top bits of their payload where the format has them; in *fnuz there is one NaN and one
/// 0. Integers truncate towards zero. saturate: clamped to the type's range, NaN to its least value. Otherwise modulo
/// 2^bits, as C compilers and NumPy do it on x86: through i32 (u32 and i64: through i64; u64: through itself where the
/// value is positive), and what that cannot hold becomes its least value: 0 in types of up to 16 bits. bool: value !=
/// 0.
uint64_t encode(DType dtype, double value, Narrowing narrowing = {});

/// Element `index` of packed storage, as bits: 4- and 2-bit types are packed low bits first, others are little-endian.
uint64_t load_element(const std::byte *data, DType dtype, int64_t index);
/// Overwrites the bits of that element only.
void store_element(std::byte *data, DType dtype, int64_t index, uint64_t bits);

float f16_to_f32(uint16_t bits);
uint16_t f32_to_f16(float value);
float bf16_to_f32(uint16_t bits);
uint16_t f32_to_bf16(float value);

} // namespace cameo
