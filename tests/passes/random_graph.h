// Random graphs that are valid by construction and rich in what passes look for: compositions of movement, functions
// applied twice, neutral constants, equal nodes, dead values, branches on constants, loops, run-time extents.
#pragma once

#include "cameo/ir/graph.h"

namespace cameo::test {

/// At stage canonical. main takes %x: f32[n, 3, 4], %y: f32[4, 6], %c: bool[] and yields a few values.
graph::Graph random_graph(uint32_t seed, int nodes);

} // namespace cameo::test
