// Kernel to kernel rewrites that schedules build on: same function, other stages.
#pragma once

#include "cameo/loop/kernel.h"

namespace cameo::loop {

/// Splits a reduction along one of its axes into `parts` partial results, combined afterwards in a fixed order: the
/// partial stage gets a parallel axis in front, which can be dealt to tasks, and the result does not depend on how many
/// threads run them. The stage needs Stage::combine and one component, and `parts` must divide the extent. Returns the
/// kernel with stage `name` replaced by `name.part` and `name`.
Kernel split_reduction(const Kernel &kernel, int32_t stage, int32_t axis, int64_t parts);

} // namespace cameo::loop
