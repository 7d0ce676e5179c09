// Sequences, optionals and maps.
#include "rules.h"

namespace cameo::ops {

using namespace graph;

namespace {

// The type that both are: equal extents stay, others are of the run; of unknown rank where the ranks differ.
std::optional<Type> join(const Type &a, const Type &b, InferContext &c) {
  if (a == b) return a;
  if (!a.is_tensor() || !b.is_tensor() || a.dtype() != b.dtype()) return std::nullopt;
  if (!a.is_ranked() || !b.is_ranked() || a.rank() != b.rank()) return Type::unranked(a.dtype());
  Shape shape;
  for (int i = 0; i < a.rank(); ++i) shape.push_back(a.dim(i) == b.dim(i) ? a.dim(i) : c.fresh());
  return Type::tensor(a.dtype(), std::move(shape));
}

// A tensor taken out of a sequence or optional. A run-time symbol in the element's type stands for any extent, another
// in each element.
Type taken_out(const Type &type, InferContext &c) {
  if (!type.is_ranked()) return type;
  Shape shape = type.shape();
  for (Dim &d : shape)
    if (mentions_runtime(d)) d = c.fresh();
  return Type::tensor(type.dtype(), std::move(shape));
}

} // namespace

bool mentions_runtime(const Dim &d) {
  bool any = false;
  d.for_each_symbol([&](const std::string &key) { any = any || Dim::from_key(key).is_runtime(); });
  return any;
}

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
    return taken_out(c.type(0).element(), c);
  case Op::sequence_insert: {
    std::optional<Type> both = join(c.type(0).element(), c.type(1), c);
    if (!both) return Inferred::wrong("the element has another type than the sequence");
    return Type::sequence(std::move(*both));
  }
  case Op::sequence_erase:
    return c.type(0);
  case Op::sequence_length:
    return Type::scalar(DType::i64);
  case Op::sequence_split: {
    const Type &x = c.type(0);
    if (!x.is_ranked()) return Type::sequence(Type::unranked(x.dtype()));
    const std::optional<int64_t> axis = normal_axis(c.integer("axis"), x.rank());
    if (!axis)
      return Inferred::wrong("axis " + std::to_string(c.integer("axis")) + " is outside rank " +
                             std::to_string(x.rank()));
    Shape shape = x.shape();
    if (c.operand(1))
      shape[size_t(*axis)] = c.fresh();
    else if (c.flag("keepdims"))
      shape[size_t(*axis)] = 1;
    else
      shape.erase(shape.begin() + *axis);
    return Type::sequence(Type::tensor(x.dtype(), std::move(shape)));
  }
  case Op::sequence_concat: {
    const Type &element = c.type(0).element();
    if (!element.is_ranked()) return Type::unranked(element.dtype());
    Shape shape = taken_out(element, c).shape();
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
    return c.type(0).is_optional() ? taken_out(c.type(0).element(), c) : c.type(0);
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
  if (!c.node.dtype) return Inferred::wrong("the type of the values is missing");
  return Type::tensor(*c.node.dtype, {1, c.word("form") == "sparse" ? Dim(c.integer("length")) : c.fresh()});
}

} // namespace cameo::ops
