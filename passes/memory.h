// One arena for all intermediate tensors: buffers whose lives do not meet share bytes. Private to passes/.
#pragma once

#include "cameo/passes/plan.h"

namespace cameo::passes {

/// Bytes at the head of the arena: a flag that the run has failed, the run-time symbols, then for each grown buffer
/// where it lies (in bytes from the arena) and how much room it has. 0 when the program has none of them.
int64_t head_bytes(const Plan &plan);
int64_t grown_buffers(const Plan &plan);

/// Buffers that are alive when a loop begins or ends are alive as long as it runs.
void extend_over_loops(Plan &plan);

/// Gives every arena buffer of the plan its offset and sets arena_bytes. Buffers are placed in classes: those of
/// constant size, and for each symbolic expression those whose sizes are constant multiples of it; inside a class by
/// best fit, the largest first.
void assign_arena(Plan &plan);

/// By step: the sum of the sizes of the buffers in the arena that live then, every symbol being `symbol_value`. No
/// arena can be smaller than the largest.
std::vector<int64_t> live_bytes(const Plan &plan, int64_t symbol_value = 1);

} // namespace cameo::passes
