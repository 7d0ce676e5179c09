// Gather and scatter: elements at indices that are tensors. A negative index counts from the end; one outside of the
// tensor ends the run with CAMEO_INDEX_OUT_OF_RANGE (abi.h).
//
//   gather           y[a.., i.., b..] = x[a.., indices[i..], b..]
//   gather_elements  y[i] = x[i with i[axis] = indices[i]]
//   gather_nd        y[b.., i.., s..] = x[b.., indices[b.., i.., 0], indices[b.., i.., 1], ..., s..]
//   nonzero          y[., k] = coordinates of the k-th element that is not 0
//   scatter_*        y = x, then y[the place of i] = updates[i] (or op= it), in order
#include "lowering.h"

#include "cameo/abi.h"

#include <algorithm>

namespace cameo::ops {
namespace {

using graph::Dim;
using graph::Value;

// Coordinates of element `linear` of a row-major tensor.
std::vector<Index> digits(Lowering &l, const graph::Shape &shape, ExprId linear) {
  std::vector<Index> at(shape.size());
  for (size_t d = shape.size(); d-- > 0;) {
    if (shape[d].is(1)) continue;
    const bool last = std::all_of(shape.begin(), shape.begin() + static_cast<std::ptrdiff_t>(d),
                                  [](const Dim &e) { return e.is(1); });
    if (last) {
      at[d] = Lowering::at(linear);
      break;
    }
    const ExprId n = l.dim_value(shape[d]);
    at[d] = Lowering::at(l.op(Opcode::urem, linear, n));
    linear = l.op(Opcode::udiv, linear, n);
  }
  return at;
}

// Element of an index tensor, wrapped, as i64.
ExprId wrapped(Lowering &l, const Value *indices, std::vector<Index> at, const Dim &extent) {
  const ExprId i = convert(l, l.read(indices, std::move(at)), indices->type().dtype(), Scalar::i64);
  if (kind(indices->type().dtype()) == DTypeKind::unsigned_integer) return i;
  return l.select(l.op(Opcode::lt, i, l.integer(0)), l.op(Opcode::add, i, l.dim_value(extent)), i);
}

// A byte never leaves a table of 256 elements.
bool is_table(const graph::Node &node) {
  const Value *x = node.operand(0), *indices = node.operand(1);
  return indices->type().dtype() == DType::u8 && x->type().shape()[static_cast<size_t>(node.integer("axis"))].is(256);
}

ExprId read_checked(Lowering &l, const Value *x, std::vector<Index> at) {
  const ExprId e = l.read(x, std::move(at), OutOfRange::fail);
  loop::Kernel &k = l.kernel();
  // A bool is compared with 0 behind the read; the status belongs to the read itself.
  loop::Expr &read = k.exprs[k.exprs[e].kind == loop::Expr::Kind::op ? k.exprs[e].args[0] : e];
  if (read.rule == OutOfRange::fail) read.integer = CAMEO_INDEX_OUT_OF_RANGE;
  return e;
}

void gather(Lowering &l, const graph::Node &node, const Space &space) {
  const Value *x = node.operand(0), *indices = node.operand(1);
  const size_t axis = static_cast<size_t>(node.integer("axis")), rank = static_cast<size_t>(indices->type().rank());
  std::vector<Index> at(space.dims.begin(), space.dims.begin() + static_cast<std::ptrdiff_t>(axis));
  const std::vector<Index> inner(space.dims.begin() + static_cast<std::ptrdiff_t>(axis),
                                 space.dims.begin() + static_cast<std::ptrdiff_t>(axis + rank));
  at.push_back(Lowering::at(wrapped(l, indices, inner, x->type().shape()[axis])));
  at.insert(at.end(), space.dims.begin() + static_cast<std::ptrdiff_t>(axis + rank), space.dims.end());
  const ExprId e = is_table(node) ? l.read(x, std::move(at)) : read_checked(l, x, std::move(at));
  l.define_pointwise(node.result(), space, e, "gather");
}

void gather_elements(Lowering &l, const graph::Node &node, const Space &space) {
  const Value *x = node.operand(0);
  const size_t axis = static_cast<size_t>(node.integer("axis"));
  std::vector<Index> at = space.dims;
  at[axis] = Lowering::at(wrapped(l, node.operand(1), space.dims, x->type().shape()[axis]));
  l.define_pointwise(node.result(), space, read_checked(l, x, std::move(at)), "gather");
}

// Places in a tensor of that shape which the last dim of `indices`, read at `front`, and the dims `behind` name.
std::vector<Index> nd_place(Lowering &l, const graph::Shape &shape, const Value *indices,
                            const std::vector<Index> &front, const std::vector<Index> &behind, size_t batch_dims,
                            int64_t depth) {
  std::vector<Index> at(front.begin(), front.begin() + static_cast<std::ptrdiff_t>(batch_dims));
  for (int64_t k = 0; k < depth; ++k) {
    std::vector<Index> place = front;
    place.push_back(Index{{}, k, -1});
    at.push_back(Lowering::at(wrapped(l, indices, std::move(place), shape[batch_dims + static_cast<size_t>(k)])));
  }
  at.insert(at.end(), behind.begin(), behind.end());
  return at;
}

Problem gather_nd(Lowering &l, const graph::Node &node, const Space &space) {
  const Value *x = node.operand(0), *indices = node.operand(1);
  const Dim &depth = indices->type().dim(-1);
  if (!depth.is_constant()) return "gather_nd with a symbolic number of coordinates has no kernel";
  const auto split = space.dims.begin() + (indices->type().rank() - 1);
  const std::vector<Index> at =
      nd_place(l, x->type().shape(), indices, {space.dims.begin(), split}, {split, space.dims.end()},
               static_cast<size_t>(node.integer("batch_dims")), depth.value());
  l.define_pointwise(node.result(), space, read_checked(l, x, at), "gather");
  return {};
}

// y = x; then the updates, at places that the indices say.
Problem scatter(Lowering &l, const graph::Node &node) {
  const Value *x = node.operand(0), *indices = node.operand(1), *updates = node.operand(2);
  const std::string &reduction = node.string("reduction");
  const DType dtype = x->type().dtype();
  if (bits(dtype) < 8) return std::string(name(node.op())) + " of " + std::string(name(dtype)) + " has no kernel";
  const graph::Shape &shape = x->type().shape();
  const int32_t y = l.define_buffer(node.result());
  const Space whole = l.space(shape);
  loop::Stage copy = l.stage(whole, "copy");
  copy.next = {l.read(x, whole.dims)};
  copy.types = {l.type(copy.next[0])};
  copy.stores = {{y, whole.dims, OutOfRange::never, 0, false}};
  l.add_stage(std::move(copy));

  const Space space = l.space(updates->type().shape());
  loop::Stage stage = l.stage(space, "update");
  std::vector<Index> at = space.dims;
  if (node.is(graph::Op::scatter_elements)) {
    const size_t axis = static_cast<size_t>(node.integer("axis"));
    at[axis] = Lowering::at(wrapped(l, indices, space.dims, shape[axis]));
  } else {
    const Dim &depth = indices->type().dim(-1);
    if (!depth.is_constant()) return "scatter_nd with a symbolic number of coordinates has no kernel";
    const auto split = space.dims.begin() + (indices->type().rank() - 1);
    at = nd_place(l, shape, indices, {space.dims.begin(), split}, {split, space.dims.end()}, 0, depth.value());
  }
  const ExprId value = l.read(updates, space.dims);
  stage.types = {l.type(value)};
  stage.next = {value};
  loop::StageStore store{y, std::move(at), OutOfRange::fail, CAMEO_INDEX_OUT_OF_RANGE, reduction != "none"};
  const bool u = kind(dtype) == DTypeKind::unsigned_integer, boolean = dtype == DType::boolean;
  if (reduction == "add") store.combine = boolean ? Opcode::bit_or : Opcode::add;
  if (reduction == "mul") store.combine = boolean ? Opcode::bit_and : Opcode::mul;
  if (reduction == "max") store.combine = boolean ? Opcode::bit_or : u ? Opcode::umax : Opcode::max;
  if (reduction == "min") store.combine = boolean ? Opcode::bit_and : u ? Opcode::umin : Opcode::min;
  stage.stores = {std::move(store)};
  l.add_stage(std::move(stage));
  return {};
}

// y[., k] = the coordinates of the k-th element that is not 0, in row-major order. One walk along the flat tensor,
// which counts: n[p] = n[p - 1] + (x[p] != 0), and an element that counts stores its coordinates at n[p - 1].
Problem nonzero(Lowering &l, const graph::Node &node) {
  const Value *x = node.operand();
  const graph::Shape &shape = x->type().shape();
  if (shape.empty()) return "nonzero of a scalar has no kernel";
  const int32_t y = l.define_buffer(node.result());
  loop::Stage stage = l.stage({}, "walk");
  stage.axes = {{"p", l.extent(product(shape)), AxisKind::sequential}};
  const int32_t own = static_cast<int32_t>(l.kernel().stages.size());
  const std::vector<Index> at = digits(l, shape, l.kernel().axis_value(0));
  ExprId element = l.read(x, at);
  if (l.type(element) != Scalar::i1) element = l.op(Opcode::ne, element, l.number(l.type(element), 0));
  loop::Expr before; // n[p - 1]
  before.kind = loop::Expr::Kind::stage;
  before.type = Scalar::i64;
  before.source = own;
  before.indices = {loop::axis_index(0, 1, -1)};
  l.kernel().exprs.push_back(before);
  const ExprId counted = static_cast<ExprId>(l.kernel().exprs.size()) - 1;
  stage.types = {Scalar::i64};
  stage.next = {l.op(Opcode::add, counted, l.select(element, l.integer(1), l.integer(0)))};
  stage.before = {l.integer(0)};
  stage.stores = {{}};
  for (size_t d = 0; d < shape.size(); ++d) {
    stage.types.push_back(Scalar::i64);
    stage.next.push_back(l.index_value(at[d]));
    stage.before.push_back(l.integer(0));
    loop::StageStore store{y, {Index{{}, static_cast<int64_t>(d), -1}, Lowering::at(counted)}, OutOfRange::fill};
    store.indices[1] = Lowering::at(l.select(element, counted, l.integer(-1)));
    stage.stores.push_back(std::move(store));
  }
  l.add_stage(std::move(stage));
  return {};
}

} // namespace

Problem lower_index(Lowering &l, const graph::Node &node) {
  const DType dtype = node.operand()->type().dtype();
  if (dtype == DType::string || kind(dtype) == DTypeKind::complex)
    return std::string(name(node.op())) + " of " + std::string(name(dtype)) + " has no kernel";
  if (node.is(graph::Op::scatter_elements) || node.is(graph::Op::scatter_nd)) return scatter(l, node);
  if (node.is(graph::Op::nonzero)) return nonzero(l, node);
  const Space space = l.space(node.result()->type().shape());
  if (node.is(graph::Op::gather_nd)) return gather_nd(l, node, space);
  if (node.is(graph::Op::gather))
    gather(l, node, space);
  else
    gather_elements(l, node, space);
  return {};
}

} // namespace cameo::ops
