// How much memory the values of a region need in an order of its nodes, before anything is placed: what the order of
// nodes and the hosting of concatenations are judged by. Private to passes/.
#pragma once

#include "cameo/ir/graph.h"

#include <functional>
#include <map>
#include <vector>

namespace cameo::passes {

/// Values that are computed where they belong in the result of a concatenation, and that result.
using Hosts = std::map<const graph::Value *, const graph::Value *>;

struct Peak {
  int64_t bytes = 0;
  size_t at = 0; ///< the node during which so many bytes live, by its place in the order
};

/// The largest sum of the bytes of values that live during one node, every symbol being 1. Views have the memory of
/// what they are a view of; constants, arguments and results of the region have none. `order` holds all nodes of the
/// region.
Peak live_peak(const graph::Region &region, const std::vector<graph::Node *> &order, const Hosts &hosts);

/// Bytes of a value, every symbol being 1.
int64_t bytes_of(const graph::Value &value);

} // namespace cameo::passes
