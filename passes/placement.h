// Where tensors lie: dense placements from a type's layout, views as arithmetic on placements, and the Bindings that
// kernels are compiled for. Private to passes/.
#pragma once

#include "cameo/passes/plan.h"

#include <optional>

namespace cameo::passes {

using Halo = std::vector<std::pair<int64_t, int64_t>>; ///< per dim, elements before and after

/// The whole tensor by the order of its layout, with a border; offset: where element 0 lies behind the border. `bytes`
/// receives the size of the buffer. With a border, and rows_apart() elements behind each innermost row.
Placement dense(const graph::Type &type, int32_t buffer, graph::Dim &bytes, const Halo &halo = {}, double fill = 0);
/// Windows read the same channels of many pixels: where these lie a multiple of kAliasing bytes apart, they share a few
/// sets of the first-level cache (64 lines of 64 bytes each way), and more pixels than it has ways put each other out.
/// Elements that lie between the innermost rows then, to bring them apart: a line of them, which nobody reads; else 0.
int64_t rows_apart(const graph::Type &type, const Halo &halo);
/// Bytes of `elements` of the dtype, sub-byte ones packed.
graph::Dim bytes_of(DType dtype, const graph::Dim &elements);

/// Stride of each dim in elements, 0 for dims of extent 1 without a term; nullopt for blocked layouts.
std::optional<std::vector<graph::Dim>> strides(const Placement &place, size_t rank);
/// Whether the tensor is all of its buffer in row-major order.
bool is_row_major(const Placement &place, const graph::Type &type, const graph::Dim &buffer_bytes);

/// Whether the node's result has the elements of its first operand, in another order or fewer: perhaps a view.
bool moves_only(const graph::Node &node);
/// The result of `node`, seen as a part or another order of the memory of its operand; nullopt when it is none.
std::optional<Placement> view(const graph::Node &node, const Placement &operand);
/// The part of a concatenation's result that starts at `start` of its axis.
Placement part(const Placement &whole, size_t axis, const graph::Dim &start);

/// A placement as a kernel sees it: relative to a pointer into the buffer.
struct Bound {
  loop::Binding binding;
  graph::Dim start; ///< the pointer, in elements from the start of the buffer
};
/// `type` is the tensor's; `align` what is known of the buffer's start, in bytes. Strides that are not constant become
/// symbols of the kernel.
Bound bind(const Placement &place, const graph::Type &type, int64_t align, ops::Lowered &lowered);
/// The inverse, for a constant's packed format.
Placement unbind(const loop::Binding &binding, int32_t buffer);

} // namespace cameo::passes
