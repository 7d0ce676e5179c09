// Kernels in which several states advance together over blocks of an axis: attention with an online softmax is one.
// Every block reads the states that the block before it left, so nothing of a block can be computed ahead of it; along
// the other axes that the result shares with all of them (batch, head, query) rows are independent.
#pragma once

#include "cameo/loop/kernel.h"

namespace cameo::loop {

struct Blocks {
  int32_t result = -1;          ///< the one stage with a result
  int32_t state = -1;           ///< the last of the sequential stages: its loop over blocks holds the others
  int32_t time = -1;            ///< its axis of blocks
  std::vector<int32_t> inside;  ///< stages of each block, but `state`
  std::vector<int32_t> around;  ///< stages that do not depend on the block, in front of the loop or behind it
  std::vector<int32_t> time_of; ///< per stage: its axis of blocks, -1 for those around
  /// Per stage: the axis of `result` that each of its outer axes is, a negative number for another one.
  std::vector<std::vector<int32_t>> along;
  std::vector<int32_t> rows; ///< axes of `result` along which no stage reads another row, in order
};

/// nullopt when the kernel has another structure: fewer than two states, several results, a state that others than the
/// result need.
std::optional<Blocks> find_blocks(const Kernel &kernel);

} // namespace cameo::loop
