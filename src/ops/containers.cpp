// Sequences, optionals and maps.
#include "rules.h"

namespace cameo::ops {

using namespace graph;

namespace {

// The type that both are: equal extents stay, others are unknown (unranked where ranks differ).
std::optional<Type> join(const Type &a, const Type &b, InferContext &c) {
  if (a == b) return a;
  if (!a.is_tensor() || !b.is_tensor() || a.dtype() != b.dtype()) return std::nullopt;
  (void)c;
  return Type::unranked(a.dtype());
}

// A tensor taken out of a sequence: its extents are of the run where the element type does not know them.
Type element_of(const Type &type) { return type; }

} // namespace

Inferred infer_container(InferContext &c) {
  switch (c.node.op) {
  case Op::sequence_construct: {
    Type element = c.type(0);
    for (size_t i = 1; i < c.operands(); ++i) {
      std::optional<Type> both = join(element, c.type(i), c);
      if (!both) return Inferred::wrong("elements differ in type");
      element = *both;
    }
    return Type::sequence(std::move(element));
  }
  case Op::sequence_at:
    return element_of(c.type(0).element());
  case Op::sequence_insert: {
    std::optional<Type> both = join(c.type(0).element(), c.type(1), c);
    if (!both) return Inferred::wrong("the element has another type than the sequence");
    return Type::sequence(std::move(*both));
  }
  case Op::sequence_erase:
    return c.type(0);
  case Op::sequence_length:
    return Type::scalar(DType::i64);
  case Op::sequence_split:
    return Type::sequence(Type::unranked(c.type(0).dtype()));
  case Op::sequence_concat: {
    const Type &element = c.type(0).element();
    if (!element.is_ranked()) return Type::unranked(element.dtype());
    Shape shape = element.shape();
    const int64_t rank = int64_t(shape.size()) + c.flag("new_axis");
    const std::optional<int64_t> axis = normal_axis(c.integer("axis"), rank);
    if (!axis)
      return Inferred::wrong("axis " + std::to_string(c.integer("axis")) + " is outside rank " + std::to_string(rank));
    if (c.flag("new_axis"))
      shape.insert(shape.begin() + *axis, c.fresh());
    else
      shape[size_t(*axis)] = c.fresh();
    return Type::tensor(element.dtype(), std::move(shape));
  }
  case Op::optional_make:
    return Type::optional(c.type(0));
  case Op::optional_has:
    return Type::scalar(DType::boolean);
  case Op::optional_get:
    return c.type(0).is_optional() ? element_of(c.type(0).element()) : c.type(0);
  case Op::zip_map: {
    const Constant &keys = *c.get<Constant>("keys");
    return Type::sequence(Type::map(keys->dtype(), Type::scalar(c.type(0).dtype())));
  }
  case Op::dict_vectorize: {
    const Constant &keys = *c.get<Constant>("keys");
    return Type::tensor(c.type(0).element().dtype(), {1, keys->count()});
  }
  default:
    break;
  }
  // map_cast
  CAMEO_CHECK(c.node.dtype, "map_cast without dtype");
  return Type::tensor(*c.node.dtype, {1, c.word("form") == "sparse" ? Dim(c.integer("length")) : c.fresh()});
}

} // namespace cameo::ops
