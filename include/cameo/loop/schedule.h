// How a kernel is run: a Schedule per kernel and a Binding per buffer. Both are plain records that print and parse;
// apply.h makes explicit Loop IR of them. The default comes from an analytical model of the target (default_schedule);
// a tuner searches the same record.
#pragma once

#include "cameo/loop/kernel.h"
#include "cameo/loop/target.h"

namespace cameo::loop {

/// Where the elements of a buffer lie. Element offset = offset + sum over terms of stride * ((index[dim] / divide) %
/// modulo) (modulo 0: no modulo). Plain row-major is one term per dim; packed formats use several: a panel-packed
/// weight w[k, n] with 32 columns a panel is {n, divide 32, stride K*32}, {k, stride 32}, {n, modulo 32, stride 1}. A
/// halo is an offset and larger strides.
struct LayoutTerm {
  int32_t dim = 0;
  int64_t divide = 1;
  int64_t modulo = 0;
  int64_t stride = 1;
  int32_t stride_symbol = -1; ///< >= 0: the stride is that kernel symbol times `stride`
  friend bool operator==(const LayoutTerm &, const LayoutTerm &) = default;
};
struct Binding {
  std::vector<LayoutTerm> terms;
  int64_t offset = 0;
  int64_t size = -1;    ///< elements in memory, halo and padding included; -1 when it depends on symbols
  int32_t align = 4;    ///< bytes that the base is aligned to
  bool aliased = false; ///< another buffer of the kernel may reach the same bytes
  std::vector<std::pair<int64_t, int64_t>> halo; ///< per dim, elements before and after that exist and hold halo_value
  double halo_value = 0;
  friend bool operator==(const Binding &, const Binding &) = default;
};
/// Dense row-major binding of a buffer with constant dims. `align` in bytes.
Binding row_major(const KernelBuffer &buffer, int32_t align = 64);
/// Dense layout from an order of blocks, outermost first: {dim, block} where a dim that occurs with block > 1 is split
/// into an outer part (index / block, at its first place) and an inner part (index % block, where the pair stands).
/// Dims are padded to blocks.
Binding packed(const KernelBuffer &buffer, const std::vector<std::pair<int32_t, int64_t>> &order, int32_t align = 64);

/// One loop of a stage, outermost first. The axis' remaining range is cut into tiles of `tile`; what is left inside the
/// last loop of each axis is the stage's point box, which is unrolled (or is the vector).
struct LoopSpec {
  int32_t axis = 0;
  int64_t tile = 1;
  bool balanced = true; ///< tiles as equal as possible instead of full tiles and a remainder
  bool overlap =
      false; ///< the last tile is as large as the others and starts earlier: its first points are computed twice
  int32_t parallel_tasks = 0; ///< > 0: the iterations are dealt to that many tasks
  int32_t zigzag = -1; ///< >= 0: the direction alternates with this sequential axis of the kernel's enclosing stage
  friend bool operator==(const LoopSpec &, const LoopSpec &) = default;
};

/// A loop over full tiles of `tile` points along `axis`, and a remainder of its own behind them.
inline LoopSpec full_tiles(int32_t axis, int64_t tile) {
  LoopSpec loop;
  loop.axis = axis;
  loop.tile = tile;
  loop.balanced = false;
  return loop;
}

enum class Place : uint8_t {
  inlined,   ///< computed where it is read
  registers, ///< at the consumer's loop, its points are values
  local,     ///< at the consumer's loop, its points lie in a scratch buffer
  root,      ///< on its own, before the stages that read it
};

struct StageSchedule {
  Place place = Place::root;
  int32_t at_stage = -1; ///< for registers and local: the stage and the index into its `loops` whose body computes it;
  int32_t at_loop = -1;  ///< at_loop = -1: before the first loop of that stage
  std::vector<LoopSpec> loops;
  int32_t vector_axis = -1; ///< axis whose points are vector lanes
  int32_t lanes = 1;
  int32_t partials =
      1; ///< reductions: accumulators per point, joined in a tree at the end (with a vectorised reduction
         ///< axis the lanes are joined last); needs Stage::combine when > 1 or when that axis is a reduction
  int32_t rolling_axis =
      -1; ///< local stages: storage along this axis is a ring of `rolling` rows; each row is computed once
  int64_t rolling = 0;
  bool dot = false;                 ///< the innermost reduction axis is taken 4 at a time by a dot-product instruction
  int32_t prefetch_buffer = -1;     ///< read ahead of the panel after this one while this one is used
  int32_t prefetch_loop_stage = -1; ///< the loop that walks panels: stage and loop index
  int32_t prefetch_loop = -1;
  int64_t prefetch_panel = 0; ///< elements per panel
  friend bool operator==(const StageSchedule &, const StageSchedule &) = default;
};

struct Schedule {
  std::vector<StageSchedule> stages; ///< one per stage of the kernel
  friend bool operator==(const Schedule &, const Schedule &) = default;
};

/// Text form, one line per stage: parse_schedule(print(s, k), k) == s. Grammar in src/loop/schedule_text.cpp.
std::string print(const Schedule &schedule, const Kernel &kernel);
/// A schedule of another kernel, or of none, is an error with a caret (print.h has its form).
Result<Schedule> parse_schedule(std::string_view text, const Kernel &kernel, const std::string &file);

} // namespace cameo::loop
