// Collects nodes into fusion groups: one kernel each.
//
//   %c = conv %x, %w ...                     %y = fused %x, %w, %r (%a, %b, %d) {
//   %s = add %c, %r                            %c = conv %a, %b ...
//   %y = relu %s                      =>       %s = add %c, %d
//                                              %y = relu %s
//                                              yield %y
//                                            }
//
// A group has at most one anchor (contraction, convolution, pool, reduction, softmax, normalisation), elementwise nodes
// behind it over the same shape, and, in front of reductions over rows, elementwise nodes that compute its operand.
// Every value of a group but the last is used inside the group only, so nothing is computed twice and no path leads out
// of the group and in again.
//
// Integers that stand for reals are made real where they are read: a dequantize that several pointwise nodes read is
// copied for each.
//
// It refuses values that are results of the region, and nodes without a kernel. It relies on lowering (a value inside a
// group may be read only as elementwise ops and rows read it) and expects canonical nodes.
#include "cameo/passes/passes.h"

#include "cameo/ops/lower.h"

#include <algorithm>
#include <map>
#include <set>

namespace cameo::passes {

namespace {

using namespace graph;

constexpr size_t kMaxNodes = 48;    ///< of a group: kernels stay small enough to compile quickly
constexpr size_t kMaxOperands = 24; ///< of a group

enum class Role : uint8_t { none, pointwise, anchor, rows };

// Values of these dtypes are rounded when they are stored, and only then.
bool rounds_in_memory(DType dtype) { return bits(dtype) < (is_float(dtype) ? 16 : 8); }

Role role_of(const Node &node) {
  for (const Value *v : node.results())
    if (v->type().is_tensor() && rounds_in_memory(v->type().dtype())) return Role::none;
  switch (node.op()) {
  case Op::elementwise:
  case Op::quantize:
  case Op::dequantize:
  case Op::cast:
    return Role::pointwise;
  case Op::gather: // a function of a byte, as a table
    return node.operand(0)->constant() && node.operand(0)->type().rank() == 1 &&
                   node.operand(0)->type().dim(0).is(256) && node.operand(1)->type().dtype() == DType::u8
               ? Role::pointwise
               : Role::none;
  case Op::contract:
  case Op::conv:
  case Op::conv_transpose:
  case Op::pool:
    return Role::anchor;
  case Op::reduce:
  case Op::softmax:
  case Op::normalize:
    return Role::rows;
  default:
    return Role::none;
  }
}

struct Group {
  std::vector<Node *> nodes; ///< in order
  Node *anchor = nullptr;
};

class Fuser {
public:
  explicit Fuser(Graph &graph) : graph_(graph) {}

  bool run(Region *region) {
    bool changed = false;
    for (Node *node : region->node_list())
      if (node->is(Op::dequantize)) changed |= copy_for_readers(node);
    int32_t position = 0;
    for (Node *node : region->nodes()) {
      position_[node] = position++;
      for (size_t r = 0; r < node->region_count(); ++r)
        if (!node->is(Op::fused)) changed |= Fuser(graph_).run(node->body(r));
    }
    for (Node *node : region->nodes()) consider(node);
    // The last node of a group stands for it.
    std::vector<Node *> last;
    for (const auto &[index, group] : groups_)
      if (group.nodes.size() > 1) last.push_back(group.nodes.back());
    std::sort(last.begin(), last.end(), [&](Node *a, Node *b) { return position_.at(a) < position_.at(b); });
    for (Node *node : last) build(groups_.at(group_of_.at(node)));
    return changed || !last.empty();
  }

private:
  bool copy_for_readers(Node *dequantize) {
    const DType from = dequantize->operand()->type().dtype();
    if (bits(from) != 8 || is_float(from) || dequantize->operand()->constant()) return false;
    bool changed = false;
    for (Node *reader : dequantize->result()->users()) {
      if (dequantize->result()->users().size() == 1) break;
      if (reader->region() != dequantize->region() || role_of(*reader) != Role::pointwise) continue;
      std::unordered_map<const Value *, Value *> map;
      Value *copy = graph_.clone(*dequantize, InsertPoint::ahead_of(reader), map)->result();
      for (size_t i = 0; i < reader->operand_count(); ++i)
        if (reader->operand(i) == dequantize->result()) graph_.set_operand(reader, i, copy);
      changed = true;
    }
    return changed;
  }

  // Joins the node with the groups of operands that nobody else needs.
  void consider(Node *node) {
    const Role role = role_of(*node);
    if (role == Role::none || node->result_count() != 1 || ops::lowering_problem(*node)) return;
    const int32_t own = position_.at(node);
    groups_[own].nodes = {node};
    if (role != Role::pointwise) groups_[own].anchor = node;
    group_of_[node] = own;
    if (role == Role::anchor) return;
    while (Node *next = candidate(groups_[own], node, role)) absorb(own, group_of_.at(next));
  }

  // The producer of an operand whose group may join: contractions first, then the latest.
  Node *candidate(const Group &group, const Node *node, Role role) const {
    Node *best = nullptr;
    int best_rank = -1;
    for (const Node *member : group.nodes) {
      if (role_of(*member) == Role::anchor) continue; // its operands are read many times
      for (size_t i = 0; i < member->operand_count(); ++i) {
        const Value *v = member->operand(i);
        if (!v || !v->producer() || v->producer()->region() != node->region() ||
            !can_join(group, node, role, member, i))
          continue;
        Node *producer = v->producer();
        const Node *anchor = groups_.at(group_of_.at(producer)).anchor;
        const int rank = !anchor ? 0 : role_of(*anchor) == Role::anchor && !anchor->is(Op::pool) ? 2 : 1;
        if (rank > best_rank || (rank == best_rank && position_.at(producer) > position_.at(best))) {
          best = producer;
          best_rank = rank;
        }
      }
    }
    return best;
  }

  bool can_join(const Group &group, const Node *node, Role role, const Node *member, size_t operand) const {
    const Value *v = member->operand(operand);
    auto it = group_of_.find(v->producer());
    if (it == group_of_.end()) return false;
    const Group &other = groups_.at(it->second);
    if (&other == &group || (group.anchor && other.anchor)) return false;
    for (const Use &use : v->uses())
      if (std::find(group.nodes.begin(), group.nodes.end(), use.node) == group.nodes.end()) return false;
    if (rounds_in_memory(v->type().dtype())) return false;
    if (group.nodes.size() + other.nodes.size() > kMaxNodes) return false;
    if (operands(group).size() + operands(other).size() > kMaxOperands) return false;
    if (role == Role::rows && member == node) // what a row kernel reads, computed as it is read
      return operand == 0 && !other.anchor && v->type().shape() == node->operand()->type().shape();
    return v->type().shape() == (role == Role::rows ? node->operand()->type().shape() : node->result()->type().shape());
  }

  static std::vector<Value *> operands(const Group &group) {
    std::vector<Value *> list;
    for (const Node *n : group.nodes)
      for (Value *v : n->operands()) {
        if (!v || std::find(list.begin(), list.end(), v) != list.end()) continue;
        if (!v->producer() || std::find(group.nodes.begin(), group.nodes.end(), v->producer()) == group.nodes.end())
          list.push_back(v);
      }
    return list;
  }

  void absorb(int32_t into, int32_t other) {
    Group &a = groups_.at(into), &b = groups_.at(other);
    for (Node *n : b.nodes) {
      group_of_[n] = into;
      a.nodes.push_back(n);
    }
    std::sort(a.nodes.begin(), a.nodes.end(), [&](Node *x, Node *y) { return position_.at(x) < position_.at(y); });
    if (b.anchor) a.anchor = b.anchor;
    groups_.erase(other);
  }

  void build(const Group &group) {
    Node *last = group.nodes.back();
    const std::vector<Value *> outside = operands(group);
    Value *result = last->result();
    const std::string kind(group.anchor ? name(group.anchor->op()) : "elementwise");
    Node *fused = graph_.create(InsertPoint::ahead_of(last), Op::fused, outside, {{"kind", kind}}, {result->type()});
    Region *body = graph_.add_region(fused);
    std::unordered_map<const Value *, Value *> map;
    for (Value *v : outside) map[v] = graph_.add_argument(body, v->type(), v->name());
    for (const Node *n : group.nodes) {
      graph_.clone(*n, InsertPoint::end(body), map);
      fused->merge_origin(*n);
    }
    graph_.set_results(body, {map.at(result)});
    const std::string name = result->name();
    graph_.replace(result, fused->result());
    fused->result()->set_name(name);
    for (size_t i = group.nodes.size(); i-- > 0;) graph_.erase(group.nodes[i]);
  }

  Graph &graph_;
  std::map<const Node *, int32_t> position_; ///< looked up, never iterated
  std::map<const Node *, int32_t> group_of_; ///< looked up, never iterated
  std::map<int32_t, Group> groups_;          ///< by the position of the node that started them
};

} // namespace

Result<bool> fuse(Graph &graph, const PassOptions &) { return Fuser(graph).run(graph.main().body); }

} // namespace cameo::passes
