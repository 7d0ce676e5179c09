// Symbolic extents. A Dim is an integer expression over symbols, held in one canonical form, so that equal expressions
// compare equal: a sum of products with integer coefficients over atoms; an atom is a symbol or an opaque term
// (floordiv, mod, min, max) whose operands are canonical themselves.
//
//   (batch + 1) * 2 - batch   =>  batch + 2
//   floordiv(4*n + 3, 4)      =>  n
//   ceildiv(n, 2)             =>  floordiv(n + 1, 2)
//
// Every symbol stands for an extent, so it is >= 0. Two kinds: a named symbol comes with the inputs (`batch`, `"past +
// 1"`); a run-time symbol (`?0`, `?1`, ...) is defined by the op that first mentions it in a result type (nonzero's
// count, a run-time reshape). A divisor is positive wherever the expression is evaluated: floordiv(b*s, b) = s.
//
// Arithmetic cannot trap: overflow, division by a constant <= 0 and expressions past the size limit give an *invalid*
// Dim that remembers why and absorbs everything. Whoever builds a type out of a model's numbers reports fault() as the
// user's fault.
#pragma once

#include "cameo/support/result.h"

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cameo::graph {

/// A closed interval of int64; a missing end is unbounded.
struct Interval {
  std::optional<int64_t> lower, upper;
  friend bool operator==(const Interval &, const Interval &) = default;
};

/// Immutable; 24 bytes; a copy is an increment at most. Constants never allocate.
class Dim {
public:
  /// Why an expression is invalid.
  enum class Fault : uint8_t { none, overflow, division, too_complex };

  Dim(int64_t value = 0) : constant_(value) {}
  static Dim symbol(std::string name); ///< a named symbol: any non-empty text
  static Dim runtime(int64_t number);  ///< run-time symbol ?number, number >= 0
  static Dim invalid(Fault fault);

  bool is_constant() const { return !expr_ && fault_ == Fault::none; }
  std::optional<int64_t> constant() const { return is_constant() ? std::optional(constant_) : std::nullopt; }
  int64_t value() const; ///< of a constant; CAMEO_CHECKs that it is one
  bool is(int64_t v) const { return is_constant() && constant_ == v; }
  bool is_symbol() const;  ///< exactly one symbol, named or run-time
  bool is_runtime() const; ///< exactly one run-time symbol
  /// Of is_symbol(): how maps and lookups name it. A run-time symbol is "?3"; a named one its name, with a backslash
  /// ahead when it begins with ? or a backslash (exporters do write such names).
  std::string symbol_key() const;
  int64_t runtime_number() const;            ///< of is_runtime()
  static Dim from_key(std::string_view key); ///< inverse of symbol_key()
  bool valid() const { return fault_ == Fault::none; }
  Fault fault() const { return fault_; }
  std::string_view fault_text() const; ///< "overflows 64 bits", "divides by a number below 1", "is too complex"

  friend Dim operator+(const Dim &a, const Dim &b);
  friend Dim operator-(const Dim &a, const Dim &b);
  friend Dim operator*(const Dim &a, const Dim &b);
  Dim &operator+=(const Dim &b) { return *this = *this + b; }
  Dim &operator*=(const Dim &b) { return *this = *this * b; }

  /// Structural: equal canonical forms. Invalid equals only invalid of the same fault. The order is total and
  /// deterministic.
  friend bool operator==(const Dim &a, const Dim &b);
  friend std::strong_ordering operator<=>(const Dim &a, const Dim &b);
  size_t hash() const;

  /// a / b when b divides every term of a exactly; nullopt otherwise.
  std::optional<Dim> exact_quotient(const Dim &b) const;

  /// Replaces each symbol for which `lookup(key)` answers; all at once, canonical again.
  using Lookup = std::function<std::optional<Dim>(const std::string &key)>;
  Dim substitute(const Lookup &lookup) const;

  /// The value under the given values of symbols; nullopt when a symbol has none, on overflow and on division by less
  /// than 1.
  std::optional<int64_t> evaluate(const std::function<std::optional<int64_t>(const std::string &)> &lookup) const;

  /// An interval that contains every value; sound, not always tight. `lookup` bounds symbols (nullopt: [0, inf)).
  Interval bounds(const std::function<std::optional<Interval>(const std::string &)> &lookup = {}) const;

  /// Calls `visit` with the key of each symbol, in order, perhaps more than once.
  void for_each_symbol(const std::function<void(const std::string &)> &visit) const;

  /// `2*batch + 3`, `floordiv(n + 1, 2)`, `?0`, `"past seq"`; parse_dim reads it back.
  std::string str() const;

  struct Expr; ///< private to dim.cpp
private:
  friend struct DimBuilder;
  int64_t constant_ = 0;
  std::shared_ptr<const Expr> expr_; ///< null for a constant
  Fault fault_ = Fault::none;
};

Dim floordiv(const Dim &a, const Dim &b); ///< rounds to minus infinity
Dim ceildiv(const Dim &a, const Dim &b);
Dim mod(const Dim &a, const Dim &b); ///< in [0, b)
Dim min(const Dim &a, const Dim &b);
Dim max(const Dim &a, const Dim &b);

using Shape = std::vector<Dim>;

/// Product of all extents; 1 for rank 0.
Dim product(const Shape &shape);

/// Reads an expression in the syntax of str() and the usual infix forms (+ - * parentheses, calls of floordiv, ceildiv,
/// mod, min, max). The whole text must be one expression. Used by tools (`--dim`) and for dim_param text of models.
Result<Dim> parse_dim(std::string_view text, const std::string &where = {});

} // namespace cameo::graph
