// Loop IR to files: in one piece, or in several that are compiled side by side.
#include "lower.h"

#include "emit.h"

#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <functional>
#include <thread>

namespace cameo::codegen {
namespace {

std::string compile_selection(const loop::Module &module, const loop::Target &target, Emit emit, const Options &options,
                              const Selection &selection) {
  auto machine = create_target_machine(target, options);
  llvm::LLVMContext context;
  context.setDiscardValueNames(emit != Emit::llvm_ir);
  auto out = create_module(context, *machine, target, options);
  emit_functions(*out, module, target, options, selection);
  optimize(*out, *machine);
  return emit_code(*out, *machine, emit);
}

void callees(const loop::Block &block, std::set<std::string> &names) {
  for (const loop::Op &op : block.ops) {
    if (op.code == loop::Opcode::call) names.insert(op.symbol);
    for (const loop::Block &region : op.regions) callees(region, names);
  }
}

// Consecutive functions until a chunk is full. Inlinable functions belong to no chunk: each piece that calls one has a
// copy.
std::vector<Selection> partition(const loop::Module &module, int chunk_ops) {
  std::vector<Selection> chunks;
  int64_t ops = 0;
  for (const loop::Function &function : module.functions) {
    if (function.declaration || is_inlinable(function)) continue;
    if (chunks.empty() || ops >= chunk_ops) {
      chunks.emplace_back();
      ops = 0;
    }
    chunks.back().emit.insert(function.name);
    ops += count_ops(function.body);
  }
  for (const Selection &chunk : chunks) {
    // What the chunk calls, directly or through the copies of inlinable functions.
    std::set<std::string> called;
    std::vector<std::string> work(chunk.emit.begin(), chunk.emit.end());
    while (!work.empty()) {
      const loop::Function *function = module.find(work.back());
      work.pop_back();
      std::set<std::string> names;
      if (function) callees(function->body, names);
      for (const std::string &name : names)
        if (called.insert(name).second)
          if (const loop::Function *callee = module.find(name); callee && is_inlinable(*callee)) work.push_back(name);
    }
    for (Selection &other : chunks)
      if (&other != &chunk)
        for (const std::string &name : called)
          if (other.emit.contains(name)) other.shared.insert(name);
  }
  return chunks;
}

// Runs work(0..count-1) on up to `jobs` threads; the failure of the lowest index is thrown again here.
void for_each_index(size_t count, int jobs, const std::function<void(size_t)> &work) {
  std::vector<std::exception_ptr> failures(count);
  std::atomic<size_t> next = 0;
  auto run = [&] {
    for (size_t i; (i = next.fetch_add(1)) < count;) try {
        work(i);
      } catch (...) {
        failures[i] = std::current_exception();
      }
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < std::min(count, size_t(std::max(jobs, 1))); ++i) threads.emplace_back(run);
  run();
  for (std::thread &thread : threads) thread.join();
  for (const std::exception_ptr &failure : failures)
    if (failure) std::rethrow_exception(failure);
}

} // namespace

Result<std::string> compile(const loop::Module &module, const loop::Target &target, Emit emit, const Options &options) {
  return compile_selection(module, target, emit, options, {});
}

Result<std::vector<std::string>> compile_chunks(const loop::Module &module, const loop::Target &target, Emit emit,
                                                const Options &options) {
  initialize_llvm();
  std::vector<Selection> chunks = partition(module, options.chunk_ops);
  std::vector<std::string> pieces(chunks.size());
  for_each_index(chunks.size(), options.jobs,
                 [&](size_t i) { pieces[i] = compile_selection(module, target, emit, options, chunks[i]); });
  return pieces;
}

} // namespace cameo::codegen
