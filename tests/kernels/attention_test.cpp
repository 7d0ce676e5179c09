// Attention under the default schedule: lanes of queries, or of keys and columns for a single query.
#include "kernel_runner.h"

#include "cameo/ir/builder.h"
#include "cameo/ops/lower.h"

namespace cameo::loop {
namespace {

Kernel attention(int64_t heads, int64_t queries, int64_t keys, int64_t size, bool mask, bool causal) {
  graph::Graph graph("attention");
  graph::Region *body = graph.main().body;
  std::vector<graph::Value *> operands; // q, k, v, mask
  for (const graph::Shape &shape :
       {graph::Shape{1, heads, queries, size}, {1, heads, keys, size}, {1, heads, keys, size}, {queries, keys}})
    operands.push_back(graph.add_argument(body, graph::Type::tensor(DType::f32, shape)));
  if (!mask) operands.pop_back();
  graph::Builder builder = graph::Builder::at_end(graph, body);
  const graph::Type type = operands[0]->type();
  return ops::lower(*builder.node(graph::Op::attention, operands, {{"scale", 0.25}, {"causal", causal}}, {type}))
      ->kernel;
}

} // namespace

TEST(Attention, OnlineSoftmaxOverBlocksOfKeys) {
  for (const char *cpu : {"native", "x86-64-v3", "x86-64-v2"})
    for (const auto &[queries, keys, size, mask, causal] :
         {std::tuple<int64_t, int64_t, int64_t, bool, bool>{40, 64, 32, true, false},
          {9, 16, 16, false, true},
          {33, 131, 20, true, false},
          {1, 150, 48, true, false}}) {
      SCOPED_TRACE(std::string(cpu) + " " + std::to_string(queries));
      KernelRun run;
      run.kernel = attention(2, queries, keys, size, mask, causal);
      run.bindings = dense_bindings(run.kernel);
      run.schedule = default_schedule(run.kernel, run.bindings, codegen::resolve_targets(cpu)->back());
      const std::string text = print(run.schedule, run.kernel);
      // Blocks, not a plain schedule: sums of a tile stay in registers where queries are lanes.
      EXPECT_NE(text.find("local at sum loop 0"), std::string::npos) << text;
      EXPECT_EQ(text.find("registers at masked") != std::string::npos, queries > 1) << text;
      expect_right(run, cpu);
    }
}

} // namespace cameo::loop
