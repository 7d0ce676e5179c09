// Convolutions by minimal filtering inside programs, against the direct form of the same graph.
#include "program_runner.h"

#include "cameo/passes/passes.h"

namespace cameo::passes {
namespace {

struct Shape {
  int64_t n, c, h, w, m, top, left, bottom, right;
  bool symbolic = false; ///< the number of images
  bool beside = false;   ///< the residual is a function of what is added, computed ahead of the convolution
};

// conv with bias, then an epilogue of a residual sum, a slope per channel and a clip, in one group. NHWC inside.
graph::Graph fused_conv(const Shape &s, bool residual_dies) {
  const int64_t oh = s.h + s.top + s.bottom - 2, ow = s.w + s.left + s.right - 2;
  graph::Graph g("g");
  graph::Region *body = g.main().body;
  const graph::Layout nhwc = graph::Layout::channels_last(4);
  auto type = [](std::vector<int64_t> dims) { return graph::Type::tensor(DType::f32, {dims.begin(), dims.end()}); };
  auto images = [&](std::vector<int64_t> dims) {
    graph::Shape shape(dims.begin(), dims.end());
    if (s.symbolic) shape[0] = graph::Dim::symbol("batch");
    return graph::Type::tensor(DType::f32, std::move(shape));
  };
  auto constant = [&](std::vector<int64_t> dims, uint32_t seed, double scale) {
    int64_t count = 1;
    for (int64_t d : dims) count *= d;
    const auto data = graph::ConstantData::of(DType::f32, dims, some(count, seed, scale));
    return g.create(graph::InsertPoint::end(body), graph::Op::constant, {}, {{"value", data}}, {type(dims)})->result();
  };
  auto inside = [&](graph::Value *v) {
    return g.create(graph::InsertPoint::end(body), graph::Op::relayout, {v}, {}, {v->type().with_layout(nhwc)})
        ->result();
  };
  graph::Value *x = inside(g.add_argument(body, images({s.n, s.c, s.h, s.w}), "x"));
  graph::Value *r = inside(g.add_argument(body, images({s.n, s.m, oh, ow}), "r"));
  const graph::Type result = images({s.n, s.m, oh, ow}).with_layout(nhwc);
  auto pointwise = [&](graph::Fn fn, std::vector<graph::Value *> operands) {
    return g.create(graph::InsertPoint::end(body), graph::Op::elementwise, operands, {{"fn", fn}}, {result})->result();
  };
  graph::Value *added = s.beside ? pointwise(graph::Fn::relu, {pointwise(graph::Fn::neg, {r})}) : r;
  graph::Value *f = constant({s.m, s.c, 3, 3}, 2, 0.0625), *b = constant({s.m}, 3, 0.125),
               *slope = constant({s.m, 1, 1}, 4, 0.0625);
  graph::Value *y = g.create(graph::InsertPoint::end(body), graph::Op::conv, {x, f, b},
                             {{"dilations", std::vector<int64_t>{1, 1}},
                              {"group", int64_t{1}},
                              {"pads", std::vector<graph::Dim>{s.top, s.left, s.bottom, s.right}},
                              {"strides", std::vector<int64_t>{1, 1}}},
                             {result})
                        ->result();
  y = pointwise(graph::Fn::relu, {pointwise(graph::Fn::mul, {pointwise(graph::Fn::add, {y, added}), slope})});
  std::vector<graph::Value *> out{y};
  std::vector<std::string> names{"y"};
  if (!residual_dies) {
    out.push_back(r);
    names.push_back("r");
  }
  for (graph::Value *&v : out)
    v = g.create(graph::InsertPoint::end(body), graph::Op::relayout, {v}, {}, {v->type().with_layout({})})->result();
  g.set_results(g.main(), out, names);
  EXPECT_TRUE(fuse(g, {}).ok());
  return g;
}

void check(const Shape &s, const std::string &algorithm, Winograd most) {
  SCOPED_TRACE(algorithm + " of " + std::to_string(s.h) + " x " + std::to_string(s.w));
  const Result<std::vector<loop::Target>> targets = codegen::resolve_targets("native");
  for (const bool dies : {false, true}) {
    const graph::Graph g = fused_conv(s, dies);
    const int64_t oh = s.h + s.top + s.bottom - 2, ow = s.w + s.left + s.right - 2;
    const std::vector<Values> inputs{some(s.n * s.c * s.h * s.w, 1), some(s.n * s.m * oh * ow, 5)};
    ProgramOptions direct;
    direct.plan.winograd = Winograd::off;
    const std::vector<int64_t> symbols(s.symbolic ? 1 : 0, s.n);
    const RunResult want = run_graph(g, inputs, direct, symbols);
    for (const bool in_place : {true, false})
      for (const bool halos : {true, false})
        for (const bool packed : {true, false}) {
          ProgramOptions options;
          options.plan.winograd = most;
          options.plan.in_place = in_place;
          options.plan.halos = halos;
          options.plan.pack_weights = packed;
          const Result<Plan> plan = make_plan(g, (*targets)[0], options.plan);
          ASSERT_TRUE(plan.ok());
          EXPECT_TRUE(std::any_of(plan->steps.begin(), plan->steps.end(),
                                  [&](const Step &step) { return step.algorithm == algorithm; }));
          for (const Step &step : plan->steps)
            for (const loop::StageSchedule &stage : step.schedule.stages) // none is unrolled as a whole
              EXPECT_TRUE(stage.place != loop::Place::root || !stage.loops.empty());
          const RunResult got = run_graph(g, inputs, options, symbols);
          ASSERT_EQ(got.outputs.size(), want.outputs.size());
          for (size_t i = 0; i < want.outputs.size(); ++i) expect_near(got.outputs[i], want.outputs[i], 1e-4, "output");
        }
  }
}

} // namespace

TEST(WinogradProgram, WholeTiles) { check({1, 32, 16, 16, 64, 1, 1, 1, 1}, "winograd4", Winograd::automatic); }
TEST(WinogradProgram, TilesOverTheEdge) { check({1, 32, 27, 14, 48, 1, 1, 1, 1}, "winograd4", Winograd::automatic); }
TEST(WinogradProgram, SmallTiles) { check({1, 40, 15, 17, 70, 1, 1, 1, 1}, "winograd2", Winograd::f2); }
TEST(WinogradProgram, OtherPadding) { check({1, 32, 18, 20, 48, 0, 2, 1, 0}, "winograd4", Winograd::automatic); }
TEST(WinogradProgram, WithoutPadding) { check({1, 32, 18, 22, 32, 0, 0, 0, 0}, "winograd4", Winograd::automatic); }
TEST(WinogradProgram, Images) { check({3, 32, 13, 12, 64, 1, 1, 1, 1}, "winograd4", Winograd::automatic); }
TEST(WinogradProgram, WhatIsComputedBesideIt) {
  check({1, 32, 16, 16, 64, 1, 1, 1, 1, false, true}, "winograd4", Winograd::automatic);
}
TEST(WinogradProgram, AnyNumberOfImages) {
  for (const int64_t n : {0, 1, 3}) check({n, 32, 13, 12, 64, 1, 1, 1, 1, true}, "winograd4", Winograd::automatic);
  check({2, 40, 28, 17, 70, 1, 1, 1, 1, true}, "winograd2", Winograd::f2);
}

} // namespace cameo::passes
