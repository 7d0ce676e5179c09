// The rules of canonicalize and what they rewrite with; private to passes/canonicalize*.cpp.
#pragma once

#include "cameo/ir/builder.h"

#include <deque>
#include <span>
#include <unordered_set>

namespace cameo::passes {

/// The graph under rewriting, with a list of nodes that are to be looked at (again).
class Rewriter {
public:
  explicit Rewriter(graph::Graph &graph) : graph_(graph), definers_(graph.runtime_definers()) {}

  graph::Graph &graph() { return graph_; }
  /// Creates nodes ahead of `node`, with its origin.
  graph::Builder builder(graph::Node *node);

  /// Every use of the only result of `node` becomes one of `value`, and the node goes. Where the types differ, run-time
  /// symbols that the node defined become the extents of `value`; what still differs is said by a reshape.
  void replace(graph::Node *node, graph::Value *value);
  /// The same for one of several results; the node stays.
  void replace(graph::Node *node, graph::Value *result, graph::Value *value);
  /// Says that two types of one value agree: symbols in `before` that `node` defines become the extents in `now`.
  void refine(const graph::Node *node, const graph::Type &before, const graph::Type &now);
  /// Notes that the node changed in place: it and its users are looked at again.
  void touch(graph::Node *node);

  /// Work list.
  void push(graph::Node *node);
  graph::Node *pop(); ///< null when there is none left
  /// Substitutes the symbols noted by refine(); whether there were any.
  bool apply_symbols();

private:
  graph::Graph &graph_;
  std::map<std::string, const graph::Node *> definers_;
  std::map<std::string, graph::Dim> symbols_;
  std::deque<graph::Node *> work_;
  std::unordered_set<const graph::Node *> queued_; ///< membership only
};

/// One law: applies to nodes of an op, returns whether it changed anything; the node may be gone then.
struct Law {
  graph::Op op;
  bool (*apply)(Rewriter &, graph::Node *);
};
std::span<const Law>
movement_rules(); ///< reshape, transpose, slice, concat, pad, gather, broadcast (canonicalize_movement.cpp)
std::span<const Law> arithmetic_rules(); ///< elementwise, cast, reduce, contract (canonicalize_arithmetic.cpp)
std::span<const Law> structural_rules(); ///< control, sequences, optionals, shapes (canonicalize_structure.cpp)

/// The node that produces the value when it is one of that op, else null.
inline graph::Node *producer(const graph::Value *value, graph::Op op) {
  return value && value->is(op) ? value->producer() : nullptr;
}
/// The elements of an integer or bool constant; nullopt otherwise or above 1024 elements.
std::optional<std::vector<int64_t>> known_ints(const graph::Value *value);
/// The value that every element of a real or integer constant has; nullopt otherwise, for NaN and above 4096 elements.
std::optional<double> uniform(const graph::Value *value);

} // namespace cameo::passes
