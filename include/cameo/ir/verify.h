// Invariants of Graph IR, by stage. src/ir/verify.cpp checks every one of them and opens with the complete list in
// prose.
#pragma once

#include "cameo/ir/graph.h"

namespace cameo::graph {

/// Every violated invariant of the graph's own stage (and those before it) as `function 'main': node: what`, at most
/// 100; empty when the graph is well formed.
std::vector<std::string> verify(const Graph &graph);
/// As if the graph were at that stage.
std::vector<std::string> verify(const Graph &graph, Stage stage);

/// CAMEO_CHECKs that verify() finds nothing; `where` names the producer in the message.
void verify_or_die(const Graph &graph, std::string_view where);

} // namespace cameo::graph
