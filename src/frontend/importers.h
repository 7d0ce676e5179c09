// The table of importers: which operator is read by which function, from which version on.
#pragma once

#include "cameo/frontend/op_table.h"

#include <string_view>

namespace cameo::frontend {

class NodeImport;

struct Importer {
  std::string_view domain, name;
  int since = 1; ///< the first version of the operator that the function reads
  void (*import)(NodeImport &) = nullptr;
  std::string_view limits; ///< for `cameo ops`: what of the operator is not accepted
};

/// Nullptr when the operator, or that version of it, has no importer.
const Importer *find_importer(const OpRow &row);

} // namespace cameo::frontend
