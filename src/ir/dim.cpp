// The ring of symbolic extents: canonical sums of products, comparison, substitution, evaluation. Division, minimum and
// maximum, whose rules are longer, are in dim_opaque.cpp.
#include "dim_expr.h"

#include <algorithm>

namespace cameo::graph {

namespace {

size_t mix(size_t hash, size_t value) { return (hash ^ value) * 0x9e3779b97f4a7c15ull + (hash >> 29); }

size_t hash_text(std::string_view text) {
  size_t hash = 0x51ed270b;
  for (char c : text) hash = mix(hash, static_cast<unsigned char>(c));
  return hash;
}

bool same_factors(const Term &a, const Term &b) { return compare_monomials(a.factors, b.factors) == 0; }

} // namespace

int64_t floor_divide(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }
int64_t floor_modulo(int64_t a, int64_t b) { return a % b < 0 ? a % b + b : a % b; }

std::strong_ordering compare(const Atom &a, const Atom &b) {
  if (&a == &b) return std::strong_ordering::equal;
  if (auto c = a.kind <=> b.kind; c != 0) return c;
  if (auto c = a.name.compare(b.name) <=> 0; c != 0) return c;
  if (auto c = a.number <=> b.number; c != 0) return c;
  return std::lexicographical_compare_three_way(a.args.begin(), a.args.end(), b.args.begin(), b.args.end());
}

std::strong_ordering compare_monomials(const std::vector<AtomPtr> &a, const std::vector<AtomPtr> &b) {
  if (auto c = b.size() <=> a.size(); c != 0) return c;
  return std::lexicographical_compare_three_way(a.begin(), a.end(), b.begin(), b.end(),
                                                [](const AtomPtr &x, const AtomPtr &y) { return compare(*x, *y); });
}

std::optional<std::vector<AtomPtr>> divide_monomials(const std::vector<AtomPtr> &a, const std::vector<AtomPtr> &b) {
  std::vector<AtomPtr> left;
  size_t next = 0;
  for (const AtomPtr &factor : a)
    if (next < b.size() && compare(*factor, *b[next]) == 0)
      ++next;
    else
      left.push_back(factor);
  if (next < b.size()) return std::nullopt;
  return left;
}

Dim DimBuilder::from_terms(std::vector<Term> terms) {
  for (Term &term : terms) {
    if (term.factors.size() > kMaxDegree) return Dim::invalid(Dim::Fault::too_complex);
    std::sort(term.factors.begin(), term.factors.end(),
              [](const AtomPtr &a, const AtomPtr &b) { return compare(*a, *b) < 0; });
  }
  std::stable_sort(terms.begin(), terms.end(),
                   [](const Term &a, const Term &b) { return compare_monomials(a.factors, b.factors) < 0; });
  // Coefficients of equal monomials are added in 128 bits: a sum may leave int64 on the way to where it belongs.
  std::vector<Term> out;
  for (size_t i = 0; i < terms.size();) {
    __int128 sum = 0;
    size_t j = i;
    for (; j < terms.size() && same_factors(terms[i], terms[j]); ++j) sum += terms[j].coefficient;
    if (sum > INT64_MAX || sum < INT64_MIN) return Dim::invalid(Dim::Fault::overflow);
    if (sum != 0) out.push_back({static_cast<int64_t>(sum), std::move(terms[i].factors)});
    i = j;
  }
  if (out.empty()) return Dim(0);
  if (out.size() == 1 && out[0].factors.empty()) return Dim(out[0].coefficient);
  auto expr = std::make_shared<Dim::Expr>();
  for (const Term &term : out) {
    expr->hash = mix(expr->hash, static_cast<size_t>(term.coefficient));
    expr->size += 1;
    for (const AtomPtr &factor : term.factors) {
      expr->hash = mix(expr->hash, factor->hash);
      expr->size += factor->size;
    }
  }
  if (out.size() > kMaxTerms || expr->size > kMaxSize) return Dim::invalid(Dim::Fault::too_complex);
  expr->terms = std::move(out);
  Dim dim;
  dim.expr_ = std::move(expr);
  return dim;
}

Dim DimBuilder::from_atom(Atom atom) {
  atom.hash = mix(mix(hash_text(atom.name), static_cast<size_t>(atom.kind)), static_cast<size_t>(atom.number));
  atom.size = 1;
  for (const Dim &arg : atom.args) {
    atom.hash = mix(atom.hash, arg.hash());
    if (const Dim::Expr *inner = expr(arg)) atom.size += inner->size;
  }
  return from_terms({{1, {std::make_shared<const Atom>(std::move(atom))}}});
}

Dim DimBuilder::from_symbol(std::string name) {
  Atom atom;
  atom.name = std::move(name);
  return from_atom(std::move(atom));
}

Dim DimBuilder::from_runtime(int64_t number) {
  Atom atom;
  atom.kind = Atom::Kind::runtime;
  atom.number = number;
  return from_atom(std::move(atom));
}

Dim DimBuilder::from_call(Atom::Kind kind, std::vector<Dim> args) {
  Atom atom;
  atom.kind = kind;
  atom.args = std::move(args);
  return from_atom(std::move(atom));
}

std::vector<Term> DimBuilder::terms(const Dim &dim) {
  if (dim.expr_) return dim.expr_->terms;
  if (dim.constant_ == 0) return {};
  return {{dim.constant_, {}}};
}

Dim Dim::symbol(std::string name) {
  CAMEO_CHECK(!name.empty(), "a symbol needs a name");
  return DimBuilder::from_symbol(std::move(name));
}

Dim Dim::runtime(int64_t number) {
  CAMEO_CHECK(number >= 0, "run-time symbol " + std::to_string(number));
  return DimBuilder::from_runtime(number);
}

Dim Dim::from_key(std::string_view key) {
  CAMEO_CHECK(!key.empty(), "a symbol needs a name");
  if (key[0] == '?') {
    int64_t number = 0;
    for (char c : key.substr(1)) number = number * 10 + (c - '0');
    return runtime(number);
  }
  return symbol(std::string(key[0] == '\\' ? key.substr(1) : key));
}

Dim Dim::invalid(Fault fault) {
  CAMEO_CHECK(fault != Fault::none, "an invalid dim needs a reason");
  Dim dim;
  dim.fault_ = fault;
  return dim;
}

int64_t Dim::value() const {
  CAMEO_CHECK(is_constant(), "value() of " + str());
  return constant_;
}

bool Dim::is_symbol() const {
  return expr_ && expr_->terms.size() == 1 && expr_->terms[0].coefficient == 1 && expr_->terms[0].factors.size() == 1 &&
         expr_->terms[0].factors[0]->kind <= Atom::Kind::runtime;
}

bool Dim::is_runtime() const { return is_symbol() && expr_->terms[0].factors[0]->kind == Atom::Kind::runtime; }

std::string key(const Atom &atom) {
  if (atom.kind == Atom::Kind::runtime) return std::string(1, '?') + std::to_string(atom.number);
  return atom.name[0] == '?' || atom.name[0] == '\\' ? std::string(1, '\\') + atom.name : atom.name;
}

std::string Dim::symbol_key() const {
  CAMEO_CHECK(is_symbol(), "symbol_key() of " + str());
  return key(*expr_->terms[0].factors[0]);
}

int64_t Dim::runtime_number() const {
  CAMEO_CHECK(is_runtime(), "number of " + str());
  return expr_->terms[0].factors[0]->number;
}

std::string_view Dim::fault_text() const {
  switch (fault_) {
  case Fault::none:
    return "is valid";
  case Fault::overflow:
    return "overflows 64 bits";
  case Fault::division:
    return "divides by a number below 1";
  case Fault::too_complex:
    return "is too complex";
  }
  CAMEO_UNREACHABLE("fault");
}

Dim operator+(const Dim &a, const Dim &b) {
  if (!a.valid()) return a;
  if (!b.valid()) return b;
  if (!a.expr_ && !b.expr_) {
    int64_t sum;
    return __builtin_add_overflow(a.constant_, b.constant_, &sum) ? Dim::invalid(Dim::Fault::overflow) : Dim(sum);
  }
  std::vector<Term> terms = DimBuilder::terms(a), more = DimBuilder::terms(b);
  terms.insert(terms.end(), more.begin(), more.end());
  return DimBuilder::from_terms(std::move(terms));
}

Dim operator-(const Dim &a, const Dim &b) { return a + b * Dim(-1); }

Dim operator*(const Dim &a, const Dim &b) {
  if (!a.valid()) return a;
  if (!b.valid()) return b;
  if (!a.expr_ && !b.expr_) {
    int64_t product;
    return __builtin_mul_overflow(a.constant_, b.constant_, &product) ? Dim::invalid(Dim::Fault::overflow)
                                                                      : Dim(product);
  }
  std::vector<Term> left = DimBuilder::terms(a), right = DimBuilder::terms(b), terms;
  for (const Term &x : left)
    for (const Term &y : right) {
      Term term;
      if (__builtin_mul_overflow(x.coefficient, y.coefficient, &term.coefficient))
        return Dim::invalid(Dim::Fault::overflow);
      term.factors = x.factors;
      term.factors.insert(term.factors.end(), y.factors.begin(), y.factors.end());
      terms.push_back(std::move(term));
    }
  return DimBuilder::from_terms(std::move(terms));
}

std::strong_ordering operator<=>(const Dim &a, const Dim &b) {
  if (auto c = a.fault_ <=> b.fault_; c != 0) return c;
  if (a.expr_ == b.expr_) return a.constant_ <=> b.constant_; // both constants, both invalid, or the same object
  if (!a.expr_ || !b.expr_) return a.expr_ ? std::strong_ordering::greater : std::strong_ordering::less;
  return std::lexicographical_compare_three_way(a.expr_->terms.begin(), a.expr_->terms.end(), b.expr_->terms.begin(),
                                                b.expr_->terms.end(), [](const Term &x, const Term &y) {
                                                  auto c = compare_monomials(x.factors, y.factors);
                                                  return c != 0 ? c : x.coefficient <=> y.coefficient;
                                                });
}

bool operator==(const Dim &a, const Dim &b) {
  if (a.expr_ && b.expr_ && a.expr_->hash != b.expr_->hash) return false;
  return (a <=> b) == 0;
}

size_t Dim::hash() const {
  return expr_ ? expr_->hash : mix(static_cast<size_t>(fault_), static_cast<size_t>(constant_));
}

// Polynomial long division: exact or not at all.
std::optional<Dim> Dim::exact_quotient(const Dim &b) const {
  if (!valid() || !b.valid() || b.is(0)) return std::nullopt;
  Dim left = *this, quotient = 0;
  const Term head = DimBuilder::terms(b)[0];
  for (size_t step = 0; !left.is(0); ++step) {
    const Term first = DimBuilder::terms(left)[0];
    auto factors = divide_monomials(first.factors, head.factors);
    const bool traps = first.coefficient == INT64_MIN && head.coefficient == -1;
    if (!factors || traps || first.coefficient % head.coefficient != 0 || step == kMaxTerms) return std::nullopt;
    Dim term = DimBuilder::from_terms({{first.coefficient / head.coefficient, *factors}});
    quotient += term;
    left = left - term * b;
    if (!left.valid() || !quotient.valid()) return std::nullopt;
  }
  return quotient;
}

Dim Dim::substitute(const Lookup &lookup) const {
  if (!expr_) return *this;
  Dim sum = 0;
  for (const Term &term : expr_->terms) {
    Dim product = term.coefficient;
    for (const AtomPtr &atom : term.factors) {
      std::vector<Dim> args;
      for (const Dim &arg : atom->args) args.push_back(arg.substitute(lookup));
      Dim factor;
      switch (atom->kind) {
      case Atom::Kind::symbol:
      case Atom::Kind::runtime:
        if (auto value = lookup(key(*atom)))
          factor = *value;
        else
          factor = DimBuilder::from_terms({{1, {atom}}});
        break;
      case Atom::Kind::floordiv:
        factor = floordiv(args[0], args[1]);
        break;
      case Atom::Kind::mod:
        factor = mod(args[0], args[1]);
        break;
      case Atom::Kind::min:
      case Atom::Kind::max:
        factor = args[0];
        for (size_t i = 1; i < args.size(); ++i)
          factor = atom->kind == Atom::Kind::min ? min(factor, args[i]) : max(factor, args[i]);
        break;
      }
      product *= factor;
    }
    sum += product;
  }
  return sum;
}

std::optional<int64_t> Dim::evaluate(const std::function<std::optional<int64_t>(const std::string &)> &lookup) const {
  Dim value = substitute([&](const std::string &name) -> std::optional<Dim> {
    if (auto v = lookup(name)) return Dim(*v);
    return std::nullopt;
  });
  return value.constant();
}

void Dim::for_each_symbol(const std::function<void(const std::string &)> &visit) const {
  if (!expr_) return;
  for (const Term &term : expr_->terms)
    for (const AtomPtr &atom : term.factors)
      if (atom->kind <= Atom::Kind::runtime)
        visit(key(*atom));
      else
        for (const Dim &arg : atom->args) arg.for_each_symbol(visit);
}

Dim product(const Shape &shape) {
  Dim result = 1;
  for (const Dim &dim : shape)
    if (dim.is(0)) return 0; // whatever the others are
  for (const Dim &dim : shape) result *= dim;
  return result;
}

} // namespace cameo::graph
