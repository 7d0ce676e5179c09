// Makes tables of functions of one quantised tensor.
//
//   %a = dequantize %x, %s, %z : f32
//   %b = sigmoid %a                    =>    %y = gather %table, %x : u8
//   %c = mul %a, %b
//   %y = quantize %c, %t, %u : u8
//
// A byte has 256 values, so what is computed from one byte alone, point by point, down to a byte again is one table,
// filled by the ops' own lowering: the results are the same, bit for bit. Steps between that are quantised and read
// again belong to the function. It refuses functions with operands that are neither that byte nor one number, and
// results that are no bytes.
#include "cameo/passes/passes.h"

#include "evaluate.h"
#include "quantized.h"

#include "cameo/ir/builder.h"

#include <algorithm>
#include <map>
#include <unordered_map>

namespace cameo::passes {

namespace {

using namespace graph;

constexpr uint64_t kFuel = 10'000'000; ///< of one node over 256 elements

bool is_table(const Node &node) {
  return node.is(Op::gather) && node.operand(0)->constant() && node.operand(0)->type().rank() == 1 &&
         node.operand(0)->type().dim(0).is(256) && node.operand(1)->type().dtype() == DType::u8;
}

bool pointwise(const Node &node) {
  return (node.is(Op::elementwise) || node.is(Op::cast) || node.is(Op::quantize) || node.is(Op::dequantize) ||
          is_table(node)) &&
         node.result()->type().is_tensor();
}

bool is_number(const Value *v) {
  const ConstantData *c = data_of(v);
  return c && c->count() == 1;
}

class Tabulator {
public:
  explicit Tabulator(Graph &graph) : graph_(graph) {}

  bool run(Region *region) {
    std::vector<Value *> bytes;
    for (Node *node : region->nodes()) {
      for (size_t r = 0; r < node->region_count(); ++r) changed_ |= Tabulator(graph_).run(node->body(r));
      if (node->result_count() != 1 || !pointwise(*node)) continue;
      Value *source = source_of(*node);
      if (!source) continue;
      source_[node->result()] = source;
      if (is_byte(node->result()->type().dtype())) bytes.push_back(node->result());
    }
    // Last ones first: what only they need is gone before it is looked at.
    for (size_t i = bytes.size(); i-- > 0;) {
      Value *v = bytes[i];
      Value *source = source_.at(v);
      const auto users = v->users();
      const bool inner = !users.empty() && std::all_of(users.begin(), users.end(), [&](const Node *user) {
        return user->region() == region && user->result_count() == 1 && source_.count(user->result()) &&
               source_.at(user->result()) == source;
      });
      if (inner || users.empty() || is_table(*v->producer()) || v->producer()->is(Op::bitcast)) continue;
      replace(v, source);
    }
    return changed_;
  }

private:
  // The byte tensor that the node's result is a function of; null when there is not exactly one.
  Value *source_of(const Node &node) const {
    Value *source = nullptr;
    for (size_t i = 0; i < node.operand_count(); ++i) {
      Value *v = node.operand(i);
      if (!v || is_number(v) || (is_table(node) && i == 0)) continue;
      auto it = source_.find(v);
      Value *own = it != source_.end() ? it->second : v;
      if (it == source_.end() && (!is_byte(v->type().dtype()) || v->constant())) return nullptr;
      if (v->type().shape() != node.result()->type().shape() || (source && own != source)) return nullptr;
      source = own;
    }
    return source;
  }

  // The nodes between source and v, in order.
  static void collect(Value *v, const Value *source, std::map<uint32_t, Node *> &nodes) {
    if (v == source || !v->producer() || v->constant() || nodes.count(v->producer()->id())) return;
    nodes[v->producer()->id()] = v->producer();
    for (Value *o : v->producer()->operands())
      if (o) collect(o, source, nodes);
  }

  // v[i] for each byte i of the source.
  static std::optional<Constant> table_of(Value *v, Value *source) {
    std::map<uint32_t, Node *> found;
    collect(v, source, found);
    std::vector<Node *> nodes;
    for (const auto &[id, node] : found) nodes.push_back(node);
    std::sort(nodes.begin(), nodes.end(), [](const Node *a, const Node *b) { return Graph::is_before(a, b); });
    Graph scratch("table");
    Region *body = scratch.main().body;
    Builder builder = Builder::at_end(scratch, body);
    std::vector<std::byte> every(256);
    for (size_t i = 0; i < every.size(); ++i) every[i] = static_cast<std::byte>(i);
    std::unordered_map<const Value *, Value *> known;
    known[source] = builder.constant(ConstantData::own(source->type().dtype(), {256}, std::move(every)));
    for (const Node *node : nodes) {
      std::vector<Value *> operands;
      for (Value *o : node->operands()) {
        if (o && !known.count(o)) {
          const ConstantData &data = *o->constant();
          known[o] = builder.constant(data.with_dims(data.count() == 1 ? std::vector<int64_t>{} : data.dims()));
        }
        operands.push_back(o ? known.at(o) : nullptr);
      }
      Node *copy = builder.node(node->op(), std::move(operands), node->attributes(),
                                {Type::tensor(node->result()->type().dtype(), {256})});
      const auto values = evaluate(*copy, kFuel);
      if (!values) return std::nullopt;
      known[node->result()] = builder.constant((*values)[0]);
    }
    return known.at(v)->constant()->with_dims({256});
  }

  void replace(Value *v, Value *source) {
    auto table = table_of(v, source);
    if (!table) return;
    Builder builder = Builder::ahead_of(graph_, v->producer());
    builder.set_origin(v->producer()->origin());
    Value *at = source;
    if (at->type().dtype() != DType::u8) at = builder.value(Op::bitcast, {at}, {}, at->type().with_dtype(DType::u8));
    Value *result = builder.value(Op::gather, {builder.constant(*table), at}, {{"axis", int64_t{0}}}, v->type());
    source_[result] = source;
    graph_.replace(v, result);
    changed_ = true;
    erase_unused(v->producer());
  }

  void erase_unused(Node *node) {
    if (node->is(Op::constant) || node->region_count() > 0 || !node->has(kPure)) return;
    for (const Value *v : node->results())
      if (!v->unused()) return;
    const std::vector<Value *> operands = node->operands();
    graph_.erase(node);
    for (const Value *o : operands)
      if (o && o->producer() && !o->producer()->erased()) erase_unused(o->producer());
  }

  Graph &graph_;
  bool changed_ = false;
  std::unordered_map<const Value *, Value *> source_; ///< looked up, never iterated
};

} // namespace

Result<bool> tabulate(Graph &graph, const PassOptions &) { return Tabulator(graph).run(graph.main().body); }

} // namespace cameo::passes
