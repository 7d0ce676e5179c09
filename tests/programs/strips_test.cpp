// Chains of convolutions and pools in strips of rows against the same layers one after the other, and the same bits for
// any number of threads.
#include "program_runner.h"

#include "cameo/ir/builder.h"

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

struct Chain {
  graph::Graph graph{"chain"};
  int64_t inputs = 0;  ///< elements of x
  int64_t largest = 0; ///< bytes of the largest tensor between two layers
};

class ChainMaker {
public:
  explicit ChainMaker(uint32_t seed) : random_(seed) {}

  Chain make() {
    Chain chain;
    graph::Graph &g = chain.graph;
    g.set_stage(graph::Stage::canonical);
    const int64_t batch = pick({1, 1, 1, 3, 8}), channels = pick({4, 8, 12, 17}), height = 60 + below(80);
    const Shape shape{batch, channels, height, 5 + below(9)};
    Value *x = g.add_argument(g.main().body, Type::tensor(DType::f32, shape), "x");
    chain.inputs = graph::product(shape).value();
    graph::Builder b = graph::Builder::at_end(g, g.main().body);
    Value *v = x;
    const int64_t layers = 2 + below(3);
    for (int64_t i = 0; i < layers; ++i) {
      const bool last = i + 1 == layers;
      v = layer(b, v, last ? x : nullptr);
      if (!last) chain.largest = std::max(chain.largest, 4 * graph::product(v->type().shape()).value());
    }
    g.set_results(g.main(), {v}, {"y"});
    return chain;
  }

private:
  int64_t below(int64_t n) { return static_cast<int64_t>(random_() % static_cast<uint32_t>(n)); }
  int64_t pick(std::vector<int64_t> list) { return list[random_() % list.size()]; }

  Value *constant(graph::Builder &b, std::vector<int64_t> dims) {
    int64_t n = 1;
    for (int64_t d : dims) n *= d;
    return b.constant(ConstantData::of(DType::f32, dims, some(n, random_(), 0.0625, 4)));
  }

  Value *layer(graph::Builder &b, Value *in, Value *residual) {
    const Shape &s = in->type().shape();
    const int64_t kind = below(5), channels = s[1].value();
    const int64_t k = kind == 0 ? 1 : pick({2, 3, 3, 5}), stride = kind == 0 ? 1 : pick({1, 1, 2}),
                  dilation = kind == 0 || kind == 3 ? 1 : pick({1, 1, 2});
    std::vector<Dim> pads(4, 0);
    for (Dim &p : pads) p = kind == 0 ? 0 : below(k);
    Shape out{s[0], channels, 0, 0};
    for (size_t d = 0; d < 2; ++d)
      out[2 + d] = (s[2 + d].value() + pads[d].value() + pads[2 + d].value() - dilation * (k - 1) - 1) / stride + 1;
    if (out[2].value() < 8 || out[3].value() < 2) return b.elementwise(Fn::relu, {in}); // nothing left to move over
    graph::Attributes attributes = {{"dilations", std::vector<int64_t>{dilation, dilation}},
                                    {"pads", pads},
                                    {"strides", std::vector<int64_t>{stride, stride}}};
    if (kind == 3) {
      const bool average = below(2) == 1;
      attributes.push_back({"fn", std::string(average ? "average" : "max")});
      attributes.push_back({"kernel", std::vector<int64_t>{k, k}});
      if (average) attributes.push_back({"count_include_pad", below(2) == 1});
      std::sort(attributes.begin(), attributes.end(), [](const auto &x, const auto &y) { return x.first < y.first; });
      return b.value(Op::pool, {in}, std::move(attributes), Type::tensor(DType::f32, out));
    }
    const bool depthwise = kind == 1 || kind == 2;
    if (!depthwise) out[1] = residual && below(2) ? residual->type().shape()[1].value() : pick({4, 7, 16, 24, 33});
    attributes.insert(attributes.begin() + 1, {"group", depthwise ? channels : int64_t{1}});
    std::vector<Value *> operands{in, constant(b, {out[1].value(), depthwise ? 1 : channels, k, k})};
    if (below(4)) operands.push_back(constant(b, {out[1].value()}));
    Value *v = b.value(Op::conv, operands, std::move(attributes), Type::tensor(DType::f32, out));
    if (residual && residual->type().shape() == out) v = b.add(v, residual);
    switch (below(4)) {
    case 0:
      return b.elementwise(Fn::relu, {v});
    case 1:
      return b.elementwise(Fn::clip, {v, b.scalar(DType::f32, 0), b.scalar(DType::f32, 6)});
    case 2:
      return b.elementwise(Fn::hard_swish, {v});
    default:
      return v;
    }
  }

  std::mt19937 random_;
};

int64_t strips_of(const graph::Graph &g) {
  int64_t count = 0;
  for (const graph::Node *node : g.main().body->nodes())
    count += node->is(Op::fused) && node->string("kind") == "strips";
  return count;
}

} // namespace

TEST(Strips, RandomChainsComputeTheSameAsLayerByLayer) {
  int64_t fused = 0;
  for (uint32_t seed = 1; seed <= 40; ++seed) {
    Chain chain = ChainMaker(seed).make();
    SCOPED_TRACE("seed " + std::to_string(seed) + "\n" + graph::print(chain.graph));
    const std::vector<Values> inputs{some(chain.inputs, seed)};
    RunOptions off, on;
    off.disabled = {"fuse_strips"};
    on.pass.cache_bytes = chain.largest / 4 - 1; // the largest tensor is one that strips are for
    graph::Graph apart = chain.graph.copy(), together = chain.graph.copy();
    ASSERT_TRUE(run_pipeline(apart, off).ok());
    ASSERT_TRUE(run_pipeline(together, on).ok());
    EXPECT_EQ(strips_of(apart), 0);
    if (strips_of(together) == 0) continue;
    ++fused;
    const RunResult want = run_graph(apart, inputs), one = run_graph(together, inputs);
    expect_near(one.outputs.at(0), want.outputs.at(0), 2e-5, "strips");
    for (int32_t threads : {2, 5}) {
      const RunResult more = run_graph(together, inputs, {}, {}, 1 << 16, int64_t{1} << 40, threads);
      EXPECT_EQ(more.outputs, one.outputs) << threads << " threads";
    }
    ProgramOptions plain;
    plain.plan.plain_schedules = true;
    plain.plan.halos = seed % 2 == 0;
    expect_near(run_graph(together, inputs, plain).outputs.at(0), want.outputs.at(0), 2e-5, "plain schedules");
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GE(fused, 14);
}

} // namespace cameo::passes
