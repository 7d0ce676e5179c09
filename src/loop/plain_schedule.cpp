// The plainest schedule: every stage on its own, one point at a time. It is the oracle that all other schedules are
// compared with.
//
// States that advance together over blocks (blocks.h) cannot stand alone either: one row of the result at a time goes
// through all blocks. What reads the one state of a recurrence one step back is computed inside the step. Rows of
// symbolic number, of which no buffer can hold all, are taken one by one around the steps.
#include "blocks.h"
#include "recurrence.h"

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

void place_steps(const Kernel &kernel, const Recurrence &r, Schedule &schedule) {
  StageSchedule &state = schedule.stages[static_cast<size_t>(r.state)];
  auto symbolic = [&](int32_t stage, const LoopSpec &l) {
    const auto &axes = kernel.stages[static_cast<size_t>(stage)].axes;
    return !axes[static_cast<size_t>(l.axis)].extent.is_constant();
  };
  const bool placed = r.reader >= 0;
  int32_t outer = 0;
  StageSchedule &root = schedule.stages[static_cast<size_t>(placed ? r.reader : r.state)];
  const std::vector<int32_t> &rows = placed ? r.reader_rows : r.rows;
  auto is_outer = [&](const LoopSpec &l) {
    return symbolic(placed ? r.reader : r.state, l) && std::find(rows.begin(), rows.end(), l.axis) != rows.end();
  };
  std::stable_partition(root.loops.begin(), root.loops.end(), is_outer);
  outer = static_cast<int32_t>(std::count_if(root.loops.begin(), root.loops.end(), is_outer));
  if (placed) {
    state.place = Place::local;
    state.at_stage = r.reader;
    state.at_loop = outer - 1;
    outer = 0;
  }
  const auto first = state.loops.begin() + outer;
  std::stable_partition(first, state.loops.end(), [&](const LoopSpec &l) { return l.axis == r.time; });
  for (int32_t p : r.inside) {
    StageSchedule &plan = schedule.stages[static_cast<size_t>(p)];
    plan.place = Place::local;
    plan.at_stage = r.state;
    plan.at_loop = outer;
  }
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
  if (const std::optional<Blocks> b = find_blocks(kernel)) {
    place_blocks(*b, schedule);
    return schedule;
  }
  for (int32_t s = 0; s < static_cast<int32_t>(kernel.stages.size()); ++s)
    if (const std::optional<Recurrence> r = find_recurrence(kernel, s)) place_steps(kernel, *r, schedule);
  return schedule;
}

} // namespace cameo::loop
