// The replacements of legalize() that are not mathematical functions. Each emits at the builder's insertion point and
// returns the value that `op` would have had, of type `result`, with `operands` for op's own.
#pragma once

#include "cameo/loop/legalize.h"

namespace cameo::loop {

/// What a replacement is built from.
struct Replaced {
  const Op &op;
  std::span<const Value> operands;
  Type result;
  const Target &target;
};
using Expansion = Value (*)(Builder &builder, const Replaced &replaced);

Value expand_fma(Builder &builder, const Replaced &replaced);
Value expand_rem(Builder &builder, const Replaced &replaced);
Value expand_fpext(Builder &builder, const Replaced &replaced);
Value expand_fptrunc(Builder &builder, const Replaced &replaced);
/// Whether the target has vpdpbusd for that many lanes of 32 bits: a power of two from 4 up to its vectors.
bool has_dot_u8s8(const Target &target, int32_t lanes);
Value expand_dot_u8s8(Builder &builder, const Replaced &replaced);

} // namespace cameo::loop
