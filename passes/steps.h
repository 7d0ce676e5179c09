// The kernel behind each step of a plan, with what its buffers hold: the same for who makes a plan and who turns one
// into code. Private to passes/.
#pragma once

#include "numbering.h"
#include "placement.h"

#include <functional>

namespace cameo::passes {

/// A kernel to be called: where its buffers lie and what they are compiled for.
struct BoundStep {
  ops::Lowered lowered;
  std::vector<Placement> places; ///< one per kernel buffer
  std::vector<loop::Binding> bindings;
  std::vector<graph::Dim> starts; ///< pointer of each, in elements from the start of its buffer
};

/// A kernel that writes the border of a tensor of that type.
ops::Lowered fill_kernel(const graph::Type &type, const Halo &halo, double fill);
/// A kernel that copies a tensor of that type: buffers x and y.
ops::Lowered copy_kernel(const graph::Type &type);

/// Binds the buffers of a lowered kernel to places; each is a pair of a placement and the tensor's type.
BoundStep bind_step(const Plan &plan, ops::Lowered lowered,
                    const std::vector<std::pair<Placement, graph::Type>> &places);

/// The kernel of an `extents` step; `place_of` says where operands lie.
BoundStep bind_extents(const Plan &plan, const Step &step, const graph::Node &node,
                       const std::function<Placement(const graph::Value *)> &place_of);

/// Whether steps of that kind call a kernel.
bool runs_kernel(Step::Kind kind);

/// Step of a plan, all decisions taken from it.
Result<BoundStep> bind_planned(const Plan &plan, const Step &step, const Numbering &numbers);

/// A place for the values of a stage, row-major.
std::pair<Placement, graph::Type> temporary_place(const ops::Lowered &lowered, const ops::Argument &a, int32_t buffer,
                                                  graph::Dim &bytes);

/// Value behind argument `a` of a node's kernel; null for temporaries.
const graph::Value *argument_value(const graph::Node &node, const ops::Argument &a);

/// Type of what argument `i` of a lowered kernel of `node` holds: that of the value behind it, or what is derived from
/// it.
graph::Type argument_type(const graph::Node &node, const ops::Lowered &lowered, size_t i);

/// Whether kernel buffer `result` may share the memory of buffer `operand`, element for element: every element is read
/// before the same one is written, whatever the schedule.
bool can_overwrite(const loop::Kernel &kernel, int32_t operand, int32_t result);

/// How far the kernel's guarded reads reach over the edges of a buffer, when all of them fill with one value.
struct Reach {
  Halo halo;
  double fill = 0;
};
std::optional<Reach> reach(const loop::Kernel &kernel, int32_t buffer);

} // namespace cameo::passes
