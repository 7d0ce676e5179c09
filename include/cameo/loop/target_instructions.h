// Instructions that a `target` operation may name: what a machine does in one go and LLVM would not find from plain
// arithmetic. One row each: the name (Op::symbol), its typing rule and its meaning. Codegen maps the name to an
// intrinsic, the interpreter evaluates the meaning.
#pragma once

#include "cameo/loop/ir.h"

namespace cameo::loop {

struct TargetInstruction {
  std::string_view name;
  /// Empty when result and operands have the right types, else what is wrong.
  std::string (*type_error)(const Type &result, std::span<const Type> operands);
  /// Bit patterns in, bit patterns out: `operands[k]` points at the bytes of operand k, `result` at those of the result
  /// (lanes packed without gaps, little-endian); `lanes` is the result's lane count.
  void (*evaluate)(std::byte *result, std::span<const std::byte *const> operands, int32_t lanes);
};

/// The table:
///   vpdpbusd   i32xN(i32xN acc, i32xN a, i32xN b): each lane of a holds four unsigned bytes, each of b four signed
///   bytes, lowest
///              byte first; acc + a0*b0 + a1*b1 + a2*b2 + a3*b3, wrapping (Intel SDM, VPDPBUSD; not the saturating
///              VPDPBUSDS)
///   lookup256  i8x16(i8x64 t0, i8x64 t1, i8x64 t2, i8x64 t3, i8x16 at): bytes of the table t0 t1 t2 t3 at unsigned
///   positions; for
///              targets with vectors of 512 bits, which hold it in four registers
std::span<const TargetInstruction> target_instructions();
const TargetInstruction *find_target_instruction(std::string_view name); ///< nullptr when absent

} // namespace cameo::loop
