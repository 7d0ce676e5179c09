// Branches and loops in a plan.
//
// if     Each result has memory of its own, in which both branches put it: the kernel that computes it where that is
// possible, else a
//        copy at the end of the branch.
// loop   Each carried value has a home, where the body finds it and where the next iteration's value must be when the
// body ends. The
//        initial value dies in it or is copied to it; the next value is written over it when nobody needs the old one
//        any more, else it is copied at the end of the iteration. The result of the loop is what its home holds in the
//        end. Slices are written where they belong in the stacked result: `counter`, the number of the iteration, is a
//        run-time symbol like those of extents.
//
// What the regions use of outside lives until the loop ends (Planner::use_time, extend_over_loops).
#include "planner.h"

#include <algorithm>

namespace cameo::passes {

using graph::Dim;
using graph::Node;
using graph::Op;
using graph::Region;
using graph::Shape;
using graph::Type;
using graph::Value;

namespace {

size_t carried_count(const Node &loop) { return std::max<size_t>(loop.operand_count(), 2) - 2; }

// The type's dims with the layout of another.
Type like(const Type &type, const Type &layout) { return type.with_layout(layout.layout()); }

} // namespace

// ---- where kernels may write what regions yield

void Planner::host_results() {
  if (!options_.views) return;
  for (const Node *node : nodes_) {
    if (node->is(Op::if_))
      for (size_t r = 0; r < 2; ++r)
        for (size_t i = 0; i < node->result_count(); ++i)
          host_result(node->body(r)->results()[i], node->body(r), {Host::Kind::all, node->result(i), 0, 0});
    if (node->is(Op::loop))
      for (size_t i = carried_count(*node); i < node->result_count(); ++i)
        host_result(node->body()->results()[i + 1], node->body(), {Host::Kind::slice, node->result(i), 0, 0});
  }
}

void Planner::host_result(const Value *v, const Region *region, Host host) {
  if (v->region() != region || !v->producer() || !can_be_hosted(v)) return;
  const Type &whole = host.whole->type();
  Shape shape = whole.shape();
  if (host.kind == Host::Kind::slice) shape.erase(shape.begin());
  // Other extents are checked first, and then copied.
  if (shape != v->type().shape() || v->type().layout() != whole.layout()) return;
  hosts_[numbers_.of(v)] = std::move(host);
}

Placement Planner::hosted(const Value *v, const Host &host) {
  switch (host.kind) {
  case Host::Kind::part: {
    check_parts(*host.whole->producer());
    Placement p = part(host_place(host.whole), host.axis, host.start);
    if (!p.halo.empty() && (p.halo[host.axis].first > 0 || p.halo[host.axis].second > 0)) p.halo.clear();
    return p;
  }
  case Host::Kind::all: {
    const Placement p = *place(host.whole);
    if (buffer(p.buffer).space == BufferPlan::Space::grown) add_grow(p.buffer, v->type());
    return p;
  }
  case Host::Kind::slice:
    return slice_place(v->type(), host.whole, counters_.back());
  }
  CAMEO_UNREACHABLE("kind of host");
}

// Slice number `counter` of a stacked value.
Placement Planner::slice_place(const Type &slice, const Value *whole, const Dim &counter) {
  const int32_t b = place(whole)->buffer;
  if (buffer(b).space == BufferPlan::Space::grown) add_grow(b, slice, counter + 1, nullptr, /*keep=*/true);
  Dim bytes;
  Placement p = dense(slice.with_layout({}), b, bytes);
  p.offset += counter * slice.elements();
  return p;
}

// The value that the next iteration gets, over the one that this iteration got, when that one is read no more.
bool Planner::take_home(const Node &node, const ops::Lowered &lowered, int32_t argument, const Value *v) {
  auto it = homes_.find(numbers_.of(v));
  if (it == homes_.end() || !options_.in_place) return false;
  const Home &home = it->second;
  const Type &type = home.argument->type();
  if (type.shape() != v->type().shape() || type.layout() != v->type().layout() || type.dtype() != v->type().dtype())
    return false;
  const Placement p = *place(home.argument);
  const int32_t now = times(node).begin;
  const Value *result = home.argument->region()->parent()->result(home.argument->index() - 2);
  for (int32_t other : inhabitants_[static_cast<size_t>(home.buffer)])
    if (other != numbers_.of(result) && last_use_[static_cast<size_t>(other)] > now) return false;
  for (size_t i = 0; i < lowered.arguments.size(); ++i) {
    if (lowered.arguments[i].kind != ops::Argument::Kind::operand) continue;
    const auto &o = place(argument_value(node, lowered.arguments[i]));
    if (!o || o->buffer != home.buffer) continue;
    if (!(*o == p) || !can_overwrite(lowered.kernel, static_cast<int32_t>(i), argument) ||
        reads_elsewhere(lowered, node, home.buffer, i))
      return false;
  }
  settle(v, p);
  return true;
}

// ---- branches

void Planner::place_branches(const Node &node) {
  Step begin;
  begin.kind = Step::Kind::branch;
  begin.node = numbers_.of(&node);
  add_step(std::move(begin), {require_place(node.operand()).buffer});
  for (const Value *v : node.results()) {
    const int32_t b = add_buffer(BufferPlan::Space::arena, -1, 0);
    Dim bytes;
    Placement p = dense(v->type(), b, bytes);
    reserve(b, bytes);
    settle(v, std::move(p));
  }
  const auto defined = defined_;
  const auto checked = checked_;
  const auto sized = sized_;
  for (size_t r = 0; r < 2; ++r) {
    if (r == 1) {
      Step otherwise;
      otherwise.kind = Step::Kind::otherwise;
      otherwise.node = numbers_.of(&node);
      add_step(std::move(otherwise), {});
    }
    defined_ = defined;
    checked_ = checked;
    sized_ = sized;
    ++regions_;
    place_branch(node, node.body(r));
    --regions_;
  }
  checked_ = checked;
  sized_ = sized;
  Step end;
  end.kind = Step::Kind::end;
  end.node = numbers_.of(&node);
  add_step(std::move(end), {});
}

void Planner::place_branch(const Node &node, const Region *region) {
  for (const Node *inner : region->nodes()) place_node(*inner);
  const std::vector<Value *> values = region->results();
  std::vector<Rule> rules;
  for (size_t i = 0; i < values.size(); ++i)
    for (int d = 0; d < values[i]->type().rank(); ++d) {
      const Dim &to = node.result(i)->type().dim(d), &from = values[i]->type().dim(d);
      if (to != from) rules.push_back(rule(to, {from}));
    }
  add_rules(std::move(rules));
  for (size_t i = 0; i < values.size(); ++i) {
    const Value *v = values[i], *result = node.result(i);
    const int32_t b = place(result)->buffer;
    if (require_place(v).buffer == b) continue; // a kernel put it there
    if (buffer(b).space == BufferPlan::Space::grown) add_grow(b, like(v->type(), result->type()));
    Dim bytes;
    add_copy(v, dense(like(v->type(), result->type()), b, bytes));
  }
}

// ---- loops

void Planner::place_loop(const Node &node) {
  const Region *body = node.body();
  const size_t carried = carried_count(node);
  // Extents of what the body gets.
  std::vector<Rule> rules;
  for (size_t i = 0; i < carried; ++i)
    for (int d = 0; d < node.operand(i + 2)->type().rank(); ++d) {
      const Dim &to = body->argument(i + 2)->type().dim(d), &from = node.operand(i + 2)->type().dim(d);
      if (to != from) rules.push_back(rule(to, {from}));
    }
  // Those of stacked slices are what the first one has.
  for (size_t i = carried; i < node.result_count(); ++i)
    for (int d = 1; d < node.result(i)->type().rank(); ++d) {
      const Dim &extent = node.result(i)->type().dim(d);
      if (!defined(extent)) rules.push_back(rule(extent, {Dim(0)}));
    }
  add_rules(std::move(rules));
  for (size_t i = 0; i < carried; ++i) place_carried(node, i);

  const Dim counter = new_symbol();
  add_slot(counter);
  Step begin;
  begin.kind = Step::Kind::loop;
  begin.node = numbers_.of(&node);
  begin.counter = counter;
  std::vector<int32_t> touched;
  for (size_t i = 0; i < 2; ++i)
    if (node.operand(i)) touched.push_back(require_place(node.operand(i)).buffer);
  for (size_t i = 0; i < 2; ++i)
    if (!body->argument(i)->unused()) {
      settle_new(body->argument(i), BufferPlan::Space::arena, -1);
      touched.push_back(place(body->argument(i))->buffer);
    }
  for (size_t i = 0; i < node.result_count(); ++i) {
    const Value *v = node.result(i);
    if (i >= carried) {
      const int32_t b = add_buffer(BufferPlan::Space::arena, -1, 0);
      Dim bytes;
      Placement p = dense(v->type(), b, bytes);
      reserve(b, bytes);
      settle(v, std::move(p));
      // The room that there is limits the iterations.
      const Dim &count = v->type().dim(0);
      if (const std::optional<Dim> most = defined(count) ? std::optional(count) : most_of(count)) {
        Rule limit;
        limit.kind = Rule::Kind::equal;
        limit.factors = {*most};
        begin.rules.push_back(std::move(limit));
      }
    }
    touched.push_back(place(v)->buffer);
  }
  add_step(std::move(begin), touched);

  const auto checked = checked_;
  const auto sized = sized_;
  counters_.push_back(counter);
  ++regions_;
  for (const Node *inner : body->nodes()) place_node(*inner);
  yield_slices(node, counter);
  yield_carried(node);
  --regions_;
  counters_.pop_back();
  checked_ = checked;
  sized_ = sized;

  Step end;
  end.kind = Step::Kind::end;
  end.node = numbers_.of(&node);
  end.counter = counter;
  for (size_t i = 0; i < node.result_count(); ++i) {
    const Type &type = node.result(i)->type();
    if (i < carried) {
      for (int d = 0; d < type.rank(); ++d)
        if (const Dim &from = body->argument(i + 2)->type().dim(d); from != type.dim(d))
          end.rules.push_back(rule(type.dim(d), {from}));
    } else {
      end.rules.push_back(rule(type.dim(0), {counter}));
    }
  }
  touched.clear();
  for (size_t i = 0; i < carried; ++i) touched.push_back(place(node.result(i))->buffer);
  if (const auto &condition = place(body->results()[0])) touched.push_back(condition->buffer);
  add_step(std::move(end), touched);
}

// The home of a carried value: the memory of the initial value when that dies here, else a copy of it.
void Planner::place_carried(const Node &node, size_t index) {
  const Value *initial = node.operand(index + 2), *argument = node.body()->argument(index + 2),
              *next = node.body()->results()[index + 1];
  const Type &type = argument->type();
  const Placement &from = require_place(initial);
  const BufferPlan::Space space = buffer(from.buffer).space;
  Dim bytes;
  int32_t b = from.buffer;
  const bool dies = options_.in_place && (space == BufferPlan::Space::arena || space == BufferPlan::Space::grown) &&
                    !home_buffers_.count(b) && initial->type() == type && dense(type, b, bytes) == from &&
                    sizes_[static_cast<size_t>(b)] == bytes && dies_at(b, times(node).begin);
  if (!dies) {
    b = add_buffer(BufferPlan::Space::arena, -1, 0);
    dense(type, b, bytes);
    if (!reserve(b, bytes)) add_grow(b, like(initial->type(), type));
    add_copy(initial, dense(like(initial->type(), type), b, bytes));
  }
  settle(argument, dense(type, b, bytes));
  settle(node.result(index), dense(like(node.result(index)->type(), type), b, bytes));
  home_buffers_.insert(b);
  if (next->region() == node.body() && next->producer()) homes_.emplace(numbers_.of(next), Home{argument, b});
}

void Planner::yield_slices(const Node &node, const Dim &counter) {
  for (size_t i = carried_count(node); i < node.result_count(); ++i) {
    const Value *whole = node.result(i), *slice = node.body()->results()[i + 1];
    if (auto host = hosts_.find(numbers_.of(slice)); host != hosts_.end() && host->second.whole == whole) continue;
    std::vector<Rule> rules;
    for (int d = 0; d < slice->type().rank(); ++d) {
      const Dim &to = whole->type().dim(d + 1), &from = slice->type().dim(d);
      if (to == from) continue;
      rules.push_back(rule(to, {from}));
      const auto definer = to.is_runtime() ? definers_.find(to.symbol_key()) : definers_.end();
      if (definer != definers_.end() && definer->second == &node) {
        rules.back().kind = Rule::Kind::once;
        rules.back().most = most_of(to);
      }
    }
    add_rules(std::move(rules));
    require_place(slice);
    add_copy(slice, slice_place(slice->type(), whole, counter));
  }
}

// Moves the next values to their homes. Those that lie in the home of another are saved first; extents change when
// everything is moved.
void Planner::yield_carried(const Node &node) {
  const Region *body = node.body();
  std::vector<Rule> checks, updates;
  std::vector<std::pair<size_t, const Value *>> moves;
  for (size_t i = 0; i < carried_count(node); ++i) {
    const Value *argument = body->argument(i + 2), *next = body->results()[i + 1];
    if (next == argument) continue;
    for (int d = 0; d < next->type().rank(); ++d) {
      const Dim &to = argument->type().dim(d), &from = next->type().dim(d);
      if (to == from) continue;
      const auto definer = to.is_runtime() ? definers_.find(to.symbol_key()) : definers_.end();
      if (definer == definers_.end() || definer->second != &node) {
        checks.push_back(rule(to, {from}));
        continue;
      }
      const Dim shadow = new_symbol();
      Rule check = rule(shadow, {from}), update;
      check.most = most_of(to);
      update.dim = to;
      update.factors = {shadow};
      checks.push_back(std::move(check));
      updates.push_back(std::move(update));
    }
    if (!(require_place(next) == *place(argument))) moves.emplace_back(i, next);
  }
  add_rules(std::move(checks));
  std::map<size_t, Placement> saved;
  for (const auto &[i, next] : moves) {
    if (!home_buffers_.count(place(next)->buffer)) continue;
    const int32_t b = add_buffer(BufferPlan::Space::arena, -1, 0);
    Dim bytes;
    Placement p = dense(next->type(), b, bytes);
    if (!reserve(b, bytes)) add_grow(b, next->type());
    add_copy(next, p);
    saved.emplace(i, std::move(p));
  }
  for (const auto &[i, next] : moves) {
    const Type type = like(next->type(), body->argument(i + 2)->type());
    const int32_t b = place(body->argument(i + 2))->buffer;
    if (buffer(b).space == BufferPlan::Space::grown) add_grow(b, type);
    Dim bytes;
    auto it = saved.find(i);
    add_copy(next, dense(type, b, bytes), it == saved.end() ? nullptr : &it->second);
  }
  add_rules(std::move(updates));
}

} // namespace cameo::passes
