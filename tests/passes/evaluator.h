// A direct evaluator of Graph IR over doubles, for tests of passes: what a graph means, op by op, with no regard to
// speed. It covers the ops that random_graph.h makes. Integers and small binary fractions stay exact, so results
// compare by equality.
#pragma once

#include "cameo/ir/graph.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace cameo::test {

/// A tensor (row-major) or a sequence of tensors.
struct TestValue {
  std::vector<int64_t> dims;
  std::vector<double> elements;
  std::vector<TestValue> sequence;
  friend bool operator==(const TestValue &, const TestValue &) = default;
};

/// Runs the main function; `symbols` gives the named symbols. Throws std::runtime_error for an op it does not know, for
/// a value whose shape is not what its type says, and for a failed check.
std::vector<TestValue> evaluate(const graph::Graph &graph, const std::vector<TestValue> &inputs,
                                const std::map<std::string, int64_t> &symbols);

} // namespace cameo::test
