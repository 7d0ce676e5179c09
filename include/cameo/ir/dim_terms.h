// The structure of a Dim, for those who turn it into something else (code that computes it, a coefficient and a rest).
#pragma once

#include "cameo/ir/dim.h"

namespace cameo::graph {

/// What a term of a sum multiplies: a symbol, or a function of other expressions.
struct DimFactor {
  enum class Kind : uint8_t { symbol, floordiv, mod, min, max };
  Kind kind = Kind::symbol;
  std::string key;       ///< of a symbol: Dim::symbol_key()
  std::vector<Dim> args; ///< two of floordiv and mod, two or more of min and max
};

/// coefficient * product of the factors.
struct DimTerm {
  int64_t coefficient = 1;
  std::vector<DimFactor> factors; ///< empty: the constant term
};

/// The terms whose sum is `dim`, in canonical order; none for 0. CAMEO_CHECKs that it is valid.
std::vector<DimTerm> dim_terms(const Dim &dim);

/// The largest c > 0 with dim = c * rest for an integer expression `rest`; of 0: 0.
int64_t content(const Dim &dim);

} // namespace cameo::graph
