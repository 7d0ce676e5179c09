// Outputs of a model that the C interface has no type for, as tensors of numbers with labels told beside them.
//
//   sequence of maps (ZipMap)   the tensor of values [rows, classes]; the labels are the keys, one per column
//   tensor of strings           i64 positions in the list of labels, which holds every string that the output can
//   contain
//
// This happens to outputs only, when a graph is compiled, and the artefact says so: in its header, its description
// (CameoModel.output_labels) and its manifest. What cannot be written this way stays as it is and is refused later.
#pragma once

#include "cameo/ir/graph.h"

#include <cstdint>
#include <vector>

namespace cameo::passes {

struct OutputLabels {
  enum class Kind : uint8_t {
    none,
    elements, ///< each element is the position of its label
    columns,  ///< the last axis runs over the labels
  };
  Kind kind = Kind::none;
  graph::Constant labels; ///< strings or i64, rank 1; null for none
};

/// Rewrites the outputs of main and says what became of each. Strings of constants that no output can hold may be among
/// the labels.
std::vector<OutputLabels> expose_labels(graph::Graph &graph);

} // namespace cameo::passes
