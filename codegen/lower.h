// Private to codegen/: the steps of compile(), for those who add to an LLVM module of their own (the artefact's entry
// points, the runtime stub) before it is optimised and emitted.
#pragma once

#include "cameo/codegen/codegen.h"

#include <memory>
#include <set>

namespace llvm {
class Function;
class LLVMContext;
class Module;
class TargetMachine;
} // namespace llvm

namespace cameo::codegen {

/// Initialises LLVM's x86 back end and installs the fatal-error handler, once; every function below calls it. A fatal
/// error of LLVM becomes an InternalError thrown in the thread that met it.
void initialize_llvm();

std::unique_ptr<llvm::TargetMachine> create_target_machine(const loop::Target &target, const Options &options);

/// An empty module with triple, data layout and module flags (PIC, control-flow protection) of the target.
std::unique_ptr<llvm::Module> create_module(llvm::LLVMContext &context, llvm::TargetMachine &machine,
                                            const loop::Target &target, const Options &options);

/// Target CPU and features, vector width, nounwind, no frame pointer: what each function of an artefact must carry.
/// Also for the entry points that the artefact adds.
void set_target_attributes(llvm::Function &function, const loop::Target &target);

/// Which functions of the module to emit, and which of them other pieces call (they become hidden instead of local).
struct Selection {
  std::set<std::string> emit;   ///< empty: all
  std::set<std::string> shared; ///< called from other pieces
};

/// Adds the functions of a verified Loop IR module to `out`. Operations that legalize must have removed are
/// CAMEO_CHECKed.
void emit_functions(llvm::Module &out, const loop::Module &module, const loop::Target &target, const Options &options,
                    const Selection &selection = {});

/// The short pipeline: inlining of small functions, common subexpressions, control-flow clean-up. No vectoriser, no
/// unroller.
void optimize(llvm::Module &module, llvm::TargetMachine &machine);

/// Verifies the LLVM module and writes it.
std::string emit_code(llvm::Module &module, llvm::TargetMachine &machine, Emit emit);

} // namespace cameo::codegen
