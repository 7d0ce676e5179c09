// Numbers for the nodes and values of a graph's main function: positions in the order of definition, which printing and
// parsing keep. A plan names them by these. Private to passes/.
#pragma once

#include "cameo/ir/graph.h"

#include <unordered_map>
#include <vector>

namespace cameo::passes {

class Numbering {
public:
  explicit Numbering(const graph::Graph &graph);

  int32_t of(const graph::Value *value) const { return value_numbers_.at(value->id()); }
  int32_t of(const graph::Node *node) const { return node_numbers_.at(node->id()); }
  graph::Value *value(int32_t number) const { return values_.at(static_cast<size_t>(number)); }
  graph::Node *node(int32_t number) const { return nodes_.at(static_cast<size_t>(number)); }
  int32_t value_count() const { return static_cast<int32_t>(values_.size()); }
  int32_t node_count() const { return static_cast<int32_t>(nodes_.size()); }

private:
  void visit(const graph::Region *region);

  std::vector<graph::Value *> values_;
  std::vector<graph::Node *> nodes_;
  std::unordered_map<uint32_t, int32_t> value_numbers_, node_numbers_; ///< by id
};

} // namespace cameo::passes
