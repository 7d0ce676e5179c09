// How elements of ONNX's types lie in buffers of Loop IR, and what they are computed with.
#pragma once

#include "cameo/loop/ir.h"
#include "cameo/support/dtype.h"

namespace cameo::loop {

/// The scalar kind of one stored element: f16, bf16, f32, f64 and integers from 8 bits as themselves (unsigned ones and
/// bool as integers of their width); the 8-bit floats and everything smaller as i8. Numeric types only: strings and
/// complex numbers are never elements of a kernel, and asking for them is an internal error.
Scalar storage_type(DType dtype);

/// The scalar kind that an element of `dtype` is computed with: f32 for every float of at most 32 bits, the integer of
/// its own width otherwise (sub-byte integers as i8), i8 for bool.
Scalar compute_type(DType dtype);

/// Elements in a byte: 2 for 4-bit types, 4 for 2-bit types, else 1.
int32_t elements_per_byte(DType dtype);

} // namespace cameo::loop
