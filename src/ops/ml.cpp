// Strings and classical machine learning.
#include "rules.h"

#include <algorithm>

namespace cameo::ops {

using namespace graph;

namespace {

// The data of a constant, when it is one and at hand.
Constant known(const Value *value) {
  const Node *node = value->producer();
  if (!node || !node->is(Op::constant) || !node->tensor("value")->available()) return nullptr;
  return node->tensor("value");
}

// Children, roots and features of a walk that are known must lie in range, and its length must be bounded: kernels rely
// on it.
std::string problem_of_walk(InferContext &c, int64_t nodes, int64_t leaves) {
  const Constant roots = known(c.operand(1)), features = known(c.operand(2)), children = known(c.operand(4));
  if (!roots || !features || !children) return "the trees are not constant";
  const Dim &columns = c.type(0).dim(1);
  for (int64_t i = 0; i < nodes; ++i)
    if (const int64_t f = features->as_int(i);
        f < 0 || (columns.is_constant() && f >= columns.value() && i < nodes - leaves))
      return "node " + std::to_string(i) + " reads feature " + std::to_string(f) + " of " + columns.str();
  std::vector<int32_t> depth(static_cast<size_t>(nodes), 0);
  for (int64_t i = nodes; i-- > 0;)
    for (int64_t k = 0; k < 2; ++k) {
      const int64_t child = children->as_int(2 * i + k);
      if (child < 0 || child >= nodes || (i < nodes - leaves ? child <= i : child != i))
        return "node " + std::to_string(i) + " has child " + std::to_string(child) + " of " + std::to_string(nodes);
      if (i < nodes - leaves) depth[size_t(i)] = std::max(depth[size_t(i)], depth[size_t(child)] + 1);
    }
  for (int64_t t = 0; t < roots->count(); ++t) {
    const int64_t root = roots->as_int(t);
    if (root < 0 || root >= nodes) return "root " + std::to_string(root) + " of " + std::to_string(nodes) + " nodes";
    if (depth[size_t(root)] > c.integer("depth"))
      return "tree " + std::to_string(t) + " is deeper than " + std::to_string(c.integer("depth"));
  }
  return {};
}

Inferred infer_trees(InferContext &c) {
  for (size_t i = 0; i < c.operands(); ++i)
    if (c.operand(i) && !c.type(i).is_ranked()) return Inferred::wrong("the rank of an operand is not known");
  const Type &x = c.type(0), &values = c.type(5);
  const Dim trees = c.type(1).rank() == 1 ? c.type(1).dim(0) : Dim(0),
            nodes = c.type(2).rank() == 1 ? c.type(2).dim(0) : Dim(0);
  const int64_t targets = c.integer("targets");
  if (x.rank() != 2) return Inferred::wrong("rows of rank " + std::to_string(x.rank()));
  if (!trees.is_constant() || !nodes.is_constant() || trees.value() < 1 || nodes.value() < 1)
    return Inferred::wrong("no trees");
  const bool shapes = c.type(3).shape() == Shape{nodes} && c.type(4).shape() == Shape{nodes * 2} &&
                      (!c.operand(6) || c.type(6).shape() == Shape{nodes}) && values.rank() >= 1 &&
                      values.rank() <= 2 && values.dim(0).is_constant() && values.dim(0).value() >= 1 &&
                      values.dim(0).value() <= nodes.value();
  if (!shapes) return Inferred::wrong("the arrays of nodes differ in length");
  for (size_t i : {1, 2, 4, 6})
    if (c.operand(i) && c.type(i).dtype() != DType::i32) return Inferred::wrong("node numbers are i32");
  if (!is_float(x.dtype()) || c.type(3).dtype() != x.dtype()) return Inferred::wrong("splits have the dtype of x");
  if (targets < 1 || (values.rank() == 2 ? !values.dim(1).is(targets) : trees.value() % targets != 0))
    return Inferred::wrong("the trees do not fit " + std::to_string(targets) + " targets");
  if (std::string problem = problem_of_walk(c, nodes.value(), values.dim(0).value()); !problem.empty())
    return Inferred::wrong(std::move(problem));
  return Type::tensor(values.dtype(), {x.dim(0), Dim(targets)});
}

Inferred infer_masks(InferContext &c) {
  for (size_t i = 0; i < c.operands(); ++i)
    if (c.operand(i) && !c.type(i).is_ranked()) return Inferred::wrong("the rank of an operand is not known");
  const Type &x = c.type(0), &features = c.type(1), &masks = c.type(3), &values = c.type(4);
  const int64_t targets = c.integer("targets");
  if (x.rank() != 2 || features.rank() != 2 || !features.dim(0).is_constant() || !features.dim(1).is_constant())
    return Inferred::wrong("no rows or no trees");
  const int64_t trees = features.dim(1).value();
  if (c.type(2).shape() != features.shape() || masks.shape() != features.shape() ||
      (c.operand(5) && c.type(5).shape() != features.shape()))
    return Inferred::wrong("the arrays of tests differ in shape");
  if (features.dtype() != DType::i32 || (masks.dtype() != DType::i32 && masks.dtype() != DType::i64) ||
      (c.operand(5) && c.type(5).dtype() != DType::i32))
    return Inferred::wrong("features are i32, masks i32 or i64");
  if (!is_float(x.dtype()) || c.type(2).dtype() != x.dtype()) return Inferred::wrong("splits have the dtype of x");
  const bool fits = targets >= 1 && trees >= 1 && values.rank() >= 2 && values.rank() <= 3 && values.dim(0).is(trees) &&
                    values.dim(1).is(bits(masks.dtype())) &&
                    (values.rank() == 3 ? values.dim(2).is(targets) : trees % targets == 0);
  if (!fits) return Inferred::wrong("the values do not fit the trees");
  const Constant data = known(c.operand(1));
  if (!data) return Inferred::wrong("the trees are not constant");
  for (int64_t i = 0; i < data->count(); ++i)
    if (const int64_t f = data->as_int(i); f < 0 || (x.dim(1).is_constant() && f >= x.dim(1).value()))
      return Inferred::wrong("a test reads feature " + std::to_string(f) + " of " + x.dim(1).str());
  return Type::tensor(values.dtype(), {x.dim(0), Dim(targets)});
}

} // namespace

Inferred infer_ml(InferContext &c) {
  const Type &x = c.type(0);
  auto like = [&](DType dtype) { return x.is_ranked() ? Type::tensor(dtype, x.shape()) : Type::unranked(dtype); };
  switch (c.node.op) {
  case Op::regex_match:
    return like(DType::boolean);
  case Op::tree_ensemble:
    return infer_trees(c);
  case Op::tree_masks:
    return infer_masks(c);
  case Op::pairwise_coupling: {
    const int64_t classes = c.integer("classes");
    if (!x.is_ranked() || x.rank() != 2) return Inferred::wrong("the probabilities of pairs are no matrix");
    if (classes < 2 || classes > 1 << 16 || !may_be_equal(x.dim(1), classes * (classes - 1) / 2))
      return Inferred::wrong(x.dim(1).str() + " pairs of " + std::to_string(classes) + " classes");
    return Type::tensor(x.dtype(), {x.dim(0), Dim(classes)});
  }
  default:
    break;
  }
  if (!x.is_ranked()) return Inferred::wrong("the rank of the input is not known");
  if (c.node.op == Op::string_split) { // parts: one more axis, as long as the longest split
    Shape parts = x.shape();
    parts.push_back(c.fresh());
    return std::vector<Type>{Type::tensor(DType::string, std::move(parts)), like(DType::i64)};
  }
  // tfidf: the last axis becomes the counts
  if (x.rank() < 1 || x.rank() > 2) return Inferred::wrong("an input of rank " + std::to_string(x.rank()));
  const auto &indexes = c.ints("indexes");
  const int64_t columns = indexes.empty() ? 0 : *std::max_element(indexes.begin(), indexes.end()) + 1;
  Shape shape(x.shape().begin(), x.shape().end() - 1);
  shape.push_back(columns);
  return Type::tensor(DType::f32, std::move(shape));
}

} // namespace cameo::ops
