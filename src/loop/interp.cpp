// The public face of the interpreter: decodes functions when they are first needed, checks the arguments, runs.
#include "cameo/loop/interp.h"

#include "interp_machine.h"

#include <algorithm>
#include <bit>
#include <set>

namespace cameo::loop {

using interp::BufferRef;
using interp::Code;
using interp::Machine;

Argument Argument::f32(float value) { return pattern(std::bit_cast<uint32_t>(value)); }
Argument Argument::f64(double value) { return pattern(std::bit_cast<uint64_t>(value)); }

struct Interpreter::State {
  std::map<std::string, const Function *, std::less<>> functions;
  std::map<const Function *, std::unique_ptr<Code>> codes; // only looked up by key, never walked
  std::set<const Function *> open;                         // being decoded

  const Code *code_of(const Function &function) {
    if (auto it = codes.find(&function); it != codes.end()) return it->second.get();
    CAMEO_CHECK(open.insert(&function).second, "@" + function.name + " calls itself");
    auto code = std::make_unique<Code>();
    interp::decode(
        function, *code, [this](const Function &callee) { return code_of(callee); },
        [this](const std::string &name) {
          auto it = functions.find(name);
          return it == functions.end() ? nullptr : it->second;
        });
    open.erase(&function);
    return (codes[&function] = std::move(code)).get();
  }
};

Interpreter::Interpreter(const Module &module) : state_(std::make_unique<State>()) {
  for (const Function &function : module.functions) state_->functions.emplace(function.name, &function);
}
Interpreter::~Interpreter() = default;

namespace {

// Puts the arguments into the frame of the first function.
std::string place_arguments(Machine &machine, const Code &code, std::span<const Argument> arguments) {
  const Function &function = *code.function;
  if (arguments.size() != function.params.size())
    return "takes " + std::to_string(function.params.size()) + " arguments, " + std::to_string(arguments.size()) +
           " given";
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Argument &argument = arguments[i];
    const Param &param = function.params[i];
    const Type &type = function.type(param.value);
    std::string who = "argument " + std::to_string(i);
    if (argument.is_buffer != type.buffer) return who + " is not of type " + to_string(type);
    if (type.is_vector()) return who + " is a vector: only buffers and scalars come from outside";
    if (type.buffer) {
      if (!argument.writable && !param.readonly) return who + " may be written, but is given as readonly";
      if (argument.bytes < 0) return who + " has a negative size";
      *machine.at<BufferRef>(code.params[i]) = {argument.data, argument.bytes, 0};
    } else {
      uint64_t bits = type.scalar == Scalar::i1 ? argument.bits & 1 : argument.bits;
      std::memcpy(machine.at<std::byte>(code.params[i]), &bits, static_cast<size_t>(interp::lane_bytes(type.scalar)));
    }
  }
  return {};
}

} // namespace

Result<RunInfo> Interpreter::run(std::string_view name, std::span<const Argument> arguments,
                                 const InterpreterOptions &options) {
  auto found = state_->functions.find(name);
  CAMEO_CHECK(found != state_->functions.end(), "no function @" + std::string(name));
  const Function &function = *found->second;
  CAMEO_CHECK(!function.declaration, "@" + function.name + " is a declaration");
  const Code &code = *state_->code_of(function);

  Machine machine;
  machine.options = &options;
  machine.fuel = options.fuel;
  machine.code = &code;
  auto failed = [&](ExitCode exit, const std::string &what) -> Result<RunInfo> {
    return Diagnostic{exit, "function @" + escape_name(function.name), what};
  };
  if (code.stack_bytes > options.memory || code.stack_bytes > INT32_MAX)
    return failed(ExitCode::unsupported, "frames need " + std::to_string(code.stack_bytes) + " bytes of memory");
  machine.memory = code.stack_bytes;
  struct FreeStack {
    void operator()(std::byte *p) const { ::operator delete(p, std::align_val_t{64}); }
  };
  std::unique_ptr<std::byte, FreeStack> stack(
      static_cast<std::byte *>(::operator new(static_cast<size_t>(code.stack_bytes), std::align_val_t{64})));
  machine.frame = stack.get();
  std::copy(code.constants.begin(), code.constants.end(), machine.frame);

  if (std::string error = place_arguments(machine, code, arguments); !error.empty())
    return failed(ExitCode::internal, error);
  if (machine.admit(nullptr, code))
    for (const interp::Inst *inst = code.insts.data(); inst;) inst = inst->run(machine, inst);
  if (machine.error) return std::move(*machine.error);

  RunInfo info;
  info.status = machine.status;
  info.steps = machine.steps;
  for (size_t i = 0; i < code.results.size(); ++i) {
    const Type &type = function.results[i];
    if (type.buffer || type.is_vector())
      return failed(ExitCode::internal, "result " + std::to_string(i) + " is not a scalar");
    uint64_t bits = 0;
    std::memcpy(&bits, machine.at<std::byte>(code.results[i]), static_cast<size_t>(interp::lane_bytes(type.scalar)));
    info.results.push_back(bits);
  }
  return info;
}

Result<RunInfo> interpret(const Module &module, std::string_view function, std::span<const Argument> arguments,
                          const InterpreterOptions &options) {
  return Interpreter(module).run(function, arguments, options);
}

} // namespace cameo::loop
