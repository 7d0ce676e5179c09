// The algorithm of a node that has several. Private to passes/.
#pragma once

#include "cameo/passes/plan.h"

namespace cameo::passes {

/// One of ops::algorithms(node), the one that a model of the target expects to be the fastest; empty for a node without
/// a kernel.
std::string choose_algorithm(const graph::Node &node, const loop::Target &target, const PlanOptions &options);

} // namespace cameo::passes
