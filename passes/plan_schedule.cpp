// The last decisions of a plan: how each kernel runs, in which format it reads its constants, where stages keep values
// of symbolic size.
#include "memory.h"
#include "planner.h"

#include "cameo/loop/apply.h"
#include "cameo/ops/conv_kernels.h"

#include <algorithm>

namespace cameo::passes {

using graph::Dim;
using graph::Node;
using graph::Op;
using graph::Type;
using graph::Value;

// Bytes of the arena that are idle during each step, when it is as large as tensors alone make it.
static std::vector<int64_t> idle_bytes(const Plan &plan) {
  std::vector<int64_t> live = live_bytes(plan);
  const int64_t most = live.empty() ? 0 : *std::max_element(live.begin(), live.end());
  for (int64_t &bytes : live) bytes = most - bytes;
  return live;
}

void Planner::schedule() {
  spare_ = idle_bytes(plan_);
  for (size_t s = 0; s < plan_.steps.size(); ++s) {
    if (!runs_kernel(plan_.steps[s].kind) || calls_runtime(plan_.steps[s])) continue;
    schedule(plan_.steps[s]);
    // Values between two stages of symbolic extents have no room in scratch memory. What has memory is scheduled in
    // another way, and may leave others without.
    for (std::vector<int32_t> homeless; !(homeless = homeless_stages(plan_.steps[s])).empty();) {
      add_temporaries(static_cast<int32_t>(s), homeless);
      schedule(plan_.steps[s]);
    }
    if (scratch_bytes_ == 0) continue;
    // Scratch memory shares the arena with tensors that do not live during the step.
    const int32_t b = add_buffer(BufferPlan::Space::arena, -1, scratch_bytes_);
    plan_.steps[s].scratch = b;
    buffer(b).first = buffer(b).last = static_cast<int32_t>(s);
  }
}

bool Planner::calls_runtime(const Step &step) const {
  return step.kind == Step::Kind::kernel && !kernels_[static_cast<size_t>(step.node)]->runtime.empty();
}

// As fast as may be where the arena has room for the scratch memory, else with less of it.
void Planner::schedule(Step &step) {
  choose_schedule(step, false);
  if (scratch_bytes_ > spare_[static_cast<size_t>(&step - plan_.steps.data())]) choose_schedule(step, true);
}

void Planner::choose_schedule(Step &step, bool scarce) {
  BoundStep bound = bound_step(step);
  const loop::Kernel &kernel = bound.lowered.kernel;
  scratch_bytes_ = 0;
  if (options_.plain_schedules) {
    step.schedule = loop::plain_schedule(kernel);
    return;
  }
  const std::vector<loop::Binding> before = bound.bindings;
  step.schedule = step.algorithm.starts_with("winograd")
                      ? ops::winograd_schedule(kernel, bound.bindings, target_, scarce)
                      : loop::default_schedule(kernel, bound.bindings, target_);
  for (size_t i = 0; i < kernel.stages.size(); ++i) {
    const loop::Place where = step.schedule.stages[i].place;
    if (where != loop::Place::local && (where != loop::Place::root || !kernel.stages[i].stores.empty())) continue;
    if (step.kind == Step::Kind::kernel &&
        homeless_stages(step).empty()) // else it is scheduled once more, with memory for them
      scratch_bytes_ = applied_.get(kernel, bound.bindings, step.schedule).scratch_bytes;
    break;
  }
  step.packed.clear();
  for (size_t i = 0; i < before.size(); ++i) {
    const bool derived = bound.lowered.arguments[i].derive != nullptr;
    const bool repacked = options_.pack_weights && before[i].terms != bound.bindings[i].terms;
    if (derived || repacked) pack(step, static_cast<int32_t>(i), repacked ? bound.bindings[i] : before[i]);
  }
}

// Stages that the schedule keeps whole in memory, of symbolic size and without a buffer.
std::vector<int32_t> Planner::homeless_stages(const Step &step) const {
  std::vector<int32_t> list;
  if (step.kind != Step::Kind::kernel) return list;
  const loop::Kernel &kernel = kernels_[static_cast<size_t>(step.node)]->kernel;
  for (size_t s = 0; s < kernel.stages.size(); ++s) {
    const loop::Stage &stage = kernel.stages[s];
    if (step.schedule.stages[s].place != loop::Place::root || !stage.stores.empty()) continue;
    for (int32_t d = 0; d < stage.outer_rank(); ++d)
      if (!stage.axes[static_cast<size_t>(d)].extent.is_constant()) {
        list.push_back(static_cast<int32_t>(s));
        break;
      }
  }
  return list;
}

void Planner::add_temporaries(int32_t number, const std::vector<int32_t> &stages) {
  Step &step = plan_.steps[static_cast<size_t>(number)];
  ops::Lowered &lowered = *kernels_[static_cast<size_t>(step.node)];
  for (int32_t stage : stages) {
    const size_t before = lowered.arguments.size();
    lowered.add_temporaries(stage);
    for (size_t a = before; a < lowered.arguments.size(); ++a) {
      const int32_t b = add_buffer(BufferPlan::Space::arena, -1, 0);
      Dim bytes;
      const Type type = temporary_place(lowered, lowered.arguments[a], b, bytes).second;
      const int inside = numbers_.node(step.node)->region() == body() ? 0 : 1;
      regions_ += inside;
      const bool reserved = reserve(b, bytes);
      regions_ -= inside;
      if (!reserved) {
        Rule size;
        size.kind = Rule::Kind::equal;
        size.element = b;
        size.factors = {std::max(1, bits(type.dtype()) / 8)};
        size.factors.insert(size.factors.end(), type.shape().begin(), type.shape().end());
        step.rules.push_back(std::move(size));
      }
      buffer(b).first = buffer(b).last = number;
      step.temporaries.push_back({stage, static_cast<int32_t>(lowered.arguments[a].component), b});
    }
  }
}

void Planner::pack(Step &step, int32_t argument, const loop::Binding &binding) {
  const Node &node = *numbers_.node(step.node);
  const ops::Lowered &lowered = *kernels_[static_cast<size_t>(step.node)];
  const Value *v = argument_value(node, lowered.arguments[static_cast<size_t>(argument)]);
  CAMEO_CHECK(v->constant(), "a schedule packs '" + v->name() + "', which is no constant");
  Placement p = unbind(binding, -1);
  const bool derived = lowered.arguments[static_cast<size_t>(argument)].derive != nullptr;
  std::string made_by; // what is derived, in which shape
  if (derived) {
    const loop::Kernel &make = *lowered.arguments[static_cast<size_t>(argument)].derive;
    made_by = make.name;
    for (const loop::Extent &e : make.buffers[1].dims) made_by += " " + std::to_string(e.value);
  }
  // The same value in the same format is stored once.
  for (const auto &[value, maker, known] : packed_) {
    Placement same = known;
    same.buffer = -1;
    if (value == numbers_.of(v) && maker == made_by && same == p) {
      step.packed.emplace_back(argument, known);
      return;
    }
  }
  p.buffer = add_buffer(BufferPlan::Space::weights, numbers_.of(v),
                        bytes_of(argument_type(node, lowered, static_cast<size_t>(argument)).dtype(), binding.size));
  packed_.emplace_back(numbers_.of(v), made_by, p);
  step.packed.emplace_back(argument, std::move(p));
}

BoundStep Planner::bound_step(const Step &step) {
  if (step.kind == Step::Kind::fill) {
    const Value *v = numbers_.value(step.value);
    return bind_step(plan_, fill_kernel(v->type(), place(v)->halo, place(v)->fill), {{*place(v), v->type()}});
  }
  if (step.kind == Step::Kind::copy) {
    const Value *v = numbers_.value(step.value);
    const Placement &from = step.from.buffer >= 0 ? step.from : *place(v);
    return bind_step(plan_, copy_kernel(v->type()), {{from, v->type()}, {step.to, v->type()}});
  }
  if (step.kind == Step::Kind::extents)
    return bind_extents(plan_, step, *numbers_.node(step.node), [&](const Value *v) { return require_place(v); });
  const Node &node = *numbers_.node(step.node);
  const ops::Lowered &lowered = *kernels_[static_cast<size_t>(step.node)];
  std::vector<std::pair<Placement, Type>> places;
  for (size_t i = 0; i < lowered.arguments.size(); ++i) {
    const ops::Argument &a = lowered.arguments[i];
    Dim bytes;
    if (a.derive) {
      const Type type = argument_type(node, lowered, i);
      places.emplace_back(dense(type, -1, bytes), type);
      continue;
    }
    if (const Value *v = argument_value(node, a)) {
      places.emplace_back(require_place(v), v->type());
      continue;
    }
    for (const Temporary &t : step.temporaries)
      if (t.stage == static_cast<int32_t>(a.index) && t.component == static_cast<int32_t>(a.component))
        places.push_back(temporary_place(lowered, a, t.buffer, bytes));
  }
  return bind_step(plan_, lowered, places);
}

} // namespace cameo::passes
