// Upper bounds (see dim_bounds.h): interval arithmetic whose ends are expressions.
//
//   2*?0 - ?1 + n   with ?0 <= m   =>   2*m + n
#include "dim_bounds.h"

#include "cameo/ir/dim_terms.h"

namespace cameo::passes {

using graph::Dim;
using graph::DimFactor;
using graph::DimTerm;

namespace {

class Bounds {
public:
  explicit Bounds(const std::function<SymbolBounds(const std::string &)> &lookup) : lookup_(lookup) {}

  std::optional<Dim> upper(const Dim &dim) { return end(dim, true); }

private:
  std::optional<Dim> end(const Dim &dim, bool high) {
    if (!dim.valid()) return std::nullopt;
    Dim sum = 0;
    for (const DimTerm &term : graph::dim_terms(dim)) {
      const bool factor_high = high == (term.coefficient > 0);
      Dim product = term.coefficient;
      for (const DimFactor &factor : term.factors) {
        // A product is monotone in factors that are not negative.
        if (term.factors.size() > 1 && !not_negative(factor)) return std::nullopt;
        const std::optional<Dim> f = end(factor, factor_high);
        if (!f) return std::nullopt;
        product = product * *f;
      }
      sum += product;
    }
    return sum.valid() ? std::optional(sum) : std::nullopt;
  }

  bool not_negative(const DimFactor &factor) {
    if (factor.kind == DimFactor::Kind::symbol || factor.kind == DimFactor::Kind::mod) return true;
    const std::optional<Dim> low = end(factor, false);
    return low && low->bounds().lower.value_or(-1) >= 0;
  }

  std::optional<Dim> end(const DimFactor &factor, bool high) {
    switch (factor.kind) {
    case DimFactor::Kind::symbol: {
      if (factor.key[0] != '?') return Dim::from_key(factor.key);
      const SymbolBounds known = lookup_(factor.key);
      return high ? known.upper : std::optional<Dim>(known.lower);
    }
    case DimFactor::Kind::floordiv: { // the divisor is positive
      std::optional<Dim> a = end(factor.args[0], high), b = end(factor.args[1], !high);
      if (!a || !b || b->bounds().lower.value_or(0) < 1) return std::nullopt;
      if (a->bounds().lower.value_or(-1) < 0) {
        if (!high) return std::nullopt;
        a = max(*a, 0);
      }
      return floordiv(*a, *b);
    }
    case DimFactor::Kind::mod: {
      if (!high) return Dim(0);
      const std::optional<Dim> b = end(factor.args[1], true);
      return b ? std::optional(*b - 1) : std::nullopt;
    }
    case DimFactor::Kind::min:
    case DimFactor::Kind::max: {
      // The upper end of a minimum is that of any argument.
      const bool any = high == (factor.kind == DimFactor::Kind::min);
      std::optional<Dim> out;
      for (const Dim &arg : factor.args) {
        const std::optional<Dim> e = end(arg, high);
        if (!e && any) continue;
        if (!e) return std::nullopt;
        out = !out ? e : factor.kind == DimFactor::Kind::min ? min(*out, *e) : max(*out, *e);
      }
      return out;
    }
    }
    CAMEO_UNREACHABLE("kind of factor");
  }

  const std::function<SymbolBounds(const std::string &)> &lookup_;
};

} // namespace

std::optional<Dim> upper_bound(const Dim &dim, const std::function<SymbolBounds(const std::string &key)> &lookup) {
  return Bounds(lookup).upper(dim);
}

} // namespace cameo::passes
