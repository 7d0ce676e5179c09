// Stored elements of any numeric ONNX type to f32 vectors and back: what lowerings use around f32 computation. The
// functions emit generic Loop IR; legalize() then replaces the f16 and bf16 conversions that a target lacks.
//
// Stored elements live in buffers of storage_type(dtype). 4- and 2-bit types are packed, low bits first, in buffers of
// i8; addresses count elements here and bytes in the code that comes out. The address of a load or store has to be a
// whole byte: a multiple of elements_per_byte(dtype). It costs nothing where every coefficient is such a multiple, else
// a shift.
#pragma once

#include "cameo/loop/builder.h"
#include "cameo/loop/element.h"
#include "cameo/support/half.h"

namespace cameo::loop {

/// The f32 values of stored elements: x has the storage scalar and any lanes, for types of less than a byte one element
/// in the low bits of each lane (the others are ignored). Exact; i32, u32, i64, u64 and f64 round to nearest even.
Value decode_to_f32(Builder &builder, Value x, DType dtype);

/// The inverse, by the rules of cameo::encode (support/half.h): ONNX's Cast. Lanes of less than a byte are
/// zero-extended.
Value encode_from_f32(Builder &builder, Value x, DType dtype, Narrowing narrowing = {});

/// Lanes of packed bytes as one element per lane (zero-extended), `lanes` of them: the bytes have the least number of
/// lanes that holds these. Types of 8 bits and more: the bytes themselves.
Value unpack(Builder &builder, Value bytes, DType dtype, int32_t lanes);
/// The inverse: bits above an element's are ignored, and the last byte is filled up with zeros.
Value pack(Builder &builder, Value elements, DType dtype);

/// Elements address, address + 1, ... as f32. With `active` (i64), only the first `active` are read, the other lanes
/// are 0.
Value load_as_f32(Builder &builder, Value buffer, const Affine &address, int32_t lanes, DType dtype, Value active = {});

/// Stores f32 values as elements address, address + 1, ... With `active`, only the first `active`. Packed types are
/// stored in whole bytes: where the last one is not full, its remaining bits become 0.
void store_from_f32(Builder &builder, Value x, Value buffer, const Affine &address, DType dtype,
                    Narrowing narrowing = {}, Value active = {});

} // namespace cameo::loop
