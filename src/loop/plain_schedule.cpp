// The plainest schedule: every stage on its own, one point at a time. It is the oracle that all other schedules are compared with.
#include "cameo/loop/apply.h"

namespace cameo::loop {

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
  return schedule;
}

} // namespace cameo::loop
