// Turns strings into numbers (see cameo/passes/strings.h). First the whole graph is read: which ops see strings, which
// strings the model has. Then types and constants change.
#include "cameo/passes/strings.h"

#include "cameo/ir/builder.h"
#include "cameo/passes/passes.h"

#include <algorithm>
#include <map>
#include <set>

namespace cameo::passes {

namespace {

using namespace graph;

bool holds_strings(const Type &type) {
  switch (type.kind()) {
  case TypeKind::tensor:
    return type.dtype() == DType::string;
  case TypeKind::sequence:
  case TypeKind::optional:
    return holds_strings(type.element());
  case TypeKind::map: // no op makes a map that is read as anything but a table of numbers
  case TypeKind::token:
    break;
  }
  return false;
}

Type numbered(const Type &type) {
  if (!holds_strings(type)) return type;
  if (type.is_tensor()) return type.with_dtype(DType::i64);
  return type.is_sequence() ? Type::sequence(numbered(type.element())) : Type::optional(numbered(type.element()));
}

bool is_string(const Value *v) { return v && v->type().is_tensor() && v->type().dtype() == DType::string; }

// Ops that do the same with numbers of strings as with strings.
bool moves_strings(const Node &node) {
  switch (node.op()) {
  case Op::constant:
  case Op::reshape:
  case Op::transpose:
  case Op::broadcast:
  case Op::concat:
  case Op::slice:
  case Op::pad:
  case Op::gather:
  case Op::gather_elements:
  case Op::gather_nd:
  case Op::relayout:
  case Op::shape_of:
  case Op::if_:
  case Op::loop:
  case Op::scan:
  case Op::call:
  case Op::sequence_construct:
  case Op::sequence_at:
  case Op::sequence_insert:
  case Op::sequence_erase:
  case Op::sequence_length:
  case Op::sequence_split:
  case Op::sequence_concat:
  case Op::optional_make:
  case Op::optional_has:
  case Op::optional_get:
    return true;
  case Op::scatter_elements:
  case Op::scatter_nd:
    return node.string("reduction") == "none";
  case Op::elementwise:
    return node.fn() == Fn::equal || node.fn() == Fn::select;
  default:
    return false;
  }
}

class Numberer {
public:
  explicit Numberer(Graph &graph) : graph_(graph) {}

  Result<StringTable> run() {
    // What nobody reads needs no numbers: the strings of outputs that are told in labels, for one.
    CAMEO_TRY([[maybe_unused]] const bool changed, dead_code(graph_, {}));
    for (const Function &function : graph_.functions()) read(function.body);
    if (!problems_.empty()) return problems_;
    StringTable table;
    if (!any_) return table;
    strings_.insert("");
    for (const Value *v : graph_.main().body->arguments()) table.inputs.push_back(is_string(v));
    for (const Value *v : graph_.main().body->results()) table.outputs.push_back(is_string(v));
    for (const std::string &s : strings_) {
      numbers_.emplace(s, static_cast<int64_t>(table.strings.size()));
      table.strings.push_back(s);
    }
    for (const Function &function : graph_.functions()) retype(function.body);
    return table;
  }

private:
  void read(const Region *region) {
    for (const Value *v : region->arguments()) any_ |= holds_strings(v->type());
    for (Node *node : Graph::all_nodes(region)) {
      for (size_t r = 0; r < node->region_count(); ++r)
        for (const Value *v : node->body(r)->arguments()) any_ |= holds_strings(v->type());
      bool strings = false;
      for (const Value *v : node->operands()) strings |= v && holds_strings(v->type());
      for (const Value *v : node->results()) strings |= holds_strings(v->type());
      if (!strings) continue;
      any_ = true;
      if (node->is(Op::constant)) {
        const Constant &data = node->tensor("value");
        if (!data->available()) return void(problem(*node, "a constant whose strings are not at hand"));
        strings_.insert(data->string_values().begin(), data->string_values().end());
      } else if (!moves_strings(*node)) {
        problem(*node, std::string(node->is(Op::elementwise) ? name(node->fn()) : name(node->op())) +
                           " of strings is not supported");
      }
    }
  }

  void problem(const Node &node, const std::string &what) {
    std::string where = "node";
    if (!node.origin().empty()) where += " '" + escape_name(node.origin()[0]) + "'";
    problems_.push_back({ExitCode::unsupported, where, what});
  }

  void retype(const Region *region) {
    for (Value *v : region->arguments()) v->set_type(numbered(v->type()));
    for (Node *node : Graph::all_nodes(region)) {
      if (node->is(Op::constant) && is_string(node->result())) node->set("value", numbers_of(*node->tensor("value")));
      for (size_t r = 0; r < node->region_count(); ++r)
        for (Value *v : node->body(r)->arguments()) v->set_type(numbered(v->type()));
      for (Value *v : node->results()) v->set_type(numbered(v->type()));
    }
  }

  Constant numbers_of(const ConstantData &data) const {
    std::vector<int64_t> numbers;
    for (const std::string &s : data.string_values()) numbers.push_back(numbers_.at(s));
    return ConstantData::of_ints(DType::i64, data.dims(), numbers);
  }

  Graph &graph_;
  bool any_ = false;
  std::set<std::string> strings_;
  std::map<std::string, int64_t> numbers_;
  Diagnostics problems_;
};

} // namespace

Result<StringTable> number_strings(Graph &graph) { return Numberer(graph).run(); }

} // namespace cameo::passes
