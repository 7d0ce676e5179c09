// Gather and scatter: elements at indices that are tensors. A negative index counts from the end; one outside of the tensor ends the run
// with CAMEO_INDEX_OUT_OF_RANGE (abi.h).
//
//   gather           y[a.., i.., b..] = x[a.., indices[i..], b..]
//   gather_elements  y[i] = x[i with i[axis] = indices[i]]
//   gather_nd        y[b.., i.., s..] = x[b.., indices[b.., i.., 0], indices[b.., i.., 1], ..., s..]
//   scatter_*        y = x, then y[the place of i] = updates[i] (or op= it), in order
#include "lowering.h"

#include "cameo/abi.h"

namespace cameo::ops {
namespace {

using graph::Dim;
using graph::Value;

// Element of an index tensor, wrapped, as i64.
ExprId wrapped(Lowering &l, const Value *indices, std::vector<Index> at, const Dim &extent) {
  const ExprId i = convert(l, l.read(indices, std::move(at)), indices->type().dtype(), Scalar::i64);
  if (kind(indices->type().dtype()) == DTypeKind::unsigned_integer) return i;
  return l.select(l.op(Opcode::lt, i, l.integer(0)), l.op(Opcode::add, i, l.dim_value(extent)), i);
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
  l.define_pointwise(node.result(), space, read_checked(l, x, std::move(at)), "gather");
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

} // namespace

Problem lower_index(Lowering &l, const graph::Node &node) {
  const DType dtype = node.operand()->type().dtype();
  if (dtype == DType::string || kind(dtype) == DTypeKind::complex)
    return std::string(name(node.op())) + " of " + std::string(name(dtype)) + " has no kernel";
  if (node.is(graph::Op::scatter_elements) || node.is(graph::Op::scatter_nd)) return scatter(l, node);
  const Space space = l.space(node.result()->type().shape());
  if (node.is(graph::Op::gather_nd)) return gather_nd(l, node, space);
  if (node.is(graph::Op::gather))
    gather(l, node, space);
  else
    gather_elements(l, node, space);
  return {};
}

} // namespace cameo::ops
