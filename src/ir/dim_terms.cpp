// The canonical sum behind a Dim, as plain data (see cameo/ir/dim_terms.h).
#include "cameo/ir/dim_terms.h"

#include "dim_expr.h"

#include <numeric>

namespace cameo::graph {

std::vector<DimTerm> dim_terms(const Dim &dim) {
  CAMEO_CHECK(dim.valid(), "an expression that " + std::string(dim.fault_text()));
  std::vector<DimTerm> out;
  for (const Term &term : DimBuilder::terms(dim)) {
    DimTerm t{term.coefficient, {}};
    for (const AtomPtr &atom : term.factors) {
      DimFactor factor;
      switch (atom->kind) {
      case Atom::Kind::symbol:
      case Atom::Kind::runtime:
        factor.key = key(*atom);
        break;
      case Atom::Kind::floordiv:
        factor.kind = DimFactor::Kind::floordiv;
        break;
      case Atom::Kind::mod:
        factor.kind = DimFactor::Kind::mod;
        break;
      case Atom::Kind::min:
        factor.kind = DimFactor::Kind::min;
        break;
      case Atom::Kind::max:
        factor.kind = DimFactor::Kind::max;
        break;
      }
      factor.args = atom->args;
      t.factors.push_back(std::move(factor));
    }
    out.push_back(std::move(t));
  }
  return out;
}

int64_t content(const Dim &dim) {
  int64_t c = 0;
  for (const Term &term : DimBuilder::terms(dim)) c = std::gcd(c, term.coefficient);
  return c;
}

} // namespace cameo::graph
