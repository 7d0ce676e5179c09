// Computes equal values once.
//
//   %a = exp %x                          %a = exp %x
//   %b = exp %x                          %c = add %a, %a
//   %c = add %a, %b
//
// Two nodes are equal when both are pure and without regions, and have the same op, attributes, result types and
// operands (of a commutative function: in any order). Constants are equal by content. The first of them stays, so a
// node is merged only with one that is visible from where it stands: earlier in its region, or in a region around it.
// Merging two nodes that define run-time symbols (`nonzero %x` twice) makes their symbols one. Refuses: random draws
// without a seed, which are not pure.
#include "cameo/passes/passes.h"

#include <algorithm>
#include <bit>
#include <unordered_map>

namespace cameo::passes {

namespace {

using namespace graph;

size_t mix(size_t hash, size_t value) { return (hash ^ value) * 0x9e3779b97f4a7c15ull + (hash >> 29); }
size_t hash_text(std::string_view text) { return std::hash<std::string_view>()(text); }

// A sample of the content: equal constants hash alike, and few bytes are read.
size_t hash_of(const ConstantData &data) {
  size_t hash = mix(static_cast<size_t>(data.dtype()), static_cast<size_t>(data.count()));
  if (!data.available()) return hash;
  if (data.dtype() == DType::string) {
    const std::vector<std::string> &values = data.string_values();
    for (size_t i = 0; i < values.size() && i < 16; ++i) hash = mix(hash, hash_text(values[i]));
    return hash;
  }
  const size_t size = data.bytes().size(), step = std::max<size_t>(1, size / 256);
  for (size_t i = 0; i < size; i += step) hash = mix(hash, std::to_integer<size_t>(data.bytes()[i]));
  return hash;
}

struct AttributeHash {
  size_t operator()(int64_t v) const { return static_cast<size_t>(v); }
  size_t operator()(double v) const { return std::bit_cast<uint64_t>(v); }
  size_t operator()(bool v) const { return v; }
  size_t operator()(const std::string &v) const { return hash_text(v); }
  size_t operator()(DType v) const { return static_cast<size_t>(v); }
  size_t operator()(Fn v) const { return static_cast<size_t>(v); }
  size_t operator()(const Dim &v) const { return v.is_constant() ? v.hash() : 1; } // symbols may be renamed
  size_t operator()(const Constant &v) const { return hash_of(*v); }
  template <class T> size_t operator()(const std::vector<T> &values) const {
    size_t hash = values.size();
    for (const T &v : values) hash = mix(hash, (*this)(v));
    return hash;
  }
};

class Merger {
public:
  explicit Merger(Graph &graph) : graph_(graph) {}

  bool run() {
    for (const Function &function : graph_.functions()) {
      table_.clear();
      region(function.body);
    }
    if (renamed_.empty()) return changed_;
    // A symbol that stands for another one may itself have been merged: follow to the end.
    for (auto &[key, symbol] : renamed_) symbol = current(symbol);
    Status status = graph_.substitute(renamed_);
    CAMEO_CHECK(status.ok(), "renaming symbols: " + to_string(status.errors()[0]));
    return changed_;
  }

private:
  void region(Region *region) {
    std::vector<size_t> added; // hashes entered here: values of this region are not visible outside of it
    for (Node *node : region->nodes()) {
      if (node->has(kPure) && node->region_count() == 0) {
        const size_t hash = this->hash(*node);
        std::vector<Node *> &candidates = table_[hash];
        if (std::any_of(candidates.begin(), candidates.end(), [&](Node *first) { return merge(first, node); })) {
          graph_.erase(node);
          changed_ = true;
        } else {
          candidates.push_back(node);
          added.push_back(hash);
        }
        continue;
      }
      std::unordered_map<size_t, std::vector<Node *>> outer;
      if (node->has(kIsolated)) outer.swap(table_);
      for (size_t i = 0; i < node->region_count(); ++i) this->region(node->body(i));
      if (node->has(kIsolated)) outer.swap(table_);
    }
    for (auto it = added.rbegin(); it != added.rend(); ++it) table_[*it].pop_back();
  }

  static std::vector<uint32_t> operand_ids(const Node &node) {
    std::vector<uint32_t> ids;
    for (const Value *operand : node.operands()) ids.push_back(operand ? operand->id() : UINT32_MAX);
    if (node.is(Op::elementwise) && info(node.fn()).has(kCommutative)) std::sort(ids.begin(), ids.end());
    return ids;
  }

  static size_t hash(const Node &node) {
    size_t hash = mix(static_cast<size_t>(node.op()), node.result_count());
    for (uint32_t id : operand_ids(node)) hash = mix(hash, id);
    for (const auto &[name, attribute] : node.attributes())
      hash = mix(mix(hash, hash_text(name)), std::visit(AttributeHash(), attribute));
    for (const Value *result : node.results()) {
      const Type &type = result->type();
      if (type.is_ranked()) hash = mix(mix(hash, static_cast<size_t>(type.rank())), static_cast<size_t>(type.dtype()));
    }
    return hash;
  }

  // Under the symbols renamed so far.
  std::optional<Dim> renamed(const std::string &key) const {
    auto it = renamed_.find(key);
    return it == renamed_.end() ? std::nullopt : std::optional(current(it->second));
  }
  Dim current(const Dim &dim) const {
    if (renamed_.empty()) return dim;
    return dim.substitute([&](const std::string &key) { return renamed(key); });
  }
  Type current(const Type &type) const {
    if (renamed_.empty()) return type;
    return type.substitute([&](const std::string &key) { return renamed(key); });
  }

  bool equal(const Attribute &a, const Attribute &b) const {
    if (same(a, b)) return true;
    if (renamed_.empty() || a.index() != b.index()) return false;
    if (auto x = std::get_if<Dim>(&a)) return current(*x) == current(std::get<Dim>(b));
    auto x = std::get_if<std::vector<Dim>>(&a);
    if (!x) return false;
    const auto &y = std::get<std::vector<Dim>>(b);
    return std::equal(x->begin(), x->end(), y.begin(), y.end(),
                      [&](const Dim &p, const Dim &q) { return current(p) == current(q); });
  }

  // Lets every use of `node` use `first` when they are equal.
  bool merge(Node *first, Node *node) {
    if (first->op() != node->op() || first->result_count() != node->result_count() ||
        operand_ids(*first) != operand_ids(*node) || first->attributes().size() != node->attributes().size())
      return false;
    for (size_t i = 0; i < node->attributes().size(); ++i) {
      const auto &[name, attribute] = node->attributes()[i];
      if (first->attributes()[i].first != name || !equal(first->attributes()[i].second, attribute)) return false;
    }
    std::map<std::string, Dim> symbols;
    for (size_t i = 0; i < node->result_count(); ++i)
      if (!same_type(*first, *node, current(first->result(i)->type()), current(node->result(i)->type()), symbols))
        return false;
    renamed_.merge(symbols);
    for (size_t i = 0; i < node->result_count(); ++i) graph_.replace(node->result(i), first->result(i));
    first->merge_origin(*node);
    return true;
  }

  // Equal, or different only in symbols that the two nodes define, which are noted in `symbols`.
  bool same_type(const Node &first, const Node &node, const Type &a, const Type &b,
                 std::map<std::string, Dim> &symbols) {
    if (a == b) return true;
    if (!first.has(kFresh) || !a.is_ranked() || !b.is_ranked() || a.rank() != b.rank()) return false;
    for (int i = 0; i < a.rank(); ++i) {
      const Dim &x = a.dim(i), &y = b.dim(i);
      if (x == y) continue;
      if (!x.is_runtime() || !y.is_runtime() || definer(x) != &first || definer(y) != &node) return false;
      if (symbols.emplace(y.symbol_key(), x).first->second != x) return false;
    }
    return a == b.with_shape(a.shape());
  }

  const Node *definer(const Dim &symbol) {
    if (!definers_) definers_ = graph_.runtime_definers(); // symbols of merged nodes are not looked up again
    auto it = definers_->find(symbol.symbol_key());
    return it == definers_->end() ? nullptr : it->second;
  }

  Graph &graph_;
  bool changed_ = false;
  std::unordered_map<size_t, std::vector<Node *>> table_; ///< by hash; looked up only, never iterated
  std::map<std::string, Dim> renamed_;                    ///< symbols of merged nodes
  std::optional<std::map<std::string, const Node *>> definers_;
};

} // namespace

Result<bool> common_subexpressions(Graph &graph, const PassOptions &) { return Merger(graph).run(); }

} // namespace cameo::passes
