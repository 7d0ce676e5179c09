// Pools over sliding windows: the largest element, the mean, or the p-norm.
//
// An average divides by the number of taps inside the input, or inside the padded input (count_include_pad): a product
// over the spatial axes of counts that depend on the position. The positions of maxima come with the maxima, as a pair.
#include "window.h"

#include <cmath>
#include <limits>

namespace cameo::ops {
namespace {

using graph::Dim;
using graph::Value;

// The least value of the type, which no maximum is below.
ExprId lowest(Lowering &l, DType dtype) {
  const Scalar t = value_type(dtype);
  if (loop::is_float(t)) return l.kernel().constant(t, -std::numeric_limits<double>::infinity());
  if (t == Scalar::i1 || kind(dtype) == DTypeKind::unsigned_integer) return l.kernel().constant_int(t, 0);
  return l.kernel().constant_int(t, static_cast<int64_t>(~uint64_t{0} << (loop::bits(t) - 1)));
}

double lowest_number(DType dtype) {
  if (is_float(dtype)) return -std::numeric_limits<double>::infinity();
  if (kind(dtype) != DTypeKind::signed_integer) return 0;
  return -std::ldexp(1.0, bits(dtype) - 1);
}

struct Taps {
  std::vector<Index> input;  ///< coordinates in x
  std::vector<int32_t> axes; ///< reduction axes, one per spatial axis
  bool inside = true;
};

Taps add_taps(Lowering &l, loop::Stage &stage, const graph::Node &node, const Window &window, const Space &space) {
  const std::vector<int64_t> &kernel = node.ints("kernel");
  const graph::Shape &xs = node.operand()->type().shape(), &ys = node.result()->type().shape();
  Taps taps{{space.dims[0], space.dims[1]}, {}, true};
  for (size_t d = 0; d < kernel.size(); ++d) {
    taps.axes.push_back(Lowering::add_reduction(stage, "k" + std::to_string(d), kernel[d]));
    taps.input.push_back(window.coordinate(l, d, space.dims[d + 2], loop::axis_index(taps.axes.back())));
    taps.inside = taps.inside && window.inside(d, xs[d + 2], ys[d + 2], kernel[d]);
  }
  return taps;
}

// Number of taps k in [0, taps) with low <= start + k * dilation < high, as i64: ceil((high - start) / dilation) cut to
// [0, taps] less ceil((low - start) / dilation) cut to [0, taps].
ExprId count_taps(Lowering &l, ExprId start, ExprId low, ExprId high, int64_t taps, int64_t dilation) {
  auto below = [&](ExprId bound) {
    ExprId n = l.op(Opcode::sub, bound, start);
    if (dilation != 1) { // of a numerator that max makes non-negative
      n = l.op(Opcode::add, l.op(Opcode::max, n, l.integer(0)), l.integer(dilation - 1));
      n = l.op(Opcode::div, n, l.integer(dilation));
    }
    return l.op(Opcode::min, l.op(Opcode::max, n, l.integer(0)), l.integer(taps));
  };
  return l.op(Opcode::sub, below(high), below(low));
}

// What the sum of a window is divided by, in type t.
ExprId divisor(Lowering &l, const graph::Node &node, const Window &window, const Space &space, bool inside, Scalar t) {
  const std::vector<int64_t> &kernel = node.ints("kernel");
  const graph::Shape &xs = node.operand()->type().shape();
  const bool include = node.flag("count_include_pad");
  int64_t all = 1;
  for (int64_t k : kernel) all *= k;
  if (inside) return l.number(t, static_cast<double>(all));
  ExprId product = -1;
  for (size_t d = 0; d < kernel.size(); ++d) {
    const ExprId start = l.index_value(window.coordinate(l, d, space.dims[d + 2], Index{}));
    const Dim low = include ? Dim(0) - window.low[d] : Dim(0), high = include ? xs[d + 2] + window.high[d] : xs[d + 2];
    const ExprId n = count_taps(l, start, l.dim_value(low), l.dim_value(high), kernel[d], window.dilations[d]);
    product = product < 0 ? n : l.op(Opcode::mul, product, n);
  }
  // A window with no tap at all (of a rounded-up extent) has the sum 0; dividing by 1 keeps it.
  product = l.op(Opcode::max, product, l.integer(1));
  return l.kernel().cast(Opcode::sitofp, product, t);
}

// Maxima and where they are: flat positions in x.
Problem max_with_positions(Lowering &l, const graph::Node &node, const Window &window, const Space &space) {
  const Value *x = node.operand(), *y = node.result(0), *positions = node.result(1);
  const DType dtype = x->type().dtype();
  const Scalar t = value_type(dtype);
  const graph::Shape &xs = x->type().shape();
  loop::Stage stage = l.stage(space, "max");
  const Taps taps = add_taps(l, stage, node, window, space);
  const ExprId value = l.read(x, taps.input, taps.inside ? OutOfRange::never : OutOfRange::fill, lowest_number(dtype));
  // Row-major in (n, c), then in the spatial axes from the last to the first, or the other way round.
  ExprId at = l.op(Opcode::add, l.op(Opcode::mul, l.index_value(taps.input[0]), l.dim_value(xs[1])),
                   l.index_value(taps.input[1]));
  const bool column_major = node.flag("column_major");
  for (size_t i = 0; i + 2 < xs.size(); ++i) at = l.op(Opcode::mul, at, l.dim_value(xs[i + 2]));
  Dim stride = 1;
  for (size_t i = 0; i + 2 < xs.size(); ++i) {
    const size_t d = column_major ? i + 2 : xs.size() - 1 - i;
    ExprId term = l.index_value(taps.input[d]);
    if (!stride.is(1)) term = l.op(Opcode::mul, term, l.dim_value(stride));
    at = l.op(Opcode::add, at, term);
    stride = stride * xs[d];
  }
  ExprId better =
      l.op(kind(dtype) == DTypeKind::unsigned_integer ? Opcode::ugt : Opcode::gt, value, l.kernel().carried(t, 0));
  if (loop::is_float(t)) better = l.op(Opcode::bit_or, better, l.op(Opcode::ne, value, value)); // NaN wins
  // The first tap inside always counts, also when it is the lowest value itself.
  ExprId first = l.op(Opcode::lt, l.kernel().carried(Scalar::i64, 1), l.integer(0));
  if (!taps.inside)
    for (size_t d = 2; d < xs.size(); ++d)
      first = l.op(Opcode::bit_and, first, l.op(Opcode::ult, l.index_value(taps.input[d]), l.dim_value(xs[d])));
  better = l.op(Opcode::bit_or, better, first);
  stage.types = {t, Scalar::i64};
  stage.init = {lowest(l, dtype), l.integer(-1)};
  stage.next = {l.select(better, value, l.kernel().carried(t, 0)),
                l.select(better, at, l.kernel().carried(Scalar::i64, 1))};
  const int32_t number = l.add_stage(std::move(stage));
  l.define(y, number, 0, space);
  l.define(positions, number, 1, space);
  return {};
}

} // namespace

Problem lower_pool(Lowering &l, const graph::Node &node) {
  const Value *x = node.operand(), *y = node.result();
  const DType dtype = x->type().dtype();
  if (dtype == DType::string || kind(dtype) == DTypeKind::complex)
    return "pool of " + std::string(name(dtype)) + " has no kernel";
  const std::string &fn = node.string("fn");
  const Window window = Window::of(node);
  const Space space = l.space(y->type().shape());
  if (node.result_count() > 1) return max_with_positions(l, node, window, space);

  const Scalar t = value_type(node.has_attribute("compute") ? node.dtype("compute") : dtype);
  loop::Stage stage = l.stage(space, fn == "max" ? "max" : "sum");
  const Taps taps = add_taps(l, stage, node, window, space);
  const bool maximum = fn == "max";
  ExprId value =
      l.read(x, taps.input, taps.inside ? OutOfRange::never : OutOfRange::fill, maximum ? lowest_number(dtype) : 0);
  value = convert(l, value, dtype, t);
  const ExprId acc = l.kernel().carried(t);
  stage.types = {t};
  if (maximum) {
    const bool u = kind(dtype) == DTypeKind::unsigned_integer;
    stage.init = {lowest(l, dtype)};
    stage.next = {l.op(u ? Opcode::umax : Opcode::max, acc, value)};
    if (!u) stage.combine = Opcode::max;
    l.define(y, l.add_stage(std::move(stage)), 0, space);
    return {};
  }
  const int64_t p = fn == "lp" ? node.integer_or("p", 2) : 0;
  if (fn == "lp") { // sum of |x|^p
    const ExprId magnitude = l.op(Opcode::abs, value);
    value = p == 1   ? magnitude
            : p == 2 ? l.op(Opcode::mul, value, value)
                     : l.op(Opcode::pow, magnitude, l.number(t, static_cast<double>(p)));
  }
  stage.init = {l.number(t, 0)};
  stage.next = {l.op(Opcode::add, acc, value)};
  stage.combine = Opcode::add;
  const int32_t number = l.add_stage(std::move(stage));
  ExprId result = l.read_stage(number);
  if (fn == "average")
    result = l.op(Opcode::div, result, divisor(l, node, window, space, taps.inside, t));
  else if (p == 2)
    result = l.op(Opcode::sqrt, result);
  else if (p != 1)
    result = l.op(Opcode::pow, result, l.number(t, 1.0 / static_cast<double>(p)));
  l.define_pointwise(y, space, result, fn == "average" ? "mean" : "norm");
  return {};
}

} // namespace cameo::ops
