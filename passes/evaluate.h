// Results of a node whose operands are constants, computed while compiling. Private to passes/.
#pragma once

#include "cameo/ir/graph.h"
#include "cameo/loop/kernel.h"

#include <optional>

namespace cameo::passes {

/// The results, from the node's own lowering through the interpreter; movement is copied directly. Nullopt: the node
/// has no kernel, extents are symbolic, an operand is not a constant at hand, a check failed (the run will say so), or
/// it takes more than `fuel` steps.
std::optional<std::vector<graph::Constant>> evaluate(const graph::Node &node, uint64_t fuel);

/// What a kernel of one input and one output of constant extents makes of a constant, row-major.
graph::Constant derive(const loop::Kernel &kernel, const graph::ConstantData &data);

} // namespace cameo::passes
