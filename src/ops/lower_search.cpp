// topk: the k best of each line along an axis, in order. NaN counts as the largest number; of equal ones the lower
// index comes first.
//
// Result i of a line is the best of those that come after result i - 1, so the stage walks i in sequence, and reduces
// over the line in each step. An unsorted top-k may be in any order, hence in this one.
#include "lowering.h"

namespace cameo::ops {

using graph::Value;

Problem lower_topk(Lowering &l, const graph::Node &node) {
  const Value *x = node.operand(0);
  const DType dtype = x->type().dtype();
  const Scalar t = value_type(dtype);
  if (t == Scalar::i1) return "topk of bool has no kernel";
  for (const Value *y : node.results())
    if (bits(y->type().dtype()) < 8) return "topk of " + std::string(name(dtype)) + " has no kernel";
  const bool largest = node.flag("largest"), u = kind(dtype) == DTypeKind::unsigned_integer;
  const graph::Shape &shape = x->type().shape(), &result = node.result(0)->type().shape();
  const size_t axis = static_cast<size_t>(node.integer("axis"));
  loop::Kernel &k = l.kernel();
  const int32_t values = l.define_buffer(node.result(0)), indices = l.define_buffer(node.result(1));

  // Axes: those of the lines, then the number of the result, then the place in the line.
  loop::Stage stage;
  stage.name = "best";
  std::vector<Index> dims(shape.size());
  for (size_t d = 0; d < shape.size(); ++d) {
    if (d == axis) continue;
    dims[d] = loop::axis_index(static_cast<int32_t>(stage.axes.size()));
    stage.axes.push_back({"d" + std::to_string(d), l.extent(shape[d]), AxisKind::parallel});
  }
  const int32_t i = static_cast<int32_t>(stage.axes.size());
  stage.axes.push_back({"i", l.extent(result[axis]), AxisKind::sequential});
  const int32_t j = Lowering::add_reduction(stage, "j", l.extent(shape[axis]));

  auto both = [&](ExprId a, ExprId b) { return l.op(Opcode::bit_and, a, b); };
  auto either = [&](ExprId a, ExprId b) { return l.op(Opcode::bit_or, a, b); };
  auto is_nan = [&](ExprId a) { return l.op(Opcode::ne, a, a); };
  auto better = [&](ExprId a, ExprId b) {
    const ExprId plain = l.op(largest ? (u ? Opcode::ugt : Opcode::gt) : (u ? Opcode::ult : Opcode::lt), a, b);
    if (!loop::is_float(t)) return plain;
    const ExprId nan = largest ? is_nan(a) : is_nan(b), number = largest ? b : a;
    return either(plain, both(nan, l.op(Opcode::eq, number, number)));
  };
  std::vector<Index> at = dims;
  at[axis] = loop::axis_index(j);
  const ExprId value = l.read(x, at), place = k.axis_value(j);
  const ExprId last = l.read_previous(t, 0, i + 1, i), last_place = l.read_previous(Scalar::i64, 1, i + 1, i);
  const ExprId equal = l.op(Opcode::bit_not, either(better(value, last), better(last, value)));
  const ExprId behind = either(better(last, value), both(equal, l.op(Opcode::gt, place, last_place)));
  const ExprId candidate = either(l.op(Opcode::lt, last_place, l.integer(0)), behind);
  const ExprId best = k.carried(t, 0), best_place = k.carried(Scalar::i64, 1);
  const ExprId first = l.op(Opcode::lt, best_place, l.integer(0));
  const ExprId takes = both(candidate, either(first, better(value, best)));
  stage.types = {t, Scalar::i64};
  stage.init = {l.number(t, 0), l.integer(-1)};
  stage.next = {l.select(takes, value, best), l.select(takes, place, best_place)};
  stage.before = {l.number(t, 0), l.integer(-1)};
  dims[axis] = loop::axis_index(i);
  for (const int32_t buffer : {values, indices}) {
    loop::StageStore store;
    store.buffer = buffer;
    store.indices = dims;
    stage.stores.push_back(std::move(store));
  }
  l.add_stage(std::move(stage));
  return {};
}

} // namespace cameo::ops
