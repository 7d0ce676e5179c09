// Reductions that cannot be split, since each step needs what the step before it gave: the walks of decision trees. A
// walk waits for memory at every step, so several vectors of walks go side by side, lanes along the stage's last
// parallel axis (trees); what reads their ends follows row by row.
#include "scheduler.h"

namespace cameo::loop {
namespace {

constexpr int64_t kSideBySide = 4;   ///< vectors of walks: enough loads in flight to hide the latency of a gather
constexpr int64_t kFewest = 3;       ///< walks that are worth a vector
constexpr int64_t kMostSums = 8;     ///< vectors of sums in registers
constexpr int64_t kTestsPerTurn = 8; ///< unrolled

} // namespace

// As many lanes as elements of what the stage reads and keeps fit a vector; indices may be wider.
int32_t Scheduler::element_lanes(int32_t s, int64_t extent) const {
  int32_t widest = 32;
  for (Scalar type : stage(s).types) widest = std::max(widest, bits(type));
  for_each_expr(s, [&](const Expr &e) {
    if (e.kind == Expr::Kind::buffer) widest = std::max(widest, bits(e.type));
  });
  int32_t lanes = t_.lanes(widest);
  while (lanes > 4 && extent <= lanes / 2) lanes /= 2;
  return lanes;
}

// Rows side by side, where the reduction `walk` reads a stage of columns at places that are the same for all rows: tile
// of rows, tree, test.
bool Scheduler::walk_batch(int32_t s, int32_t sum, int32_t walk) {
  int32_t columns = -1;
  for_each_expr(walk, [&](const Expr &e) {
    if (e.kind == Expr::Kind::stage && is_root(e.source) && e.indices.size() == 2 && e.indices[0].indirect >= 0 &&
        e.indices[1] == axis_index(0) && readers_[e.source] == std::vector<int32_t>{walk})
      columns = e.source;
  });
  if (columns < 0 || stage(s).outer_rank() != 2) return false;
  StageSchedule &root = plan_.stages[s], &total = plan_.stages[sum], &inner = plan_.stages[walk],
                &first = plan_.stages[columns];
  const int64_t rows = extent(stage(walk).axes[0]), targets = extent(stage(s).axes[1]);
  const int32_t lanes = std::min(element_lanes(walk, rows), element_lanes(sum, rows));
  // Vectors that share a test's constants; rows of unknown number may be one.
  const int64_t vectors = stage(s).axes[0].extent.is_constant() ? std::clamp<int64_t>(rows / lanes, 1, 4) : 1;
  const int64_t tile = vectors * lanes;
  // All targets of a tile at once, when they have the same trees; else one after the other.
  bool shared = true;
  for_each_expr(sum, [&](const Expr &e) {
    if (e.kind == Expr::Kind::stage && e.source == walk) shared &= e.indices[1].axes.size() == 1;
  });
  root = {};
  root.loops = {full_tiles(0, tile)};
  if (!shared || targets * vectors > kMostSums)
    root.loops.push_back(full_tiles(1, shared ? std::max<int64_t>(kMostSums / vectors, 1) : 1));
  root.vector_axis = 0;
  root.lanes = lanes;
  if (rows > tile && rows * extent(stage(walk).axes[1]) * 64 > kParallelWork) make_parallel(stage(s), root.loops);
  first = {};
  first.place = Place::local;
  first.at_stage = s;
  first.at_loop = 0;
  first.vector_axis = 1;
  first.lanes = lanes;
  first.loops = {full_tiles(0, 1), full_tiles(1, tile)};
  total = {};
  total.place = Place::registers;
  total.at_stage = s;
  total.at_loop = static_cast<int32_t>(root.loops.size()) - 1;
  total.vector_axis = 0;
  total.lanes = lanes;
  const auto tree = static_cast<int32_t>(stage(sum).axes.size()) - 1;
  total.loops = {full_tiles(tree, 1)};
  inner = {};
  inner.place = Place::registers;
  inner.at_stage = sum;
  inner.at_loop = 0;
  inner.vector_axis = 0;
  inner.lanes = lanes;
  inner.loops = {full_tiles(2, std::max<int64_t>(kTestsPerTurn / vectors, 1))};
  return true;
}

// s = f(sum), sum = aggregate over trees of values at the ends of the walk: a row at a time.
bool Scheduler::walk_rows(int32_t s) {
  int32_t sum = -1, walk = -1;
  for (int32_t p = 0; p < s; ++p)
    if (is_root(p) && stage(p).is_reduction() && readers_[p] == std::vector<int32_t>{s}) sum = sum < 0 ? p : s;
  if (sum < 0 || sum == s) return false;
  for (int32_t p = 0; p < sum; ++p)
    if (is_root(p) && stage(p).is_reduction() && !stage(p).combine && readers_[p] == std::vector<int32_t>{sum})
      walk = p;
  if (walk < 0 || !stage(walk).stores.empty() || stage(walk).outer_rank() != 2) return false;
  const Stage &ends = stage(sum);
  bool matches = ends.outer_rank() == stage(s).outer_rank() && ends.stores.empty();
  for_each_expr(s, [&](const Expr &e) {
    if (e.kind == Expr::Kind::stage && e.source == sum) matches = matches && pointwise(e);
  });
  if (!matches) return false;
  const auto last = static_cast<int32_t>(ends.axes.size()) - 1;
  // Both must run over the same rows: axis 0.
  bool rows = last == ends.outer_rank() && ends.axes[0].extent == stage(walk).axes[0].extent, looks_up = false;
  for_each_expr(sum, [&](const Expr &e) {
    if (e.kind == Expr::Kind::stage && e.source == walk)
      rows &= e.indices[0] == axis_index(0) && e.indices[1].indirect < 0;
    for (const Index &i : e.indices) looks_up |= e.kind == Expr::Kind::buffer && reads_memory(i.indirect);
  });
  if (!rows || !looks_up) return false;
  if (walk_batch(s, sum, walk)) return true;
  StageSchedule &root = plan_.stages[s], &total = plan_.stages[sum], &inner = plan_.stages[walk];
  root.loops.clear();
  for (int32_t a = 0; a < stage(s).outer_rank(); ++a) root.loops.push_back(full_tiles(a, 1));
  const int64_t trees = extent(stage(walk).axes[1]), each = extent(ends.axes[last]);
  if (extent(ends.axes[0]) > 1 && extent(ends.axes[0]) * trees * 64 > kParallelWork)
    make_parallel(stage(s), root.loops);

  inner = {};
  inner.place = Place::local;
  inner.at_stage = s;
  inner.at_loop = 0;
  inner.loops = {full_tiles(0, 1)};
  if (trees >= kFewest) {
    inner.vector_axis = 1;
    inner.lanes = element_lanes(walk, trees);
    inner.loops.push_back(full_tiles(1, std::min((trees + inner.lanes - 1) / inner.lanes, kSideBySide) * inner.lanes));
  } else {
    inner.loops.push_back(full_tiles(1, trees));
  }
  inner.loops.push_back(full_tiles(2, 1));

  total = {};
  total.place = Place::registers;
  total.at_stage = s;
  total.at_loop = static_cast<int32_t>(root.loops.size()) - 1;
  total.loops = {full_tiles(last, 1)};
  if (each < kFewest || !ends.combine) return true;
  total.vector_axis = last;
  total.lanes = element_lanes(sum, each);
  total.partials = each >= 4 * total.lanes ? 4 : 1;
  total.loops[0].tile = total.partials * total.lanes;
  return true;
}

} // namespace cameo::loop
