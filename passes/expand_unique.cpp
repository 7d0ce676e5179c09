// Unique values in terms of sorting, counting and gathering, so that nothing behind this pass knows of it.
//
//   x        sorted by topk, together with where each element comes from
//   new[i]   the element differs from the one before it: begins a group
//   place    nonzero(new): where the groups begin, in as many elements as there are groups
//
// Along an axis the elements are slices, sorted like words: by the last letter first, each time keeping the order of
// equal ones. Where the result is to be in order of first occurrence, the groups are sorted once more by where they
// come from.
#include "cameo/passes/passes.h"

#include "cameo/ir/builder.h"

#include <numeric>

namespace cameo::passes {

namespace {

using namespace graph;

class Expansion {
public:
  Expansion(Graph &graph, Node *unique) : graph_(graph), unique_(unique), b_(Builder::ahead_of(graph, unique)) {
    b_.set_origin(unique->origin());
  }

  void run() {
    Value *x = unique_->operand();
    const bool slices = unique_->has_attribute("axis");
    const size_t axis = slices ? static_cast<size_t>(unique_->integer("axis")) : 0;
    const Type &result = unique_->result()->type();
    count_ = result.shape()[axis];
    // Rows [n, k]: the slices one after the other.
    std::vector<int64_t> perm(static_cast<size_t>(x->type().rank()));
    std::iota(perm.begin(), perm.end(), 0);
    if (slices) {
      perm.erase(perm.begin() + static_cast<std::ptrdiff_t>(axis));
      perm.insert(perm.begin(), static_cast<int64_t>(axis));
      x = b_.transpose(x, perm);
    }
    Shape rest = x->type().shape();
    n_ = slices ? rest[0] : product(rest);
    rest.erase(rest.begin(), rest.begin() + (slices ? 1 : static_cast<std::ptrdiff_t>(rest.size())));
    const Dim width = product(rest);
    Value *rows = b_.reshape(x, {n_, width});
    // bool sorts as a number.
    const DType dtype = rows->type().dtype();
    Value *keys = dtype == DType::boolean ? b_.cast(rows, DType::u8) : rows;
    Value *order = sorted_order(keys, width);

    Value *sorted = b_.gather(keys, order, 0), *number = b_.iota(DType::i64, {n_}, 0);
    Value *zero = integer(0), *one = integer(1);
    Value *before = b_.gather(sorted, b_.elementwise(Fn::max, {b_.sub(number, one), zero}), 0);
    Value *same = b_.cast(b_.elementwise(Fn::equal, {sorted, before}), DType::i64);
    Value *equal = b_.elementwise(Fn::less, {zero, b_.reduce("min", same, {1}, false)});
    Value *begins = b_.elementwise(
        Fn::logical_or, {b_.elementwise(Fn::equal, {number, zero}), b_.elementwise(Fn::logical_not, {equal})});
    Value *place = b_.reshape(b_.value(Op::nonzero, {begins}, {}, Type::tensor(DType::i64, {1, count_})), {count_});
    Value *group =
        b_.sub(b_.value(Op::cumulative, {b_.cast(begins, DType::i64)},
                        {{"fn", std::string("sum")}, {"axis", int64_t{0}}, {"exclusive", false}, {"reverse", false}},
                        Type::tensor(DType::i64, {n_})),
               one);
    Value *first = b_.gather(order, place, 0);
    if (!unique_->flag("sorted")) {
      Value *by_occurrence = smallest_first(first, count_)[1];
      first = b_.gather(first, by_occurrence, 0);
      group = b_.gather(scatter(zeros(count_), by_occurrence, b_.iota(DType::i64, {count_}, 0), "none"), group, 0);
    }

    Value *y = b_.gather(rows, first, 0);
    Shape shape = rest;
    shape.insert(shape.begin(), count_);
    if (!slices) shape = {count_};
    y = b_.reshape(y, shape);
    if (slices) {
      std::vector<int64_t> back(perm.size());
      for (size_t d = 0; d < perm.size(); ++d) back[static_cast<size_t>(perm[d])] = static_cast<int64_t>(d);
      y = b_.transpose(y, back);
    }
    replace(0, y);
    replace(1, first);
    if (wants(2)) replace(2, scatter(zeros(n_), order, group, "none"));
    if (wants(3)) replace(3, scatter(zeros(count_), group, b_.broadcast(b_.reshape(one, {1}), {n_}), "add"));
    graph_.erase(unique_);
  }

private:
  Value *integer(int64_t v) { return b_.constant(ConstantData::scalar_int(DType::i64, v)); }
  Value *zeros(const Dim &n) { return b_.broadcast(b_.reshape(integer(0), {1}), {n}); }
  Value *scatter(Value *to, Value *at, Value *values, const char *reduction) {
    return b_.value(Op::scatter_elements, {to, at, values},
                    {{"axis", int64_t{0}}, {"reduction", std::string(reduction)}}, to->type());
  }
  std::vector<Value *> smallest_first(Value *x, const Dim &n) { return smallest_first(b_, x, n); }
  static std::vector<Value *> smallest_first(Builder &b, Value *x, const Dim &n) {
    Node *node = b.node(Op::topk, {x}, {{"axis", int64_t{0}}, {"largest", false}, {"sorted", true}},
                        {x->type(), Type::tensor(DType::i64, {n})});
    return {node->result(0), node->result(1)};
  }

  // The rows' numbers in the order of the rows.
  Value *sorted_order(Value *rows, const Dim &width) {
    if (width.is(1)) return smallest_first(b_.reshape(rows, {n_}), n_)[1];
    const Type list = Type::tensor(DType::i64, {n_});
    Value *trip = b_.reshape(b_.dims({width}), {});
    Node *loop = b_.node(Op::loop, {trip, nullptr, b_.iota(DType::i64, {n_}, 0)}, {}, {list});
    Region *body = graph_.add_region(loop);
    Value *i = graph_.add_argument(body, Type::scalar(DType::i64));
    Value *go = graph_.add_argument(body, Type::scalar(DType::boolean));
    Value *order = graph_.add_argument(body, list);
    Builder b = Builder::at_end(graph_, body);
    b.set_origin(unique_->origin());
    Value *letter = b.sub(b.reshape(b.dims({width - 1}), {}), i);
    Value *keys = b.gather(b.gather(rows, letter, 1), order, 0);
    graph_.set_results(body, {go, b.gather(order, smallest_first(b, keys, n_)[1], 0)});
    return loop->result();
  }

  bool wants(size_t i) const { return i < unique_->result_count() && !unique_->result(i)->unused(); }
  void replace(size_t i, Value *value) {
    if (i < unique_->result_count()) graph_.replace(unique_->result(i), value);
  }

  Graph &graph_;
  Node *unique_;
  Builder b_;
  Dim n_, count_;
};

} // namespace

Result<bool> expand_unique(Graph &graph, const PassOptions &) {
  bool changed = false;
  for (const Function &function : graph.functions())
    for (Node *node : Graph::all_nodes(function.body))
      if (node->is(Op::unique) && node->operand()->type().is_ranked() &&
          node->operand()->type().dtype() != DType::string &&
          kind(node->operand()->type().dtype()) != DTypeKind::complex) {
        Expansion(graph, node).run();
        changed = true;
      }
  return changed;
}

} // namespace cameo::passes
