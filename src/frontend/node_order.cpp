#include "node_order.h"

#include <queue>
#include <unordered_map>

namespace cameo::frontend {

std::vector<std::string_view> free_names(const onnx::GraphProto &graph) {
  std::unordered_set<std::string_view> own, free;
  for (const auto &input : graph.input()) own.insert(input.name());
  for (const auto &initializer : graph.initializer()) own.insert(initializer.name());
  for (const auto &initializer : graph.sparse_initializer()) own.insert(initializer.values().name());
  for (const onnx::NodeProto &node : graph.node())
    for (const std::string &name : node.output()) own.insert(name);
  std::vector<std::string_view> result;
  auto use = [&](std::string_view name) {
    if (!own.count(name) && free.insert(name).second) result.push_back(name);
  };
  for (const onnx::NodeProto &node : graph.node()) for_each_use(node, use);
  for (const auto &output : graph.output()) use(output.name());
  return result;
}

namespace {

// Walks backwards from a node that cannot be ordered until one repeats.
std::vector<int> find_cycle(const std::vector<std::vector<int>> &needs, const std::vector<int> &missing, int start) {
  std::vector<int> path, position(needs.size(), -1);
  for (int at = start; position[size_t(at)] < 0;) {
    position[size_t(at)] = int(path.size());
    path.push_back(at);
    for (int before : needs[size_t(at)])
      if (missing[size_t(before)] > 0) {
        at = before;
        break;
      }
    if (position[size_t(at)] >= 0) return {path.begin() + position[size_t(at)], path.end()};
  }
  return {start};
}

} // namespace

NodeOrder order_nodes(const NodeList &nodes) {
  const size_t n = size_t(nodes.size());
  NodeOrder result;
  std::unordered_map<std::string_view, int> producer;
  producer.reserve(n);
  for (size_t i = 0; i < n; ++i)
    for (const std::string &name : nodes[int(i)].output())
      if (!name.empty()) producer.emplace(name, int(i));

  std::vector<std::vector<int>> needs(n);
  for (size_t i = 0; i < n; ++i)
    for_each_use(nodes[int(i)], [&](std::string_view name) {
      auto at = producer.find(name);
      if (at == producer.end()) return;
      needs[i].push_back(at->second);
      if (at->second >= int(i)) result.was_sorted = false;
    });
  result.order.reserve(n);
  if (result.was_sorted) {
    for (size_t i = 0; i < n; ++i) result.order.push_back(int(i));
    return result;
  }

  // Kahn's algorithm; among the nodes that are ready the first of the file comes first.
  std::vector<std::vector<int>> users(n);
  std::vector<int> missing(n, 0);
  for (size_t i = 0; i < n; ++i)
    for (int before : needs[i]) {
      users[size_t(before)].push_back(int(i));
      ++missing[i];
    }
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (size_t i = 0; i < n; ++i)
    if (missing[i] == 0) ready.push(int(i));
  while (!ready.empty()) {
    const int at = ready.top();
    ready.pop();
    result.order.push_back(at);
    for (int user : users[size_t(at)])
      if (--missing[size_t(user)] == 0) ready.push(user);
  }
  if (result.order.size() < n)
    for (size_t i = 0; i < n; ++i)
      if (missing[i] > 0) {
        result.cycle = find_cycle(needs, missing, int(i));
        break;
      }
  return result;
}

} // namespace cameo::frontend
