// Reductions over axes, arg-max and running sums.
//
// The stage of a reduction has one axis per dim of the result (of extent 1 where the reduced axis is kept) and one per
// reduced axis.
#include "lowering.h"

#include <algorithm>
#include <limits>

namespace cameo::ops {
namespace {

using graph::Dim;
using graph::Value;

/// A reduction of x under construction: stage over y's axes, x's indices over them.
struct Reduced {
  loop::Stage stage;
  std::vector<Index> indices;
  Dim count = 1; ///< elements per result
};

Reduced reduction(Lowering &l, const Value *x, const std::vector<int64_t> &axes, bool keepdims, const Space &space,
                  std::string_view name) {
  Reduced r;
  r.stage = l.stage(space, name);
  const graph::Shape &shape = x->type().shape();
  size_t out = 0;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (std::find(axes.begin(), axes.end(), static_cast<int64_t>(d)) == axes.end()) {
      r.indices.push_back(space.dims[out++]);
      continue;
    }
    r.indices.push_back(
        loop::axis_index(Lowering::add_reduction(r.stage, "r" + std::to_string(d), l.extent(shape[d]))));
    r.count = r.count * shape[d];
    out += keepdims;
  }
  return r;
}

ExprId extreme(Lowering &l, DType dtype, bool largest) {
  const Scalar t = value_type(dtype);
  const double infinity = std::numeric_limits<double>::infinity();
  if (loop::is_float(t)) return l.kernel().constant(t, largest ? infinity : -infinity);
  if (t == Scalar::i1) return l.kernel().constant_int(t, largest ? -1 : 0);
  if (kind(dtype) == DTypeKind::unsigned_integer) return l.kernel().constant_int(t, largest ? -1 : 0);
  const int64_t low = static_cast<int64_t>(~uint64_t{0} << (loop::bits(t) - 1));
  return l.kernel().constant_int(t, largest ? ~low : low);
}

// log(sum(exp(x))) = m + log(sum(exp(x - m))) with m the maximum (0 where that is infinite).
Problem log_sum_exp(Lowering &l, const graph::Node &node, const Space &space, Scalar t) {
  const Value *x = node.operand(), *y = node.result();
  const DType dtype = x->type().dtype();
  auto element = [&](const Reduced &r) { return convert(l, l.read(x, r.indices), dtype, t); };
  Reduced max = reduction(l, x, node.ints("axes"), node.flag("keepdims"), space, "max");
  max.stage.types = {t};
  max.stage.init = {l.kernel().constant(t, -std::numeric_limits<double>::infinity())};
  max.stage.next = {l.op(Opcode::max, l.kernel().carried(t), element(max))};
  max.stage.combine = Opcode::max;
  const int32_t m = l.add_stage(std::move(max.stage));
  auto shift = [&] {
    const ExprId value = l.read_stage(m);
    const ExprId finite =
        l.op(Opcode::lt, l.op(Opcode::abs, value), l.kernel().constant(t, std::numeric_limits<double>::infinity()));
    return l.select(finite, value, l.number(t, 0));
  };
  Reduced sum = reduction(l, x, node.ints("axes"), node.flag("keepdims"), space, "sum");
  sum.stage.types = {t};
  sum.stage.init = {l.number(t, 0)};
  sum.stage.next = {
      l.op(Opcode::add, l.kernel().carried(t), l.op(Opcode::exp, l.op(Opcode::sub, element(sum), shift())))};
  sum.stage.combine = Opcode::add;
  const int32_t s = l.add_stage(std::move(sum.stage));
  l.define_pointwise(y, space, l.op(Opcode::add, shift(), l.op(Opcode::log, l.read_stage(s))), "log");
  return {};
}

Problem arg_reduce(Lowering &l, const graph::Node &node) {
  const Value *x = node.operand(), *y = node.result();
  const DType dtype = x->type().dtype();
  const Scalar t = value_type(dtype);
  if (t == Scalar::i1) return "arg_reduce of bool has no kernel";
  const bool max = node.string("fn") == "max", last = node.flag("select_last");
  const Space space = l.space(y->type().shape());
  Reduced r = reduction(l, x, {node.integer("axis")}, node.flag("keepdims"), space, "best");
  const ExprId value = l.read(x, r.indices), best = l.kernel().carried(t, 0), at = l.kernel().carried(Scalar::i64, 1);
  const ExprId position = l.kernel().axis_value(static_cast<int32_t>(r.stage.axes.size()) - 1);
  const bool u = kind(dtype) == DTypeKind::unsigned_integer;
  const Opcode strict = max ? (u ? Opcode::ugt : Opcode::gt) : (u ? Opcode::ult : Opcode::lt);
  const Opcode weak = max ? (u ? Opcode::uge : Opcode::ge) : (u ? Opcode::ule : Opcode::le);
  ExprId better = l.op(last ? weak : strict, value, best);
  if (loop::is_float(t)) // NaN is the extreme; the first one stays
    better = l.op(Opcode::bit_or, better,
                  l.op(Opcode::bit_and, l.op(Opcode::ne, value, value), l.op(Opcode::eq, best, best)));
  better = l.op(Opcode::bit_or, better, l.op(Opcode::eq, position, l.integer(0)));
  r.stage.types = {t, Scalar::i64};
  r.stage.init = {extreme(l, dtype, !max), l.integer(0)};
  r.stage.next = {l.select(better, value, best), l.select(better, position, at)};
  const int32_t number = l.add_stage(std::move(r.stage));
  l.define(y, number, 1, space);
  return {};
}

// y[..., i, ...] = sum (product) of x over j <= i, j < i when exclusive, from the other end when reversed: the axis is
// walked in sequence. An exclusive result is the value that the step before left.
Problem cumulative(Lowering &l, const graph::Node &node) {
  const Value *x = node.operand(), *y = node.result();
  const DType dtype = x->type().dtype();
  const Scalar t = value_type(dtype);
  if (t == Scalar::i1 || bits(dtype) < 8) return "cumulative of " + std::string(name(dtype)) + " has no kernel";
  const bool sum = node.string("fn") == "sum", exclusive = node.flag("exclusive"), reverse = node.flag("reverse");
  const graph::Shape &shape = x->type().shape();
  const int32_t rank = static_cast<int32_t>(shape.size()), axis = static_cast<int32_t>(node.integer("axis"));
  const int32_t buffer = l.define_buffer(y);
  // The axis comes last, so that lines are walked one after the other.
  loop::Stage stage;
  stage.name = "run";
  std::vector<Index> at(shape.size());
  for (int32_t d = 0; d < rank; ++d) {
    if (d == axis) continue;
    at[static_cast<size_t>(d)] = loop::axis_index(static_cast<int32_t>(stage.axes.size()));
    stage.axes.push_back({"d" + std::to_string(d), l.extent(shape[static_cast<size_t>(d)]), AxisKind::parallel});
  }
  const Dim &extent = shape[static_cast<size_t>(axis)];
  Index &along = at[static_cast<size_t>(axis)];
  along = loop::axis_index(rank - 1);
  if (reverse) along = l.offset(loop::axis_index(rank - 1, -1, -1), extent);
  stage.axes.push_back({"i", l.extent(extent), AxisKind::sequential});
  const ExprId before = l.read_previous(t, 0, rank, rank - 1);
  const ExprId next = l.op(sum ? Opcode::add : Opcode::mul, before, l.read(x, at));
  stage.types = {t};
  stage.next = {next};
  stage.before = {l.number(t, sum ? 0 : 1)};
  loop::StageStore store;
  store.buffer = buffer;
  store.indices = at;
  if (exclusive) {
    stage.types.push_back(t);
    stage.next.push_back(before);
    stage.before.push_back(l.number(t, 0));
    stage.stores.emplace_back();
  }
  stage.stores.push_back(std::move(store));
  l.add_stage(std::move(stage));
  return {};
}

} // namespace

Problem lower_reduce(Lowering &l, const graph::Node &node) {
  const Value *x = node.operand(), *y = node.result();
  const DType dtype = x->type().dtype();
  if (dtype == DType::string || kind(dtype) == DTypeKind::complex)
    return std::string(name(node.op())) + " of " + std::string(name(dtype)) + " has no kernel";
  if (node.is(graph::Op::arg_reduce)) return arg_reduce(l, node);
  if (node.is(graph::Op::cumulative)) return cumulative(l, node);
  const std::string &fn = node.string("fn");
  const DType compute = node.has_attribute("compute") ? node.dtype("compute") : dtype;
  const Scalar t = value_type(compute);
  const Space space = l.space(y->type().shape());
  if (fn == "log_sum_exp" && loop::is_float(t)) return log_sum_exp(l, node, space, t);

  Reduced r = reduction(l, x, node.ints("axes"), node.flag("keepdims"), space, fn == "max" || fn == "min" ? fn : "sum");
  if (r.stage.axes.size() == space.axes.size()) Lowering::add_reduction(r.stage, "one", 1); // no axes: of one element
  ExprId value = convert(l, l.read(x, r.indices), dtype, t);
  const bool u = kind(compute) == DTypeKind::unsigned_integer;
  Opcode code = Opcode::add;
  ExprId init = t == Scalar::i1 ? l.kernel().constant_int(t, 0) : l.number(t, 0);
  if (fn == "max" || fn == "min") {
    const bool max = fn == "max";
    code = t == Scalar::i1 ? (max ? Opcode::bit_or : Opcode::bit_and)
           : u             ? (max ? Opcode::umax : Opcode::umin)
                           : (max ? Opcode::max : Opcode::min);
    init = extreme(l, compute, !max);
  } else if (fn == "product") {
    code = Opcode::mul;
    init = l.number(t, 1);
  } else if (fn == "l1") {
    value = u ? value : l.op(Opcode::abs, value);
  } else if (fn == "l2" || fn == "sum_square") {
    value = l.op(Opcode::mul, value, value);
  } else if (fn == "log_sum_exp") {
    return "log_sum_exp of " + std::string(name(dtype)) + " has no kernel";
  }
  r.stage.types = {t};
  r.stage.init = {init};
  r.stage.next = {l.op(code, l.kernel().carried(t), value)};
  if (code == Opcode::add || code == Opcode::max || code == Opcode::min) r.stage.combine = code;
  const int32_t number = l.add_stage(std::move(r.stage));
  ExprId result = l.read_stage(number);
  auto as_float = [&](auto compute_in) { // integers take roots and logarithms in f64, and truncate
    if (loop::is_float(t)) return compute_in(result, t);
    const ExprId wide = convert(l, result, compute, Scalar::f64);
    return cast_value(l, compute_in(wide, Scalar::f64), DType::f64, compute);
  };
  if (fn == "mean") {
    if (loop::is_float(t)) {
      const ExprId n = r.count.is_constant() ? l.number(t, static_cast<double>(r.count.value()))
                                             : l.kernel().cast(Opcode::sitofp, l.dim_value(r.count), t);
      result = l.op(Opcode::div, result, n);
    } else {
      const ExprId n = convert(l, l.dim_value(r.count), DType::i64, t);
      result = l.op(u ? Opcode::udiv : Opcode::div, result, n);
    }
  } else if (fn == "l2") {
    result = as_float([&](ExprId e, Scalar) { return l.op(Opcode::sqrt, e); });
  } else if (fn == "log_sum") {
    result = as_float([&](ExprId e, Scalar) { return l.op(Opcode::log, e); });
  } else if (compute == y->type().dtype()) {
    l.define(y, number, 0, space);
    return {};
  }
  if (compute != y->type().dtype()) result = cast_value(l, result, compute, y->type().dtype());
  l.define_pointwise(y, space, result, fn);
  return {};
}

// exp(x - max) / sum along an axis, or x - max - log(sum).
Problem lower_softmax(Lowering &l, const graph::Node &node) {
  const Value *x = node.operand(), *y = node.result();
  const DType dtype = x->type().dtype();
  const graph::Shape &shape = x->type().shape();
  const size_t axis = static_cast<size_t>(node.integer("axis"));
  const Scalar t = value_type(node.has_attribute("compute") ? node.dtype("compute") : dtype);
  const bool log = node.flag("log");
  // Statistics have the axes of the tensor without `axis`; `at` are the reader's indices of them.
  graph::Shape outer_shape;
  for (size_t d = 0; d < shape.size(); ++d)
    if (d != axis) outer_shape.push_back(shape[d]);
  const Space outer = l.space(outer_shape), full = l.space(shape);
  std::vector<Index> inner; // the element, over (outer axes, reduction axis)
  for (size_t d = 0; d < shape.size(); ++d)
    inner.push_back(d == axis ? loop::axis_index(static_cast<int32_t>(outer_shape.size()))
                              : loop::axis_index(static_cast<int32_t>(d < axis ? d : d - 1)));
  std::vector<Index> at;
  for (size_t d = 0; d < shape.size(); ++d)
    if (d != axis) at.push_back(full.dims[d]);
  auto reduce = [&](std::string_view name, Opcode code, double init, auto element) {
    loop::Stage stage = l.stage(outer, name);
    Lowering::add_reduction(stage, "r", l.extent(shape[axis]));
    stage.types = {t};
    stage.init = {l.kernel().constant(t, init)};
    stage.next = {l.op(code, l.kernel().carried(t), element())};
    stage.combine = code;
    return l.add_stage(std::move(stage));
  };
  const int32_t max = reduce("max", Opcode::max, -std::numeric_limits<double>::infinity(),
                             [&] { return convert(l, l.read(x, inner), dtype, t); });
  loop::Stage shifted = l.stage(full, log ? "shifted" : "exp");
  ExprId value = l.op(Opcode::sub, convert(l, l.read(x, full.dims), dtype, t), l.kernel().read_stage(max, at));
  if (!log) value = l.op(Opcode::exp, value);
  shifted.types = {t};
  shifted.next = {value};
  const int32_t e = l.add_stage(std::move(shifted));
  const int32_t sum = reduce("sum", Opcode::add, 0, [&] {
    const ExprId v = l.kernel().read_stage(e, inner);
    return log ? l.op(Opcode::exp, v) : v;
  });
  const ExprId top = l.kernel().read_stage(e, full.dims), s = l.kernel().read_stage(sum, at);
  l.define_pointwise(y, full, log ? l.op(Opcode::sub, top, l.op(Opcode::log, s)) : l.op(Opcode::div, top, s),
                     "softmax");
  return {};
}

} // namespace cameo::ops
