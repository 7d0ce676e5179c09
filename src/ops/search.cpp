// Order and search: results whose extents depend on values.
#include "cameo/ops/small_value.h"
#include "rules.h"

namespace cameo::ops {

using namespace graph;

Inferred infer_search(InferContext &c) {
  const Type &x = c.type(0);
  if (!x.is_ranked()) return Inferred::wrong("the rank of the input is not known");
  if (c.node.op == Op::nonzero) return Type::tensor(DType::i64, {Dim(x.rank()), c.fresh(product(x.shape()))});

  std::optional<int64_t> axis;
  if (c.find("axis")) {
    axis = normal_axis(c.integer("axis"), x.rank());
    if (!axis)
      return Inferred::wrong("axis " + std::to_string(c.integer("axis")) + " is outside rank " +
                             std::to_string(x.rank()));
  }
  if (c.node.op == Op::topk) { // k along the axis
    if (!axis) return Inferred::wrong("an axis is missing");
    Shape shape = x.shape();
    const auto k = small_value(c.operand(1));
    if (k && k->ints.size() != 1) return Inferred::wrong("k is not one number");
    Dim count = k ? k->ints[0] : c.fresh(shape[size_t(*axis)]);
    if (count.is_constant() &&
        (count.value() < 0 || (shape[size_t(*axis)].is_constant() && count.value() > shape[size_t(*axis)].value())))
      return Inferred::wrong("k is " + count.str() + " of an axis of " + shape[size_t(*axis)].str());
    shape[size_t(*axis)] = count;
    return std::vector<Type>{Type::tensor(x.dtype(), shape), Type::tensor(DType::i64, shape)};
  }
  // unique: as many as there are, at most all.
  const Dim bound = axis ? x.dim(int(*axis)) : product(x.shape());
  const Dim count = c.fresh(bound);
  Shape shape = axis ? x.shape() : Shape{count};
  if (axis) shape[size_t(*axis)] = count;
  std::vector<Type> types = {Type::tensor(x.dtype(), shape)};
  if (c.wants(1)) types.push_back(Type::tensor(DType::i64, {count}));
  if (c.wants(2)) types.push_back(Type::tensor(DType::i64, {bound}));
  if (c.wants(3)) types.push_back(Type::tensor(DType::i64, {count}));
  return types;
}

} // namespace cameo::ops
