// Parts of convert.cpp: one element per lane, as loaded (types of less than a byte in the low bits of an i8).
#pragma once

#include "cameo/support/half.h"
#include "expand_math.h"

namespace cameo::loop {

math::Expr decode_float(math::Expr x, DType dtype);
math::Expr encode_float(math::Expr x, DType dtype, Narrowing narrowing);
math::Expr decode_integer(math::Expr x, DType dtype);
math::Expr encode_integer(math::Expr x, DType dtype, Narrowing narrowing);

} // namespace cameo::loop
