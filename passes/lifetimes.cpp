// Live bytes of a region in an order of its nodes (see lifetimes.h).
#include "lifetimes.h"

#include "planner.h"

#include <algorithm>
#include <unordered_map>

namespace cameo::passes {

using graph::Node;
using graph::Op;
using graph::Region;
using graph::Value;

namespace {

struct Life {
  size_t first = SIZE_MAX, last = 0;
  int64_t bytes = 0;
};

class Lives {
public:
  Lives(const Region &region, const std::vector<Node *> &order, const Hosts &hosts)
      : region_(region), order_(order), hosts_(hosts) {}

  Peak peak() {
    for (size_t i = 0; i < order_.size(); ++i) {
      for (const Value *v : order_[i]->results()) define(v, i);
      use(*order_[i], i);
    }
    for (const Value *v : region_.results()) {
      if (const Value *owner = owner_of(v); owner == v)
        lives_[owner].bytes = 0; // moved to where the caller wants it
      else if (owner)
        lives_[owner].last = order_.size();
    }
    std::vector<int64_t> change(order_.size() + 2);
    for (const auto &[value, life] : lives_) {
      if (life.first == SIZE_MAX) continue;
      change[life.first] += life.bytes;
      change[std::max(life.first, life.last) + 1] -= life.bytes;
    }
    Peak most;
    int64_t live = 0;
    for (size_t i = 0; i < order_.size(); ++i)
      if (live += change[i]; live > most.bytes) most = {live, i};
    return most;
  }

private:
  // The value whose memory `v` lies in; null: nobody's here.
  const Value *owner_of(const Value *v) const {
    while (true) {
      const Node *producer = v->producer();
      if (!producer || producer->is(Op::constant) || v->region() != &region_ || !v->type().is_tensor()) return nullptr;
      if (moves_only(*producer)) {
        v = producer->operand();
        continue;
      }
      auto host = hosts_.find(v);
      if (host == hosts_.end()) return v;
      v = host->second;
    }
  }

  void define(const Value *v, size_t at) {
    const Value *owner = owner_of(v);
    if (!owner) return;
    Life &life = lives_[owner];
    life.first = std::min(life.first, at);
    life.last = std::max(life.last, at);
    life.bytes = bytes_of(*owner);
  }

  void use(const Node &node, size_t at) {
    for (const Value *v : node.operands()) {
      const Value *owner = v ? owner_of(v) : nullptr;
      if (owner) lives_[owner].last = std::max(lives_[owner].last, at);
    }
    if (node.is(Op::fused)) return; // reads its operands only
    for (size_t r = 0; r < node.region_count(); ++r) {
      for (const Node *inner : node.body(r)->nodes()) use(*inner, at);
      use(*node.body(r)->yield(), at);
    }
  }

  const Region &region_;
  const std::vector<Node *> &order_;
  const Hosts &hosts_;
  std::unordered_map<const Value *, Life> lives_; ///< sums only: the order does not matter
};

} // namespace

int64_t bytes_of(const Value &value) {
  if (!value.type().is_tensor() || !value.type().is_ranked() || value.type().dtype() == DType::string) return 0;
  return bytes_of(value.type().dtype(), value.type().elements())
      .evaluate([](const std::string &) { return int64_t{1}; })
      .value_or(0);
}

Peak live_peak(const Region &region, const std::vector<Node *> &order, const Hosts &hosts) {
  return Lives(region, order, hosts).peak();
}

PeakOfHosts::PeakOfHosts(const Region &region, const std::vector<Node *> &order, const Hosts &hosts)
    : region_(region), count_(std::max<size_t>(order.size(), 1)), hosts_(hosts), most_(4 * count_), more_(4 * count_) {
  auto use = [&](const Node &node, size_t at) {
    for (const Value *v : node.operands())
      if (Entry *e = v ? entry(v) : nullptr) e->last = std::max(e->last, at);
  };
  std::vector<const Value *> values;
  for (size_t i = 0; i < order.size(); ++i) {
    for (const Value *v : order[i]->results())
      if (Entry *e = entry(v)) {
        e->first = std::min(e->first, i);
        e->last = std::max(e->last, i);
        values.push_back(v);
      }
    use(*order[i], i);
    if (order[i]->is(Op::fused)) continue; // reads its operands only
    for (size_t r = 0; r < order[i]->region_count(); ++r) {
      for (const Node *inner : graph::Graph::all_nodes(order[i]->body(r))) use(*inner, i);
      use(*order[i]->body(r)->yield(), i);
    }
  }
  for (const Value *v : region.results())
    if (Entry *e = entry(v)) e->result = true;
  for (const Value *v : values)
    if (!entries_.at(v).parent) add(v, 1);
}

// Tensors that nodes of the region compute; views of them as well.
bool PeakOfHosts::has_memory(const Value *v) const {
  while (true) {
    const Node *producer = v->producer();
    if (!producer || producer->is(Op::constant) || v->region() != &region_ || !v->type().is_tensor()) return false;
    if (!moves_only(*producer)) return true;
    v = producer->operand();
  }
}

const Value *PeakOfHosts::parent_of(const Value *v) const {
  if (moves_only(*v->producer())) return v->producer()->operand();
  const auto host = hosts_.find(v);
  return host == hosts_.end() ? nullptr : host->second;
}

// With everything that holds the value.
PeakOfHosts::Entry *PeakOfHosts::entry(const Value *v) {
  if (const auto known = entries_.find(v); known != entries_.end()) return &known->second;
  if (!has_memory(v)) return nullptr;
  entries_.try_emplace(v);
  for (const Value *at = v, *above = nullptr; (above = parent_of(at)); at = above) {
    entries_.at(at).parent = above;
    const bool fresh = entries_.try_emplace(above).second;
    entries_.at(above).children.push_back(at);
    if (!fresh) break;
  }
  return &entries_.at(v);
}

Peak PeakOfHosts::peak() const {
  if (most_[1] <= 0) return {};
  size_t node = 1, low = 0, high = count_ - 1;
  while (low < high) { // the first of the largest
    const size_t middle = (low + high) / 2;
    if (most_[2 * node] >= most_[2 * node + 1]) {
      node = 2 * node;
      high = middle;
    } else {
      node = 2 * node + 1;
      low = middle + 1;
    }
  }
  return {most_[1], low};
}

void PeakOfHosts::give_up(const std::vector<const Value *> &parts) {
  std::vector<const Value *> roots; // each once, in order
  for (const Value *part : parts) {
    const Value *root = part;
    while (entries_.at(root).parent) root = entries_.at(root).parent;
    if (std::find(roots.begin(), roots.end(), root) == roots.end()) roots.push_back(root);
  }
  for (const Value *root : roots) add(root, -1);
  for (const Value *part : parts) entries_.at(part).parent = nullptr;
  for (const Value *root : roots) add(root, 1);
  for (const Value *part : parts) add(part, 1);
}

// The bytes of a value without parent, for as long as anything that lies in it lives.
void PeakOfHosts::add(const Value *root, int64_t sign) {
  size_t first = SIZE_MAX, last = 0;
  std::vector<const Value *> open{root};
  while (!open.empty()) {
    const Value *v = open.back();
    open.pop_back();
    ++visits_;
    const Entry &e = entries_.at(v);
    first = std::min(first, e.first);
    last = std::max(last, e.result ? count_ : e.last);
    for (const Value *child : e.children)
      if (entries_.at(child).parent == v) open.push_back(child);
  }
  if (first == SIZE_MAX || entries_.at(root).result) return; // a result is moved to where the caller wants it
  add(1, 0, count_ - 1, first, std::min(std::max(first, last), count_ - 1), sign * bytes_of(*root));
}

void PeakOfHosts::add(size_t node, size_t low, size_t high, size_t from, size_t to, int64_t bytes) {
  ++visits_;
  if (from <= low && high <= to) {
    most_[node] += bytes;
    more_[node] += bytes;
    return;
  }
  const size_t middle = (low + high) / 2;
  if (from <= middle) add(2 * node, low, middle, from, to, bytes);
  if (to > middle) add(2 * node + 1, middle + 1, high, from, to, bytes);
  most_[node] = std::max(most_[2 * node], most_[2 * node + 1]) + more_[node];
}

} // namespace cameo::passes
