// The verifier of explicit Loop IR. These are all its invariants; passes may rely on each of them.
//
// Module
//   A1  Functions have names, each once.
//   A2  No function calls itself, directly or through others: stack and run time of calls are bounded.
// Function
//   F1  Parameter and result types are valid (T1). readonly, noalias, align and size belong to buffers; align is 0 or a
//   power of
//       two; size is at least -1.
//   F2  A declaration has no body; any other function's body takes no arguments.
// Values
//   S1  A value is defined once: as a parameter, as a block argument or as a result.
//   S2  A use lies after the definition, in its block or in a region nested there (dominance and scope are the same
//   thing in a
//       tree of blocks); the results of an operation are not visible in its own regions.
// Types
//   T1  Lanes are in 1..4096; buffers have lanes 1 and no i1 elements.
//   T2  Each operation has the operands, results, regions and attributes that opcodes.def and ir.h state: in number, in
//   type and
//       in range (lanes of extract and shuffle, powers of two in reduce, positive steps, address terms that are i64,
//       sorted and without zero coefficients, alignments that are powers of two, known target instructions).
//   T3  A call agrees with its callee's parameters and results.
// Blocks
//   B1  A function's body ends in return, a region in yield; neither stands anywhere else. The absent else of an if
//   without
//       results is a block without operations.
//   B2  yield and return carry as many values, of the same types, as the operation or function they end expects.
//   B3  alloca stands only in the outermost block.
// Memory
//   M1  Nothing stores, through views and loop-carried buffers as well, to a readonly parameter, nor passes it on to be
//   written. M2  No buffer from an alloca is returned. M3  An access that is certain to run, with an address affine in
//   constant-range induction variables, stays inside the known
//       size of its parameter or alloca.
//   M4  A for whose `flag` promises an iteration has one, where its bounds are constants.
#include "cameo/loop/verify.h"

#include "typing.h"
#include "verify_memory.h"

#include <algorithm>
#include <map>
#include <set>

namespace cameo::loop {

namespace {

int64_t count_ops(const Block &block) {
  int64_t count = 0;
  for (const Op &op : block.ops) {
    ++count;
    for (const Block &region : op.regions) count += count_ops(region);
  }
  return count;
}

class Verifier {
public:
  Verifier(const FunctionTable &functions, const Function &function)
      : functions_(functions), function_(function), state_(function.values.size()) {}

  std::vector<std::string> run() {
    check_signature();
    if (function_.declaration) {
      if (!function_.body.ops.empty()) report("a declaration has a body");
      return std::move(errors_);
    }
    if (!function_.body.args.empty()) report("the body takes arguments");
    std::vector<Type> results = function_.results;
    walk(function_.body, Opcode::ret, results, true);
    if (errors_.empty())
      verify_memory(functions_, function_, [&](int64_t number, const Op &op, const std::string &what) {
        number_ = number;
        report(op, what);
      });
    return std::move(errors_);
  }

private:
  enum class State : uint8_t { undefined, visible, out_of_scope };

  void report(const std::string &what) { errors_.push_back("function @" + escape_name(function_.name) + ": " + what); }
  void report(const Op &op, const std::string &what) {
    report("op " + std::to_string(number_) + " (" + std::string(name(op.code)) + "): " + what);
  }

  std::string value_text(Value v) const {
    bool named = v.id < function_.values.size() && !function_.values[v.id].name.empty();
    return named ? "%" + escape_name(function_.values[v.id].name) : "value " + std::to_string(v.id);
  }

  void check_signature() {
    if (function_.name.empty()) report("has no name");
    for (const Param &param : function_.params) {
      if (param.value.id >= function_.values.size()) {
        report("a parameter is not a value of the function");
        continue;
      }
      std::string who = "parameter " + value_text(param.value) + ": ";
      const Type &type = function_.type(param.value);
      if (auto error = type_error(type); !error.empty()) report(who + error);
      if (!type.buffer && (param.readonly || param.noalias || param.align != 0 || param.size != -1))
        report(who + "attributes of a buffer on '" + to_string(type) + "'");
      if (param.align != 0 && !is_power_of_two(param.align)) report(who + "alignment " + std::to_string(param.align));
      if (param.size < -1) report(who + "size " + std::to_string(param.size));
      if (!define(param.value)) report(who + "defined twice");
    }
    for (const Type &type : function_.results)
      if (auto error = type_error(type); !error.empty()) report("result: " + error);
  }

  bool define(Value v) {
    if (state_[v.id] != State::undefined) return false;
    state_[v.id] = State::visible;
    return true;
  }

  void use(const Op &op, Value v) {
    if (v.id >= state_.size() || state_[v.id] == State::visible) return; // ids out of range: typing reports them
    report(op, "uses " + value_text(v) +
                   (state_[v.id] == State::undefined ? " before its definition" : " outside of its scope"));
  }

  std::vector<Type> types(std::span<const Value> values) const {
    std::vector<Type> out;
    for (Value v : values) out.push_back(function_.type(v));
    return out;
  }

  static std::string text(const std::vector<Type> &types) {
    std::string out = "(";
    for (const Type &type : types) out += (out.size() > 1 ? ", " : "") + to_string(type);
    return out + ")";
  }

  // What each region of a well-typed operation must yield.
  std::vector<std::vector<Type>> yields(const Op &op) const {
    switch (op.code) {
    case Opcode::for_loop:
      return {types(op.results)};
    case Opcode::if_else:
      return {types(op.results), types(op.results)};
    case Opcode::while_loop: {
      std::vector<Type> condition = types(op.regions[1].args);
      condition.insert(condition.begin(), kBool);
      return {std::move(condition), types(op.operands)};
    }
    default:
      return {{}};
    }
  }

  void walk(const Block &block, Opcode terminator, const std::vector<Type> &expected, bool outermost) {
    std::vector<Value> defined;
    auto define_here = [&](const Op *op, Value v) {
      if (v.id >= state_.size()) return;
      if (define(v))
        defined.push_back(v);
      else if (op)
        report(*op, "defines " + value_text(v) + " again");
      else
        report("block argument " + value_text(v) + " is defined twice");
    };
    for (Value v : block.args) define_here(nullptr, v);
    for (const Op &op : block.ops) {
      const int64_t number = number_ = ++count_;
      bool last = &op == &block.ops.back();
      auto callee = op.code == Opcode::call ? functions_.find(op.symbol) : functions_.end();
      std::string error = type_error(function_, op, callee == functions_.end() ? nullptr : callee->second);
      if (!error.empty()) report(op, error);
      if (op.code == Opcode::call && callee == functions_.end())
        report(op, "unknown function @" + escape_name(op.symbol));
      for (Value v : op.operands) use(op, v);
      for (const auto &term : op.address.terms) use(op, term.first);
      if (op.code == Opcode::alloca && !outermost) report(op, "stands only in the outermost block");
      if ((op.code == Opcode::yield || op.code == Opcode::ret) && (!last || op.code != terminator))
        report(op,
               "does not stand at the end of a " + std::string(op.code == Opcode::ret ? "function's body" : "region"));
      if (error.empty() && op.code == terminator && last && types(op.operands) != expected)
        report(op, "carries " + text(types(op.operands)) + " instead of " + text(expected));
      if (last && op.code != terminator) report(op, "stands where the block needs a " + std::string(name(terminator)));
      if (!error.empty())
        for (const Block &region : op.regions) count_ += count_ops(region); // not walked: their types mean nothing
      if (error.empty() && !op.regions.empty()) {
        auto region_types = yields(op);
        for (size_t i = 0; i < op.regions.size(); ++i) {
          bool absent_else = op.code == Opcode::if_else && i == 1 && op.results.empty() && op.regions[i].ops.empty();
          if (op.regions[i].ops.empty() && !absent_else) report(op, "has a region without operations");
          walk(op.regions[i], Opcode::yield, region_types[i], false);
        }
      }
      number_ = number;
      for (Value v : op.results) define_here(&op, v);
    }
    if (outermost && block.ops.empty()) report("the body is empty");
    for (Value v : defined) state_[v.id] = State::out_of_scope;
  }

  const FunctionTable &functions_;
  const Function &function_;
  std::vector<State> state_;
  std::vector<std::string> errors_;
  int64_t count_ = -1;  // operations met so far, less one
  int64_t number_ = -1; // of the operation under examination
};

void collect_callees(const Block &block, std::set<std::string> &out) {
  for (const Op &op : block.ops) {
    if (op.code == Opcode::call) out.insert(op.symbol);
    for (const Block &region : op.regions) collect_callees(region, out);
  }
}

// Functions are removed once all their callees are (Kahn); what remains is on a cycle or calls one.
std::vector<std::string> recursive_functions(const Module &module, const FunctionTable &functions) {
  std::map<std::string, std::set<std::string>> callers;
  std::map<std::string, size_t> open;
  for (const Function &function : module.functions) {
    std::set<std::string> callees;
    collect_callees(function.body, callees);
    std::erase_if(callees, [&](const std::string &callee) { return !functions.contains(callee); });
    open[function.name] = callees.size();
    for (const std::string &callee : callees) callers[callee].insert(function.name);
  }
  std::vector<std::string> ready;
  for (const auto &[name, count] : open)
    if (count == 0) ready.push_back(name);
  while (!ready.empty()) {
    std::string callee = std::move(ready.back());
    ready.pop_back();
    open.erase(callee);
    for (const std::string &caller : callers[callee])
      if (--open[caller] == 0) ready.push_back(caller);
  }
  std::vector<std::string> names;
  for (const auto &entry : open) names.push_back(entry.first);
  return names;
}

FunctionTable table_of(const Module &module) {
  FunctionTable functions;
  for (const Function &function : module.functions) functions.emplace(function.name, &function);
  return functions;
}

} // namespace

std::vector<std::string> verify(const Module &module, const Function &function) {
  FunctionTable functions = table_of(module);
  functions.emplace(function.name, &function);
  return Verifier(functions, function).run();
}

std::vector<std::string> verify(const Module &module) {
  std::vector<std::string> errors;
  FunctionTable functions = table_of(module);
  for (const Function &function : module.functions) {
    if (functions.at(function.name) != &function)
      errors.push_back("function @" + escape_name(function.name) + ": defined twice");
    std::vector<std::string> found = Verifier(functions, function).run();
    errors.insert(errors.end(), found.begin(), found.end());
  }
  if (errors.empty())
    for (const std::string &name : recursive_functions(module, functions))
      errors.push_back("function @" + escape_name(name) + ": calls itself, or a function that does");
  return errors;
}

void verify_or_die(const Module &module, std::string_view stage) {
  std::vector<std::string> errors = verify(module);
  if (errors.empty()) return;
  std::string text = std::string(stage) + " made invalid Loop IR:";
  for (size_t i = 0; i < std::min<size_t>(errors.size(), 20); ++i) text.append("\n  ").append(errors[i]);
  if (errors.size() > 20) text += "\n  ... and " + std::to_string(errors.size() - 20) + " more";
  CAMEO_UNREACHABLE(text);
}

} // namespace cameo::loop
