// Text form of Graph IR; the grammar stands beside the parser (src/ir/parse.cpp), graph.h has an example.
//
// parse(print(g)) is the same graph, provided that the data of large constants is at hand: printed as hex, named in an
// external file, or given to the parser by a resolver. Where it is not, the constant is `absent`, which most passes do
// not mind.
#pragma once

#include "cameo/ir/graph.h"

#include <functional>

namespace cameo::graph {

struct PrintOptions {
  /// What becomes of constants of more than `inline_limit` elements. reference: `#hash` only. hex: a `data` section
  /// with all bytes. external: `data #hash = external "file" offset n length m`; whoever prints writes the file
  /// (write_data).
  enum class Data : uint8_t { reference, hex, external } data = Data::reference;
  int64_t inline_limit = 16;
  std::string external_file;
  bool origins = true; ///< print `from "node"`
};

/// Deterministic. Unnamed values print as numbers in order of definition; names that clash get a numeric suffix.
std::string print(const Graph &graph, const PrintOptions &options = {});
/// One node (with its regions) as it stands in print(); values outside keep their names or ids.
std::string print(const Node &node);
/// The bytes that print() with Data::external refers to, in order.
std::string external_data(const Graph &graph, const PrintOptions &options);

struct ParseOptions {
  /// Supplies constants by content hash, dtype and dims (null: not at hand). Asked before the data section.
  std::function<Constant(uint64_t hash, DType dtype, const std::vector<int64_t> &dims)> resolve;
  /// Reads `length` bytes at `offset` of an external file, whose name is as in the text; without it external data stays
  /// absent.
  std::function<Result<std::vector<std::byte>>(const std::string &file, int64_t offset, int64_t length)> read_external;
};

/// Syntax, names, arities and attributes; call verify() for the rest. `file` is for messages: `file:line:col: what`,
/// then the line and a caret. Safe on hostile text: nesting and counts are bounded.
Result<Graph> parse(std::string_view text, const std::string &file, const ParseOptions &options = {});

/// Structural equality: names, types, attributes, origins, symbols, order of nodes; value numbers and clashing suffixes
/// do not count.
bool same(const Graph &a, const Graph &b);

} // namespace cameo::graph
