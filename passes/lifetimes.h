// How much memory the values of a region need in an order of its nodes, before anything is placed: what the order of
// nodes and the hosting of concatenations are judged by. Private to passes/.
#pragma once

#include "cameo/ir/graph.h"

#include <functional>
#include <map>
#include <unordered_map>
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

/// The same peak while parts of concatenations leave their hosts: that costs what lives with these parts, not what the
/// whole region holds.
class PeakOfHosts {
public:
  PeakOfHosts(const graph::Region &region, const std::vector<graph::Node *> &order, const Hosts &hosts);
  Peak peak() const;
  /// From now on the parts have memory of their own.
  void give_up(const std::vector<const graph::Value *> &parts);
  int64_t visits() const { return visits_; } ///< of values and of sums, since the beginning: counted work

private:
  struct Entry {
    size_t first = SIZE_MAX, last = 0;
    bool result = false;                        ///< of the region
    const graph::Value *parent = nullptr;       ///< in whose memory it lies
    std::vector<const graph::Value *> children; ///< also those that have left
  };
  const graph::Value *parent_of(const graph::Value *v) const;
  bool has_memory(const graph::Value *v) const;
  Entry *entry(const graph::Value *v);
  void add(const graph::Value *root, int64_t sign);
  void add(size_t node, size_t low, size_t high, size_t from, size_t to, int64_t bytes);

  const graph::Region &region_;
  size_t count_;
  const Hosts &hosts_;                                      ///< while it is built
  std::unordered_map<const graph::Value *, Entry> entries_; ///< looked up, never iterated but for sums
  std::vector<int64_t> most_, more_; ///< segment tree over the nodes: the largest sum below, and what all below have more
  int64_t visits_ = 0;
};

/// Bytes of a value, every symbol being 1.
int64_t bytes_of(const graph::Value &value);

} // namespace cameo::passes
