// The plainest schedule: every stage on its own, one point at a time. It is the oracle that all other schedules are compared with.
//
// States that advance together over blocks (blocks.h) cannot stand alone either: one row of the result at a time goes through all blocks.
#include "blocks.h"

#include "cameo/loop/apply.h"

#include <algorithm>

namespace cameo::loop {
namespace {

void place_blocks(const Blocks &b, Schedule &schedule) {
  auto plan = [&](int32_t s) -> StageSchedule & { return schedule.stages[static_cast<size_t>(s)]; };
  auto front = [](std::vector<LoopSpec> &loops, auto belongs) {
    std::stable_partition(loops.begin(), loops.end(), belongs);
  };
  front(plan(b.result).loops,
        [&](const LoopSpec &l) { return std::find(b.rows.begin(), b.rows.end(), l.axis) != b.rows.end(); });
  front(plan(b.state).loops, [&](const LoopSpec &l) { return l.axis == b.time; });
  auto place = [&](int32_t s, int32_t at_stage, int32_t at_loop) {
    plan(s).place = Place::local;
    plan(s).at_stage = at_stage;
    plan(s).at_loop = at_loop;
  };
  const auto at = static_cast<int32_t>(b.rows.size()) - 1;
  for (int32_t s : b.around) place(s, b.result, at);
  for (int32_t s : b.inside) {
    place(s, b.state, 0);
    std::erase_if(plan(s).loops, [&](const LoopSpec &l) { return l.axis == b.time_of[static_cast<size_t>(s)]; });
  }
  place(b.state, b.result, at);
}

} // namespace

Schedule plain_schedule(const Kernel &kernel) {
  Schedule schedule;
  for (const Stage &stage : kernel.stages) {
    StageSchedule plan;
    for (size_t a = 0; a < stage.axes.size(); ++a) {
      LoopSpec loop;
      loop.axis = static_cast<int32_t>(a);
      plan.loops.push_back(loop);
    }
    schedule.stages.push_back(std::move(plan));
  }
  if (const std::optional<Blocks> b = find_blocks(kernel)) place_blocks(*b, schedule);
  return schedule;
}

} // namespace cameo::loop
