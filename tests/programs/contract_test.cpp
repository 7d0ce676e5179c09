// Products with large constant matrices: packed panels that are read ahead, rows of a number that only the run knows.
#include "program_runner.h"

#include "cameo/ir/builder.h"

namespace cameo::passes {

TEST(Contract, SymbolicRowsOfWeightsThatAreReadAhead) {
  constexpr int64_t kInner = 384, kColumns = 512;
  const Values w = some(kInner * kColumns, 7);
  graph::Graph graph("g");
  graph::Region *body = graph.main().body;
  const graph::Dim n = graph::Dim::symbol("n");
  graph::Value *x = graph.add_argument(body, graph::Type::tensor(DType::f32, {n, kInner}), "x");
  graph::Builder builder = graph::Builder::at_end(graph, body);
  graph::Value *weights = builder.constant(graph::ConstantData::of_rounded(DType::f32, {kInner, kColumns}, w));
  graph::Value *y = builder.value(graph::Op::contract, {x, weights}, {{"equation", std::string("mk,kn->mn")}},
                                  graph::Type::tensor(DType::f32, {n, kColumns}));
  graph.set_results(graph.main(), {y}, {"y"});
  graph.set_stage(graph::Stage::canonical);
  for (int64_t rows : {1, 13, 30}) {
    const Values in = some(rows * kInner, 3);
    Values want(static_cast<size_t>(rows * kColumns), 0);
    for (int64_t m = 0; m < rows; ++m)
      for (int64_t k = 0; k < kInner; ++k)
        for (int64_t c = 0; c < kColumns; ++c)
          want[size_t(m * kColumns + c)] += in[size_t(m * kInner + k)] * w[size_t(k * kColumns + c)];
    const RunResult result = run_graph(graph, {in}, {}, {rows});
    ASSERT_EQ(result.outputs.size(), 1u);
    expect_near(result.outputs[0], want, 1e-4, std::to_string(rows) + " rows");
  }
}

} // namespace cameo::passes
