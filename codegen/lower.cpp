// The frame around the emission: LLVM's initialisation, the target machine, the module and its flags, the short pass
// pipeline and the writing of code.
#include "lower.h"

#include "lower_order.h"
#include "targets/targets.h"

#include "llvm/Analysis/AliasAnalysis.h"
#include "llvm/Bitcode/BitcodeWriter.h"
#include "llvm/CodeGen/MachineModuleInfo.h"
#include "llvm/CodeGen/Passes.h"
#include "llvm/CodeGen/TargetPassConfig.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/CodeGen.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/IPO/AlwaysInliner.h"
#include "llvm/Transforms/IPO/GlobalDCE.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"

#include <mutex>
#include <new>

namespace cameo::codegen {

void initialize_llvm() {
  static std::once_flag once; // LLVM's registries are global: this guards them, and holds nothing of ours
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    llvm::install_fatal_error_handler(
        [](void *, const char *reason, bool) { CAMEO_UNREACHABLE(std::string("LLVM: ") + reason); });
    llvm::install_bad_alloc_error_handler([](void *, const char *, bool) { throw std::bad_alloc(); });
  });
}

std::unique_ptr<llvm::TargetMachine> create_target_machine(const loop::Target &target, const Options &options) {
  initialize_llvm();
  std::string error;
  const llvm::Target *llvm_target = llvm::TargetRegistry::lookupTarget(target.triple, error);
  CAMEO_CHECK(llvm_target, error);
  llvm::TargetOptions settings;
  settings.AllowFPOpFusion = llvm::FPOpFusion::Standard; // only what carries `contract`
  settings.MCOptions.AsmVerbose = false;
  auto model = options.large_data ? llvm::CodeModel::Medium : llvm::CodeModel::Small;
  std::unique_ptr<llvm::TargetMachine> machine(llvm_target->createTargetMachine(
      target.triple, target.cpu, target.features, settings, llvm::Reloc::PIC_, model, llvm::CodeGenOptLevel::Default));
  CAMEO_CHECK(machine, "no target machine for " + target.triple);
  return machine;
}

std::unique_ptr<llvm::Module> create_module(llvm::LLVMContext &context, llvm::TargetMachine &machine,
                                            const loop::Target &target, const Options &options) {
  auto module = std::make_unique<llvm::Module>("cameo", context);
  module->setSourceFileName(options.source);
  module->setTargetTriple(target.triple);
  module->setDataLayout(machine.createDataLayout());
  module->setPICLevel(llvm::PICLevel::BigPIC);
  if (options.large_data) module->setCodeModel(llvm::CodeModel::Medium);
  if (options.cf_protection) {
    module->addModuleFlag(llvm::Module::Min, "cf-protection-branch", 1);
    module->addModuleFlag(llvm::Module::Min, "cf-protection-return", 1);
  }
  return module;
}

void set_target_attributes(llvm::Function &function, const loop::Target &target) {
  function.addFnAttr("target-cpu", target.cpu);
  if (!target.features.empty())
    function.addFnAttr("target-features", target.features);
  else
    function.removeFnAttr("target-features");
  function.removeFnAttr("tune-cpu");
  // With a "min-legal-vector-width" below 512, LLVM splits each 512-bit operation in two on most AVX-512 machines.
  function.removeFnAttr("min-legal-vector-width");
  function.addFnAttr("prefer-vector-width", std::to_string(target.vector_bits));
  function.addFnAttr("frame-pointer", "none");
  function.addFnAttr("probe-stack", "inline-asm"); // a large frame cannot step over the guard page
  function.addFnAttr(llvm::Attribute::NoUnwind);
}

void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graphs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graphs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graphs, modules);

  llvm::FunctionPassManager each;
  each.addPass(llvm::EarlyCSEPass(/*UseMemorySSA=*/false));
  each.addPass(llvm::SimplifyCFGPass());
  llvm::ModulePassManager passes;
  passes.addPass(llvm::AlwaysInlinerPass(/*InsertLifetime=*/true));
  passes.addPass(llvm::GlobalDCEPass());
  passes.addPass(llvm::createModuleToFunctionPassAdaptor(std::move(each)));
  passes.run(module, modules);
}

namespace {

// TargetMachine::addPassesToEmitFile with one pass more.
void generate(llvm::Module &module, llvm::LLVMTargetMachine &machine, llvm::raw_pwrite_stream &out,
              llvm::CodeGenFileType type) {
  llvm::legacy::PassManager passes;
  auto *info = new llvm::MachineModuleInfoWrapperPass(&machine);
  llvm::TargetPassConfig *config = machine.createPassConfig(passes);
  config->setDisableVerify(true);
  config->insertPass(&llvm::MachineSinkingID, create_sink_loads());
  passes.add(config);
  passes.add(info);
  bool refused = config->addISelPasses();
  config->addMachinePasses();
  config->setInitialized();
  refused |= machine.addAsmPrinter(passes, out, nullptr, type, info->getMMI().getContext());
  CAMEO_CHECK(!refused, "the target machine cannot write this kind of file");
  passes.add(llvm::createFreeMachineFunctionPass());
  passes.run(module);
}

} // namespace

std::string emit_code(llvm::Module &module, llvm::TargetMachine &machine, Emit emit) {
  std::string problem;
  llvm::raw_string_ostream problem_stream(problem);
  if (llvm::verifyModule(module, &problem_stream))
    CAMEO_UNREACHABLE("LLVM rejects the emitted module: " + problem_stream.str());

  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream out(bytes);
  switch (emit) {
  case Emit::llvm_ir:
    module.print(out, nullptr);
    break;
  case Emit::bitcode:
    llvm::WriteBitcodeToFile(module, out);
    break;
  case Emit::assembly:
  case Emit::object: {
    auto type = emit == Emit::object ? llvm::CodeGenFileType::ObjectFile : llvm::CodeGenFileType::AssemblyFile;
    generate(module, static_cast<llvm::LLVMTargetMachine &>(machine), out, type);
  }
  }
  return std::string(bytes.data(), bytes.size());
}

} // namespace cameo::codegen
