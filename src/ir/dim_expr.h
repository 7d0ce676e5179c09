// The canonical form behind Dim, private to src/ir. A sum of terms; a term is a coefficient and a sorted multiset of
// atoms.
#pragma once

#include "cameo/ir/dim.h"

#include <memory>
#include <string>
#include <vector>

namespace cameo::graph {

struct Atom;
using AtomPtr = std::shared_ptr<const Atom>;

/// What multiplies: a symbol or an opaque function of canonical operands.
struct Atom {
  enum class Kind : uint8_t { symbol, runtime, floordiv, mod, min, max };
  Kind kind = Kind::symbol;
  std::string name;      ///< of a symbol
  int64_t number = 0;    ///< of a run-time symbol
  std::vector<Dim> args; ///< two for floordiv and mod, two or more (sorted, distinct) for min and max
  size_t size = 1;       ///< atoms inside, this one included: what kMaxSize limits
  size_t hash = 0;
};

/// coefficient * factors[0] * factors[1] * ...
struct Term {
  int64_t coefficient = 1;      ///< never 0 in a canonical sum
  std::vector<AtomPtr> factors; ///< sorted; empty: the constant term
};

/// Two or more terms, or one that is not constant; sorted by compare_monomials, highest first, no monomial twice.
struct Dim::Expr {
  std::vector<Term> terms;
  size_t size = 0;
  size_t hash = 0;
};

// Limits of one expression: hostile models cannot make arithmetic slow.
inline constexpr size_t kMaxTerms = 64;
inline constexpr size_t kMaxDegree = 16;
inline constexpr size_t kMaxSize = 512;
inline constexpr size_t kMaxArguments = 16;

/// Access to the representation for the files that implement Dim.
struct DimBuilder {
  /// Any list of terms, factors unsorted and monomials repeated as they may be, to the canonical Dim.
  static Dim from_terms(std::vector<Term> terms);
  static Dim from_symbol(std::string name);
  static Dim from_runtime(int64_t number);
  static Dim from_call(Atom::Kind kind, std::vector<Dim> args);
  static Dim from_atom(Atom atom); ///< its size and hash are computed here
  /// The canonical terms of a valid Dim; a constant c gives one term without factors, 0 none.
  static std::vector<Term> terms(const Dim &dim);
  static const Dim::Expr *expr(const Dim &dim) { return dim.expr_.get(); }
};

std::strong_ordering compare(const Atom &a, const Atom &b);
/// Dim::symbol_key() of a symbol.
std::string key(const Atom &atom);
/// Graded lexicographic order, a monomial order: higher degree first.
std::strong_ordering compare_monomials(const std::vector<AtomPtr> &a, const std::vector<AtomPtr> &b);
/// a / b as multisets; nullopt when b has a factor that a lacks.
std::optional<std::vector<AtomPtr>> divide_monomials(const std::vector<AtomPtr> &a, const std::vector<AtomPtr> &b);

int64_t floor_divide(int64_t a, int64_t b); ///< b > 0
int64_t floor_modulo(int64_t a, int64_t b); ///< b > 0, in [0, b)

} // namespace cameo::graph
