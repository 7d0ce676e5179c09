// Steps as Loop IR. A range of steps is a list of items: a call, or a whole branch or loop. Ranges of many calls are
// cut into functions. Behind an item that may fail (a check of extents, an allocation) the rest of the range runs only
// when it did not: extents that were refused must not reach a kernel.
#include "emitter.h"

#include "memory.h"

#include "cameo/abi.h"

#include <algorithm>

namespace cameo::passes {

using graph::Dim;
using graph::Node;
using graph::Value;

namespace {

/// Iterations of a loop that names no end, or one that no run would see.
constexpr int64_t kMostIterations = INT32_MAX;

} // namespace

// Behind the last step of the item that begins with `step`.
size_t Emitter::item_end(size_t step) const {
  int depth = 0;
  for (;; ++step) {
    const Step::Kind kind = plan_.steps[step].kind;
    if (kind == Step::Kind::branch || kind == Step::Kind::loop) ++depth;
    if (kind == Step::Kind::end) --depth;
    if (depth == 0) return step + 1;
  }
}

bool Emitter::may_fail(size_t from, size_t to) const {
  return std::any_of(plan_.steps.begin() + static_cast<std::ptrdiff_t>(from),
                     plan_.steps.begin() + static_cast<std::ptrdiff_t>(to), [](const Step &s) {
                       return s.kind == Step::Kind::rules || s.kind == Step::Kind::grow || s.kind == Step::Kind::loop ||
                              s.kind == Step::Kind::check || !s.rules.empty();
                     });
}

// `body` in a branch that is taken while nothing has failed.
void Emitter::unless_failed(Site &site, const std::function<void(Site &)> &body) {
  site.b.if_else(succeeded(site), [&] {
    Site inner = site;
    body(inner);
    return std::vector<loop::Value>{};
  });
}

// A range of steps: here, or in functions of a limited number of steps each.
void Emitter::emit_range(Site &site, size_t from, size_t to) {
  const size_t limit = static_cast<size_t>(std::max<int64_t>(1, options_.calls_per_function));
  if (from == to) return;
  if (to - from <= limit || item_end(from) == to) return emit_items(site, from, to);
  std::vector<std::pair<size_t, size_t>> groups; // of whole items
  for (size_t s = from; s < to; s = item_end(s)) {
    const size_t end = item_end(s);
    if (groups.empty() || end - groups.back().first > limit)
      groups.emplace_back(s, end);
    else
      groups.back().second = end;
  }
  for (const auto &[first, last] : groups) {
    const std::string name = "run_" + std::to_string(functions_++);
    {
      loop::Builder b(variant_.code, name);
      b.function().noinline = true;
      const Frame frame = parameters(b);
      Site inside{b, frame, dims(b, frame)};
      emit_items(inside, first, last);
      b.finish();
    }
    if (may_fail(from, first))
      unless_failed(site, [&](Site &s) { s.b.call(name, s.frame.all()); });
    else
      site.b.call(name, site.frame.all());
  }
}

void Emitter::emit_items(Site &site, size_t from, size_t to) {
  bool guarded = false;
  for (size_t s = from; s < to;) {
    // Up to the next item that may fail.
    size_t end = item_end(s);
    for (size_t item = s; !may_fail(item, end) && end < to; item = end, end = item_end(end)) {
    }
    auto emit = [&](Site &where) {
      for (size_t i = s; i < end; i = item_end(i)) emit_item(where, i);
    };
    if (guarded)
      unless_failed(site, emit);
    else
      emit(site);
    guarded = true;
    s = end;
  }
}

void Emitter::emit_item(Site &site, size_t number) {
  const Step &step = plan_.steps[number];
  switch (step.kind) {
  case Step::Kind::kernel:
  case Step::Kind::extents:
  case Step::Kind::fill:
  case Step::Kind::copy:
    emit_call(site, number);
    break;
  case Step::Kind::rules:
    emit_rules(site, step.rules, step.from);
    break;
  case Step::Kind::check:
    fail_unless(site,
                site.b.compare(loop::Opcode::ne, scalar(site, numbers_.value(step.value)), site.b.index_constant(0)),
                CAMEO_SHAPE_MISMATCH);
    break;
  case Step::Kind::grow:
    emit_grow(site, step.buffer, step.rules[0].factors, step.keep);
    break;
  case Step::Kind::branch:
    emit_branch(site, number);
    break;
  case Step::Kind::loop:
    emit_loop(site, number);
    break;
  case Step::Kind::otherwise:
  case Step::Kind::end:
    CAMEO_UNREACHABLE("a bracket outside of its item");
  }
  const size_t last = item_end(number) - 1;
  if (last != number) release(site, static_cast<int32_t>(number)); // read by nothing but the condition
  release(site, static_cast<int32_t>(last));
}

void Emitter::emit_call(Site &site, size_t number) {
  const Step &step = plan_.steps[number];
  const Call &call = calls_[number];
  for (const Rule &size : step.rules) emit_grow(site, static_cast<int32_t>(size.element), size.factors, false);
  auto run = [&](Site &s) {
    const loop::Kernel &kernel = call.step.lowered.kernel;
    std::vector<loop::Value> arguments;
    for (size_t i = 0; i < kernel.buffers.size(); ++i) {
      Dim elements = 1;
      for (const loop::Extent &e : kernel.buffers[i].dims) elements *= call.step.lowered.dim(e);
      arguments.push_back(
          address(s, call.step.places[i].buffer, kernel.buffers[i].dtype, call.step.starts[i], elements));
    }
    if (const std::string &runtime = call.step.lowered.runtime; !runtime.empty()) {
      for (const Dim &d : call.step.lowered.sizes) arguments.push_back(s.code.value(d));
      s.b.call(runtime, arguments);
      return;
    }
    if (call.kernel->scratch_bytes > 0) {
      const Dim at = call.scratch < 0 ? plan_.arena_bytes : plan_.buffers[static_cast<size_t>(call.scratch)].offset;
      arguments.push_back(s.b.view(s.frame.workspace, s.code.affine(at)));
    }
    for (const Dim &d : call.step.lowered.symbols) arguments.push_back(s.code.value(d));
    s.b.call(call.kernel->function, arguments);
  };
  if (step.kind == Step::Kind::copy) {
    const BufferPlan &to = plan_.buffers[static_cast<size_t>(step.to.buffer)];
    if (to.space == BufferPlan::Space::output && interface_.at_run(to.port)) {
      site.b.if_else(fits(site, to.port), [&] {
        Site inner = site;
        run(inner);
        return std::vector<loop::Value>{};
      });
      return;
    }
  }
  if (step.rules.empty())
    run(site);
  else
    unless_failed(site, run);
}

// Where element `start` of a buffer lies, as a buffer of the dtype's storage kind. An empty part of the caller's tensor
// begins where the tensor does: there is nothing else that may be read.
loop::Value Emitter::address(Site &site, int32_t buffer, DType dtype, const Dim &start, const Dim &elements) {
  const BufferPlan &plan = plan_.buffers[static_cast<size_t>(buffer)];
  loop::Builder &b = site.b;
  const loop::Scalar element = loop::storage_type(dtype);
  const Dim bytes = bits(dtype) >= 8 ? start * (bits(dtype) / 8) : start;
  CAMEO_CHECK(bits(dtype) >= 8 || start.is(0), "elements within a byte have no address");
  switch (plan.space) {
  case BufferPlan::Space::weights: {
    const int64_t offset = constant_offsets_[static_cast<size_t>(buffer)];
    CAMEO_CHECK(offset >= 0, "a constant that no kernel reads");
    return b.view(site.frame.weights, site.code.affine(bytes + offset), element);
  }
  case BufferPlan::Space::arena:
    return b.view(site.frame.workspace, site.code.affine(plan.offset + bytes), element);
  case BufferPlan::Space::grown: {
    const loop::Value at = b.load(head(site), loop::Affine(grown_slot(plan)));
    return b.view(site.frame.workspace, loop::Affine(at) + site.code.affine(bytes), element);
  }
  case BufferPlan::Space::input:
  case BufferPlan::Space::output: {
    const bool input = plan.space == BufferPlan::Space::input;
    const loop::Value base = (input ? site.frame.inputs : site.frame.outputs)[static_cast<size_t>(plan.port)];
    const bool same = b.type(base).scalar == element;
    if (start.is(0)) return same ? base : b.view(base, loop::Affine(0), element);
    if (elements.is_constant() || !elements.valid()) return b.view(base, site.code.affine(start), element);
    const loop::Value zero = b.index_constant(0), some = b.compare(loop::Opcode::gt, site.code.value(elements), zero);
    return b.view(base, loop::Affine(b.select(some, site.code.value(start), zero)), element);
  }
  }
  CAMEO_UNREACHABLE("buffer space");
}

// ---- control

std::optional<int64_t> Emitter::constant_scalar(const Value *value) const {
  const graph::ConstantData *data = value->constant();
  return data && data->available() && data->count() == 1 ? std::optional(data->as_int(0)) : std::nullopt;
}

// The number in a tensor of one integer or bool, as i64.
loop::Value Emitter::scalar(Site &site, const Value *value) {
  if (const auto known = constant_scalar(value)) return site.b.index_constant(*known);
  const Placement &place = plan_.find(numbers_.of(value))->place;
  const DType dtype = value->type().dtype();
  const loop::Value v = site.b.load(address(site, place.buffer, dtype, place.offset), loop::Affine(0));
  return bits(dtype) == 64 ? v : site.b.cast(loop::Opcode::zext, v, loop::Scalar::i64);
}

void Emitter::store_scalar(Site &site, const Value *value, loop::Value number) {
  const ValuePlan *plan = plan_.find(numbers_.of(value));
  if (!plan) return; // nobody reads it
  const DType dtype = value->type().dtype();
  const loop::Value v =
      bits(dtype) == 64 ? number : site.b.cast(loop::Opcode::trunc, number, loop::storage_type(dtype));
  site.b.store(v, address(site, plan->place.buffer, dtype, plan->place.offset), loop::Affine(0));
}

void Emitter::emit_branch(Site &site, size_t begin) {
  const size_t end = item_end(begin);
  size_t middle = begin + 1;
  while (plan_.steps[middle].kind != Step::Kind::otherwise) middle = item_end(middle);
  loop::Builder &b = site.b;
  const Value *condition = numbers_.node(plan_.steps[begin].node)->operand();
  auto range = [&](size_t from, size_t to) {
    return [this, &site, from, to] {
      Site inner = site;
      emit_range(inner, from, to);
      return std::vector<loop::Value>{};
    };
  };
  b.if_else(b.compare(loop::Opcode::ne, scalar(site, condition), b.index_constant(0)), range(begin + 1, middle),
            range(middle + 1, end - 1));
}

// while (i < trip && condition) { body; i = i + 1 }
void Emitter::emit_loop(Site &site, size_t begin) {
  const Step &step = plan_.steps[begin];
  const Node &node = *numbers_.node(step.node);
  const graph::Region *body = node.body();
  const size_t end = item_end(begin);
  loop::Builder &b = site.b;
  const loop::Value zero = b.index_constant(0), one = b.index_constant(1), most = b.index_constant(kMostIterations);
  const loop::Value wanted = node.operand(0) ? scalar(site, node.operand(0)) : most;
  loop::Value trip = b.min(wanted, most);
  for (const Rule &limit : step.rules) trip = b.min(trip, product(site, limit.factors).first);
  const loop::Value condition = node.operand(1) ? scalar(site, node.operand(1)) : one;
  const auto last = b.while_loop(
      {zero, condition},
      [&](std::span<const loop::Value> v) {
        Site inner = site;
        loop::Value go = b.binary(loop::Opcode::bit_and, b.compare(loop::Opcode::lt, v[0], trip),
                                  b.compare(loop::Opcode::ne, v[1], zero));
        if (may_fail(begin + 1, end - 1)) go = b.binary(loop::Opcode::bit_and, go, succeeded(inner));
        return std::vector<loop::Value>{go, v[0], v[1]};
      },
      [&](std::span<const loop::Value> v) {
        Site inner = site;
        inner.code.forget_runtime();
        b.store(v[0], head(inner), loop::Affine(slot(step.counter.symbol_key())));
        store_scalar(inner, body->argument(0), v[0]);
        store_scalar(inner, body->argument(1), v[1]);
        counters_.push_back(step.counter);
        emit_range(inner, begin + 1, end - 1);
        counters_.pop_back();
        const Value *next = body->results()[0];
        loop::Value more = next == body->argument(1) ? v[1] : scalar(inner, next);
        return std::vector<loop::Value>{b.add(v[0], one), more};
      });
  b.store(last[0], head(site), loop::Affine(slot(step.counter.symbol_key())));
  site.code.forget_runtime();
  // Nobody waits for a loop without an end.
  const loop::Value endless = b.binary(loop::Opcode::bit_and, b.compare(loop::Opcode::eq, last[0], most),
                                       b.compare(loop::Opcode::ne, last[1], zero));
  fail_unless(site, b.select(endless, b.constant_int(loop::kBool, 0), b.constant_int(loop::kBool, -1)),
              CAMEO_LIMIT_EXCEEDED);
  if (const std::vector<Rule> &rules = plan_.steps[end - 1].rules; !rules.empty())
    unless_failed(site, [&](Site &s) { emit_rules(s, rules, {}); });
  site.code.forget_runtime();
}

// Gives back what no later step reads.
void Emitter::release(Site &site, int32_t step) {
  if (variant_.grown == 0) return;
  for (const BufferPlan &b : plan_.buffers)
    if (b.space == BufferPlan::Space::grown && b.last == step)
      site.b.call("cameo_release", {site.frame.workspace, site.b.view(head(site), loop::Affine(grown_slot(b)))});
}

} // namespace cameo::passes
