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

} // namespace cameo::passes
