// States that advance over blocks (blocks.h). The rows of the result are independent, so the lanes are rows: a tile of
// a few vectors of them goes through all blocks, maxima and sums over a block are then sums of whole vectors, and what
// a block reads of the other operands are scalars, wherever they lie. With fewer rows than half a vector the lanes run
// along what each stage reduces or makes instead.
#include "blocks.h"
#include "scheduler.h"

namespace cameo::loop {

// Points along a free axis that one register tile takes: a divisor, so that no remainder needs code of its own, if
// there is a good one.
LoopSpec Scheduler::free_tile(int32_t s, int32_t axis, int64_t most) const {
  const int64_t n = extent(stage(s).axes[axis]);
  LoopSpec l = full_tiles(axis, divisor_at_most(n, std::max<int64_t>(1, std::min(n, most))));
  if (l.tile * 2 > std::min(n, most)) return l;
  l.tile = std::min(n, most);
  l.balanced = true;
  return l;
}

// Axes of a stage that are neither rows nor blocks.
std::vector<int32_t> Scheduler::free_axes(int32_t s, const Blocks &b) const {
  std::vector<int32_t> list;
  for (int32_t a = 0; a < stage(s).outer_rank(); ++a)
    if (a != b.time_of[s] && std::count(b.rows.begin(), b.rows.end(), b.along[s][a]) == 0) list.push_back(a);
  return list;
}

// A stage of a block whose lanes are rows: `lane` is its axis of rows, `vectors` of them side by side.
void Scheduler::block_rows(int32_t s, const Blocks &b, int32_t lane, int64_t vectors) {
  const Stage &st = stage(s);
  StageSchedule &plan = plan_.stages[s];
  plan.vector_axis = lane;
  plan.lanes = t_.lanes(32);
  const std::vector<int32_t> free = free_axes(s, b);
  const Expr &next = k_.exprs[st.next[0]];
  const bool copy = !st.is_reduction() && next.kind == Expr::Kind::buffer; // by squares, transposed in registers
  for (int32_t a : free) {
    if (copy)
      plan.loops.push_back(full_tiles(a, plan.lanes));
    else
      plan.loops.push_back(free_tile(s, a, st.is_reduction() ? (t_.vector_registers - 1 - vectors) / vectors : 4));
  }
  plan.loops.push_back(full_tiles(lane, copy ? plan.lanes : vectors * plan.lanes));
  if (!st.is_reduction()) return;
  const auto last = static_cast<int32_t>(st.axes.size()) - 1;
  const int64_t unroll = divisor_at_most(extent(st.axes[last]), 4);
  if (free.empty() && st.combine) plan.partials = static_cast<int32_t>(unroll);
  for (int32_t a = st.outer_rank(); a <= last; ++a) plan.loops.push_back(full_tiles(a, a == last ? unroll : 1));
}

// A stage of a block for a single row: lanes run along the reduction where that is contiguous in what is read, else
// along a free axis.
void Scheduler::block_single(int32_t s, const Blocks &b) {
  const Stage &st = stage(s);
  StageSchedule &plan = plan_.stages[s];
  const std::vector<int32_t> free = free_axes(s, b);
  const auto last = static_cast<int32_t>(st.axes.size()) - 1;
  bool along = st.is_reduction() && st.combine && st.types.size() == 1;
  if (!free.empty())
    for (const ReadInfo &r : buffer_reads(s)) along &= r.coefficient[last] == 0 || r.coefficient[last] == 1;
  plan.vector_axis = along ? last : free.empty() ? -1 : free.back();
  if (plan.vector_axis >= 0 && !allows_vector(s, plan.vector_axis)) plan.vector_axis = -1;
  if (plan.vector_axis >= 0) plan.lanes = lanes_for(s, extent(st.axes[plan.vector_axis]));
  for (int32_t a : free)
    plan.loops.push_back(
        full_tiles(a, a == plan.vector_axis ? 4 * plan.lanes : divisor_at_most(extent(st.axes[a]), 4)));
  if (!st.is_reduction()) return;
  const int64_t n = extent(st.axes[last]);
  if (plan.vector_axis == last) {
    plan.partials = free.empty() ? 4 : 1;
    while (plan.partials > 1 && n < plan.partials * plan.lanes) plan.partials /= 2;
  }
  for (int32_t a = st.outer_rank(); a <= last; ++a) {
    const int64_t tile = plan.vector_axis == last ? plan.partials * plan.lanes : divisor_at_most(n, 4);
    plan.loops.push_back(full_tiles(a, a == last ? tile : 1));
  }
}

bool Scheduler::blocks() {
  const std::optional<Blocks> found = find_blocks(k_);
  if (!found || found->rows.empty()) return false;
  const Blocks &b = *found;
  const Stage &result = stage(b.result);
  const int32_t lane = b.rows.back(), lanes = t_.lanes(32);
  const int64_t rows = extent(result.axes[lane]);
  const bool wide = rows * 2 >= lanes && result.types[0] == Scalar::f32;
  // A tile of two vectors costs less than two of one: each scalar is loaded once for both.
  auto tiles = [&](int64_t vectors) { return double((rows + vectors * lanes - 1) / (vectors * lanes)); };
  const int64_t vectors = tiles(2) <= 0.6 * tiles(1) ? 2 : 1;
  plan_ = {};
  plan_.stages.resize(k_.stages.size());
  StageSchedule &root = plan_.stages[b.result];
  for (int32_t a : b.rows)
    if (a != lane) root.loops.push_back(full_tiles(a, 1));
  root.loops.push_back(full_tiles(lane, wide ? vectors * lanes : 1));
  root.loops.back().overlap = wide;
  int64_t work = 1;
  for (const Axis &axis : stage(b.state).axes) work *= extent(axis);
  if (work > kParallelWork) make_parallel(result, root.loops);
  const auto at = static_cast<int32_t>(root.loops.size()) - 1;
  const int32_t n = contiguous_axis(b.result);
  for (int32_t a = 0; a < static_cast<int32_t>(result.axes.size()); ++a) {
    const bool row = std::count(b.rows.begin(), b.rows.end(), a) > 0;
    if (a == lane && wide && n >= 0 && n != lane) root.loops.push_back(full_tiles(a, lanes));
    if (!row && a != n) root.loops.push_back(full_tiles(a, 1));
  }
  if (n >= 0 && allows_vector(b.result, n)) {
    root.vector_axis = n;
    root.lanes = lanes_for(b.result, extent(result.axes[n]));
    if (n != lane) root.loops.push_back(full_tiles(n, wide ? lanes : 4 * root.lanes));
  }

  auto reads_pointwise = [&](int32_t s, int32_t p) {
    bool good = stage(s).outer_rank() == stage(p).outer_rank();
    for_each_expr(s, [&](const Expr &e) { good &= e.kind != Expr::Kind::stage || e.source != p || pointwise(e); });
    return good;
  };
  auto lane_of = [&](int32_t s) {
    return static_cast<int32_t>(std::find(b.along[s].begin(), b.along[s].end(), lane) - b.along[s].begin());
  };
  auto place = [&](int32_t s, int32_t stage_id, int32_t loop_id) {
    StageSchedule &plan = plan_.stages[s];
    plan.place = Place::local;
    plan.at_stage = stage_id;
    plan.at_loop = loop_id;
    if (wide)
      block_rows(s, b, lane_of(s), vectors);
    else
      block_single(s, b);
  };
  for (int32_t s : b.around) {
    plan_.stages[s].place = Place::inlined; // so that it may be asked whether vectors pass through it
    if (wide || stage(s).is_reduction()) place(s, b.result, at);
  }
  for (int32_t s : b.inside) place(s, b.state, 0);
  place(b.state, b.result, at);
  std::vector<LoopSpec> &steps = plan_.stages[b.state].loops;
  steps.insert(steps.begin(), full_tiles(b.time, 1));
  // A sum that one stage alone reads, point by point, stays in registers there.
  for (int32_t s : b.inside)
    for (int32_t p : b.inside) {
      if (p >= s || !stage(p).is_reduction() || stage(s).is_reduction() || readers_[p] != std::vector<int32_t>{s} ||
          !reads_pointwise(s, p) || plan_.stages[p].vector_axis >= stage(p).outer_rank() || sequential(p))
        continue;
      StageSchedule &inner = plan_.stages[p], &outer = plan_.stages[s];
      if (inner.vector_axis != outer.vector_axis) continue;
      outer.lanes = inner.lanes; // one that compares positions, of 64 bits, has fewer of its own accord
      std::vector<LoopSpec> reduction;
      outer.loops.clear();
      for (const LoopSpec &l : inner.loops)
        (stage(p).axes[l.axis].kind == AxisKind::reduction ? reduction : outer.loops).push_back(l);
      inner.loops = reduction;
      inner.place = Place::registers;
      inner.at_stage = s;
      inner.at_loop = static_cast<int32_t>(outer.loops.size()) - 1;
    }
  return true;
}

} // namespace cameo::loop
