// Point boxes: the unrolled innermost part of a stage, its accumulators, its epilogue and its stores.
#include "lowerer.h"

#include "cameo/loop/visit.h"

#include <algorithm>
#include <limits>

namespace cameo::loop {
namespace {

double float_identity(Opcode combine) {
  return combine == Opcode::add   ? 0
         : combine == Opcode::max ? -std::numeric_limits<double>::infinity()
                                  : std::numeric_limits<double>::infinity();
}

int64_t integer_identity(Opcode combine, Scalar type) {
  const int64_t low = static_cast<int64_t>(~uint64_t{0} << (bits(type) - 1));
  return combine == Opcode::add ? 0 : combine == Opcode::max ? low : ~low;
}

Opcode horizontal(Opcode combine) {
  return combine == Opcode::add ? Opcode::reduce_add : combine == Opcode::max ? Opcode::reduce_max : Opcode::reduce_min;
}

} // namespace

// The points of the current ranges, in row-major order: over the outer axes, or over the reduction axes (then `index`
// has only those). The vector axis advances by whole vectors; a last partial one has `active` lanes.
std::vector<Point> Lowerer::box_points(const Frame &frame, bool reduction) {
  const Stage &s = kernel_.stages[frame.stage];
  const StageSchedule &plan = schedule_.stages[frame.stage];
  const int32_t outer = s.outer_rank();
  const int32_t first = reduction ? outer : 0, last = reduction ? static_cast<int32_t>(s.axes.size()) : outer;
  // Vectors of one row are neighbours: what they share, a broadcast of the other operand, lives shortly.
  std::vector<int32_t> order;
  for (int32_t a = first; a < last; ++a)
    if (a != plan.vector_axis || reduction) order.push_back(a);
  if (!reduction && plan.vector_axis >= first && plan.vector_axis < last) order.push_back(plan.vector_axis);
  std::vector<Point> points{Point{}};
  points[0].index.resize(static_cast<size_t>(last - first));
  for (const int32_t a : order) {
    const Range &range = frame.ranges[a];
    CAMEO_CHECK(!range.symbolic.valid(), "stage " + s.name + ": axis " + s.axes[a].name + " needs a loop");
    const bool vector = a == plan.vector_axis && plan.lanes > 1;
    const bool dot = !vector && plan.dot && reduction && a == last - 1;
    const int64_t step = vector ? plan.lanes : dot ? 4 : 1;
    std::vector<Point> next;
    for (const Point &p : points)
      for (int64_t i = 0; i < range.extent; i += step) {
        Point q = p;
        Affine &at = q.index[static_cast<size_t>(a - first)];
        at = range.base + Affine(i);
        if (dot) q.group = std::min<int64_t>(4, range.extent - i);
        if (vector) {
          q.vector_axis = a;
          q.lanes = plan.lanes;
          if (range.limit.valid()) {
            Value left = apply_op(Opcode::sub, {range.limit, index_value(at)}, Scalar::i64);
            q.active =
                apply_op(Opcode::max,
                         {apply_op(Opcode::min, {left, integer(kIndex, plan.lanes)}, Scalar::i64), integer(kIndex, 0)},
                         Scalar::i64);
          } else if (i + plan.lanes > range.extent) {
            q.active = integer(kIndex, range.extent - i);
          }
        }
        next.push_back(std::move(q));
      }
    points = std::move(next);
  }
  return points;
}

void Lowerer::points(Frame &frame) {
  if (transposed_points(frame)) return;
  const Stage &s = kernel_.stages[frame.stage];
  for (const Point &point : box_points(frame, false)) {
    Context context{frame.stage, point};
    Values values;
    for (ExprId e : s.next) values.push_back(eval(e, context));
    define(frame.stage, point, values);
  }
}

// ---- reductions

void Lowerer::reduce(Frame &frame, size_t loop, bool from_memory) {
  const Stage &s = kernel_.stages[frame.stage];
  const StageSchedule &plan = schedule_.stages[frame.stage];
  const std::vector<Point> outer = box_points(frame, false);
  const bool vector_reduction = plan.vector_axis >= s.outer_rank();
  const bool partial = plan.partials > 1 || vector_reduction;
  CAMEO_CHECK(!partial || (s.combine && s.types.size() == 1), "stage " + s.name + " cannot be split into partial sums");
  // Accumulators: per point, per partial, per component.
  std::vector<Values> initial;
  Values values;
  for (const Point &point : outer) {
    Context context{frame.stage, point};
    Values start;
    if (from_memory)
      start = load_state(frame.stage, point);
    else
      for (ExprId e : s.init) start.push_back(splat(eval(e, context), point.lanes));
    for (int32_t p = 0; p < plan.partials; ++p)
      for (size_t c = 0; c < s.types.size(); ++c)
        values.push_back(partial ? constant(s.types[c], float_identity(*s.combine),
                                            integer_identity(*s.combine, s.types[c]),
                                            vector_reduction ? plan.lanes : point.lanes)
                                 : start[c]);
    initial.push_back(std::move(start));
  }
  values = reduce_loops(frame, loop, std::move(values), outer);
  const size_t per_point = plan.partials * s.types.size();
  for (size_t i = 0; i < outer.size(); ++i) {
    Values result(values.begin() + static_cast<std::ptrdiff_t>(i * per_point),
                  values.begin() + static_cast<std::ptrdiff_t>((i + 1) * per_point));
    if (partial) result = {join_partials(s, result, initial[i][0])};
    define(frame.stage, outer[i], result);
  }
}

Lowerer::Values Lowerer::reduce_loops(Frame &frame, size_t loop, Values values, const std::vector<Point> &outer) {
  if (loop == schedule_.stages[frame.stage].loops.size()) return reduce_points(frame, std::move(values), outer);
  return loop_over(frame, loop, std::move(values), [&](Values carried) {
    place_stages(frame, static_cast<int32_t>(loop));
    return reduce_loops(frame, loop + 1, std::move(carried), outer);
  });
}

Lowerer::Values Lowerer::reduce_points(Frame &frame, Values values, const std::vector<Point> &outer) {
  const Stage &s = kernel_.stages[frame.stage];
  const StageSchedule &plan = schedule_.stages[frame.stage];
  const size_t components = s.types.size();
  emit_prefetch(frame);
  const std::vector<Point> inner = box_points(frame, true);
  for (size_t u = 0; u < inner.size(); ++u) {
    const size_t partial = u % static_cast<size_t>(plan.partials);
    for (size_t i = 0; i < outer.size(); ++i) {
      Point point = outer[i];
      point.index.insert(point.index.end(), inner[u].index.begin(), inner[u].index.end());
      point.group = inner[u].group;
      if (inner[u].vector_axis >= 0) {
        point.vector_axis = inner[u].vector_axis;
        point.lanes = inner[u].lanes;
        point.active = inner[u].active;
      }
      const size_t slot = (i * plan.partials + partial) * components;
      Values carried(values.begin() + static_cast<std::ptrdiff_t>(slot),
                     values.begin() + static_cast<std::ptrdiff_t>(slot + components));
      if (plan.dot) {
        values[slot] = dot_update(frame, point, carried[0]);
        continue;
      }
      Context context{frame.stage, point, &carried};
      Values next;
      for (ExprId e : s.next) next.push_back(splat(eval(e, context), b_.type(carried[next.size()]).lanes));
      if (inner[u].active.valid()) { // lanes past the end contribute nothing
        const Type lanes = kIndex.with_lanes(point.lanes);
        Value steps = shared({-4, point.lanes}, {}, [&] { return b_.iota(lanes); });
        Value exists = apply_op(Opcode::lt, {steps, inner[u].active}, Scalar::i1);
        for (size_t c = 0; c < components; ++c)
          next[c] = apply_op(Opcode::select, {exists, next[c], carried[c]}, s.types[c]);
      }
      for (size_t c = 0; c < components; ++c) values[slot + c] = next[c];
    }
  }
  return values;
}

// Partial accumulators joined pairwise, their lanes last, and then with the initial value.
Value Lowerer::join_partials(const Stage &stage, Values values, Value initial) {
  const Scalar type = stage.types[0];
  for (size_t n = values.size(); n > 1; n = (n + 1) / 2)
    for (size_t i = 0; i < n / 2; ++i) values[i] = apply_op(*stage.combine, {values[i], values[(n + 1) / 2 + i]}, type);
  Value v = values[0];
  if (b_.type(v).lanes > 1 && b_.type(initial).lanes == 1)
    v = shared({-7, static_cast<int64_t>(horizontal(*stage.combine))}, {v},
               [&] { return b_.reduce(horizontal(*stage.combine), v); });
  return apply_op(*stage.combine, {initial, v}, type);
}

// Loops over outer axes inside reduction loops: the accumulators live in memory between them.
void Lowerer::accumulate_in_memory(Frame &frame, size_t loop) {
  const Stage &s = kernel_.stages[frame.stage];
  const StageSchedule &plan = schedule_.stages[frame.stage];
  CAMEO_CHECK(storage_[frame.stage].kind == Storage::Kind::memory, "stage " + s.name + " needs memory for its sums");
  CAMEO_CHECK(s.stores.empty(), "stage " + s.name + ": partial sums are not results");
  auto is_reduction = [&](size_t l) { return s.axes[plan.loops[l].axis].kind == AxisKind::reduction; };
  std::function<void(size_t)> start = [&](size_t l) { // initial values, over the outer loops alone
    if (l == plan.loops.size()) {
      for (const Point &point : box_points(frame, false)) {
        Context context{frame.stage, point};
        Values values;
        for (ExprId e : s.init) values.push_back(eval(e, context));
        define(frame.stage, point, values);
      }
      return;
    }
    if (is_reduction(l)) return start(l + 1);
    loop_over(frame, l, {}, [&](Values) {
      start(l + 1);
      return Values{};
    });
  };
  start(loop);
  std::function<void(size_t)> walk = [&](size_t l) {
    const bool only_reductions = [&] {
      for (size_t k = l; k < plan.loops.size(); ++k)
        if (!is_reduction(k)) return false;
      return true;
    }();
    if (only_reductions) return reduce(frame, l, true);
    loop_over(frame, l, {}, [&](Values) {
      place_stages(frame, static_cast<int32_t>(l));
      walk(l + 1);
      return Values{};
    });
  };
  walk(loop);
}

Lowerer::Values Lowerer::load_state(int32_t stage, const Point &point) {
  const Stage &s = kernel_.stages[stage];
  Values values;
  for (size_t c = 0; c < s.types.size(); ++c) {
    Expr e;
    e.kind = Expr::Kind::stage;
    e.type = s.types[c];
    e.source = stage;
    e.component = static_cast<int32_t>(c);
    for (int32_t d = 0; d < s.outer_rank(); ++d) e.indices.push_back(axis_index(d));
    Context context{stage, point};
    values.push_back(read_stage(e, context));
  }
  return values;
}

// acc + u8 * s8 summed over 4 neighbours of the reduction axis by one instruction. The update must be
// add(carried, mul(extend(a), extend(w))) where a is u8 and the same for all lanes, and w is s8 with its 4 neighbours
// and the lanes contiguous in memory. Of a last group of fewer, only those of a that exist are read; the others count
// as 0.
Value Lowerer::dot_update(const Frame &frame, const Point &point, Value accumulator) {
  const Stage &s = kernel_.stages[frame.stage];
  auto argument = [&](ExprId id, size_t i) { return kernel_.exprs[id].args.at(i); };
  const Expr &sum = kernel_.expr(s.next[0]);
  CAMEO_CHECK(sum.kind == Expr::Kind::op && sum.op == Opcode::add &&
                  kernel_.expr(sum.args[0]).kind == Expr::Kind::carried,
              "not a dot product");
  const ExprId product = sum.args[1];
  CAMEO_CHECK(kernel_.expr(product).op == Opcode::mul, "not a dot product");
  const Expr *reads[2] = {};
  for (size_t i = 0; i < 2; ++i) {
    const Expr &extend = kernel_.expr(argument(product, i));
    CAMEO_CHECK(extend.op == Opcode::zext || extend.op == Opcode::sext, "a dot product extends its operands");
    reads[extend.op == Opcode::zext ? 0 : 1] = &kernel_.expr(extend.args[0]);
  }
  CAMEO_CHECK(reads[0] && reads[1] && reads[0]->kind == Expr::Kind::buffer && reads[1]->kind == Expr::Kind::buffer,
              "a dot product reads buffers, one unsigned, one signed");
  const int32_t k = static_cast<int32_t>(s.axes.size()) - 1;
  Value words[2];
  for (int i = 0; i < 2; ++i) {
    const Expr &e = *reads[i];
    Context context{frame.stage, point};
    std::vector<LaneIndex> coordinates, neighbour;
    for (const Index &index : e.indices) coordinates.push_back(lane_index(index, context));
    Point next = point;
    next.index[k] += Affine(1);
    Context beside{frame.stage, next};
    for (const Index &index : e.indices) neighbour.push_back(lane_index(index, beside));
    const Place_ at = place(coordinates, bindings_[e.source], point.lanes);
    const Place_ after = place(neighbour, bindings_[e.source], point.lanes);
    CAMEO_CHECK((after.address - at.address) == Affine(1) && !at.extra.valid(),
                "a dot product needs 4 contiguous elements");
    CAMEO_CHECK(at.step == (i == 0 ? 0 : 4), "a dot product needs lanes of 4 contiguous elements");
    Point bytes = point;
    bytes.lanes = 4 * (i == 0 ? 1 : point.lanes);
    bytes.active = i == 0 && point.group < 4 ? integer(kIndex, point.group) : Value{};
    const Place_ run{at.address, 1, {}};
    Value v = load_lanes(buffers_[e.source], Scalar::i8, run, bytes, -1, i == 0 ? 1 : 4);
    const Type word{Scalar::i32, i == 0 ? 1 : point.lanes, false};
    v = shared({-8, word.lanes}, {v}, [&] { return b_.bitcast(v, word); });
    words[i] = splat(v, point.lanes);
  }
  const Type result{Scalar::i32, point.lanes, false};
  return shared({-9}, {accumulator, words[0], words[1]},
                [&] { return b_.target("vpdpbusd", result, {accumulator, words[0], words[1]}); });
}

// While one panel of a packed constant is used, the lines of the next one are fetched, spread evenly over all
// iterations inside the loop that walks panels (PERF.md 3.2). A panel that is read once, by few rows, is a stream from
// memory: there the lines a page ahead are fetched, which reaches the bandwidth of memory where the next panel gave 0.9
// of it (1 x 3072 x 768: 275 instead of 315 us; 2 to 4 KiB are best, 16 as bad as a panel).
void Lowerer::emit_prefetch(const Frame &frame) {
  const StageSchedule &plan = schedule_.stages[frame.stage];
  if (plan.prefetch_buffer < 0) return;
  size_t panel = open_loops_.size();
  for (size_t i = 0; i < open_loops_.size(); ++i)
    if (open_loops_[i].stage == plan.prefetch_loop_stage && open_loops_[i].loop == plan.prefetch_loop) panel = i;
  if (panel == open_loops_.size()) return;
  const KernelBuffer &buffer = kernel_.buffers[plan.prefetch_buffer];
  const int64_t line = 64 / std::max(1, bits(buffer.dtype) / 8);
  // Of a loop whose trips only the run knows, this many share the work; later ones read further ahead, earlier ends
  // fetch less.
  constexpr int64_t kSymbolicTrips = 8, kMostTrips = 1 << 20;
  int64_t trips = 1;
  Affine progress;
  bool read_once = true; // no loop over rows inside
  for (size_t i = panel + 1; i < open_loops_.size(); ++i) {
    const int64_t own = open_loops_[i].trips > kMostTrips ? kSymbolicTrips : open_loops_[i].trips;
    progress = progress * own + open_loops_[i].counter;
    trips *= own;
    read_once &= own == 1 || (open_loops_[i].stage == frame.stage && own == open_loops_[i].trips);
  }
  const int64_t lines = (plan.prefetch_panel + line - 1) / line;
  const int64_t each = (lines + trips - 1) / trips;
  // Panels are numbered by this loop and by those of the same stage around it.
  Affine number;
  for (size_t l = 0; l <= panel; ++l)
    if (open_loops_[l].stage == plan.prefetch_loop_stage)
      number = number * open_loops_[l].trips + open_loops_[l].counter;
  constexpr int64_t kLinesAhead = 64;
  const bool stream = read_once && each * trips == lines && lines > kLinesAhead;
  const int64_t ahead = stream ? kLinesAhead * line : plan.prefetch_panel;
  const Affine start = number * plan.prefetch_panel + progress * (each * line) + Affine(ahead);
  for (int64_t i = 0; i < each; ++i) b_.prefetch(buffers_[plan.prefetch_buffer], start + Affine(i * line), 2);
}

// ---- results

void Lowerer::define(int32_t stage, const Point &point, const Values &values) {
  const Stage &s = kernel_.stages[stage];
  Storage &storage = storage_[stage];
  if (storage.kind == Storage::Kind::registers) {
    std::vector<int64_t> offsets;
    for (size_t d = 0; d < storage.box.size(); ++d) {
      const Affine offset = point.index[d] - storage.box[d].base;
      CAMEO_CHECK(offset.is_constant(), "stage " + s.name + " in registers has a loop around its points");
      offsets.push_back(offset.constant);
    }
    storage.values[offsets] = values;
    return;
  }
  // A store may go to a place that depends on the step before, which the storage of a sequential stage holds until now.
  const bool early = sequential_axis(stage) >= 0;
  auto store_results = [&] {
    for (size_t c = 0; c < s.stores.size(); ++c)
      if (s.stores[c].buffer >= 0) store_result(stage, s.stores[c], point, values[c]);
  };
  if (early) store_results();
  if (storage.kind == Storage::Kind::memory) {
    Binding binding;
    std::vector<LaneIndex> at;
    for (int32_t a = 0; a < s.outer_rank(); ++a) {
      LaneIndex c{point.index[a] - storage.box[a].base, a == point.vector_axis && point.lanes > 1 ? 1 : 0, {}};
      if (a == storage.rolling_axis) {
        Affine row = point.index[a] + Affine(storage.rolling * 1024);
        c.base =
            row.is_constant()
                ? Affine(row.constant % storage.rolling)
                : Affine(apply_op(Opcode::urem, {index_value(row), integer(kIndex, storage.rolling)}, Scalar::i64));
      }
      at.push_back(c);
      if (storage.strides[a] != 0) binding.terms.push_back({a, 1, 0, storage.strides[a], -1});
    }
    Point whole = point;
    whole.active = {}; // rows are padded to whole vectors
    for (size_t c = 0; c < values.size(); ++c) {
      Value v = values[c];
      if (s.types[c] == Scalar::i1) v = apply_op(Opcode::zext, {v}, Scalar::i8);
      store_lanes(v, storage.buffers[c], place(at, binding, point.lanes), whole, 0);
    }
    touch(object_of_stage(stage));
  }
  if (!early) store_results();
}

void Lowerer::store_result(int32_t stage, const StageStore &store, const Point &point, Value value) {
  const KernelBuffer &buffer = kernel_.buffers[store.buffer];
  Context context{stage, point};
  std::vector<LaneIndex> coordinates;
  for (const Index &i : store.indices) coordinates.push_back(lane_index(i, context));
  auto write = [&] {
    const Place_ at = place(coordinates, bindings_[store.buffer], point.lanes);
    const int32_t element_bytes = std::max(1, bits(buffer.dtype) / 8);
    Value v = value;
    if (store.accumulate) {
      CAMEO_CHECK(point.lanes == 1 || (at.step == 1 && !at.extra.valid()), "lanes that add to one place");
      Value old = load_lanes(buffers_[store.buffer], storage_type(buffer.dtype), at, point,
                             object_of_buffer(store.buffer), element_bytes);
      if (b_.type(v).scalar == Scalar::i1) v = apply_op(Opcode::zext, {v}, Scalar::i8);
      v = apply_op(store.combine, {as_computed(old, buffer.dtype), v}, compute_type(buffer.dtype));
    }
    if (b_.type(v).scalar == Scalar::i1) v = apply_op(Opcode::zext, {v}, Scalar::i8);
    v = as_stored(splat(v, point.lanes), buffer.dtype, store.saturate); // f16 has no vector operations of its own
    if (bits(buffer.dtype) < 8) {
      CAMEO_CHECK(point.lanes == 1 && !store.accumulate, "vectors of packed elements: " + buffer.name);
      store_packed(v, buffers_[store.buffer], at.address, buffer.dtype, point, object_of_buffer(store.buffer));
    } else {
      store_lanes(v, buffers_[store.buffer], at, point, element_bytes);
    }
    touch(object_of_buffer(store.buffer));
  };
  if (store.rule == OutOfRange::never) return write();
  std::vector<Range> domain;
  std::vector<LaneIndex> checked;
  std::vector<size_t> dims;
  for (size_t d = 0; d < buffer.dims.size(); ++d) {
    const Index &i = store.indices[d];
    const Extent &extent = buffer.dims[d];
    // An axis that runs over the dim stays inside, whatever its extent is.
    if (const int32_t axis = axis_of(i); axis >= 0 && kernel_.stages[stage].axes[axis].extent == extent) continue;
    checked.push_back(coordinates[d]);
    dims.push_back(d);
    Range r;
    if (extent.is_constant())
      r.extent = extent.value;
    else
      r.symbolic = symbols_[extent.symbol];
    domain.push_back(r);
  }
  Expr rule;
  rule.rule = store.rule;
  Value inside = guard(rule, checked, domain, point);
  for (size_t i = 0; i < dims.size(); ++i) coordinates[dims[i]] = checked[i];
  if (!inside.valid()) return write();
  CAMEO_CHECK(b_.type(inside).lanes == 1, "a guarded store of a vector");
  if (store.rule == OutOfRange::fail) b_.check(inside, store.status);
  guarded(inside, {object_of_buffer(store.buffer)}, write, {});
}

// ---- the whole kernel

namespace {
// Elements of a buffer's storage type: bytes for packed types.
int64_t byte_elements(DType dtype, int64_t size) {
  return size < 0 || bits(dtype) >= 8 ? size : (size * bits(dtype) + 7) / 8;
}
} // namespace

Lowerer::Lowerer(Module &module, const Kernel &kernel, const std::vector<Binding> &bindings, const Target &target,
                 const Schedule &schedule, const std::string &name, ScratchPlan plan)
    : kernel_(kernel), bindings_(bindings), target_(target), schedule_(schedule), b_(module, name), plan_(plan) {
  CAMEO_CHECK(bindings.size() == kernel.buffers.size(), "one binding per buffer");
  CAMEO_CHECK(schedule.stages.size() == kernel.stages.size(), "one schedule per stage");
  for (size_t i = 0; i < kernel.buffers.size(); ++i) {
    const KernelBuffer &buffer = kernel.buffers[i];
    const bool readonly = buffer.role == BufferRole::input || buffer.role == BufferRole::constant;
    buffers_.push_back(b_.buffer_param(buffer.name, storage_type(buffer.dtype), readonly, !bindings[i].aliased,
                                       byte_elements(buffer.dtype, bindings[i].size), bindings[i].align));
  }
  if (plan.total() > 0) scratch_base_ = b_.buffer_param("scratch", Scalar::i8, false, true, plan.total(), 64);
  for (const std::string &symbol : kernel.symbols) symbols_.push_back(b_.scalar_param(symbol));
  for (Value v : buffers_) levels_[v.id] = 1;
  for (Value v : symbols_) levels_[v.id] = 1;
  if (scratch_base_.valid()) levels_[scratch_base_.id] = 1;
  b_.function().origin = kernel.origin;
  storage_.resize(kernel.stages.size());
  version_.resize(kernel.stages.size() + kernel.buffers.size() + 1, 0);
  write_level_.resize(version_.size(), 1);
}

ScratchPlan Lowerer::run() {
  for (int32_t s = 0; s < static_cast<int32_t>(kernel_.stages.size()); ++s) {
    if (schedule_.stages[s].place != Place::root) continue;
    const Stage &stage = kernel_.stages[s];
    const Box box = full_box(s);
    const bool read = is_read(s);
    const bool sequential = sequential_axis(s) >= 0;
    bool kept = false;
    if (read && !sequential) {
      // Readers use the stage's own result when it holds the value as computed; else it is kept beside it.
      bool result_serves = !stage.stores.empty();
      for (size_t c = 0; c < stage.stores.size(); ++c) {
        const StageStore &store = stage.stores[c];
        result_serves &= store.buffer >= 0 && store.rule == OutOfRange::never && !store.accumulate &&
                         storage_type(kernel_.buffers[store.buffer].dtype) == stage.types[c] &&
                         kernel_.buffers[store.buffer].dtype != DType::boolean;
        for (size_t d = 0; d < store.indices.size(); ++d) {
          const Index &i = store.indices[d];
          result_serves &= i.indirect < 0 && i.constant == 0 && i.axes.size() == 1 &&
                           i.axes[0] == std::pair(static_cast<int32_t>(d), int64_t{1});
        }
      }
      if (result_serves)
        storage_[s].kind = Storage::Kind::output;
      else
        kept = true;
    }
    if (kept) { // with the halo that its readers expect
      const bool constant =
          std::none_of(box.begin(), box.end(), [](const Range &range) { return range.symbolic.valid(); });
      compute(s, constant ? required(s) : box);
      continue;
    }
    Frame frame{s, box};
    frames_.push_back(&frame);
    nest(frame, 0);
    frames_.pop_back();
  }
  b_.finish();
  found_.shared = scratch_peak_;
  return found_;
}

AppliedKernel apply(Module &module, const Kernel &kernel, const std::vector<Binding> &bindings, const Target &target,
                    const Schedule &schedule, const std::string &name) {
  // The first lowering finds how much scratch memory there is; it uses a size that no real kernel reaches.
  Module discarded;
  const ScratchPlan plan =
      Lowerer(discarded, kernel, bindings, target, schedule, name, {int64_t{1} << 40, int64_t{1} << 30, 1}).run();
  const ScratchPlan found = Lowerer(module, kernel, bindings, target, schedule, name, plan).run();
  CAMEO_CHECK(found.total() == plan.total(), "lowering is not deterministic");
  return {name, plan.total(), std::max<int64_t>(1, plan.tasks)};
}

} // namespace cameo::loop
