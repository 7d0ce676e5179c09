// Sums of products of bytes, unsigned ones of an input by signed ones of a constant, 4 at a time by a dot-product
// instruction: the same register tile as other contractions, with the constant packed by panels of columns and groups
// of 4 along the reduction (PERF.md 3.3). Where a target has no such instruction, what replaces it takes 2 at a time
// and still beats products of 32 bits.
#include "scheduler.h"

namespace cameo::loop {

// Whether the indices of the read stay inside its buffer and the border around it, which holds the value that the read
// wants there.
bool Scheduler::border_serves(const Stage &reader, const Expr &e) const {
  if (e.rule == OutOfRange::never) return true;
  const Binding &binding = bindings_[e.source];
  if (e.rule != OutOfRange::fill || binding.halo.empty() || binding.halo_value != e.real) return false;
  const KernelBuffer &buffer = k_.buffers[e.source];
  for (size_t d = 0; d < buffer.dims.size(); ++d) {
    int64_t low = e.indices[d].constant, high = low;
    if (e.indices[d].indirect >= 0) return false;
    bool own = e.indices[d].constant == 0 && e.indices[d].axes.size() == 1 && e.indices[d].axes[0].second == 1;
    own = own && reader.axes[e.indices[d].axes[0].first].extent == buffer.dims[d];
    if (own) continue;
    if (!buffer.dims[d].is_constant()) return false;
    for (const auto &[axis, coefficient] : e.indices[d].axes) {
      if (!reader.axes[axis].extent.is_constant()) return false;
      (coefficient > 0 ? high : low) += coefficient * (reader.axes[axis].extent.value - 1);
    }
    if (-low > binding.halo[d].first || high - (buffer.dims[d].value - 1) > binding.halo[d].second) return false;
  }
  return true;
}

// carried + zext(u8) * sext(s8): the unsigned operand one byte after the other along the innermost reduction axis and
// the same for all columns, the signed one a constant.
std::optional<Scheduler::Dot> Scheduler::dot_of(int32_t sum, int32_t n) const {
  const Stage &acc = stage(sum);
  if (acc.types.size() != 1 || acc.types[0] != Scalar::i32 || acc.axes.size() == static_cast<size_t>(acc.outer_rank()))
    return std::nullopt;
  const auto k = static_cast<int32_t>(acc.axes.size()) - 1;
  if (!acc.axes[k].extent.is_constant() || acc.axes[k].extent.value < 3) return std::nullopt;
  const Expr &next = k_.exprs[acc.next[0]];
  if (next.kind != Expr::Kind::op || next.op != Opcode::add || k_.exprs[next.args[0]].kind != Expr::Kind::carried)
    return std::nullopt;
  const Expr &product = k_.exprs[next.args[1]];
  if (product.kind != Expr::Kind::op || product.op != Opcode::mul) return std::nullopt;
  Dot dot;
  for (ExprId id : product.args) {
    const Expr &extended = k_.exprs[id];
    if (extended.kind != Expr::Kind::op || (extended.op != Opcode::zext && extended.op != Opcode::sext))
      return std::nullopt;
    const Expr &e = k_.exprs[extended.args[0]];
    if (e.kind != Expr::Kind::buffer || e.type != Scalar::i8 || bits(k_.buffers[e.source].dtype) != 8)
      return std::nullopt;
    (extended.op == Opcode::zext ? dot.unsigned_read : dot.signed_read) = &e;
  }
  if (!dot.unsigned_read || !dot.signed_read) return std::nullopt;
  const Expr &x = *dot.unsigned_read, &w = *dot.signed_read;
  if (k_.buffers[w.source].role != BufferRole::constant || w.rule != OutOfRange::never || moves_with(x, n) ||
      !border_serves(acc, x) || step_of(x.indices, bindings_[x.source], k) != 1)
    return std::nullopt;
  dot.n_dim = plain_dim(w, n);
  dot.k_dim = plain_dim(w, k);
  if (dot.n_dim < 0 || dot.k_dim < 0) return std::nullopt;
  return dot;
}

// The dim that `axis` alone indexes, one to one; -1 when there is none.
int32_t Scheduler::plain_dim(const Expr &e, int32_t axis) {
  int32_t found = -1;
  for (size_t d = 0; d < e.indices.size(); ++d) {
    const Index &i = e.indices[d];
    bool moves = false;
    for (const auto &entry : i.axes) moves = moves || entry.first == axis;
    if (!moves) continue;
    if (found >= 0 || i.axes.size() != 1 || i.axes[0].second != 1 || i.constant != 0 || i.indirect >= 0) return -1;
    found = static_cast<int32_t>(d);
  }
  return found;
}

bool Scheduler::dot_contraction(int32_t s, int32_t sum) {
  const Stage &acc = stage(sum);
  Stage out = stage(s); // its outer axes
  out.axes.resize(out.outer_rank());
  const int32_t n = contiguous_axis(s);
  if (n < 0 || !out.axes[n].extent.is_constant() || !allows_vector(s, n) || !allows_vector(sum, n)) return false;
  const auto dot = dot_of(sum, n);
  if (!dot) return false;
  const int64_t columns = extent(out.axes[n]);
  const int32_t lanes = lanes_for(sum, columns), outer = acc.outer_rank();
  const int64_t groups = (acc.axes.back().extent.value + 3) / 4;
  int64_t taps = 1;
  for (size_t a = static_cast<size_t>(outer); a + 1 < acc.axes.size(); ++a) taps *= extent(acc.axes[a]);
  const Tile tile = best_tile(buffer_reads(sum), out, acc, n, columns, lanes, taps * groups);
  const int64_t panel = tile.nv * lanes;

  // Panels of columns; in them the reduction in the order of its loops, 4 neighbours of its innermost axis beside each
  // other.
  const Expr &weight = *dot->signed_read;
  const KernelBuffer &w = k_.buffers[weight.source];
  std::vector<std::pair<int32_t, int64_t>> order;
  std::vector<bool> listed(w.dims.size(), false);
  auto list = [&](int32_t dim) {
    if (dim < 0 || listed[dim]) return;
    order.emplace_back(dim, 1);
    listed[dim] = true;
  };
  std::vector<int32_t> inside{dot->n_dim};
  for (size_t a = static_cast<size_t>(outer); a < acc.axes.size(); ++a)
    inside.push_back(weight_dim(weight, static_cast<int32_t>(a)));
  for (size_t d = 0; d < w.dims.size(); ++d)
    if (std::find(inside.begin(), inside.end(), static_cast<int32_t>(d)) == inside.end()) list(static_cast<int32_t>(d));
  const bool whole = order.empty();
  for (int32_t dim : inside) list(dim);
  order.emplace_back(dot->n_dim, panel);
  order.emplace_back(dot->k_dim, 4);
  Binding b = packed(w, order, 64);
  b.aliased = bindings_[weight.source].aliased;
  bindings_[weight.source] = b;

  // Loop order: panels outermost when the weights exceed half of the second-level cache, rows outermost otherwise.
  StageSchedule &root = plan_.stages[s], &inner = plan_.stages[sum];
  root.loops.clear();
  inner.loops.clear();
  root.vector_axis = inner.vector_axis = n;
  root.lanes = inner.lanes = lanes;
  auto loop = [](int32_t axis, int64_t t, bool balanced) {
    LoopSpec l;
    l.axis = axis;
    l.tile = t;
    l.balanced = balanced;
    return l;
  };
  const bool panels_outside = b.size > t_.l2_bytes / 2;
  std::vector<LoopSpec> loops;
  if (panels_outside) loops.push_back(loop(n, panel, false));
  for (int32_t a = 0; a < static_cast<int32_t>(out.axes.size()); ++a)
    if (a != n && a != tile.m) loops.push_back(loop(a, 1, false));
  if (tile.m >= 0) loops.push_back(loop(tile.m, tile.mr, true));
  if (!panels_outside) loops.push_back(loop(n, panel, false));
  int64_t work = taps * groups;
  for (const Axis &axis : out.axes) work *= extent(axis);
  if (work > kParallelWork) make_parallel(out, loops);
  root.loops = loops;
  if (sum != s) {
    inner.place = Place::registers;
    inner.at_stage = s;
    inner.at_loop = static_cast<int32_t>(loops.size()) - 1;
  }

  // The innermost axis is unrolled up to 16 groups, a short one completely; axes around a complete one as far as code
  // allows.
  const int64_t most_points = t_.dot_u8s8 ? 256 : 64; // what replaces the instruction is long
  const int64_t most = std::max<int64_t>(1, most_points / (tile.mr * tile.nv));
  int64_t unrolled = groups;
  std::vector<LoopSpec> reduction;
  bool complete = groups <= std::min<int64_t>(16, most);
  if (!complete) {
    unrolled = std::min<int64_t>(4, most);
    reduction.push_back(loop(static_cast<int32_t>(acc.axes.size()) - 1, 4 * unrolled, false));
  }
  for (size_t a = acc.axes.size() - 1; a-- > static_cast<size_t>(outer);) {
    const int64_t e = extent(acc.axes[a]);
    complete = complete && acc.axes[a].extent.is_constant() && e * unrolled <= most;
    if (complete)
      unrolled *= e;
    else
      reduction.push_back(loop(static_cast<int32_t>(a), 1, false));
  }
  inner.loops.insert(inner.loops.end(), reduction.rbegin(), reduction.rend());
  inner.dot = true;
  if (panels_outside && whole) {
    inner.prefetch_buffer = weight.source;
    inner.prefetch_loop_stage = s;
    inner.prefetch_loop = 0;
    inner.prefetch_panel = taps * groups * 4 * panel;
  }
  return true;
}

} // namespace cameo::loop
