// The state of one function's emission: values and where they are defined, lazy operations, places to emit at,
// dispatch.
#include "emit.h"

#include <algorithm>

namespace cameo::codegen {

using loop::Opcode;
using loop::Value;

FunctionEmitter::FunctionEmitter(ModuleEmitter &module, const loop::Function &in, const Definitions &definitions,
                                 llvm::Function *out, bool in_task)
    : module_(module), in_(in), definitions_(definitions), out_(out), env_(out->getArg(0)), in_task_(in_task),
      builder_(module.context()), values_(in.values.size(), nullptr), depths_(in.values.size(), 0) {
  entry_ = block("entry");
  builder_.SetInsertPoint(entry_);
  module_.attach_debug_info(out_, in.origin, builder_);
  scopes_.emplace_back();
}

void FunctionEmitter::run(const loop::Block &body) {
  emit_block(body);
  if (!builder_.GetInsertBlock()->getTerminator()) builder_.CreateRetVoid(); // a task's body yields nothing
}

FunctionEmitter::Place::Place(FunctionEmitter &emitter, size_t depth) : guard(emitter.builder_) {
  if (llvm::Instruction *exit = emitter.scopes_[depth].exit) emitter.builder_.SetInsertPoint(exit);
}

void FunctionEmitter::define(Value v, llvm::Value *value) {
  values_[v.id] = value;
  if (const std::string &name = in_.values[v.id].name;
      !name.empty() && !value->hasName() && !llvm::isa<llvm::Constant>(value))
    value->setName(name); // dropped at once unless LLVM IR is asked for
  depths_[v.id] = scopes_.size() - 1;
}

// Operations that become code where they are used: they cost nothing, or are part of an address.
bool FunctionEmitter::is_lazy(Value v) const {
  const loop::Op *op = definitions_[v.id];
  return op && (op->code == Opcode::constant || op->code == Opcode::index || op->code == Opcode::view);
}

llvm::Value *FunctionEmitter::value(Value v) {
  if (llvm::Value *known = values_[v.id]) return known;
  const loop::Op *op = definitions_[v.id];
  CAMEO_CHECK(op, "@" + in_.name + ": value without a definition");
  switch (op->code) {
  case Opcode::constant:
    return values_[v.id] = emit_constant(*op);
  case Opcode::index: {
    Address address;
    flatten(op->address, 1, address);
    return sum(address);
  }
  case Opcode::view:
    return sum(address_of(v, {}));
  default: {
    // A task recomputes what is cheaper than a capture (see captures()); its operands are constants or captured.
    CAMEO_CHECK(in_task_ && (op->code == Opcode::broadcast || op->code == Opcode::iota),
                "@" + in_.name + ": use of a value before its definition");
    Place place(*this, 0);
    depths_[v.id] = 0;
    return values_[v.id] = emit_value(*op);
  }
  }
}

// The scope in which a value is first known.
size_t FunctionEmitter::depth(Value v) {
  if (!is_lazy(v)) return depths_[v.id];
  const loop::Op &op = *definitions_[v.id];
  if (op.code == Opcode::constant) return 0;
  size_t result = op.code == Opcode::view ? depth(op.operands[0]) : 0;
  for (auto [term, coefficient] : op.address.terms) result = std::max(result, depth(term));
  return result;
}

// The known value of an i64: a constant, or the variable of a loop that runs once.
std::optional<int64_t> FunctionEmitter::constant(Value v) {
  if (type(v) != loop::kIndex) return std::nullopt;
  const loop::Op *op = definitions_[v.id];
  if (op && op->code == Opcode::constant) return op->integer;
  if (auto *known = llvm::dyn_cast_or_null<llvm::ConstantInt>(values_[v.id])) return known->getSExtValue();
  return std::nullopt;
}

llvm::AllocaInst *FunctionEmitter::stack_slot(llvm::Type *type, const char *name) {
  llvm::IRBuilderBase::InsertPointGuard guard(builder_);
  builder_.SetInsertPoint(entry_, entry_->begin());
  auto *slot = builder_.CreateAlloca(type, nullptr, name);
  slot->setAlignment(llvm::Align(64));
  return slot;
}

void FunctionEmitter::emit_op(const loop::Op &op) {
  switch (op.code) {
  case Opcode::constant:
  case Opcode::index:
  case Opcode::view:
    return; // lazy
  case Opcode::store:
    return emit_store(op);
  case Opcode::scatter:
    return emit_scatter(op);
  case Opcode::prefetch:
    return emit_prefetch(op);
  case Opcode::for_loop:
    return emit_for(op);
  case Opcode::if_else:
    return emit_if(op);
  case Opcode::while_loop:
    return emit_while(op);
  case Opcode::parallel:
    return emit_parallel(op);
  case Opcode::call:
    return emit_call(op);
  case Opcode::ret:
    return emit_return(op);
  case Opcode::check:
    return emit_check(op);
  case Opcode::yield:
    CAMEO_UNREACHABLE("yield is its block's end");
  case Opcode::alloca:
    return define(op.results[0], emit_alloca(op));
  case Opcode::load:
    return define(op.results[0], emit_load(op));
  case Opcode::gather:
    return define(op.results[0], emit_gather(op));
  default:
    return define(op.results[0], emit_value(op));
  }
}

} // namespace cameo::codegen
