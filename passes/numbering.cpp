// Numbers of nodes and values (see numbering.h).
#include "numbering.h"

namespace cameo::passes {

Numbering::Numbering(const graph::Graph &graph) { visit(graph.main().body); }

// Arguments, then node by node: the node, its results, what its regions hold.
void Numbering::visit(const graph::Region *region) {
  auto add = [&](graph::Value *value) {
    value_numbers_.emplace(value->id(), static_cast<int32_t>(values_.size()));
    values_.push_back(value);
  };
  for (graph::Value *argument : region->arguments()) add(argument);
  for (graph::Node *node : region->nodes()) {
    node_numbers_.emplace(node->id(), static_cast<int32_t>(nodes_.size()));
    nodes_.push_back(node);
    for (graph::Value *result : node->results()) add(result);
    for (size_t r = 0; r < node->region_count(); ++r) visit(node->body(r));
  }
}

} // namespace cameo::passes
