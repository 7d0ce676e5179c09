// The order in which the nodes of a list can be imported: definitions before uses.
#pragma once

#include <onnx/onnx_pb.h>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace cameo::frontend {

using NodeList = google::protobuf::RepeatedPtrField<onnx::NodeProto>;

struct NodeOrder {
  std::vector<int> order; ///< indices into the list; as given where that is possible, else a stable topological sort
  bool was_sorted = true;
  std::vector<int> cycle; ///< not empty: nodes that depend on each other in a circle, in that order; `order` lacks them
};

/// Linear in the nodes and the names they use (n log n where they are not sorted); no recursion but over nested graphs.
/// Names that no node of the list defines are taken as given.
NodeOrder order_nodes(const NodeList &nodes);

/// Calls visit(name) for each non-empty name that the node uses of the graph that holds it: its inputs, and what the
/// graphs in its attributes use but do not define.
template <class Visit> void for_each_use(const onnx::NodeProto &node, Visit visit);

/// The names that a graph uses but does not define, inner graphs included.
std::vector<std::string_view> free_names(const onnx::GraphProto &graph);

template <class Visit> void for_each_use(const onnx::NodeProto &node, Visit visit) {
  for (const std::string &name : node.input())
    if (!name.empty()) visit(std::string_view(name));
  for (const onnx::AttributeProto &attribute : node.attribute()) {
    if (attribute.has_g())
      for (std::string_view name : free_names(attribute.g())) visit(name);
    for (const onnx::GraphProto &g : attribute.graphs())
      for (std::string_view name : free_names(g)) visit(name);
  }
}

} // namespace cameo::frontend
