// Small trees without a walk.
//
//   tree_ensemble(x, ...)   =>   tree_masks(x, ...)   where no tree has more than 64 leaves
//
// A walk of `depth` steps makes four gathers in each, one after the other. Testing all nodes of a tree needs one gather
// per node (of x) and no step waits for another, so that it is faster while a tree has few more nodes than its depth
// has gathers. Leaves are numbered from the left, the child of a passed test first; a failed test takes away the leaves
// on its left, and the first one that is left is the tree's. A node that is reached in two ways (the expansion of an
// equality) is a subtree twice.
//
// It refuses trees that are larger, constants that are not at hand, and ensembles whose largest tree is so much larger
// than its depth that a walk is cheaper.
#include "cameo/passes/passes.h"

#include "cameo/ir/builder.h"

#include <algorithm>

namespace cameo::passes {

namespace {

using namespace graph;

constexpr int64_t kMostLeaves = 64;
constexpr int64_t kTestsPerStep = 4; ///< what a step of a walk costs, in tests

const ConstantData *data_of(const Value *v) {
  const ConstantData *c = v ? v->constant() : nullptr;
  return c && c->available() ? c : nullptr;
}

struct Ensemble {
  const ConstantData *roots, *features, *splits, *children, *values, *missing;
  int64_t inner = 0; ///< nodes below that are tests
};

// Leaves below each node, a shared one as often as it is reached; no more than kMostLeaves + 1.
std::vector<int64_t> count_leaves(const Ensemble &e) {
  std::vector<int64_t> leaves(static_cast<size_t>(e.features->count()), 1);
  for (int64_t i = e.inner; i-- > 0;) {
    const auto left = static_cast<size_t>(e.children->as_int(2 * i + 1)),
               right = static_cast<size_t>(e.children->as_int(2 * i));
    leaves[static_cast<size_t>(i)] = std::min(leaves[left] + leaves[right], kMostLeaves + 1);
  }
  return leaves;
}

// The arrays of tree_masks, [tests, trees] each, and the leaf at each place of each tree.
struct Arrays {
  std::vector<int64_t> features, masks, missing;
  std::vector<double> splits;
  std::vector<int64_t> leaf; ///< [trees, width], -1 for none
};

Arrays arrays_of(const Ensemble &e, const std::vector<int64_t> &leaves, int64_t tests, int64_t width) {
  const int64_t trees = e.roots->count();
  const auto size = static_cast<size_t>(tests * trees);
  Arrays a{std::vector<int64_t>(size, 0), std::vector<int64_t>(size, -1), std::vector<int64_t>(size, 0),
           std::vector<double>(size, 0), std::vector<int64_t>(static_cast<size_t>(trees * width), -1)};
  for (int64_t t = 0; t < trees; ++t) {
    int64_t test = 0;
    std::vector<std::pair<int64_t, int64_t>> stack{{e.roots->as_int(t), 0}}; // node, its first leaf
    while (!stack.empty()) {
      const auto [node, first] = stack.back();
      stack.pop_back();
      if (node >= e.inner) {
        a.leaf[static_cast<size_t>(t * width + first)] = node - e.inner;
        continue;
      }
      const int64_t right = e.children->as_int(2 * node), left = e.children->as_int(2 * node + 1);
      const int64_t lost = leaves[static_cast<size_t>(left)];
      const auto at = static_cast<size_t>(test++ * trees + t);
      // Leaf 0 is the highest bit of the word. Fewer than `width` leaves are lost: the right child has one.
      const uint64_t bits = ((uint64_t{1} << lost) - 1) << (width - first - lost);
      const uint64_t mask = ~bits;
      a.masks[at] = width == 32 ? static_cast<int32_t>(static_cast<uint32_t>(mask)) : static_cast<int64_t>(mask);
      a.features[at] = e.features->as_int(node);
      a.splits[at] = e.splits->as_double(node);
      a.missing[at] = e.missing ? e.missing->as_int(node) : 0;
      stack.emplace_back(left, first);
      stack.emplace_back(right, first + lost);
    }
  }
  return a;
}

bool rewrite(Graph &graph, Node *node) {
  Ensemble e{data_of(node->operand(1)), data_of(node->operand(2)), data_of(node->operand(3)),
             data_of(node->operand(4)), data_of(node->operand(5)), data_of(node->operand(6))};
  if (!e.roots || !e.features || !e.splits || !e.children || !e.values || (node->operand(6) && !e.missing))
    return false;
  e.inner = e.features->count() - e.values->dims()[0];
  const std::vector<int64_t> leaves = count_leaves(e);
  int64_t most = 1;
  for (int64_t t = 0; t < e.roots->count(); ++t) most = std::max(most, leaves[static_cast<size_t>(e.roots->as_int(t))]);
  const int64_t tests = std::max<int64_t>(most - 1, 1);
  if (most > kMostLeaves || tests > kTestsPerStep * node->integer("depth")) return false;
  const int64_t width = most <= 32 ? 32 : 64, trees = e.roots->count();
  const Arrays a = arrays_of(e, leaves, tests, width);

  std::vector<int64_t> dims{trees, width};
  const bool grouped = e.values->dims().size() == 1;
  const int64_t columns = grouped ? 1 : e.values->dims()[1];
  if (!grouped) dims.push_back(columns);
  std::vector<double> values(static_cast<size_t>(trees * width * columns), 0);
  for (size_t i = 0; i < a.leaf.size(); ++i)
    for (int64_t k = 0; k < columns && a.leaf[i] >= 0; ++k)
      values[i * static_cast<size_t>(columns) + static_cast<size_t>(k)] = e.values->as_double(a.leaf[i] * columns + k);
  Builder b = Builder::ahead_of(graph, node);
  b.set_origin(node->origin());
  const std::vector<int64_t> shape{tests, trees};
  std::vector<Value *> operands{
      node->operand(0), b.constant(ConstantData::of_ints(DType::i32, shape, a.features)),
      b.constant(ConstantData::of_rounded(e.splits->dtype(), shape, a.splits)),
      b.constant(ConstantData::of_ints(width == 32 ? DType::i32 : DType::i64, shape, a.masks)),
      b.constant(ConstantData::of_rounded(e.values->dtype(), dims, values))};
  if (e.missing) operands.push_back(b.constant(ConstantData::of_ints(DType::i32, shape, a.missing)));
  Value *y = b.value(Op::tree_masks, std::move(operands),
                     {{"aggregate", node->string("aggregate")}, {"targets", node->integer("targets")}},
                     node->result()->type());
  graph.replace(node->result(), y);
  graph.erase(node);
  return true;
}

} // namespace

Result<bool> tree_masks(Graph &graph, const PassOptions &) {
  bool changed = false;
  for (const Function &function : graph.functions())
    for (Node *node : Graph::all_nodes(function.body))
      if (node->is(Op::tree_ensemble)) changed |= rewrite(graph, node);
  return changed;
}

} // namespace cameo::passes
