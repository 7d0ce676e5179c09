// Private to codegen/emit*.cpp: the state of translating one Loop IR module, and one function of it.
//
// A function's body becomes basic blocks in one walk. Two ideas carry the quality of the code:
//
// Scopes. Each block of the tree (function body, loop body, branch) is a scope with a depth. While the walk is inside a
// nested block, every enclosing scope remembers the branch that left it, so that a computation whose operands are all
// known there can still be placed in front of that branch: outside the loop.
//
// Addresses. Loads and stores name an affine form. Its terms are sorted by the depth of the scope that defines their
// variable and added to the buffer's pointer one by one, each in the outermost scope that knows it, and each partial
// sum is kept and shared. The constant comes last, as a displacement of the access itself. So the accesses of an
// unrolled body share one base register, and an inner loop computes nothing but its own induction. `index` and `view`
// operations are substituted into the addresses that use them and never become code of their own.
#pragma once

#include "lower.h"

#include "llvm/IR/DIBuilder.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"

#include <functional>
#include <map>
#include <optional>
#include <set>

namespace cameo::codegen {

/// Where each value of a Loop IR function is defined: an operation, or nullptr for parameters and block arguments.
using Definitions = std::vector<const loop::Op *>;
Definitions find_definitions(const loop::Function &function);

/// Operations of a block, nested ones included.
int64_t count_ops(const loop::Block &block);
/// Small enough to be copied into its callers.
bool is_inlinable(const loop::Function &function);

/// Sets the sticky status of the run, unless it is set.
void set_status(llvm::IRBuilderBase &builder, llvm::Value *env, llvm::Value *status);

struct ModuleEmitter {
  llvm::Module &out;
  const loop::Module &in;
  const loop::Target &target;
  const Options &options;
  const Selection &selection;
  std::unique_ptr<llvm::DIBuilder> debug; ///< null without debug information
  llvm::DIFile *debug_file = nullptr;

  llvm::LLVMContext &context() { return out.getContext(); }
  llvm::Type *scalar_type(loop::Scalar scalar);
  llvm::Type *type(const loop::Type &type);
  llvm::FunctionType *function_type(const loop::Function &function);
  /// The LLVM function of that name, declared on first use.
  llvm::Function *declare(const loop::Function &function);
  /// Attributes of a buffer argument, from what its parameter promises.
  void add_buffer_attributes(llvm::Function *function, unsigned arg, const loop::Param &param, loop::Scalar element);
  void attach_debug_info(llvm::Function *function, const std::string &origin, llvm::IRBuilderBase &builder);
  bool calls_parallel(const loop::Block &block, std::set<std::string> &seen);
  void emit(const loop::Function &function);
  void run();
};

class FunctionEmitter {
public:
  FunctionEmitter(ModuleEmitter &module, const loop::Function &in, const Definitions &definitions, llvm::Function *out,
                  bool in_task);
  /// Gives a value of the enclosing function (a parameter, a captured value, a task's index) its LLVM value.
  void bind(loop::Value v, llvm::Value *value) { define(v, value); }
  /// Emits the block as the whole body of the function.
  void run(const loop::Block &body);

private:
  struct Scope {
    llvm::Instruction *exit = nullptr; ///< the branch into the nested block; null in the innermost scope
    /// Partial pointers and indices: (root, terms so far in bytes) -> value.
    std::map<std::pair<loop::Value, std::vector<std::pair<loop::Value, int64_t>>>, llvm::Value *> partial;
    std::map<std::pair<loop::Value, int64_t>, llvm::Value *> masks; ///< of the first `active` of so many lanes
  };
  struct Address {
    loop::Value root; ///< invalid for an index
    std::vector<std::pair<loop::Value, int64_t>> terms;
    int64_t constant = 0;
  };
  struct Place { ///< emits somewhere else while it lives
    Place(FunctionEmitter &emitter, size_t depth);
    llvm::IRBuilderBase::InsertPointGuard guard;
  };

  // Values (emit_function.cpp).
  llvm::Value *value(loop::Value v);
  void define(loop::Value v, llvm::Value *value);
  size_t depth(loop::Value v);
  std::optional<int64_t> constant(loop::Value v);
  loop::Type type(loop::Value v) const { return in_.type(v); }
  bool is_lazy(loop::Value v) const;
  llvm::BasicBlock *block(const char *name) { return llvm::BasicBlock::Create(module_.context(), name, out_); }

  // Addresses (emit_address.cpp).
  void flatten(const loop::Affine &affine, int64_t scale, Address &into);
  Address address_of(loop::Value buffer, const loop::Affine &affine);
  llvm::Value *sum(const Address &address);
  int64_t known_alignment(const Address &address);

  // Blocks and control (emit_control.cpp).
  std::vector<llvm::Value *> emit_block(const loop::Block &block);
  std::vector<llvm::Value *> emit_nested(const loop::Block &block, std::span<llvm::Value *const> args);
  void emit_op(const loop::Op &op);
  void emit_for(const loop::Op &op);
  void emit_if(const loop::Op &op);
  void emit_while(const loop::Op &op);
  void emit_call(const loop::Op &op);
  void emit_return(const loop::Op &op);
  void emit_check(const loop::Op &op);
  void enter(llvm::Instruction *branch);
  void leave();
  void count_loop(llvm::Value *lower, llvm::Value *upper, int64_t step, bool runs, std::vector<llvm::Value *> &iters,
                  const std::function<std::vector<llvm::Value *>(llvm::Value *, std::span<llvm::Value *const>)> &body);

  // Parallel regions (emit_parallel.cpp).
  void emit_parallel(const loop::Op &op);
  std::vector<loop::Value> captures(const loop::Block &block);
  llvm::Function *emit_task(const loop::Op &op, std::span<const loop::Value> captured);
  llvm::Function *emit_task_entry(llvm::Function *task, llvm::StructType *capture, bool nests);
  llvm::Value *env_field(llvm::Type *type, uint64_t offset, const char *name);

  // Arithmetic and vectors (emit_values.cpp).
  llvm::Value *emit_value(const loop::Op &op);
  llvm::Value *emit_constant(const loop::Op &op);
  llvm::Value *emit_unary(const loop::Op &op, llvm::Value *a);
  llvm::Value *emit_binary(loop::Opcode code, loop::Type type, llvm::Value *a, llvm::Value *b);
  llvm::Value *emit_division(loop::Opcode code, llvm::Value *a, llvm::Value *b);
  llvm::Value *emit_shift(loop::Opcode code, llvm::Value *a, llvm::Value *b);
  llvm::Value *emit_float_extremum(bool maximum, llvm::Value *a, llvm::Value *b);
  llvm::Value *emit_ternary(const loop::Op &op, llvm::Value *a, llvm::Value *b, llvm::Value *c);
  llvm::Value *emit_compare(const loop::Op &op, llvm::Value *a, llvm::Value *b);
  llvm::Value *emit_cast(const loop::Op &op, llvm::Value *a);
  llvm::Value *emit_reduce(const loop::Op &op, llvm::Value *a);

  // Memory (emit_memory.cpp).
  llvm::Value *emit_load(const loop::Op &op);
  void emit_store(const loop::Op &op);
  llvm::Value *emit_gather(const loop::Op &op);
  void emit_scatter(const loop::Op &op);
  void emit_prefetch(const loop::Op &op);
  llvm::Value *emit_alloca(const loop::Op &op);
  llvm::Value *lane_mask(loop::Value active, int64_t lanes);
  bool masks_natively(loop::Type type, bool store) const;
  llvm::Value *load_pieces(llvm::Type *element, int64_t lanes, int64_t count, llvm::Value *pointer, llvm::Align align);
  void store_pieces(llvm::Value *vector, int64_t count, llvm::Value *pointer, llvm::Align align);
  void copy_active(llvm::Value *to, llvm::Value *from, llvm::Value *active, llvm::Type *element, int64_t lanes);
  llvm::Value *clamp_active(loop::Value active, int64_t lanes);
  llvm::AllocaInst *stack_slot(llvm::Type *type, const char *name);

  ModuleEmitter &module_;
  const loop::Function &in_;
  const Definitions &definitions_;
  llvm::Function *out_;
  llvm::Value *env_;
  bool in_task_;
  llvm::IRBuilder<> builder_;
  llvm::BasicBlock *entry_ = nullptr;
  std::vector<llvm::Value *> values_; ///< by Loop IR value
  std::vector<size_t> depths_;
  std::vector<Scope> scopes_;
};

} // namespace cameo::codegen
