// Types of constants, ranges and random states.
#include "cameo/ops/small_value.h"
#include "rules.h"

#include <cmath>

namespace cameo::ops {

using namespace graph;

namespace {

// max(0, ceil((limit - start) / delta)) where the operands are known; nullopt where not.
std::optional<Dim> range_length(const SmallTensor &start, const SmallTensor &limit, const SmallTensor &delta,
                                const Graph &graph) {
  if (start.is_real) {
    const double n = std::ceil((limit.reals[0] - start.reals[0]) / delta.reals[0]);
    if (std::isnan(n) || n > 0x1p62) return Dim::invalid(Dim::Fault::overflow);
    return Dim(n < 0 ? 0 : int64_t(n));
  }
  const Dim span = limit.ints[0] - start.ints[0], step = delta.ints[0];
  if (!step.is_constant() || step.value() == INT64_MIN) return std::nullopt;
  if (const Interval bounds = graph.bounds(span); step.value() > 0) {
    const Dim n = ceildiv(span, step);
    return bounds.lower && *bounds.lower >= 0 ? n : max(n, 0);
  }
  return max(ceildiv(Dim(0) - span, -step.value()), 0);
}

} // namespace

// constant: as its data. dims: i64[n]. range: 1-D. seed: a token.
Inferred infer_source(InferContext &c) {
  switch (c.node.op) {
  case Op::constant: {
    const Constant &data = *c.get<Constant>("value");
    return Type::tensor(data->dtype(), Shape(data->dims().begin(), data->dims().end()));
  }
  case Op::dims:
    return Type::tensor(DType::i64, {int64_t(c.dims("values").size())});
  case Op::seed:
    return Type::token();
  default:
    break;
  }
  for (size_t i = 0; i < 3; ++i) {
    const Type &t = c.type(i);
    if (t.dtype() != c.type(0).dtype()) return Inferred::wrong("start, limit and delta differ in type");
    if (t.is_ranked() && !(t.rank() == 0 || (t.rank() == 1 && t.dim(0).is(1))))
      return Inferred::wrong("start, limit and delta must be scalars");
  }
  const auto start = small_value(c.operand(0)), limit = small_value(c.operand(1)), delta = small_value(c.operand(2));
  if (delta && (delta->is_real ? delta->reals[0] == 0 : delta->ints[0].is(0))) return Inferred::wrong("the step is 0");
  std::optional<Dim> n;
  if (start && limit && delta) n = range_length(*start, *limit, *delta, c.graph);
  return Type::tensor(c.type(0).dtype(), {n ? *n : c.fresh()});
}

} // namespace cameo::ops
