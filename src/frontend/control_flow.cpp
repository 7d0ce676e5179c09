// If, Loop and Scan.
//
// A branch whose condition is known is imported in place of the node: exporters ask for ranks and extents with If, and
// once the inputs are fixed there is no question left. The types of a loop's carried values start as those of the
// initial values; where the body changes an extent, the argument's extent becomes a run-time symbol and the body is
// imported again.
//
// Branches that differ in rank have no common type: the model is imported with the first, and when something behind it
// cannot be typed, with the other (ModelImporter::second_alternative).
#include "families.h"

#include <algorithm>

namespace cameo::frontend {
namespace {

Value *to_scalar(NodeImport &n, Value *v) {
  if (!v || !v->type().is_ranked() || v->type().rank() == 0) return v;
  if (v->type().rank() > 1 || !(product(v->type().shape()).is(1) || !v->type().dim(0).is_constant()))
    return n.fail("a condition or count of shape " + v->type().str());
  return n.reshape(v, {});
}

// Run-time symbols from `mark` on belong to the body.
bool is_inner(const Dim &d, int64_t mark) {
  bool inner = false;
  d.for_each_symbol([&](const std::string &key) {
    const Dim symbol = Dim::from_key(key);
    inner = inner || (symbol.is_runtime() && symbol.runtime_number() >= mark);
  });
  return inner;
}

// An upper bound that means something outside of the body, when the body's own symbols have one.
std::optional<Dim> outer_bound(NodeImport &n, const Dim &d, int64_t mark, int depth = 8) {
  if (!is_inner(d, mark)) return d;
  if (!d.is_runtime() || depth == 0) return std::nullopt;
  const std::optional<Dim> upper = n.graph().symbol(d.symbol_key()).upper;
  return upper ? outer_bound(n, *upper, mark, depth - 1) : std::nullopt;
}

// The type that values of either type have; extents that differ are of the run. Nullopt where there is none.
std::optional<Type> join(NodeImport &n, const Type &a, const Type &b, int64_t mark = INT64_MAX) {
  if (a == b) return a;
  if (a.kind() != b.kind()) return std::nullopt;
  if (a.is_sequence() || a.is_optional()) {
    std::optional<Type> element = join(n, a.element(), b.element());
    const bool tensors = a.element().is_tensor() && b.element().is_tensor();
    if (!element && tensors && a.element().dtype() == b.element().dtype())
      element = Type::unranked(a.element().dtype()); // elements may differ in rank
    if (!element) return std::nullopt;
    return a.is_sequence() ? Type::sequence(*element) : Type::optional(*element);
  }
  if (!a.is_tensor() || a.dtype() != b.dtype()) return std::nullopt;
  if (!a.is_ranked() || !b.is_ranked()) return Type::unranked(a.dtype());
  if (a.rank() != b.rank()) return std::nullopt;
  Shape shape;
  for (int i = 0; i < a.rank(); ++i) {
    if (a.dim(i) == b.dim(i)) {
      shape.push_back(a.dim(i));
      continue;
    }
    const std::optional<Dim> x = outer_bound(n, a.dim(i), mark), y = outer_bound(n, b.dim(i), mark);
    shape.push_back(n.fresh_dim(x && y ? std::optional(max(*x, *y)) : std::nullopt));
  }
  return Type::tensor(a.dtype(), std::move(shape));
}

std::vector<Type> types_of(const std::vector<Value *> &values) {
  std::vector<Type> types;
  for (const Value *v : values) types.push_back(v->type());
  return types;
}

// One carried value: the type of the argument, and which of its extents were made symbols of the run.
struct Carried {
  Type type;
  std::vector<bool> open;
};

// The extents of both that differ become symbols of the run, once each; ranks and dtypes agree.
Type widen(NodeImport &n, const Type &t, const Type &yielded, std::vector<bool> &open, bool &changed) {
  open.resize(size_t(t.rank()), false);
  Shape shape = t.shape();
  for (size_t i = 0; i < shape.size(); ++i)
    if (!open[i] && shape[i] != yielded.dim(int(i))) {
      shape[i] = n.fresh_dim();
      open[i] = changed = true;
    }
  return Type::tensor(t.dtype(), std::move(shape));
}

bool alike(const Type &a, const Type &b) {
  return a.is_ranked() && b.is_ranked() && a.dtype() == b.dtype() && a.rank() == b.rank();
}

// Widens the argument's type so that it covers what the body yields. False after failing; `changed` when it was too
// narrow.
bool settle(NodeImport &n, Carried &c, const Type &yielded, bool &changed) {
  if (c.type == yielded) return true;
  const Type &t = c.type;
  if (alike(t, yielded)) {
    c.type = widen(n, t, yielded, c.open, changed);
    return true;
  }
  if (t.is_sequence() && yielded.is_sequence() && alike(t.element(), yielded.element())) {
    c.type = Type::sequence(widen(n, t.element(), yielded.element(), c.open, changed));
    return true;
  }
  if (t.is_optional() && yielded.is_optional()) {
    Carried inside{t.element(), c.open};
    if (!settle(n, inside, yielded.element(), changed)) return false;
    c = {Type::optional(inside.type), inside.open};
    return true;
  }
  std::optional<Type> both = join(n, t, yielded);
  if (!both) {
    if (t.is_ranked() && yielded.is_ranked() && t.dtype() == yielded.dtype())
      n.unsupported("a carried value that changes its rank, from " + t.str() + " to " + yielded.str());
    else
      n.fail("a carried value is " + t.str() + " but the body makes " + yielded.str());
    return false;
  }
  changed = changed || !(*both == t);
  c.type = std::move(*both);
  return true;
}

bool is_empty_optional(const Value *v) { return v->is(Op::optional_make) && v->producer()->operand_count() == 0; }
bool is_empty_sequence(const Value *v) { return v->is(Op::sequence_construct) && v->producer()->operand_count() == 0; }

// A sequence that starts empty and gets an element in each iteration: its elements are like that one.
std::optional<Type> collected(NodeImport &n, const Value *argument, const Value *yielded) {
  if (!yielded->is(Op::sequence_insert) || yielded->producer()->operand(0) != argument) return std::nullopt;
  const Type &element = yielded->producer()->operand(1)->type();
  if (!element.is_ranked() || element.dtype() != argument->type().element().dtype()) return std::nullopt;
  return Type::sequence(n.element_type(element));
}

int64_t symbol_mark(NodeImport &n) { return n.fresh_dim().runtime_number(); }

// The type of a body's value outside of it, where the body's own symbols mean nothing: fresh ones take their place.
Type outside(NodeImport &n, const Type &type, int64_t mark) {
  if (type.is_sequence()) return Type::sequence(outside(n, type.element(), mark));
  if (type.is_optional()) return Type::optional(outside(n, type.element(), mark));
  if (!type.is_ranked()) return type;
  Shape shape = type.shape();
  for (Dim &d : shape)
    if (is_inner(d, mark)) d = n.fresh_dim(outer_bound(n, d, mark));
  return Type::tensor(type.dtype(), std::move(shape));
}

// Slices of that type stacked along `axis`.
std::optional<Type> stacked(NodeImport &n, const Type &slice, const Dim &count, int64_t axis, int64_t mark) {
  if (!slice.is_tensor()) {
    n.fail("a scan output that is no tensor");
    return std::nullopt;
  }
  if (!slice.is_ranked()) return Type::unranked(slice.dtype());
  Shape shape = outside(n, slice, mark).shape();
  shape.insert(shape.begin() + axis, count);
  return Type::tensor(slice.dtype(), std::move(shape));
}

bool one_element(const Type &type) { return type.is_ranked() && type.elements().is(1); }

// An If whose branches differ in rank: what follows can be typed with one of them. That one takes the place of the
// node, and the run ends with a status when the condition asks for the other. The body moves: importing it again would
// be exponential in the nesting.
void one_branch(NodeImport &n, Node *node, Value *condition) {
  const bool otherwise = n.second_alternative();
  Value *expected = otherwise ? n.map(Fn::logical_not, {condition}) : condition;
  if (n.failed()) return n.discard(node);
  n.create(Op::check, {expected}, {{"message", std::string("a branch whose rank does not fit what follows")}}, {});
  const std::vector<Value *> values = n.unwrap(node, otherwise ? 1 : 0);
  for (size_t i = 0; i < n.output_count(); ++i) n.result(i, values[i]);
}

} // namespace

void import_if(NodeImport &n) {
  Value *condition = to_scalar(n, n.input(0));
  if (n.failed()) return;
  const auto [then_inputs, then_outputs] = n.body_arity("then_branch");
  const auto [else_inputs, else_outputs] = n.body_arity("else_branch");
  if (then_inputs + else_inputs > 0) return void(n.fail("the branches must have no inputs"));
  if (then_outputs != else_outputs || then_outputs < n.output_count())
    return void(n.fail("the branches have " + std::to_string(then_outputs) + " and " + std::to_string(else_outputs) +
                       " outputs, the node " + std::to_string(n.output_count())));
  if (const auto known = n.ints_of(condition)) {
    const std::vector<Value *> values = n.inline_body((*known)[0] ? "then_branch" : "else_branch");
    for (size_t i = 0; i < n.output_count() && !n.failed(); ++i) n.result(i, values[i]);
    return;
  }
  const int64_t mark = symbol_mark(n);
  Node *node = n.create(Op::if_, {condition}, {}, std::vector<Type>(then_outputs, Type::scalar(DType::f32)));
  Region *then_region = n.body("then_branch", node, {});
  Region *else_region = n.body("else_branch", node, {});
  if (n.failed()) return n.discard(node);
  const std::vector<Type> then_types = types_of(then_region->results()), else_types = types_of(else_region->results());
  for (size_t i = 0; i < then_types.size(); ++i) {
    std::optional<Type> both = join(n, then_types[i], else_types[i], mark);
    if (!both && one_element(then_types[i]) && one_element(else_types[i]) &&
        then_types[i].dtype() == else_types[i].dtype()) {
      // [] and [1] hold the same: whichever rank fits what follows.
      const bool otherwise = n.second_alternative();
      both = otherwise ? else_types[i] : then_types[i];
      n.change_result(otherwise ? then_region : else_region, i, [&](Value *v) { return n.reshape(v, both->shape()); });
      if (n.failed()) return n.discard(node);
    }
    if (!both) {
      if (then_types[i].is_ranked() && else_types[i].is_ranked() && then_types[i].dtype() == else_types[i].dtype())
        return one_branch(n, node, condition);
      n.discard(node);
      const std::string what = "output " + std::to_string(i) + " is " + then_types[i].str() + " in one branch and " +
                               else_types[i].str() + " in the other";
      return void(n.fail(what));
    }
    node->result(i)->set_type(outside(n, *both, mark));
  }
  for (size_t i = 0; i < n.output_count(); ++i)
    if (n.wants(i)) n.result(i, node->result(i));
}

// Inputs: trip count, condition, initial values. Body: (iteration, condition, carried...) -> (condition, carried...,
// slices...).
void import_loop(NodeImport &n) {
  Value *trip = to_scalar(n, n.input(0)), *condition = to_scalar(n, n.input(1));
  const auto [inputs, outputs] = n.body_arity("body");
  const size_t carried = n.input_count() > 2 ? n.input_count() - 2 : 0;
  if (n.failed()) return;
  if (inputs != carried + 2)
    return void(n.fail("the body has " + std::to_string(inputs) + " inputs for " + std::to_string(carried) +
                       " carried values"));
  if (outputs < carried + 1 || outputs - 1 < n.output_count())
    return void(n.fail("the body has " + std::to_string(outputs) + " outputs; the node has " +
                       std::to_string(n.output_count())));
  std::vector<Carried> state;
  for (size_t i = 0; i < carried; ++i) {
    if (!n.has(i + 2)) return void(n.fail("an initial value is missing"));
    state.push_back({n.input(i + 2)->type(), {}});
  }
  std::vector<bool> unwrap(carried, false);
  if (trip) trip = n.cast(trip, DType::i64);
  std::vector<Value *> operands = {trip, condition};
  for (size_t i = 0; i < carried; ++i) operands.push_back(n.input(i + 2));

  const int64_t mark = symbol_mark(n);
  Node *node = nullptr;
  Region *region = nullptr;
  for (bool changed = true; changed;) {
    changed = false;
    std::vector<Type> arguments = {Type::scalar(DType::i64), Type::scalar(DType::boolean)};
    for (const Carried &c : state) arguments.push_back(c.type);
    node = n.create(Op::loop, operands, {}, std::vector<Type>(outputs - 1, Type::scalar(DType::f32)));
    region = n.body("body", node, arguments);
    for (size_t i = 0; i < carried && !n.failed(); ++i) {
      // A body that makes what an optional holds: the next iteration finds it in there, and so does who is outside.
      if (state[i].type.is_optional() && !region->results()[i + 1]->type().is_optional()) {
        Carried inside{state[i].type.element(), state[i].open};
        bool wider = false;
        if (!settle(n, inside, region->results()[i + 1]->type(), wider)) break;
        if (wider) {
          state[i] = {Type::optional(inside.type), inside.open};
          if (is_empty_optional(operands[i + 2]))
            operands[i + 2] = n.make_typed(Op::optional_make, {}, {}, state[i].type);
          changed = true;
          continue;
        }
        unwrap[i] = true;
        n.change_result(region, i + 1,
                        [&](Value *v) { return n.make_typed(Op::optional_make, {v}, {}, state[i].type); });
      }
      const Value *yielded = region->results()[i + 1];
      if (is_empty_sequence(operands[i + 2]) && !state[i].type.element().is_ranked())
        if (std::optional<Type> type = collected(n, region->argument(i + 2), yielded)) {
          state[i].type = *type;
          operands[i + 2] = n.make_typed(Op::sequence_construct, {}, {}, *type);
          changed = true;
          continue;
        }
      settle(n, state[i], yielded->type(), changed);
    }
    if (n.failed() || changed) n.discard(node);
    if (n.failed()) return;
  }
  const std::vector<Value *> results = region->results();
  if (const Type &t = results[0]->type(); t.dtype() != DType::boolean) {
    n.discard(node);
    return void(n.fail("the body's condition is " + t.str()));
  }
  // Slices are as many as iterations: the trip count when nothing else ends the loop.
  auto certainly = [&](const Value *v) {
    const auto known = n.ints_of(v);
    return known && known->size() == 1 && (*known)[0] != 0;
  };
  const bool runs_through =
      (!condition || certainly(condition)) &&
      (certainly(results[0]) || (condition && certainly(condition) && results[0] == region->argument(1)));
  std::optional<Dim> count;
  if (const auto known = trip ? n.dims_of(trip) : std::nullopt; known && known->size() == 1)
    count = (*known)[0].is_constant() && (*known)[0].value() < 0 ? Dim(0) : (*known)[0];
  const Dim iterations = count && runs_through ? *count : n.fresh_dim(count);
  for (size_t i = 0; i < carried; ++i) node->result(i)->set_type(outside(n, state[i].type, mark));
  for (size_t i = carried; i + 1 < outputs; ++i) {
    std::optional<Type> type = stacked(n, results[i + 1]->type(), iterations, 0, mark);
    if (!type) return n.discard(node);
    node->result(i)->set_type(*type);
  }
  for (size_t i = 0; i < n.output_count(); ++i)
    if (n.wants(i))
      n.result(i, i < carried && unwrap[i] ? n.make(Op::optional_get, {node->result(i)}) : node->result(i));
}

namespace {

/// Scan as all versions have it: what it goes over and how.
struct ScanSpec {
  std::vector<Value *> inputs; ///< initial states, then sequences
  size_t states = 0;
  size_t outputs = 0; ///< of the body
  std::vector<int64_t> input_axes, input_reverse, output_axes, output_reverse;
};

// The results of the body: the states behind the last step, then the stacked slices. Empty after failing.
std::vector<Value *> scan(NodeImport &n, ScanSpec spec) {
  const size_t states = spec.states, sequences = spec.inputs.size() - states, scans = spec.outputs - states;
  std::vector<Carried> state;
  for (size_t i = 0; i < states; ++i) state.push_back({spec.inputs[i]->type(), {}});
  std::vector<Type> slices;
  std::optional<Dim> length;
  for (size_t i = 0; i < sequences; ++i) {
    const Value *x = spec.inputs[states + i];
    if (!n.ranked(x)) return {};
    if (x->type().rank() == 0) return n.fail("a scan input is a scalar"), std::vector<Value *>{};
    spec.input_axes[i] = n.axis(spec.input_axes[i], x->type().rank());
    if (n.failed()) return {};
    Shape shape = x->type().shape();
    const Dim extent = shape[size_t(spec.input_axes[i])];
    if (length && length->is_constant() && extent.is_constant() && *length != extent)
      return n.fail("scan inputs have " + length->str() + " and " + extent.str() + " slices"), std::vector<Value *>{};
    if (!length || extent.is_constant()) length = extent;
    shape.erase(shape.begin() + spec.input_axes[i]);
    slices.push_back(Type::tensor(x->type().dtype(), std::move(shape)));
  }

  const int64_t mark = symbol_mark(n);
  Node *node = nullptr;
  Region *region = nullptr;
  for (bool changed = true; changed;) {
    changed = false;
    std::vector<Type> arguments;
    for (const Carried &c : state) arguments.push_back(c.type);
    arguments.insert(arguments.end(), slices.begin(), slices.end());
    node = n.create(Op::scan, spec.inputs,
                    {{"inputs", int64_t(sequences)},
                     {"input_axes", spec.input_axes},
                     {"input_reverse", spec.input_reverse},
                     {"output_axes", spec.output_axes},
                     {"output_reverse", spec.output_reverse}},
                    std::vector<Type>(spec.outputs, Type::scalar(DType::f32)));
    region = n.body("body", node, arguments);
    for (size_t i = 0; i < states && !n.failed(); ++i) settle(n, state[i], region->results()[i]->type(), changed);
    if (n.failed() || changed) n.discard(node);
    if (n.failed()) return {};
  }
  for (size_t i = 0; i < states; ++i) node->result(i)->set_type(outside(n, state[i].type, mark));
  for (size_t i = 0; i < scans; ++i) {
    const Type &slice = region->results()[states + i]->type();
    if (slice.is_ranked()) spec.output_axes[i] = n.axis(spec.output_axes[i], slice.rank() + 1);
    std::optional<Type> type = n.failed() ? std::nullopt : stacked(n, slice, *length, spec.output_axes[i], mark);
    if (!type) return n.discard(node), std::vector<Value *>{};
    node->result(states + i)->set_type(*type);
  }
  node->set("output_axes", spec.output_axes);
  return {node->results().begin(), node->results().end()};
}

// Opset 8: all inputs and outputs have the batch as their first axis. An outer scan goes over it, and the scan of each
// example is its body.
void batched_scan(NodeImport &n, ScanSpec spec) {
  if (n.failed()) return;
  Dim batch;
  std::vector<Type> examples;
  for (size_t i = 0; i < spec.inputs.size(); ++i) {
    const Value *x = spec.inputs[i];
    if (!n.ranked(x)) return;
    if (x->type().rank() < (i < spec.states ? 1 : 2)) return void(n.fail("an input without a batch axis"));
    Shape shape = x->type().shape();
    if (i > 0 && batch.is_constant() && shape[0].is_constant() && batch != shape[0])
      return void(n.fail("inputs have batches of " + batch.str() + " and " + shape[0].str()));
    if (i == 0 || shape[0].is_constant()) batch = shape[0];
    shape.erase(shape.begin());
    examples.push_back(Type::tensor(x->type().dtype(), std::move(shape)));
  }
  const int64_t mark = symbol_mark(n);
  const std::vector<int64_t> first(spec.inputs.size(), 0), outputs(spec.outputs, 0);
  Node *node = n.create(Op::scan, spec.inputs,
                        {{"inputs", int64_t(spec.inputs.size())},
                         {"input_axes", first},
                         {"input_reverse", first},
                         {"output_axes", outputs},
                         {"output_reverse", outputs}},
                        std::vector<Type>(spec.outputs, Type::scalar(DType::f32)));
  std::vector<Type> types;
  n.region(node, examples, [&](const std::vector<Value *> &example) {
    spec.inputs = example;
    std::vector<Value *> results = scan(n, spec);
    types = types_of(results);
    return results;
  });
  if (n.failed()) return n.discard(node);
  for (size_t i = 0; i < types.size(); ++i) {
    std::optional<Type> type = stacked(n, types[i], batch, 0, mark);
    if (!type) return n.discard(node);
    node->result(i)->set_type(*type);
  }
  for (size_t i = 0; i < n.output_count(); ++i)
    if (n.wants(i)) n.result(i, node->result(i));
}

} // namespace

// Inputs: initial states, then sequences; before opset 9 the lengths of sequences come first. Body: (states...,
// slices...) -> (states..., slices...).
void import_scan(NodeImport &n) {
  const bool batched = n.version() < 9;
  ScanSpec spec;
  spec.inputs = n.inputs();
  if (batched) {
    if (n.has(0)) return void(n.unsupported("Scan with sequence_lens"));
    if (spec.inputs.empty()) return void(n.fail("there are no inputs"));
    spec.inputs.erase(spec.inputs.begin());
  }
  for (const Value *input : spec.inputs)
    if (!input) return void(n.fail("an input is missing"));
  const auto [inputs, outputs] = n.body_arity("body");
  const int64_t sequences = n.integer("num_scan_inputs", 0);
  const size_t given = spec.inputs.size();
  if (sequences < 1 || sequences > int64_t(given))
    return void(n.fail("num_scan_inputs is " + std::to_string(sequences) + " of " + std::to_string(given) + " inputs"));
  spec.states = given - size_t(sequences);
  spec.outputs = outputs;
  if (inputs != given)
    return void(n.fail("the body has " + std::to_string(inputs) + " inputs, the node " + std::to_string(given)));
  if (outputs < spec.states || outputs < n.output_count())
    return void(n.fail("the body has " + std::to_string(outputs) + " outputs"));
  const size_t scans = outputs - spec.states;
  auto list = [&](std::string_view attribute, size_t length) {
    std::vector<int64_t> values = n.defines(attribute) ? n.ints(attribute) : std::vector<int64_t>{};
    if (!n.defines(attribute) || !n.has(attribute)) values.assign(length, 0);
    if (values.size() != length)
      n.fail(std::string(attribute) + " has " + std::to_string(values.size()) + " values for " +
             std::to_string(length));
    return values;
  };
  spec.input_axes = list("scan_input_axes", size_t(sequences));
  spec.input_reverse = list(batched ? "directions" : "scan_input_directions", size_t(sequences));
  spec.output_axes = list("scan_output_axes", scans);
  spec.output_reverse = list("scan_output_directions", scans);
  for (const auto *directions : {&spec.input_reverse, &spec.output_reverse})
    for (int64_t d : *directions)
      if (d != 0 && d != 1) n.fail("a direction is " + std::to_string(d));
  if (n.failed()) return;
  if (batched) return batched_scan(n, std::move(spec));
  const std::vector<Value *> results = scan(n, std::move(spec));
  for (size_t i = 0; i < n.output_count() && !n.failed(); ++i)
    if (n.wants(i)) n.result(i, results[i]);
}

} // namespace cameo::frontend
