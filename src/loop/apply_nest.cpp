// Loops: tiles and their remainders, accumulators carried as values, stages computed where the schedule places them.
#include "lowerer.h"

#include <algorithm>

namespace cameo::loop {
void Lowerer::leave_block(size_t depth) {
  if (table_.size() > depth) table_.resize(depth);
  if (hoisted_.size() > depth) hoisted_.resize(depth);
}

int32_t Lowerer::object_of_buffer(int32_t buffer) const {
  const auto stages = static_cast<int32_t>(kernel_.stages.size());
  return stages + (bindings_[buffer].aliased ? static_cast<int32_t>(kernel_.buffers.size()) : buffer);
}

Lowerer::Objects Lowerer::written_by(int32_t stage, int32_t loop) const {
  Objects objects{object_of_stage(stage)};
  for (const StageStore &store : kernel_.stages[stage].stores)
    if (store.buffer >= 0) objects.push_back(object_of_buffer(store.buffer));
  for (int32_t s = 0; s < static_cast<int32_t>(kernel_.stages.size()); ++s) {
    const StageSchedule &plan = schedule_.stages[s];
    const bool inside = (plan.place == Place::local || plan.place == Place::registers) && plan.at_stage == stage &&
                        plan.at_loop >= loop;
    if (!inside) continue;
    const Objects more = written_by(s, -1);
    objects.insert(objects.end(), more.begin(), more.end());
  }
  return objects;
}

Lowerer::Values Lowerer::counted_loop(Value lower, Value upper, std::pair<int64_t, int64_t> iv_bounds, Values inits,
                                      const std::function<Values(Value, Values)> &body, bool certain,
                                      const Objects &written) {
  touch(written);
  const size_t inner = b_.depth() + 1, barrier = barrier_;
  if (!certain) barrier_ = inner;
  const std::vector<size_t> levels = write_level_;
  for (int32_t object : written) write_level_[object] = inner;
  Values results = b_.for_loop(lower, upper, 1, std::move(inits), [&](Value iv, std::span<const Value> iters) {
    levels_[iv.id] = inner;
    ranges_[iv.id] = iv_bounds;
    for (Value v : iters) levels_[v.id] = inner;
    Values out = body(iv, Values(iters.begin(), iters.end()));
    leave_block(inner);
    return out;
  });
  barrier_ = barrier;
  write_level_ = levels;
  for (Value v : results) levels_[v.id] = b_.depth();
  touch(written);
  return results;
}

void Lowerer::guarded(Value condition, const Objects &written, const std::function<void()> &then,
                      const std::function<void()> &otherwise) {
  touch(written);
  const size_t inner = b_.depth() + 1, barrier = barrier_;
  barrier_ = inner;
  auto block = [&](const std::function<void()> &body) {
    return [&, body]() -> Values {
      body();
      leave_block(inner);
      touch(written);
      return {};
    };
  };
  if (otherwise)
    b_.if_else(condition, block(then), block(otherwise));
  else
    b_.if_else(condition, block(then));
  barrier_ = barrier;
}

// Cuts `extent` into tiles: equal ones of at most two sizes when balanced, else full tiles and what is left.
std::vector<Lowerer::Segment> Lowerer::segments(int64_t extent, const LoopSpec &spec, bool vector) const {
  std::vector<Segment> list;
  const int64_t tile = std::min(spec.tile, std::max<int64_t>(extent, 1));
  auto add = [&](int64_t size, int64_t count) {
    if (count == 0 || size == 0) return;
    const Segment *last = list.empty() ? nullptr : &list.back();
    list.push_back(
        {size, count, last ? last->start + last->tile * last->count : 0, last ? last->first + last->count : 0});
  };
  if (spec.overlap && extent % tile != 0) {
    add(tile, extent / tile);
    list.push_back({tile, 1, extent - tile, extent / tile});
  } else if (spec.balanced && !vector && extent % tile != 0) {
    const int64_t tiles = (extent + tile - 1) / tile, size = extent / tiles, larger = extent % tiles;
    add(size + 1, larger);
    add(size, tiles - larger);
  } else {
    add(tile, extent / tile);
    add(extent % tile, 1);
  }
  return list;
}

Lowerer::Values Lowerer::one_tile(Frame &frame, size_t loop, Range tile, Affine counter, int64_t trips, Values carried,
                                  const Body &body) {
  const int32_t axis = schedule_.stages[frame.stage].loops[loop].axis;
  const Range saved = frame.ranges[axis];
  const int64_t scratch = scratch_used_;
  frame.ranges[axis] = tile;
  open_loops_.push_back({frame.stage, static_cast<int32_t>(loop), counter, trips});
  carried = body(std::move(carried));
  open_loops_.pop_back();
  frame.ranges[axis] = saved;
  scratch_used_ = scratch;
  return carried;
}

Lowerer::Values Lowerer::iterate(Frame &frame, size_t loop, const Segment &segment, int64_t trips, Value lower,
                                 Value upper, Values carried, const Body &body) {
  const LoopSpec &spec = schedule_.stages[frame.stage].loops[loop];
  const Range whole = frame.ranges[spec.axis];
  auto tile_at = [&](Affine i) {
    Range r;
    r.base = whole.base + i * segment.tile + Affine(segment.start);
    r.extent = segment.tile;
    r.limit = whole.limit;
    return r;
  };
  if (!lower.valid() && segment.count == 1)
    return one_tile(frame, loop, tile_at(Affine(0)), Affine(segment.first), trips, std::move(carried), body);
  const bool certain = !lower.valid();
  Value from = certain ? integer(kIndex, 0) : lower, to = certain ? integer(kIndex, segment.count) : upper;
  return counted_loop(
      from, to, {0, segment.count - 1}, std::move(carried),
      [&](Value iv, Values values) {
        Affine i(iv);
        if (spec.zigzag >= 0) { // odd steps of the sequential axis walk backwards
          Value odd =
              apply_op(Opcode::bit_and, {index_value(frame.ranges[spec.zigzag].base), integer(kIndex, 1)}, Scalar::i64);
          Value back = apply_op(Opcode::sub, {integer(kIndex, segment.count - 1), iv}, Scalar::i64);
          Value condition = apply_op(Opcode::ne, {odd, integer(kIndex, 0)}, Scalar::i1);
          Value turned = apply_op(Opcode::select, {condition, back, iv}, Scalar::i64);
          ranges_[turned.id] = {0, segment.count - 1};
          i = Affine(turned);
        }
        return one_tile(frame, loop, tile_at(i), i + Affine(segment.first), trips, std::move(values), body);
      },
      certain, written_by(frame.stage, static_cast<int32_t>(loop)));
}

Lowerer::Values Lowerer::loop_over(Frame &frame, size_t loop, Values carried, const Body &body) {
  const StageSchedule &plan = schedule_.stages[frame.stage];
  const LoopSpec &spec = plan.loops[loop];
  const Range whole = frame.ranges[spec.axis];
  if (whole.symbolic.valid()) return symbolic_loop(frame, loop, std::move(carried), body);
  const std::vector<Segment> list = segments(whole.extent, spec, spec.axis == plan.vector_axis);
  if (list.empty()) return carried;
  if (spec.parallel_tasks > 1) {
    CAMEO_CHECK(carried.empty() && frames_.size() == 1, "only an outer loop of a root stage is parallel");
    parallel_loop(frame, loop, list, body);
    return {};
  }
  const int64_t trips = list.back().first + list.back().count;
  for (const Segment &segment : list) {
    Range first;
    first.base = whole.base + Affine(segment.start);
    first.extent = segment.tile;
    before_loop(frame, loop, first, &segment == &list.front());
    carried = iterate(frame, loop, segment, trips, {}, {}, std::move(carried), body);
  }
  return carried;
}

void Lowerer::parallel_loop(Frame &frame, size_t loop, const std::vector<Segment> &list, const Body &body) {
  const LoopSpec &spec = schedule_.stages[frame.stage].loops[loop];
  const Range whole = frame.ranges[spec.axis];
  const int64_t trips = list.back().first + list.back().count;
  const int64_t tasks = std::min<int64_t>(spec.parallel_tasks, trips);
  const Objects written = written_by(frame.stage, static_cast<int32_t>(loop));
  touch(written);
  const size_t inner = b_.depth() + 1, barrier = barrier_;
  const Value outer_scratch = scratch_base_;
  const int64_t outer_used = scratch_used_, outer_peak = scratch_peak_;
  b_.parallel(integer(kIndex, tasks), [&](Value task) {
    barrier_ = inner;
    levels_[task.id] = inner;
    ranges_[task.id] = {0, tasks - 1};
    if (outer_scratch.valid()) {
      scratch_base_ = b_.view(outer_scratch, Affine(plan_.shared) + Affine(task, plan_.per_task));
      levels_[scratch_base_.id] = inner;
    }
    scratch_used_ = scratch_peak_ = 0;
    // Task t takes iterations t * trips / tasks up to (t + 1) * trips / tasks, of each segment those that lie in it.
    auto bound_of = [&](Value t, const Segment &segment) {
      Value n = integer(kIndex, tasks);
      Value all =
          apply_op(Opcode::div, {apply_op(Opcode::mul, {t, integer(kIndex, trips)}, Scalar::i64), n}, Scalar::i64);
      if (list.size() == 1) return all;
      Value own = apply_op(Opcode::sub, {all, integer(kIndex, segment.first)}, Scalar::i64);
      Value least = apply_op(Opcode::max, {own, integer(kIndex, 0)}, Scalar::i64);
      return apply_op(Opcode::min, {least, integer(kIndex, segment.count)}, Scalar::i64);
    };
    for (const Segment &segment : list) {
      Value lower = bound_of(task, segment);
      Value upper = bound_of(apply_op(Opcode::add, {task, integer(kIndex, 1)}, Scalar::i64), segment);
      ranges_[lower.id] = {0, segment.count};
      Range first;
      first.base = whole.base + Affine(lower, segment.tile) + Affine(segment.start);
      first.extent = segment.tile;
      before_loop(frame, loop, first, true);
      iterate(frame, loop, segment, trips, lower, upper, {}, body);
    }
    leave_block(inner);
  });
  found_.tasks = std::max(found_.tasks, tasks);
  found_.per_task = std::max(found_.per_task, scratch_peak_);
  scratch_base_ = outer_scratch;
  scratch_used_ = outer_used;
  scratch_peak_ = outer_peak;
  barrier_ = barrier;
  touch(written);
}

// An extent that is known at run time only: whole tiles, then what is left in pieces of powers of two (for the vector
// axis: one tile whose last vectors are partial).
Lowerer::Values Lowerer::symbolic_loop(Frame &frame, size_t loop, Values carried, const Body &body) {
  const StageSchedule &plan = schedule_.stages[frame.stage];
  const LoopSpec &spec = plan.loops[loop];
  const Range whole = frame.ranges[spec.axis];
  constexpr int64_t kMost = int64_t{1} << 40;
  const int64_t tile = spec.tile;
  Value n = whole.symbolic;
  Value tiles = tile == 1 ? n : apply_op(Opcode::div, {n, integer(kIndex, tile)}, Scalar::i64);
  Value last; // the start of the last tile, where tiles overlap
  if (spec.overlap && tile > 1) {
    Value up = apply_op(Opcode::div,
                        {apply_op(Opcode::add, {n, integer(kIndex, tile - 1)}, Scalar::i64), integer(kIndex, tile)},
                        Scalar::i64);
    last = apply_op(Opcode::sub, {n, integer(kIndex, tile)}, Scalar::i64);
    Value whole_tile = apply_op(Opcode::le, {integer(kIndex, 0), last}, Scalar::i1);
    tiles = apply_op(Opcode::select, {whole_tile, up, integer(kIndex, 0)}, Scalar::i64);
  }
  auto piece = [&](Affine base, int64_t extent, Value limit) {
    Range r;
    r.base = std::move(base);
    r.extent = extent;
    r.limit = limit;
    return r;
  };
  const Objects written = written_by(frame.stage, static_cast<int32_t>(loop));
  before_loop(frame, loop, piece(whole.base, tile, {}), true);
  carried = counted_loop(
      integer(kIndex, 0), tiles, {0, kMost}, std::move(carried),
      [&](Value iv, Values values) {
        Affine start(iv, tile);
        if (last.valid()) {
          start = Affine(apply_op(Opcode::min, {index_value(start), last}, Scalar::i64));
          ranges_[start.terms[0].first.id] = {0, kMost};
        }
        return one_tile(frame, loop, piece(whole.base + start, tile, {}), Affine(iv), kMost, std::move(values), body);
      },
      false, written);
  if (tile == 1) return carried;
  Value done = apply_op(Opcode::mul, {tiles, integer(kIndex, tile)}, Scalar::i64);
  Value rest = apply_op(Opcode::sub, {n, done}, Scalar::i64);
  if (last.valid())
    rest = apply_op(Opcode::max, {rest, integer(kIndex, 0)}, Scalar::i64); // nothing, after an overlapping tile
  ranges_[done.id] = {0, kMost};
  auto piece_loop = [&](Value count, int64_t extent, Value limit) {
    Value from = done;
    carried = counted_loop(
        integer(kIndex, 0), count, {0, 0}, std::move(carried),
        [&](Value, Values values) {
          return one_tile(frame, loop, piece(whole.base + Affine(from), extent, limit), Affine(tiles), kMost,
                          std::move(values), body);
        },
        false, written);
  };
  if (spec.axis == plan.vector_axis) {
    CAMEO_CHECK(whole.base == Affine(0), "a symbolic vector axis starts at 0");
    piece_loop(apply_op(Opcode::min, {rest, integer(kIndex, 1)}, Scalar::i64), tile, n);
    return carried;
  }
  int64_t size = 1;
  while (size * 2 < tile) size *= 2;
  for (; size >= 1; size /= 2) {
    Value bit = apply_op(Opcode::bit_and, {rest, integer(kIndex, size)}, Scalar::i64);
    Value one = apply_op(Opcode::min, {bit, integer(kIndex, 1)}, Scalar::i64);
    piece_loop(one, size, {});
    done = apply_op(Opcode::add, {done, bit}, Scalar::i64);
    ranges_[done.id] = {0, kMost};
  }
  return carried;
}

// ---- placement

void Lowerer::nest(Frame &frame, size_t loop) {
  const Stage &stage = kernel_.stages[frame.stage];
  const StageSchedule &plan = schedule_.stages[frame.stage];
  if (loop == 0) place_stages(frame, -1);
  if (stage.is_reduction() &&
      (loop == plan.loops.size() || stage.axes[plan.loops[loop].axis].kind == AxisKind::reduction)) {
    const bool outer_inside =
        std::any_of(plan.loops.begin() + static_cast<std::ptrdiff_t>(loop), plan.loops.end(),
                    [&](const LoopSpec &l) { return stage.axes[l.axis].kind != AxisKind::reduction; });
    if (outer_inside)
      accumulate_in_memory(frame, loop);
    else
      reduce(frame, loop, false);
    return;
  }
  if (loop == plan.loops.size()) return points(frame);
  loop_over(frame, loop, {}, [&](Values) {
    place_stages(frame, static_cast<int32_t>(loop));
    nest(frame, loop + 1);
    return Values{};
  });
}

void Lowerer::place_stages(Frame &frame, int32_t loop) {
  for (int32_t s = 0; s < static_cast<int32_t>(kernel_.stages.size()); ++s) {
    const StageSchedule &plan = schedule_.stages[s];
    if ((plan.place != Place::local && plan.place != Place::registers) || plan.at_stage != frame.stage ||
        plan.at_loop != loop)
      continue;
    if (plan.rolling_axis >= 0)
      advance_rolling(frame, loop, s);
    else
      compute(s, required(s));
  }
}

// State that outlives the iterations of a loop is allocated and given its first value in front of it: sequential
// stages, and the rows that the first iteration of a rolling buffer needs beyond its own.
void Lowerer::before_loop(Frame &frame, size_t loop, const Range &first, bool first_segment) {
  const LoopSpec &spec = schedule_.stages[frame.stage].loops[loop];
  const int32_t axis = spec.axis;
  const Range saved = frame.ranges[axis];
  frame.ranges[axis] = first;
  const bool sequential = kernel_.stages[frame.stage].axes[axis].kind == AxisKind::sequential;
  for (int32_t s = 0; s < static_cast<int32_t>(kernel_.stages.size()); ++s) {
    const StageSchedule &plan = schedule_.stages[s];
    const bool placed =
        plan.place == Place::local && plan.at_stage == frame.stage && plan.at_loop == static_cast<int32_t>(loop);
    if (placed && plan.rolling_axis >= 0 && first_segment) {
      auto [box, rows] = rolling_window(frame, static_cast<int32_t>(loop), s);
      allocate(s, box);
      box[plan.rolling_axis].extent -= rows;
      if (box[plan.rolling_axis].extent > 0) compute_clipped(s, box);
    }
    if (sequential && first_segment && sequential_axis(s) >= 0 && (placed || s == frame.stage) && is_read(s)) {
      // compute() has allocated a stage that is placed at another one; a root is allocated for each range of its outer
      // loops.
      if (s != frame.stage || schedule_.stages[s].place == Place::root) {
        Box box = s == frame.stage ? frame.ranges : required(s);
        box.resize(kernel_.stages[s].outer_rank());
        allocate(s, box);
      }
      initial_state(s);
    }
  }
  frame.ranges[axis] = saved;
}

std::pair<Box, int64_t> Lowerer::rolling_window(Frame &frame, int32_t loop, int32_t stage) {
  const int32_t axis = schedule_.stages[frame.stage].loops[loop].axis, rolling = schedule_.stages[stage].rolling_axis;
  Box box = required(stage);
  frame.ranges[axis].base += Affine(frame.ranges[axis].extent);
  const Affine rows = required(stage)[rolling].base - box[rolling].base;
  frame.ranges[axis].base += Affine(-frame.ranges[axis].extent);
  CAMEO_CHECK(rows.is_constant() && rows.constant > 0 && rows.constant <= box[rolling].extent,
              "stage " + kernel_.stages[stage].name + " does not roll along this loop");
  CAMEO_CHECK(box[rolling].extent <= schedule_.stages[stage].rolling, "rolling buffer of too few rows");
  return {std::move(box), rows.constant};
}

void Lowerer::advance_rolling(Frame &frame, int32_t loop, int32_t stage) {
  auto [box, rows] = rolling_window(frame, loop, stage);
  Range &range = box[schedule_.stages[stage].rolling_axis];
  range.base += Affine(range.extent - rows);
  range.extent = rows;
  compute_clipped(stage, box);
}

// Whole vectors along the vector axis, one point at a time along the others: `body` for each, the frame's ranges
// narrowed to it.
void Lowerer::vectors_of(Frame &frame, int32_t axis, const std::function<void()> &body) {
  const Stage &s = kernel_.stages[frame.stage];
  if (axis == s.outer_rank()) return body();
  const StageSchedule &plan = schedule_.stages[frame.stage];
  const Range whole = frame.ranges[axis];
  const int64_t step = axis == plan.vector_axis ? plan.lanes : 1, count = whole.extent / step;
  if (whole.extent <= step) return vectors_of(frame, axis + 1, body);
  counted_loop(
      integer(kIndex, 0), integer(kIndex, count), {0, count - 1}, {},
      [&](Value iv, Values) {
        frame.ranges[axis] = {whole.base + Affine(iv, step), step, {}, {}};
        vectors_of(frame, axis + 1, body);
        return Values{};
      },
      true, written_by(frame.stage, -1));
  if (whole.extent % step != 0) {
    frame.ranges[axis] = {whole.base + Affine(count * step), whole.extent % step, {}, {}};
    vectors_of(frame, axis + 1, body);
  }
  frame.ranges[axis] = whole;
}

// h[-1, ...] into the storage of a sequential stage.
void Lowerer::initial_state(int32_t stage) {
  const Stage &s = kernel_.stages[stage];
  Frame frame{stage, storage_[stage].box};
  const Box full = full_box(stage);
  frame.ranges.insert(frame.ranges.end(), full.begin() + static_cast<std::ptrdiff_t>(frame.ranges.size()), full.end());
  const int32_t t = sequential_axis(stage);
  frame.ranges[t] = {Affine(-1), 1, {}, {}};
  vectors_of(frame, 0, [&] {
    for (const Point &point : box_points(frame, false)) {
      Context context{stage, point};
      Values values;
      for (ExprId e : s.before) values.push_back(eval(e, context));
      Storage &storage = storage_[stage];
      Binding binding;
      std::vector<LaneIndex> at;
      for (int32_t a = 0; a < s.outer_rank(); ++a) {
        at.push_back({point.index[a] - storage.box[a].base, a == point.vector_axis && point.lanes > 1 ? 1 : 0, {}});
        if (storage.strides[a] != 0) binding.terms.push_back({a, 1, 0, storage.strides[a], -1});
      }
      Point full_vector = point;
      full_vector.active = {};
      for (size_t c = 0; c < values.size(); ++c)
        store_lanes(values[c], storage.buffers[c], place(at, binding, point.lanes), full_vector, 0);
    }
    touch(object_of_stage(stage));
  });
}

void Lowerer::compute(int32_t stage, const Box &box) {
  // The state of a stage that is computed inside the loop over its steps was allocated in front of that loop.
  const int32_t t = sequential_axis(stage);
  const std::vector<LoopSpec> &loops = schedule_.stages[stage].loops;
  const bool steps_here = std::any_of(loops.begin(), loops.end(), [&](const LoopSpec &l) { return l.axis == t; });
  if (t < 0 || steps_here) allocate(stage, box);
  compute_clipped(stage, box);
}

// Parts of the box outside of the stage's index space hold the value that readers expect there.
void Lowerer::compute_clipped(int32_t stage, Box box) {
  const Stage &s = kernel_.stages[stage];
  for (int32_t d = 0; d < s.outer_rank(); ++d) {
    const Extent &extent = s.axes[d].extent;
    if (!extent.is_constant() || box[d].symbolic.valid() || s.axes[d].kind == AxisKind::sequential) continue;
    const auto range = bounds(box[d].base);
    if (range && range->first >= 0 && range->second + box[d].extent <= extent.value) continue;
    if (box[d].base.is_constant()) {
      const int64_t low = box[d].base.constant, high = low + box[d].extent;
      const int64_t from = std::clamp<int64_t>(low, 0, extent.value),
                    to = std::clamp<int64_t>(high, from, extent.value);
      Box part = box;
      if (from > low) {
        part[d] = {Affine(low), std::min(from, high) - low, {}, {}};
        fill(stage, part);
      }
      if (high > to) {
        part[d] = {Affine(std::max(to, low)), high - std::max(to, low), {}, {}};
        fill(stage, part);
      }
      if (from >= to) return;
      box[d] = {Affine(from), to - from, {}, {}};
      continue;
    }
    // One row at a time, each inside or outside.
    const Range whole = box[d];
    auto row = [&](Affine index) {
      Box part = box;
      part[d] = {index, 1, {}, {}};
      Value i = index_value(index);
      Value inside = apply_op(Opcode::ult, {i, integer(kIndex, extent.value)}, Scalar::i1);
      guarded(
          inside, written_by(stage, -1),
          [&] {
            const auto saved = ranges_;
            // Inside this block the row is known to lie in the index space.
            Value safe = apply_op(
                Opcode::max,
                {apply_op(Opcode::min, {i, integer(kIndex, extent.value - 1)}, Scalar::i64), integer(kIndex, 0)},
                Scalar::i64);
            ranges_[safe.id] = {0, extent.value - 1};
            Box row_inside = part;
            row_inside[d].base = Affine(safe);
            compute_clipped(stage, row_inside);
            ranges_ = saved;
          },
          [&] { fill(stage, part); });
    };
    if (whole.extent == 1) {
      row(whole.base);
    } else {
      counted_loop(
          integer(kIndex, 0), integer(kIndex, whole.extent), {0, whole.extent - 1}, {},
          [&](Value iv, Values) {
            row(whole.base + Affine(iv));
            return Values{};
          },
          true, written_by(stage, -1));
    }
    return;
  }
  Frame frame{stage, box};
  const Box full = full_box(stage);
  frame.ranges.insert(frame.ranges.end(), full.begin() + s.outer_rank(), full.end());
  frames_.push_back(&frame);
  nest(frame, 0);
  frames_.pop_back();
}

void Lowerer::fill(int32_t stage, const Box &box) {
  const Stage &s = kernel_.stages[stage];
  std::optional<double> value;
  for (int32_t reader = 0; reader < static_cast<int32_t>(kernel_.stages.size()); ++reader)
    visit_reads(reader, stage, [&](const Expr &e) {
      if (e.rule != OutOfRange::fill) return;
      CAMEO_CHECK(!value || *value == e.real, "readers of stage " + s.name + " disagree on its halo");
      value = e.real;
    });
  if (!value) return; // nobody reads there: the points of readers that would are outside of their own index space
  CAMEO_CHECK(storage_[stage].kind == Storage::Kind::memory, "stage " + s.name + " is read outside of its index space");
  Frame frame{stage, box};
  const Box full = full_box(stage);
  frame.ranges.insert(frame.ranges.end(), full.begin() + s.outer_rank(), full.end());
  vectors_of(frame, 0, [&] {
    for (const Point &point : box_points(frame, false)) {
      Values values;
      for (Scalar type : s.types) values.push_back(constant(type, *value, static_cast<int64_t>(*value), point.lanes));
      define(stage, point, values);
    }
  });
}

} // namespace cameo::loop
