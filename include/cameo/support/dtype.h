// Element types of ONNX tensors (onnx.proto TensorProto.DataType), one row each: name in text IR, ONNX number, bits,
// class.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace cameo {

// X(enumerator, text name, ONNX data_type number, bits per element, kind)
#define CAMEO_DTYPES(X)                                                                                                \
  X(f32, "f32", 1, 32, floating)                                                                                       \
  X(u8, "u8", 2, 8, unsigned_integer)                                                                                  \
  X(i8, "i8", 3, 8, signed_integer)                                                                                    \
  X(u16, "u16", 4, 16, unsigned_integer)                                                                               \
  X(i16, "i16", 5, 16, signed_integer)                                                                                 \
  X(i32, "i32", 6, 32, signed_integer)                                                                                 \
  X(i64, "i64", 7, 64, signed_integer)                                                                                 \
  X(string, "string", 8, 0, other)                                                                                     \
  X(boolean, "bool", 9, 8, other)                                                                                      \
  X(f16, "f16", 10, 16, floating)                                                                                      \
  X(f64, "f64", 11, 64, floating)                                                                                      \
  X(u32, "u32", 12, 32, unsigned_integer)                                                                              \
  X(u64, "u64", 13, 64, unsigned_integer)                                                                              \
  X(c64, "c64", 14, 64, complex)                                                                                       \
  X(c128, "c128", 15, 128, complex)                                                                                    \
  X(bf16, "bf16", 16, 16, floating)                                                                                    \
  X(f8e4m3fn, "f8e4m3fn", 17, 8, floating)                                                                             \
  X(f8e4m3fnuz, "f8e4m3fnuz", 18, 8, floating)                                                                         \
  X(f8e5m2, "f8e5m2", 19, 8, floating)                                                                                 \
  X(f8e5m2fnuz, "f8e5m2fnuz", 20, 8, floating)                                                                         \
  X(u4, "u4", 21, 4, unsigned_integer)                                                                                 \
  X(i4, "i4", 22, 4, signed_integer)                                                                                   \
  X(f4e2m1, "f4e2m1", 23, 4, floating)                                                                                 \
  X(f8e8m0, "f8e8m0", 24, 8, floating)                                                                                 \
  X(u2, "u2", 25, 2, unsigned_integer)                                                                                 \
  X(i2, "i2", 26, 2, signed_integer)

enum class DType : uint8_t {
#define CAMEO_ENUM(id, text, onnx, bits, kind) id,
  CAMEO_DTYPES(CAMEO_ENUM)
#undef CAMEO_ENUM
};

enum class DTypeKind : uint8_t { floating, signed_integer, unsigned_integer, complex, other };

/// Name used in text IR, JSON and messages: `f32`, `i4`, `bool`.
std::string_view name(DType dtype);
/// Inverse of name(); nullopt for any other text.
std::optional<DType> dtype_from_name(std::string_view text);
/// TensorProto.DataType number to DType; nullopt for 0 (UNDEFINED) and numbers that ONNX does not define.
std::optional<DType> dtype_from_onnx(int64_t number);
/// DType to TensorProto.DataType number.
int onnx_number(DType dtype);
/// Bits of one element as stored (bool: 8; 4- and 2-bit types are packed, low bits first); 0 for string.
int bits(DType dtype);
DTypeKind kind(DType dtype);
inline bool is_float(DType d) { return kind(d) == DTypeKind::floating; }
inline bool is_integer(DType d) {
  return kind(d) == DTypeKind::signed_integer || kind(d) == DTypeKind::unsigned_integer;
}
/// Bytes of `count` packed elements, rounded up; nullopt when the product overflows int64 or the type is string.
std::optional<int64_t> byte_size(DType dtype, int64_t count);

} // namespace cameo
