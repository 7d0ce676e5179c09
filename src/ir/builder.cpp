#include "cameo/ir/builder.h"

#include <algorithm>

namespace cameo::graph {

namespace {

// An axis in [0, rank); negative ones count from the end.
int64_t axis_of(const Type &type, int64_t axis) {
  const int64_t rank = type.rank();
  CAMEO_CHECK(axis >= -rank && axis < rank, "axis " + std::to_string(axis) + " of " + type.str());
  return axis < 0 ? axis + rank : axis;
}

Type with_dim(const Type &type, int64_t axis, Dim dim) {
  Shape shape = type.shape();
  shape[static_cast<size_t>(axis)] = std::move(dim);
  return type.with_shape(std::move(shape));
}

} // namespace

Type constant_type(const ConstantData &data) {
  return Type::tensor(data.dtype(), Shape(data.dims().begin(), data.dims().end()));
}

Node *Builder::node(Op op, std::vector<Value *> operands, Attributes attributes, std::vector<Type> result_types) {
  return graph_.create(at_, op, std::move(operands), std::move(attributes), std::move(result_types), origin_);
}

Value *Builder::value(Op op, std::vector<Value *> operands, Attributes attributes, Type result_type) {
  return node(op, std::move(operands), std::move(attributes), {std::move(result_type)})->result();
}

Value *Builder::constant(Constant data, std::string name) {
  Type type = constant_type(*data);
  Value *result = value(Op::constant, {}, {{"value", std::move(data)}}, std::move(type));
  result->set_name(std::move(name));
  return result;
}

Value *Builder::scalar(DType dtype, double value) {
  return constant(is_float(dtype) ? ConstantData::of_rounded(dtype, {}, {&value, 1})
                                  : ConstantData::scalar(dtype, value));
}

Value *Builder::ints(std::vector<int64_t> values) { return constant(ConstantData::i64s(values)); }

Value *Builder::dims(std::vector<Dim> values) {
  Type type = Type::tensor(DType::i64, {static_cast<int64_t>(values.size())});
  return value(Op::dims, {}, {{"values", std::move(values)}}, std::move(type));
}

Value *Builder::elementwise(Fn fn, std::vector<Value *> operands, std::optional<double> alpha,
                            std::optional<double> beta) {
  CAMEO_CHECK(!operands.empty(), "elementwise without operands");
  Shape shape;
  for (const Value *operand : operands) {
    auto joined = broadcast_shapes(shape, operand->type().shape());
    CAMEO_CHECK(joined, std::string(name(fn)) + " of shapes that do not broadcast: " + operand->type().str());
    shape = std::move(*joined);
  }
  // The operand whose dtype the result has: of pow the base, of select the last.
  const Value *like = fn == Fn::select ? operands.back() : operands.front();
  DType dtype = info(fn).result == FnResult::boolean ? DType::boolean : like->type().dtype();
  Attributes attributes = {{"fn", fn}};
  if (alpha) attributes.emplace_back("alpha", *alpha);
  if (beta) attributes.emplace_back("beta", *beta);
  return value(Op::elementwise, std::move(operands), std::move(attributes), Type::tensor(dtype, std::move(shape)));
}

Value *Builder::cast(Value *x, DType to, bool saturate) {
  if (x->type().dtype() == to) return x;
  return value(Op::cast, {x}, {{"saturate", saturate}}, x->type().with_dtype(to).without_quantization());
}

Value *Builder::reshape(Value *x, Shape shape) {
  if (x->type().is_ranked() && x->type().shape() == shape) return x;
  return value(Op::reshape, {x}, {}, x->type().with_shape(std::move(shape)));
}

Value *Builder::transpose(Value *x, std::vector<int64_t> perm) {
  Shape shape;
  for (int64_t axis : perm) shape.push_back(x->type().dim(static_cast<int>(axis)));
  return value(Op::transpose, {x}, {{"perm", std::move(perm)}}, x->type().with_shape(std::move(shape)));
}

Value *Builder::broadcast(Value *x, Shape shape) {
  if (x->type().shape() == shape) return x;
  return value(Op::broadcast, {x}, {}, x->type().with_shape(std::move(shape)));
}

Value *Builder::concat(std::vector<Value *> xs, int64_t axis) {
  CAMEO_CHECK(!xs.empty(), "concat of nothing");
  axis = axis_of(xs[0]->type(), axis);
  Dim total = 0;
  for (const Value *x : xs) total += x->type().dim(static_cast<int>(axis));
  Type type = with_dim(xs[0]->type(), axis, total);
  return value(Op::concat, std::move(xs), {{"axis", axis}}, std::move(type));
}

Value *Builder::slice(Value *x, int64_t axis, Dim start, Dim size) {
  axis = axis_of(x->type(), axis);
  Attributes attributes = {{"axes", std::vector<int64_t>{axis}},
                           {"starts", std::vector<Dim>{std::move(start)}},
                           {"steps", std::vector<int64_t>{1}}};
  return value(Op::slice, {x}, std::move(attributes), with_dim(x->type(), axis, std::move(size)));
}

Value *Builder::iota(DType dtype, Shape shape, int64_t axis) {
  Type type = Type::tensor(dtype, std::move(shape));
  axis = axis_of(type, axis);
  return value(Op::iota, {}, {{"axis", axis}}, std::move(type));
}

Value *Builder::gather(Value *x, Value *indices, int64_t axis) {
  axis = axis_of(x->type(), axis);
  const Shape &from = x->type().shape(), &middle = indices->type().shape();
  Shape shape(from.begin(), from.begin() + axis);
  shape.insert(shape.end(), middle.begin(), middle.end());
  shape.insert(shape.end(), from.begin() + axis + 1, from.end());
  return value(Op::gather, {x, indices}, {{"axis", axis}}, Type::tensor(x->type().dtype(), std::move(shape)));
}

Value *Builder::reduce(std::string fn, Value *x, std::vector<int64_t> axes, bool keepdims) {
  for (int64_t &axis : axes) axis = axis_of(x->type(), axis);
  std::sort(axes.begin(), axes.end());
  Shape shape;
  for (int64_t axis = 0; axis < x->type().rank(); ++axis) {
    bool reduced = std::binary_search(axes.begin(), axes.end(), axis);
    if (!reduced) shape.push_back(x->type().dim(static_cast<int>(axis)));
    if (reduced && keepdims) shape.push_back(1);
  }
  return value(Op::reduce, {x}, {{"fn", std::move(fn)}, {"axes", std::move(axes)}, {"keepdims", keepdims}},
               Type::tensor(x->type().dtype(), std::move(shape)));
}

} // namespace cameo::graph
