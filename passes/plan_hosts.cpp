// Which operands of concatenations are computed where the result wants them.
//
// That saves a copy, and memory when the parts are computed one after the other: at the concatenation, parts and
// whole would live both. But the whole lives from its first part on. A network that puts aside what it joins much
// later (the skips of a U-net) would keep the room of all parts for so long. So parts that come early are copied
// after all, as long as the whole network needs more memory than it would with all parts copied.
#include "planner.h"

#include "lifetimes.h"

#include <algorithm>
#include <unordered_map>

namespace cameo::passes {

using graph::Dim;
using graph::Node;
using graph::Op;
using graph::Value;

// Whether a value can be written into memory that another value's placement says.
bool Planner::can_be_hosted(const Value *v) {
  const Node *producer = v->producer();
  return producer && !producer->is(Op::constant) && !moves_only(*producer) && !has_branches(*producer) &&
         !hosts_.count(numbers_.of(v)) && bits(v->type().dtype()) >= 8 && !producer->is(Op::concat) &&
         !producer->is(Op::string_call);
}

void Planner::host_concatenations() {
  if (!options_.views) return;
  for (Node *node : nodes_) {
    if (!node->is(Op::concat) || bits(node->result()->type().dtype()) < 8) continue;
    Dim start = 0;
    const size_t axis = static_cast<size_t>(node->integer("axis"));
    bool any = false;
    // How large the whole is and where each part begins must be known when the first part is computed.
    std::vector<const graph::Type *> unknown;
    std::set<graph::Shape> shapes;
    auto list = [&](const Value *v) {
      if (is_runtime(v->type()) && shapes.insert(v->type().shape()).second) unknown.push_back(&v->type());
    };
    list(node->result());
    for (const Value *v : node->operands()) list(v);
    auto known_before = [&](const Value *v) {
      return std::all_of(unknown.begin(), unknown.end(), [&](const graph::Type *type) { return known_at(*type, v); });
    };
    for (size_t i = 0; i < node->operand_count(); ++i) {
      const Value *v = node->operand(i);
      if (can_be_hosted(v) && v->region() == node->region() && v->type().layout() == node->result()->type().layout() &&
          known_before(v)) {
        hosts_[numbers_.of(v)] = {Host::Kind::part, node->result(), axis, start};
        any = true;
      }
      start = start + v->type().shape()[axis];
    }
    if (any) in_place_concats_.insert(numbers_.of(node));
  }
  copy_early_parts();
}

void Planner::copy_early_parts() {
  const std::vector<Node *> order = body()->node_list();
  std::unordered_map<const Node *, size_t> position; // looked up, never iterated
  for (size_t i = 0; i < order.size(); ++i) position[order[i]] = i;
  Hosts hosts;
  for (const auto &[number, host] : hosts_)
    if (host.whole->region() == body()) hosts.emplace(numbers_.value(number), host.whole);
  if (hosts.empty()) return;
  // The parts of each concatenation that are computed in place, the first of them first.
  struct Parts {
    const Node *node = nullptr;
    size_t at = 0;
    std::vector<std::pair<size_t, const Value *>> list; ///< (position of the producer, part)
    size_t given_up = 0;                                ///< of them
  };
  std::vector<Parts> concats;
  for (const Node *node : order) {
    if (!in_place_concats_.count(numbers_.of(node))) continue;
    Parts parts{node, position[node], {}, 0};
    for (const Value *v : node->operands())
      if (const auto host = hosts.find(v); host != hosts.end() && host->second == node->result())
        parts.list.emplace_back(position[v->producer()], v);
    std::sort(parts.list.begin(), parts.list.end(), [this](const auto &a, const auto &b) {
      return std::pair(a.first, numbers_.of(a.second)) < std::pair(b.first, numbers_.of(b.second));
    });
    parts.list.erase(std::unique(parts.list.begin(), parts.list.end()), parts.list.end());
    concats.push_back(std::move(parts));
  }
  const int64_t enough = live_peak(*body(), order, {}).bytes;
  PeakOfHosts live(*body(), order, hosts);
  for (Peak peak = live.peak(); peak.bytes > enough;) {
    // The concatenation whose parts up to the peak hold least of the room that they keep.
    Parts *best = nullptr;
    double best_gain = 0;
    auto early = [&](const Parts &parts, size_t i) { return i < parts.list.size() && parts.list[i].first <= peak.at; };
    for (Parts &parts : concats) {
      if (parts.at <= peak.at || !early(parts, parts.given_up)) continue;
      int64_t copied = 0;
      for (size_t i = parts.given_up; early(parts, i); ++i) copied += bytes_of(*parts.list[i].second);
      const double gain = double(bytes_of(*parts.node->result()) - copied) / double(std::max<int64_t>(copied, 1));
      if (gain > best_gain) {
        best_gain = gain;
        best = &parts;
      }
    }
    if (!best) break;
    std::vector<const Value *> leaving;
    for (size_t i = best->given_up; early(*best, i); ++i) leaving.push_back(best->list[i].second);
    live.give_up(leaving);
    const Peak lower = live.peak();
    if (lower.bytes > peak.bytes || (lower.bytes == peak.bytes && lower.at == peak.at)) break;
    for (const Value *v : leaving) hosts_.erase(numbers_.of(v));
    best->given_up += leaving.size();
    peak = lower;
  }
  for (const Parts &parts : concats)
    if (parts.given_up == parts.list.size()) in_place_concats_.erase(numbers_.of(parts.node));
}

// The place of a concatenation's result, made when its first part is computed.
const Placement &Planner::host_place(const Value *whole) {
  if (!place(whole)) {
    std::optional<Reach> border = borders_[static_cast<size_t>(numbers_.of(whole))];
    settle_new(whole, BufferPlan::Space::arena, -1, border);
    if (border) add_fill(whole);
  }
  return *place(whole);
}

} // namespace cameo::passes
