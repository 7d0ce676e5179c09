// What ops.def says about one node, as a check that constructors (our fault), the parser (the text's fault) and the
// verifier share.
#pragma once

#include "cameo/ir/graph.h"

namespace cameo::graph {

/// Whether the value is of that kind (a word: any string).
bool is_kind(AttrKind kind, const Attribute &attribute);

/// Nullopt when operands, results and attributes fit the op's row, else what does not: `conv: operand w is missing`.
/// Types are not looked at; regions are checked by the verifier.
std::optional<std::string> problem_of_node(Op op, const std::vector<Value *> &operands, size_t results,
                                           const Attributes &attributes);

} // namespace cameo::graph
