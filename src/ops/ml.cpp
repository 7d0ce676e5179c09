// Strings and classical machine learning.
#include "rules.h"

#include <algorithm>

namespace cameo::ops {

using namespace graph;

Inferred infer_ml(InferContext &c) {
  const Type &x = c.type(0);
  auto like = [&](DType dtype) { return x.is_ranked() ? Type::tensor(dtype, x.shape()) : Type::unranked(dtype); };
  switch (c.node.op) {
  case Op::regex_match:
    return like(DType::boolean);
  case Op::label_encode:
    return like((*c.get<Constant>("values"))->dtype());
  default:
    break;
  }
  if (!x.is_ranked()) return Inferred::wrong("the rank of the input is not known");
  if (c.node.op == Op::string_split) { // parts: one more axis, as long as the longest split
    Shape parts = x.shape();
    parts.push_back(c.fresh());
    return std::vector<Type>{Type::tensor(DType::string, std::move(parts)), like(DType::i64)};
  }
  if (c.node.op == Op::tfidf) { // the last axis becomes the counts
    if (x.rank() < 1 || x.rank() > 2) return Inferred::wrong("an input of rank " + std::to_string(x.rank()));
    const auto &indexes = c.ints("indexes");
    const int64_t columns = indexes.empty() ? 0 : *std::max_element(indexes.begin(), indexes.end()) + 1;
    Shape shape(x.shape().begin(), x.shape().end() - 1);
    shape.push_back(columns);
    return Type::tensor(DType::f32, std::move(shape));
  }
  // svm
  const Dim rows = x.rank() == 2 ? x.dim(0) : Dim(1);
  const std::string_view task = c.word("task");
  int64_t columns = 1;
  if (task == "classification") {
    const auto classes = int64_t(c.ints("vectors_per_class").size());
    const auto *probabilities = c.get<std::vector<double>>("prob_a");
    columns = probabilities && !probabilities->empty() ? classes : classes * (classes - 1) / 2;
  }
  std::vector<Type> types = {Type::tensor(DType::f32, {rows, columns})};
  if (c.wants(1)) types.push_back(Type::tensor(DType::i64, {rows}));
  return types;
}

} // namespace cameo::ops
