// Model-local functions: found by (domain, name, overload), and counted before anything is expanded.
#pragma once

#include "cameo/frontend/limits.h"
#include "cameo/support/result.h"

#include <map>
#include <onnx/onnx_pb.h>
#include <string>
#include <tuple>

namespace cameo::frontend {

/// Fields of newer ONNX versions that the distribution's classes keep as unknown fields.
std::string overload_of(const onnx::NodeProto &node);         ///< NodeProto.overload = 8
std::string overload_of(const onnx::FunctionProto &function); ///< FunctionProto.overload = 13

struct LocalFunction {
  const onnx::FunctionProto *proto = nullptr;
  std::map<std::string, int64_t, std::less<>> opsets;   ///< of its body; normal domains
  std::vector<onnx::AttributeProto> default_attributes; ///< FunctionProto.attribute_proto = 11
  int64_t nodes = 0;                                    ///< after inlining everything it calls; saturates
  int depth = 0;                                        ///< of calls, itself included
};

class FunctionTable {
public:
  /// Checks the functions of a model: duplicates, recursion, depth, and the number of nodes after inlining them into
  /// the main graph. Nothing is expanded: the sums saturate.
  Diagnostics build(const onnx::ModelProto &model, const Limits &limits, const std::string &file);

  /// Nullptr: no model-local function.
  const LocalFunction *find(const onnx::NodeProto &node) const;
  bool empty() const { return functions_.empty(); }
  /// Of the model, at all depths, once its functions are inlined; at most the limit.
  int64_t nodes() const { return nodes_; }

private:
  using Key = std::tuple<std::string, std::string, std::string>; // normal domain, name, overload
  static Key key(const onnx::NodeProto &node);
  bool count(LocalFunction &function, int depth);
  bool count_nodes(const google::protobuf::RepeatedPtrField<onnx::NodeProto> &nodes, int depth, int64_t &sum,
                   int &deepest);

  std::map<Key, LocalFunction> functions_;
  std::map<const LocalFunction *, int> state_; ///< 1: being counted, 2: done
  Limits limits_;
  std::string problem_;
  int64_t nodes_ = 0;
};

/// "" for ai.onnx.
std::string normal_domain(const std::string &domain);

} // namespace cameo::frontend
