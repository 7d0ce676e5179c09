// Which stages belong to a block, and which axes are rows (see blocks.h).
#include "blocks.h"

#include "cameo/loop/visit.h"

#include <algorithm>

namespace cameo::loop {
namespace {

int32_t sequential_axis(const Stage &stage) {
  for (size_t a = 0; a < stage.axes.size(); ++a)
    if (stage.axes[a].kind == AxisKind::sequential) return static_cast<int32_t>(a);
  return -1;
}

} // namespace

std::optional<Blocks> find_blocks(const Kernel &kernel) {
  const auto count = static_cast<int32_t>(kernel.stages.size());
  auto at = [&](int32_t s) -> const Stage & { return kernel.stages[static_cast<size_t>(s)]; };
  Blocks out;
  int32_t states = 0;
  for (int32_t s = 0; s < count; ++s) {
    if (!at(s).stores.empty()) {
      if (out.result >= 0) return std::nullopt;
      out.result = s;
    }
    if (sequential_axis(at(s)) < 0) continue;
    if (out.state >= 0 && at(out.state).axes[static_cast<size_t>(out.time)].extent !=
                              at(s).axes[static_cast<size_t>(sequential_axis(at(s)))].extent)
      return std::nullopt;
    out.state = s;
    out.time = sequential_axis(at(s));
    ++states;
  }
  if (states < 2 || out.result != count - 1 || at(out.result).is_reduction()) return std::nullopt;

  // Stages of a block: those with a state before and behind them.
  std::vector<std::vector<int32_t>> reads(static_cast<size_t>(count));
  for (int32_t s = 0; s < count; ++s)
    for_each_stage_read(kernel, s, [&](const Expr &e) { reads[static_cast<size_t>(s)].push_back(e.source); });
  // Those which a sequential axis of a reader runs along belong to its block.
  std::vector<int32_t> block(static_cast<size_t>(count), -1); // the axis of blocks
  for (int32_t s = 0; s < count; ++s) block[static_cast<size_t>(s)] = sequential_axis(at(s));
  for (bool changed = true; changed;) {
    changed = false;
    for (int32_t s = 0; s < count; ++s) {
      const int32_t own = block[static_cast<size_t>(s)];
      if (own < 0) continue;
      for_each_stage_read(kernel, s, [&](const Expr &e) {
        int32_t &other = block[static_cast<size_t>(e.source)];
        for (size_t d = 0; d < e.indices.size() && other < 0; ++d)
          if (axis_of(e.indices[d]) == own) {
            other = static_cast<int32_t>(d);
            changed = true;
          }
      });
    }
  }
  for (int32_t s = 0; s < count; ++s) {
    if (s == out.result || s == out.state) continue;
    (block[static_cast<size_t>(s)] >= 0 ? out.inside : out.around).push_back(s);
  }
  if (block[static_cast<size_t>(out.result)] >= 0) return std::nullopt;
  out.time_of = block;
  // What stands around is read by the blocks, or reads what they leave; nothing else reads a stage of a block.
  for (int32_t s : out.around)
    for (int32_t p : reads[static_cast<size_t>(s)])
      if (block[static_cast<size_t>(p)] >= 0 && sequential_axis(at(p)) < 0) return std::nullopt;
  for (int32_t p : reads[static_cast<size_t>(out.result)])
    if (block[static_cast<size_t>(p)] >= 0 && sequential_axis(at(p)) < 0) return std::nullopt;

  // Axes of the result, passed on from readers to what they read until nothing changes: states are read in a circle.
  out.along.resize(static_cast<size_t>(count));
  for (int32_t s = 0; s < count; ++s) out.along[static_cast<size_t>(s)].assign(at(s).axes.size(), -2);
  for (int32_t a = 0; a < static_cast<int32_t>(at(out.result).axes.size()); ++a)
    out.along[static_cast<size_t>(out.result)][static_cast<size_t>(a)] = a;
  for (bool changed = true; changed;) {
    changed = false;
    for (int32_t r = 0; r < count; ++r)
      for_each_stage_read(kernel, r, [&](const Expr &e) {
        std::vector<int32_t> &own = out.along[static_cast<size_t>(e.source)];
        for (size_t d = 0; d < e.indices.size(); ++d) {
          const int32_t axis = axis_of(e.indices[d]);
          int32_t same = -1;
          if (axis >= 0 && axis < at(r).outer_rank())
            same = out.along[static_cast<size_t>(r)][static_cast<size_t>(axis)];
          if (same == -2 || own[d] == same || own[d] == -1) continue;
          own[d] = own[d] == -2 ? same : -1;
          changed = true;
        }
      });
  }
  for (int32_t a = 0; a < static_cast<int32_t>(at(out.result).axes.size()); ++a) {
    bool row = true;
    for (int32_t s = 0; s < count; ++s) {
      const auto &own = out.along[static_cast<size_t>(s)];
      row &= std::count(own.begin(), own.end(), a) == 1;
    }
    if (row) out.rows.push_back(a);
  }
  return out;
}

} // namespace cameo::loop
