// Recurrent layers: a state that is carried from step to step, and sums over it that every step needs.
//
//   for rows of the batch             few, when their number is symbolic or the state of all is large
//     for t
//       for panels of columns         the next panel of weights follows the last in memory
//         for rows                    register tile: rows x vectors of columns
//           for k                     over the last state
//       for rows, for columns         gates to the next state
//
// Weights that exceed the second-level cache are walked forth and back: what the last step used last is what this one
// uses first (PERF.md 3.2).
#include "scheduler.h"

namespace cameo::loop {

namespace {

constexpr int64_t kStateRows = 64;   ///< rows whose gates stay in the second-level cache
constexpr int64_t kSymbolicRows = 8; ///< rows at once when their number is known at run time only
constexpr int64_t kFewSteps = 16;    ///< sums of so few terms are unrolled

} // namespace

void Scheduler::steps(const Recurrence &r) {
  const Stage &state = stage(r.state);
  const bool placed = r.reader >= 0;
  StageSchedule &plan = plan_.stages[r.state];
  plan = {};
  // Rows around the steps: where all of them at once are too many.
  const std::vector<int32_t> &outer_rows = placed ? r.reader_rows : r.rows;
  const int32_t outermost = placed ? r.reader : r.state;
  std::vector<LoopSpec> outer, inner;
  int64_t rows = 1;
  for (size_t i = 0; i < r.rows.size(); ++i) {
    const Axis &axis = state.axes[r.rows[i]];
    const bool constant = axis.extent.is_constant();
    int64_t tile = constant ? std::min<int64_t>(axis.extent.value, kStateRows) : kSymbolicRows;
    if (!constant || axis.extent.value > tile) {
      LoopSpec l = full_tiles(outer_rows[i], tile);
      l.balanced = constant;
      outer.push_back(l);
    }
    rows *= std::max<int64_t>(tile, 1);
    inner.push_back(full_tiles(r.rows[i], 1));
  }
  double work = 1;
  for (const Axis &axis : state.axes) work *= double(extent(axis));
  for (int32_t p : r.inside)
    if (stage(p).is_reduction()) work *= double(extent(stage(p).axes.back()));
  if (work > double(kParallelWork) && !outer.empty()) make_parallel(stage(outermost), outer);

  int32_t columns = contiguous_axis(r.state);
  const auto last = static_cast<int32_t>(state.axes.size()) - 1;
  if (columns < 0 && state.stores.empty() && last != r.time) columns = last;
  std::vector<LoopSpec> loops;
  if (placed) {
    StageSchedule &reader = plan_.stages[r.reader];
    reader = {};
    std::vector<LoopSpec> reader_loops = outer;
    const int32_t vector = contiguous_axis(r.reader);
    for (int32_t a = 0; a < stage(r.reader).outer_rank(); ++a)
      if (a != vector) reader_loops.push_back(full_tiles(a, 1));
    step_values(r.reader, vector, std::move(reader_loops));
    plan.place = Place::local;
    plan.at_stage = r.reader;
    plan.at_loop = static_cast<int32_t>(outer.size()) - 1;
  } else {
    loops = outer;
  }
  const auto time = static_cast<int32_t>(loops.size());
  loops.push_back(full_tiles(r.time, 1));
  for (int32_t a = 0; a <= last; ++a)
    if (a != r.time && a != columns) loops.push_back(full_tiles(a, 1));
  step_values(r.state, columns, std::move(loops));
  for (int32_t p : r.inside) {
    StageSchedule &inside = plan_.stages[p];
    if (inside.place == Place::inlined) continue;
    inside = {};
    inside.place = Place::local;
    inside.at_stage = r.state;
    inside.at_loop = time;
    if (stage(p).is_reduction()) {
      step_sum(p, r, rows);
      continue;
    }
    std::vector<LoopSpec> around;
    const auto column = static_cast<int32_t>(stage(p).axes.size()) - 1;
    for (int32_t a = 0; a < column; ++a)
      if (r.along[p][a] != r.time) around.push_back(full_tiles(a, 1));
    step_values(p, column, std::move(around));
  }
}

// Loops of a stage without sums: vectors along `columns` where its reads allow that, two of them at once.
void Scheduler::step_values(int32_t p, int32_t columns, std::vector<LoopSpec> loops) {
  StageSchedule &plan = plan_.stages[p];
  plan.loops = std::move(loops);
  if (columns < 0) return;
  if (!allows_vector(p, columns) || !stage(p).axes[columns].extent.is_constant()) {
    plan.loops.push_back(full_tiles(columns, 1));
    return;
  }
  const int64_t width = extent(stage(p).axes[columns]);
  plan.vector_axis = columns;
  plan.lanes = lanes_for(p, width);
  plan.loops.push_back(
      full_tiles(columns, std::min<int64_t>(2, std::max<int64_t>(1, width / plan.lanes)) * plan.lanes));
}

// A sum over the last state: rows of the batch by vectors of columns in registers, weights packed by panels of columns.
void Scheduler::step_sum(int32_t p, const Recurrence &r, int64_t rows) {
  const Stage &st = stage(p);
  StageSchedule &plan = plan_.stages[p];
  const int32_t outer = st.outer_rank();
  int32_t n = -1, m = -1, time = -1;
  for (int32_t a = 0; a < outer; ++a) {
    if (r.along[p][a] == r.time)
      time = a;
    else if (std::find(r.rows.begin(), r.rows.end(), r.along[p][a]) != r.rows.end())
      m = a;
    else
      n = a;
  }
  const auto k = static_cast<int32_t>(st.axes.size()) - 1;
  const std::vector<ReadInfo> reads = buffer_reads(p);
  auto steps_by_one = [&](int32_t axis) {
    return allows_vector(p, axis) && std::all_of(reads.begin(), reads.end(), [&](const ReadInfo &read) {
             return (read.constant_buffer && axis == n) || read.coefficient[axis] == 0 || read.coefficient[axis] == 1;
           });
  };
  auto other_axes = [&](int32_t but, int32_t and_but) {
    for (int32_t a = 0; a <= k; ++a)
      if (a != time && a != but && a != and_but) plan.loops.push_back(full_tiles(a, 1));
  };
  if (n < 0 || !st.axes[n].extent.is_constant() || !steps_by_one(n)) {
    // Weights that lie the other way round and cannot be packed: vectors along the sum.
    const int64_t terms = extent(st.axes[k]);
    if (!st.combine || st.types.size() != 1 || k != outer || terms < 8 || !steps_by_one(k)) return other_axes(-1, -1);
    other_axes(k, k);
    plan.vector_axis = k;
    plan.lanes = lanes_for(p, terms);
    plan.loops.push_back(full_tiles(k, plan.lanes));
    return;
  }
  const int64_t columns = extent(st.axes[n]), terms = extent(st.axes[k]);
  plan.vector_axis = n;
  plan.lanes = lanes_for(p, columns);
  const int64_t vectors = (columns + plan.lanes - 1) / plan.lanes;
  // The register tile: multiply-adds, loads and latency of one term over all tiles, as for contractions.
  int64_t mr = 1, nv = 1;
  double best = std::numeric_limits<double>::infinity();
  for (int64_t a = 1; a <= (m < 0 ? 1 : std::min<int64_t>(rows, 14)); ++a)
    for (int64_t b = 1; b <= std::min<int64_t>(vectors, 8); ++b) {
      if (a * b + b + 1 > t_.vector_registers) continue;
      const double tiles = std::ceil(double(rows) / double(a)) * std::ceil(double(vectors) / double(b));
      const double load = double(a + b) / t_.fma_per_cycle; // loads are as wide as multiply-adds
      const double cost = tiles * (std::max({double(a * b) / t_.fma_per_cycle, load, kFmaLatency}) + 0.15 * load + 0.5);
      if (cost < best * 0.99) {
        best = cost;
        mr = a;
        nv = b;
      }
    }
  const int64_t panel = nv * plan.lanes;
  int64_t bytes = 0;
  for (const ReadInfo &read : reads) {
    if (!read.constant_buffer) continue;
    const int32_t column = weight_dim(*read.expr, n), row = weight_dim(*read.expr, k);
    const KernelBuffer &w = k_.buffers[read.expr->source];
    if (column < 0 || row < 0 || w.dims.size() != 2 || read.expr->indices[column].axes.size() != 1) continue;
    Binding b = packed(w, {{column, 1}, {row, 1}, {column, panel}}, 64);
    b.aliased = bindings_[read.expr->source].aliased;
    bytes += b.size * std::max(1, bits(w.dtype) / 8);
    bindings_[read.expr->source] = std::move(b);
  }
  plan.loops.push_back(full_tiles(n, panel));
  if (bytes > t_.l2_bytes / 2 && vectors > nv) plan.loops[0].zigzag = time;
  for (int32_t a = 0; a < outer; ++a)
    if (a != time && a != n && a != m) plan.loops.push_back(full_tiles(a, 1));
  if (m >= 0) plan.loops.push_back(full_tiles(m, mr));
  plan.loops.back().balanced = m >= 0;
  for (int32_t a = outer; a < k; ++a) plan.loops.push_back(full_tiles(a, 1));
  // Few accumulators wait for each other: sums of a short row are split.
  if (st.combine && st.types.size() == 1)
    while (plan.partials < 4 && mr * nv * plan.partials * 2 <= 8 && terms % (plan.partials * 2) == 0)
      plan.partials *= 2;
  if (!st.axes[k].extent.is_constant()) {
    plan.partials = 1;
    plan.loops.push_back(full_tiles(k, 1));
  } else if (terms > kFewSteps) {
    plan.loops.push_back(
        full_tiles(k, divisor_at_most(terms, 4) >= plan.partials ? divisor_at_most(terms, 4) : plan.partials));
  }
}

} // namespace cameo::loop
