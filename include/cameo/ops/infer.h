// Types of results, per canonical op: given the op, its operands' types and its attributes, what the results are.
//
// Each op's rule stands beside its verifier and its lowering in one family file of src/ops. The frontend uses them to
// type what it imports, passes to type what they build, and `verify_types` to hold a whole graph against them. A rule
// that finds the operands impossible says so in words (`group 3 does not divide 64 input channels`): in a model that is
// the user's fault, in a pass ours.
//
// Ops of trait movement whose result shape is not determined by operands (reshape, broadcast, range, ...) take it from
// the caller: infer gives what can be known, with fresh run-time symbols elsewhere.
#pragma once

#include "cameo/ir/graph.h"
#include "cameo/support/result.h"

#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace cameo::ops {

/// What infer() reads: a node before it exists.
struct NodeSpec {
  graph::Op op = graph::Op::constant;
  std::vector<graph::Value *> operands; ///< null where absent
  graph::Attributes attributes;
  size_t results = 1; ///< how many are wanted: optional ones behind are left out
  /// Dtype of the first result of the ops whose attributes leave it open: cast, bitcast, quantize, dequantize, contract
  /// and reductions of integers.
  std::optional<DType> dtype;
};

/// The symbolic value of an integer tensor of rank 0 or 1 (flattened), as far as shape arithmetic can follow it:
/// constants, extents, and what is computed from them; nullopt when an element is unknown or there are more than 1024.
std::optional<std::vector<graph::Dim>> symbolic_value(const graph::Value *value);

/// Either the result types or what is wrong, in words.
struct Inferred {
  std::vector<graph::Type> types;
  std::string problem; ///< empty: fine
  Inferred(std::vector<graph::Type> t) : types(std::move(t)) {}
  Inferred(graph::Type t) : types{std::move(t)} {}
  static Inferred wrong(std::string what) {
    Inferred result{std::vector<graph::Type>{}};
    result.problem = std::move(what);
    return result;
  }
  bool ok() const { return problem.empty(); }
};

/// Types of the results. `graph` gives fresh run-time symbols.
Inferred infer(graph::Graph &graph, const NodeSpec &node);

/// As infer, for a node that exists: does each result type agree (equal, or refined where only a run can tell)?
/// Nullopt, or what is wrong. `graph` gives the rules fresh run-time symbols. Nodes whose types the operands do not
/// determine agree.
std::optional<std::string> check_types(graph::Graph &graph, const graph::Node &node);

} // namespace cameo::ops
