// Chains of windows (strips.h): the last layer in strips of rows, the others in rings of rows beside it.
#include "scheduler.h"

#include "cameo/loop/strips.h"

namespace cameo::loop {

bool Scheduler::strips() {
  const std::optional<StripChain> chain = find_strips(k_);
  if (!chain) return false;
  const int32_t result = chain->layers.back().result;
  const int32_t n = contiguous_axis(result);
  if (n < 0 || n == chain->axis) return false;
  const Schedule before = plan_;
  kept_along_.assign(k_.stages.size(), -1);
  for (const StripLayer &layer : chain->layers) {
    for (int32_t s : layer.between) plan_.stages[s].place = Place::inlined;
    if (!tile_contraction(layer.result, layer.sum, n, chain->axis)) {
      plan_ = before;
      kept_along_.clear();
      return false;
    }
    kept_along_[layer.result] = n;
  }
  const StripPlan p = plan_strips(k_, *chain, n, t_.l2_bytes);
  // Around the tiles of the result: images of a batch, then strips.
  StageSchedule &root = plan_.stages[result];
  std::vector<LoopSpec> outer;
  for (int32_t a = 0; a <= chain->axis; ++a) {
    if (a == n || (a != chain->axis && extent(stage(result).axes[a]) < 2)) continue;
    outer.push_back(full_tiles(a, a == chain->axis ? p.rows : 1));
  }
  (p.by_image ? outer.front() : outer.back()).parallel_tasks = p.tasks > 1 ? p.tasks : 0;
  const auto at = static_cast<int32_t>(outer.size());
  root.loops.insert(root.loops.begin(), outer.begin(), outer.end());
  for (StageSchedule &s : plan_.stages) {
    if (s.at_stage == result && s.place == Place::registers) s.at_loop += at;
    if (s.prefetch_loop_stage == result) s.prefetch_loop += at;
  }
  for (size_t i = 0; i + 1 < chain->layers.size(); ++i) {
    StageSchedule &s = plan_.stages[chain->layers[i].result];
    s.place = Place::local;
    s.at_stage = result;
    s.at_loop = at - 1;
    if (p.window[i] <= p.advance[i]) continue; // no strip needs a row of the one before
    s.rolling_axis = chain->axis;
    s.rolling = p.window[i];
  }
  return true;
}

} // namespace cameo::loop
