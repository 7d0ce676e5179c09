// A plan to Loop IR. Private to passes/.
#pragma once

#include "cameo/passes/program.h"

namespace cameo::passes {

/// What the caller of a program sees.
struct Interface {
  std::vector<Port> inputs, outputs;
  std::vector<Symbol> symbols;
  bool computed_outputs = false; ///< an output has a dim that is computed from symbols

  /// Whether only a run can tell.
  bool at_run(const graph::Dim &dim) const;
  bool at_run(int32_t output) const;
  bool any_at_run() const;
};

Result<Variant> emit_program(const graph::Graph &graph, const Plan &plan, const loop::Target &target,
                             ConstantBlock &constants, const Interface &interface, const ProgramOptions &options);

} // namespace cameo::passes
