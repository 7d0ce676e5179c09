// Blocks and control flow. Loops are bottom-tested; their guard is left out when one iteration is certain.
#include "emit.h"

#include "llvm/IR/MDBuilder.h"

#include <functional>

namespace cameo::codegen {

using loop::Opcode;

// Emits the operations of a block and returns what its yield passes on.
std::vector<llvm::Value *> FunctionEmitter::emit_block(const loop::Block &block) {
  for (const loop::Op &op : block.ops) {
    if (op.code != Opcode::yield) {
      emit_op(op);
      continue;
    }
    std::vector<llvm::Value *> yielded;
    for (loop::Value v : op.operands) yielded.push_back(value(v));
    return yielded;
  }
  return {};
}

std::vector<llvm::Value *> FunctionEmitter::emit_nested(const loop::Block &block, std::span<llvm::Value *const> args) {
  CAMEO_CHECK(block.args.size() == args.size(), "@" + in_.name + ": block arguments");
  for (size_t i = 0; i < args.size(); ++i) define(block.args[i], args[i]);
  return emit_block(block);
}

// Opens the scope of a nested block that `branch`, just emitted, leads to.
void FunctionEmitter::enter(llvm::Instruction *branch) {
  scopes_.back().exit = branch;
  scopes_.emplace_back();
}

void FunctionEmitter::leave() {
  scopes_.pop_back();
  scopes_.back().exit = nullptr;
}

// for (iv = lower; iv < upper; iv += step) iters = body(iv, iters). `runs`: at least one iteration is certain.
void FunctionEmitter::count_loop(
    llvm::Value *lower, llvm::Value *upper, int64_t step, bool runs, std::vector<llvm::Value *> &iters,
    const std::function<std::vector<llvm::Value *>(llvm::Value *, std::span<llvm::Value *const>)> &body) {
  auto *low = llvm::dyn_cast<llvm::ConstantInt>(lower), *high = llvm::dyn_cast<llvm::ConstantInt>(upper);
  if (low && high) {
    int64_t l = low->getSExtValue(), h = high->getSExtValue();
    if (l >= h) return;
    runs = true;
    if (uint64_t(h) - uint64_t(l) <= uint64_t(step)) {
      iters = body(lower, iters);
      return;
    }
  }
  llvm::BasicBlock *before = builder_.GetInsertBlock(), *top = block("loop"), *after = block("after");
  llvm::Instruction *branch =
      runs ? builder_.CreateBr(top) : builder_.CreateCondBr(builder_.CreateICmpSLT(lower, upper), top, after);
  enter(branch);
  builder_.SetInsertPoint(top);
  llvm::PHINode *iv = builder_.CreatePHI(builder_.getInt64Ty(), 2, "iv");
  iv->addIncoming(lower, before);
  std::vector<llvm::PHINode *> phis;
  for (llvm::Value *init : iters) {
    phis.push_back(builder_.CreatePHI(init->getType(), 2));
    phis.back()->addIncoming(init, before);
  }
  std::vector<llvm::Value *> next = body(iv, std::vector<llvm::Value *>(phis.begin(), phis.end()));
  CAMEO_CHECK(next.size() == iters.size(), "@" + in_.name + ": a loop yields another number of values");
  llvm::Value *next_iv = builder_.CreateNSWAdd(iv, builder_.getInt64(uint64_t(step)));
  llvm::BasicBlock *bottom = builder_.GetInsertBlock();
  builder_.CreateCondBr(builder_.CreateICmpSLT(next_iv, upper), top, after);
  leave();
  iv->addIncoming(next_iv, bottom);
  for (size_t i = 0; i < phis.size(); ++i) phis[i]->addIncoming(next[i], bottom);
  builder_.SetInsertPoint(after);
  for (size_t i = 0; i < iters.size(); ++i) {
    if (!runs) {
      llvm::PHINode *merged = builder_.CreatePHI(iters[i]->getType(), 2);
      merged->addIncoming(iters[i], before);
      merged->addIncoming(next[i], bottom);
      next[i] = merged;
    }
    iters[i] = next[i];
  }
}

void FunctionEmitter::emit_for(const loop::Op &op) {
  std::vector<llvm::Value *> iters;
  for (size_t i = 2; i < op.operands.size(); ++i) iters.push_back(value(op.operands[i]));
  count_loop(value(op.operands[0]), value(op.operands[1]), op.integer, op.flag, iters,
             [&](llvm::Value *iv, std::span<llvm::Value *const> values) {
               std::vector<llvm::Value *> args = {iv};
               args.insert(args.end(), values.begin(), values.end());
               return emit_nested(op.regions[0], args);
             });
  for (size_t i = 0; i < op.results.size(); ++i) define(op.results[i], iters[i]);
}

void FunctionEmitter::emit_if(const loop::Op &op) {
  bool otherwise = op.regions.size() > 1 && !op.regions[1].ops.empty();
  CAMEO_CHECK(otherwise || op.results.empty(), "@" + in_.name + ": if with results and without else");
  llvm::BasicBlock *then = block("then"), *other = otherwise ? block("else") : nullptr, *after = block("after");
  llvm::Instruction *branch = builder_.CreateCondBr(value(op.operands[0]), then, otherwise ? other : after);
  auto side = [&](llvm::BasicBlock *start, const loop::Block &region) {
    enter(branch);
    builder_.SetInsertPoint(start);
    auto values = emit_nested(region, {});
    leave();
    llvm::BasicBlock *end = builder_.GetInsertBlock();
    builder_.CreateBr(after);
    return std::pair(values, end);
  };
  auto [then_values, then_end] = side(then, op.regions[0]);
  std::vector<llvm::Value *> else_values;
  llvm::BasicBlock *else_end = nullptr;
  if (otherwise) std::tie(else_values, else_end) = side(other, op.regions[1]);
  builder_.SetInsertPoint(after);
  for (size_t i = 0; i < op.results.size(); ++i) {
    llvm::PHINode *merged = builder_.CreatePHI(then_values.at(i)->getType(), 2);
    merged->addIncoming(then_values[i], then_end);
    merged->addIncoming(else_values.at(i), else_end);
    define(op.results[i], merged);
  }
}

void FunctionEmitter::emit_while(const loop::Op &op) {
  std::vector<llvm::Value *> inits;
  for (loop::Value v : op.operands) inits.push_back(value(v));
  llvm::BasicBlock *before = builder_.GetInsertBlock(), *top = block("while"), *body = block("do"),
                   *after = block("after");
  llvm::Instruction *branch = builder_.CreateBr(top);
  enter(branch);
  builder_.SetInsertPoint(top);
  std::vector<llvm::PHINode *> phis;
  for (llvm::Value *init : inits) {
    phis.push_back(builder_.CreatePHI(init->getType(), 2));
    phis.back()->addIncoming(init, before);
  }
  auto tested = emit_nested(op.regions[0], std::vector<llvm::Value *>(phis.begin(), phis.end()));
  CAMEO_CHECK(tested.size() == op.results.size() + 1, "@" + in_.name + ": a condition yields another number of values");
  leave();
  builder_.CreateCondBr(tested[0], body, after);
  std::vector<llvm::Value *> values(tested.begin() + 1, tested.end());

  enter(branch);
  builder_.SetInsertPoint(body);
  auto next = emit_nested(op.regions[1], values);
  leave();
  for (size_t i = 0; i < phis.size(); ++i) phis[i]->addIncoming(next.at(i), builder_.GetInsertBlock());
  builder_.CreateBr(top);
  builder_.SetInsertPoint(after);
  for (size_t i = 0; i < op.results.size(); ++i) define(op.results[i], values[i]);
}

void FunctionEmitter::emit_call(const loop::Op &op) {
  const loop::Function *callee = module_.in.find(op.symbol);
  CAMEO_CHECK(callee, "@" + in_.name + ": call of unknown @" + op.symbol);
  std::vector<llvm::Value *> args = {env_};
  for (loop::Value v : op.operands) args.push_back(value(v));
  llvm::CallInst *call = builder_.CreateCall(module_.declare(*callee), args);
  call->setAttributes(call->getCalledFunction()->getAttributes().removeFnAttributes(module_.context()));
  if (op.results.size() == 1)
    define(op.results[0], call);
  else
    for (unsigned i = 0; i < op.results.size(); ++i) define(op.results[i], builder_.CreateExtractValue(call, i));
}

void FunctionEmitter::emit_return(const loop::Op &op) {
  if (op.operands.empty()) {
    builder_.CreateRetVoid();
  } else if (op.operands.size() == 1) {
    builder_.CreateRet(value(op.operands[0]));
  } else {
    llvm::Value *all = llvm::PoisonValue::get(out_->getReturnType());
    for (unsigned i = 0; i < op.operands.size(); ++i) all = builder_.CreateInsertValue(all, value(op.operands[i]), i);
    builder_.CreateRet(all);
  }
}

// cameo_env::status, the first field, becomes `status` unless it is set already.
void set_status(llvm::IRBuilderBase &builder, llvm::Value *env, llvm::Value *status) {
  builder.CreateAtomicCmpXchg(env, builder.getInt32(0), status, llvm::Align(4), llvm::AtomicOrdering::Monotonic,
                              llvm::AtomicOrdering::Monotonic);
}

// The status is set in line: a call would clobber every vector register of the loop around it.
void FunctionEmitter::emit_check(const loop::Op &op) {
  llvm::Value *condition = value(op.operands[0]);
  if (auto *known = llvm::dyn_cast<llvm::ConstantInt>(condition); known && known->isOne()) return;
  llvm::BasicBlock *failed = block("failed"), *after = block("checked");
  builder_.CreateCondBr(condition, after, failed, llvm::MDBuilder(module_.context()).createBranchWeights(1 << 20, 1));
  builder_.SetInsertPoint(failed);
  set_status(builder_, env_, builder_.getInt32(uint32_t(op.integer)));
  builder_.CreateBr(after);
  builder_.SetInsertPoint(after);
}

} // namespace cameo::codegen
