// Makes the default plan of a graph for a target.
//
// In order: every node gets its kernel (views none, when memory allows); borders are collected from the kernels that
// read over edges; then node by node each result gets a place: inside a concatenation that wants it, over an operand
// that dies, in a new buffer with the border that its readers wish. Results of the model that fill a buffer of their
// own are moved to the caller's memory, the rest is copied there. Last come schedules, which also choose the packed
// formats of constants, and the arena.
//
// Branches and loops are steps between brackets (plan_control.cpp). A size that has no bound over the symbols of the
// caller is no part of the arena: its buffer is allocated while running (plan_symbols.cpp).
#include "planner.h"

#include "memory.h"

#include <algorithm>

namespace cameo::passes {

using graph::Dim;
using graph::Node;
using graph::Op;
using graph::Type;
using graph::Value;

const ValuePlan *Plan::find(int32_t value) const {
  auto it =
      std::lower_bound(values.begin(), values.end(), value, [](const ValuePlan &v, int32_t n) { return v.value < n; });
  return it != values.end() && it->value == value ? &*it : nullptr;
}

Result<Plan> Planner::run() {
  plan_.target = target_.name;
  plan_.graph_hash = hash_of(graph_);
  lower_nodes();
  if (!problems_.empty()) return problems_;
  places_.resize(static_cast<size_t>(numbers_.value_count()));
  find_definers();
  find_last_uses();
  find_borders();
  place_arguments();
  host_concatenations();
  host_results();
  for (Node *node : body()->nodes()) place_node(*node);
  if (!problems_.empty()) return problems_;
  place_results();
  schedule();
  if (!problems_.empty()) return problems_;
  extend_over_loops(plan_);
  for (int32_t v = 0; v < numbers_.value_count(); ++v)
    if (places_[static_cast<size_t>(v)]) plan_.values.push_back({v, *places_[static_cast<size_t>(v)]});
  assign_arena(plan_);
  return std::move(plan_);
}

int32_t Planner::add_buffer(BufferPlan::Space space, int32_t port, Dim bytes) {
  BufferPlan b;
  b.space = space;
  b.port = port;
  b.bytes = std::move(bytes);
  b.first = kForever;
  b.last = -1;
  plan_.buffers.push_back(std::move(b));
  inhabitants_.emplace_back();
  sizes_.emplace_back(plan_.buffers.back().bytes);
  return static_cast<int32_t>(plan_.buffers.size()) - 1;
}

void Planner::settle(const Value *v, Placement p) {
  inhabitants_[static_cast<size_t>(p.buffer)].push_back(numbers_.of(v));
  place(v) = std::move(p);
}

void Planner::settle_new(const Value *v, BufferPlan::Space space, int32_t port, const std::optional<Reach> &border) {
  const int32_t b = add_buffer(space, port, 0);
  Dim bytes;
  Placement p = border ? dense(v->type(), b, bytes, border->halo, border->fill) : dense(v->type(), b, bytes);
  const bool grown = !reserve(b, bytes);
  settle(v, std::move(p));
  if (grown) add_grow(b, v->type(), 1, border ? &border->halo : nullptr);
}

void Planner::place_arguments() {
  int32_t port = 0;
  for (const Value *v : body()->arguments()) settle_new(v, BufferPlan::Space::input, port++);
}

const Placement &Planner::require_place(const Value *v) {
  if (!place(v)) {
    CAMEO_CHECK(v->constant(), "value '" + v->name() + "' is used before it has a place");
    settle_new(v, BufferPlan::Space::weights, numbers_.of(v));
  }
  return *place(v);
}

void Planner::add_fill(const Value *v) {
  Step step;
  step.kind = Step::Kind::fill;
  step.value = numbers_.of(v);
  add_step(std::move(step), {place(v)->buffer});
}

void Planner::add_copy(const Value *v, Placement to, const Placement *from) {
  Step step;
  step.kind = Step::Kind::copy;
  step.value = numbers_.of(v);
  if (from) step.from = *from;
  const int32_t source = from ? from->buffer : require_place(v).buffer, into = to.buffer;
  step.to = std::move(to);
  add_step(std::move(step), {source, into});
}

void Planner::add_check(const Value *v) {
  Step step;
  step.kind = Step::Kind::check;
  step.value = numbers_.of(v);
  add_step(std::move(step), {require_place(v).buffer});
}

void Planner::add_step(Step step, const std::vector<int32_t> &buffers) {
  const int32_t number = static_cast<int32_t>(plan_.steps.size());
  for (int32_t b : buffers) {
    BufferPlan &buffer = plan_.buffers[static_cast<size_t>(b)];
    buffer.first = std::min(buffer.first, number);
    buffer.last = std::max(buffer.last, number);
  }
  plan_.steps.push_back(std::move(step));
}

void Planner::place_node(const Node &node) {
  if (node.is(Op::constant)) return;
  if (node.is(Op::if_)) return place_branches(node);
  if (node.is(Op::loop)) return place_loop(node);
  if (node.is(Op::check)) return add_check(node.operand());
  define_extents(node);
  check_broadcast(node);
  check_sizes(node);
  if (options_.views && moves_only(node)) {
    const bool constant = node.operand()->constant() != nullptr;
    if (std::optional<Placement> p = constant ? std::nullopt : view(node, require_place(node.operand()))) {
      settle(node.result(), std::move(*p));
      return;
    }
  }
  if (in_place_concats_.count(numbers_.of(&node))) return place_concat(node);
  place_kernel(node);
}

void Planner::place_kernel(const Node &node) {
  const ops::Lowered &lowered = *kernels_[static_cast<size_t>(numbers_.of(&node))];
  for (const ops::Argument &a : lowered.arguments)
    if (a.kind == ops::Argument::Kind::operand && !argument_value(node, a)->constant())
      require_place(argument_value(node, a));
  for (size_t i = 0; i < lowered.arguments.size(); ++i)
    if (lowered.arguments[i].kind == ops::Argument::Kind::result) place_result(node, lowered, static_cast<int32_t>(i));
  Step step;
  step.node = numbers_.of(&node);
  step.algorithm = algorithms_[static_cast<size_t>(step.node)];
  if (!lowered.runtime.empty()) copy_to_dense(node, lowered, step);
  std::vector<int32_t> buffers;
  for (const ops::Argument &a : lowered.arguments)
    if (const Value *v = argument_value(node, a); v && place(v)) buffers.push_back(place(v)->buffer);
  for (const auto &[argument, place] : step.packed) buffers.push_back(place.buffer);
  add_step(std::move(step), buffers);
}

// Functions of the runtime know no strides: operands that are views are copied.
void Planner::copy_to_dense(const Node &node, const ops::Lowered &lowered, Step &step) {
  for (size_t i = 0; i < lowered.arguments.size(); ++i) {
    if (lowered.arguments[i].kind != ops::Argument::Kind::operand) continue;
    const Value *v = argument_value(node, lowered.arguments[i]);
    const Placement &p = require_place(v);
    if (is_row_major(p, v->type(), sizes_[static_cast<size_t>(p.buffer)])) continue;
    const int32_t b = add_buffer(BufferPlan::Space::arena, -1, 0);
    Dim bytes;
    Placement copy = dense(v->type(), b, bytes);
    if (!reserve(b, bytes)) add_grow(b, v->type());
    add_copy(v, copy);
    step.packed.emplace_back(static_cast<int32_t>(i), std::move(copy));
  }
}

void Planner::place_concat(const Node &node) {
  const size_t axis = static_cast<size_t>(node.integer("axis"));
  const Placement whole = host_place(node.result());
  Dim start = 0;
  for (const Value *v : node.operands()) {
    auto host = hosts_.find(numbers_.of(v));
    const bool there = host != hosts_.end() && host->second.whole == node.result() && host->second.start == start;
    if (!there && !v->type().dim(static_cast<int>(axis)).is(0)) add_copy(v, part(whole, axis, start));
    start = start + v->type().shape()[axis];
  }
}

void Planner::place_result(const Node &node, const ops::Lowered &lowered, int32_t argument) {
  const Value *v = argument_value(node, lowered.arguments[static_cast<size_t>(argument)]);
  if (auto host = hosts_.find(numbers_.of(v)); host != hosts_.end()) return settle(v, hosted(v, host->second));
  if (!lowered.runtime.empty()) return settle_new(v, BufferPlan::Space::arena, -1); // dense, of its own
  const std::optional<Reach> border = borders_[static_cast<size_t>(numbers_.of(v))];
  if (!border && take_home(node, lowered, argument, v)) return;
  if (options_.in_place && overwrite_operand(node, lowered, argument, v, border)) return;
  if (!border && settle_turned(v)) return;
  settle_new(v, BufferPlan::Space::arena, -1, border);
  if (border) add_fill(v);
}

// A value that is transposed and nothing else lies as the transposed one would, where rows stay rows: so that what
// follows (a reshape that joins heads) is a view of it.
bool Planner::settle_turned(const Value *v) {
  if (!options_.views || is_runtime(v->type()) || v->uses().size() != 1 || !v->type().layout().order.empty() ||
      !v->type().layout().blocks.empty())
    return false;
  const Node *turn = v->uses()[0].node;
  if (!turn->is(Op::transpose) || !turn->result()->type().layout().order.empty()) return false;
  const std::vector<int64_t> &perm = turn->ints("perm");
  if (perm.empty() || perm.back() + 1 != static_cast<int64_t>(perm.size())) return false;
  const int32_t b = add_buffer(BufferPlan::Space::arena, -1, 0);
  Dim bytes;
  Placement p = dense(turn->result()->type(), b, bytes);
  for (PlacedTerm &term : p.terms) term.dim = static_cast<int32_t>(perm[static_cast<size_t>(term.dim)]);
  std::stable_sort(p.terms.begin(), p.terms.end(),
                   [](const PlacedTerm &x, const PlacedTerm &y) { return x.dim < y.dim; });
  const bool reserved = reserve(b, bytes);
  CAMEO_CHECK(reserved, "a size without run-time symbols is bounded");
  settle(v, std::move(p));
  return true;
}

// Whether later axes of the type's order are nearer in memory, as far as strides are known.
bool in_order(const Placement &p, const Type &type) {
  const std::optional<std::vector<Dim>> by_axis = strides(p, static_cast<size_t>(type.rank()));
  if (!by_axis) return true;
  int64_t last = INT64_MAX;
  for (size_t i = 0; i < by_axis->size(); ++i) {
    const size_t d = type.layout().order.empty() ? i : static_cast<size_t>(type.layout().order[i]);
    const Dim &stride = (*by_axis)[d];
    if (type.shape()[d].is(1) || !stride.is_constant()) continue;
    if (stride.value() > last) return false;
    last = stride.value();
  }
  return true;
}

// An operand that nobody needs any more, and that lies as the result would.
bool Planner::overwrite_operand(const Node &node, const ops::Lowered &lowered, int32_t argument, const Value *v,
                                const std::optional<Reach> &border) {
  const int32_t now = times(node).begin;
  for (size_t i = 0; i < lowered.arguments.size(); ++i) {
    if (lowered.arguments[i].kind != ops::Argument::Kind::operand) continue;
    const Value *o = argument_value(node, lowered.arguments[i]);
    if (o->constant() || o->type().shape() != v->type().shape() || o->type().layout() != v->type().layout() ||
        bits(o->type().dtype()) != bits(v->type().dtype()))
      continue;
    const Placement &p = *place(o);
    const BufferPlan::Space space = buffer(p.buffer).space;
    if (space != BufferPlan::Space::arena && space != BufferPlan::Space::grown) continue;
    if (home_buffers_.count(p.buffer) || !dies_at(p.buffer, now)) continue;
    Dim bytes;
    Placement wanted =
        border ? dense(v->type(), p.buffer, bytes, border->halo, border->fill) : dense(v->type(), p.buffer, bytes);
    // A border that nobody asks for does not hurt; one that is asked for must be there already.
    if (border ? !(wanted == p) : strides(p, v->type().shape().size()) == std::nullopt) continue;
    if (!border && bytes != sizes_[static_cast<size_t>(p.buffer)] && p.halo.empty()) continue;
    if (!in_order(p, v->type())) continue; // whoever reads the result would pay for an operand seen across
    if (!can_overwrite(lowered.kernel, static_cast<int32_t>(i), argument)) continue;
    if (reads_elsewhere(lowered, node, p.buffer, i)) continue;
    settle(v, p);
    return true;
  }
  return false;
}

// Whether nobody reads the buffer after `now`.
bool Planner::dies_at(int32_t buffer, int32_t now) const {
  const std::vector<int32_t> &values = inhabitants_[static_cast<size_t>(buffer)];
  return std::none_of(values.begin(), values.end(), [&](int32_t v) { return last_use_[static_cast<size_t>(v)] > now; });
}

// Whether the kernel reads the buffer through another argument as well.
bool Planner::reads_elsewhere(const ops::Lowered &lowered, const Node &node, int32_t buffer, size_t but) {
  for (size_t i = 0; i < lowered.arguments.size(); ++i)
    if (i != but && lowered.arguments[i].kind == ops::Argument::Kind::operand)
      if (const auto &p = place(argument_value(node, lowered.arguments[i])); p && p->buffer == buffer) return true;
  return false;
}

void Planner::place_results() {
  const std::vector<Value *> results = body()->results();
  std::vector<bool> taken(plan_.buffers.size(), false);
  std::vector<std::pair<int32_t, int32_t>> copies;
  for (size_t port = 0; port < results.size(); ++port) {
    const Value *v = results[port];
    const Placement &p = require_place(v);
    taken.resize(plan_.buffers.size(), false);
    BufferPlan &b = buffer(p.buffer);
    if (b.space == BufferPlan::Space::arena && !taken[static_cast<size_t>(p.buffer)] && !is_runtime(v->type()) &&
        is_row_major(p, v->type(), sizes_[static_cast<size_t>(p.buffer)])) {
      taken[static_cast<size_t>(p.buffer)] = true;
      b.space = BufferPlan::Space::output;
      b.port = static_cast<int32_t>(port);
      continue;
    }
    copies.emplace_back(numbers_.of(v), static_cast<int32_t>(port));
  }
  for (const auto &[number, port] : copies) {
    const Value *v = numbers_.value(number);
    const int32_t b = add_buffer(BufferPlan::Space::output, port, 0);
    Dim bytes;
    Placement to = dense(v->type().with_layout({}), b, bytes);
    buffer(b).bytes = bytes;
    add_copy(v, std::move(to));
  }
}

Result<Plan> make_plan(const graph::Graph &graph, const loop::Target &target, const PlanOptions &options) {
  return Planner(graph, target, options).run();
}

} // namespace cameo::passes
