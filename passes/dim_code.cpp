// Code for symbolic extents (see dim_code.h).
#include "dim_code.h"

#include "cameo/ir/dim_terms.h"

#include <cmath>

namespace cameo::passes {

using graph::Dim;
using graph::DimFactor;
using loop::Opcode;
using loop::Value;

Value DimCode::value(const Dim &dim) {
  if (dim.is_constant()) return b_.index_constant(dim.value());
  if (auto it = known_.find(dim); it != known_.end()) return it->second;
  Value sum;
  for (const graph::DimTerm &term : graph::dim_terms(dim)) {
    Value product;
    for (const DimFactor &factor : term.factors) {
      Value v;
      if (factor.kind == DimFactor::Kind::symbol) {
        v = symbol(factor.key);
      } else {
        v = value(factor.args[0]);
        for (size_t i = 1; i < factor.args.size(); ++i) {
          const Value w = value(factor.args[i]);
          switch (factor.kind) {
          case DimFactor::Kind::min:
            v = b_.min(v, w);
            break;
          case DimFactor::Kind::max:
            v = b_.max(v, w);
            break;
          case DimFactor::Kind::floordiv: // of a divisor > 0: round down from the truncated quotient
          case DimFactor::Kind::mod: {
            const Value zero = b_.index_constant(0), r = b_.binary(Opcode::rem, v, w);
            const Value negative = b_.compare(Opcode::lt, r, zero);
            const Value m = b_.select(negative, b_.add(r, w), r);
            v = factor.kind == DimFactor::Kind::mod ? m : b_.binary(Opcode::div, b_.sub(v, m), w);
            break;
          }
          case DimFactor::Kind::symbol:
            break;
          }
        }
      }
      product = product.valid() ? b_.mul(product, v) : v;
    }
    if (!product.valid())
      product = b_.index_constant(term.coefficient);
    else if (term.coefficient != 1)
      product = b_.mul(product, b_.index_constant(term.coefficient));
    sum = sum.valid() ? b_.add(sum, product) : product;
  }
  if (!sum.valid()) sum = b_.index_constant(0);
  known_.emplace(dim, sum);
  return sum;
}

// Sums of absolute values; a quotient, a remainder, the least and the largest count as the largest of their operands.
Value DimCode::magnitude(const Dim &dim) {
  const loop::Type f64{loop::Scalar::f64};
  Value sum = b_.constant(f64, 0);
  for (const graph::DimTerm &term : graph::dim_terms(dim)) {
    Value product = b_.constant(f64, std::abs(static_cast<double>(term.coefficient)));
    for (const DimFactor &factor : term.factors) {
      Value most;
      if (factor.kind == DimFactor::Kind::symbol) {
        most = b_.cast(Opcode::sitofp, symbol(factor.key), loop::Scalar::f64);
      } else {
        for (const Dim &arg : factor.args) most = most.valid() ? b_.max(most, magnitude(arg)) : magnitude(arg);
      }
      product = b_.mul(product, most);
    }
    sum = b_.add(sum, product);
  }
  return sum;
}

Value DimCode::symbol(const std::string &key) {
  if (auto it = symbols_.find(key); it != symbols_.end()) return it->second;
  if (auto it = loaded_.find(key); it != loaded_.end()) return it->second;
  CAMEO_CHECK(load_, "symbol '" + key + "' has no value");
  return loaded_.emplace(key, load_(key)).first->second;
}

void DimCode::forget(const std::function<bool(const std::string &key)> &which) {
  std::erase_if(loaded_, [&](const auto &entry) { return which(entry.first); });
  std::erase_if(known_, [&](const auto &entry) {
    bool stale = false;
    entry.first.for_each_symbol([&](const std::string &key) { stale |= which(key); });
    return stale;
  });
}

void DimCode::set(const std::string &key, Value value) {
  forget([&](const std::string &k) { return k == key; });
  loaded_.emplace(key, value);
}

void DimCode::forget_runtime() {
  forget([&](const std::string &key) { return !symbols_.count(key); });
}

loop::Affine DimCode::affine(const Dim &dim) {
  return dim.is_constant() ? loop::Affine(dim.value()) : loop::Affine(value(dim));
}

} // namespace cameo::passes
