// Kernels of steps, and what their reads allow the planner to do (see steps.h).
#include "steps.h"

#include "cameo/loop/visit.h"

#include <algorithm>

namespace cameo::passes {

using graph::Dim;
using graph::Type;
using loop::Expr;
using loop::Index;

namespace {

bool same_indices(const std::vector<Index> &a, const std::vector<Index> &b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Index &x, const Index &y) {
    return x.axes == y.axes && x.constant == y.constant && x.indirect < 0 && y.indirect < 0;
  });
}

bool identity(const std::vector<Index> &indices) {
  for (size_t d = 0; d < indices.size(); ++d)
    if (!same_indices({indices[d]}, {loop::axis_index(static_cast<int32_t>(d))})) return false;
  return true;
}

} // namespace

bool can_overwrite(const loop::Kernel &kernel, int32_t operand, int32_t result) {
  // The only stage that stores, and stages that it reads point by point.
  int32_t writer = -1;
  for (size_t s = 0; s < kernel.stages.size(); ++s)
    for (const loop::StageStore &store : kernel.stages[s].stores)
      if (store.buffer >= 0) {
        // Points that are not stored may read anything.
        if (writer >= 0 || store.buffer != result || store.accumulate || store.rule == loop::OutOfRange::fail)
          return false;
        writer = static_cast<int32_t>(s);
      }
  if (writer < 0 || kernel.stages[static_cast<size_t>(writer)].is_reduction()) return false;
  std::vector<Index> place;
  for (const loop::StageStore &store : kernel.stages[static_cast<size_t>(writer)].stores)
    if (store.buffer == result) place = store.indices;
  std::vector<bool> pointwise(kernel.stages.size(), true);
  for (size_t s = 0; s < kernel.stages.size(); ++s) pointwise[s] = !kernel.stages[s].is_reduction();
  // A stage is no longer pointwise when somebody reads it elsewhere, or a stage that is not pointwise reads it.
  for (bool changed = true; changed;) {
    changed = false;
    loop::for_each_expr(kernel, [&](int32_t reader, const Expr &e) {
      if (e.kind != Expr::Kind::stage || !pointwise[static_cast<size_t>(e.source)]) return;
      const bool same_space = kernel.stages[static_cast<size_t>(reader)].axes.size() ==
                              kernel.stages[static_cast<size_t>(e.source)].axes.size();
      if (pointwise[static_cast<size_t>(reader)] && same_space && identity(e.indices)) return;
      pointwise[static_cast<size_t>(e.source)] = false;
      changed = true;
    });
  }
  bool good = true;
  loop::for_each_expr(kernel, [&](int32_t reader, const Expr &e) {
    if (e.kind != Expr::Kind::buffer || e.source != operand) return;
    good &= pointwise[static_cast<size_t>(reader)] &&
            (e.rule == loop::OutOfRange::never || e.rule == loop::OutOfRange::clamp) && same_indices(e.indices, place);
  });
  return good;
}

std::optional<Reach> reach(const loop::Kernel &kernel, int32_t buffer) {
  const loop::KernelBuffer &b = kernel.buffers[static_cast<size_t>(buffer)];
  Reach out;
  out.halo.assign(b.dims.size(), {0, 0});
  bool good = true, first = true;
  loop::for_each_expr(kernel, [&](int32_t s, const Expr &e) {
    if (e.kind != Expr::Kind::buffer || e.source != buffer || e.rule == loop::OutOfRange::never || !good) return;
    good = e.rule == loop::OutOfRange::fill && (first || e.real == out.fill);
    out.fill = e.real;
    first = false;
    for (size_t d = 0; good && d < b.dims.size(); ++d) {
      const Index &index = e.indices[d];
      int64_t low = index.constant, high = index.constant;
      bool moves = false, known = index.indirect < 0;
      for (const auto &[axis, coefficient] : index.axes) {
        const loop::Extent &extent = kernel.stages[static_cast<size_t>(s)].axes[static_cast<size_t>(axis)].extent;
        moves = true;
        if (!extent.is_constant()) {
          known = false;
          continue;
        }
        (coefficient > 0 ? high : low) += coefficient * (extent.value - 1);
      }
      if (!known || !b.dims[d].is_constant()) {
        // A symbolic dim that is indexed by its own axis stays inside.
        const bool own =
            moves && index.axes.size() == 1 && index.axes[0].second == 1 && index.constant == 0 && index.indirect < 0 &&
            kernel.stages[static_cast<size_t>(s)].axes[static_cast<size_t>(index.axes[0].first)].extent == b.dims[d];
        good = own;
        continue;
      }
      auto &[before, after] = out.halo[d];
      before = std::max(before, -low);
      after = std::max(after, high - (b.dims[d].value - 1));
    }
  });
  const bool any =
      std::any_of(out.halo.begin(), out.halo.end(), [](const auto &h) { return h.first > 0 || h.second > 0; });
  if (!good || first || !any) return std::nullopt;
  return out;
}

ops::Lowered fill_kernel(const Type &type, const Halo &halo, double fill) {
  ops::Lowered l;
  loop::Kernel &k = l.kernel;
  k.name = "fill";
  std::vector<loop::Extent> dims;
  for (const Dim &d : type.shape()) dims.push_back(l.extent(d));
  const int32_t y = k.add_buffer("y", type.dtype(), dims, loop::BufferRole::output);
  l.arguments.push_back({ops::Argument::Kind::result, 0, 0, nullptr});
  const loop::Scalar t = loop::compute_type(type.dtype());
  // Before and after along each axis; axes that had their turn stay inside the tensor, later ones take the border
  // along.
  for (size_t d = 0; d < halo.size(); ++d)
    for (int side = 0; side < 2; ++side) {
      const int64_t rows = side == 0 ? halo[d].first : halo[d].second;
      if (rows == 0) continue;
      loop::Stage stage;
      stage.name = std::string(side == 0 ? "before" : "after") + std::to_string(d);
      loop::StageStore store;
      store.buffer = y;
      for (size_t e = 0; e < halo.size(); ++e) {
        loop::Extent extent = dims[e];
        int64_t start = 0;
        if (e == d) {
          extent = rows;
          CAMEO_CHECK(dims[e].is_constant(), "a border of a symbolic axis");
          start = side == 0 ? -rows : dims[e].value;
        } else if (e > d && (halo[e].first > 0 || halo[e].second > 0)) {
          extent = dims[e].value + halo[e].first + halo[e].second;
          start = -halo[e].first;
        }
        stage.axes.push_back({"d" + std::to_string(e), extent, loop::AxisKind::parallel});
        store.indices.push_back(loop::axis_index(static_cast<int32_t>(e), 1, start));
      }
      stage.types = {t};
      stage.next = {loop::is_float(t) ? k.constant(t, fill) : k.constant_int(t, static_cast<int64_t>(fill))};
      stage.stores = {std::move(store)};
      k.add_stage(std::move(stage));
    }
  return l;
}

ops::Lowered copy_kernel(const Type &type) {
  ops::Lowered l;
  loop::Kernel &k = l.kernel;
  k.name = "copy";
  std::vector<loop::Extent> dims;
  loop::Stage stage;
  stage.name = "copy";
  loop::StageStore store;
  for (size_t d = 0; d < type.shape().size(); ++d) {
    dims.push_back(l.extent(type.shape()[d]));
    stage.axes.push_back({"d" + std::to_string(d), dims.back(), loop::AxisKind::parallel});
    store.indices.push_back(loop::axis_index(static_cast<int32_t>(d)));
  }
  // Floats narrower than 32 bits move as bits.
  DType dtype = type.dtype();
  if (bits(dtype) == 16) dtype = DType::i16;
  if (bits(dtype) == 8) dtype = DType::i8;
  const int32_t x = k.add_buffer("x", dtype, dims, loop::BufferRole::input);
  store.buffer = k.add_buffer("y", dtype, dims, loop::BufferRole::output);
  l.arguments = {{ops::Argument::Kind::operand, 0, 0, nullptr}, {ops::Argument::Kind::result, 0, 0, nullptr}};
  stage.next = {k.read(x, store.indices)};
  stage.types = {k.expr(stage.next[0]).type};
  stage.stores = {std::move(store)};
  k.add_stage(std::move(stage));
  return l;
}

const graph::Value *argument_value(const graph::Node &node, const ops::Argument &a) {
  if (a.kind == ops::Argument::Kind::temporary || a.kind == ops::Argument::Kind::extents) return nullptr;
  return a.kind == ops::Argument::Kind::result ? node.result(a.index) : node.operand(a.index);
}

Type argument_type(const graph::Node &node, const ops::Lowered &lowered, size_t i) {
  const ops::Argument &a = lowered.arguments.at(i);
  if (!a.derive) return argument_value(node, a)->type();
  graph::Shape shape;
  for (const loop::Extent &e : lowered.kernel.buffers.at(i).dims) shape.push_back(lowered.dim(e));
  return Type::tensor(lowered.kernel.buffers[i].dtype, std::move(shape));
}

std::pair<Placement, Type> temporary_place(const ops::Lowered &lowered, const ops::Argument &a, int32_t buffer,
                                           Dim &bytes) {
  const loop::Stage &stage = lowered.kernel.stages.at(a.index);
  graph::Shape shape;
  for (int32_t d = 0; d < stage.outer_rank(); ++d)
    shape.push_back(lowered.dim(stage.axes[static_cast<size_t>(d)].extent));
  const loop::KernelBuffer &b = lowered.kernel.buffers[static_cast<size_t>(stage.stores.at(a.component).buffer)];
  const Type type = Type::tensor(b.dtype, std::move(shape));
  return {dense(type, buffer, bytes), type};
}

BoundStep bind_step(const Plan &plan, ops::Lowered lowered, const std::vector<std::pair<Placement, Type>> &places) {
  BoundStep step;
  step.lowered = std::move(lowered);
  for (size_t i = 0; i < places.size(); ++i) {
    const auto &[place, type] = places[i];
    // Derived constants have no buffer before they are packed.
    const BufferPlan::Space space =
        place.buffer < 0 ? BufferPlan::Space::weights : plan.buffers.at(static_cast<size_t>(place.buffer)).space;
    const bool port = space == BufferPlan::Space::input || space == BufferPlan::Space::output;
    Bound bound = bind(place, type, port ? std::max(1, bits(type.dtype()) / 8) : 64, step.lowered);
    // Memory that the kernel also writes by another name.
    for (size_t j = 0; j < places.size(); ++j)
      if (j != i && places[j].first.buffer == place.buffer &&
          (step.lowered.arguments[i].kind != ops::Argument::Kind::operand ||
           step.lowered.arguments[j].kind != ops::Argument::Kind::operand))
        bound.binding.aliased = true;
    step.places.push_back(place);
    step.bindings.push_back(std::move(bound.binding));
    step.starts.push_back(std::move(bound.start));
  }
  return step;
}

bool runs_kernel(Step::Kind kind) {
  return kind == Step::Kind::kernel || kind == Step::Kind::extents || kind == Step::Kind::fill ||
         kind == Step::Kind::copy;
}

BoundStep bind_extents(const Plan &plan, const Step &step, const graph::Node &node,
                       const std::function<Placement(const graph::Value *)> &place_of) {
  Result<ops::Lowered> lowered = ops::lower_extents(node);
  CAMEO_CHECK(lowered.ok(), "a planned node has a kernel of its extents");
  std::vector<std::pair<Placement, Type>> places;
  for (const ops::Argument &a : lowered->arguments) {
    if (a.kind == ops::Argument::Kind::extents)
      places.emplace_back(step.to, ops::extents_type(node));
    else
      places.emplace_back(place_of(argument_value(node, a)), argument_value(node, a)->type());
  }
  return bind_step(plan, std::move(*lowered), places);
}

Result<BoundStep> bind_planned(const Plan &plan, const Step &step, const Numbering &numbers) {
  auto place_of = [&](int32_t value) {
    const ValuePlan *v = plan.find(value);
    CAMEO_CHECK(v, "value " + std::to_string(value) + " has no memory");
    return v->place;
  };
  if (step.kind == Step::Kind::fill) {
    const Placement place = place_of(step.value);
    const Type &type = numbers.value(step.value)->type();
    return bind_step(plan, fill_kernel(type, place.halo, place.fill), {{place, type}});
  }
  if (step.kind == Step::Kind::copy) {
    const Type &type = numbers.value(step.value)->type();
    const Placement from = step.from.buffer >= 0 ? step.from : place_of(step.value);
    return bind_step(plan, copy_kernel(type), {{from, type}, {step.to, type}});
  }
  if (step.kind == Step::Kind::extents)
    return bind_extents(plan, step, *numbers.node(step.node),
                        [&](const graph::Value *v) { return place_of(numbers.of(v)); });
  const graph::Node &node = *numbers.node(step.node);
  CAMEO_TRY(ops::Lowered lowered, ops::lower(node, {step.algorithm}));
  for (size_t t = 0; t < step.temporaries.size(); ++t)
    if (t == 0 || step.temporaries[t].stage != step.temporaries[t - 1].stage)
      lowered.add_temporaries(step.temporaries[t].stage);
  std::vector<std::pair<Placement, Type>> places;
  for (size_t i = 0; i < lowered.arguments.size(); ++i) {
    const ops::Argument &a = lowered.arguments[i];
    if (a.kind == ops::Argument::Kind::temporary) {
      Dim bytes;
      for (const Temporary &t : step.temporaries)
        if (t.stage == static_cast<int32_t>(a.index) && t.component == static_cast<int32_t>(a.component))
          places.push_back(temporary_place(lowered, a, t.buffer, bytes));
      continue;
    }
    const graph::Value *value = argument_value(node, lowered.arguments[i]);
    const Placement *packed = nullptr;
    for (const auto &[argument, place] : step.packed)
      if (argument == static_cast<int32_t>(i)) packed = &place;
    places.emplace_back(packed ? *packed : place_of(numbers.of(value)), argument_type(node, lowered, i));
  }
  return bind_step(plan, std::move(lowered), places);
}

} // namespace cameo::passes
