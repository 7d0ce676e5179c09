// Tensors made of nothing but their shape: extents, ranges.
#include "lowering.h"

namespace cameo::ops {
namespace {

using graph::Value;

// y[i] = values[i], one stage for each: they are few.
void dims(Lowering &l, const graph::Node &node) {
  const int32_t y = l.define_buffer(node.result());
  const std::vector<graph::Dim> &values = node.dims("values");
  for (size_t i = 0; i < values.size(); ++i) l.add_element(y, static_cast<int64_t>(i), l.dim_value(values[i]));
}

} // namespace

Problem lower_source(Lowering &l, const graph::Node &node) {
  const Value *y = node.result();
  const DType dtype = y->type().dtype();
  if (node.is(graph::Op::dims)) {
    dims(l, node);
    return {};
  }
  const Space space = l.space(y->type().shape());
  ExprId value = -1;
  if (node.is(graph::Op::iota)) {
    value = cast_value(l, l.kernel().axis_value(static_cast<int32_t>(node.integer("axis"))), DType::i64, dtype);
  } else { // range: start + i * delta
    const ExprId i = cast_value(l, l.kernel().axis_value(0), DType::i64, dtype);
    value = l.op(Opcode::add, l.read(node.operand(0), {}), l.op(Opcode::mul, i, l.read(node.operand(2), {})));
  }
  l.define_pointwise(y, space, value, name(node.op()));
  return {};
}

} // namespace cameo::ops
