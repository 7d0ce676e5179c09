// Sequences whose elements are known one by one become these elements.
//
//   %s = sequence_construct %a, %b         %y = concat %b, %a        (%s and %t are not used any more)
//   %t = sequence_insert %s, %a, 2    =>
//   %u = sequence_erase %t, 0
//   %y = sequence_concat %u {axis = 0}
//
// Known are the elements of what is constructed, split at known places, and changed at known positions. A run-time
// symbol in the type of what is taken out stands for an extent that the element's type says; it is replaced everywhere.
// Refuses: sequences that come from outside, from loops or from branches, positions that only the run knows, and those
// out of range, which are an error of the run. Relies on dead_code to drop what is left over.
#include "cameo/passes/passes.h"

#include "cameo/ir/builder.h"
#include "cameo/ops/small_value.h"

#include <map>
#include <unordered_map>

namespace cameo::passes {

namespace {

using namespace graph;

constexpr int64_t kMostElements = 4096;

class Dissolver {
public:
  explicit Dissolver(Graph &graph) : graph_(graph) {}

  Result<bool> run() {
    for (Node *node : Graph::all_nodes(graph_.main().body)) {
      Builder builder = Builder::ahead_of(graph_, node);
      builder.set_origin(node->origin());
      Value *y = nullptr;
      if (node->is(Op::sequence_construct) || node->is(Op::sequence_insert) || node->is(Op::sequence_erase) ||
          node->is(Op::sequence_split))
        note(node, builder);
      else
        y = taken_out(node, builder);
      if (!y) continue;
      const Type from = node->result()->type(), to = y->type();
      graph_.replace(node->result(), y);
      graph_.erase(node);
      changed_ = true;
      if (Status s = refine(from, to); !s.ok()) return s.errors();
    }
    return changed_;
  }

private:
  using Elements = std::vector<Value *>;

  const Elements *known(const Value *container) const {
    auto it = elements_.find(container);
    return it == elements_.end() ? nullptr : &it->second;
  }

  static std::optional<std::vector<int64_t>> numbers(const Value *v) {
    const std::optional<ops::SmallTensor> small = ops::small_value(v);
    if (!small || small->is_real) return std::nullopt;
    std::vector<int64_t> list;
    for (const Dim &d : small->ints) {
      if (!d.is_constant()) return std::nullopt;
      list.push_back(d.value());
    }
    return list;
  }
  // A position in [0, count], negative ones counted from the end.
  static std::optional<size_t> position(const Value *v, size_t count, size_t end) {
    const auto list = numbers(v);
    if (!list || list->size() != 1) return std::nullopt;
    const int64_t at = (*list)[0] < 0 ? (*list)[0] + static_cast<int64_t>(count) : (*list)[0];
    if (at < 0 || at >= static_cast<int64_t>(end)) return std::nullopt;
    return static_cast<size_t>(at);
  }

  void note(Node *node, Builder &builder) {
    if (node->is(Op::sequence_split)) {
      if (std::optional<Elements> parts = split(*node, builder)) elements_[node->result()] = std::move(*parts);
      return;
    }
    if (node->is(Op::sequence_construct)) {
      if (static_cast<int64_t>(node->operand_count()) <= kMostElements) elements_[node->result()] = node->operands();
      return;
    }
    const Elements *before = known(node->operand(0));
    if (!before || before->size() >= static_cast<size_t>(kMostElements)) return;
    Elements list = *before;
    const bool insert = node->is(Op::sequence_insert);
    const Value *place = node->operand(insert ? 2 : 1);
    size_t at = insert ? list.size() : list.size() - 1;
    if (place) {
      const std::optional<size_t> given = position(place, list.size(), list.size() + (insert ? 1 : 0));
      if (!given) return;
      at = *given;
    } else if (!insert && list.empty()) {
      return;
    }
    if (insert)
      list.insert(list.begin() + static_cast<std::ptrdiff_t>(at), node->operand(1));
    else
      list.erase(list.begin() + static_cast<std::ptrdiff_t>(at));
    elements_[node->result()] = std::move(list);
  }

  // The parts of a tensor along an axis of known extent.
  std::optional<Elements> split(const Node &node, Builder &builder) {
    Value *x = node.operand(0);
    if (!x->type().is_ranked()) return std::nullopt;
    const int64_t axis = node.integer("axis");
    const Dim &extent = x->type().dim(static_cast<int>(axis));
    if (!extent.is_constant() || extent.value() > kMostElements) return std::nullopt;
    std::vector<int64_t> sizes(static_cast<size_t>(extent.value()), 1);
    if (const Value *v = node.operand(1)) {
      const auto given = numbers(v);
      if (!given || !v->type().is_ranked()) return std::nullopt;
      sizes = *given;
      int64_t sum = 0;
      if (v->type().rank() == 0) {
        const int64_t each = (*given)[0];
        if (each < 1) return std::nullopt;
        sizes.assign(static_cast<size_t>(extent.value() / each), each);
        if (extent.value() % each != 0) sizes.push_back(extent.value() % each);
      }
      for (int64_t size : sizes)
        if (size < 0 || __builtin_add_overflow(sum, size, &sum)) return std::nullopt;
      if (sum != extent.value()) return std::nullopt;
    }
    Elements parts;
    int64_t start = 0;
    for (int64_t size : sizes) {
      Value *part = builder.slice(x, axis, start, size);
      if (!node.operand(1) && !node.flag("keepdims")) {
        Shape shape = part->type().shape();
        shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis));
        part = builder.reshape(part, std::move(shape));
      }
      parts.push_back(part);
      start += size;
    }
    return parts;
  }

  // What an op that reads a container gives; null when that is not known.
  Value *taken_out(const Node *node, Builder &builder) {
    switch (node->op()) {
    case Op::sequence_at: {
      const Elements *list = known(node->operand(0));
      const auto at = list ? position(node->operand(1), list->size(), list->size()) : std::nullopt;
      return at ? (*list)[*at] : nullptr;
    }
    case Op::sequence_length: {
      const Elements *list = known(node->operand(0));
      if (list) return builder.constant(ConstantData::scalar_int(DType::i64, static_cast<int64_t>(list->size())));
      // A split into sizes that only the run knows has as many parts as there are sizes.
      const Node *split = node->operand(0)->producer();
      const Value *sizes = split && split->is(Op::sequence_split) ? split->operand(1) : nullptr;
      if (!sizes || !sizes->type().is_ranked() || sizes->type().rank() != 1) return nullptr;
      return builder.reshape(builder.dims({sizes->type().dim(0)}), {});
    }
    case Op::sequence_concat: {
      const Elements *list = known(node->operand(0));
      return list && !list->empty() ? concat(*node, *list, builder) : nullptr;
    }
    default:
      return nullptr;
    }
  }

  static Value *concat(const Node &node, const Elements &list, Builder &builder) {
    const Type &first = list[0]->type();
    if (!first.is_ranked()) return nullptr;
    const bool new_axis = node.flag("new_axis");
    const int64_t rank = first.rank() + (new_axis ? 1 : 0);
    int64_t axis = node.integer("axis");
    if (axis < 0) axis += rank;
    for (const Value *v : list) { // extents must agree but along the axis
      const Type &type = v->type();
      if (!type.is_ranked() || type.rank() != first.rank()) return nullptr;
      for (int d = 0; d < type.rank(); ++d)
        if (type.dim(d) != first.dim(d) && (new_axis || d != axis)) return nullptr;
    }
    Elements parts = list;
    if (new_axis)
      for (Value *&v : parts) {
        Shape shape = v->type().shape();
        shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(axis), Dim(1));
        v = builder.reshape(v, std::move(shape));
      }
    return parts.size() == 1 ? parts[0] : builder.concat(std::move(parts), axis);
  }

  // The symbols of a type that only the run was to know, as another type says them.
  Status refine(const Type &from, const Type &to) {
    if (!from.is_ranked() || !to.is_ranked() || from.rank() != to.rank()) return Ok();
    std::map<std::string, Dim> values;
    for (int d = 0; d < from.rank(); ++d)
      if (from.dim(d).is_runtime() && from.dim(d) != to.dim(d)) values.emplace(from.dim(d).symbol_key(), to.dim(d));
    return values.empty() ? Status(Ok()) : graph_.substitute(values);
  }

  Graph &graph_;
  std::unordered_map<const Value *, Elements> elements_; ///< looked up, never iterated
  bool changed_ = false;
};

} // namespace

Result<bool> dissolve_sequences(Graph &graph, const PassOptions &) { return Dissolver(graph).run(); }

} // namespace cameo::passes
