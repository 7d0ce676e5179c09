// The schedule that an analytical model of the target picks, without measuring anything.
//
// Four shapes cover most kernels. A *contraction* (a sum of products in which a constant operand is shared along one
// axis and the other operand along another) gets a register tile, panel-packed constants and read-ahead. A *row kernel*
// (reductions over an axis that the result has too: softmax, normalisations) computes row by row, vectors along the
// row, everything between in the first-level cache. In a *recurrence* the sums over the last state are computed inside
// of the steps, for a few rows of the batch at once. What is left is loops with the contiguous axis as the vector.
#include "scheduler.h"

namespace cameo::loop {

Schedule default_schedule(const Kernel &kernel, std::vector<Binding> &bindings, const Target &target) {
  return Scheduler(kernel, bindings, target).run();
}

} // namespace cameo::loop
