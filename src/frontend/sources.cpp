// Operators that make tensors from little: constants, ranges, identity matrices, one-hot vectors.
#include "families.h"

#include "cameo/ops/small_value.h"

#include <cmath>

namespace cameo::frontend {

void import_constant(NodeImport &n) {
  int given = 0;
  for (const char *name : {"value", "sparse_value", "value_float", "value_floats", "value_int", "value_ints",
                           "value_string", "value_strings"})
    given += n.has(std::string_view(name));
  if (given != 1) return void(n.fail("needs exactly one value, has " + std::to_string(given)));
  Constant data;
  if (n.has("value")) data = n.tensor("value");
  if (n.has("sparse_value")) data = n.sparse_tensor("sparse_value");
  if (n.has("value_float")) data = ConstantData::scalar(DType::f32, n.real("value_float", 0.0));
  if (n.has("value_int")) data = ConstantData::scalar_int(DType::i64, n.integer("value_int", 0));
  if (n.has("value_string")) data = ConstantData::strings({}, {n.text("value_string")});
  if (n.has("value_ints")) data = ConstantData::i64s(n.ints("value_ints"));
  if (n.has("value_floats")) {
    const std::vector<double> values = n.reals("value_floats");
    data = ConstantData::of(DType::f32, {int64_t(values.size())}, values);
  }
  if (n.has("value_strings")) {
    std::vector<std::string> values = n.texts("value_strings");
    const auto count = int64_t(values.size());
    data = ConstantData::strings({count}, std::move(values));
  }
  n.result(n.constant(std::move(data)));
}

void import_constant_of_shape(NodeImport &n) {
  Constant value = n.has("value") ? n.tensor("value") : ConstantData::scalar(DType::f32, 0);
  if (!value) return;
  if (value->count() != 1) return void(n.fail("value has " + std::to_string(value->count()) + " elements, not one"));
  Value *fill = n.constant(value->with_dims({}));
  if (auto dims = n.dims_of(n.input(0))) {
    for (const Dim &d : *dims)
      if (d.is_constant() && d.value() < 0) n.fail("extent " + d.str() + " is negative");
    return n.result(n.broadcast(fill, Shape(dims->begin(), dims->end())));
  }
  Value *extents = n.input(0);
  if (const auto rank = n.declared_rank(0); rank && extents->type().is_ranked() && extents->type().rank() == 1)
    extents = n.with_shape(extents, "the shape", {*rank});
  if (n.failed()) return;
  const Type &type = extents->type();
  if (!type.is_ranked() || type.rank() != 1 || !type.dim(0).is_constant())
    return void(n.unsupported("a result of unknown rank"));
  Shape shape;
  for (int64_t i = 0; i < type.dim(0).value(); ++i) shape.push_back(n.fresh_dim());
  n.result(n.make_typed(Op::broadcast, {fill, extents}, {}, Type::tensor(value->dtype(), std::move(shape))));
}

void import_range(NodeImport &n) {
  auto scalar = [&](size_t i) {
    Value *v = n.input(i);
    return v->type().is_ranked() && v->type().rank() > 0 ? n.reshape(v, {}) : v;
  };
  n.result(n.make(Op::range, {scalar(0), scalar(1), scalar(2)}));
}

// y[i, j] = (j - i == k)
void import_eye_like(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  if (x->type().rank() != 2) return void(n.fail("the input has rank " + std::to_string(x->type().rank()) + ", not 2"));
  const Shape &shape = x->type().shape();
  const DType dtype = n.dtype("dtype", x->type().dtype());
  auto iota = [&](int64_t axis) {
    return n.make_typed(Op::iota, {}, {{"axis", axis}}, Type::tensor(DType::i64, shape));
  };
  const int64_t k = n.integer("k");
  if (k < -INT32_MAX || k > INT32_MAX) return void(n.fail("k is " + std::to_string(k)));
  Value *row = n.map(Fn::add, {iota(0), n.scalar_int(DType::i64, k)});
  n.result(n.cast(n.map(Fn::equal, {iota(1), row}), dtype));
}

// y[..., d, ...] = (d == index) ? on : off with the new axis at `axis`; a negative index counts from depth.
void import_one_hot(NodeImport &n) {
  Value *indices = n.input(0), *values = n.input(2);
  if (!n.ranked(indices) || !n.ranked(values)) return;
  if (values->type().rank() != 1) return void(n.fail("values must be [off, on]"));
  const int64_t rank = indices->type().rank() + 1, axis = n.axis(n.integer("axis"), rank);
  std::optional<Dim> extent;
  if (auto dims = n.dims_of(n.input(1)); dims && dims->size() == 1) extent = (*dims)[0];
  if (auto reals = n.reals_of(n.input(1)); !extent && reals && reals->size() == 1) extent = int64_t((*reals)[0]);
  if (extent && extent->is_constant() && extent->value() < 0) n.fail("depth is " + extent->str());
  if (n.failed()) return;
  Value *depth = n.reshape(n.cast(n.input(1), DType::i64), {});
  Value *classes = extent ? n.make_typed(Op::iota, {}, {{"axis", int64_t{0}}}, Type::tensor(DType::i64, {*extent}))
                          : n.make(Op::range, {n.scalar_int(DType::i64, 0), depth, n.scalar_int(DType::i64, 1)});
  if (n.failed()) return;
  Shape along(size_t(rank), Dim(1));
  along[size_t(axis)] = classes->type().dim(0);
  Shape around = indices->type().shape();
  around.insert(around.begin() + axis, Dim(1));
  Value *index = n.reshape(n.cast(indices, DType::i64), around);
  Value *zero = n.scalar_int(DType::i64, 0);
  index = n.map(Fn::select, {n.map(Fn::less, {index, zero}), n.map(Fn::add, {index, depth}), index});
  Value *hit = n.map(Fn::equal, {index, n.reshape(classes, along)});
  auto pick = [&](int64_t i) { return n.gather(values, n.scalar_int(DType::i64, i), 0); };
  n.result(n.map(Fn::select, {hit, pick(1), pick(0)}));
}

} // namespace cameo::frontend
