// Types of one node's operands and results against the semantics of its op; private to the verifier.
#pragma once

#include "cameo/ir/graph.h"

namespace cameo::graph {

/// Nullopt, or the first violated rule. Extents count as different only when no values of their symbols make them
/// equal: what cannot be decided is checked by the run.
std::optional<std::string> problem_of_types(const Node &node);

/// Whether a value of type `specific` may be where `general` is declared: same kind and dtype; each extent equal, or a
/// run-time symbol, or not provably different; unknown rank takes any.
bool accepts(const Type &general, const Type &specific);

} // namespace cameo::graph
