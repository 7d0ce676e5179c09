// One arena for all intermediate tensors: buffers whose lives do not meet share bytes. Private to passes/.
#pragma once

#include "cameo/passes/plan.h"

namespace cameo::passes {

/// Gives every arena buffer of the plan its offset and sets arena_bytes. Buffers are placed in classes: those of constant size,
/// and for each symbolic expression those whose sizes are constant multiples of it; inside a class by best fit, the largest first.
void assign_arena(Plan &plan);

/// The largest sum of the sizes of buffers that live at once, every symbol being `symbol_value`: no arena can be smaller.
int64_t live_bytes(const Plan &plan, int64_t symbol_value = 1);

} // namespace cameo::passes
