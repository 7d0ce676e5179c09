// A plan as Loop IR, under construction: what the files that emit it share. Private to passes/.
//
//   emit_program.cpp  the program's interface, constants, the cutting into functions
//   emit_steps.cpp    steps: calls of kernels, branches, loops
//   emit_symbols.cpp  run-time symbols and memory of sizes that depend on them
#pragma once

#include "dim_code.h"
#include "emit_program.h"
#include "kernel_cache.h"
#include "steps.h"

#include <functional>

namespace cameo::passes {

class Emitter {
public:
  Emitter(const graph::Graph &graph, const Plan &plan, const loop::Target &target, ConstantBlock &constants,
          const Interface &interface, const ProgramOptions &options)
      : graph_(graph), plan_(plan), constants_(constants), interface_(interface), options_(options), numbers_(graph) {
    variant_.target = target;
    variant_.plan = plan;
  }

  Result<Variant> run();

private:
  struct Call {
    const loop::AppliedKernel *kernel = nullptr; ///< null: the step calls none, or a function of the runtime
    BoundStep step;
    int32_t scratch = -1; ///< buffer of the plan, or behind the arena
  };
  /// The parameters of every function that runs steps.
  struct Frame {
    std::vector<loop::Value> inputs, outputs, symbols;
    loop::Value run_dims, capacity; ///< when an output has a dim that only a run can tell
    loop::Value weights, workspace;
    std::vector<loop::Value> all() const;
  };
  /// A function and a place in it.
  struct Site {
    loop::Builder &b;
    const Frame &frame;
    DimCode code; ///< a copy for each block: what it computed is known inside only
  };

  // emit_program.cpp
  void declare_runtime(const ops::Lowered &lowered);
  void store_constants();
  Frame parameters(loop::Builder &b);
  DimCode dims(loop::Builder &b, const Frame &frame);
  /// Behind the arena and the scratch memory: room to read the first element of an empty tensor that lies last, and the
  /// vector that begins there.
  graph::Dim workspace() const {
    const graph::Dim bytes = plan_.arena_bytes + scratch_;
    return bytes.is_constant() && plan_.slots.empty() ? bytes : bytes + 64;
  }
  void emit_run();
  void emit_workspace_bytes();
  void emit_output_dims();

  // emit_steps.cpp
  size_t item_end(size_t step) const;
  bool may_fail(size_t from, size_t to) const;
  void unless_failed(Site &site, const std::function<void(Site &)> &body);
  void emit_range(Site &site, size_t from, size_t to);
  void emit_items(Site &site, size_t from, size_t to);
  void emit_item(Site &site, size_t number);
  void emit_call(Site &site, size_t number);
  void emit_branch(Site &site, size_t begin);
  void emit_loop(Site &site, size_t begin);
  loop::Value address(Site &site, int32_t buffer, DType dtype, const graph::Dim &start,
                      const graph::Dim &elements = 1);
  std::optional<int64_t> constant_scalar(const graph::Value *value) const;
  loop::Value scalar(Site &site, const graph::Value *value);
  void store_scalar(Site &site, const graph::Value *value, loop::Value number);
  void release(Site &site, int32_t step);

  // emit_symbols.cpp
  loop::Value head(Site &site);
  int64_t slot(const std::string &key) const;
  int64_t grown_slot(const BufferPlan &buffer) const;
  loop::Value succeeded(Site &site);
  void fail_unless(Site &site, loop::Value good, int64_t status);
  std::pair<loop::Value, loop::Value> product(Site &site, const std::vector<graph::Dim> &factors);
  loop::Value exact(Site &site, const graph::Dim &dim);
  void check_size(Site &site, const std::vector<graph::Dim> &extents);
  void emit_rules(Site &site, const std::vector<Rule> &rules, const Placement &from);
  void declare_memory();
  void emit_grow(Site &site, int32_t buffer, const std::vector<graph::Dim> &factors, bool keep);
  loop::Value fits(Site &site, int32_t port);
  void emit_run_dims(Site &site);

  const graph::Graph &graph_;
  const Plan &plan_;
  ConstantBlock &constants_;
  const Interface &interface_;
  const ProgramOptions &options_;
  Numbering numbers_;
  Variant variant_;
  std::vector<Call> calls_; ///< by step
  int64_t scratch_ = 0;
  int functions_ = 0;                     ///< that @run was cut into
  std::vector<int64_t> constant_offsets_; ///< by buffer
  std::vector<graph::Dim> counters_;      ///< of the loops around, innermost last
};

} // namespace cameo::passes
