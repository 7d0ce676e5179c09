// A node against the row of its operator: how many inputs and outputs, of which types, which attributes of which kind.
#include "importer.h"

#include <algorithm>
#include <climits>

namespace cameo::frontend {
namespace {

std::string quoted(std::string_view name) { return "'" + escape_name(std::string(name)) + "'"; }

// ONNX's name of an element type, as the standard's type strings have it.
std::string onnx_name(DType dtype) {
  switch (dtype) {
  case DType::f32:
    return "float";
  case DType::f64:
    return "double";
  case DType::string:
    return "string";
  default:
    break;
  }
  std::string text(name(dtype)); // u8 -> uint8, i64 -> int64
  if (text[0] == 'i' && text != "i1") return "int" + text.substr(1);
  if (text[0] == 'u') return "uint" + text.substr(1);
  return text;
}

// A map or sequence of maps as the standard writes it: `seq(map(int64,float))`.
std::string map_text(const Type &type) {
  if (type.is_sequence()) return "seq(" + map_text(type.element()) + ")";
  if (type.is_map()) return "map(" + onnx_name(type.dtype()) + "," + onnx_name(type.element().dtype()) + ")";
  return type.str();
}

bool in_words(std::string_view words, std::string_view word) {
  while (!words.empty()) {
    const size_t space = std::min(words.find(' '), words.size());
    if (words.substr(0, space) == word) return true;
    words.remove_prefix(std::min(space + 1, words.size()));
  }
  return false;
}

bool allowed(const TypeSet &set, const Type &type) {
  auto bit = [](uint32_t mask, const Type &t) { return t.is_tensor() && (mask >> onnx_number(t.dtype()) & 1); };
  if (type.is_tensor()) return bit(set.tensor, type);
  if (type.is_sequence() && type.element().is_tensor()) return bit(set.sequence, type.element());
  if (type.is_optional() && type.element().is_tensor()) return bit(set.optional, type.element());
  if (type.is_optional() && type.element().is_sequence()) return bit(set.optional_sequence, type.element().element());
  return in_words(set.maps, map_text(type));
}

std::string set_text(const TypeSet &set) {
  std::string text;
  for (int n = 1; n < 32; ++n)
    if (set.tensor >> n & 1)
      if (auto dtype = dtype_from_onnx(n)) text += (text.empty() ? "" : ", ") + std::string(name(*dtype));
  if (set.sequence) text += (text.empty() ? "" : ", ") + std::string("sequences");
  if (set.optional || set.optional_sequence) text += (text.empty() ? "" : ", ") + std::string("optionals");
  if (!set.maps.empty()) text += (text.empty() ? "" : ", ") + std::string(set.maps);
  return text;
}

// Which of two types that stand for one type parameter agree: kind and element type.
bool same_family(const Type &a, const Type &b) {
  if (a.kind() != b.kind()) return false;
  if (a.is_tensor()) return a.dtype() == b.dtype();
  if (a.is_map()) return a.dtype() == b.dtype() && same_family(a.element(), b.element());
  if (a.is_token()) return true;
  return same_family(a.element(), b.element());
}

// The kind of an attribute: what its type field says, or the field that is filled where it says nothing (IR version 1).
std::optional<AttributeKind> kind_of(const onnx::AttributeProto &a) {
  switch (a.type()) {
  case onnx::AttributeProto::FLOAT:
    return AttributeKind::real;
  case onnx::AttributeProto::INT:
    return AttributeKind::integer;
  case onnx::AttributeProto::STRING:
    return AttributeKind::string;
  case onnx::AttributeProto::TENSOR:
    return AttributeKind::tensor;
  case onnx::AttributeProto::GRAPH:
    return AttributeKind::graph;
  case onnx::AttributeProto::SPARSE_TENSOR:
    return AttributeKind::sparse;
  case onnx::AttributeProto::TYPE_PROTO:
    return AttributeKind::type;
  case onnx::AttributeProto::FLOATS:
    return AttributeKind::reals;
  case onnx::AttributeProto::INTS:
    return AttributeKind::integers;
  case onnx::AttributeProto::STRINGS:
    return AttributeKind::strings;
  case onnx::AttributeProto::UNDEFINED:
    break;
  default:
    return std::nullopt;
  }
  if (a.has_t()) return AttributeKind::tensor;
  if (a.has_g()) return AttributeKind::graph;
  if (a.floats_size() > 0) return AttributeKind::reals;
  if (a.ints_size() > 0) return AttributeKind::integers;
  if (a.strings_size() > 0) return AttributeKind::strings;
  if (a.has_s()) return AttributeKind::string;
  if (a.has_f()) return AttributeKind::real;
  if (a.has_i()) return AttributeKind::integer;
  return std::nullopt;
}

// Whether the field that the kind says is there, so that a getter does not silently read a default.
bool is_filled(const onnx::AttributeProto &a, AttributeKind kind) {
  switch (kind) {
  case AttributeKind::tensor:
    return a.has_t();
  case AttributeKind::graph:
    return a.has_g();
  case AttributeKind::sparse:
    return a.has_sparse_tensor();
  case AttributeKind::type:
    return a.has_tp();
  default:
    return true; // numbers and lists may be left out when 0 or empty
  }
}

} // namespace

bool ModelImporter::check_signature(const onnx::NodeProto &node, const OpRow &row, const OpSignature &signature,
                                    const Scope &scope, const std::string &where) {
  const int64_t before = problem_count_;
  auto bad = [&](std::string what) { report(ExitCode::bad_model, where, std::move(what)); };
  (void)row;

  // Counts. Absent ones at the end do not count as given.
  auto is_there = [&](const std::string &name) { return !name.empty() && !scope.is_absent(name); };
  int inputs = node.input_size(), outputs = node.output_size();
  if (inputs > signature.max_inputs) // also when they are empty
    bad("has " + std::to_string(inputs) + " inputs; the operator takes at most " +
        std::to_string(signature.max_inputs));
  while (inputs > 0 && !is_there(node.input(inputs - 1))) --inputs;
  if (inputs < signature.min_inputs)
    bad("has " + std::to_string(inputs) + " inputs; the operator needs " + std::to_string(signature.min_inputs));
  if (outputs > signature.max_outputs)
    bad("has " + std::to_string(outputs) + " outputs; the operator has at most " +
        std::to_string(signature.max_outputs));
  if (outputs < signature.min_outputs)
    bad("has " + std::to_string(outputs) + " outputs; the operator has at least " +
        std::to_string(signature.min_outputs));
  if (problem_count_ > before) return false;

  // Types: each in its set, all of one type parameter alike.
  std::vector<const Type *> bound(signature.type_parameters.size(), nullptr);
  for (int i = 0; i < inputs; ++i) {
    const OpParameter &parameter = signature.inputs[std::min(size_t(i), signature.inputs.size() - 1)];
    if (!is_there(node.input(i))) {
      if (parameter.arity != OpParameter::Arity::optional)
        bad("input '" + std::string(parameter.name) + "' is missing");
      continue;
    }
    bool known = false;
    const Type &type = scope.find(node.input(i), known)->type();
    if (!allowed(parameter.types, type)) {
      bad("input '" + std::string(parameter.name) + "' is " + type.str() + "; the operator takes " +
          set_text(parameter.types));
      continue;
    }
    if (parameter.type_parameter < 0 || parameter.arity == OpParameter::Arity::heterogeneous) continue;
    const Type *&first = bound[size_t(parameter.type_parameter)];
    if (!first)
      first = &type;
    else if (!same_family(*first, type))
      bad("input '" + std::string(parameter.name) + "' is " + type.str() + " where another of type " +
          std::string(signature.type_parameters[size_t(parameter.type_parameter)]) + " is " + first->str());
  }

  // Attributes.
  std::unordered_set<std::string_view> seen;
  for (const onnx::AttributeProto &a : node.attribute()) {
    if (!seen.insert(a.name()).second) {
      bad("attribute " + quoted(a.name()) + " is given twice");
      continue;
    }
    auto expected = std::find_if(signature.attributes.begin(), signature.attributes.end(),
                                 [&](const OpAttribute &s) { return s.name == a.name(); });
    if (expected == signature.attributes.end()) {
      bad("the operator has no attribute " + quoted(a.name()));
      continue;
    }
    const onnx::AttributeProto *value = &a;
    if (!a.ref_attr_name().empty()) {
      if (!scope.environment) {
        bad("attribute " + quoted(a.name()) + " refers to one of a function, but is in none");
        continue;
      }
      auto at = scope.environment->find(a.ref_attr_name());
      if (at == scope.environment->end()) {
        if (expected->required) bad("attribute " + quoted(a.name()) + " is missing in the call of the function");
        continue;
      }
      value = at->second;
    }
    const std::optional<AttributeKind> kind = kind_of(*value);
    // An empty list, or a number that is 0, says nothing of its kind in IR version 1.
    if (value->type() == onnx::AttributeProto::UNDEFINED && !kind) continue;
    if (!kind || *kind != expected->kind)
      bad("attribute " + quoted(a.name()) + " is " + std::string(kind ? name(*kind) : "of another kind") + ", not " +
          std::string(name(expected->kind)));
    else if (!is_filled(*value, *kind))
      bad("attribute " + quoted(a.name()) + " is empty");
  }
  for (const OpAttribute &a : signature.attributes)
    if (a.required && !seen.count(a.name)) bad("attribute '" + std::string(a.name) + "' is missing");
  return problem_count_ == before;
}

} // namespace cameo::frontend
