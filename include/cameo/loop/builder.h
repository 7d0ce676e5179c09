// Builds explicit Loop IR: each method checks its operands (as the verifier will), appends one operation at the
// insertion point and returns its result. Integer constants fold, in addresses as well; a constant that an enclosing
// block holds already is shared. Loops and branches whose course is known (no iteration, exactly one, a constant
// condition) leave only what runs.
#pragma once

#include "cameo/loop/ir.h"

#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <tuple>

namespace cameo::loop {

class Builder {
public:
  /// Starts a function of that name inside `module`; finish() appends it there.
  Builder(Module &module, std::string name);
  Builder(const Builder &) = delete; // the insertion stack points into the function
  Builder &operator=(const Builder &) = delete;
  Function &function() { return function_; }

  // Parameters and results, before any operation.
  Value buffer_param(std::string name, Scalar element, bool readonly, bool noalias = true, int64_t size = -1,
                     int32_t align = 0);
  Value scalar_param(std::string name, Type type = kIndex);
  void set_results(std::vector<Type> types) { function_.results = std::move(types); }

  // Values.
  Value constant(Type type, double value);      ///< float types: exact splat of the double rounded to the type
  Value constant_int(Type type, int64_t value); ///< integer types
  Value index_constant(int64_t value) { return constant_int(kIndex, value); }
  Value index(const Affine &affine); ///< the affine form as an i64 (folds to the value or constant it is)
  Value unary(Opcode code, Value a);
  Value binary(Opcode code, Value a, Value b);
  Value ternary(Opcode code, Value a, Value b, Value c);
  Value compare(Opcode code, Value a, Value b);
  Value select(Value condition, Value a, Value b);
  Value cast(Opcode code, Value a, Scalar to); ///< not bitcast with another lane count
  Value bitcast(Value a, Type to);
  Value add(Value a, Value b) { return binary(Opcode::add, a, b); }
  Value sub(Value a, Value b) { return binary(Opcode::sub, a, b); }
  Value mul(Value a, Value b) { return binary(Opcode::mul, a, b); }
  Value max(Value a, Value b) { return binary(Opcode::max, a, b); }
  Value min(Value a, Value b) { return binary(Opcode::min, a, b); }
  Value muladd(Value a, Value b, Value c) { return ternary(Opcode::muladd, a, b, c); }
  Value broadcast(Value a, int32_t lanes); ///< lanes 1: a itself
  Value iota(Type type);
  Value extract(Value a, int64_t lane); ///< of a scalar: a itself
  Value shuffle(Value a, Value b, std::vector<int32_t> mask);
  Value reduce(Opcode code, Value a); ///< of a scalar: a itself
  Value target(std::string instruction, Type result, std::vector<Value> operands);

  // Memory. Addresses are in elements of the buffer. A gather or scatter of one lane becomes a load or store.
  /// Placed in the outermost block, so a loop around it reuses one buffer; inside `parallel` it is an error (tasks
  /// would share it): call a function per task.
  Value alloca_buffer(Scalar element, int64_t count, int32_t align = 64, std::string name = {});
  Value view(Value buffer, const Affine &address, std::optional<Scalar> element = std::nullopt);
  Value load(Value buffer, const Affine &address, int32_t lanes = 1, int32_t align = 0, Value active = {});
  void store(Value value, Value buffer, const Affine &address, int32_t align = 0, Value active = {});
  Value gather(Value buffer, const Affine &address, Value indices, Value mask = {});
  void scatter(Value value, Value buffer, const Affine &address, Value indices, Value mask = {});
  void prefetch(Value buffer, const Affine &address, int locality, bool for_write = false);

  // Control. A body returns the values that it yields.
  using LoopBody = std::function<std::vector<Value>(Value iv, std::span<const Value> iters)>;
  std::vector<Value> for_loop(Value lower, Value upper, int64_t step, std::vector<Value> inits, const LoopBody &body,
                              std::string iv_name = {});
  /// Constant bounds without iteration values. A loop that runs exactly once is emitted as its body with a constant iv.
  void for_range(int64_t lower, int64_t upper, int64_t step, const std::function<void(Value iv)> &body,
                 std::string iv_name = {});
  std::vector<Value> if_else(Value condition, const std::function<std::vector<Value>()> &then,
                             const std::function<std::vector<Value>()> &otherwise = {});
  std::vector<Value> while_loop(std::vector<Value> inits,
                                const std::function<std::vector<Value>(std::span<const Value>)> &condition,
                                const std::function<std::vector<Value>(std::span<const Value>)> &body);
  void parallel(Value tasks, const std::function<void(Value task)> &body);
  std::vector<Value> call(const std::string &name, std::vector<Value> operands, std::vector<Type> results = {});
  void check(Value condition, int64_t status);

  /// Number of blocks around the insertion point (1: the function's body).
  size_t depth() const { return stack_.size(); }
  /// Runs `body` with the insertion point at the end of the enclosing block number `depth`: in front of the loop that
  /// is being built inside it. What it emits may use only values of that block and those around it (loop-invariant code
  /// motion by hand).
  void at_depth(size_t depth, const std::function<void()> &body);

  /// Known constant behind an integer scalar (i1: 0 or -1), if there is one.
  std::optional<int64_t> known_constant(Value v) const;
  const Type &type(Value v) const { return function_.type(v); }

  /// Ends the body with return(results) and appends the function to the module. The builder is spent.
  void finish(std::vector<Value> results = {});

private:
  using RegionBody = std::function<std::vector<Value>(std::span<const Value>)>;
  /// A block under construction, and the constants that it defines: (scalar, lanes, bits) to value.
  struct Scope {
    Block *block;
    std::map<std::tuple<Scalar, int32_t, uint64_t>, Value> constants;
  };

  Value emit(Op op, Type type, std::string name = {});
  void emit(Op op);
  void append(Op op, Scope &scope);
  const Function *callee(const std::string &name);
  Block run(const std::vector<Type> &arg_types, const std::vector<std::string> &arg_names, const RegionBody &body);
  Value constant_value(Op op, Type type, uint64_t pattern);
  std::optional<int64_t> fold(Opcode code, Value a, Value b) const;
  Affine simplify(const Affine &address) const;
  void check_types(const std::vector<Value> &values, const std::vector<Type> &types, const char *what) const;

  Module &module_;
  Function function_;
  std::vector<Scope> stack_;              ///< innermost block last
  std::map<uint32_t, int64_t> known_;     ///< integer scalars that are constants
  std::map<std::string, size_t> callees_; ///< by name, where in the module; looked up once
  int parallel_depth_ = 0;
};

} // namespace cameo::loop
