// Loads compiled Loop IR into this process, with LLVM's in-memory linker. The code is the object file that compile()
// writes, so what runs here is what an artefact contains.
#include "cameo/codegen/jit.h"

#include "lower.h"

#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"

namespace cameo::codegen {

struct Jit::State {
  std::unique_ptr<llvm::orc::LLJIT> jit;
  std::map<std::string, void *, std::less<>> symbols;
};

namespace {

template <class T> T check(llvm::Expected<T> value) {
  if (!value) CAMEO_UNREACHABLE("loading: " + llvm::toString(value.takeError()));
  return std::move(*value);
}

void check(llvm::Error error) {
  if (error) CAMEO_UNREACHABLE("loading: " + llvm::toString(std::move(error)));
}

} // namespace

Result<Jit> Jit::create(const loop::Module &module, const loop::Target &target, const Options &options,
                        const std::map<std::string, void *> &externals) {
  if (!host_can_run(target))
    return Diagnostic{ExitCode::unsupported, "", "this machine cannot run code for " + target.name};
  CAMEO_TRY(std::string object, compile(module, target, Emit::object, options));

  auto state = std::make_unique<State>();
  llvm::orc::JITTargetMachineBuilder machine{llvm::Triple(target.triple)};
  state->jit = check(llvm::orc::LLJITBuilder()
                         .setJITTargetMachineBuilder(std::move(machine))
                         .setLinkProcessSymbolsByDefault(false)
                         .setPlatformSetUp(llvm::orc::setUpInactivePlatform)
                         .create());
  llvm::orc::SymbolMap symbols;
  for (const auto &[name, address] : externals)
    symbols[state->jit->mangleAndIntern(name)] = {llvm::orc::ExecutorAddr::fromPtr(address),
                                                  llvm::JITSymbolFlags::Exported | llvm::JITSymbolFlags::Callable};
  if (!symbols.empty()) check(state->jit->getMainJITDylib().define(llvm::orc::absoluteSymbols(std::move(symbols))));
  check(state->jit->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(object, "loops")));
  for (const loop::Function &function : module.functions)
    if (function.exported && !function.declaration)
      state->symbols[function.name] = check(state->jit->lookup(function.name)).toPtr<void *>();
  return Jit(std::move(state));
}

void *Jit::symbol(std::string_view name) const {
  auto found = state_->symbols.find(name);
  return found == state_->symbols.end() ? nullptr : found->second;
}

Jit::Jit(std::unique_ptr<State> state) : state_(std::move(state)) {}
Jit::Jit(Jit &&) noexcept = default;
Jit &Jit::operator=(Jit &&) noexcept = default;
Jit::~Jit() = default;

} // namespace cameo::codegen
