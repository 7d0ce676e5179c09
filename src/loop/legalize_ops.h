// The replacements of legalize() that are not mathematical functions. Each emits at the builder's insertion point and
// returns the value that `op` would have had, of type `result`, with `operands` for op's own.
#pragma once

#include "cameo/loop/legalize.h"

namespace cameo::loop {

using Expansion = Value (*)(Builder &builder, const Op &op, std::span<const Value> operands, Type result,
                            const Target &target);

/// fma of f32 or f64, rounded once, by additions and multiplications.
Value expand_fma(Builder &builder, const Op &op, std::span<const Value> operands, Type result, const Target &target);

} // namespace cameo::loop
