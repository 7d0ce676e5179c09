// From a node of Graph IR to a kernel in stage form: the one source of truth of what an operator computes. The compiled
// kernel, constant folding, FLOP counts and the interpreter's result all come from here.
//
// A `fused` node lowers to one kernel: each node of its region adds its stages, in order, and reads its operands where
// they are, in a buffer of the kernel or in an earlier stage. A single node lowers as a group of one, so there is no
// second path.
//
// Extents that are not constant become symbols of the kernel, one for each distinct expression: the caller passes their
// values. How tensors lie in memory is not said here: buffers are index spaces in the logical order of axes, and
// Bindings (schedule.h) place them. So layouts, halos, views and in-place results need no lowering of their own.
//
// A value inside a fusion group is not rounded to its dtype between two stages (an f16 sum of three terms is rounded
// once); a `cast` always rounds. A bool is an i1 in expressions and a byte of 0 or 1 in memory.
#pragma once

#include "cameo/ir/graph.h"
#include "cameo/loop/kernel.h"
#include "cameo/support/result.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace cameo::ops {

/// What stands behind a buffer of a lowered kernel.
struct Argument {
  enum class Kind : uint8_t {
    operand,   ///< number `index` of the node's operands
    result,    ///< number `index` of its results
    extents,   ///< of lower_extents: what it computes
    temporary, ///< the values of stage `index`, which are too large for scratch memory or of symbolic size
  };
  Kind kind = Kind::operand;
  size_t index = 0;
  size_t component = 0; ///< of the stage, of a temporary
  /// When set, the buffer does not hold the (constant) operand itself but what this kernel of one input and one output
  /// makes of it, evaluated when compiling: transformed Winograd filters, sums of quantised columns.
  std::shared_ptr<const loop::Kernel> derive;
};

struct Lowered {
  loop::Kernel kernel;
  std::vector<Argument> arguments; ///< one per kernel buffer
  std::vector<graph::Dim> symbols; ///< value of each kernel symbol; none is constant, no two are equal
  /// When set, there is no kernel but for its buffers: the C function of that name (codegen/runtime/) does the work. It
  /// gets the buffers, each dense and row-major, and then `sizes`.
  std::string runtime;
  std::vector<graph::Dim> sizes;

  /// `dim` as an extent of the kernel; adds a symbol when it is a new expression.
  loop::Extent extent(const graph::Dim &dim);
  graph::Dim dim(const loop::Extent &extent) const;
  /// Gives the values of a stage buffers, one per component, which the caller provides.
  void add_temporaries(int32_t stage);
};

struct LowerOptions {
  /// One of algorithms(node); empty: the first.
  std::string algorithm;
};

/// The algorithms that the node (of a fused node: its anchor) can be lowered by, the plain one first: "direct",
/// "winograd2", "winograd4", "parts" (a dilated convolution, cut where taps leave the image). Empty for a node that has
/// no kernel (views, constants, control flow, irregular ops).
std::vector<std::string> algorithms(const graph::Node &node);

/// What "parts" computes: the points of each part and the taps of each of its points. Empty when it does not apply.
struct PartWork {
  int64_t points = 0, taps = 0;
};
std::vector<PartWork> part_work(const graph::Node &node);

/// The node as a kernel. A buffer whose operand is produced by a constant node has role `constant`; constants of one
/// element and operands that do not matter have no buffer. Errors (unsupported): an op, dtype or attribute without a
/// lowering, in words. The node must be typed and verified: anything malformed is a CAMEO_CHECK.
Result<Lowered> lower(const graph::Node &node, const LowerOptions &options = {});

/// The kernel that computes the extents of the node's results, where only a run knows them: from the operands' values
/// into an i64 tensor of type extents_type(node), which holds all extents of all results in order. Errors
/// (unsupported): an op without one.
Result<Lowered> lower_extents(const graph::Node &node);
graph::Type extents_type(const graph::Node &node);

/// Whether lower() would succeed, without building the kernel's name and origin; nullopt, or why not.
std::optional<std::string> lowering_problem(const graph::Node &node);

} // namespace cameo::ops
