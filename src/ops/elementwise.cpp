// Elementwise functions and conversions: y[i] = f(a[i], b[i], ...) after numpy broadcasting.
#include "rules.h"

#include <algorithm>

namespace cameo::ops {

using namespace graph;

// dtype: of the last operand, or bool. Operands agree in dtype, but for the condition of select and the exponent of
// pow.
Inferred infer_elementwise(InferContext &c) {
  const Fn fn = *c.get<Fn>("fn");
  const FnInfo &row = info(fn);
  if (int(c.operands()) != row.arity)
    return Inferred::wrong(std::string(row.text) + " with a wrong number of operands");
  DType dtype = c.type(c.operands() - 1).dtype();
  if (fn == Fn::pow) dtype = c.type(0).dtype();
  for (size_t i = 0; i < c.operands(); ++i) {
    if ((fn == Fn::select && i == 0) || (fn == Fn::pow && i == 1)) continue;
    if (c.type(i).dtype() != dtype)
      return Inferred::wrong("operands are " + std::string(name(c.type(i).dtype())) + " and " +
                             std::string(name(dtype)));
  }
  if (row.result == FnResult::boolean) dtype = DType::boolean;
  Shape shape;
  for (size_t i = 0; i < c.operands(); ++i) {
    if (!c.type(i).is_ranked()) return Type::unranked(dtype);
    std::optional<Shape> joined = broadcast_shapes(shape, c.type(i).shape());
    if (!joined)
      return Inferred::wrong("shapes " + shape_text(shape) + " and " + shape_text(c.type(i).shape()) +
                             " do not broadcast");
    shape = std::move(*joined);
  }
  return Type::tensor(dtype, std::move(shape));
}

namespace {

// Scales (and zero points) of quantize and dequantize: a scalar, one per index of `axis`, or one per block of `axis`.
std::string scale_problem(InferContext &c) {
  const Type &x = c.type(0), &scale = c.type(1);
  if (!x.is_ranked() || !scale.is_ranked()) return "";
  for (size_t i = 2; i < c.operands(); ++i)
    if (c.operand(i) && c.type(i).is_ranked() && c.type(i).shape() != scale.shape() && product(c.type(i).shape()) != 1)
      return "zero point has shape " + shape_text(c.type(i).shape()) + " where the scale has " +
             shape_text(scale.shape());
  if (scale.rank() == 0 || product(scale.shape()).is(1)) return "";
  if (!c.find("axis")) return "a scale per channel needs an axis";
  const std::optional<int64_t> axis = normal_axis(c.integer("axis"), x.rank());
  if (!axis) return "axis " + std::to_string(c.integer("axis")) + " is outside rank " + std::to_string(x.rank());
  const int64_t block = c.integer("block");
  if (block > 0) {
    if (scale.rank() != x.rank()) return "blocked scales must have the rank of the input";
    for (int i = 0; i < x.rank(); ++i)
      if (!may_be_equal(scale.dim(i), i == *axis ? ceildiv(x.dim(i), block) : x.dim(i)))
        return "scale " + shape_text(scale.shape()) + " does not fit input " + shape_text(x.shape()) +
               " in blocks of " + std::to_string(block);
    return "";
  }
  if (scale.rank() != 1 || !may_be_equal(scale.dim(0), x.dim(int(*axis))))
    return "scale " + shape_text(scale.shape()) + " does not fit axis " + std::to_string(*axis) + " of " +
           shape_text(x.shape());
  return "";
}

} // namespace

// cast, bitcast, quantize, dequantize: the shape of x, another dtype.
Inferred infer_convert(InferContext &c) {
  const Op op = c.node.op;
  DType dtype;
  if (op == Op::quantize || op == Op::dequantize) {
    if (std::string problem = scale_problem(c); !problem.empty()) return Inferred::wrong(std::move(problem));
    dtype = c.node.dtype ? *c.node.dtype : op == Op::quantize ? c.type(2).dtype() : c.type(1).dtype();
  } else {
    if (!c.node.dtype) return Inferred::wrong("the type to convert to is missing");
    dtype = *c.node.dtype;
    if (op == Op::bitcast && bits(dtype) != bits(c.type(0).dtype()))
      return Inferred::wrong(std::string(name(c.type(0).dtype())) + " and " + std::string(name(dtype)) +
                             " differ in width");
  }
  return c.type(0).is_ranked() ? Type::tensor(dtype, c.type(0).shape()) : Type::unranked(dtype);
}

} // namespace cameo::ops
