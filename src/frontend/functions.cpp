#include "functions.h"

#include "wire.h"

#include <google/protobuf/unknown_field_set.h>

namespace cameo::frontend {
namespace {

const google::protobuf::UnknownFieldSet &unknown_fields(const google::protobuf::Message &message) {
  return message.GetReflection()->GetUnknownFields(message);
}

// The last length-delimited field of that number.
std::string unknown_text(const google::protobuf::Message &message, int number) {
  std::string text;
  const auto &fields = unknown_fields(message);
  for (int i = 0; i < fields.field_count(); ++i)
    if (fields.field(i).number() == number &&
        fields.field(i).type() == google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED)
      text = fields.field(i).length_delimited();
  return text;
}

int64_t saturating_add(int64_t a, int64_t b) {
  int64_t sum;
  return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

} // namespace

std::string normal_domain(const std::string &domain) { return domain == "ai.onnx" ? std::string() : domain; }

std::string overload_of(const onnx::NodeProto &node) { return unknown_text(node, 8); }
std::string overload_of(const onnx::FunctionProto &function) { return unknown_text(function, 13); }

FunctionTable::Key FunctionTable::key(const onnx::NodeProto &node) {
  return {normal_domain(node.domain()), node.op_type(), overload_of(node)};
}

const LocalFunction *FunctionTable::find(const onnx::NodeProto &node) const {
  if (functions_.empty()) return nullptr;
  auto at = functions_.find(key(node));
  return at == functions_.end() ? nullptr : &at->second;
}

// Sums the nodes of a list and of the graphs inside, with calls expanded. False when problem_ was set.
bool FunctionTable::count_nodes(const google::protobuf::RepeatedPtrField<onnx::NodeProto> &nodes, int depth,
                                int64_t &sum, int &deepest) {
  for (const onnx::NodeProto &node : nodes) {
    if (auto at = functions_.find(key(node)); at != functions_.end()) {
      if (!count(at->second, depth + 1)) return false;
      sum = saturating_add(sum, at->second.nodes);
      deepest = std::max(deepest, at->second.depth);
    } else {
      sum = saturating_add(sum, 1);
    }
    for (const onnx::AttributeProto &attribute : node.attribute()) {
      if (attribute.has_g() && !count_nodes(attribute.g().node(), depth, sum, deepest)) return false;
      for (const onnx::GraphProto &g : attribute.graphs())
        if (!count_nodes(g.node(), depth, sum, deepest)) return false;
    }
  }
  return true;
}

bool FunctionTable::count(LocalFunction &function, int depth) {
  const std::string name = "function '" + escape_name(function.proto->name()) + "'";
  int &state = state_[&function];
  if (state == 1) {
    problem_ = name + " calls itself";
    return false;
  }
  if (state == 0) {
    if (depth > limits_.function_depth) {
      problem_ = "calls of functions are nested deeper than " + std::to_string(limits_.function_depth) +
                 " (limit), at " + name;
      return false;
    }
    state = 1;
    int deepest = 0;
    if (!count_nodes(function.proto->node(), depth, function.nodes, deepest)) return false;
    function.depth = deepest + 1;
    state_[&function] = 2;
  }
  if (function.depth > limits_.function_depth) {
    problem_ =
        "calls of functions are nested deeper than " + std::to_string(limits_.function_depth) + " (limit), at " + name;
    return false;
  }
  return true;
}

Diagnostics FunctionTable::build(const onnx::ModelProto &model, const Limits &limits, const std::string &file) {
  limits_ = limits;
  Diagnostics problems;
  auto report = [&](std::string what) { problems.push_back({ExitCode::bad_model, file, std::move(what)}); };
  if (model.functions_size() > limits.functions) {
    report("has " + std::to_string(model.functions_size()) + " functions (limit " + std::to_string(limits.functions) +
           ")");
    return problems;
  }
  for (const onnx::FunctionProto &proto : model.functions()) {
    const std::string name = "function '" + escape_name(proto.name()) + "'";
    LocalFunction function;
    function.proto = &proto;
    for (const auto &opset : proto.opset_import())
      if (!function.opsets.emplace(normal_domain(opset.domain()), opset.version()).second)
        report(name + " imports an opset twice");
    // attribute_proto: messages that this version of the classes does not know.
    const auto &fields = unknown_fields(proto);
    for (int i = 0; i < fields.field_count(); ++i) {
      const auto &field = fields.field(i);
      if (field.number() != 11 || field.type() != google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED) continue;
      onnx::AttributeProto attribute;
      if (attribute.ParseFromString(field.length_delimited()))
        function.default_attributes.push_back(std::move(attribute));
      else
        report(name + " has a malformed default attribute");
    }
    Key key{normal_domain(proto.domain()), proto.name(), overload_of(proto)};
    if (!functions_.emplace(std::move(key), std::move(function)).second) report(name + " is defined twice");
  }
  if (!problems.empty()) return problems;
  for (auto &[key, function] : functions_)
    if (!count(function, 1)) {
      report(problem_);
      return problems;
    }
  int64_t total = 0;
  int deepest = 0;
  if (!count_nodes(model.graph().node(), 0, total, deepest))
    report(problem_);
  else if (total > limits.nodes)
    report("has " + (total == INT64_MAX ? std::string("more than 2^63") : std::to_string(total)) +
           " nodes once its functions are inlined (limit " + std::to_string(limits.nodes) + ")");
  nodes_ = std::min(total, limits.nodes);
  return problems;
}

} // namespace cameo::frontend
