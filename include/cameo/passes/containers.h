// Sequences and optionals at the interface of a model, which becomes one of tensors (container.h): every container
// among the inputs and outputs of main is replaced by its parts, in its place and in their order, and the graph makes
// the container from them or takes it apart. What happens between is left to the pass flatten_sequences. Containers of
// strings, of maps and of containers stay as they are and are refused later.
#pragma once

#include "cameo/ir/container.h"
#include "cameo/ir/graph.h"

#include <cstdint>
#include <vector>

namespace cameo::passes {

/// A sequence or optional of the model and the inputs or outputs that are its parts.
struct ContainerPort {
  std::string name; ///< as in the model
  graph::ContainerForm form;
  graph::Shape element; ///< extents of an element, as many as its rank; those that are not fixed mean nothing here
  size_t first = 0;     ///< its first part; the others follow
};

struct ContainerPorts {
  std::vector<ContainerPort> inputs, outputs; ///< in order
};

/// Rewrites main. The parts of `x` are called x.dims, x.data, x.ranks and x.present, the number of elements is the
/// symbol x.length and that of their data x.total, made unique by underscores.
ContainerPorts expose_containers(graph::Graph &graph);

} // namespace cameo::passes
