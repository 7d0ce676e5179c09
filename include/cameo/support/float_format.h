// Bits of every floating dtype to doubles and back: f32, f64, f16, bf16, the 8-bit formats, f4e2m1 and f8e8m0. All fit a double
// exactly, so decoding never rounds; encoding rounds half to even.
#pragma once

#include "cameo/support/dtype.h"

#include <cstdint>

namespace cameo {

/// The value of those bits; NaN stays NaN (payloads of formats below 64 bits are not kept). `dtype` is floating.
double decode_float(DType dtype, uint64_t bits);

/// The nearest value's bits, ties to even. What is too large becomes infinity, NaN where the format has no infinity, or the
/// largest value where it has neither (f4e2m1) or when `saturate` asks for it; NaN saturates to 0 in f4e2m1. f8e8m0 has
/// powers of two only and no sign: 0, negative values and NaN become NaN.
uint64_t encode_float(DType dtype, double value, bool saturate = false);

} // namespace cameo
