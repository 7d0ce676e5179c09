// Chains of windows in one kernel, run in strips of rows: expand 1x1 -> depthwise 3x3 -> project 1x1, convolution ->
// pool.
//
// Layer by layer, a tensor between two layers that no cache holds goes to memory and comes back. In strips it never
// exists as a whole: the last layer is cut into strips of a few rows, each other layer computes the rows that the next
// strip needs and keeps its last rows in a ring, so that every row is computed once (schedule.h: rolling). Tasks take
// ranges of strips; at the first of its strips a task computes the rows before, which another task computes as well.
//
// Here is which kernels are such chains, how many rows a strip has, and what strips are expected to be worth: the
// schedule asks for the one, the pass that makes such kernels for the other.
#pragma once

#include "cameo/loop/kernel.h"

#include <optional>
#include <vector>

namespace cameo::loop {

struct StripLayer {
  int32_t sum = -1;             ///< the reduction over the window
  int32_t result = -1;          ///< what the next layer reads, or the kernel's result; it may be `sum`
  std::vector<int32_t> between; ///< stages from `sum` to `result`, point by point: computed where they are read
  /// Row r needs the rows r * stride + c up to r * stride + c + span - 1 of the layer before, for some c.
  int64_t stride = 1, span = 1;
};

struct StripChain {
  std::vector<StripLayer> layers; ///< at least two, in order
  int32_t axis = -1;              ///< of all results: its rows are what strips consist of
};

/// The kernel as a chain: f32 stages of known extents over the same axes, each layer read by the next one only, and by
/// that in a window along `axis`. nullopt for all other kernels.
std::optional<StripChain> find_strips(const Kernel &kernel);

struct StripPlan {
  int64_t rows = 1;             ///< of the result in a strip; they divide all rows
  int32_t tasks = 1;            ///< that share the strips, or
  bool by_image = false;        ///< the images of a batch
  std::vector<int64_t> window;  ///< per layer: rows that a strip needs,
  std::vector<int64_t> advance; ///< and those of them that the strip before did not need
  bool fits = false;            ///< rows and constants lie in the cache together
  double saved = 0;             ///< cycles for tensors that need not go to memory
  double spent = 0;             ///< cycles for rows that two tasks compute
};

/// How to run the chain with a second-level cache of that size. Axis `inner` of all results is innermost in memory.
StripPlan plan_strips(const Kernel &kernel, const StripChain &chain, int32_t inner, int64_t cache_bytes);

} // namespace cameo::loop
