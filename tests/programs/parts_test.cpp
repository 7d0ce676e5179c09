// Dilated convolutions whose results are computed in parts, against the same graph computed as a whole.
#include "program_runner.h"

#include "cameo/ir/builder.h"
#include "cameo/ops/lower.h"

#include <random>

namespace cameo::passes {
namespace {

using graph::ConstantData;
using graph::Dim;
using graph::Fn;
using graph::Op;
using graph::Shape;
using graph::Type;
using graph::Value;

struct Conv {
  Shape x, w;
  std::vector<int64_t> dilations, strides;
  std::vector<Dim> pads;
};

// relu(conv(x, w, bias) + r), with bias and r where asked for.
graph::Graph graph_of(const Conv &c, bool bias, bool residual) {
  graph::Graph g("g");
  g.set_stage(graph::Stage::canonical);
  graph::Builder b = graph::Builder::at_end(g, g.main().body);
  auto constant = [&](const Shape &shape, uint32_t seed) {
    std::vector<int64_t> dims;
    for (const Dim &d : shape) dims.push_back(d.value());
    return b.constant(ConstantData::of(DType::f32, dims, some(graph::product(shape).value(), seed, 0.0625, 4)));
  };
  Shape y{c.x[0], c.w[0]};
  for (size_t d = 0; d < c.dilations.size(); ++d)
    y.push_back(
        floordiv(c.x[d + 2] + c.pads[d] + c.pads[d + c.dilations.size()] - (c.w[d + 2] - 1) * c.dilations[d] - 1,
                 c.strides[d]) +
        1);
  std::vector<Value *> operands{g.add_argument(g.main().body, Type::tensor(DType::f32, c.x), "x"), constant(c.w, 2)};
  if (bias) operands.push_back(constant({c.w[0]}, 3));
  Value *v = b.value(Op::conv, operands,
                     {{"dilations", c.dilations}, {"group", int64_t{1}}, {"pads", c.pads}, {"strides", c.strides}},
                     Type::tensor(DType::f32, y));
  if (residual) v = b.add(v, g.add_argument(g.main().body, Type::tensor(DType::f32, y), "r"));
  g.set_results(g.main(), {b.elementwise(Fn::relu, {v})}, {"y"});
  return g;
}

size_t steps_in_parts(const RunResult &run) {
  size_t count = 0;
  for (const Step &step : run.program.variants.at(0).plan.steps) count += step.algorithm == "parts";
  return count;
}

bool offers_parts(const Conv &c) {
  const graph::Graph g = graph_of(c, true, false);
  for (const graph::Node *node : g.main().body->nodes())
    if (node->is(Op::conv)) return !ops::part_work(*node).empty();
  return false;
}

} // namespace

TEST(Parts, RandomConvolutionsComputeTheSameAsAWhole) {
  std::mt19937 random(7);
  auto below = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint32_t>(n)); };
  size_t in_parts = 0;
  for (int round = 0; round < 60; ++round) {
    const size_t rank = 1 + static_cast<size_t>(below(2));
    Conv c{{1 + below(2), 3 + below(20)}, {5 + below(40), 0}, {}, {}, std::vector<Dim>(2 * rank, 0)};
    c.w[1] = c.x[1];
    for (size_t d = 0; d < rank; ++d) {
      c.x.push_back(7 + below(20));
      c.w.push_back(2 + below(2));
      c.dilations.push_back(2 + below(9));
      c.strides.push_back(1 + below(4) / 3);
      const int64_t reach = (c.w.back().value() - 1) * c.dilations.back();
      c.pads[d] = below(reach + 1);
      c.pads[d + rank] = reach - c.pads[d].value();
    }
    const bool bias = below(2) == 0, residual = below(2) == 0;
    graph::Graph g = graph_of(c, bias, residual);
    SCOPED_TRACE("round " + std::to_string(round) + "\n" + graph::print(g));
    std::vector<Values> inputs;
    for (const Value *v : g.main().body->arguments())
      inputs.push_back(some(graph::product(v->type().shape()).value(), 5 + static_cast<uint32_t>(inputs.size())));
    ASSERT_TRUE(run_pipeline(g, {}).ok());
    ProgramOptions plain;
    plain.plan.plain_schedules = true;
    const RunResult want = run_graph(g, inputs, plain), one = run_graph(g, inputs);
    EXPECT_EQ(steps_in_parts(want), 0u);
    in_parts += steps_in_parts(one);
    expect_near(one.outputs.at(0), want.outputs.at(0), 2e-5, "parts");
    const RunResult more = run_graph(g, inputs, {}, {}, 1 << 16, int64_t{1} << 40, 3);
    EXPECT_EQ(more.outputs, one.outputs) << "3 threads";
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GE(in_parts, 20u);
}

TEST(Parts, AreOfferedWhereTapsLeaveTheImage) {
  const Conv atrous{{1, 8, 20, 20}, {8, 8, 3, 3}, {12, 12}, {1, 1}, {12, 12, 12, 12}};
  EXPECT_TRUE(offers_parts(atrous));
  Conv c = atrous;
  c.dilations = {24, 24};
  c.pads = {24, 24, 24, 24};
  EXPECT_TRUE(offers_parts(c)) << "one part, of the tap in the middle";
  c = atrous;
  c.pads = {0, 0, 0, 0};
  c.x = {1, 8, 30, 30};
  EXPECT_FALSE(offers_parts(c)) << "no padding";
  c = atrous;
  c.dilations = {1, 1};
  c.pads = {1, 1, 1, 1};
  EXPECT_FALSE(offers_parts(c)) << "a border of one row";
  c = atrous;
  c.x[2] = Dim::symbol("h");
  EXPECT_FALSE(offers_parts(c)) << "a height that only a run knows";
  c = atrous;
  c.pads = {40, 12, 40, 12};
  EXPECT_FALSE(offers_parts(c)) << "rows without any tap inside";
}

// Corners have 4 of 9 taps inside, edges 2 and the centre 1: all of them together are less than half of the work.
TEST(Parts, CountOnlyTapsInside) {
  const graph::Graph g = graph_of({{1, 8, 20, 20}, {8, 8, 3, 3}, {12, 12}, {1, 1}, {12, 12, 12, 12}}, true, false);
  const graph::Node *conv = nullptr;
  for (const graph::Node *node : g.main().body->nodes())
    if (node->is(Op::conv)) conv = node;
  int64_t points = 0, work = 0;
  for (const ops::PartWork &part : ops::part_work(*conv)) {
    points += part.points;
    work += part.points * part.taps;
  }
  EXPECT_EQ(points, 400);
  EXPECT_EQ(work, 36 * 36); // per axis: 8 points with 2 taps, 4 with 1, 8 with 2
}

} // namespace cameo::passes
