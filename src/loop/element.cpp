#include "cameo/loop/element.h"

namespace cameo::loop {

Scalar storage_type(DType dtype) {
  switch (dtype) {
  case DType::f16:
    return Scalar::f16;
  case DType::bf16:
    return Scalar::bf16;
  case DType::f32:
    return Scalar::f32;
  case DType::f64:
    return Scalar::f64;
  case DType::i16:
  case DType::u16:
    return Scalar::i16;
  case DType::i32:
  case DType::u32:
    return Scalar::i32;
  case DType::i64:
  case DType::u64:
    return Scalar::i64;
  default:
    CAMEO_CHECK(bits(dtype) >= 1 && bits(dtype) <= 8, "no stored form of " + std::string(name(dtype)));
    return Scalar::i8;
  }
}

Scalar compute_type(DType dtype) {
  if (is_float(dtype)) return dtype == DType::f64 ? Scalar::f64 : Scalar::f32;
  return storage_type(dtype);
}

int32_t elements_per_byte(DType dtype) { return bits(dtype) < 8 ? 8 / bits(dtype) : 1; }

} // namespace cameo::loop
