// Extents that only the run knows, as kernels: what comes before the kernel of an op whose result has such a shape.
// Each computes all extents of all results of its node, one i64 each.
#include "lowering.h"

namespace cameo::ops {
namespace {

using graph::Dim;
using graph::Node;
using graph::Op;
using graph::Value;

// Element k of a tensor of integers (a scalar: element 0) as i64.
ExprId element(Lowering &l, const Value *v, int64_t k) {
  std::vector<Index> at;
  if (v->type().rank() > 0) at.push_back(Index{{}, k, -1});
  return convert(l, l.read(v, std::move(at)), v->type().dtype(), Scalar::i64);
}

// a / b rounded up, for b != 0.
ExprId ceil_div(Lowering &l, ExprId a, ExprId b) {
  const ExprId q = l.op(Opcode::div, a, b), r = l.op(Opcode::rem, a, b);
  const ExprId same_sign = l.op(Opcode::ge, l.op(Opcode::bit_xor, a, b), l.integer(0));
  const ExprId up = l.op(Opcode::bit_and, l.op(Opcode::ne, r, l.integer(0)), same_sign);
  return l.op(Opcode::add, q, l.select(up, l.integer(1), l.integer(0)));
}

// y[i] = start + i * delta for max(0, ceil((limit - start) / delta)) elements; delta 0 gives -1, which nobody accepts.
Problem range(Lowering &l, const Node &node, std::vector<ExprId> &extents) {
  const DType dtype = node.result()->type().dtype();
  std::vector<ExprId> x;
  for (const Value *v : node.operands()) x.push_back(l.read(v, std::vector<Index>(size_t(v->type().rank()))));
  ExprId count = -1, stuck = -1;
  if (is_float(dtype)) {
    const ExprId difference = convert(l, l.op(Opcode::sub, x[1], x[0]), dtype, Scalar::f64);
    const ExprId delta = convert(l, x[2], dtype, Scalar::f64);
    const ExprId steps = l.op(Opcode::ceil, l.op(Opcode::div, difference, delta));
    // What is no number of elements, or too large for one, is refused by the caller.
    const ExprId most = l.number(Scalar::f64, 9e15);
    const ExprId cut = l.op(Opcode::min, l.op(Opcode::max, steps, l.number(Scalar::f64, 0)), most);
    const ExprId good = l.op(Opcode::eq, steps, steps);
    count = cast_value(l, l.select(good, cut, l.number(Scalar::f64, -1)), DType::f64, DType::i64);
    stuck = l.op(Opcode::eq, delta, l.number(Scalar::f64, 0));
  } else {
    for (ExprId &e : x) e = convert(l, e, dtype, Scalar::i64);
    stuck = l.op(Opcode::eq, x[2], l.integer(0));
    const ExprId delta = l.select(stuck, l.integer(1), x[2]);
    count = l.op(Opcode::max, l.integer(0), ceil_div(l, l.op(Opcode::sub, x[1], x[0]), delta));
  }
  extents.push_back(l.select(stuck, l.integer(-1), count));
  return {};
}

// ONNX Slice: both ends are cut to the tensor; those that are negative count from its end.
Problem slice(Lowering &l, const Node &node, std::vector<ExprId> &extents) {
  const Value *x = node.operand(0), *starts = node.operand(1), *ends = node.operand(2), *steps = node.operand(3);
  if (!starts || !ends) return "a slice without starts or ends";
  for (const Dim &d : x->type().shape()) extents.push_back(l.dim_value(d));
  const std::vector<int64_t> &axes = node.ints("axes");
  for (size_t k = 0; k < axes.size(); ++k) {
    const ExprId n = l.dim_value(x->type().shape()[static_cast<size_t>(axes[k])]), zero = l.integer(0);
    const ExprId step = steps ? element(l, steps, static_cast<int64_t>(k)) : l.integer(1);
    const ExprId backwards = l.op(Opcode::lt, step, zero), last = l.op(Opcode::sub, n, l.integer(1));
    auto cut = [&](ExprId v, ExprId low_back, ExprId high_forward) {
      v = l.select(l.op(Opcode::lt, v, zero), l.op(Opcode::add, v, n), v);
      const ExprId low = l.select(backwards, low_back, zero), high = l.select(backwards, last, high_forward);
      return l.op(Opcode::max, low, l.op(Opcode::min, v, high));
    };
    const ExprId start = cut(element(l, starts, static_cast<int64_t>(k)), zero, n);
    const ExprId end = cut(element(l, ends, static_cast<int64_t>(k)), l.integer(-1), n);
    const ExprId stuck = l.op(Opcode::eq, step, zero);
    const ExprId count = ceil_div(l, l.op(Opcode::sub, end, start), l.select(stuck, l.integer(1), step));
    extents[static_cast<size_t>(axes[k])] = l.select(stuck, l.integer(-1), l.op(Opcode::max, zero, count));
  }
  return {};
}

Problem pad(Lowering &l, const Node &node, std::vector<ExprId> &extents) {
  const graph::Shape &shape = node.operand()->type().shape();
  const Value *pads = node.operand(2);
  if (!pads) return "a pad without pads";
  const int64_t rank = static_cast<int64_t>(shape.size());
  for (int64_t d = 0; d < rank; ++d) {
    const ExprId borders = l.op(Opcode::add, element(l, pads, d), element(l, pads, rank + d));
    extents.push_back(l.op(Opcode::add, l.dim_value(shape[static_cast<size_t>(d)]), borders));
  }
  return {};
}

Problem topk(Lowering &l, const Node &node, std::vector<ExprId> &extents) {
  if (!node.operand(1)) return "a topk without k";
  const graph::Shape &shape = node.operand()->type().shape();
  for (size_t r = 0; r < node.result_count(); ++r)
    for (size_t d = 0; d < shape.size(); ++d)
      extents.push_back(static_cast<int64_t>(d) == node.integer("axis") ? element(l, node.operand(1), 0)
                                                                        : l.dim_value(shape[d]));
  return {};
}

// Extents of `axes` by their sizes, or floor(extent * scale), of the part that the region of interest cuts out.
Problem resize(Lowering &l, const Node &node, std::vector<ExprId> &extents) {
  const Value *x = node.operand(0), *roi = node.operand(1), *scales = node.operand(2), *sizes = node.operand(3);
  for (const Dim &d : x->type().shape()) extents.push_back(l.dim_value(d));
  const std::vector<int64_t> &axes = node.ints("axes");
  const bool crop = node.string("coordinates") == "tf_crop_and_resize";
  for (size_t k = 0; k < axes.size(); ++k) {
    const size_t d = static_cast<size_t>(axes[k]);
    if (sizes) {
      extents[d] = element(l, sizes, static_cast<int64_t>(k));
      continue;
    }
    const bool fixed = node.has_attribute("scales");
    if (!scales && !fixed) return "a resize without sizes and scales";
    auto real = [&](const Value *v, size_t i) {
      return convert(l, l.read(v, {Index{{}, static_cast<int64_t>(i), -1}}), v->type().dtype(), Scalar::f64);
    };
    ExprId size = l.op(Opcode::mul, l.kernel().cast(Opcode::sitofp, extents[d], Scalar::f64),
                       fixed ? l.number(Scalar::f64, node.reals("scales")[k]) : real(scales, k));
    if (crop && roi && !fixed)
      size = l.op(Opcode::mul, size, l.op(Opcode::sub, real(roi, axes.size() + k), real(roi, k)));
    const ExprId low = l.number(Scalar::f64, -1), high = l.number(Scalar::f64, 9e15);
    const ExprId cut = l.op(Opcode::min, l.op(Opcode::max, l.op(Opcode::floor, size), low), high);
    extents[d] = cast_value(l, l.select(l.op(Opcode::eq, size, size), cut, low), DType::f64, DType::i64);
  }
  return {};
}

// The rank, and how many elements are not 0: a reduction.
Problem nonzero(Lowering &l, const Node &node, std::vector<ExprId> &extents) {
  const Value *x = node.operand();
  loop::Stage stage = l.stage({}, "count");
  std::vector<Index> at;
  for (const Dim &d : x->type().shape())
    at.push_back(loop::axis_index(Lowering::add_reduction(stage, "r" + std::to_string(at.size()), l.extent(d))));
  if (at.empty()) return "nonzero of a scalar has no kernel";
  ExprId element = l.read(x, std::move(at));
  if (l.type(element) != Scalar::i1) element = l.op(Opcode::ne, element, l.number(l.type(element), 0));
  stage.types = {Scalar::i64};
  stage.init = {l.integer(0)};
  stage.next = {l.op(Opcode::add, l.kernel().carried(Scalar::i64), l.select(element, l.integer(1), l.integer(0)))};
  stage.combine = Opcode::add;
  const int32_t count = l.add_stage(std::move(stage));
  extents = {l.integer(x->type().rank()), l.read_stage(count)};
  return {};
}

} // namespace

graph::Type extents_type(const Node &node) {
  int64_t count = 0;
  for (const Value *v : node.results()) count += v->type().rank();
  return graph::Type::tensor(DType::i64, {count});
}

Problem lower_extents(Lowering &l, const Node &node) {
  std::vector<ExprId> extents;
  Problem problem;
  switch (node.op()) {
  case Op::range:
    problem = range(l, node, extents);
    break;
  case Op::slice:
    problem = slice(l, node, extents);
    break;
  case Op::pad:
    problem = pad(l, node, extents);
    break;
  case Op::nonzero:
    problem = nonzero(l, node, extents);
    break;
  case Op::resize:
    problem = resize(l, node, extents);
    break;
  case Op::topk:
    problem = topk(l, node, extents);
    break;
  default:
    return std::string(name(node.op())) + " with a result whose shape is known only while running has no kernel";
  }
  if (problem) return problem;
  const int32_t y = l.add_extents(static_cast<int64_t>(extents.size()));
  for (size_t i = 0; i < extents.size(); ++i) l.add_element(y, static_cast<int64_t>(i), extents[i]);
  return {};
}

} // namespace cameo::ops
