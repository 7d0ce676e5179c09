// The typing rule of every operation, in one place: the builder checks with it what it emits, the verifier what it is
// given.
#pragma once

#include "cameo/loop/ir.h"

namespace cameo::loop {

/// What is wrong with the types, operand counts and attributes of `op` alone (not with its place, its terminators or
/// what the buffers allow); empty when nothing is. Value ids may be out of range. `callee` is the function that a call
/// names; a call without one is not checked.
std::string type_error(const Function &function, const Op &op, const Function *callee);

/// Empty when a value may have this type: lanes in 1..kMaxLanes, buffers of lanes 1 and not of i1.
std::string type_error(const Type &type);

inline bool is_power_of_two(int64_t n) { return n > 0 && (n & (n - 1)) == 0; }
/// Types of arithmetic: f32, f64 and the integers from i8 on.
inline bool is_arithmetic_float(Scalar s) { return s == Scalar::f32 || s == Scalar::f64; }
inline bool is_arithmetic_int(Scalar s) { return is_int(s) && s != Scalar::i1; }

} // namespace cameo::loop
