// Reductions along and across rows: softmax, normalisations, sums, and what else needs scratch memory of a row; stages
// whose size is known at run time only; and everything that has no better schedule than plain loops with vectors.
#include "scheduler.h"

#include <functional>

namespace cameo::loop {

// Sums along the axis that is contiguous in what is read: vectors of partial sums, one result at a time.
bool Scheduler::row_sums(int32_t s, int32_t sum) {
  const Stage &acc = stage(sum);
  const auto last = static_cast<int32_t>(acc.axes.size()) - 1;
  if (!acc.combine || acc.types.size() != 1 || !allows_vector(sum, last)) return false;
  const std::vector<ReadInfo> reads = buffer_reads(sum);
  bool vectors = false;
  for (const ReadInfo &r : reads) {
    if (r.coefficient[last] != 0 && r.coefficient[last] != 1) return false;
    vectors |= r.coefficient[last] == 1;
  }
  if (!vectors || !acc.axes[last].extent.is_constant() || extent(acc.axes[last]) < 8) return false;
  StageSchedule &root = plan_.stages[s], &inner = plan_.stages[sum];
  root.loops.clear();
  inner.loops.clear();
  root.vector_axis = -1;
  root.lanes = 1;
  int64_t points = 1;
  for (int32_t a = 0; a < acc.outer_rank(); ++a) {
    LoopSpec l;
    l.axis = a;
    root.loops.push_back(l);
    points *= extent(acc.axes[a]);
  }
  for (const Axis &axis : acc.axes)
    if (axis.kind == AxisKind::reduction) points *= extent(axis);
  if (points > kParallelWork) make_parallel(stage(s), root.loops);
  if (sum != s) {
    inner.place = Place::registers;
    inner.at_stage = s;
    inner.at_loop = static_cast<int32_t>(root.loops.size()) - 1;
  }
  inner.vector_axis = last;
  inner.lanes = lanes_for(sum, extent(acc.axes[last]));
  inner.partials = 4;
  while (inner.partials > 1 && extent(acc.axes[last]) < inner.partials * inner.lanes) inner.partials /= 2;
  for (int32_t a = acc.outer_rank(); a <= last; ++a) {
    LoopSpec l;
    l.axis = a;
    l.tile = a == last ? inner.partials * inner.lanes : 1;
    l.balanced = false;
    inner.loops.push_back(l);
  }
  return true;
}

// For each outer axis of every stage that `s` needs: the axis of s that it runs along one to one, or -1. Readers come
// after what they read, so one pass backwards meets every reader first.
std::vector<std::vector<int32_t>> Scheduler::axes_along(int32_t s, const std::vector<bool> &needed) const {
  std::vector<std::vector<int32_t>> along(k_.stages.size());
  for (int32_t a = 0; a < stage(s).outer_rank(); ++a) along[s].push_back(a);
  for (int32_t p = s - 1; p >= 0; --p) {
    if (!needed[p]) continue;
    along[p].assign(stage(p).outer_rank(), -2);
    for (int32_t r = p + 1; r <= s; ++r) {
      if (r != s && !needed[r]) continue;
      for_each_expr(r, [&](const Expr &e) {
        if (e.kind != Expr::Kind::stage || e.source != p) return;
        for (size_t d = 0; d < e.indices.size(); ++d) {
          const Index &i = e.indices[d];
          int32_t axis = -1;
          if (i.indirect < 0 && i.constant == 0 && i.axes.size() == 1 && i.axes[0].second == 1 &&
              i.axes[0].first < static_cast<int32_t>(along[r].size()))
            axis = along[r][i.axes[0].first];
          // Along a reduction axis of a reader nothing is known; the dim is kept whole.
          if (along[p][d] == -2 || along[p][d] == -1)
            along[p][d] = std::max(along[p][d], axis);
          else if (axis >= 0 && axis != along[p][d])
            along[p][d] = -3;
        }
      });
    }
  }
  return along;
}

// Reductions whose readers have an axis more (softmax, normalisations): the stages between stay in scratch memory of
// one row, when the reduction runs along the contiguous axis, or of a few columns side by side, when it runs across it.
bool Scheduler::row_kernel(int32_t s) {
  std::vector<bool> needed(k_.stages.size(), false);
  std::vector<int32_t> members, stack{s};
  while (!stack.empty()) { // root stages that s needs, directly or through inlined ones
    const int32_t r = stack.back();
    stack.pop_back();
    bool stored = false;
    for_each_expr(r, [&](const Expr &e) {
      if (e.kind != Expr::Kind::stage || needed[e.source] || e.source == r) return;
      const bool inlined = plan_.stages[e.source].place == Place::inlined;
      if (!inlined && (!is_root(e.source) || sequential(e.source))) return;
      if (!stage(e.source).stores.empty()) stored = true;
      needed[e.source] = true;
      if (!inlined) members.push_back(e.source);
      stack.push_back(e.source);
    });
    if (stored) return false;
  }
  if (members.empty()) return false;
  for (int32_t p = 0; p < count(); ++p) // nothing else may read them
    if (needed[p])
      for (int32_t r : readers_[p])
        if (r != s && !needed[r]) return false;
  const int32_t n = contiguous_axis(s);
  if (n < 0) return false;
  const auto along = axes_along(s, needed);
  auto dim_along = [&](int32_t p, int32_t axis) {
    for (size_t d = 0; d < along[p].size(); ++d)
      if (along[p][d] == axis) return static_cast<int32_t>(d);
    return -1;
  };
  const Schedule before = plan_;
  if (!stage(s).axes[n].extent.is_constant()) // a row of unknown length is computed again where it is read
    std::erase_if(members, [&](int32_t p) {
      if (stage(p).is_reduction() || dim_along(p, n) < 0) return false;
      plan_.stages[p].place = Place::inlined;
      return true;
    });
  if (members.empty() || !allows_vector(s, n)) {
    plan_ = before;
    return false;
  }
  auto give_up = [&] {
    plan_ = before;
    return false;
  };
  int32_t across = 0, rows = 0;
  for (int32_t p : members) {
    for (int32_t a : along[p])
      if (a == -3) return give_up();
    if (stage(p).is_reduction()) (dim_along(p, n) >= 0 ? across : rows) += 1;
  }
  if (across > 0 && rows > 0) return give_up();
  // The loops that all reductions share; in them the members are computed.
  std::vector<int32_t> shared, inside;
  for (int32_t a = 0; a < stage(s).outer_rank(); ++a) {
    if (a == n) continue;
    const bool all = std::all_of(members.begin(), members.end(), [&](int32_t p) { return dim_along(p, a) >= 0; });
    (all ? shared : inside).push_back(a);
  }
  if (rows > 0 && !inside.empty()) return give_up();
  for (int32_t p : members)
    for (size_t a = 0; a < stage(p).axes.size(); ++a) {
      const int32_t outer = a < along[p].size() ? along[p][a] : -1;
      const bool looped = std::find(shared.begin(), shared.end(), outer) != shared.end();
      const bool reduced = stage(p).axes[a].kind == AxisKind::reduction;
      if (!stage(p).axes[a].extent.is_constant() && !looped && !reduced) return give_up();
    }
  StageSchedule &root = plan_.stages[s];
  const int64_t width = extent(stage(s).axes[n]);
  root.lanes = lanes_for(s, width);
  root.vector_axis = n;
  root.loops.clear();
  int64_t points = 1;
  for (const Axis &axis : stage(s).axes) points *= extent(axis);
  auto add = [&](StageSchedule &plan, int32_t axis, int64_t tile) {
    LoopSpec l;
    l.axis = axis;
    l.tile = tile;
    l.balanced = false;
    plan.loops.push_back(l);
  };
  for (int32_t a : shared) add(root, a, 1);
  if (across > 0) add(root, n, 2 * root.lanes);
  if (points * 8 > kParallelWork) make_parallel(stage(s), root.loops);
  const int32_t at = static_cast<int32_t>(root.loops.size()) - 1;
  for (int32_t a : inside) add(root, a, 1);
  if (across == 0) add(root, n, 4 * root.lanes);
  for (int32_t p : members) member(p, s, at, dim_along(p, n), across > 0);
  return true;
}

// A stage of a row kernel: `dim` is its axis along the contiguous one, -1 when it has none.
void Scheduler::member(int32_t p, int32_t s, int32_t at, int32_t dim, bool across) {
  const Stage &st = stage(p);
  StageSchedule &plan = plan_.stages[p];
  plan = {};
  plan.place = Place::local;
  plan.at_stage = s;
  plan.at_loop = at;
  const auto last = static_cast<int32_t>(st.axes.size()) - 1;
  int32_t vector = dim;
  if (!across && st.is_reduction()) vector = st.combine && st.types.size() == 1 ? last : -1;
  if (vector >= 0 && !allows_vector(p, vector)) vector = -1;
  for (int32_t a = 0; a <= last; ++a) {
    if (a == vector) continue;
    LoopSpec l;
    l.axis = a;
    plan.loops.push_back(l);
  }
  if (vector < 0) return;
  const int64_t width = across ? 2 * lanes_for(p, extent(st.axes[vector])) : extent(st.axes[vector]);
  plan.vector_axis = vector;
  plan.lanes = lanes_for(p, width);
  if (vector >= st.outer_rank()) {
    plan.partials = 4;
    while (plan.partials > 1 && width < plan.partials * plan.lanes) plan.partials /= 2;
  }
  if (across) return; // the region is the width of the loop that it is computed in
  LoopSpec l;
  l.axis = vector;
  l.tile = 4 * plan.lanes;
  l.balanced = false;
  plan.loops.push_back(l);
}

// Stages whose size is known at run time only cannot be kept whole: they are computed inside the loops that they share
// with the result, or again where they are read.
bool Scheduler::scoped(int32_t s) {
  std::vector<bool> needed(k_.stages.size(), false);
  std::vector<int32_t> members, stack{s};
  while (!stack.empty()) {
    const int32_t r = stack.back();
    stack.pop_back();
    for_each_expr(r, [&](const Expr &e) {
      if (e.kind != Expr::Kind::stage || needed[e.source] || e.source == r || sequential(e.source)) return;
      const bool inlined = plan_.stages[e.source].place == Place::inlined;
      if (!inlined && (!is_root(e.source) || !stage(e.source).stores.empty())) return;
      needed[e.source] = true;
      if (!inlined) members.push_back(e.source);
      stack.push_back(e.source);
    });
  }
  auto symbolic = [&](int32_t p) {
    const Stage &st = stage(p);
    return std::any_of(st.axes.begin(), st.axes.begin() + st.outer_rank(),
                       [](const Axis &a) { return !a.extent.is_constant(); });
  };
  if (std::any_of(members.begin(), members.end(), symbolic))
    for (int32_t p = 0; p < count(); ++p) // what another result needs as well must outlive the loops of this one
      if (needed[p])
        for (int32_t r : readers_[p])
          if (r != s && !needed[r]) return false;
  const auto along = axes_along(s, needed);
  // Whether every reader of p goes along dim d of it as s does, not in a loop of its own or of one of its readers.
  std::function<bool(int32_t, size_t)> follows = [&](int32_t p, size_t d) {
    bool all = along[p][d] >= 0;
    for (int32_t r = p + 1; r <= s; ++r)
      if (r == s || needed[r])
        for_each_expr(r, [&](const Expr &e) {
          if (e.kind != Expr::Kind::stage || e.source != p) return;
          const Index &i = e.indices[d];
          const bool one = i.indirect < 0 && i.axes.size() == 1;
          all = all && one && i.axes[0].first < static_cast<int32_t>(along[r].size()) &&
                along[r][i.axes[0].first] == along[p][d] &&
                (r == s || follows(r, static_cast<size_t>(i.axes[0].first)));
        });
    return all;
  };
  std::vector<bool> shared(stage(s).axes.size(), false);
  std::vector<int32_t> placed;
  // Reductions first: a stage that asks for a loop more than they do would have them computed again in each of its
  // turns.
  std::stable_partition(members.begin(), members.end(), [&](int32_t p) { return stage(p).is_reduction(); });
  for (int32_t p : members) {
    if (!symbolic(p)) continue;
    bool mapped = true;
    for (int32_t d = 0; !placed.empty() && !stage(p).is_reduction() && d < stage(p).outer_rank(); ++d)
      mapped &= stage(p).axes[d].extent.is_constant() || (along[p][d] >= 0 && shared[along[p][d]]);
    for (int32_t d = 0; d < stage(p).outer_rank(); ++d)
      if (!stage(p).axes[d].extent.is_constant()) mapped &= follows(p, static_cast<size_t>(d));
    if (!mapped) {
      if (stage(p).is_reduction()) return false;
      plan_.stages[p].place = Place::inlined;
      continue;
    }
    for (int32_t d = 0; d < stage(p).outer_rank(); ++d)
      if (!stage(p).axes[d].extent.is_constant()) shared[along[p][d]] = true;
    placed.push_back(p);
  }
  if (placed.empty()) return false;
  std::vector<LoopSpec> &loops = plan_.stages[s].loops;
  std::stable_partition(loops.begin(), loops.end(), [&](const LoopSpec &l) { return shared[l.axis]; });
  const auto at = static_cast<int32_t>(std::count(shared.begin(), shared.end(), true)) - 1;
  for (int32_t p : placed) {
    plan_.stages[p].place = Place::local;
    plan_.stages[p].at_stage = s;
    plan_.stages[p].at_loop = at;
  }
  return true;
}

void Scheduler::plain_root(int32_t s) {
  if (scoped(s)) return;
  const Stage &st = stage(s);
  StageSchedule &plan = plan_.stages[s];
  if (st.is_reduction() || sequential(s)) return; // the plain loops
  const int32_t n = contiguous_axis(s);
  if (n < 0 || !allows_vector(s, n)) return;
  const int64_t e = extent(st.axes[n]);
  plan.vector_axis = n;
  plan.lanes = lanes_for(s, e);
  plan.loops.clear();
  int64_t points = 1;
  for (int32_t a = 0; a < static_cast<int32_t>(st.axes.size()); ++a) {
    points *= extent(st.axes[a]);
    LoopSpec l;
    l.axis = a;
    if (a != n) plan.loops.push_back(l);
  }
  LoopSpec l;
  l.axis = n;
  l.tile = std::min<int64_t>(4, std::max<int64_t>(1, e / plan.lanes)) * plan.lanes;
  l.balanced = false;
  plan.loops.push_back(l);
  if (points * 8 > kParallelWork * 4) make_parallel(st, plan.loops);
}

} // namespace cameo::loop
