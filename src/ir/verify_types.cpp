// One rule per op whose types follow from a line of its definition in ops.def: sources, elementwise, movement,
// reductions, control, sequences. The inference rules of convolutions, pools and the like are in ops/, beside their
// lowering, which checks them.
#include "verify_types.h"

#include "cameo/ir/container.h"

#include <algorithm>

namespace cameo::graph {

namespace {

using Problem = std::optional<std::string>;

bool different(const Dim &a, const Dim &b) {
  if (a == b) return false;
  Interval gap = (a - b).bounds();
  return (gap.lower && *gap.lower > 0) || (gap.upper && *gap.upper < 0);
}

bool different(const Shape &a, const Shape &b) {
  if (a.size() != b.size()) return true;
  for (size_t i = 0; i < a.size(); ++i)
    if (different(a[i], b[i])) return true;
  return false;
}

std::string text(const Shape &shape) { return Type::tensor(DType::f32, shape).str().substr(3); }

Problem expect_shape(const Value *value, const Shape &shape, const char *what) {
  if (!value->type().is_ranked() || !different(value->type().shape(), shape)) return std::nullopt;
  return std::string(what) + " has shape " + text(value->type().shape()) + ", not " + text(shape);
}

Problem expect_dtype(const Value *value, DType dtype, const char *what) {
  if (value->type().is_tensor() && value->type().dtype() == dtype) return std::nullopt;
  return std::string(what) + " is " + value->type().str() + ", not " + std::string(name(dtype));
}

Problem expect_rank(const Value *value, int rank, const char *what) {
  if (!value->type().is_ranked() || value->type().rank() == rank) return std::nullopt;
  return std::string(what) + " has rank " + std::to_string(value->type().rank()) + ", not " + std::to_string(rank);
}

Problem expect_axis(int64_t axis, const Value *value) {
  if (!value->type().is_ranked() || (axis >= 0 && axis < value->type().rank())) return std::nullopt;
  return "axis " + std::to_string(axis) + " of rank " + std::to_string(value->type().rank());
}

// Sorted, distinct, in range.
Problem expect_axes(const std::vector<int64_t> &axes, const Value *value) {
  for (size_t i = 0; i < axes.size(); ++i) {
    if (auto bad = expect_axis(axes[i], value)) return bad;
    if (i > 0 && axes[i - 1] >= axes[i]) return "axes are not sorted and distinct";
  }
  return std::nullopt;
}

Problem first(std::initializer_list<Problem> problems) {
  for (const Problem &problem : problems)
    if (problem) return problem;
  return std::nullopt;
}

bool all_ranked(const Node &node) {
  for (const Value *operand : node.operands())
    if (operand && operand->type().is_tensor() && !operand->type().is_ranked()) return false;
  for (const Value *result : node.results())
    if (result->type().is_tensor() && !result->type().is_ranked()) return false;
  return true;
}

Problem elementwise(const Node &node) {
  const Fn fn = node.fn();
  Shape shape;
  for (size_t i = 0; i < node.operand_count(); ++i) {
    auto joined = broadcast_shapes(shape, node.operand(i)->type().shape());
    if (!joined) return "operand shapes do not broadcast: " + text(shape) + " and " + node.operand(i)->type().str();
    shape = std::move(*joined);
  }
  // All operands of one dtype, but for the condition of select and the exponent of pow and shifts.
  size_t from = fn == Fn::select ? 1 : 0;
  const DType dtype = node.operand(from)->type().dtype();
  if (fn == Fn::select)
    if (auto bad = expect_dtype(node.operand(0), DType::boolean, "condition")) return bad;
  for (size_t i = from + 1; i < node.operand_count() && fn != Fn::pow; ++i)
    if (node.operand(i)->type().dtype() != dtype)
      return "operands are " + std::string(name(dtype)) + " and " + std::string(name(node.operand(i)->type().dtype()));
  const bool logical = fn == Fn::logical_and || fn == Fn::logical_or || fn == Fn::logical_xor || fn == Fn::logical_not;
  if (logical && dtype != DType::boolean) return "operand is " + std::string(name(dtype)) + ", not bool";
  return first({expect_dtype(node.result(), info(fn).result == FnResult::boolean ? DType::boolean : dtype, "result"),
                expect_shape(node.result(), shape, "result")});
}

Problem movement_dtype(const Node &node) {
  return expect_dtype(node.result(), node.operand()->type().dtype(), "result");
}

Problem transpose(const Node &node) {
  const std::vector<int64_t> &perm = node.ints("perm");
  const Shape &from = node.operand()->type().shape();
  std::vector<bool> seen(from.size());
  Shape to;
  for (int64_t axis : perm) {
    if (axis < 0 || axis >= static_cast<int64_t>(from.size()) || seen[static_cast<size_t>(axis)])
      return "perm is not a permutation of " + std::to_string(from.size()) + " axes";
    seen[static_cast<size_t>(axis)] = true;
    to.push_back(from[static_cast<size_t>(axis)]);
  }
  if (perm.size() != from.size()) return "perm is not a permutation of " + std::to_string(from.size()) + " axes";
  return expect_shape(node.result(), to, "result");
}

Problem concat(const Node &node) {
  const int64_t axis = node.integer("axis");
  if (auto bad = expect_axis(axis, node.operand())) return bad;
  Shape shape = node.operand()->type().shape();
  for (size_t i = 1; i < node.operand_count(); ++i) {
    Shape other = node.operand(i)->type().shape();
    if (node.operand(i)->type().dtype() != node.operand()->type().dtype()) return "operands differ in dtype";
    if (other.size() != shape.size()) return "operands differ in rank";
    Dim &extent = other[static_cast<size_t>(axis)], &sum = shape[static_cast<size_t>(axis)];
    Dim total = sum + extent;
    extent = sum;
    if (different(other, shape)) return "operands differ in an extent beside the axis";
    sum = total;
  }
  return expect_shape(node.result(), shape, "result");
}

Problem slice(const Node &node) {
  const std::vector<int64_t> &axes = node.ints("axes");
  const Type &from = node.operand()->type(), &to = node.result()->type();
  if (auto bad = expect_axes(axes, node.operand())) return bad;
  const bool dynamic = node.operand_count() > 1;
  if (dynamic == node.has_attribute("starts")) return "starts must be either an attribute or an operand";
  if (dynamic) return node.operand(2) ? std::nullopt : Problem("ends are missing");
  if (!node.has_attribute("steps")) return "steps are missing";
  const std::vector<Dim> &starts = node.dims("starts");
  const std::vector<int64_t> &steps = node.ints("steps");
  if (starts.size() != axes.size() || steps.size() != axes.size()) return "axes, starts and steps differ in length";
  Shape shape = from.shape();
  if (auto bad = expect_rank(node.result(), from.rank(), "result")) return bad;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (steps[i] == 0 || steps[i] == INT64_MIN) return "step " + std::to_string(steps[i]);
    const auto axis = static_cast<size_t>(axes[i]);
    // First and last index that is read lie in [0, extent) when anything is read at all.
    const Dim &size = to.shape()[axis], &extent = shape[axis];
    if (!size.is(0) && size.is_constant() && extent.is_constant() && starts[i].is_constant()) {
      Dim last = starts[i] + (size - 1) * Dim(steps[i]);
      if (!last.valid() || starts[i].value() < 0 || starts[i].value() >= extent.value() || last.value() < 0 ||
          last.value() >= extent.value())
        return "reads " + starts[i].str() + " to " + last.str() + " of an extent of " + extent.str();
    }
    shape[axis] = size;
  }
  return expect_shape(node.result(), shape, "result");
}

Problem pad(const Node &node) {
  const bool dynamic = node.operand_count() > 2 && node.operand(2);
  if (dynamic == node.has_attribute("low") || node.has_attribute("low") != node.has_attribute("high"))
    return "low and high must be attributes, or pads an operand";
  if (dynamic) return std::nullopt;
  Shape shape = node.operand()->type().shape();
  const std::vector<Dim> &low = node.dims("low"), &high = node.dims("high");
  if (low.size() != shape.size() || high.size() != shape.size()) return "low and high need one entry per axis";
  for (size_t i = 0; i < shape.size(); ++i) {
    for (const Dim &amount : {low[i], high[i]})
      if (amount.is_constant() && amount.value() < 0) return "negative padding " + amount.str();
    shape[i] += low[i] + high[i];
  }
  return expect_shape(node.result(), shape, "result");
}

Problem gather(const Node &node) {
  const int64_t axis = node.integer("axis");
  if (auto bad = expect_axis(axis, node.operand())) return bad;
  const Shape &from = node.operand()->type().shape(), &middle = node.operand(1)->type().shape();
  Shape shape(from.begin(), from.begin() + axis);
  shape.insert(shape.end(), middle.begin(), middle.end());
  shape.insert(shape.end(), from.begin() + axis + 1, from.end());
  return expect_shape(node.result(), shape, "result");
}

Problem reduce_shape(const Node &node, const std::vector<int64_t> &axes) {
  if (auto bad = expect_axes(axes, node.operand())) return bad;
  Shape shape;
  for (int64_t i = 0; i < node.operand()->type().rank(); ++i)
    if (!std::binary_search(axes.begin(), axes.end(), i))
      shape.push_back(node.operand()->type().dim(static_cast<int>(i)));
    else if (node.flag("keepdims"))
      shape.push_back(1);
  return expect_shape(node.result(), shape, "result");
}

Problem quantization(const Node &node) {
  const Type &x = node.operand()->type();
  const DType real = node.is(Op::quantize) ? x.dtype() : node.result()->type().dtype();
  const DType stored = node.is(Op::quantize) ? node.result()->type().dtype() : x.dtype();
  if (!is_float(real) && real != DType::i32) return "expressed dtype is " + std::string(name(real));
  if (node.operand(2))
    if (auto bad = expect_dtype(node.operand(2), stored, "zero point")) return bad;
  if (node.has_attribute("axis"))
    if (auto bad = expect_axis(node.integer("axis"), node.operand())) return bad;
  if (node.has_attribute("block") && (!node.has_attribute("axis") || node.integer("block") < 1))
    return "block without axis, or below 1";
  return expect_shape(node.result(), x.shape(), "result");
}

// ---- Control: regions.

Problem counts(const Node &node, const Region *region, size_t arguments, size_t results) {
  if (region->arguments().size() != arguments)
    return std::string(name(node.op())) + ": region has " + std::to_string(region->arguments().size()) +
           " arguments, not " + std::to_string(arguments);
  if (region->yield()->operand_count() != results)
    return std::string(name(node.op())) + ": region yields " + std::to_string(region->yield()->operand_count()) +
           " values, not " + std::to_string(results);
  return std::nullopt;
}

Problem passes(const Value *from, const Value *to, const char *what) {
  if (accepts(to->type(), from->type())) return std::nullopt;
  return std::string(what) + " is " + from->type().str() + " where " + to->type().str() + " is declared";
}

// A value for the next iteration: an extent that the argument leaves to the run may be another one each time.
Problem carries(const Value *next, const Value *argument, const char *what) {
  Type to = argument->type();
  if (to.is_ranked() && next->type().is_ranked() && to.rank() == next->type().rank()) {
    Shape shape = to.shape();
    for (size_t d = 0; d < shape.size(); ++d)
      if (shape[d].is_runtime()) shape[d] = next->type().shape()[d];
    to = to.with_shape(std::move(shape));
  }
  if (accepts(to, next->type())) return std::nullopt;
  return std::string(what) + " is " + next->type().str() + " where " + argument->type().str() + " is declared";
}

// The slice of a stacked value: one axis less.
Problem slice_of(const Type &slice, const Type &whole, int64_t axis, const char *what) {
  if (!slice.is_ranked() || !whole.is_ranked()) return std::nullopt;
  if (axis < 0 || axis >= whole.rank())
    return std::string(what) + ": axis " + std::to_string(axis) + " of " + whole.str();
  Shape rest = whole.shape();
  rest.erase(rest.begin() + axis);
  if (slice.dtype() == whole.dtype() && !different(slice.shape(), rest)) return std::nullopt;
  return std::string(what) + " is " + slice.str() + " of " + whole.str();
}

Problem if_op(const Node &node) {
  for (size_t r = 0; r < 2; ++r) {
    const Region *region = node.body(r);
    if (auto bad = counts(node, region, 0, node.result_count())) return bad;
    for (size_t i = 0; i < node.result_count(); ++i)
      if (auto bad = passes(region->yield()->operand(i), node.result(i), r == 0 ? "then result" : "else result"))
        return bad;
  }
  return expect_dtype(node.operand(), DType::boolean, "condition");
}

Problem loop(const Node &node) {
  const Region *body = node.body();
  const size_t carried = node.operand_count() < 2 ? 0 : node.operand_count() - 2;
  if (node.result_count() < carried) return "fewer results than carried values";
  if (auto bad = counts(node, body, 2 + carried, 1 + node.result_count())) return bad;
  if (node.operand(0))
    if (auto bad = expect_dtype(node.operand(0), DType::i64, "trip count")) return bad;
  if (node.operand(1))
    if (auto bad = expect_dtype(node.operand(1), DType::boolean, "condition")) return bad;
  if (auto bad = first({expect_dtype(body->argument(0), DType::i64, "iteration"),
                        expect_dtype(body->argument(1), DType::boolean, "condition"),
                        expect_dtype(body->yield()->operand(0), DType::boolean, "yielded condition")}))
    return bad;
  for (size_t i = 0; i < carried; ++i)
    if (auto bad = first({passes(node.operand(2 + i), body->argument(2 + i), "initial value"),
                          carries(body->yield()->operand(1 + i), body->argument(2 + i), "carried value"),
                          passes(body->yield()->operand(1 + i), node.result(i), "final value"),
                          passes(node.operand(2 + i), node.result(i), "initial value")}))
      return bad;
  for (size_t i = carried; i < node.result_count(); ++i)
    if (auto bad = slice_of(body->yield()->operand(1 + i)->type(), node.result(i)->type(), 0, "slice")) return bad;
  return std::nullopt;
}

Problem scan(const Node &node) {
  const Region *body = node.body();
  const int64_t inputs = node.integer("inputs");
  if (inputs < 1 || inputs > static_cast<int64_t>(node.operand_count())) return std::to_string(inputs) + " inputs";
  const size_t states = node.operand_count() - static_cast<size_t>(inputs);
  if (node.result_count() < states) return "fewer results than states";
  const size_t outputs = node.result_count() - states;
  for (const char *list : {"input_axes", "input_reverse"})
    if (node.ints(list).size() != static_cast<size_t>(inputs)) return std::string(list) + " needs one entry per input";
  for (const char *list : {"output_axes", "output_reverse"})
    if (node.ints(list).size() != outputs) return std::string(list) + " needs one entry per output";
  if (auto bad = counts(node, body, node.operand_count(), node.result_count())) return bad;
  for (size_t i = 0; i < states; ++i)
    if (auto bad = first({passes(node.operand(i), body->argument(i), "initial state"),
                          carries(body->yield()->operand(i), body->argument(i), "state"),
                          passes(body->yield()->operand(i), node.result(i), "final state")}))
      return bad;
  for (size_t i = states; i < node.operand_count(); ++i)
    if (auto bad = slice_of(body->argument(i)->type(), node.operand(i)->type(), node.ints("input_axes")[i - states],
                            "input slice"))
      return bad;
  for (size_t i = states; i < node.result_count(); ++i)
    if (auto bad = slice_of(body->yield()->operand(i)->type(), node.result(i)->type(),
                            node.ints("output_axes")[i - states], "output slice"))
      return bad;
  return std::nullopt;
}

Problem fused(const Node &node) {
  if (auto bad = counts(node, node.body(), node.operand_count(), node.result_count())) return bad;
  for (size_t i = 0; i < node.operand_count(); ++i)
    if (auto bad = passes(node.operand(i), node.body()->argument(i), "operand")) return bad;
  for (size_t i = 0; i < node.result_count(); ++i)
    if (auto bad = passes(node.body()->yield()->operand(i), node.result(i), "result")) return bad;
  return std::nullopt;
}

Problem sequence(const Node &node) {
  const bool makes = node.is(Op::sequence_construct) || node.is(Op::sequence_split);
  const Type &type = makes ? node.result()->type() : node.operand()->type();
  if (!type.is_sequence()) return type.str() + " is no sequence";
  auto is_element = [&](const Type &element) { return accepts(type.element(), element); };
  switch (node.op()) {
  case Op::sequence_construct:
    for (const Value *x : node.operands())
      if (!is_element(x->type())) return x->type().str() + " as element of " + type.str();
    return std::nullopt;
  case Op::sequence_insert:
    if (!is_element(node.operand(1)->type())) return node.operand(1)->type().str() + " as element of " + type.str();
    [[fallthrough]];
  case Op::sequence_erase:
    return accepts(node.result()->type(), type) ? std::nullopt : Problem("result is " + node.result()->type().str());
  case Op::sequence_length:
    return first({expect_dtype(node.result(), DType::i64, "result"), expect_shape(node.result(), {}, "result")});
  case Op::sequence_at:
    return accepts(type.element(), node.result()->type()) ? std::nullopt
                                                          : Problem("result is " + node.result()->type().str());
  default:
    return std::nullopt;
  }
}

Problem optional_op(const Node &node) {
  if (node.is(Op::optional_has)) return expect_dtype(node.result(), DType::boolean, "result");
  // optional_get of something that is not optional is the identity.
  const Type &optional = node.is(Op::optional_make) ? node.result()->type() : node.operand()->type();
  const Type *element =
      node.is(Op::optional_make) ? (node.operand() ? &node.operand()->type() : nullptr) : &node.result()->type();
  if (!optional.is_optional()) return optional.str() + " is no optional";
  if (element && !accepts(optional.element(), *element)) return element->str() + " as element of " + optional.str();
  return std::nullopt;
}

// The parts are those of the container's form; of elements that have a rank there may be `ranks` as well.
Problem container(const Node &node) {
  const bool makes = node.is(Op::container_make);
  const Type &type = makes ? node.result()->type() : node.operand()->type();
  std::optional<ContainerForm> form = container_form(type);
  if (!form) return type.str() + " has no parts";
  std::vector<Value *> parts =
      makes ? node.operands() : std::vector<Value *>(node.results().begin(), node.results().end());
  if (parts.size() > form->part_count() && !makes) form->rank = -1;
  if (parts.size() != form->part_count())
    return std::to_string(parts.size()) + " parts of " + type.str() + ", which has " +
           std::to_string(form->part_count());
  auto extent = [&](size_t i) {
    const Type &part = parts[i]->type();
    return part.is_ranked() && part.rank() > 0 ? part.dim(0) : Dim(0);
  };
  const std::vector<Type> expected = form->part_types(extent(0), extent(1));
  for (size_t i = 0; i < parts.size(); ++i)
    if (!(parts[i]->type() == expected[i]))
      return "part " + std::to_string(i) + " is " + parts[i]->type().str() + ", not " + expected[i].str();
  return std::nullopt;
}

} // namespace

bool accepts(const Type &general, const Type &specific) {
  if (general.kind() != specific.kind()) return false;
  switch (general.kind()) {
  case TypeKind::token:
    return true;
  case TypeKind::map:
    return general.dtype() == specific.dtype() && accepts(general.element(), specific.element());
  case TypeKind::sequence:
  case TypeKind::optional:
    return accepts(general.element(), specific.element());
  case TypeKind::tensor:
    break;
  }
  if (general.dtype() != specific.dtype() || general.layout() != specific.layout()) return false;
  if (!general.is_ranked()) return true;
  return specific.is_ranked() && !different(general.shape(), specific.shape());
}

std::optional<std::string> problem_of_types(const Node &node) {
  // Only these ops take anything but tensors; random states have ops of their own.
  switch (node.op()) {
  case Op::if_:
    return if_op(node);
  case Op::loop:
    return loop(node);
  case Op::scan:
    return scan(node);
  case Op::fused:
    return fused(node);
  case Op::call:
  case Op::yield:
    return std::nullopt;
  case Op::seed:
    return node.result()->type().is_token() ? std::nullopt : Problem("result is no token");
  case Op::random:
    return node.operand()->type().is_token() && node.result(1)->type().is_token() ? std::nullopt
                                                                                  : Problem("state is no token");
  case Op::sequence_construct:
  case Op::sequence_at:
  case Op::sequence_insert:
  case Op::sequence_erase:
  case Op::sequence_length:
  case Op::sequence_split:
  case Op::sequence_concat:
    return sequence(node);
  case Op::optional_make:
  case Op::optional_has:
  case Op::optional_get:
    return optional_op(node);
  case Op::container_make:
  case Op::container_parts:
    return container(node);
  case Op::zip_map:
  case Op::dict_vectorize:
  case Op::map_cast:
    return std::nullopt;
  default:
    break;
  }
  for (const Value *operand : node.operands())
    if (operand && !operand->type().is_tensor()) return "operand is " + operand->type().str();
  for (const Value *result : node.results())
    if (!result->type().is_tensor()) return "result is " + result->type().str();
  if (node.is(Op::constant)) {
    const ConstantData &data = *node.tensor("value");
    if (auto bad = expect_dtype(node.result(), data.dtype(), "result")) return bad;
    return node.result()->type().is_ranked() &&
                   node.result()->type().shape() == Shape(data.dims().begin(), data.dims().end())
               ? std::nullopt
               : Problem("result is " + node.result()->type().str());
  }
  if (node.is(Op::check)) return expect_dtype(node.operand(), DType::boolean, "condition");
  if (node.is(Op::shape_of)) return expect_dtype(node.result(), DType::i64, "result");
  if (!all_ranked(node)) return std::nullopt;
  switch (node.op()) {
  case Op::dims:
    return first({expect_dtype(node.result(), DType::i64, "result"),
                  expect_shape(node.result(), {static_cast<int64_t>(node.dims("values").size())}, "result")});
  case Op::iota:
    return expect_axis(node.integer("axis"), node.result());
  case Op::range:
    return first({expect_rank(node.result(), 1, "result"), movement_dtype(node)});
  case Op::elementwise:
    return elementwise(node);
  case Op::cast:
    return expect_shape(node.result(), node.operand()->type().shape(), "result");
  case Op::bitcast:
    if (bits(node.operand()->type().dtype()) != bits(node.result()->type().dtype())) return "dtypes differ in width";
    return expect_shape(node.result(), node.operand()->type().shape(), "result");
  case Op::quantize:
  case Op::dequantize:
    return quantization(node);
  case Op::reshape: {
    Dim from = node.operand()->type().elements(), to = node.result()->type().elements();
    if (from.valid() && to.valid() && different(from, to)) return from.str() + " elements reshaped to " + to.str();
    return movement_dtype(node);
  }
  case Op::transpose:
    return first({movement_dtype(node), transpose(node)});
  case Op::broadcast: {
    auto joined = broadcast_shapes(node.operand()->type().shape(), node.result()->type().shape());
    if (!joined || different(*joined, node.result()->type().shape()))
      return node.operand()->type().str() + " does not broadcast to " + node.result()->type().str();
    return movement_dtype(node);
  }
  case Op::concat:
    return first({movement_dtype(node), concat(node)});
  case Op::slice:
    return first({movement_dtype(node), slice(node)});
  case Op::pad:
    return first({movement_dtype(node), pad(node)});
  case Op::gather:
    return first({movement_dtype(node), gather(node)});
  case Op::gather_elements:
    return first({movement_dtype(node), expect_axis(node.integer("axis"), node.operand()),
                  expect_shape(node.result(), node.operand(1)->type().shape(), "result")});
  case Op::scatter_elements:
    if (auto bad = expect_axis(node.integer("axis"), node.operand())) return bad;
    [[fallthrough]];
  case Op::scatter_nd:
  case Op::relayout:
    return first({movement_dtype(node), expect_shape(node.result(), node.operand()->type().shape(), "result")});
  case Op::softmax:
  case Op::cumulative:
    return first({movement_dtype(node), expect_axis(node.integer("axis"), node.operand()),
                  expect_shape(node.result(), node.operand()->type().shape(), "result")});
  case Op::reduce:
    return first({movement_dtype(node), reduce_shape(node, node.ints("axes"))});
  case Op::arg_reduce:
    return first({expect_dtype(node.result(), DType::i64, "result"), reduce_shape(node, {node.integer("axis")})});
  case Op::topk:
    return first({movement_dtype(node), expect_dtype(node.result(1), DType::i64, "indices"),
                  expect_axis(node.integer("axis"), node.operand()),
                  expect_shape(node.result(1), node.result()->type().shape(), "indices")});
  case Op::nonzero:
    return first({expect_dtype(node.result(), DType::i64, "result"), expect_rank(node.result(), 2, "result")});
  default:
    return std::nullopt;
  }
}

} // namespace cameo::graph
