// Rewrites explicit Loop IR until a target's own instructions suffice: afterwards no operation is left that codegen
// would have to ask a library for (libm, compiler-rt).
#pragma once

#include "cameo/loop/builder.h"
#include "cameo/loop/target.h"

namespace cameo::loop {

/// Replaces, in every function with a body:
///   - mathematical functions (exp ... pow) of f32 and f64, scalars and vectors of any lanes, by arithmetic. The bounds
///     are published in tests/loop/math_bounds.h; NaN, infinities, signed zeros, denormals, overflow and underflow are
///     exact;
///   - fma where the target has none, by an exact emulation (muladd stays: codegen takes whichever is fast);
///   - rem of floats (C fmod), exactly;
///   - fpext and fptrunc of f16 (unless the target has f16_convert; to and from f64 in any case) and of bf16 (in any
///   case:
///     hardware flushes denormals) by integer arithmetic: rounded once, to nearest even, denormals kept, NaNs quiet
///     with the top of their payload (widening bf16 is a shift: a signaling NaN stays one);
///   - target "vpdpbusd" without dot_u8s8, bit for bit; with it, where its lanes are not those of a register.
/// What an expansion computes does not depend on the target except where it says muladd: then the last bits differ
/// between targets with and without fma, within the same bounds. Deterministic and idempotent; the module stays valid.
void legalize(Module &module, const Target &target);

/// The expansion of one mathematical opcode (exp ... pow) at the builder's insertion point, operands of one type
/// (f32 or f64, any lanes). Uses fma only when the target has it.
Value expand_math(Builder &builder, Opcode code, std::span<const Value> operands, const Target &target);

} // namespace cameo::loop
