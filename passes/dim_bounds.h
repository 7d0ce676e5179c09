// Symbolic upper bounds of extents whose symbols only a run can tell. Private to passes/.
#pragma once

#include "cameo/ir/graph.h"

#include <functional>
#include <optional>

namespace cameo::passes {

/// What is known of a symbol: itself when it is given, else bounds over given symbols.
struct SymbolBounds {
  int64_t lower = 0;
  std::optional<graph::Dim> upper; ///< none: unbounded
};

/// An expression over given symbols that is never below `dim`; nullopt when there is none. `lookup` says what is known
/// of each run-time symbol; every other symbol is given.
std::optional<graph::Dim> upper_bound(const graph::Dim &dim,
                                      const std::function<SymbolBounds(const std::string &key)> &lookup);

} // namespace cameo::passes
