// Explicit Loop IR to machine code, in process. No LLVM type appears here: artefacts are bytes.
//
// Codegen translates node by node and knows no operator. What it guarantees of the code: no call of a library function
// (no libm, no compiler-rt; memcpy and memset at most where a copy loop was recognised), no thread-local storage, no
// static data besides constant pools, position independent, floats never reassociated.
#pragma once

#include "cameo/codegen/cpu.h"
#include "cameo/codegen/env.h"
#include "cameo/loop/ir.h"
#include "cameo/loop/target.h"
#include "cameo/support/result.h"

#include <string>
#include <string_view>
#include <vector>

namespace cameo::codegen {

/// The machines that `--target-cpu` names, most capable last, without duplicates. `flag` is a comma list of
///   native                     this machine, with the features and caches that it reports
///   x86-64-v2, -v3, -v4        the psABI levels
///   x86-64-v4-vnni             v4 with avx512vnni
///   portable                   x86-64-v2,x86-64-v3,x86-64-v4,x86-64-v4-vnni
///   any x86-64 CPU that LLVM names and that has x86-64-v2: znver5, sapphirerapids, haswell, ...
/// An unknown name is a usage error with the nearest names.
Result<std::vector<loop::Target>> resolve_targets(std::string_view flag);

/// Every name that resolve_targets() knows, for help texts; sorted within each group (levels first).
std::vector<std::string> target_names();

/// The CAMEO_X86_* bits (cpu.h) that code for `target` may use: what the runtime must find before it enters the code.
uint64_t required_cpu_features(const loop::Target &target);

/// The CAMEO_X86_* bits that this machine offers to a process.
uint64_t host_cpu_features();
/// Whether code for `target` can run on this machine.
bool host_can_run(const loop::Target &target);

enum class Emit { object, assembly, llvm_ir, bitcode };

struct Options {
  bool debug_info = false;      ///< a line table that names each function by Function::origin (or its name)
  bool cf_protection = true;    ///< endbr64 at entries and the IBT/SHSTK property note
  bool large_data = false;      ///< data may lie beyond 2 GiB of the code (medium code model)
  int jobs = 1;                 ///< threads for compile_chunks; the output does not depend on it
  int chunk_ops = 2048;         ///< compile_chunks: operations after which a new chunk starts
  std::string source = "loops"; ///< source name recorded in the output; never a path of the build machine
};

/// Compiles a module, verified and legalized for the target (loop/legalize.h), into one object file (ELF, relocatable),
/// or into text or bitcode. Exported functions are global symbols of their Loop IR name; all others are local.
/// Deterministic. Errors: none from the user; a fault of LLVM is an InternalError.
Result<std::string> compile(const loop::Module &module, const loop::Target &target, Emit emit,
                            const Options &options = {});

/// The same in several pieces, compiled by options.jobs threads: LLVM takes more than linear time on large modules.
/// Functions called from another piece become hidden symbols (the linker binds them; they are not exported from a
/// shared library), so their names must be unique among the models of one link.
Result<std::vector<std::string>> compile_chunks(const loop::Module &module, const loop::Target &target, Emit emit,
                                                const Options &options = {});

} // namespace cameo::codegen
