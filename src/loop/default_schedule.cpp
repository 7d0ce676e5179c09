// The schedule that an analytical model of the target picks, without measuring anything.
//
// Three shapes cover most kernels. A *contraction* (a sum of products in which a constant operand is shared along one axis and the
// other operand along another) gets a register tile, panel-packed constants and read-ahead. A *row kernel* (reductions over an axis
// that the result has too: softmax, normalisations) computes row by row, vectors along the row, everything between in the
// first-level cache. What is left is loops with the contiguous axis as the vector.
#include "cameo/loop/apply.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

namespace cameo::loop {
namespace {

constexpr double kLoadsPerCycle = 2;
constexpr double kFmaLatency = 4;
constexpr int64_t kParallelWork =
    1 << 20; // multiply-adds (or elements * 8) below which one thread is as fast as several
constexpr int32_t kTasks = 8;

struct ReadInfo {
  const Expr *expr;
  std::vector<int64_t>
      coefficient; ///< per axis of the stage: elements of the buffer that one step moves (0: independent)
  bool constant_buffer = false;
};

class Scheduler {
public:
  Scheduler(const Kernel &kernel, std::vector<Binding> &bindings, const Target &target)
      : k_(kernel), bindings_(bindings), t_(target), plan_(plain_schedule(kernel)) {}

  Schedule run() {
    // Elements of less than a byte are taken one at a time: neighbours share bytes.
    for (const KernelBuffer &buffer : k_.buffers)
      if (bits(buffer.dtype) < 8) return std::move(plan_);
    for (int32_t s = 0; s < count(); ++s) readers_.push_back(readers_of(s));
    inline_cheap_stages();
    for (int32_t s = count() - 1; s >= 0; --s)
      if (is_root(s)) root(s);
    return std::move(plan_);
  }

private:
  int32_t count() const { return static_cast<int32_t>(k_.stages.size()); }
  const Stage &stage(int32_t s) const { return k_.stages[s]; }
  bool is_root(int32_t s) const { return plan_.stages[s].place == Place::root; }

  template <class F> void for_each_expr(int32_t s, F visit) const {
    std::set<ExprId> seen;
    std::vector<ExprId> stack;
    for (const auto *list : {&stage(s).init, &stage(s).next, &stage(s).before})
      stack.insert(stack.end(), list->begin(), list->end());
    while (!stack.empty()) {
      const ExprId id = stack.back();
      stack.pop_back();
      if (id < 0 || !seen.insert(id).second) continue;
      const Expr &e = k_.exprs[id];
      visit(e);
      stack.insert(stack.end(), e.args.begin(), e.args.end());
      for (const Index &i : e.indices) stack.push_back(i.indirect);
    }
  }

  std::vector<int32_t> readers_of(int32_t s) const {
    std::vector<int32_t> list;
    for (int32_t r = 0; r < count(); ++r) {
      bool reads = false;
      for_each_expr(r, [&](const Expr &e) { reads |= e.kind == Expr::Kind::stage && e.source == s; });
      if (reads && r != s) list.push_back(r);
    }
    return list;
  }

  int64_t extent(const Axis &axis) const { return axis.extent.is_constant() ? axis.extent.value : 256; }
  bool sequential(int32_t s) const {
    return std::any_of(stage(s).axes.begin(), stage(s).axes.end(),
                       [](const Axis &a) { return a.kind == AxisKind::sequential; });
  }

  // A stage that is no reduction and is read at one point per reader's point, or costs little, needs no memory.
  void inline_cheap_stages() {
    for (int32_t s = 0; s < count(); ++s) {
      if (stage(s).is_reduction() || !stage(s).stores.empty() || readers_[s].empty() || sequential(s)) continue;
      int operations = 0;
      for_each_expr(s, [&](const Expr &e) { operations += e.kind == Expr::Kind::op ? (is_math(e.op) ? 8 : 1) : 0; });
      int reads = 0;
      bool in_reduction = false;
      for (int32_t r : readers_[s]) {
        in_reduction |= stage(r).is_reduction();
        for_each_expr(r, [&](const Expr &e) { reads += e.kind == Expr::Kind::stage && e.source == s; });
      }
      if (operations <= 2 || (reads == 1 && !in_reduction)) plan_.stages[s].place = Place::inlined;
    }
  }

  static bool is_math(Opcode op) {
    return (op >= Opcode::exp && op <= Opcode::pow) || op == Opcode::div || op == Opcode::sqrt;
  }

  // Elements that a step along `axis` moves in the buffer behind an index list, where the layout says; 0 for no move, a large
  // number where the step is not constant.
  int64_t step_of(const std::vector<Index> &indices, const Binding &binding, int32_t axis) const {
    int64_t step = 0;
    for (const LayoutTerm &term : binding.terms)
      for (const auto &[a, c] : indices[term.dim].axes) {
        if (a != axis) continue;
        if (term.stride_symbol >= 0) return int64_t{1} << 40;
        if (term.divide == 1) step += c * term.stride;
      }
    for (const Index &i : indices)
      if (i.indirect >= 0) {
        bool depends = false;
        std::vector<ExprId> stack{i.indirect};
        while (!stack.empty()) {
          const Expr &e = k_.exprs[stack.back()];
          stack.pop_back();
          depends |= e.kind == Expr::Kind::axis && e.integer == axis;
          for (const Index &j : e.indices) {
            for (const auto &entry : j.axes) depends |= entry.first == axis;
            if (j.indirect >= 0) stack.push_back(j.indirect);
          }
          stack.insert(stack.end(), e.args.begin(), e.args.end());
        }
        if (depends) return int64_t{1} << 40;
      }
    return step;
  }

  // The axis along which the stage's result is contiguous; -1 when there is none worth a vector.
  int32_t contiguous_axis(int32_t s) const {
    const Stage &st = stage(s);
    int32_t best = -1;
    for (int32_t a = 0; a < st.outer_rank(); ++a) {
      if (st.axes[a].kind == AxisKind::sequential || (st.axes[a].extent.is_constant() && st.axes[a].extent.value < 2))
        continue;
      bool good = !st.stores.empty();
      for (const StageStore &store : st.stores) {
        if (store.buffer < 0) continue;
        good &= !store.accumulate && step_of(store.indices, bindings_[store.buffer], a) == 1;
        if (store.rule != OutOfRange::never)
          for (const Index &i : store.indices)
            for (const auto &entry : i.axes) good &= entry.first != a;
      }
      if (good) best = a;
    }
    return best;
  }

  // Whether every read of the stage and of the stages inlined into it allows lanes along `axis`.
  bool allows_vector(int32_t s, int32_t axis) const {
    bool good = true;
    for_each_expr(s, [&](const Expr &e) {
      if (e.kind == Expr::Kind::pick && e.integer == axis) good = false;
      if (e.kind != Expr::Kind::stage || plan_.stages[e.source].place != Place::inlined) return;
      int32_t inner = -1;
      for (size_t d = 0; d < e.indices.size(); ++d) {
        if (e.indices[d].indirect >= 0) good = false;
        for (const auto &[a, c] : e.indices[d].axes)
          if (a == axis) {
            if (c != 1 || inner >= 0) good = false;
            inner = static_cast<int32_t>(d);
          }
      }
      if (good && inner >= 0) good = allows_vector(e.source, inner);
    });
    return good;
  }

  int32_t widest_bits(int32_t s) const {
    int32_t widest = 8;
    for_each_expr(s, [&](const Expr &e) {
      if (e.kind != Expr::Kind::axis && e.kind != Expr::Kind::symbol && e.type != Scalar::i1 && e.indices.empty())
        widest = std::max(widest, bits(e.type));
    });
    for (Scalar type : stage(s).types) widest = std::max(widest, bits(type) > 1 ? bits(type) : 8);
    return widest;
  }

  int32_t lanes_for(int32_t s, int64_t extent) const {
    int32_t lanes = t_.lanes(std::max(widest_bits(s), 32));
    while (lanes > 4 && extent <= lanes / 2) lanes /= 2;
    return lanes;
  }

  // ---- one result and what it needs

  void root(int32_t s) {
    std::vector<int32_t> sums;
    for (int32_t p = 0; p < count(); ++p)
      if (stage(p).is_reduction() && is_root(p) && p != s && stage(p).stores.empty() && !sequential(p) &&
          std::find(readers_[p].begin(), readers_[p].end(), s) != readers_[p].end())
        sums.push_back(p);
    if (!stage(s).is_reduction() && sums.size() == 1 && reads_pointwise(s, sums[0]) && tile_contraction(s, sums[0]))
      return;
    if (stage(s).is_reduction() && !sequential(s) && sums.empty() && (tile_contraction(s, s) || row_sums(s, s))) return;
    if (!stage(s).is_reduction() && sums.size() == 1 && reads_pointwise(s, sums[0]) && row_sums(s, sums[0])) return;
    if (!stage(s).is_reduction() && row_kernel(s)) return;
    plain_root(s);
  }

  // Every read of p by s is p[own axes...] in order.
  bool reads_pointwise(int32_t s, int32_t p) const {
    bool good = readers_[p].size() == 1 && stage(p).outer_rank() == static_cast<int32_t>(stage(s).axes.size());
    for_each_expr(s, [&](const Expr &e) {
      if (e.kind != Expr::Kind::stage || e.source != p) return;
      for (size_t d = 0; d < e.indices.size(); ++d) {
        const Index &i = e.indices[d];
        good &= i.indirect < 0 && i.constant == 0 && i.axes.size() == 1 && i.axes[0].first == static_cast<int32_t>(d) &&
                i.axes[0].second == 1;
      }
      good &= e.rule == OutOfRange::never;
    });
    return good;
  }

  std::vector<ReadInfo> buffer_reads(int32_t s) const {
    std::vector<ReadInfo> reads;
    std::vector<ExprId> stack(stage(s).next.begin(), stage(s).next.end());
    while (!stack.empty()) {
      const Expr &e = k_.exprs[stack.back()];
      stack.pop_back();
      stack.insert(stack.end(), e.args.begin(), e.args.end());
      if (e.kind != Expr::Kind::buffer) continue;
      ReadInfo info{&e, {}, k_.buffers[e.source].role == BufferRole::constant};
      for (size_t a = 0; a < stage(s).axes.size(); ++a)
        info.coefficient.push_back(step_of(e.indices, bindings_[e.source], static_cast<int32_t>(a)));
      reads.push_back(std::move(info));
    }
    return reads;
  }

  struct Tile {
    int32_t m = -1; ///< axis that the rows of the tile run along
    int64_t mr = 1, nv = 1;
    double cost = std::numeric_limits<double>::infinity();
  };
  // Cycles of one reduction step over all tiles of the (m, n) plane: multiply-adds, loads, and the latency of the accumulators,
  // whichever is longest. A read that does not move along m is loaded once for all rows of the tile; one that does not move along n
  // is one scalar that is broadcast. Constants that stay the same along m and the reduction's tile are hoisted: they cost a register.
  Tile best_tile(const std::vector<ReadInfo> &reads, const Stage &out, int32_t n, int64_t columns, int32_t lanes,
                 int64_t steps) const {
    Tile best;
    const int64_t registers = t_.vector_registers;
    for (int32_t m = static_cast<int32_t>(out.axes.size()) - 1; m >= -1; --m) {
      if (m == n || (m >= 0 && out.axes[m].kind == AxisKind::sequential)) continue;
      const int64_t rows = m >= 0 ? extent(out.axes[m]) : 1;
      if (m >= 0 && rows == 1) continue;
      for (int64_t nv = 1; nv <= 4; ++nv)
        for (int64_t mr = 1; mr <= std::min<int64_t>(rows, registers); ++mr) {
          double loads = 0;
          int64_t live = mr * nv + 1;
          for (const ReadInfo &r : reads) {
            const bool along_n = moves_with(*r.expr, n), along_m = m >= 0 && moves_with(*r.expr, m);
            loads += double((along_n ? nv : 1) * (along_m ? mr : 1));
            if (along_n && !along_m) live += steps <= 9 ? nv * steps : nv;
          }
          if (live > registers) continue;
          const double tiles = std::ceil(double(rows) / double(mr)) * std::ceil(double(columns) / double(nv * lanes));
          const double share =
              std::min(1.0, double(rows) / std::ceil(double(rows) / double(mr)) / double(mr)); // balanced tiles
          const double fma = share * double(mr * nv) / t_.fma_per_cycle, load = share * loads / kLoadsPerCycle;
          double others = 1; // tiles over the remaining axes
          for (int32_t a = 0; a < static_cast<int32_t>(out.axes.size()); ++a)
            if (a != n && a != m) others *= double(extent(out.axes[a]));
          const double cost = others * tiles * (std::max({fma, load, kFmaLatency}) + 0.15 * load + 0.5);
          if (cost < best.cost * 0.99) best = {m, mr, nv, cost};
        }
    }
    return best;
  }

  // s = epilogue(sum), or s = sum itself: sums in registers, tiles of mr points along one axis and nv vectors along the contiguous one.
  bool tile_contraction(int32_t s, int32_t sum) {
    const Stage &acc = stage(sum);
    Stage out = stage(s); // its outer axes
    out.axes.resize(out.outer_rank());
    const int32_t n = contiguous_axis(s);
    if (n < 0 || !allows_vector(s, n) || !allows_vector(sum, n)) return false;
    const std::vector<ReadInfo> reads = buffer_reads(sum);
    for (const ReadInfo &r : reads)
      if (!r.constant_buffer && r.coefficient[n] != 0 && r.coefficient[n] != 1) return false;
    if (!out.axes[n].extent.is_constant()) return false;
    const int64_t columns = extent(out.axes[n]);
    const int32_t lanes = lanes_for(sum, columns);
    // The constant that is walked along n with the reduction, and shared along m: it gets packed by panels.
    const ReadInfo *weight = nullptr;
    for (const ReadInfo &r : reads)
      if (r.constant_buffer && moves_with(*r.expr, n)) weight = &r;
    int64_t steps = 1;
    for (const Axis &axis : acc.axes)
      if (axis.kind == AxisKind::reduction) steps *= extent(axis);
    const Tile tile = best_tile(reads, out, n, columns, lanes, steps);
    const int32_t m = tile.m;
    // Every vector is loaded for one multiply-add, as in a depthwise convolution or a pool: there is nothing to pack.
    const bool depthwise = std::any_of(reads.begin(), reads.end(),
                                       [&](const ReadInfo &r) { return !r.constant_buffer && r.coefficient[n] == 1; });
    const int64_t panel = tile.nv * lanes;
    const bool dot = weight && !depthwise && is_dot(sum, *weight->expr);
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
      if (dot) order.emplace_back(weight_dim(*weight->expr, static_cast<int32_t>(acc.axes.size()) - 1), 4);
      const bool plain_dim =
          weight->expr->indices[dim].axes.size() == 1 && weight->expr->indices[dim].axes[0].second == 1;
      if (plain_dim) {
        Binding b = packed(w, order, 64);
        b.aliased = bindings_[weight->expr->source].aliased;
        bindings_[weight->expr->source] = b;
        weight_bytes = b.size * std::max(1, bits(w.dtype) / 8);
        panel_elements = steps * panel;
        if (!front.empty()) panel_elements = 0;
      }
    }
    // Loop order: panels outermost when the weights exceed half of the second-level cache, rows outermost otherwise.
    const bool panels_outside = weight_bytes > t_.l2_bytes / 2;
    std::vector<LoopSpec> loops;
    auto add = [&](int32_t axis, int64_t t, bool balanced) {
      LoopSpec l;
      l.axis = axis;
      l.tile = t;
      l.balanced = balanced;
      loops.push_back(l);
    };
    if (panels_outside || depthwise) add(n, panel, false);
    for (int32_t a = 0; a < static_cast<int32_t>(out.axes.size()); ++a)
      if (a != n && a != m) add(a, 1, false);
    if (m >= 0) add(m, tile.mr, true);
    if (!panels_outside && !depthwise) add(n, panel, false);
    int64_t points = 1;
    for (const Axis &axis : out.axes) points *= extent(axis);
    if (points * steps > kParallelWork) make_parallel(out, loops);
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
      if (dot && a + 1 == acc.axes.size()) {
        l.tile = 4 * divisor_at_most(e / 4, 4);
        l.balanced = false;
        unrolled = 2;
        reduction.push_back(l);
        continue;
      }
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
    inner.dot = dot;
    if (panels_outside && panel_elements > 0) {
      inner.prefetch_buffer = weight->expr->source;
      inner.prefetch_loop_stage = s;
      inner.prefetch_loop = 0;
      inner.prefetch_panel = panel_elements;
    }
    return true;
  }

  static int32_t weight_dim(const Expr &e, int32_t axis) {
    for (size_t d = 0; d < e.indices.size(); ++d)
      for (const auto &entry : e.indices[d].axes)
        if (entry.first == axis) return static_cast<int32_t>(d);
    return -1;
  }

  // carried + zext(u8) * sext(s8) with the signed operand in `weight`, 4 steps of the innermost reduction axis at a time.
  bool is_dot(int32_t sum, const Expr &weight) const {
    const Stage &acc = stage(sum);
    const Axis &innermost = acc.axes.back();
    if (!t_.dot_u8s8 || acc.types[0] != Scalar::i32 || !innermost.extent.is_constant() ||
        innermost.extent.value % 4 != 0)
      return false;
    const int32_t dim = weight_dim(weight, static_cast<int32_t>(acc.axes.size()) - 1);
    if (dim < 0 || weight.indices[dim].axes.size() != 1 || weight.indices[dim].axes[0].second != 1) return false;
    const Expr &next = k_.exprs[acc.next[0]];
    if (next.kind != Expr::Kind::op || next.op != Opcode::add || k_.exprs[next.args[0]].kind != Expr::Kind::carried)
      return false;
    const Expr &product = k_.exprs[next.args[1]];
    if (product.kind != Expr::Kind::op || product.op != Opcode::mul) return false;
    const Expr *unsigned_read = nullptr, *signed_read = nullptr;
    for (ExprId id : product.args) {
      const Expr &e = k_.exprs[id];
      if (e.kind != Expr::Kind::op || k_.exprs[e.args[0]].kind != Expr::Kind::buffer ||
          k_.exprs[e.args[0]].type != Scalar::i8)
        return false;
      if (k_.exprs[e.args[0]].rule != OutOfRange::never) return false;
      (e.op == Opcode::zext ? unsigned_read : signed_read) = &k_.exprs[e.args[0]];
      if (e.op != Opcode::zext && e.op != Opcode::sext) return false;
    }
    return unsigned_read && signed_read == &weight &&
           step_of(unsigned_read->indices, bindings_[unsigned_read->source],
                   static_cast<int32_t>(acc.axes.size()) - 1) == 1;
  }

  static int64_t divisor_at_most(int64_t n, int64_t limit) {
    for (int64_t d = limit; d > 1; --d)
      if (n % d == 0) return d;
    return std::min(n, limit);
  }

  static bool moves_with(const Expr &e, int32_t axis) {
    for (const Index &i : e.indices)
      for (const auto &entry : i.axes)
        if (entry.first == axis) return true;
    return false;
  }

  void make_parallel(const Stage &out, std::vector<LoopSpec> &loops) const {
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

  // Sums along the axis that is contiguous in what is read: vectors of partial sums, one result at a time.
  bool row_sums(int32_t s, int32_t sum) {
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

  // For each outer axis of every stage that `s` needs: the axis of s that it runs along one to one, or -1. Readers come after what
  // they read, so one pass backwards meets every reader first.
  std::vector<std::vector<int32_t>> axes_along(int32_t s, const std::vector<bool> &needed) const {
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

  // Reductions whose readers have an axis more (softmax, normalisations): the stages between stay in scratch memory of one row, when
  // the reduction runs along the contiguous axis, or of a few columns side by side, when it runs across it.
  bool row_kernel(int32_t s) {
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
  void member(int32_t p, int32_t s, int32_t at, int32_t dim, bool across) {
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

  // Stages whose size is known at run time only cannot be kept whole: they are computed inside the loops that they share with the
  // result, or again where they are read.
  bool scoped(int32_t s) {
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
    const auto along = axes_along(s, needed);
    std::vector<bool> shared(stage(s).axes.size(), false);
    std::vector<int32_t> placed;
    for (int32_t p : members) {
      bool symbolic = false, mapped = true;
      for (int32_t d = 0; d < stage(p).outer_rank(); ++d) {
        if (stage(p).axes[d].extent.is_constant()) continue;
        symbolic = true;
        mapped &= along[p][d] >= 0;
      }
      if (!symbolic) continue;
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

  void plain_root(int32_t s) {
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

  const Kernel &k_;
  std::vector<Binding> &bindings_;
  const Target &t_;
  Schedule plan_;
  std::vector<std::vector<int32_t>> readers_;
};

} // namespace

Schedule default_schedule(const Kernel &kernel, std::vector<Binding> &bindings, const Target &target) {
  return Scheduler(kernel, bindings, target).run();
}

} // namespace cameo::loop
