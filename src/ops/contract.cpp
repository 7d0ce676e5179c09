// Contractions: y[out] = sum over the labels that out lacks of a[...] * b[...] (einsum of one or two operands).
#include "rules.h"

#include <algorithm>
#include <map>

namespace cameo::ops {

using namespace graph;

// Equation `bmk,kn->bmn`: one letter per axis, no spaces, an explicit result. A label's extents agree; 1 against
// another broadcasts.
Inferred infer_contract(InferContext &c) {
  const std::string_view equation = c.word("equation");
  const size_t arrow = equation.find("->");
  if (arrow == std::string_view::npos) return Inferred::wrong("equation '" + std::string(equation) + "' has no result");
  std::map<char, Dim> extents;
  std::string_view inputs = equation.substr(0, arrow);
  const auto named = size_t(std::count(inputs.begin(), inputs.end(), ',')) + 1;
  if (named != (c.operand(1) ? 2u : 1u))
    return Inferred::wrong("equation '" + std::string(equation) + "' names " + std::to_string(named) + " operands");
  for (size_t i = 0; i < 2 && c.operand(i); ++i) {
    const size_t comma = std::min(inputs.find(','), inputs.size());
    const std::string_view labels = inputs.substr(0, comma);
    inputs.remove_prefix(std::min(comma + 1, inputs.size()));
    const Type &t = c.type(i);
    if (!t.is_ranked()) return Inferred::wrong("the rank of an operand is not known");
    if (size_t(t.rank()) != labels.size())
      return Inferred::wrong("operand " + std::to_string(i) + " has rank " + std::to_string(t.rank()) + " where '" +
                             std::string(labels) + "' has " + std::to_string(labels.size()) + " axes");
    for (size_t k = 0; k < labels.size(); ++k) {
      const Dim &d = t.dim(int(k));
      auto [at, is_new] = extents.emplace(labels[k], d);
      if (is_new || at->second == d) continue;
      if (at->second.is(1) || (!at->second.is_constant() && d.is_constant() && !d.is(1)))
        at->second = d;
      else if (!d.is(1) && !may_be_equal(at->second, d))
        return Inferred::wrong("extents " + at->second.str() + " and " + d.str() + " of axis '" + labels[k] + "' in " +
                               std::string(equation) + " differ");
      else if (!d.is_constant() && !at->second.is_constant() &&
               equation.find(labels[k], arrow) != std::string_view::npos)
        at->second = max(at->second, d); // either may be 1
    }
  }
  Shape shape;
  for (char label : equation.substr(arrow + 2)) {
    auto at = extents.find(label);
    if (at == extents.end())
      return Inferred::wrong(std::string("the result's axis '") + label + "' stands in no operand");
    shape.push_back(at->second);
  }
  if (c.operand(1) && !c.node.dtype && c.type(0).dtype() != c.type(1).dtype())
    return Inferred::wrong("operands are " + std::string(name(c.type(0).dtype())) + " and " +
                           std::string(name(c.type(1).dtype())));
  return Type::tensor(c.node.dtype.value_or(c.type(0).dtype()), std::move(shape));
}

} // namespace cameo::ops
