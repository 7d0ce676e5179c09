// What is generated for the runtime (codegen/runtime/): the constant that describes the model, a trampoline for each
// function of each variant, and the typed calls.
//
// The constant's layout is that of the C structures in codegen/runtime/runtime.h and include/cameo/abi.h: LLVM lays out
// a structure of integers and pointers by the same rules as C. tests/codegen/artefact_describe_test.cpp reads every
// field back through the C header.
#include "artefact_internal.h"

#include "cameo/abi.h"

#include "elf_merge.h"
#include "lower.h"

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Triple.h"

#include <algorithm>

// The runtime's files (cmake/CameoRuntime.cmake).
#define EMBEDDED_OBJECT(architecture, symbol)                                                                          \
  extern const unsigned char symbol[];                                                                                 \
  extern const unsigned long symbol##_size;
#include "embedded_runtime.inc"
#undef EMBEDDED_OBJECT

namespace cameo::codegen {
namespace {

std::string architecture(const loop::Target &target) {
  return llvm::Triple::getArchTypeName(llvm::Triple(target.triple).getArch()).str();
}

// The least that every CPU of the architecture has: what decides whether a variant may run must itself run anywhere.
loop::Target baseline(const loop::Target &target) {
  CAMEO_CHECK(architecture(target) == "x86_64", "no runtime for " + target.triple);
  loop::Target base;
  base.name = base.cpu = "x86-64";
  base.triple = target.triple;
  base.vector_bits = 128;
  return base;
}

constexpr const char *kInterface[] = {"describe", "create",         "run",      "destroy",
                                      "shape",    "workspace_size", "run_once", "status_text"};

// Builds constants of the C structures.
class Data {
public:
  explicit Data(llvm::Module &module) : module_(module), context_(module.getContext()) {}

  llvm::Constant *i32(int64_t value) {
    return llvm::ConstantInt::get(llvm::Type::getInt32Ty(context_), uint64_t(value));
  }
  llvm::Constant *i64(int64_t value) {
    return llvm::ConstantInt::get(llvm::Type::getInt64Ty(context_), uint64_t(value));
  }
  llvm::Constant *null() { return llvm::ConstantPointerNull::get(llvm::PointerType::getUnqual(context_)); }
  llvm::Constant *record(std::vector<llvm::Constant *> fields) {
    return llvm::ConstantStruct::getAnon(context_, fields);
  }
  // A C string. A zero byte within, which only a hostile model has, becomes visible.
  llvm::Constant *text(const std::string &value) {
    std::string shown;
    for (char c : value) shown += c ? std::string(1, c) : "\\x00";
    auto *bytes = llvm::ConstantDataArray::getString(context_, shown, /*AddNull=*/true);
    auto *global = constant(bytes, "text");
    global->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
    global->setAlignment(llvm::Align(1));
    return global;
  }
  // An array of records of one shape; null when there are none.
  llvm::Constant *array(const std::vector<llvm::Constant *> &items, const char *name) {
    if (items.empty()) return null();
    return constant(llvm::ConstantArray::get(llvm::ArrayType::get(items[0]->getType(), items.size()), items), name);
  }
  llvm::GlobalVariable *constant(llvm::Constant *value, const char *name) {
    return new llvm::GlobalVariable(module_, value->getType(), true, llvm::GlobalValue::PrivateLinkage, value, name);
  }

private:
  llvm::Module &module_;
  llvm::LLVMContext &context_;
};

class StubBuilder {
public:
  StubBuilder(llvm::Module &module, const ArtefactSpec &spec)
      : module_(module), context_(module.getContext()), spec_(spec), data_(module), builder_(context_) {}
  void build(const std::string &manifest);

private:
  llvm::Constant *manifest_note(const std::string &manifest);
  llvm::Constant *values(const std::vector<PortSpec> &ports, const char *name);
  llvm::Constant *dims(const std::vector<DimSpec> &list);
  llvm::Constant *containers(const std::vector<ContainerSpec> &list, const char *name);
  llvm::Constant *output_labels();
  llvm::Constant *symbols();
  llvm::Constant *variants();
  llvm::Constant *variant_code(size_t number);
  llvm::Constant *weights();
  std::vector<llvm::Constant *> strings();
  void define_program(llvm::Constant *manifest);
  void define_typed_calls();
  // A function of the runtime, of which only the address is known here.
  llvm::Function *runtime(const std::string &name) {
    if (llvm::Function *known = module_.getFunction(name)) return known;
    return declare(name, llvm::FunctionType::get(builder_.getInt32Ty(), /*isVarArg=*/true));
  }
  llvm::Function *declare(const std::string &name, llvm::FunctionType *type) {
    auto *declared = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, name, module_);
    declared->setVisibility(llvm::GlobalValue::HiddenVisibility);
    declared->setDSOLocal(true);
    return declared;
  }
  // A function of a variant, declared: env and `arguments` parameters.
  llvm::FunctionCallee variant_function(size_t number, const char *name, llvm::Type *result,
                                        const std::vector<llvm::Value *> &arguments);
  llvm::Function *begin_function(const std::string &name, llvm::Type *result, size_t pointers);
  llvm::Value *element(llvm::Value *array, size_t index, llvm::Type *type) {
    return builder_.CreateLoad(type, builder_.CreateConstInBoundsGEP1_64(type, array, index));
  }
  void append_symbols(std::vector<llvm::Value *> &arguments, llvm::Value *symbols) {
    for (size_t i = 0; i < spec_.symbols.size(); ++i) arguments.push_back(element(symbols, i, builder_.getInt64Ty()));
  }

  llvm::Module &module_;
  llvm::LLVMContext &context_;
  const ArtefactSpec &spec_;
  const OutputDims output_dims_ = count_output_dims(spec_);
  Data data_;
  llvm::IRBuilder<> builder_;
};

// An ELF note in a section of its own; the result points to the text in it.
llvm::Constant *StubBuilder::manifest_note(const std::string &manifest) {
  std::string owner(kManifestOwner), text = manifest;
  const size_t owner_size = owner.size() + 1, text_size = text.size() + 1;
  owner.resize((owner_size + 3) / 4 * 4);
  text.resize((text_size + 3) / 4 * 4);
  auto *note = data_.constant(data_.record({data_.i32(int64_t(owner_size)), data_.i32(int64_t(text_size)), data_.i32(1),
                                            llvm::ConstantDataArray::getString(context_, owner, false),
                                            llvm::ConstantDataArray::getString(context_, text, false)}),
                              "manifest");
  note->setLinkage(llvm::GlobalValue::InternalLinkage);
  note->setSection(kManifestSection);
  note->setAlignment(llvm::Align(4));
  return llvm::ConstantExpr::getInBoundsGetElementPtr(builder_.getInt8Ty(), note,
                                                      data_.i64(int64_t(12 + owner.size())));
}

llvm::Constant *StubBuilder::dims(const std::vector<DimSpec> &list) {
  std::vector<llvm::Constant *> items;
  for (const DimSpec &dim : list) {
    const int64_t symbol = dim.extent >= 0   ? CAMEO_DIM_COMPUTED
                           : dim.at_run      ? CAMEO_DIM_AT_RUN
                           : dim.symbol >= 0 ? dim.symbol
                                             : CAMEO_DIM_COMPUTED;
    items.push_back(data_.record({data_.i64(dim.extent >= 0 ? dim.extent : -1), data_.i32(symbol), data_.i32(0),
                                  data_.text(dim_text(spec_, dim))}));
  }
  return data_.array(items, "dims");
}

llvm::Constant *StubBuilder::values(const std::vector<PortSpec> &ports, const char *name) {
  std::vector<llvm::Constant *> items;
  for (const PortSpec &port : ports)
    items.push_back(
        data_.record({data_.text(port.name), data_.i32(onnx_number(port.dtype)), data_.i32(int64_t(port.dims.size())),
                      dims(port.dims), data_.i64(fixed_bytes(port))}));
  return data_.array(items, name);
}

llvm::Constant *StubBuilder::containers(const std::vector<ContainerSpec> &list, const char *name) {
  std::vector<llvm::Constant *> items;
  for (const ContainerSpec &c : list)
    items.push_back(
        data_.record({data_.text(c.name), data_.i32(int64_t(c.kind)), data_.i32(onnx_number(c.dtype)),
                      data_.i32(c.rank), data_.i32(c.first), data_.i32(c.count), data_.i32(0), dims(c.dims)}));
  return data_.array(items, name);
}

llvm::Constant *StubBuilder::output_labels() {
  std::vector<llvm::Constant *> items;
  bool any = false;
  for (const PortSpec &port : spec_.outputs) {
    const LabelSpec &labels = port.labels;
    any |= labels.kind != LabelSpec::Kind::none;
    std::vector<llvm::Constant *> strings, integers;
    for (const std::string &label : labels.strings) strings.push_back(data_.text(label));
    for (int64_t label : labels.integers) integers.push_back(data_.i64(label));
    items.push_back(data_.record({data_.i32(int64_t(labels.kind)), data_.i32(int64_t(labels.count())),
                                  data_.array(strings, "strings"), data_.array(integers, "integers")}));
  }
  return any ? data_.array(items, "labels") : data_.null();
}

llvm::Constant *StubBuilder::symbols() {
  std::vector<llvm::Constant *> items;
  for (const SymbolSpec &symbol : spec_.symbols)
    items.push_back(data_.record({data_.text(symbol.name), data_.i64(symbol.min), data_.i64(symbol.max)}));
  return data_.array(items, "symbols");
}

llvm::Constant *StubBuilder::variants() {
  std::vector<llvm::Constant *> items;
  for (const VariantSpec &variant : spec_.variants)
    items.push_back(data_.record({data_.text(variant.target.name), data_.i64(int64_t(variant_features(variant)))}));
  return data_.array(items, "variants");
}

llvm::FunctionCallee StubBuilder::variant_function(size_t number, const char *name, llvm::Type *result,
                                                   const std::vector<llvm::Value *> &arguments) {
  std::vector<llvm::Type *> types;
  for (llvm::Value *argument : arguments) types.push_back(argument->getType());
  auto *type = llvm::FunctionType::get(result, types, false);
  return declare(variant_scope(spec_, number) + "." + name, type);
}

llvm::Function *StubBuilder::begin_function(const std::string &name, llvm::Type *result, size_t pointers) {
  const std::vector<llvm::Type *> types(pointers, builder_.getPtrTy());
  auto *created = llvm::Function::Create(llvm::FunctionType::get(result, types, false),
                                         llvm::GlobalValue::InternalLinkage, name, module_);
  builder_.SetInsertPoint(llvm::BasicBlock::Create(context_, "entry", created));
  return created;
}

// struct variant_code: the arrays of the runtime spread into the arguments of the Loop IR functions.
llvm::Constant *StubBuilder::variant_code(size_t number) {
  const std::string scope = variant_scope(spec_, number);
  llvm::Type *pointer = builder_.getPtrTy(), *nothing = builder_.getVoidTy(), *i64 = builder_.getInt64Ty();

  llvm::Function *run = begin_function(scope + ".enter", nothing, 8);
  llvm::Argument *env = run->getArg(0), *inputs = run->getArg(1), *outputs = run->getArg(2), *run_dims = run->getArg(3),
                 *capacity = run->getArg(4), *weights = run->getArg(5), *workspace = run->getArg(6),
                 *symbols = run->getArg(7);
  std::vector<llvm::Value *> arguments = {env};
  for (size_t i = 0; i < spec_.inputs.size(); ++i) arguments.push_back(element(inputs, i, pointer));
  for (size_t i = 0; i < spec_.outputs.size(); ++i) arguments.push_back(element(outputs, i, pointer));
  if (output_dims_.at_run) arguments.insert(arguments.end(), {run_dims, capacity});
  arguments.insert(arguments.end(), {weights, workspace});
  append_symbols(arguments, symbols);
  builder_.CreateCall(variant_function(number, "run", nothing, arguments), arguments);
  builder_.CreateRetVoid();

  llvm::Function *size = begin_function(scope + ".size", i64, 2);
  arguments = {size->getArg(0)};
  append_symbols(arguments, size->getArg(1));
  builder_.CreateRet(builder_.CreateCall(variant_function(number, "workspace_bytes", i64, arguments), arguments));

  llvm::Constant *shape = data_.null();
  if (output_dims_.computed) {
    llvm::Function *dims = begin_function(scope + ".shape", nothing, 3);
    arguments = {dims->getArg(0), dims->getArg(1)};
    append_symbols(arguments, dims->getArg(2));
    builder_.CreateCall(variant_function(number, "output_dims", nothing, arguments), arguments);
    builder_.CreateRetVoid();
    shape = dims;
  }
  return data_.record({run, size, shape});
}

llvm::Constant *StubBuilder::weights() {
  if (!spec_.embed_weights || spec_.weights.size() == 0) return data_.null();
  auto *declared = new llvm::GlobalVariable(module_, builder_.getInt8Ty(), true, llvm::GlobalValue::ExternalLinkage,
                                            nullptr, kWeightsSymbol);
  declared->setVisibility(llvm::GlobalValue::HiddenVisibility);
  return declared;
}

// The model's strings, one after the other, and where each begins; what serves them.
std::vector<llvm::Constant *> StubBuilder::strings() {
  if (spec_.strings.empty()) return {data_.null(), data_.null(), data_.null(), data_.i64(0)};
  auto *hooks = new llvm::GlobalVariable(module_, builder_.getInt8Ty(), true, llvm::GlobalValue::ExternalLinkage,
                                         nullptr, "cameo_string_hooks");
  hooks->setVisibility(llvm::GlobalValue::HiddenVisibility);
  hooks->setDSOLocal(true);
  std::string bytes;
  std::vector<uint64_t> ends = {0};
  for (const std::string &s : spec_.strings) {
    bytes += s;
    ends.push_back(bytes.size());
  }
  return {hooks, data_.constant(llvm::ConstantDataArray::getString(context_, bytes, /*AddNull=*/true), "strings"),
          data_.constant(llvm::ConstantDataArray::get(context_, ends), "string_ends"),
          data_.i64(int64_t(spec_.strings.size()))};
}

// struct program, and in it CameoModel.
void StubBuilder::define_program(llvm::Constant *manifest) {
  const Provenance &from = spec_.provenance;
  std::vector<llvm::Constant *> code;
  for (size_t i = 0; i < spec_.variants.size(); ++i) code.push_back(variant_code(i));
  auto count = [&](size_t n) { return data_.i32(int64_t(n)); };
  llvm::Constant *model = data_.record({data_.i64(sizeof(CameoModel)),
                                        data_.i32(CAMEO_ABI_VERSION),
                                        count(spec_.inputs.size()),
                                        count(spec_.outputs.size()),
                                        count(spec_.symbols.size()),
                                        count(spec_.variants.size()),
                                        data_.i32(0),
                                        data_.text(from.model_name),
                                        data_.text(spec_.prefix),
                                        values(spec_.inputs, "inputs"),
                                        values(spec_.outputs, "outputs"),
                                        symbols(),
                                        variants(),
                                        data_.i64(spec_.weights.size()),
                                        data_.text(from.model_sha256),
                                        data_.text(from.compiler_version),
                                        data_.text(from.flags),
                                        manifest,
                                        runtime("cameo_stub_create"),
                                        runtime("cameo_stub_run"),
                                        runtime("cameo_stub_destroy"),
                                        runtime("cameo_stub_shape"),
                                        runtime("cameo_stub_workspace_size"),
                                        runtime("cameo_stub_run_once"),
                                        runtime("cameo_stub_status_text"),
                                        output_labels(),
                                        containers(spec_.input_containers, "input_containers"),
                                        containers(spec_.output_containers, "output_containers"),
                                        count(spec_.input_containers.size()),
                                        count(spec_.output_containers.size())});
  CAMEO_CHECK(module_.getDataLayout().getTypeAllocSize(model->getType()) == sizeof(CameoModel), "layout of CameoModel");
  std::vector<llvm::Constant *> fields = {model,
                                          data_.array(code, "code"),
                                          weights(),
                                          data_.i64(output_dims_.all),
                                          data_.i64(output_dims_.at_run),
                                          data_.i64(output_dims_.at_run_outputs)};
  for (llvm::Constant *field : strings()) fields.push_back(field);
  llvm::Constant *program = data_.record(fields);
  auto *defined = new llvm::GlobalVariable(module_, program->getType(), true, llvm::GlobalValue::ExternalLinkage,
                                           program, "cameo_program");
  defined->setVisibility(llvm::GlobalValue::HiddenVisibility);
  defined->setAlignment(llvm::Align(8));
}

// int prefix(inputs..., outputs...) and int prefix_call(context, inputs..., outputs...).
void StubBuilder::define_typed_calls() {
  const size_t inputs = spec_.inputs.size(), outputs = spec_.outputs.size();
  for (const bool with_context : {false, true}) {
    if (!with_context && !has_stateless_call(spec_)) continue;
    llvm::Function *call = begin_function(spec_.prefix + (with_context ? "_call" : ""), builder_.getInt32Ty(),
                                          with_context + inputs + outputs);
    auto array = [&](size_t first, size_t count) {
      llvm::Value *space = builder_.CreateAlloca(llvm::ArrayType::get(builder_.getPtrTy(), count));
      for (size_t i = 0; i < count; ++i)
        builder_.CreateStore(call->getArg(unsigned(with_context + first + i)),
                             builder_.CreateConstInBoundsGEP1_64(builder_.getPtrTy(), space, i));
      return space;
    };
    std::vector<llvm::Value *> arguments;
    if (with_context) arguments.push_back(call->getArg(0));
    arguments.push_back(array(0, inputs));
    arguments.push_back(array(inputs, outputs));
    std::vector<llvm::Type *> types(arguments.size(), builder_.getPtrTy());
    builder_.CreateRet(builder_.CreateCall(declare(with_context ? "cameo_stub_call" : "cameo_stub_call_once",
                                                   llvm::FunctionType::get(builder_.getInt32Ty(), types, false)),
                                           arguments));
    call->setLinkage(llvm::GlobalValue::ExternalLinkage);
  }
}

void StubBuilder::build(const std::string &manifest) {
  define_program(manifest_note(manifest));
  if (has_typed_call(spec_)) define_typed_calls();
}

} // namespace

// Files for strings are there when the model has strings, and string_x and string_x_y when a program calls a function
// cameo_string_x_*.
static bool needs(const ArtefactSpec &spec, std::string_view stem) {
  if (!stem.starts_with("string")) return true;
  if (stem == "strings") return !spec.strings.empty();
  const std::string prefix = "cameo_" + std::string(stem.substr(0, stem.find('_', stem.find('_') + 1))) + "_";
  return std::any_of(spec.variants.begin(), spec.variants.end(), [&](const VariantSpec &variant) {
    const std::vector<loop::Function> &functions = variant.code.functions;
    return std::any_of(functions.begin(), functions.end(),
                       [&](const loop::Function &f) { return f.declaration && f.name.starts_with(prefix); });
  });
}

std::vector<std::string_view> runtime_objects(const ArtefactSpec &spec) {
  struct File {
    std::string_view architecture, symbol, bytes;
  };
  const File files[] = {
#define EMBEDDED_OBJECT(architecture, symbol)                                                                          \
  {architecture, #symbol, {reinterpret_cast<const char *>(symbol), symbol##_size}},
#include "embedded_runtime.inc"
#undef EMBEDDED_OBJECT
  };
  std::vector<std::string_view> objects;
  for (const File &file : files) {
    const std::string_view stem =
        file.symbol.substr(std::string_view("runtime_").size() + file.architecture.size() + 1);
    if (file.architecture == architecture(spec.variants[0].target) && needs(spec, stem)) objects.push_back(file.bytes);
  }
  return objects;
}

std::map<std::string, std::string> runtime_renames(const ArtefactSpec &spec) {
  std::map<std::string, std::string> renames;
  for (const char *name : kInterface) renames[std::string("cameo_stub_") + name] = spec.prefix + "_" + name;
  return renames;
}

std::string compile_stub(const ArtefactSpec &spec, const std::string &manifest) {
  const loop::Target target = baseline(spec.variants[0].target);
  Options options;
  options.source = spec.prefix;
  auto machine = create_target_machine(target, options);
  llvm::LLVMContext context;
  auto module = create_module(context, *machine, target, options);
  StubBuilder(*module, spec).build(manifest);
  for (llvm::Function &function : *module)
    if (!function.isDeclaration()) set_target_attributes(function, target);
  optimize(*module, *machine);
  return emit_code(*module, *machine, Emit::object);
}

} // namespace cameo::codegen
