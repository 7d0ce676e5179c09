// Strings as numbers, so that everything that moves them, picks among them or asks whether they are equal is done by
// the kernels of i64 tensors.
//
// Equal strings have equal numbers within a run. The strings of the model itself are numbered when it is compiled: in
// the order of their bytes, so that the runtime finds them by bisection. 0 is the empty string, which is also what
// padding with nothing gives. What a run meets besides gets the numbers behind. Ops that look into strings or make new
// ones become `string_call` nodes, which the C runtime serves.
#pragma once

#include "cameo/ir/graph.h"

#include <string>
#include <vector>

namespace cameo::passes {

struct StringTable {
  std::vector<std::string> strings;  ///< by number: sorted, distinct, the first one empty. None: no value is a string
  std::vector<bool> inputs, outputs; ///< of main: whether they are tensors of strings
};

/// Rewrites all functions of the graph. Errors (unsupported): every node that does with strings what nothing here can
/// do; the graph is of no use then.
Result<StringTable> number_strings(graph::Graph &graph);

} // namespace cameo::passes
