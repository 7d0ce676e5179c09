// Quantisation, as ONNX states it:
//
//   quantize    y[i] = saturate(round_half_even(x[i] / scale) + zero_point)
//   dequantize  y[i] = (x[i] - zero_point) * scale
//
// Scale and zero point are one for the tensor, one per index of `axis`, or one per `block` indices of it. A quotient is
// rounded to the `compute` dtype before it is rounded to an integer. NaN becomes the least integer. Floats of 8 bits
// and less take the quotient as they store it. What is quantised here is rounded here: a reader in the same kernel sees
// the integer.
#include "lowering.h"

#include <cmath>

namespace cameo::ops {
namespace {

using graph::Value;

/// Element of the scale or the zero point that belongs to the point of `space`.
ExprId parameter(Lowering &l, const graph::Node &node, const Value *v, const Space &space) {
  std::vector<Index> at;
  const int rank = v->type().rank();
  if (rank > 0 && !product(v->type().shape()).is(1)) {
    const auto axis = static_cast<size_t>(node.integer("axis"));
    const int64_t block = node.integer_or("block", 0);
    if (block == 0) {
      at = {space.dims[axis]};
    } else {
      at = space.dims;
      at[axis] = Lowering::at(l.op(Opcode::udiv, l.index_value(space.dims[axis]), l.integer(block)));
    }
  } else {
    at.resize(static_cast<size_t>(rank));
  }
  return l.read(v, std::move(at));
}

// Whether dividing by the scale changes nothing.
bool divides_by_one(const Lowering &l, const Value *scale) {
  const graph::ConstantData *known = l.constant(scale);
  return known && known->count() == 1 && known->as_double(0) == 1;
}

Problem lower_quantized(Lowering &l, const graph::Node &node) {
  const Value *x = node.operand(0), *scale = node.operand(1), *zero = node.operand(2), *y = node.result();
  const DType to = y->type().dtype();
  const DType compute = node.has_attribute("compute") ? node.dtype("compute") : x->type().dtype();
  if (!is_float(compute) || (!is_float(to) && bits(to) > 16))
    return "quantize from " + std::string(name(x->type().dtype())) + " to " + std::string(name(to)) + " has no kernel";
  const Scalar t = value_type(compute);
  const Space space = l.space_of(y->type().shape(), {node.operand(0)});
  ExprId q = cast_value(l, l.read(x, space.dims), x->type().dtype(), compute);
  if (!divides_by_one(l, scale)) {
    q = l.op(Opcode::div, q, cast_value(l, parameter(l, node, scale, space), scale->type().dtype(), compute));
    if (bits(compute) < 32) q = cast_value(l, q, DType::f32, compute);
  }
  if (is_float(to)) {
    q = convert(l, q, compute, value_type(to));
    if (zero) q = l.op(Opcode::add, q, parameter(l, node, zero, space));
    l.define_pointwise(y, space, q, "quantize");
    l.set_saturate(y, node.flag("saturate"));
    return {};
  }
  q = l.op(Opcode::rint, q);
  // In floats the sum is exact, or so large that it saturates either way.
  if (zero) q = l.op(Opcode::add, q, convert(l, parameter(l, node, zero, space), to, t));
  const bool is_signed = kind(to) == DTypeKind::signed_integer;
  const double count = std::ldexp(1.0, bits(to)), least = is_signed ? -count / 2 : 0;
  const ExprId low = l.number(t, least), high = l.number(t, least + count - 1);
  q = l.select(l.op(Opcode::gt, q, low), q, low); // false with NaN
  q = l.select(l.op(Opcode::lt, q, high), q, high);
  q = l.kernel().cast(Opcode::fptosi, q, Scalar::i32);
  l.define_pointwise(y, space, convert(l, q, DType::i32, value_type(to)), "quantize");
  return {};
}

Problem lower_dequantized(Lowering &l, const graph::Node &node) {
  const Value *x = node.operand(0), *scale = node.operand(1), *zero = node.operand(2), *y = node.result();
  const DType from = x->type().dtype(), to = y->type().dtype();
  if (!is_float(from) && bits(from) > 32) return "dequantize of " + std::string(name(from)) + " has no kernel";
  const Space space = l.space_of(y->type().shape(), {node.operand(0)});
  ExprId q = l.read(x, space.dims);
  const Scalar t = is_float(from) ? value_type(from) : Scalar::i32;
  q = convert(l, q, from, t);
  const graph::ConstantData *known = zero ? l.constant(zero) : nullptr;
  const bool is_zero = known && known->count() == 1 && known->as_double(0) == 0;
  if (zero && !is_zero) q = l.op(Opcode::sub, q, convert(l, parameter(l, node, zero, space), from, t));
  const DType scale_dtype = scale->type().dtype();
  const Scalar real = value_type(scale_dtype);
  q = convert(l, q, is_float(from) ? from : DType::i32, real);
  q = l.op(Opcode::mul, q, parameter(l, node, scale, space));
  if (scale_dtype != to) q = cast_value(l, q, scale_dtype, to);
  l.define_pointwise(y, space, q, "dequantize");
  return {};
}

} // namespace

Problem lower_quantize(Lowering &l, const graph::Node &node) {
  return node.is(graph::Op::quantize) ? lower_quantized(l, node) : lower_dequantized(l, node);
}

} // namespace cameo::ops
