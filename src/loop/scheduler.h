// The analytical scheduler: what default_schedule.cpp describes, as one class in several files,
//   scheduler.h               what a kernel's stages read and along which axes they move
//   schedule_contraction.cpp  register tiles and packed constants
//   schedule_dot.cpp          sums of products of bytes
//   schedule_rows.cpp         reductions along and across rows, and stages of symbolic size
//   schedule_strips.cpp       chains of windows, in strips of rows
//   schedule_blocks.cpp       several states that advance over blocks
//   schedule_sequence.cpp     recurrent layers
//   schedule_walk.cpp         reductions of which every step needs the one before
#pragma once

#include "blocks.h"
#include "recurrence.h"

#include "cameo/loop/apply.h"
#include "cameo/loop/visit.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <set>

namespace cameo::loop {

inline constexpr double kFmaLatency = 4;
inline constexpr int64_t kParallelWork =
    1 << 20; // multiply-adds (or elements * 8) below which one thread is as fast as several
inline constexpr int32_t kTasks = 8;

struct ReadInfo {
  const Expr *expr;
  std::vector<int64_t>
      coefficient; ///< per axis of the stage: elements of the buffer that one step moves (0: independent)
  bool constant_buffer = false;
  bool direct =
      true; ///< not through a stage that is computed where it is read: the indices are over the stage's own axes
};

class Scheduler {
public:
  Scheduler(const Kernel &kernel, std::vector<Binding> &bindings, const Target &target)
      : k_(kernel), bindings_(bindings), t_(target), plan_(plain_schedule(kernel)), panels_(kernel.buffers.size(), 0) {}

  Schedule run() {
    // Elements of less than a byte are taken one at a time: neighbours share bytes.
    for (const KernelBuffer &buffer : k_.buffers)
      if (bits(buffer.dtype) < 8) return std::move(plan_);
    for (int32_t s = 0; s < count(); ++s) readers_.push_back(readers_of(s));
    find_sums();
    if (blocks() || strips()) return std::move(plan_);
    inline_cheap_stages();
    std::vector<bool> done(k_.stages.size(), false);
    for (int32_t s = 0; s < count(); ++s)
      if (const std::optional<Recurrence> r = find_recurrence(k_, s)) {
        steps(*r);
        done[s] = true;
        if (r->reader >= 0) done[r->reader] = true;
      }
    for (int32_t s = count() - 1; s >= 0; --s)
      if (is_root(s) && !done[s]) root(s);
    return std::move(plan_);
  }

private:
  int32_t count() const { return static_cast<int32_t>(k_.stages.size()); }
  const Stage &stage(int32_t s) const { return k_.stages[s]; }
  bool is_root(int32_t s) const { return plan_.stages[s].place == Place::root; }

  void for_each_expr(int32_t s, const std::function<void(const Expr &)> &visit) const {
    loop::for_each_expr(k_, s, visit);
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

  // Whether the value of the expression comes from a buffer or a stage.
  bool reads_memory(ExprId id) const {
    if (id < 0) return false;
    std::set<ExprId> seen;
    for (std::vector<ExprId> stack{id}; !stack.empty();) {
      const ExprId at = stack.back();
      stack.pop_back();
      if (!seen.insert(at).second) continue;
      const Expr &e = k_.exprs[at];
      if (e.kind == Expr::Kind::buffer || e.kind == Expr::Kind::stage) return true;
      stack.insert(stack.end(), e.args.begin(), e.args.end());
    }
    return false;
  }

  // A stage that is no reduction and is read at one point per reader's point, or costs little, needs no memory.
  void inline_cheap_stages() {
    for (int32_t s = 0; s < count(); ++s) {
      if (stage(s).is_reduction() || !stage(s).stores.empty() || readers_[s].empty() || sequential(s)) continue;
      int operations = 0;
      for_each_expr(s, [&](const Expr &e) { operations += e.kind == Expr::Kind::op ? (is_math(e.op) ? 8 : 1) : 0; });
      int reads = 0;
      bool in_reduction = false, at_run = false;
      for (int32_t r : readers_[s]) {
        in_reduction |= stage(r).is_reduction();
        for_each_expr(r, [&](const Expr &e) {
          if (e.kind != Expr::Kind::stage || e.source != s) return;
          ++reads;
          for (const Index &i : e.indices) at_run |= reads_memory(i.indirect);
        });
      }
      if (at_run) continue; // read where other data say: it needs memory
      if (operations <= 2 || (reads == 1 && !in_reduction)) plan_.stages[s].place = Place::inlined;
    }
  }

  static bool is_math(Opcode op) {
    return (op >= Opcode::exp && op <= Opcode::pow) || op == Opcode::div || op == Opcode::sqrt;
  }

  // Elements that a step along `axis` moves in the buffer behind an index list, where the layout says; 0 for no move, a
  // large number where the step is not constant.
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
        std::set<ExprId> seen;
        std::vector<ExprId> stack{i.indirect};
        while (!stack.empty()) {
          const ExprId id = stack.back();
          stack.pop_back();
          if (!seen.insert(id).second) continue;
          const Expr &e = k_.exprs[id];
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

  // Whether the stage's result can be stored by vectors along axis a: contiguous, or at least apart from each other.
  bool stores_along(int32_t s, int32_t a, bool contiguous) const {
    const Stage &st = stage(s);
    if (st.stores.empty() || st.axes[a].kind == AxisKind::sequential ||
        (st.axes[a].extent.is_constant() && st.axes[a].extent.value < 2))
      return false;
    for (const StageStore &store : st.stores) {
      if (store.buffer < 0) continue;
      const int64_t step = step_of(store.indices, bindings_[store.buffer], a);
      if (store.accumulate || (contiguous ? step != 1 : step < 1 || step >= int64_t{1} << 40)) return false;
      // A vector is stored whole or not at all: no lane of it may leave the buffer alone.
      for (size_t d = 0; store.rule != OutOfRange::never && d < store.indices.size(); ++d) {
        const Index &i = store.indices[d];
        const bool moves =
            std::any_of(i.axes.begin(), i.axes.end(), [&](const auto &entry) { return entry.first == a; });
        if (moves && !(i.axes.size() == 1 && i.axes[0].second == 1 && i.constant == 0 && i.indirect < 0 &&
                       st.axes[a].extent == k_.buffers[store.buffer].dims[d]))
          return false;
      }
    }
    return true;
  }

  // The axis along which the stage's result is contiguous; -1 when there is none worth a vector.
  int32_t contiguous_axis(int32_t s) const {
    for (int32_t a = stage(s).outer_rank(); a-- > 0;)
      if (stores_along(s, a, true)) return a;
    return -1;
  }

  // Whether every read of the stage and of the stages inlined into it allows lanes along `axis`.
  bool allows_vector(int32_t s, int32_t axis) const {
    std::set<std::pair<int32_t, int32_t>> asked;
    return allows_vector(s, axis, asked);
  }
  bool allows_vector(int32_t s, int32_t axis, std::set<std::pair<int32_t, int32_t>> &asked) const {
    if (!asked.emplace(s, axis).second) return true;
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
      if (good && inner >= 0) good = allows_vector(e.source, inner, asked);
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
    if (stage(s).is_reduction() && !sequential(s)) {
      bool reads_sums = false;
      for (int32_t p = 0; p < s; ++p)
        reads_sums |= stage(p).is_reduction() && is_root(p) && stage(p).stores.empty() && !sequential(p) &&
                      std::find(readers_[p].begin(), readers_[p].end(), s) != readers_[p].end();
      if (!reads_sums && (dot_contraction(s, s) || tile_contraction(s, s) || row_sums(s, s))) return;
    }
    if (!stage(s).is_reduction()) {
      if (walk_rows(s)) return;
      const Schedule before = plan_;
      if (const int32_t sum = sum_behind(s);
          sum >= 0 && (dot_contraction(s, sum) || tile_contraction(s, sum) || row_sums(s, sum)))
        return;
      plan_ = before;
      if (row_kernel(s)) return;
    }
    plain_root(s);
  }

  // Whether the stage reads a reduction, directly or through other stages.
  bool reads_reduction(int32_t s) const { return behind_sum_[static_cast<size_t>(s)]; }

  void find_sums() {
    for (int32_t s = 0; s < count(); ++s) behind_sum_.push_back(stage(s).is_reduction());
    std::vector<int32_t> found;
    for (int32_t s = 0; s < count(); ++s)
      if (reads_reduction(s)) found.push_back(s);
    for (size_t at = 0; at < found.size(); ++at)
      for (int32_t r : readers_[static_cast<size_t>(found[at])])
        if (!reads_reduction(r)) {
          behind_sum_[static_cast<size_t>(r)] = true;
          found.push_back(r);
        }
  }

  // The one reduction that s is a function of, point by point, perhaps through an epilogue of further stages, which
  // only s needs: they are then computed where they are read. -1 when there is none.
  int32_t sum_behind(int32_t s) {
    std::vector<int32_t> chain{s};
    int32_t sum = -1;
    bool good = true;
    for (size_t at = 0; at < chain.size() && good; ++at)
      for_each_expr(chain[at], [&](const Expr &e) {
        const int32_t p = e.source;
        if (e.kind != Expr::Kind::stage || (plan_.stages[p].place == Place::inlined && !reads_reduction(p))) return;
        good = good && pointwise(e) && stage(p).stores.empty() && !sequential(p) &&
               stage(p).outer_rank() == static_cast<int32_t>(stage(s).axes.size()) &&
               (sum < 0 || p == sum || !stage(p).is_reduction());
        if (std::find(chain.begin(), chain.end(), p) != chain.end()) return;
        if (stage(p).is_reduction()) {
          good = good && is_root(p);
          sum = p;
        } else {
          chain.push_back(p);
        }
      });
    if (!good || sum < 0) return -1;
    auto inside = [&](int32_t r) { return std::find(chain.begin(), chain.end(), r) != chain.end(); };
    if (!std::all_of(readers_[sum].begin(), readers_[sum].end(), inside)) return -1;
    for (int32_t p : chain) good = good && (p == s || std::all_of(readers_[p].begin(), readers_[p].end(), inside));
    if (!good) return -1;
    for (int32_t p : chain)
      if (p != s) plan_.stages[p].place = Place::inlined;
    return sum;
  }

  // What the stage and the stages that are computed where it reads them read, each once.
  std::vector<ReadInfo> buffer_reads(int32_t s) const {
    std::map<int32_t, std::vector<ReadInfo>> known;
    return buffer_reads(s, known);
  }
  const std::vector<ReadInfo> &buffer_reads(int32_t s, std::map<int32_t, std::vector<ReadInfo>> &known) const {
    if (const auto it = known.find(s); it != known.end()) return it->second;
    std::vector<ReadInfo> reads;
    auto add = [&](ReadInfo info) {
      const bool again = std::any_of(reads.begin(), reads.end(), [&](const ReadInfo &r) {
        return r.expr == info.expr && r.direct == info.direct && r.coefficient == info.coefficient;
      });
      if (!again) reads.push_back(std::move(info));
    };
    std::set<ExprId> seen;
    std::vector<ExprId> stack(stage(s).next.begin(), stage(s).next.end());
    while (!stack.empty()) {
      const ExprId id = stack.back();
      stack.pop_back();
      if (!seen.insert(id).second) continue;
      const Expr &e = k_.exprs[id];
      stack.insert(stack.end(), e.args.begin(), e.args.end());
      if (e.kind == Expr::Kind::stage && e.source != s && plan_.stages[e.source].place == Place::inlined)
        for (const ReadInfo &info : buffer_reads(e.source, known)) add(composed(info, e, s));
      if (e.kind == Expr::Kind::stage && e.source != s && !kept_along_.empty() && kept_along_[e.source] >= 0) {
        add(kept_read(e, s));
        continue;
      }
      if (e.kind != Expr::Kind::buffer) continue;
      ReadInfo info{&e, {}, k_.buffers[e.source].role == BufferRole::constant};
      for (size_t a = 0; a < stage(s).axes.size(); ++a)
        info.coefficient.push_back(step_of(e.indices, bindings_[e.source], static_cast<int32_t>(a)));
      add(std::move(info));
    }
    return known[s] = std::move(reads);
  }

  // A read of a stage whose rows lie in a ring, one axis innermost.
  ReadInfo kept_read(const Expr &e, int32_t s) const {
    constexpr int64_t kFar = int64_t{1} << 20;
    ReadInfo info{&e, std::vector<int64_t>(stage(s).axes.size(), 0)};
    for (size_t d = 0; d < e.indices.size(); ++d)
      for (const auto &[axis, coefficient] : e.indices[d].axes)
        info.coefficient[axis] += coefficient * (static_cast<int32_t>(d) == kept_along_[e.source] ? 1 : kFar);
    return info;
  }

  // What a read of stage e.source moves when the axes of s move.
  ReadInfo composed(ReadInfo inner, const Expr &e, int32_t s) const {
    std::vector<int64_t> steps(stage(s).axes.size(), 0);
    for (size_t d = 0; d < e.indices.size(); ++d)
      for (const auto &[axis, coefficient] : e.indices[d].axes) steps[axis] += coefficient * inner.coefficient[d];
    inner.coefficient = std::move(steps);
    inner.direct = false;
    return inner;
  }

  // Of the buffer that is read; 0 where its size depends on symbols.
  int64_t buffer_bytes(const ReadInfo &read) const {
    if (read.expr->kind != Expr::Kind::buffer) return 0;
    const KernelBuffer &b = k_.buffers[read.expr->source];
    int64_t bytes = std::max(1, bits(b.dtype) / 8);
    for (const Extent &e : b.dims) bytes *= e.is_constant() ? e.value : 0;
    return bytes;
  }

  static bool moves_with(const ReadInfo &read, int32_t axis) {
    return read.direct ? moves_with(*read.expr, axis) : read.coefficient[axis] != 0;
  }

  struct Tile {
    int32_t m = -1; ///< axis that the rows of the tile run along
    int64_t mr = 1, nv = 1;
    double cost = std::numeric_limits<double>::infinity();
  };
  Tile best_tile(const std::vector<ReadInfo> &reads, const Stage &out, const Stage &acc, int32_t n, int64_t columns,
                 int32_t lanes, int64_t steps, int64_t panel = 0) const;
  std::pair<int64_t, int64_t> window_along(const Expr &e, const Stage &acc, int32_t m) const;
  bool fixed_rows(const std::vector<ReadInfo> &reads, const Stage &out, int32_t n) const;
  void pack_columns(const Expr &e, int32_t n, int64_t columns, int64_t panel);

  bool tile_contraction(int32_t s, int32_t sum);
  int32_t column_axis(int32_t s, int32_t sum) const;
  bool tile_contraction(int32_t s, int32_t sum, int32_t n, int32_t strip_axis = -1);
  bool strips();
  static Binding grouped_panels(const KernelBuffer &w, const std::vector<std::pair<int32_t, int64_t>> &order,
                                int32_t dim, int64_t columns, int64_t panel, int32_t lanes);

  // Number of axes in the coordinate that moves along n.
  static size_t weight_axes(const Expr &e, int32_t n) { return e.indices[weight_dim(e, n)].axes.size(); }

  static int32_t weight_dim(const Expr &e, int32_t axis) {
    for (size_t d = 0; d < e.indices.size(); ++d)
      for (const auto &entry : e.indices[d].axes)
        if (entry.first == axis) return static_cast<int32_t>(d);
    return -1;
  }

  /// The reads of a sum of products of bytes, and the dims of the signed one that the columns and the innermost
  /// reduction axis index.
  struct Dot {
    const Expr *unsigned_read = nullptr, *signed_read = nullptr;
    int32_t n_dim = -1, k_dim = -1;
  };
  std::optional<Dot> dot_of(int32_t sum, int32_t n) const;

  static int32_t plain_dim(const Expr &e, int32_t axis);

  bool border_serves(const Stage &reader, const Expr &e) const;

  bool dot_contraction(int32_t s, int32_t sum);

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

  void make_parallel(const Stage &out, std::vector<LoopSpec> &loops) const;

  bool row_sums(int32_t s, int32_t sum);

  int32_t element_lanes(int32_t s, int64_t extent) const;
  bool walk_batch(int32_t s, int32_t sum, int32_t walk);
  bool walk_rows(int32_t s);

  std::vector<std::vector<int32_t>> axes_along(int32_t s, const std::vector<bool> &needed) const;

  bool row_kernel(int32_t s);

  void member(int32_t p, int32_t s, int32_t at, int32_t dim, bool across);

  bool scoped(int32_t s);

  void plain_root(int32_t s);

  bool blocks();

  LoopSpec free_tile(int32_t s, int32_t axis, int64_t most) const;

  std::vector<int32_t> free_axes(int32_t s, const Blocks &b) const;

  void block_rows(int32_t s, const Blocks &b, int32_t lane, int64_t vectors);

  void block_single(int32_t s, const Blocks &b);

  void steps(const Recurrence &r);

  void step_sum(int32_t p, const Recurrence &r, int64_t rows);

  void step_values(int32_t p, int32_t columns, std::vector<LoopSpec> loops);

  const Kernel &k_;
  std::vector<Binding> &bindings_;
  const Target &t_;
  Schedule plan_;
  std::vector<int64_t> panels_; ///< per buffer: columns of the panels that it is packed by; 0: none
  std::vector<std::vector<int32_t>> readers_;
  std::vector<bool> behind_sum_;    ///< per stage: reads a reduction or is one
  std::vector<int32_t> kept_along_; ///< strips, per stage: the innermost axis of its ring of rows; -1: it has none
};

} // namespace cameo::loop
