// Division with remainder, minimum, maximum and bounds of symbolic extents. What a law can take out of an opaque term
// is taken out, so that few distinct forms of one function remain; what is left is an atom.
#include "dim_expr.h"

#include <algorithm>
#include <numeric>

namespace cameo::graph {

namespace {

// a = quotient * b + rest, where every term of a that b's single term divides went into the quotient, coefficients by
// floor division; so rest has coefficients in [0, |b|) where it has such terms at all. b is a constant or one term,
// with a coefficient > 0.
struct Split {
  Dim quotient = 0, rest = 0;
};
Split split(const Dim &a, const Term &b) {
  std::vector<Term> quotient, rest;
  for (const Term &term : DimBuilder::terms(a)) {
    auto factors = divide_monomials(term.factors, b.factors);
    if (!factors) {
      rest.push_back(term);
      continue;
    }
    quotient.push_back({floor_divide(term.coefficient, b.coefficient), *factors});
    if (int64_t left = floor_modulo(term.coefficient, b.coefficient)) rest.push_back({left, term.factors});
  }
  std::erase_if(quotient, [](const Term &t) { return t.coefficient == 0; });
  return {DimBuilder::from_terms(std::move(quotient)), DimBuilder::from_terms(std::move(rest))};
}

// Greatest common divisor of coefficients and monomials of all terms.
Term common(const std::vector<Term> &terms) {
  Term gcd = {0, terms[0].factors};
  for (const Term &term : terms) {
    // |INT64_MIN| has no int64: such a coefficient counts as having no common divisor.
    gcd.coefficient = term.coefficient == INT64_MIN ? 1 : std::gcd(gcd.coefficient, term.coefficient);
    std::vector<AtomPtr> shared;
    std::set_intersection(gcd.factors.begin(), gcd.factors.end(), term.factors.begin(), term.factors.end(),
                          std::back_inserter(shared),
                          [](const AtomPtr &x, const AtomPtr &y) { return compare(*x, *y) < 0; });
    gcd.factors = std::move(shared);
  }
  return gcd;
}

std::optional<Dim> fault_of_division(const Dim &a, const Dim &b) {
  if (!a.valid()) return a;
  if (!b.valid()) return b;
  if (b.is_constant() && b.value() < 1) return Dim::invalid(Dim::Fault::division);
  return std::nullopt;
}

// The one atom of that kind that `dim` is, else null.
const Atom *as_atom(const Dim &dim, Atom::Kind kind) {
  const Dim::Expr *expr = DimBuilder::expr(dim);
  if (!expr || expr->terms.size() != 1 || expr->terms[0].coefficient != 1 || expr->terms[0].factors.size() != 1)
    return nullptr;
  const Atom *atom = expr->terms[0].factors[0].get();
  return atom->kind == kind ? atom : nullptr;
}

bool within(const Dim &a, const Dim &b) {
  Interval low = a.bounds(), gap = (b - a - 1).bounds();
  return low.lower && *low.lower >= 0 && gap.lower && *gap.lower >= 0;
}

} // namespace

Dim floordiv(const Dim &a, const Dim &b) {
  if (auto fault = fault_of_division(a, b)) return *fault;
  if (b.is(1) || a.is(0)) return a;
  if (a.is_constant() && b.is_constant()) return floor_divide(a.value(), b.value());
  if (auto exact = a.exact_quotient(b)) return *exact; // floor(q b / b) = q
  std::vector<Term> divisor = DimBuilder::terms(b);
  if (divisor.size() == 1 && divisor[0].coefficient > 0) {
    // floor((q b + r) / b) = q + floor(r / b)
    Split parts = split(a, divisor[0]);
    if (!parts.quotient.valid() || !parts.rest.valid()) return Dim::invalid(Dim::Fault::overflow);
    if (!parts.quotient.is(0)) return parts.quotient + floordiv(parts.rest, b);
  }
  if (within(a, b)) return 0; // 0 <= a < b
  // floor(g p + c / g q) = floor((p + floor(c / g)) / q) for an integer g > 0; for a symbolic g without the constant c.
  std::vector<Term> terms = DimBuilder::terms(a), without = terms;
  int64_t constant = terms.back().factors.empty() ? terms.back().coefficient : 0;
  if (constant != 0) without.pop_back();
  without.insert(without.end(), divisor.begin(), divisor.end());
  Term shared = common(without);
  if (constant != 0) shared.factors.clear();
  if (shared.coefficient > 1 || !shared.factors.empty()) {
    Dim g = DimBuilder::from_terms({shared});
    auto p = (a - Dim(constant)).exact_quotient(g), q = b.exact_quotient(g);
    if (p && q) return floordiv(*p + floor_divide(constant, shared.coefficient), *q);
  }
  // floor((floor(x / m) + c) / n) = floor((x + c m) / (m n))
  if (const Atom *inner = as_atom(a - Dim(constant), Atom::Kind::floordiv)) {
    Dim numerator = inner->args[0] + inner->args[1] * Dim(constant), denominator = inner->args[1] * b;
    if (numerator.valid() && denominator.valid()) return floordiv(numerator, denominator);
  }
  return DimBuilder::from_call(Atom::Kind::floordiv, {a, b});
}

// ceil(a / b) = floor((a + b - 1) / b) for integers
Dim ceildiv(const Dim &a, const Dim &b) {
  if (auto fault = fault_of_division(a, b)) return *fault;
  if (a.is_constant() && b.is_constant())
    return floor_divide(a.value(), b.value()) + (floor_modulo(a.value(), b.value()) != 0 ? 1 : 0);
  return floordiv(a + b - 1, b);
}

Dim mod(const Dim &a, const Dim &b) {
  if (auto fault = fault_of_division(a, b)) return *fault;
  if (a.is_constant() && b.is_constant()) return floor_modulo(a.value(), b.value());
  if (a.exact_quotient(b)) return 0; // q b mod b = 0
  std::vector<Term> divisor = DimBuilder::terms(b);
  if (divisor.size() == 1 && divisor[0].coefficient > 0) {
    // (q b + r) mod b = r mod b
    Split parts = split(a, divisor[0]);
    if (!parts.rest.valid()) return Dim::invalid(Dim::Fault::overflow);
    if (parts.rest != a) return mod(parts.rest, b);
  }
  if (within(a, b)) return a;
  // (g p) mod (g q) = g (p mod q)
  std::vector<Term> terms = DimBuilder::terms(a);
  terms.insert(terms.end(), divisor.begin(), divisor.end());
  Term shared = common(terms);
  if (shared.coefficient > 1 || !shared.factors.empty()) {
    Dim g = DimBuilder::from_terms({shared});
    auto p = a.exact_quotient(g), q = b.exact_quotient(g);
    if (p && q) return g * mod(*p, *q);
  }
  return DimBuilder::from_call(Atom::Kind::mod, {a, b});
}

// The arguments of `dim` as an extremum of that kind, perhaps behind a constant (max(n, 3) - 3 was max(n - 3, 0)); else
// `dim` itself.
static std::vector<Dim> arguments(Atom::Kind kind, const Dim &dim) {
  std::vector<Term> terms = DimBuilder::terms(dim);
  const Dim constant = !terms.empty() && terms.back().factors.empty() ? Dim(terms.back().coefficient) : Dim(0);
  const Dim rest = dim - constant;
  const Atom *inner = as_atom(rest, kind);
  if (!inner) return {dim};
  std::vector<Dim> args;
  for (const Dim &arg : inner->args) args.push_back(arg + constant);
  return args;
}

// Whether a <= b is certain: by the bounds of their difference, or of that between b and an argument of a = min(...),
// or between an argument of b = max(...) and a.
static bool at_most(const Dim &a, const Dim &b) {
  auto direct = [](const Dim &x, const Dim &y) {
    const Interval gap = (y - x).bounds();
    return gap.lower && *gap.lower >= 0;
  };
  const std::vector<Dim> lows = arguments(Atom::Kind::min, a), highs = arguments(Atom::Kind::max, b);
  return std::any_of(lows.begin(), lows.end(), [&](const Dim &low) { return direct(low, b); }) ||
         std::any_of(highs.begin(), highs.end(), [&](const Dim &high) { return direct(a, high); });
}

static Dim extremum(Atom::Kind kind, const Dim &a, const Dim &b) {
  if (!a.valid()) return a;
  if (!b.valid()) return b;
  // min and max are associative, commutative and idempotent: one flat, sorted list without repetition.
  std::vector<Dim> args = arguments(kind, a);
  for (Dim &arg : arguments(kind, b)) args.push_back(std::move(arg));
  for (const Dim &arg : args)
    if (!arg.valid()) return arg;
  std::sort(args.begin(), args.end());
  args.erase(std::unique(args.begin(), args.end()), args.end());
  // Where x <= y is certain, max drops x and min drops y. One at a time, against what remains: equal values cannot drop
  // each other.
  std::vector<Dim> kept = std::move(args);
  for (size_t i = kept.size(); i-- > 0;) {
    auto beats = [&](const Dim &other) {
      return kind == Atom::Kind::max ? at_most(kept[i], other) : at_most(other, kept[i]);
    };
    bool dropped = false;
    for (size_t j = 0; j < kept.size() && !dropped; ++j) dropped = j != i && beats(kept[j]);
    if (dropped) kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(i));
  }
  if (kept.size() == 1) return kept[0];
  if (kept.size() > kMaxArguments) return Dim::invalid(Dim::Fault::too_complex);
  // max(x + c, y + d) = max(x + c - m, y + d - m) + m with m = min(c, d): the smallest constant inside is 0.
  int64_t least = INT64_MAX;
  for (const Dim &arg : kept) {
    std::vector<Term> terms = DimBuilder::terms(arg);
    least = std::min(least, !terms.empty() && terms.back().factors.empty() ? terms.back().coefficient : 0);
  }
  for (Dim &arg : kept) {
    arg = arg - Dim(least);
    if (!arg.valid()) return arg;
  }
  std::sort(kept.begin(), kept.end());
  return DimBuilder::from_call(kind, std::move(kept)) + Dim(least);
}

Dim min(const Dim &a, const Dim &b) { return extremum(Atom::Kind::min, a, b); }
Dim max(const Dim &a, const Dim &b) { return extremum(Atom::Kind::max, a, b); }

namespace {

// Interval arithmetic over integers with infinities at +-kInf; whatever leaves int64 counts as infinite, which is
// sound.
using Wide = __int128;
constexpr Wide kInf = Wide(1) << 100;
struct Range {
  Wide low = 0, high = 0;
};

Wide clamp(Wide x) { return x > INT64_MAX ? kInf : x < INT64_MIN ? -kInf : x; }
Wide times(Wide x, Wide y) {
  if (x == 0 || y == 0) return 0;
  if (x == kInf || x == -kInf || y == kInf || y == -kInf) return (x > 0) == (y > 0) ? kInf : -kInf;
  return clamp(x * y);
}
Wide plus(Wide x, Wide y) { return x == kInf || x == -kInf ? x : y == kInf || y == -kInf ? y : clamp(x + y); }
Wide over(Wide x, Wide y) { // floor(x / y), y > 0
  if (x == kInf || x == -kInf) return x;
  if (y == kInf) return x < 0 ? -1 : 0;
  return floor_divide(static_cast<int64_t>(x), static_cast<int64_t>(y));
}

Range multiply(Range a, Range b) {
  Wide c[] = {times(a.low, b.low), times(a.low, b.high), times(a.high, b.low), times(a.high, b.high)};
  return {*std::min_element(c, c + 4), *std::max_element(c, c + 4)};
}

using SymbolBounds = std::function<std::optional<Interval>(const std::string &)>;
Range range(const Dim &dim, const SymbolBounds &lookup);

Range range(const Atom &atom, const SymbolBounds &lookup) {
  if (atom.kind <= Atom::Kind::runtime) {
    Interval known = lookup ? lookup(key(atom)).value_or(Interval{0, {}}) : Interval{0, {}};
    return {known.lower ? Wide(std::max<int64_t>(*known.lower, 0)) : 0, known.upper ? Wide(*known.upper) : kInf};
  }
  Range a = range(atom.args[0], lookup), b = range(atom.args[1], lookup);
  switch (atom.kind) {
  case Atom::Kind::floordiv: {
    b.low = std::max<Wide>(b.low, 1);
    b.high = std::max<Wide>(b.high, 1);
    return {over(a.low, a.low >= 0 ? b.high : b.low), over(a.high, a.high >= 0 ? b.low : b.high)};
  }
  case Atom::Kind::mod: {
    Wide most = b.high == kInf ? kInf : std::max<Wide>(b.high, 1) - 1;
    return {0, a.low >= 0 ? std::min(a.high, most) : most};
  }
  default:
    for (size_t i = 1; i < atom.args.size(); ++i) {
      b = range(atom.args[i], lookup);
      bool least = atom.kind == Atom::Kind::min;
      a = least ? Range{std::min(a.low, b.low), std::min(a.high, b.high)}
                : Range{std::max(a.low, b.low), std::max(a.high, b.high)};
    }
    return a;
  }
}

Range range(const Dim &dim, const SymbolBounds &lookup) {
  if (!dim.valid()) return {-kInf, kInf};
  Range sum;
  for (const Term &term : DimBuilder::terms(dim)) {
    Range product = {term.coefficient, term.coefficient};
    for (const AtomPtr &factor : term.factors) product = multiply(product, range(*factor, lookup));
    sum = {plus(sum.low, product.low), plus(sum.high, product.high)};
  }
  return sum;
}

} // namespace

Interval Dim::bounds(const std::function<std::optional<Interval>(const std::string &)> &lookup) const {
  Range r = range(*this, lookup);
  Interval out;
  if (r.low >= INT64_MIN && r.low <= INT64_MAX) out.lower = static_cast<int64_t>(r.low);
  if (r.high >= INT64_MIN && r.high <= INT64_MAX) out.upper = static_cast<int64_t>(r.high);
  return out;
}

} // namespace cameo::graph
