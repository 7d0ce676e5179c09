// What a stage with a sequential axis asks of a schedule: the stages that read its state one step back are computed
// inside its steps, and along some axes (the batch of a recurrent layer) its steps do not depend on each other.
#pragma once

#include "cameo/loop/kernel.h"

namespace cameo::loop {

struct Recurrence {
  int32_t state = -1; ///< the sequential stage
  int32_t time = -1;  ///< its sequential axis
  /// Stages that read the state one step back, directly or through others, and are read by it: inside of each step, in
  /// order.
  std::vector<int32_t> inside;
  /// Per stage of the kernel that is `state` or in `inside`: the axis of the state that each of its outer axes is, or
  /// -1.
  std::vector<std::vector<int32_t>> along;
  std::vector<int32_t> rows; ///< axes of the state along which nothing passes from one step to another
  /// The only stage behind that reads the state, point by point along the rows and after the last step; -1: none or
  /// several.
  int32_t reader = -1;
  std::vector<int32_t> reader_rows; ///< the reader's axes for `rows`
  bool read_behind = false;         ///< some stage behind reads the state
};

/// nullopt when the stage is not sequential, when no other one reads it one step back, or when several sequential ones
/// are entangled.
std::optional<Recurrence> find_recurrence(const Kernel &kernel, int32_t stage);

} // namespace cameo::loop
