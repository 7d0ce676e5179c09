// Movement: every element of the result is an element of an operand, at an index that is arithmetic on the result's.
// Where an op is a view of memory the planner makes no kernel of it; these lowerings serve the others, and fusion
// groups, where they are inlined.
#include "window.h"

namespace cameo::ops {
namespace {

using graph::Dim;
using graph::Value;

ExprId remainder_floor(Lowering &l, ExprId a, ExprId n) { // in [0, n)
  const ExprId r = l.op(Opcode::rem, a, n);
  return l.select(l.op(Opcode::lt, r, l.integer(0)), l.op(Opcode::add, r, n), r);
}

// Row-major renumbering. Neighbouring dims with equal products on both sides are treated group by group, so that a dim
// that stays keeps its affine index.
std::vector<Index> reshape_indices(Lowering &l, const graph::Shape &from, const graph::Shape &to,
                                   const std::vector<Index> &at) {
  std::vector<Index> indices;
  size_t i = 0, j = 0;
  while (i < from.size() || j < to.size()) {
    // The smallest group [i, i2) -> [j, j2) of equal products.
    size_t i2 = std::min(i + 1, from.size()), j2 = std::min(j + 1, to.size());
    Dim a = i < i2 ? from[i] : Dim(1), b = j < j2 ? to[j] : Dim(1);
    while (a != b && (i2 < from.size() || j2 < to.size())) {
      const bool smaller = a.is_constant() && b.is_constant() ? a.value() < b.value() : b.exact_quotient(a).has_value();
      if ((smaller && i2 < from.size()) || j2 == to.size())
        a = a * from[i2++];
      else
        b = b * to[j2++];
    }
    if (i2 - i == 1 && j2 - j == 1) {
      indices.push_back(at[j]);
    } else {
      Index linear;
      bool affine = true;
      Dim stride = 1;
      std::vector<Dim> strides(j2 - j);
      for (size_t d = j2; d-- > j;) {
        strides[d - j] = stride;
        affine = affine && (at[d].indirect < 0) && stride.is_constant();
        stride = stride * to[d];
      }
      if (affine) {
        for (size_t d = j; d < j2; ++d)
          if (!to[d].is(1)) linear = sum(l, linear, scaled(at[d], strides[d - j].value()));
      } else {
        ExprId total = -1;
        for (size_t d = j; d < j2; ++d) {
          ExprId term = l.index_value(at[d]);
          if (!strides[d - j].is(1)) term = l.op(Opcode::mul, term, l.dim_value(strides[d - j]));
          total = total < 0 ? term : l.op(Opcode::add, total, term);
        }
        if (total >= 0) linear = Lowering::at(total);
      }
      if (i2 - i == 1) {
        indices.push_back(linear);
      } else if (i2 > i) {
        // Digits of the number in the mixed radix of `from`.
        Dim below = 1;
        for (size_t d = i + 1; d < i2; ++d) below = below * from[d];
        ExprId rest = -1;
        for (size_t d = i; d < i2; ++d) {
          if (from[d].is(1)) {
            indices.emplace_back();
          } else if (below.is(1)) {
            indices.push_back(rest < 0 ? linear : Lowering::at(rest));
          } else {
            if (rest < 0) rest = l.index_value(linear);
            const ExprId n = l.dim_value(below);
            indices.push_back(Lowering::at(l.op(Opcode::udiv, rest, n)));
            rest = l.op(Opcode::urem, rest, n);
          }
          if (d + 1 < i2) {
            const std::optional<Dim> next = below.exact_quotient(from[d + 1]);
            below = next ? *next : Dim(1);
            if (!next) // 0 elements, or a product too complex to divide: multiply again
              for (size_t e = d + 2; e < i2; ++e) below = below * from[e];
          }
        }
      }
    }
    i = i2;
    j = j2;
  }
  return indices;
}

Problem concat(Lowering &l, const graph::Node &node) {
  const size_t axis = static_cast<size_t>(node.integer("axis"));
  const int32_t y = l.define_buffer(node.result());
  Dim start = 0;
  for (const Value *x : node.operands()) {
    const Space space = l.space(x->type().shape());
    loop::Stage stage = l.stage(space, "part");
    stage.next = {l.read(x, space.dims)};
    stage.types = {l.type(stage.next[0])};
    loop::StageStore store;
    store.buffer = y;
    store.indices = space.dims;
    store.indices[axis] = l.offset(store.indices[axis], start);
    stage.stores = {store};
    l.add_stage(std::move(stage));
    start = start + x->type().shape()[axis];
  }
  return {};
}

// y[i] = x[start + i * step] along each of the axes.
Problem slice(Lowering &l, const graph::Node &node, const Space &space, ExprId &value) {
  const Value *x = node.operand();
  const std::vector<int64_t> &axes = node.ints("axes");
  std::vector<Index> at = space.dims;
  if (node.has_attribute("starts")) {
    for (size_t k = 0; k < axes.size(); ++k) {
      const int64_t step = node.has_attribute("steps") ? node.ints("steps")[k] : 1;
      Index &index = at[static_cast<size_t>(axes[k])];
      index = l.offset(scaled(index, step), node.dims("starts")[k]);
    }
    value = l.read(x, at);
    return {};
  }
  // Starts and steps of the run: negative ones count from the end, then both are cut to the tensor.
  const Value *starts = node.operand(1), *steps = node.operand(3);
  for (size_t k = 0; k < axes.size(); ++k) {
    auto element = [&](const Value *v) {
      return convert(l, l.read(v, {Index{{}, static_cast<int64_t>(k), -1}}), v->type().dtype(), Scalar::i64);
    };
    const size_t d = static_cast<size_t>(axes[k]);
    const ExprId n = l.dim_value(x->type().shape()[d]);
    ExprId start = element(starts);
    const ExprId step = steps ? element(steps) : l.integer(1);
    start = l.select(l.op(Opcode::lt, start, l.integer(0)), l.op(Opcode::add, start, n), start);
    const ExprId backwards = l.op(Opcode::lt, step, l.integer(0));
    const ExprId last = l.select(backwards, l.op(Opcode::sub, n, l.integer(1)), n);
    start = l.op(Opcode::max, l.integer(0), l.op(Opcode::min, start, last));
    at[d] = Lowering::at(l.op(Opcode::add, start, l.op(Opcode::mul, l.index_value(at[d]), step)));
  }
  value = l.read(x, at, OutOfRange::clamp);
  return {};
}

Problem pad(Lowering &l, const graph::Node &node, const Space &space, ExprId &value) {
  const Value *x = node.operand(0), *fill = node.operand(1), *pads = node.operand(2);
  const graph::Shape &shape = x->type().shape();
  const std::string &mode = node.string("mode");
  const size_t rank = shape.size();
  std::vector<Index> at;
  for (size_t d = 0; d < rank; ++d) {
    if (node.has_attribute("low")) {
      at.push_back(l.offset(space.dims[d], Dim(0) - node.dims("low")[d]));
    } else {
      const ExprId low =
          convert(l, l.read(pads, {Index{{}, static_cast<int64_t>(d), -1}}), pads->type().dtype(), Scalar::i64);
      at.push_back(Lowering::at(l.op(Opcode::sub, l.index_value(space.dims[d]), low)));
    }
    const bool stays = node.has_attribute("low") && node.dims("low")[d].is(0) && node.dims("high")[d].is(0);
    if (stays || mode == "constant" || mode == "edge") continue;
    const ExprId n = l.dim_value(shape[d]), i = l.index_value(at[d]);
    if (mode == "wrap") {
      at[d] = Lowering::at(remainder_floor(l, i, n));
    } else { // reflect: a zigzag of period 2 (n - 1)
      const ExprId last = l.op(Opcode::sub, n, l.integer(1));
      const ExprId period = l.op(Opcode::max, l.op(Opcode::mul, last, l.integer(2)), l.integer(1));
      const ExprId r = remainder_floor(l, i, period);
      at[d] = Lowering::at(l.op(Opcode::min, r, l.op(Opcode::sub, period, r)));
    }
  }
  if (mode != "constant") {
    value = l.read(x, at, OutOfRange::clamp);
    return {};
  }
  const graph::ConstantData *data = fill ? l.constant(fill) : nullptr;
  const DType dtype = x->type().dtype();
  if (!fill || (data && data->count() == 1 && bits(dtype) >= 8)) {
    value = l.read(x, at, OutOfRange::fill,
                   !data             ? 0
                   : is_float(dtype) ? data->as_double(0)
                                     : static_cast<double>(data->as_int(0)));
    return {};
  }
  value = l.read(x, at, OutOfRange::clamp);
  const ExprId outside = l.read(fill, std::vector<Index>(static_cast<size_t>(fill->type().rank())));
  for (size_t d = 0; d < rank; ++d)
    value = l.select(l.op(Opcode::ult, l.index_value(at[d]), l.dim_value(shape[d])), value, outside);
  return {};
}

} // namespace

Problem lower_movement(Lowering &l, const graph::Node &node) {
  const Value *x = node.operand(), *y = node.result();
  const DType dtype = y->type().dtype();
  if (dtype == DType::string || kind(dtype) == DTypeKind::complex)
    return std::string(name(node.op())) + " of " + std::string(name(dtype)) + " has no kernel";
  if (node.is(graph::Op::concat)) return concat(l, node);
  const graph::Shape &shape = y->type().shape();
  const Space space = l.space(shape);
  ExprId value = -1;
  switch (node.op()) {
  case graph::Op::reshape:
    value = l.read(x, reshape_indices(l, x->type().shape(), shape, space.dims));
    break;
  case graph::Op::transpose: { // y's axis i is x's axis perm[i]
    std::vector<Index> at(shape.size());
    for (size_t d = 0; d < shape.size(); ++d) at[static_cast<size_t>(node.ints("perm")[d])] = space.dims[d];
    value = l.read(x, at);
    break;
  }
  case graph::Op::broadcast:
    value = l.read_broadcast(x, shape, space.dims);
    break;
  case graph::Op::relayout:
    value = l.read(x, space.dims);
    break;
  case graph::Op::slice:
    if (Problem p = slice(l, node, space, value)) return p;
    break;
  case graph::Op::pad:
    if (Problem p = pad(l, node, space, value)) return p;
    break;
  default:
    CAMEO_UNREACHABLE("not a movement: " + node.str());
  }
  l.define_pointwise(y, space, value, name(node.op()));
  return {};
}

} // namespace cameo::ops
