// Sequences and optionals.
#include "families.h"

namespace cameo::frontend {

void import_sequence_construct(NodeImport &n) { n.result(n.make(Op::sequence_construct, n.inputs())); }

void import_sequence_empty(NodeImport &n) {
  const DType dtype = n.dtype("dtype", DType::f32);
  n.result(n.make_typed(Op::sequence_construct, {}, {}, Type::sequence(Type::unranked(dtype))));
}

namespace {
Value *position(NodeImport &n, size_t i) {
  Value *v = n.input(i);
  if (v && v->type().is_ranked() && v->type().rank() > 0) v = n.reshape(v, {});
  return v ? n.cast(v, DType::i64) : nullptr;
}
} // namespace

void import_sequence_at(NodeImport &n) { n.result(n.make(Op::sequence_at, {n.input(0), position(n, 1)})); }
// The element must fit the type of the sequence's elements: one that was just made is made again with room for it.
void import_sequence_insert(NodeImport &n) {
  Value *sequence = n.input(0);
  const Type &element = n.input(1)->type(), &inside = sequence->type().element();
  if (sequence->is(Op::sequence_construct) && element.is_ranked() && inside.is_tensor() &&
      inside.dtype() == element.dtype() &&
      (!inside.is_ranked() || (inside.rank() == element.rank() && !(inside == element)))) {
    Shape shape;
    for (int i = 0; i < element.rank(); ++i)
      shape.push_back(inside.is_ranked() && inside.dim(i) == element.dim(i) ? element.dim(i) : n.fresh_dim());
    if (sequence->producer()->operand_count() == 0 || inside.is_ranked())
      sequence = n.make_typed(Op::sequence_construct, sequence->producer()->operands(), {},
                              Type::sequence(Type::tensor(element.dtype(), std::move(shape))));
  }
  n.result(n.make(Op::sequence_insert, {sequence, n.input(1), position(n, 2)}));
}
void import_sequence_erase(NodeImport &n) { n.result(n.make(Op::sequence_erase, {n.input(0), position(n, 1)})); }
void import_sequence_length(NodeImport &n) { n.result(n.make(Op::sequence_length, {n.input(0)})); }

void import_split_to_sequence(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  const int64_t axis = n.axis(n.integer("axis"), x->type().rank());
  const bool keepdims = n.has(1) || n.flag("keepdims");
  Value *split = n.has(1) ? n.cast(n.input(1), DType::i64) : nullptr;
  n.result(n.make(Op::sequence_split, {x, split}, {{"axis", axis}, {"keepdims", keepdims}}));
}

void import_concat_from_sequence(NodeImport &n) {
  n.result(n.make(Op::sequence_concat, {n.input(0)}, {{"axis", n.integer("axis")}, {"new_axis", n.flag("new_axis")}}));
}

void import_optional(NodeImport &n) {
  if (n.has(0)) return n.result(n.make(Op::optional_make, {n.input(0)}));
  const std::optional<Type> type = n.type_attribute("type");
  if (!type) return void(n.fail("needs an input or a type"));
  n.result(n.make_typed(Op::optional_make, {}, {}, Type::optional(*type)));
}

void import_optional_has_element(NodeImport &n) {
  if (!n.has(0)) return n.result(n.scalar_int(DType::boolean, 0));
  if (!n.input(0)->type().is_optional()) return n.result(n.scalar_int(DType::boolean, 1));
  n.result(n.make(Op::optional_has, {n.input(0)}));
}

void import_optional_get_element(NodeImport &n) {
  if (!n.input(0)->type().is_optional()) return n.result(n.input(0));
  n.result(n.make(Op::optional_get, {n.input(0)}));
}

// A loop over the first sequence: out[k] = insert(out[k], body(at(in[j], i)...)[k]).
void import_sequence_map(NodeImport &n) {
  const auto [inputs, outputs] = n.body_arity("body");
  if (inputs != n.input_count() || outputs < n.output_count())
    return void(
        n.fail("the body has " + std::to_string(inputs) + " inputs and " + std::to_string(outputs) + " outputs"));
  Value *length = n.make(Op::sequence_length, {n.input(0)});
  if (n.failed()) return;
  std::vector<Value *> operands = {length, nullptr};
  const Type any = Type::sequence(Type::unranked(DType::f32));
  for (size_t i = 0; i < outputs; ++i) operands.push_back(n.make_typed(Op::sequence_construct, {}, {}, any));
  Node *loop = n.create(Op::loop, operands, {}, std::vector<Type>(outputs, any));
  std::vector<Type> arguments(outputs + 2, any);
  arguments[0] = Type::scalar(DType::i64);
  arguments[1] = Type::scalar(DType::boolean);
  n.region(loop, arguments, [&](const std::vector<Value *> &a) {
    std::vector<Value *> elements;
    for (size_t i = 0; i < inputs; ++i)
      elements.push_back(n.input(i)->type().is_sequence() ? n.make(Op::sequence_at, {n.input(i), a[0]}) : n.input(i));
    std::vector<Value *> results = {a[1]};
    if (n.failed()) return results;
    const std::vector<Value *> made = n.inline_body("body", elements);
    for (size_t i = 0; i < made.size(); ++i) { // only now the types of the elements are known
      const Type type = Type::sequence(n.element_type(made[i]->type()));
      operands[i + 2]->set_type(type);
      a[i + 2]->set_type(type);
      loop->result(i)->set_type(type);
      results.push_back(n.make(Op::sequence_insert, {a[i + 2], made[i]}));
    }
    return results;
  });
  if (n.failed()) return n.discard(loop);
  for (size_t i = 0; i < n.output_count(); ++i)
    if (n.wants(i)) n.result(i, loop->result(i));
}

} // namespace cameo::frontend
