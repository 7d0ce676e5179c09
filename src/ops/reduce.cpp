// Reductions and what works along axes without changing the shape: softmax, cumulative sums, normalizations.
#include "rules.h"

#include <algorithm>

namespace cameo::ops {

using namespace graph;

// reduce: y = fn over `axes` (none: nothing is reduced). arg_reduce: i64 index along `axis`.
Inferred infer_reduce(InferContext &c) {
  const Type &x = c.type(0);
  const bool arg = c.node.op == Op::arg_reduce;
  const DType dtype = arg ? DType::i64 : c.node.dtype.value_or(x.dtype());
  std::vector<int64_t> axes = arg ? std::vector{c.integer("axis")} : c.ints("axes");
  if (!x.is_ranked()) return Inferred::wrong("the rank of the input is not known");
  std::vector<bool> reduced(size_t(x.rank()), false);
  for (int64_t axis : axes) {
    const std::optional<int64_t> normal = normal_axis(axis, x.rank());
    if (!normal)
      return Inferred::wrong("axis " + std::to_string(axis) + " is outside rank " + std::to_string(x.rank()));
    if (reduced[size_t(*normal)]) return Inferred::wrong("axis " + std::to_string(axis) + " is named twice");
    reduced[size_t(*normal)] = true;
    if (arg && x.dim(int(*normal)).is(0))
      return Inferred::wrong("an extreme of axis " + std::to_string(axis) + ", which is empty");
  }
  Shape shape;
  for (int i = 0; i < x.rank(); ++i)
    if (!reduced[size_t(i)])
      shape.push_back(x.dim(i));
    else if (c.flag("keepdims"))
      shape.push_back(1);
  return Type::tensor(dtype, std::move(shape));
}

// cumulative, softmax, string_normalize without stop words: the type of x; the axis must exist.
Inferred infer_same(InferContext &c) {
  const Type &x = c.type(0);
  if (c.find("axis") && x.is_ranked() && !normal_axis(c.integer("axis"), x.rank()))
    return Inferred::wrong("axis " + std::to_string(c.integer("axis")) + " is outside rank " +
                           std::to_string(x.rank()));
  return x;
}

// y: the type of x. mean and inv_std_dev: x's shape with 1 at `axes`.
Inferred infer_normalize(InferContext &c) {
  const Type &x = c.type(0);
  if (!x.is_ranked()) return Inferred::wrong("the rank of the input is not known");
  Shape statistics = x.shape();
  for (int64_t axis : c.ints("axes")) {
    const std::optional<int64_t> normal = normal_axis(axis, x.rank());
    if (!normal)
      return Inferred::wrong("axis " + std::to_string(axis) + " is outside rank " + std::to_string(x.rank()));
    statistics[size_t(*normal)] = 1;
  }
  const std::string_view kind = c.word("kind");
  for (size_t i = 1; i < c.operands(); ++i) {
    if (!c.operand(i) || !c.type(i).is_ranked()) continue;
    const Shape &shape = c.type(i).shape();
    if (kind == "layer" || kind == "rms") {
      std::optional<Shape> joined = broadcast_shapes(x.shape(), shape);
      if (!joined || joined->size() != x.shape().size())
        return Inferred::wrong("scale or bias " + shape_text(shape) + " does not broadcast to " +
                               shape_text(x.shape()));
    } else if (shape.size() != 1 || x.rank() < 2 || !may_be_equal(shape[0], x.dim(1))) {
      return Inferred::wrong("parameter " + shape_text(shape) + " does not fit the channels of " +
                             shape_text(x.shape()));
    }
  }
  if (const int64_t groups = c.integer("groups", 1); kind == "group") {
    if (groups < 1 || (x.dim(1).is_constant() && x.dim(1).value() % groups != 0))
      return Inferred::wrong(std::to_string(groups) + " groups do not divide " + x.dim(1).str() + " channels");
  }
  const auto *compute = c.get<DType>("compute");
  std::vector<Type> types = {x};
  for (size_t i = 1; i <= 2; ++i)
    if (c.wants(i)) types.push_back(Type::tensor(compute ? *compute : x.dtype(), statistics));
  return types;
}

// det: the last two axes, a square, become one number.
Inferred infer_det(InferContext &c) {
  const Type &x = c.type(0);
  if (!x.is_ranked()) return Inferred::wrong("the rank of the input is not known");
  if (x.rank() < 2 || !may_be_equal(x.dim(-1), x.dim(-2)))
    return Inferred::wrong("the last two axes of " + shape_text(x.shape()) + " are no square matrix");
  return Type::tensor(x.dtype(), Shape(x.shape().begin(), x.shape().end() - 2));
}

} // namespace cameo::ops
