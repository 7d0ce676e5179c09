// Linear transforms of whole axes: the discrete Fourier transform and the determinant.
#include "lowering.h"

#include <cmath>

namespace cameo::ops {
namespace {

using graph::Dim;
using graph::Value;

ExprId cast_from(Lowering &l, ExprId value, DType from, DType to) {
  return from == to ? value : cast_value(l, value, from, to);
}

} // namespace

// y[k] = sum over j < length of x[j] * exp(-+ 2 pi i j k / length), divided by the length when inverse; x is 0 behind
// its end. A one-sided inverse reads half a spectrum, whose other half is its conjugate: x[length - j] = conj(x[j]),
// and gives the real part. Sums are in f64, with sines and cosines from a table over (j * k) mod length.
Problem lower_dft(Lowering &l, const graph::Node &node) {
  const Value *x = node.operand(0), *y = node.result();
  const DType dtype = x->type().dtype();
  if (!is_float(dtype)) return "dft of " + std::string(name(dtype)) + " has no kernel";
  const graph::Shape &shape = x->type().shape();
  const size_t axis = static_cast<size_t>(node.integer("axis")), parts = shape.size() - 1;
  if (!shape[parts].is_constant()) return "dft of a symbolic number of parts has no kernel";
  const bool inverse = node.flag("inverse"), mirrored = inverse && node.flag("onesided");
  const bool complex = shape[parts].is(2);
  const Dim &length = node.dim("length");
  constexpr Scalar t = Scalar::f64;
  loop::Kernel &k = l.kernel();
  auto c = [&](double v) { return l.number(t, v); };
  auto real = [&](ExprId i) { return k.cast(Opcode::sitofp, i, t); };

  const Space circle = l.space({length});
  loop::Stage table = l.stage(circle, "table");
  const ExprId angle =
      l.op(Opcode::mul, real(k.axis_value(0)), l.op(Opcode::div, c(2 * M_PI), real(l.dim_value(length))));
  table.types = {t, t};
  table.next = {l.op(Opcode::cos, angle), l.op(Opcode::sin, angle)};
  const int32_t turns = l.add_stage(std::move(table));

  // One point per result without its parts; both parts of the sum are components.
  graph::Shape outer(y->type().shape().begin(), y->type().shape().end() - 1);
  const Space space = l.space(outer);
  loop::Stage stage = l.stage(space, "sum");
  const int32_t j = Lowering::add_reduction(stage, "j", l.extent(length));
  const ExprId position = k.axis_value(j);
  const ExprId turn =
      l.op(Opcode::urem, l.op(Opcode::mul, position, l.index_value(space.dims[axis])), l.dim_value(length));
  const ExprId cosine = k.read_stage(turns, {Lowering::at(turn)}, 0);
  ExprId sine = k.read_stage(turns, {Lowering::at(turn)}, 1);
  if (!inverse) sine = l.op(Opcode::neg, sine);
  std::vector<Index> at = space.dims;
  at[axis] = loop::axis_index(j);
  ExprId behind = -1; // in the half that is not stored
  if (mirrored) {
    behind = l.op(Opcode::gt, position, l.dim_value(floordiv(length, 2)));
    at[axis] = Lowering::at(l.select(behind, l.op(Opcode::sub, l.dim_value(length), position), position));
  }
  at.emplace_back();
  const bool whole = !mirrored && shape[axis] == length;
  auto part = [&](int64_t number) {
    at.back().constant = number;
    return convert(l, l.read(x, at, whole ? OutOfRange::never : OutOfRange::fill, 0), dtype, t);
  };
  const ExprId re = part(0);
  ExprId im = complex ? part(1) : -1;
  if (mirrored && complex) im = l.select(behind, l.op(Opcode::neg, im), im);
  auto mul = [&](ExprId a, ExprId b) { return l.op(Opcode::mul, a, b); };
  stage.types = {t, t};
  stage.init = {c(0), c(0)};
  stage.next = {
      l.op(Opcode::add, k.carried(t, 0), complex ? l.op(Opcode::sub, mul(re, cosine), mul(im, sine)) : mul(re, cosine)),
      l.op(Opcode::add, k.carried(t, 1), complex ? l.op(Opcode::add, mul(re, sine), mul(im, cosine)) : mul(re, sine))};
  const int32_t sum = l.add_stage(std::move(stage));

  const Space full = l.space(y->type().shape());
  const std::vector<Index> point(full.dims.begin(), full.dims.end() - 1);
  ExprId value = k.read_stage(sum, point, 0);
  if (!y->type().dim(-1).is(1)) {
    const ExprId is_real = l.op(Opcode::eq, k.axis_value(static_cast<int32_t>(outer.size())), l.integer(0));
    value = l.select(is_real, value, k.read_stage(sum, point, 1));
  }
  if (inverse) value = l.op(Opcode::div, value, real(l.dim_value(length)));
  l.define_pointwise(y, full, cast_from(l, value, DType::f64, y->type().dtype()), "dft");
  return {};
}

// The product of the pivots of Gaussian elimination with partial pivoting. Step p takes the row with the largest
// element of column p, puts row p in its place (the sign turns when they differ), and subtracts its multiples from the
// rows that are left:
//
//   left[p + 1][i, j] = row(i)[j] - row(i)[p] / pivot[p] * pivot[j],   i, j > p
Problem lower_det(Lowering &l, const graph::Node &node) {
  const Value *x = node.operand(0), *y = node.result();
  const DType dtype = x->type().dtype();
  if (!is_float(dtype)) return "det of " + std::string(name(dtype)) + " has no kernel";
  const graph::Shape &shape = x->type().shape();
  if (!shape.back().is_constant()) return "det of matrices of symbolic size has no kernel";
  const int64_t n = shape.back().value();
  constexpr int64_t kMost = 64;
  if (n > kMost) return "det of matrices of more than " + std::to_string(kMost) + " rows has no kernel";
  const Scalar t = value_type(dtype);
  loop::Kernel &k = l.kernel();
  auto c = [&](double v) { return l.number(t, v); };
  const size_t batch = shape.size() - 2;
  const Space outer = l.space(y->type().shape());
  // Element of the matrix that is left before step p: rows and columns count from p.
  int32_t left = -1;
  auto element = [&](Index row, Index column) {
    std::vector<Index> at = outer.dims;
    at.push_back(std::move(row));
    at.push_back(std::move(column));
    return left < 0 ? l.read(x, at) : k.read_stage(left, at);
  };
  ExprId product = c(1);
  std::vector<int32_t> pivots;
  for (int64_t p = 0; p < n; ++p) {
    loop::Stage pivot = l.stage(outer, "pivot");
    const int32_t r = Lowering::add_reduction(pivot, "r", n - p);
    const ExprId v = element(loop::axis_index(r), {}), best = k.carried(t, 0), at = k.carried(Scalar::i64, 1);
    const ExprId larger = l.op(Opcode::gt, l.op(Opcode::abs, v), l.op(Opcode::abs, best));
    const ExprId takes = l.op(Opcode::bit_or, larger, l.op(Opcode::eq, k.axis_value(r), l.integer(0)));
    pivot.types = {t, Scalar::i64};
    pivot.init = {c(0), l.integer(0)};
    pivot.next = {l.select(takes, v, best), l.select(takes, k.axis_value(r), at)};
    const int32_t chosen = l.add_stage(std::move(pivot));
    pivots.push_back(chosen);
    if (p + 1 == n) break;
    graph::Shape rest(shape.begin(), shape.end() - 2);
    rest.push_back(n - p - 1);
    rest.push_back(n - p - 1);
    loop::Stage step = l.stage(l.space(rest), "left");
    const ExprId row = k.read_stage(chosen, outer.dims, 1), value = k.read_stage(chosen, outer.dims, 0);
    const Index i = loop::axis_index(static_cast<int32_t>(batch), 1, 1),
                j = loop::axis_index(static_cast<int32_t>(batch) + 1, 1, 1);
    const ExprId own = l.select(l.op(Opcode::eq, l.index_value(i), row), l.integer(0), l.index_value(i));
    const ExprId zero = l.op(Opcode::eq, value, c(0)); // a singular matrix: the column is 0 already
    const ExprId factor = l.op(Opcode::div, element(Lowering::at(own), {}), l.select(zero, c(1), value));
    const ExprId difference =
        l.op(Opcode::sub, element(Lowering::at(own), j), l.op(Opcode::mul, factor, element(Lowering::at(row), j)));
    step.types = {t};
    step.next = {difference};
    left = l.add_stage(std::move(step));
  }
  for (const int32_t chosen : pivots) {
    const ExprId value = k.read_stage(chosen, outer.dims, 0);
    const ExprId stays = l.op(Opcode::eq, k.read_stage(chosen, outer.dims, 1), l.integer(0));
    product = l.op(Opcode::mul, product, l.select(stays, value, l.op(Opcode::neg, value)));
  }
  l.define_pointwise(y, outer, product, "det");
  return {};
}

} // namespace cameo::ops
