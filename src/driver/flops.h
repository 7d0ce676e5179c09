// How much arithmetic a model asks for, from the same lowering that its code comes from.
#pragma once

#include "cameo/ir/graph.h"
#include "cameo/loop/kernel.h"

#include <optional>

namespace cameo::driver {

/// Floating-point operations of one run of a kernel whose extents are all constants: additions, multiplications, minima
/// and functions count one each, a multiply-add two; conversions, comparisons, selections and moves none. nullopt for a
/// symbolic extent.
std::optional<double> flops(const loop::Kernel &kernel);

/// Of one run of the graph by each node's plain algorithm (so that a faster algorithm shows as more FLOP/s); nullopt
/// when an extent is symbolic, a node has no lowering, or control flow decides what runs.
std::optional<double> flops(const graph::Graph &graph);

} // namespace cameo::driver
