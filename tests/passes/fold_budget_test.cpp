// How much memory folded constants may take.
#include "cameo/ir/builder.h"
#include "cameo/passes/passes.h"

#include <gtest/gtest.h>

namespace cameo::passes {
namespace {

using namespace graph;

// y = x + -(-(...(c))), c of 4,096 bytes; with `kept`, each step is a result as well.
Graph chain(int64_t steps, bool kept) {
  Graph g("g");
  g.set_stage(Stage::canonical);
  Builder b = Builder::at_end(g, g.main().body);
  Value *x = g.add_argument(g.main().body, Type::tensor(DType::f32, {1024}), "x");
  Value *v = b.constant(ConstantData::of(DType::f32, {1024}, std::vector<double>(1024, 2)));
  std::vector<Value *> results;
  std::vector<std::string> names;
  for (int64_t i = 0; i < steps; ++i) {
    v = b.elementwise(Fn::neg, {v});
    if (kept) results.push_back(v);
    if (kept) names.push_back("r" + std::to_string(i));
  }
  results.push_back(b.add(x, v));
  names.emplace_back("y");
  g.set_results(g.main(), results, names);
  return g;
}

int64_t steps_left(Graph g, int64_t budget) {
  PassOptions options;
  options.fold_bytes_total = budget;
  EXPECT_TRUE(fold_constants(g, options).ok());
  int64_t left = 0;
  for (const Node *node : g.main().body->nodes()) left += node->is(Op::elementwise) && node->fn() == Fn::neg;
  return left;
}

} // namespace

TEST(FoldBudget, StepsBetweenAreNotCounted) {
  EXPECT_EQ(steps_left(chain(10, false), 4096), 0);
  EXPECT_EQ(steps_left(chain(10, false), 4095), 10);
}

// The first step takes the place of the constant that it reads; the others add to it.
TEST(FoldBudget, WhatIsReadElsewhereIsCounted) {
  EXPECT_EQ(steps_left(chain(10, true), 4 * 4096), 5);
  EXPECT_EQ(steps_left(chain(10, true), 4 * 4096 - 1), 6);
}

} // namespace cameo::passes
