// Parallel regions. The body becomes a function of its own, @f.taskN(env, index, captured values...), whose buffer
// arguments keep the promises of the buffers they come from. With threads it is reached through the environment's
// `parallel`, which carries the captured values in a struct on the stack; without, the same function is called in a
// plain loop. So the tasks, and hence the results, are the same for any number of threads.
#include "emit.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <set>

namespace cameo::codegen {

using loop::Opcode;
using loop::Value;

// What a block uses and does not define, with lazy and cheap operations replaced by their operands. In order of value.
std::vector<Value> FunctionEmitter::captures(const loop::Block &region) {
  std::set<Value> inside, used, result;
  std::function<void(const loop::Block &)> walk = [&](const loop::Block &block) {
    inside.insert(block.args.begin(), block.args.end());
    for (const loop::Op &op : block.ops) {
      inside.insert(op.results.begin(), op.results.end());
      used.insert(op.operands.begin(), op.operands.end());
      for (auto [v, coefficient] : op.address.terms) used.insert(v);
      for (const loop::Block &nested : op.regions) walk(nested);
    }
  };
  walk(region);
  std::function<void(Value)> capture = [&](Value v) {
    if (inside.contains(v) || constant(v)) return;
    const loop::Op *op = definitions_[v.id];
    if (!op || !(is_lazy(v) || op->code == Opcode::broadcast || op->code == Opcode::iota)) {
      result.insert(v);
      return;
    }
    for (Value operand : op->operands) capture(operand);
    for (auto [term, coefficient] : op->address.terms) capture(term);
  };
  for (Value v : used) capture(v);
  return {result.begin(), result.end()};
}

llvm::Function *FunctionEmitter::emit_task(const loop::Op &op, std::span<const Value> captured) {
  std::vector<llvm::Type *> types = {builder_.getPtrTy(), builder_.getInt64Ty()};
  for (Value v : captured) types.push_back(module_.type(type(v)));
  auto *task = llvm::Function::Create(llvm::FunctionType::get(builder_.getVoidTy(), types, false),
                                      llvm::GlobalValue::InternalLinkage, out_->getName() + ".task", module_.out);
  set_target_attributes(*task, module_.target);
  task->addFnAttr(llvm::Attribute::NoInline);
  for (unsigned i = 0; i < captured.size(); ++i) {
    if (!type(captured[i]).buffer) continue;
    loop::Param promise;
    const loop::Op *definition = definitions_[captured[i].id];
    if (definition && definition->code == Opcode::alloca)
      promise = {captured[i], false, /*noalias=*/true, definition->align, definition->integer};
    for (const loop::Param &param : in_.params)
      if (param.value == captured[i]) promise = param;
    module_.add_buffer_attributes(task, i + 2, promise, type(captured[i]).scalar);
  }
  FunctionEmitter emitter(module_, in_, definitions_, task, /*in_task=*/true);
  emitter.bind(op.regions[0].args.at(0), task->getArg(1));
  for (unsigned i = 0; i < captured.size(); ++i) emitter.bind(captured[i], task->getArg(i + 2));
  for (uint32_t id = 0; id < values_.size(); ++id) // variables of enclosing loops that run once
    if (auto *known = llvm::dyn_cast_or_null<llvm::ConstantInt>(values_[id]); known && !emitter.values_[id])
      emitter.values_[id] = known;
  emitter.run(op.regions[0]);
  return task;
}

// Whether running the block may reach a parallel region of another function.
bool ModuleEmitter::calls_parallel(const loop::Block &block, std::set<std::string> &seen) {
  std::function<bool(const loop::Block &, bool)> reaches = [&](const loop::Block &within, bool called) {
    for (const loop::Op &op : within.ops) {
      if (called && op.code == Opcode::parallel) return true;
      if (op.code == Opcode::call && seen.insert(op.symbol).second)
        if (const loop::Function *callee = in.find(op.symbol); callee && reaches(callee->body, true)) return true;
      for (const loop::Block &region : op.regions)
        if (reaches(region, called)) return true;
    }
    return false;
  };
  return reaches(block, false);
}

// void @f.taskN.entry(env, capture, index): loads the captured values and calls the task.
llvm::Function *FunctionEmitter::emit_task_entry(llvm::Function *task, llvm::StructType *capture, bool nests) {
  auto *type = llvm::FunctionType::get(builder_.getVoidTy(),
                                       {builder_.getPtrTy(), builder_.getPtrTy(), builder_.getInt64Ty()}, false);
  auto *entry =
      llvm::Function::Create(type, llvm::GlobalValue::InternalLinkage, task->getName() + ".entry", module_.out);
  set_target_attributes(*entry, module_.target);
  llvm::IRBuilder<> builder(llvm::BasicBlock::Create(module_.context(), "entry", entry));
  module_.attach_debug_info(entry, in_.origin, builder);
  std::vector<llvm::Value *> args = {entry->getArg(0), entry->getArg(2)};
  for (unsigned i = 0; i < capture->getNumElements(); ++i)
    args.push_back(
        builder.CreateLoad(capture->getElementType(i), builder.CreateStructGEP(capture, entry->getArg(1), i)));
  llvm::AllocaInst *alone = nullptr;
  if (nests) { // cameo_env{status 0, threads 0, no provider}
    auto *words = llvm::ArrayType::get(builder.getInt64Ty(), sizeof(cameo_env) / 8);
    alone = builder.CreateAlloca(words);
    builder.CreateStore(llvm::Constant::getNullValue(words), alone);
    args[0] = alone;
  }
  builder.CreateCall(task, args);
  if (nests) {
    llvm::Value *status = builder.CreateLoad(builder.getInt32Ty(), alone);
    llvm::BasicBlock *failed = llvm::BasicBlock::Create(module_.context(), "failed", entry),
                     *done = llvm::BasicBlock::Create(module_.context(), "done", entry);
    builder.CreateCondBr(builder.CreateIsNotNull(status), failed, done);
    builder.SetInsertPoint(failed);
    set_status(builder, entry->getArg(0), status);
    builder.CreateBr(done);
    builder.SetInsertPoint(done);
  }
  builder.CreateRetVoid();
  return entry;
}

llvm::Value *FunctionEmitter::env_field(llvm::Type *type, uint64_t offset, const char *name) {
  return builder_.CreateLoad(type, builder_.CreateConstGEP1_64(builder_.getInt8Ty(), env_, offset), name);
}

void FunctionEmitter::emit_parallel(const loop::Op &op) {
  llvm::Value *tasks = op.operands.empty() ? builder_.getInt64(uint64_t(op.integer)) : value(op.operands[0]);
  std::vector<llvm::Value *> none;
  if (in_task_) { // nested: in order, on the thread that runs the task
    count_loop(builder_.getInt64(0), tasks, 1, false, none,
               [&](llvm::Value *index, auto) { return emit_nested(op.regions[0], std::vector<llvm::Value *>{index}); });
    return;
  }

  std::vector<Value> captured = captures(op.regions[0]);
  llvm::Function *task = emit_task(op, captured);
  std::vector<llvm::Value *> values;
  for (Value v : captured) values.push_back(value(v));
  auto in_order = [&] {
    count_loop(builder_.getInt64(0), tasks, 1, false, none, [&](llvm::Value *index, auto) {
      std::vector<llvm::Value *> args = {env_, index};
      args.insert(args.end(), values.begin(), values.end());
      builder_.CreateCall(task, args);
      return std::vector<llvm::Value *>();
    });
  };
  if (auto *known = llvm::dyn_cast<llvm::ConstantInt>(tasks); known && known->getSExtValue() <= 1) return in_order();

  std::vector<llvm::Type *> types;
  for (llvm::Value *v : values) types.push_back(v->getType());
  auto *capture = llvm::StructType::get(module_.context(), types);
  std::set<std::string> seen;
  llvm::Function *entry = emit_task_entry(task, capture, module_.calls_parallel(op.regions[0], seen));
  llvm::BasicBlock *together = block("parallel"), *serial = block("serial"), *after = block("joined");
  llvm::Value *run = env_field(builder_.getPtrTy(), offsetof(cameo_env, parallel), "run");
  llvm::Value *threads = env_field(builder_.getInt32Ty(), offsetof(cameo_env, threads), "threads");
  llvm::Value *worthwhile =
      builder_.CreateAnd(builder_.CreateICmpSGT(threads, builder_.getInt32(1)), builder_.CreateIsNotNull(run));
  worthwhile = builder_.CreateAnd(worthwhile, builder_.CreateICmpSGT(tasks, builder_.getInt64(1)));
  llvm::Instruction *branch = builder_.CreateCondBr(worthwhile, together, serial);

  builder_.SetInsertPoint(together);
  llvm::Value *slot = llvm::ConstantPointerNull::get(builder_.getPtrTy());
  if (!types.empty()) slot = stack_slot(capture, "capture");
  for (unsigned i = 0; i < types.size(); ++i)
    builder_.CreateStore(values[i], builder_.CreateStructGEP(capture, slot, i));
  auto *callee = llvm::FunctionType::get(
      builder_.getVoidTy(), {builder_.getPtrTy(), builder_.getInt64Ty(), builder_.getPtrTy(), builder_.getPtrTy()},
      false);
  builder_.CreateCall(callee, run, {env_, tasks, entry, slot});
  builder_.CreateBr(after);

  enter(branch);
  builder_.SetInsertPoint(serial);
  in_order();
  leave();
  builder_.CreateBr(after);
  builder_.SetInsertPoint(after);
}

} // namespace cameo::codegen
