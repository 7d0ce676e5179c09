// The table of CPU families: a family is a record of functions, filled by one file beside this header.
#pragma once

#include "cameo/loop/target.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace llvm {
class IRBuilderBase;
class Value;
} // namespace llvm

namespace cameo::codegen {

struct TargetFamily {
  std::string_view triple;
  /// The record of a named machine; nullopt for a name that is not of this family or too old a machine.
  std::optional<loop::Target> (*find)(std::string_view name);
  /// Whether the name is of this family, and find() refuses it because the machine lacks the family's baseline.
  bool (*is_too_old)(std::string_view name);
  /// Names that a user may give: levels first, then CPUs, each group sorted.
  std::vector<std::string> (*names)();
  /// The names that `portable` stands for.
  std::span<const std::string_view> portable;
  /// This machine, when it is of this family.
  std::optional<loop::Target> (*native)();
  /// Required and offered features as bits of cameo/codegen/cpu.h.
  uint64_t (*required_features)(const loop::Target &target);
  uint64_t (*host_features)();
  /// Emits the instruction of a Loop IR `target` operation; nullptr when this target does not have it in that width.
  llvm::Value *(*emit_instruction)(llvm::IRBuilderBase &builder, const loop::Target &target,
                                   std::string_view instruction, std::span<llvm::Value *const> operands);
};

/// Each supported family once.
std::span<const TargetFamily *const> target_families();
/// The family of a resolved target (by its triple).
const TargetFamily &family_of(const loop::Target &target);

extern const TargetFamily kX86;

} // namespace cameo::codegen
