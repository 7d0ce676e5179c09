// Joins kernels of windows (convolutions, pools) whose tensors between them no cache holds: one kernel, which runs in
// strips of rows (cameo/loop/strips.h) and never has those tensors as a whole.
//
//   %e = fused %x, ... {kind = "conv"} (...) { conv 1x1, relu6 }       %y = fused %x, ... {kind = "strips"} (...) {
//   %d = fused %e, ... {kind = "conv"} (...) { depthwise, relu6 }  =>    conv 1x1, relu6, depthwise, relu6, conv, add
//   %y = fused %d, ..., %x {kind = "conv"} (...) { conv 1x1, add }     }
//
// A chain grows, top to bottom, while the model of strips expects it to save more: the tensor that disappears went to
// memory and back, and what is paid are rows that two tasks compute. Rows and constants must fit the second-level cache
// together.
//
// It refuses tensors that anybody else reads, symbolic extents, other types than f32, grouped convolutions that are not
// depthwise, filters that are no constants, and convolutions with another algorithm (minimal filtering is worth more).
// It relies on layouts: channels are the vectors.
#include "cameo/passes/passes.h"

#include "cameo/loop/strips.h"
#include "cameo/ops/lower.h"

#include <algorithm>
#include <unordered_map>

namespace cameo::passes {

namespace {

using namespace graph;

constexpr int32_t kChannels = 1;       ///< axis of images
constexpr int64_t kFewestChannels = 4; ///< fewer leave most of a vector empty
constexpr size_t kMostNodes = 32;      ///< of a chain: kernels stay small enough to compile quickly

bool is_window(const Node &node) { return node.is(Op::conv) || node.is(Op::pool); }

bool is_image(const Type &type) {
  return type.is_tensor() && type.is_ranked() && type.dtype() == DType::f32 && type.rank() == 4 &&
         type.static_shape() && type.layout() == Layout::channels_last(4) &&
         type.dim(kChannels).value() >= kFewestChannels;
}

class StripFuser {
public:
  StripFuser(Graph &graph, const PassOptions &options) : graph_(graph), options_(options) {}

  bool run() {
    bool changed = false;
    for (Node *node : graph_.main().body->node_list()) {
      if (node->erased() || !is_layer(*node)) continue;
      double gain = 0;
      for (Node *chain = node;;) {
        Node *next = follower(*chain);
        if (!next) break;
        Node *joined = join(chain, next);
        const double more = gain_of(*joined);
        if (more <= gain) {
          graph_.erase(joined);
          break;
        }
        replace(joined, chain, next);
        gain = more;
        chain = joined;
        changed = true;
      }
    }
    return changed;
  }

private:
  // A kernel around one window, or a bare window.
  bool is_layer(const Node &node) const {
    if (node.result_count() != 1 || !is_image(node.result()->type()) || ops::algorithms(node).size() != 1) return false;
    if (is_window(node)) return node.is(Op::pool) || node.operand(1)->constant();
    if (!node.is(Op::fused)) return false;
    int64_t windows = 0;
    for (const Node *inner : node.body()->nodes()) windows += is_window(*inner);
    for (size_t i = 0; i < node.operand_count(); ++i) // filters are packed when compiling
      for (const Use &use : node.body()->argument(i)->uses())
        if (use.node->is(Op::conv) && use.index == 1 && !node.operand(i)->constant()) return false;
    return windows == 1;
  }

  // The one node that reads the result, as the image that its window moves over.
  Node *follower(const Node &node) const {
    Value *v = node.result();
    if (v->uses().size() != 1) return nullptr;
    const Use use = v->uses()[0];
    if (use.node->region() != node.region() || !is_layer(*use.node)) return nullptr;
    if (!use.node->is(Op::fused)) return use.index == 0 ? use.node : nullptr;
    const Value *inside = use.node->body()->argument(use.index);
    if (inside->uses().size() != 1) return nullptr;
    const Use read = inside->uses()[0];
    return is_window(*read.node) && read.index == 0 ? use.node : nullptr;
  }

  // A node in front of `second` that computes both, unused yet.
  Node *join(const Node *first, Node *second) {
    std::vector<Value *> outside;
    for (const Node *n : {first, static_cast<const Node *>(second)})
      for (Value *v : n->operands())
        if (v && v != first->result() && std::find(outside.begin(), outside.end(), v) == outside.end())
          outside.push_back(v);
    Node *joined = graph_.create(InsertPoint::ahead_of(second), Op::fused, outside, {{"kind", std::string("strips")}},
                                 {second->result()->type()});
    Region *body = graph_.add_region(joined);
    std::unordered_map<const Value *, Value *> map;
    for (Value *v : outside) map[v] = graph_.add_argument(body, v->type(), v->name());
    for (const Node *n : {first, static_cast<const Node *>(second)}) {
      joined->merge_origin(*n);
      if (!n->is(Op::fused)) {
        graph_.clone(*n, InsertPoint::end(body), map);
        continue;
      }
      for (size_t i = 0; i < n->operand_count(); ++i) map[n->body()->argument(i)] = map.at(n->operand(i));
      for (const Node *inner : n->body()->nodes()) graph_.clone(*inner, InsertPoint::end(body), map);
      map[n->result()] = map.at(n->body()->results()[0]);
    }
    graph_.set_results(body, {map.at(second->result())});
    return joined;
  }

  // Cycles that the chain saves; none where it is no chain or does not fit.
  double gain_of(const Node &joined) const {
    if (joined.body()->node_list().size() > kMostNodes) return 0;
    const Result<ops::Lowered> lowered = ops::lower(joined);
    if (!lowered.ok()) return 0;
    const std::optional<loop::StripChain> chain = loop::find_strips(lowered->kernel);
    if (!chain) return 0;
    const loop::StripPlan plan = loop::plan_strips(lowered->kernel, *chain, kChannels, options_.cache_bytes);
    return plan.fits ? plan.saved - plan.spent : 0;
  }

  void replace(Node *joined, Node *first, Node *second) {
    const std::string name = second->result()->name();
    graph_.replace(second->result(), joined->result());
    joined->result()->set_name(name);
    graph_.erase(second);
    graph_.erase(first);
  }

  Graph &graph_;
  const PassOptions &options_;
};

} // namespace

Result<bool> fuse_strips(Graph &graph, const PassOptions &options) { return StripFuser(graph, options).run(); }

} // namespace cameo::passes
