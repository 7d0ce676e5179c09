// Which stages belong to the steps of a sequential one (see recurrence.h).
#include "recurrence.h"

#include "cameo/loop/visit.h"

#include <algorithm>

namespace cameo::loop {

std::optional<Recurrence> find_recurrence(const Kernel &kernel, int32_t stage) {
  const auto count = static_cast<int32_t>(kernel.stages.size());
  auto at = [&](int32_t s) -> const Stage & { return kernel.stages[static_cast<size_t>(s)]; };
  Recurrence out;
  out.state = stage;
  const Stage &state = at(stage);
  for (size_t a = 0; a < state.axes.size(); ++a)
    if (state.axes[a].kind == AxisKind::sequential) {
      if (out.time >= 0) return std::nullopt;
      out.time = static_cast<int32_t>(a);
    }
  if (out.time < 0 || state.is_reduction()) return std::nullopt;

  std::vector<bool> depends(kernel.stages.size(), false);
  for (int32_t p = 0; p < stage; ++p) {
    for_each_stage_read(kernel, p, [&](const Expr &e) {
      if (e.source == stage || (e.source < p && depends[static_cast<size_t>(e.source)]))
        depends[static_cast<size_t>(p)] = true;
    });
    if (!depends[static_cast<size_t>(p)]) continue;
    const bool sequential =
        std::any_of(at(p).axes.begin(), at(p).axes.end(), [](const Axis &a) { return a.kind == AxisKind::sequential; });
    if (sequential || !at(p).stores.empty()) return std::nullopt;
    out.inside.push_back(p);
  }
  if (out.inside.empty()) return std::nullopt;

  // Which axis of the state each axis of the others is; readers come after what they read.
  out.along.resize(kernel.stages.size());
  for (int32_t a = 0; a < static_cast<int32_t>(state.axes.size()); ++a)
    out.along[static_cast<size_t>(stage)].push_back(a);
  for (auto p = out.inside.rbegin(); p != out.inside.rend(); ++p) {
    std::vector<int32_t> &along = out.along[static_cast<size_t>(*p)];
    along.assign(static_cast<size_t>(at(*p).outer_rank()), -2);
    auto visit = [&](int32_t reader) {
      const std::vector<int32_t> &map = out.along[static_cast<size_t>(reader)];
      for_each_stage_read(kernel, reader, [&](const Expr &e) {
        if (e.source != *p) return;
        for (size_t d = 0; d < along.size(); ++d) {
          const int32_t axis = axis_of(e.indices[d]);
          const int32_t same =
              axis >= 0 && axis < static_cast<int32_t>(map.size()) ? map[static_cast<size_t>(axis)] : -1;
          along[d] = along[d] == -2 || along[d] == same ? same : -1;
        }
      });
    };
    for (int32_t reader : out.inside)
      if (reader > *p) visit(reader);
    visit(stage);
    if (std::find(along.begin(), along.end(), out.time) == along.end()) return std::nullopt;
  }

  std::vector<int32_t> steps = out.inside;
  steps.push_back(stage);
  for (int32_t a = 0; a < static_cast<int32_t>(state.axes.size()); ++a) {
    if (a == out.time) continue;
    bool row = true;
    for (int32_t p : steps) {
      const std::vector<int32_t> &map = out.along[static_cast<size_t>(p)];
      row &= std::count(map.begin(), map.end(), a) == 1;
      for_each_stage_read(kernel, p, [&](const Expr &e) {
        if (e.source != stage) return;
        const int32_t axis = axis_of(e.indices[static_cast<size_t>(a)]);
        row &= axis >= 0 && axis < static_cast<int32_t>(map.size()) && map[static_cast<size_t>(axis)] == a;
      });
    }
    if (row) out.rows.push_back(a);
  }

  for (int32_t p = stage + 1; p < count; ++p) {
    bool reads = false, by_rows = true;
    std::vector<int32_t> rows(out.rows.size(), -1);
    for_each_stage_read(kernel, p, [&](const Expr &e) {
      if (e.source != stage) return;
      reads = true;
      for (size_t r = 0; r < rows.size(); ++r) {
        const int32_t axis = axis_of(e.indices[static_cast<size_t>(out.rows[r])]);
        by_rows &= axis >= 0 && axis < at(p).outer_rank() && (rows[r] < 0 || rows[r] == axis);
        rows[r] = axis;
      }
    });
    if (!reads) continue;
    out.reader = !out.read_behind && by_rows && !at(p).is_reduction() ? p : -1;
    out.reader_rows = rows;
    out.read_behind = true;
  }
  return out;
}

} // namespace cameo::loop
