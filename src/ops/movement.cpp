// Operations that move elements without computing: transpose, concat, slices, padding, gathers and scatters.
#include "rules.h"

#include <algorithm>

namespace cameo::ops {

using namespace graph;

namespace {

Inferred unknown_rank() { return Inferred::wrong("the rank of an operand is not known"); }
Inferred bad_axis(int64_t axis, int64_t rank) {
  return Inferred::wrong("axis " + std::to_string(axis) + " is outside rank " + std::to_string(rank));
}

Inferred infer_transpose(InferContext &c) {
  const Type &x = c.type(0);
  if (!x.is_ranked()) return unknown_rank();
  const auto &perm = c.ints("perm");
  std::vector<bool> seen(size_t(x.rank()), false);
  Shape shape;
  for (int64_t axis : perm) {
    if (axis < 0 || axis >= x.rank() || seen[size_t(axis)]) break;
    seen[size_t(axis)] = true;
    shape.push_back(x.dim(int(axis)));
  }
  if (perm.size() != size_t(x.rank()) || shape.size() != perm.size())
    return Inferred::wrong("perm is not a permutation of the " + std::to_string(x.rank()) + " axes");
  return Type::tensor(x.dtype(), std::move(shape));
}

Inferred infer_concat(InferContext &c) {
  if (!c.type(0).is_ranked()) return unknown_rank();
  Shape shape = c.type(0).shape();
  const std::optional<int64_t> axis = normal_axis(c.integer("axis"), int64_t(shape.size()));
  if (!axis) return bad_axis(c.integer("axis"), int64_t(shape.size()));
  for (size_t i = 1; i < c.operands(); ++i) {
    const Type &t = c.type(i);
    if (!t.is_ranked()) return unknown_rank();
    if (t.dtype() != c.type(0).dtype()) return Inferred::wrong("operands differ in type");
    if (t.shape().size() != shape.size())
      return Inferred::wrong("shapes " + shape_text(c.type(0).shape()) + " and " + shape_text(t.shape()) +
                             " differ in rank");
    for (size_t k = 0; k < shape.size(); ++k) {
      if (int64_t(k) == *axis) {
        shape[k] += t.dim(int(k));
      } else if (!may_be_equal(shape[k], t.dim(int(k)))) {
        return Inferred::wrong("shapes " + shape_text(c.type(0).shape()) + " and " + shape_text(t.shape()) +
                               " differ outside axis " + std::to_string(*axis));
      } else if (t.dim(int(k)).is_constant()) {
        shape[k] = t.dim(int(k)); // what is known of one holds for all
      }
    }
  }
  return Type::tensor(c.type(0).dtype(), std::move(shape));
}

// With operands only: the sliced axes have extents of the run.
Inferred infer_slice(InferContext &c) {
  const Type &x = c.type(0);
  if (!x.is_ranked()) return unknown_rank();
  CAMEO_CHECK(!c.find("starts"), "a slice with constant bounds says its shape itself");
  Shape shape = x.shape();
  for (int64_t axis : c.ints("axes")) {
    const std::optional<int64_t> normal = normal_axis(axis, x.rank());
    if (!normal) return bad_axis(axis, x.rank());
    shape[size_t(*normal)] = c.fresh(shape[size_t(*normal)]);
  }
  return Type::tensor(x.dtype(), std::move(shape));
}

Inferred infer_pad(InferContext &c) {
  const Type &x = c.type(0);
  if (!x.is_ranked()) return unknown_rank();
  if (c.operand(1) && c.type(1).dtype() != x.dtype()) return Inferred::wrong("the padding value has another type");
  Shape shape = x.shape();
  const auto &low = c.dims("low"), &high = c.dims("high");
  for (size_t i = 0; i < shape.size(); ++i) {
    if (c.operand(2)) {
      shape[i] = c.fresh();
      continue;
    }
    if (low.size() != shape.size() || high.size() != shape.size()) return Inferred::wrong("pads of another rank");
    const std::string_view mode = c.word("mode");
    for (const Dim &pad : {low[i], high[i]}) {
      if (!pad.is_constant() || !shape[i].is_constant() || pad.value() <= 0) continue;
      const int64_t extent = shape[i].value();
      if ((mode == "reflect" && pad.value() > 0 && extent < 1) || ((mode == "edge" || mode == "wrap") && extent < 1))
        return Inferred::wrong("axis " + std::to_string(i) + " is empty and cannot be padded by mode " +
                               std::string(mode));
    }
    shape[i] = shape[i] + low[i] + high[i];
  }
  return Type::tensor(x.dtype(), std::move(shape));
}

bool is_index(const Type &type) { return type.dtype() == DType::i64 || type.dtype() == DType::i32; }

// y = x[..., indices, ...]: the axis is replaced by the axes of the indices.
Inferred infer_gather(InferContext &c) {
  const Type &x = c.type(0), &indices = c.type(1);
  if (!x.is_ranked() || !indices.is_ranked()) return unknown_rank();
  if (!is_index(indices)) return Inferred::wrong("indices are " + std::string(name(indices.dtype())));
  const std::optional<int64_t> axis = normal_axis(c.integer("axis"), x.rank());
  if (!axis) return bad_axis(c.integer("axis"), x.rank());
  Shape shape(x.shape().begin(), x.shape().begin() + *axis);
  shape.insert(shape.end(), indices.shape().begin(), indices.shape().end());
  shape.insert(shape.end(), x.shape().begin() + *axis + 1, x.shape().end());
  return Type::tensor(x.dtype(), std::move(shape));
}

Inferred infer_gather_elements(InferContext &c) {
  const Type &x = c.type(0), &indices = c.type(1);
  if (!x.is_ranked() || !indices.is_ranked()) return unknown_rank();
  if (!is_index(indices)) return Inferred::wrong("indices are " + std::string(name(indices.dtype())));
  if (!normal_axis(c.integer("axis"), x.rank())) return bad_axis(c.integer("axis"), x.rank());
  if (x.rank() != indices.rank())
    return Inferred::wrong("indices have rank " + std::to_string(indices.rank()) + ", the input " +
                           std::to_string(x.rank()));
  return Type::tensor(x.dtype(), indices.shape());
}

// y[batch, i...] = x[batch, indices[batch, i..., :]].
Inferred infer_gather_nd(InferContext &c) {
  const Type &x = c.type(0), &indices = c.type(1);
  if (!x.is_ranked() || !indices.is_ranked()) return unknown_rank();
  const int64_t batch = c.integer("batch_dims");
  if (indices.rank() < 1 || x.rank() < 1 || batch < 0 || batch >= std::min(x.rank(), indices.rank()))
    return Inferred::wrong("batch_dims " + std::to_string(batch) + " for ranks " + std::to_string(x.rank()) + " and " +
                           std::to_string(indices.rank()));
  const Dim &depth = indices.dim(-1);
  if (!depth.is_constant()) return Inferred::wrong("the length of an index tuple is not known");
  if (depth.value() < 1 || depth.value() > x.rank() - batch)
    return Inferred::wrong("index tuples of " + depth.str() + " for an input of rank " + std::to_string(x.rank()));
  for (int i = 0; i < batch; ++i)
    if (!may_be_equal(x.dim(i), indices.dim(i)))
      return Inferred::wrong("batch axes of " + shape_text(x.shape()) + " and " + shape_text(indices.shape()) +
                             " differ");
  Shape shape(indices.shape().begin(), indices.shape().end() - 1);
  shape.insert(shape.end(), x.shape().begin() + batch + depth.value(), x.shape().end());
  return Type::tensor(x.dtype(), std::move(shape));
}

} // namespace

Inferred infer_movement(InferContext &c) {
  switch (c.node.op) {
  case Op::transpose:
    return infer_transpose(c);
  case Op::concat:
    return infer_concat(c);
  case Op::slice:
    return infer_slice(c);
  case Op::pad:
    return infer_pad(c);
  case Op::gather:
    return infer_gather(c);
  case Op::gather_elements:
    return infer_gather_elements(c);
  case Op::gather_nd:
    return infer_gather_nd(c);
  default:
    break;
  }
  // shape_of
  return Type::tensor(DType::i64, {c.type(0).is_ranked() ? Dim(c.type(0).rank()) : c.fresh()});
}

// The type of x, some of whose elements are replaced by updates.
Inferred infer_scatter(InferContext &c) {
  const Type &x = c.type(0), &indices = c.type(1), &updates = c.type(2);
  if (!x.is_ranked() || !indices.is_ranked() || !updates.is_ranked()) return unknown_rank();
  if (updates.dtype() != x.dtype()) return Inferred::wrong("updates have another type than the input");
  if (c.node.op == Op::scatter_elements) {
    if (!normal_axis(c.integer("axis"), x.rank())) return bad_axis(c.integer("axis"), x.rank());
    bool fits = indices.rank() == x.rank() && updates.rank() == x.rank();
    for (int i = 0; fits && i < x.rank(); ++i) fits = may_be_equal(indices.dim(i), updates.dim(i));
    if (!fits)
      return Inferred::wrong("indices " + shape_text(indices.shape()) + " and updates " + shape_text(updates.shape()) +
                             " do not fit an input of rank " + std::to_string(x.rank()));
    return x;
  }
  if (x.rank() < 1 || indices.rank() < 1) return Inferred::wrong("scalars cannot be scattered");
  const Dim &depth = indices.dim(-1);
  if (!depth.is_constant()) return Inferred::wrong("the length of an index tuple is not known");
  if (depth.value() < 0 || depth.value() > x.rank())
    return Inferred::wrong("index tuples of " + depth.str() + " for an input of rank " + std::to_string(x.rank()));
  Shape wanted(indices.shape().begin(), indices.shape().end() - 1);
  wanted.insert(wanted.end(), x.shape().begin() + depth.value(), x.shape().end());
  bool fits = wanted.size() == updates.shape().size();
  for (size_t i = 0; fits && i < wanted.size(); ++i) fits = may_be_equal(wanted[i], updates.shape()[i]);
  if (!fits)
    return Inferred::wrong("updates " + shape_text(updates.shape()) + " where the indices need " + shape_text(wanted));
  return x;
}

} // namespace cameo::ops
