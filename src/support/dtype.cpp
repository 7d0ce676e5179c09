#include "cameo/support/dtype.h"

#include <array>
#include <iterator>

namespace cameo {
namespace {
struct Row {
  std::string_view text;
  int onnx;
  int bits;
  DTypeKind kind;
};
constexpr Row kRows[] = {
#define CAMEO_ROW(id, text, onnx, bits, kind) {text, onnx, bits, DTypeKind::kind},
    CAMEO_DTYPES(CAMEO_ROW)
#undef CAMEO_ROW
};
const Row &row(DType dtype) { return kRows[static_cast<size_t>(dtype)]; }
} // namespace

std::string_view name(DType dtype) { return row(dtype).text; }
int onnx_number(DType dtype) { return row(dtype).onnx; }
int bits(DType dtype) { return row(dtype).bits; }
DTypeKind kind(DType dtype) { return row(dtype).kind; }

std::optional<DType> dtype_from_name(std::string_view text) {
  for (size_t i = 0; i < std::size(kRows); ++i)
    if (kRows[i].text == text) return static_cast<DType>(i);
  return std::nullopt;
}

std::optional<DType> dtype_from_onnx(int64_t number) {
  for (size_t i = 0; i < std::size(kRows); ++i)
    if (kRows[i].onnx == number) return static_cast<DType>(i);
  return std::nullopt;
}

std::optional<int64_t> byte_size(DType dtype, int64_t count) {
  if (dtype == DType::string || count < 0) return std::nullopt;
  int64_t total_bits;
  if (__builtin_mul_overflow(count, static_cast<int64_t>(bits(dtype)), &total_bits)) return std::nullopt;
  if (total_bits > INT64_MAX - 7) return std::nullopt;
  return (total_bits + 7) / 8;
}

} // namespace cameo
