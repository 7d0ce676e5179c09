// A Loop IR module to an LLVM module: types, declarations, linkage, attributes, debug information. Bodies are
// FunctionEmitter's.
#include "emit.h"

#include "llvm/BinaryFormat/Dwarf.h"

#include <cstddef>
#include <functional>

namespace cameo::codegen {

using loop::Function;
using loop::Scalar;

// Codegen addresses the environment by these offsets.
static_assert(sizeof(cameo_env) == 24 && offsetof(cameo_env, status) == 0 && offsetof(cameo_env, threads) == 4 &&
              offsetof(cameo_env, parallel) == 8);

Definitions find_definitions(const Function &function) {
  Definitions definitions(function.values.size(), nullptr);
  std::function<void(const loop::Block &)> walk = [&](const loop::Block &block) {
    for (const loop::Op &op : block.ops) {
      for (loop::Value result : op.results) definitions[result.id] = &op;
      for (const loop::Block &region : op.regions) walk(region);
    }
  };
  walk(function.body);
  return definitions;
}

int64_t count_ops(const loop::Block &block) {
  int64_t count = 0;
  for (const loop::Op &op : block.ops) {
    ++count;
    for (const loop::Block &region : op.regions) count += count_ops(region);
  }
  return count;
}

bool is_inlinable(const Function &function) {
  constexpr int64_t kSmall = 48;
  return !function.declaration && !function.exported && !function.noinline && count_ops(function.body) <= kSmall;
}

llvm::Type *ModuleEmitter::scalar_type(Scalar scalar) {
  switch (scalar) {
  case Scalar::i1:
    return llvm::Type::getInt1Ty(context());
  case Scalar::i8:
    return llvm::Type::getInt8Ty(context());
  // Half-width floats are their bits: only loads, stores and conversions exist, and `half` would bring calls of
  // compiler-rt.
  case Scalar::i16:
  case Scalar::f16:
  case Scalar::bf16:
    return llvm::Type::getInt16Ty(context());
  case Scalar::i32:
    return llvm::Type::getInt32Ty(context());
  case Scalar::i64:
    return llvm::Type::getInt64Ty(context());
  case Scalar::f32:
    return llvm::Type::getFloatTy(context());
  case Scalar::f64:
    return llvm::Type::getDoubleTy(context());
  }
  CAMEO_UNREACHABLE("scalar kind");
}

llvm::Type *ModuleEmitter::type(const loop::Type &type) {
  if (type.buffer) return llvm::PointerType::getUnqual(context());
  llvm::Type *scalar = scalar_type(type.scalar);
  return type.lanes > 1 ? llvm::FixedVectorType::get(scalar, unsigned(type.lanes)) : scalar;
}

llvm::FunctionType *ModuleEmitter::function_type(const Function &function) {
  std::vector<llvm::Type *> params = {llvm::PointerType::getUnqual(context())};
  for (const loop::Param &param : function.params) params.push_back(type(function.type(param.value)));
  std::vector<llvm::Type *> results;
  for (const loop::Type &result : function.results) results.push_back(type(result));
  llvm::Type *result = results.empty()       ? llvm::Type::getVoidTy(context())
                       : results.size() == 1 ? results[0]
                                             : llvm::StructType::get(context(), results);
  return llvm::FunctionType::get(result, params, false);
}

void ModuleEmitter::add_buffer_attributes(llvm::Function *function, unsigned arg, const loop::Param &param,
                                          Scalar element) {
  int64_t bytes = loop::bits(element) / 8;
  function->addParamAttr(arg, llvm::Attribute::NoUndef);
  function->addParamAttr(arg, llvm::Attribute::NoCapture);
  if (param.noalias) function->addParamAttr(arg, llvm::Attribute::NoAlias);
  if (param.readonly) function->addParamAttr(arg, llvm::Attribute::ReadOnly);
  function->addParamAttr(
      arg, llvm::Attribute::getWithAlignment(context(), llvm::Align(uint64_t(std::max<int64_t>(param.align, bytes)))));
  if (param.size > 0)
    function->addParamAttr(arg, llvm::Attribute::getWithDereferenceableBytes(context(), uint64_t(param.size * bytes)));
}

llvm::Function *ModuleEmitter::declare(const Function &function) {
  if (llvm::Function *known = out.getFunction(function.name)) return known;
  bool here = !function.declaration &&
              (selection.emit.empty() || selection.emit.contains(function.name) || is_inlinable(function));
  bool shared = !here || function.exported || selection.shared.contains(function.name);
  auto linkage = shared ? llvm::GlobalValue::ExternalLinkage : llvm::GlobalValue::InternalLinkage;
  auto *result = llvm::Function::Create(function_type(function), linkage, function.name, out);
  if (shared && !function.exported && !function.declaration) result->setVisibility(llvm::GlobalValue::HiddenVisibility);
  result->setDSOLocal(!function.declaration);
  set_target_attributes(*result, target);
  result->getArg(0)->setName("env");
  result->addParamAttr(0, llvm::Attribute::NonNull);
  result->addParamAttr(0, llvm::Attribute::NoUndef);
  for (unsigned i = 0; i < function.params.size(); ++i) {
    const loop::Param &param = function.params[i];
    loop::Type type = function.type(param.value);
    result->getArg(i + 1)->setName(function.values[param.value.id].name);
    if (type.buffer) add_buffer_attributes(result, i + 1, param, type.scalar);
    if (type == loop::kBool) result->addParamAttr(i + 1, llvm::Attribute::ZExt);
  }
  if (function.results.size() == 1 && function.results[0] == loop::kBool) result->addRetAttr(llvm::Attribute::ZExt);
  if (is_inlinable(function))
    result->addFnAttr(llvm::Attribute::AlwaysInline);
  else if (!function.declaration)
    result->addFnAttr(llvm::Attribute::NoInline);
  return result;
}

void ModuleEmitter::attach_debug_info(llvm::Function *function, const std::string &origin,
                                      llvm::IRBuilderBase &builder) {
  if (!debug) return;
  auto *type = debug->createSubroutineType(debug->getOrCreateTypeArray({}));
  auto *program = debug->createFunction(debug_file, origin.empty() ? function->getName() : llvm::StringRef(origin),
                                        function->getName(), debug_file, 1, type, 1, llvm::DINode::FlagZero,
                                        llvm::DISubprogram::SPFlagDefinition);
  function->setSubprogram(program);
  function->setUWTableKind(llvm::UWTableKind::Default); // so that profilers can walk the stack
  builder.SetCurrentDebugLocation(llvm::DILocation::get(context(), 1, 0, program));
}

void ModuleEmitter::emit(const Function &function) {
  llvm::Function *body = declare(function);
  Definitions definitions = find_definitions(function);
  FunctionEmitter emitter(*this, function, definitions, body, /*in_task=*/false);
  for (unsigned i = 0; i < function.params.size(); ++i) emitter.bind(function.params[i].value, body->getArg(i + 1));
  emitter.run(function.body);
}

void ModuleEmitter::run() {
  if (options.debug_info) {
    debug = std::make_unique<llvm::DIBuilder>(out);
    debug_file = debug->createFile(options.source, "");
    debug->createCompileUnit(llvm::dwarf::DW_LANG_C, debug_file, "cameo", /*isOptimized=*/true, "", 0, "",
                             llvm::DICompileUnit::LineTablesOnly);
    out.addModuleFlag(llvm::Module::Warning, "Debug Info Version", llvm::DEBUG_METADATA_VERSION);
    out.addModuleFlag(llvm::Module::Max, "Dwarf Version", 4);
  }
  for (const Function &function : in.functions)
    if (!function.declaration && (selection.emit.empty() || selection.emit.contains(function.name))) emit(function);
  // Small functions of other pieces that this piece calls come along as copies; a copy may call further ones.
  for (bool more = true; more;) {
    more = false;
    for (const Function &function : in.functions) {
      llvm::Function *known = out.getFunction(function.name);
      if (known && known->isDeclaration() && known->hasLocalLinkage()) {
        emit(function);
        more = true;
      }
    }
  }
  if (debug) debug->finalize();
}

void emit_functions(llvm::Module &out, const loop::Module &module, const loop::Target &target, const Options &options,
                    const Selection &selection) {
  ModuleEmitter{out, module, target, options, selection, nullptr}.run();
}

} // namespace cameo::codegen
