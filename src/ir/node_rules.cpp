#include "node_rules.h"

namespace cameo::graph {

bool is_kind(AttrKind kind, const Attribute &attribute) {
  // In the order of AttrKind; words and strings share an alternative.
  constexpr size_t kAlternative[] = {0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  return attribute.index() == kAlternative[static_cast<size_t>(kind)];
}

static std::optional<std::string> problem_of_attributes(const OpInfo &row, const Attributes &attributes) {
  for (const auto &[name, value] : attributes) {
    const AttrSchema *schema = row.attribute(name);
    if (!schema) return "has no attribute '" + name + "'";
    if (!is_kind(schema->kind, value))
      return "attribute '" + name + "' is not of kind " + std::string(graph::name(schema->kind));
    if (schema->kind == AttrKind::word && !schema->allows(std::get<std::string>(value)))
      return "attribute '" + name + "' is none of " + std::string(schema->words);
    if (schema->kind == AttrKind::tensor && !std::get<Constant>(value)) return "attribute '" + name + "' is null";
  }
  for (size_t i = 1; i < attributes.size(); ++i)
    if (attributes[i - 1].first >= attributes[i].first)
      return "attribute '" + attributes[i].first + "' twice or unsorted";
  for (const AttrSchema &schema : row.attributes()) {
    bool found = false;
    for (const auto &[name, value] : attributes) found |= name == schema.name;
    if (!found && !schema.optional) return "attribute '" + std::string(schema.name) + "' is missing";
  }
  return std::nullopt;
}

// Functions have their own arity and constants.
static std::optional<std::string> problem_of_function(size_t operands, const Attributes &attributes) {
  const Fn *fn = nullptr;
  bool alpha = false, beta = false;
  for (const auto &[name, value] : attributes) {
    if (name == "fn") fn = &std::get<Fn>(value);
    alpha |= name == "alpha";
    beta |= name == "beta";
  }
  const FnInfo &row = info(*fn);
  if (operands != static_cast<size_t>(row.arity))
    return std::to_string(operands) + " operands instead of " + std::to_string(row.arity);
  for (auto [letter, name, there] : {std::tuple('a', "alpha", alpha), std::tuple('b', "beta", beta)})
    if (there != (row.params.find(letter) != std::string_view::npos))
      return std::string(there ? "has no attribute '" : "attribute '") + name + (there ? "'" : "' is missing");
  return std::nullopt;
}

std::optional<std::string> problem_of_node(Op op, const std::vector<Value *> &operands, size_t results,
                                           const Attributes &attributes) {
  const OpInfo &row = info(op);
  auto prefixed = [&](std::string text) { return std::string(row.text) + ": " + std::move(text); };
  const auto operand_count = static_cast<int>(operands.size()), result_count = static_cast<int>(results);
  if (row.max_operands >= 0 && operand_count > row.max_operands)
    return prefixed(std::to_string(operand_count) + " operands, at most " + std::to_string(row.max_operands));
  for (size_t i = 0; i < std::max(operands.size(), static_cast<size_t>(row.min_operands)); ++i)
    if ((i >= operands.size() || !operands[i]) && !row.operand_optional(i))
      return prefixed("operand " + std::string(row.operand_name(i)) + " is missing");
  if (row.max_operands >= 0 && !operands.empty() && !operands.back())
    return prefixed("the last operand is absent; leave it out");
  if (result_count < row.min_results || (row.max_results >= 0 && result_count > row.max_results))
    return prefixed(std::to_string(result_count) + " results instead of " + std::string(row.result_names));
  if (auto problem = problem_of_attributes(row, attributes)) return prefixed(*problem);
  if (op == Op::elementwise)
    if (auto problem = problem_of_function(operands.size(), attributes)) {
      for (const auto &[name, value] : attributes)
        if (name == "fn") return std::string(graph::name(std::get<Fn>(value))) + ": " + *problem;
    }
  return std::nullopt;
}

} // namespace cameo::graph
