// Contractions: sums of products in which a constant is shared along one axis of the result and the other operand along
// another. The sums stay in registers, constants are packed by panels of columns, and the next panel is read ahead
// (PERF.md 3.2).
#include "scheduler.h"

namespace cameo::loop {

// Of the read's coordinate that moves with axis m and with a reduction axis of `acc`: how far one step of m goes, and
// how many places the reduction takes. {1, 0} when there is no such coordinate.
std::pair<int64_t, int64_t> Scheduler::window_along(const Expr &e, const Stage &acc, int32_t m) const {
  for (const Index &i : e.indices) {
    int64_t stride = 0, taps = 0;
    for (const auto &[axis, coefficient] : i.axes) {
      if (axis == m) stride = coefficient;
      if (axis >= acc.outer_rank() && coefficient == 1) taps = extent(acc.axes[axis]);
    }
    if (stride > 0 && taps > 0) return {stride, taps};
  }
  return {1, 0};
}

// Whether tiles can take their rows along an axis of known extent, which shares the constants: better than one that may
// be short.
bool Scheduler::fixed_rows(const std::vector<ReadInfo> &reads, const Stage &out, int32_t n) const {
  for (int32_t a = 0; a < static_cast<int32_t>(out.axes.size()); ++a)
    if (a != n && out.axes[a].kind != AxisKind::sequential && out.axes[a].extent.is_constant() &&
        extent(out.axes[a]) >= 4 && std::none_of(reads.begin(), reads.end(), [&](const ReadInfo &r) {
          return r.constant_buffer && moves_with(*r.expr, a);
        }))
      return true;
  return false;
}

// Cycles of one reduction step over all tiles of the (m, n) plane: multiply-adds, loads, and the latency of the
// accumulators, whichever is longest. A read that does not move along m is loaded once for all rows of the tile; one
// that does not move along n is one scalar that is broadcast. Constants that stay the same along m and the reduction's
// tile are hoisted: they cost a register. With a panel, tiles are as wide as that.
Scheduler::Tile Scheduler::best_tile(const std::vector<ReadInfo> &reads, const Stage &out, const Stage &acc, int32_t n,
                                     int64_t columns, int32_t lanes, int64_t steps, int64_t panel) const {
  Tile best;
  const int64_t registers = t_.vector_registers;
  for (int32_t m = static_cast<int32_t>(out.axes.size()) - 1; m >= -1; --m) {
    if (m == n || (m >= 0 && out.axes[m].kind == AxisKind::sequential)) continue;
    const int64_t rows = m >= 0 ? extent(out.axes[m]) : 1;
    if (m >= 0 && (rows == 1 || (!out.axes[m].extent.is_constant() && fixed_rows(reads, out, n)))) continue;
    for (int64_t nv = 1; nv <= 4; ++nv) {
      if (panel > 0 && nv * lanes != panel) continue;
      for (int64_t mr = 1; mr <= std::min<int64_t>(rows, registers); ++mr) {
        double loads = 0;
        int64_t live = mr * nv + 1;
        for (const ReadInfo &r : reads) {
          const bool along_n = moves_with(r, n), along_m = m >= 0 && moves_with(r, m);
          double each = double(along_m ? mr : 1);
          if (along_n && !along_m) live += steps <= 9 ? nv * steps : nv;
          if (r.direct && along_n && along_m)
            if (const auto [stride, taps] = window_along(*r.expr, acc, m); stride < taps) {
              // Neighbouring windows overlap: what two of them read stays in registers between its uses.
              live += nv * (stride == 1 ? mr + taps - 1 : mr);
              each = double(stride * (mr - 1) + taps) / double(taps);
            }
          loads += double(along_n ? nv : 1) * each;
        }
        if (live > registers) continue;
        const double tiles = std::ceil(double(rows) / double(mr)) * std::ceil(double(columns) / double(nv * lanes));
        const double share =
            std::min(1.0, double(rows) / std::ceil(double(rows) / double(mr)) / double(mr)); // balanced tiles
        const double fma = share * double(mr * nv) / t_.fma_per_cycle,
                     load = share * loads / t_.fma_per_cycle; // loads are as wide as multiply-adds
        double others = 1;                                    // tiles over the remaining axes
        for (int32_t a = 0; a < static_cast<int32_t>(out.axes.size()); ++a)
          if (a != n && a != m) others *= double(extent(out.axes[a]));
        const double cost = others * tiles * (std::max({fma, load, kFmaLatency}) + 0.15 * load + 0.5);
        if (cost < best.cost * 0.99) best = {m, mr, nv, cost};
      }
    }
  }
  return best;
}

// A constant that is read once for each column and step: panels of columns, so that what a tile reads lies together
// and no stride of many columns puts all of it into a few sets of the cache.
void Scheduler::pack_columns(const Expr &e, int32_t n, int64_t columns, int64_t panel) {
  const KernelBuffer &w = k_.buffers[e.source];
  const int32_t dim = weight_dim(e, n);
  if (e.indices[dim].axes.size() != 1 || e.indices[dim].axes[0].second != 1 || w.dims[dim] != Extent(columns)) return;
  std::vector<std::pair<int32_t, int64_t>> order{{dim, 1}};
  for (int32_t d = 0; d < static_cast<int32_t>(w.dims.size()); ++d)
    if (d != dim) order.emplace_back(d, 1);
  order.emplace_back(dim, panel);
  const bool aliased = bindings_[e.source].aliased;
  bindings_[e.source] = packed(w, order, 64);
  bindings_[e.source].aliased = aliased;
}

// Panels inside each of the groups that `dim` counts together: index = group * columns + column. Columns that are no
// whole panels lie side by side. `order` is that of packed(), with `dim` first and last.
Binding Scheduler::grouped_panels(const KernelBuffer &w, const std::vector<std::pair<int32_t, int64_t>> &order,
                                  int32_t dim, int64_t columns, int64_t panel, int32_t lanes) {
  const bool whole = columns % panel == 0;
  const int64_t row = whole ? panel : (columns + lanes - 1) / lanes * lanes;
  Binding b;
  b.align = 64;
  b.terms.push_back({dim, 1, whole ? panel : columns, 1, -1});
  int64_t stride = row;
  for (size_t i = order.size(); i-- > 0;) {
    if (order[i].first == dim) continue;
    b.terms.push_back({order[i].first, 1, 0, stride, -1});
    stride *= w.dims[order[i].first].value;
  }
  if (whole && columns > panel) {
    b.terms.push_back({dim, panel, columns / panel, stride, -1});
    stride *= columns / panel;
  }
  b.terms.push_back({dim, columns, 0, stride, -1});
  b.size = stride * (w.dims[dim].value / columns);
  std::reverse(b.terms.begin(), b.terms.end());
  return b;
}

// The axis of the columns of a constant matrix, where the result is stored across it: -1 when there is none. A sum of
// many steps by vectors of columns and a scattered store cost less than a sum that gathers in each step.
int32_t Scheduler::column_axis(int32_t s, int32_t sum) const {
  constexpr int64_t kFewSteps = 8;
  const Stage &acc = stage(sum);
  int64_t steps = 1;
  for (const Axis &axis : acc.axes)
    if (axis.kind == AxisKind::reduction) steps *= extent(axis);
  if (steps <= kFewSteps) return -1;
  const std::vector<ReadInfo> reads = buffer_reads(sum);
  for (int32_t a = stage(s).outer_rank(); a-- > 0;) {
    bool constant = false, other = false;
    for (const ReadInfo &r : reads)
      if (moves_with(r, a)) (r.direct && r.constant_buffer ? constant : other) = true;
    if (constant && !other && stores_along(s, a, false)) return a;
  }
  return -1;
}

bool Scheduler::tile_contraction(int32_t s, int32_t sum) {
  if (const int32_t n = contiguous_axis(s); n >= 0 && tile_contraction(s, sum, n)) return true;
  const int32_t n = column_axis(s, sum);
  return n >= 0 && tile_contraction(s, sum, n);
}

// s = epilogue(sum), or s = sum itself: sums in registers, tiles of mr points along one axis and nv vectors along axis
// n. With a strip axis: one row of a strip, by the task that has the strip.
bool Scheduler::tile_contraction(int32_t s, int32_t sum, int32_t n, int32_t strip_axis) {
  const Stage &acc = stage(sum);
  Stage out = stage(s); // its outer axes
  out.axes.resize(out.outer_rank());
  for (int32_t a = 0; a <= strip_axis; ++a)
    if (a != n) out.axes[a].extent = 1;
  if (!allows_vector(s, n) || !allows_vector(sum, n)) return false;
  const std::vector<ReadInfo> reads = buffer_reads(sum);
  for (const ReadInfo &r : reads)
    if (!r.constant_buffer && r.coefficient[n] != 0 && r.coefficient[n] != 1) return false;
  if (!out.axes[n].extent.is_constant()) return false;
  const int64_t columns = extent(out.axes[n]);
  const int32_t lanes = lanes_for(sum, columns);
  // The constant that is walked along n with the reduction, and shared along m: it gets packed by panels.
  const ReadInfo *weight = nullptr;
  for (const ReadInfo &r : reads)
    if (r.direct && r.constant_buffer && moves_with(r, n)) weight = &r;
  int64_t steps = 1;
  for (const Axis &axis : acc.axes)
    if (axis.kind == AxisKind::reduction) steps *= extent(axis);
  // A constant that other stages read too has the panels of the first one that was scheduled.
  const int64_t given = weight ? panels_[weight->expr->source] : 0;
  Tile tile = best_tile(reads, out, acc, n, columns, lanes, steps, given);
  if (given > 0 && tile.cost == Tile{}.cost) tile = best_tile(reads, out, acc, n, columns, lanes, steps, 0);
  const int32_t m = tile.m;
  // Every vector is loaded for one multiply-add, as in a depthwise convolution or a pool: there is nothing to pack.
  const bool depthwise = std::any_of(reads.begin(), reads.end(),
                                     [&](const ReadInfo &r) { return !r.constant_buffer && r.coefficient[n] == 1; });
  const int64_t panel = tile.nv * lanes;
  StageSchedule &root = plan_.stages[s], &inner = plan_.stages[sum];
  root.loops.clear();
  inner.loops.clear();
  root.vector_axis = inner.vector_axis = n;
  root.lanes = inner.lanes = lanes;
  int64_t weight_bytes = 0, panel_elements = 0;
  if (weight && !depthwise) {
    const KernelBuffer &w = k_.buffers[weight->expr->source];
    int32_t dim = -1;
    for (size_t d = 0; d < weight->expr->indices.size(); ++d)
      for (const auto &entry : weight->expr->indices[d].axes)
        if (entry.first == n) dim = static_cast<int32_t>(d);
    // Panels of columns, inside them the reduction in the order of its loops.
    std::vector<std::pair<int32_t, int64_t>> order{{dim, 1}};
    std::vector<bool> listed(w.dims.size(), false);
    listed[dim] = true;
    for (size_t a = acc.outer_rank(); a < acc.axes.size(); ++a)
      for (size_t d = 0; d < weight->expr->indices.size(); ++d)
        for (const auto &entry : weight->expr->indices[d].axes)
          if (entry.first == static_cast<int32_t>(a) && !listed[d]) {
            order.emplace_back(static_cast<int32_t>(d), 1);
            listed[d] = true;
          }
    std::vector<std::pair<int32_t, int64_t>> front;
    for (size_t d = 0; d < w.dims.size(); ++d)
      if (!listed[d]) front.emplace_back(static_cast<int32_t>(d), 1);
    order.insert(order.begin(), front.begin(), front.end());
    order.emplace_back(dim, panel);
    const std::vector<std::pair<int32_t, int64_t>> &axes = weight->expr->indices[dim].axes;
    const bool grouped = axes.size() > 1;
    bool packs = true;
    for (const auto &[axis, coefficient] : axes) packs &= axis == n ? coefficient == 1 : coefficient % columns == 0;
    if (packs && given > 0) {
      weight_bytes = bindings_[weight->expr->source].size * std::max(1, bits(w.dtype) / 8);
    } else if (packs) {
      Binding b = grouped ? grouped_panels(w, order, dim, columns, panel, lanes) : packed(w, order, 64);
      b.aliased = bindings_[weight->expr->source].aliased;
      bindings_[weight->expr->source] = b;
      weight_bytes = b.size * std::max(1, bits(w.dtype) / 8);
      if (grouped) weight_bytes = weight_bytes * columns / w.dims[dim].value; // of one group
      panels_[weight->expr->source] = panel;
    }
    if (packs && front.empty() && !grouped && (given == 0 || given == panel))
      panel_elements = bindings_[weight->expr->source].size / ((columns + panel - 1) / panel);
  }
  if (weight && depthwise) pack_columns(*weight->expr, n, columns, panel);
  // Loop order: panels outermost when the weights exceed half of the second-level cache, rows outermost otherwise.
  // Where the rows do not fit there either, each panel would bring all of them from behind it: then chunks of panels
  // that do fit are outermost, and rows inside of them.
  const bool panels_outside = weight_bytes > t_.l2_bytes / 2;
  int64_t row_bytes = 0;
  for (const ReadInfo &r : reads)
    if (!r.constant_buffer) row_bytes = std::max(row_bytes, buffer_bytes(r));
  const int64_t panels = (columns + panel - 1) / panel;
  const int64_t chunk = panel_elements == 0 || strip_axis >= 0 || row_bytes <= t_.l2_bytes / 2
                            ? 0
                            : std::min(t_.l2_bytes / 2 * panels / std::max<int64_t>(weight_bytes, 1), (panels + 7) / 8);
  const bool in_chunks = panels_outside && m >= 0 && chunk > 1;
  std::vector<LoopSpec> loops;
  auto add = [&](int32_t axis, int64_t t, bool balanced) {
    LoopSpec l;
    l.axis = axis;
    l.tile = t;
    l.balanced = balanced;
    loops.push_back(l);
  };
  if (panels_outside) add(n, in_chunks ? chunk * panel : panel, false);
  for (int32_t a = 0; a < static_cast<int32_t>(out.axes.size()); ++a)
    if (a != n && a != m) add(a, 1, false);
  if (m >= 0) add(m, tile.mr, true);
  if (!panels_outside || in_chunks) add(n, panel, false);
  int64_t points = 1;
  for (const Axis &axis : out.axes) points *= extent(axis);
  if (strip_axis < 0 && points * steps > kParallelWork) make_parallel(out, loops);
  root.loops = loops;
  if (sum != s) {
    inner.place = Place::registers;
    inner.at_stage = s;
    inner.at_loop = static_cast<int32_t>(loops.size()) - 1;
  }
  // Reduction loops in order; the innermost is unrolled 4 times, a short one completely.
  int64_t unrolled = 1;
  std::vector<LoopSpec> reduction;
  for (size_t a = acc.axes.size(); a-- > static_cast<size_t>(acc.outer_rank());) {
    LoopSpec l;
    l.axis = static_cast<int32_t>(a);
    const int64_t e = extent(acc.axes[a]);
    const int64_t limit = depthwise ? 32 : a + 1 == acc.axes.size() ? 4 : 1;
    if (acc.axes[a].extent.is_constant() && e * unrolled <= limit) {
      unrolled *= e;
      if (unrolled * tile.mr * tile.nv <= 512) continue; // no loop: part of the point box
      unrolled /= e;
    }
    l.tile = unrolled > 1 || depthwise ? 1 : divisor_at_most(e, 4);
    if (!acc.axes[a].extent.is_constant()) l.tile = 1;
    l.balanced = false;
    unrolled = std::max<int64_t>(unrolled, 2);
    reduction.push_back(l);
  }
  inner.loops.insert(inner.loops.end(), reduction.rbegin(), reduction.rend());
  if (panels_outside && !in_chunks && panel_elements > 0) {
    inner.prefetch_buffer = weight->expr->source;
    inner.prefetch_loop_stage = s;
    inner.prefetch_loop = 0;
    inner.prefetch_panel = panel_elements;
  }
  return true;
}

void Scheduler::make_parallel(const Stage &out, std::vector<LoopSpec> &loops) const {
  // The outermost loop of at least two iterations; a loop of one iteration in front of it moves nothing.
  for (LoopSpec &l : loops) {
    if (out.axes[l.axis].kind == AxisKind::sequential || !out.axes[l.axis].extent.is_constant()) return;
    const int64_t trips = (extent(out.axes[l.axis]) + l.tile - 1) / l.tile;
    if (trips < 2) continue;
    l.parallel_tasks = static_cast<int32_t>(std::min<int64_t>(trips, kTasks));
    std::rotate(loops.begin(), loops.begin() + (&l - loops.data()), loops.begin() + (&l - loops.data()) + 1);
    return;
  }
}

} // namespace cameo::loop
