// Finds where an output's strings come from: constants, moved about by gathers, reshapes and selections. The same
// movement of numbers gives the positions of the strings in one list of all of them.
#include "cameo/passes/labels.h"

#include "cameo/ir/builder.h"

#include <map>
#include <numeric>

namespace cameo::passes {

namespace {

using namespace graph;

constexpr int64_t kMostLabels = 1 << 16; ///< what a description should hold

// The positions of one tensor of strings. Nothing is built unless all of it can be.
class Positions {
public:
  explicit Positions(Graph &graph) : graph_(graph) {}

  // Whether `value` consists of strings of constants.
  bool known(const Value *value) {
    const Node *node = value->producer();
    if (!node || !value->type().is_tensor() || value->type().dtype() != DType::string || !value->type().is_ranked())
      return false;
    if (const auto it = known_.find(value->id()); it != known_.end()) return it->second;
    bool good = false;
    switch (node->op()) {
    case Op::constant:
      total_ += node->tensor("value")->available() ? node->tensor("value")->count() : kMostLabels + 1;
      good = total_ <= kMostLabels;
      break;
    case Op::gather:
    case Op::reshape:
    case Op::transpose:
    case Op::broadcast:
      good = known(node->operand(0));
      break;
    case Op::elementwise:
      good = node->fn() == Fn::select && known(node->operand(1)) && known(node->operand(2));
      break;
    default:
      break;
    }
    return known_[value->id()] = good;
  }

  Value *build(Value *value) {
    if (const auto it = built_.find(value->id()); it != built_.end()) return it->second;
    Node *node = value->producer();
    Builder b = Builder::ahead_of(graph_, node);
    b.set_origin(node->origin());
    Value *result = nullptr;
    if (node->is(Op::constant)) {
      const Constant &strings = node->tensor("value");
      std::vector<int64_t> numbers(static_cast<size_t>(strings->count()));
      std::iota(numbers.begin(), numbers.end(), static_cast<int64_t>(labels_.size()));
      labels_.insert(labels_.end(), strings->string_values().begin(), strings->string_values().end());
      result = b.constant(ConstantData::of_ints(DType::i64, strings->dims(), numbers));
    } else {
      std::vector<Value *> operands = node->operands();
      for (Value *&v : operands)
        if (v && v->type().is_tensor() && v->type().dtype() == DType::string) v = build(v);
      result = b.value(node->op(), std::move(operands), node->attributes(), value->type().with_dtype(DType::i64));
    }
    return built_[value->id()] = result;
  }

  Constant labels() const { return ConstantData::strings({static_cast<int64_t>(labels_.size())}, labels_); }

private:
  Graph &graph_;
  int64_t total_ = 0;
  std::map<uint32_t, bool> known_;
  std::map<uint32_t, Value *> built_;
  std::vector<std::string> labels_;
};

} // namespace

std::vector<OutputLabels> expose_labels(Graph &graph) {
  Function &main = graph.main();
  std::vector<Value *> results = main.body->results();
  std::vector<OutputLabels> labels(results.size());
  for (size_t i = 0; i < results.size(); ++i) {
    Node *node = results[i]->producer();
    if (!node) continue;
    if (node->is(Op::zip_map)) {
      labels[i] = {OutputLabels::Kind::columns, node->tensor("keys")};
      results[i] = node->operand(0);
      continue;
    }
    Positions positions(graph);
    if (!positions.known(results[i])) continue;
    results[i] = positions.build(results[i]);
    labels[i] = {OutputLabels::Kind::elements, positions.labels()};
  }
  graph.set_results(main, std::move(results), main.result_names);
  return labels;
}

} // namespace cameo::passes
