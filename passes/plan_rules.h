// What makes a plan sound. Private to passes/.
#pragma once

#include "steps.h"

namespace cameo::passes {

/// Violated rules of form, in words: numbers of buffers, values, nodes and arguments that do not exist, steps that lack
/// what their kind needs, branches and loops that do not nest. A plan without them can be bound (bind_planned).
std::vector<std::string> verify_references(const Plan &plan, const Numbering &numbers);

} // namespace cameo::passes
