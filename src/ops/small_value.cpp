// Recognizing small known tensors in the graph and putting them back.
#include "cameo/ops/small_value.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace cameo::ops {

using namespace graph;

namespace {

bool is_small_float(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f64 || dtype == DType::f16 || dtype == DType::bf16;
}
bool is_small_int(DType dtype) { return (is_integer(dtype) && bits(dtype) >= 8) || dtype == DType::boolean; }

std::optional<SmallTensor> from_constant(const ConstantData &data) {
  if (!data.available() || data.count() > kMaxSmallElements) return std::nullopt;
  SmallTensor small;
  small.dtype = data.dtype();
  small.dims = data.dims();
  small.is_real = is_small_float(small.dtype);
  if (!small.is_real && !is_small_int(small.dtype)) return std::nullopt;
  for (int64_t i = 0; i < data.count(); ++i) {
    if (small.is_real) {
      small.reals.push_back(data.as_double(i));
    } else {
      const int64_t v = data.as_int(i);
      if (small.dtype == DType::u64 && v < 0) return std::nullopt;
      small.ints.push_back(v);
    }
  }
  return small;
}

} // namespace

std::optional<SmallTensor> small_value(const Value *value) {
  if (!value) return std::nullopt;
  if (const ConstantData *data = value->constant()) return from_constant(*data);
  // No elements: known without looking.
  if (value->type().is_ranked() && value->type().elements().is(0)) {
    const std::optional<std::vector<int64_t>> dims = value->type().static_shape();
    const DType dtype = value->type().dtype();
    if (dims && (is_small_int(dtype) || is_small_float(dtype))) {
      SmallTensor none;
      none.dtype = dtype;
      none.dims = *dims;
      none.is_real = is_small_float(dtype);
      return none;
    }
  }
  const Node *node = value->producer();
  if (!node) return std::nullopt;
  switch (node->op()) {
  case Op::dims: {
    SmallTensor small;
    small.ints = node->dims("values");
    small.dims = {int64_t(small.ints.size())};
    if (small.count() > kMaxSmallElements) return std::nullopt;
    return small;
  }
  case Op::reshape:
  case Op::cast: {
    // Only the forms that materialize() makes: reshape and cast of dims, at most one of each.
    const Value *inner = node->operand();
    if (node->op() == Op::cast && inner->is(Op::reshape)) inner = inner->producer()->operand();
    if (!inner->is(Op::dims)) return std::nullopt;
    const std::optional<std::vector<int64_t>> dims =
        value->type().is_ranked() ? value->type().static_shape() : std::nullopt;
    std::optional<SmallTensor> small = small_value(inner);
    if (!small || !dims || !is_small_int(value->type().dtype())) return std::nullopt;
    small->dims = *dims;
    small->dtype = value->type().dtype();
    return small;
  }
  default:
    return std::nullopt;
  }
}

Value *materialize(Builder &builder, const SmallTensor &value) {
  const bool constant =
      value.is_real || std::all_of(value.ints.begin(), value.ints.end(), [](const Dim &d) { return d.is_constant(); });
  if (value.is_real) return builder.constant(ConstantData::of(value.dtype, value.dims, value.reals));
  if (constant) {
    std::vector<int64_t> ints;
    for (const Dim &d : value.ints) ints.push_back(d.value());
    return builder.constant(ConstantData::of_ints(value.dtype, value.dims, ints));
  }
  Value *result = builder.dims(value.ints);
  if (value.dims.size() != 1) result = builder.reshape(result, Shape(value.dims.begin(), value.dims.end()));
  return builder.cast(result, value.dtype);
}

} // namespace cameo::ops
