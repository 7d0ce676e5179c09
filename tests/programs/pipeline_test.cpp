// A small network through the whole pipeline, with each pass and each decision of the planner undone: the results
// agree.
#include "program_runner.h"

#include "cameo/ir/builder.h"

namespace cameo::passes {
namespace {

using graph::ConstantData;
using graph::Dim;
using graph::Op;
using graph::Shape;
using graph::Type;
using graph::Value;

// Two convolutions with batch normalisation, a residual, a concatenation, pools, SiLU, a linear layer, softmax.
graph::Graph network(const Dim &batch) {
  graph::Graph g("network");
  g.set_stage(graph::Stage::canonical);
  graph::Region *body = g.main().body;
  Value *x = g.add_argument(body, Type::tensor(DType::f32, {batch, 3, 9, 9}), "x");
  graph::Builder b = graph::Builder::at_end(g, body);
  uint32_t seed = 1;
  auto constant = [&](std::vector<int64_t> dims, double scale = 0.0625, double shift = 0) {
    int64_t n = 1;
    for (int64_t d : dims) n *= d;
    Values v = some(n, ++seed, scale, 4);
    for (double &e : v) e += shift;
    return b.constant(ConstantData::of(DType::f32, dims, v));
  };
  auto conv = [&](Value *in, int64_t channels, int64_t k, int64_t stride, int64_t group, bool bias) {
    const Shape &s = in->type().shape();
    const int64_t pad = k / 2;
    std::vector<Value *> operands{in, constant({channels, s[1].value() / group, k, k})};
    if (bias) operands.push_back(constant({channels}));
    const Shape out{s[0], channels, floordiv(s[2] + 2 * pad - k, stride) + 1, floordiv(s[3] + 2 * pad - k, stride) + 1};
    return b.value(Op::conv, operands,
                   {{"dilations", std::vector<int64_t>{1, 1}},
                    {"group", group},
                    {"pads", std::vector<Dim>(4, pad)},
                    {"strides", std::vector<int64_t>{stride, stride}}},
                   Type::tensor(DType::f32, out));
  };
  auto batch_norm = [&](Value *in) {
    const int64_t c = in->type().dim(1).value();
    return b.value(Op::normalize, {in, constant({c}, 0.125, 1), constant({c}), constant({c}), constant({c}, 0.0625, 1)},
                   {{"axes", std::vector<int64_t>{}}, {"epsilon", 1e-3}, {"kind", std::string("batch")}}, in->type());
  };
  auto relu = [&](Value *in) { return b.elementwise(graph::Fn::relu, {in}); };
  Value *a = relu(batch_norm(conv(x, 16, 3, 1, 1, false)));
  Value *r = relu(b.add(batch_norm(conv(a, 16, 3, 1, 1, true)), a));
  Value *d = conv(r, 16, 3, 1, 16, true); // depthwise
  Value *e = b.mul(d, b.elementwise(graph::Fn::sigmoid, {d}));
  Value *c = b.concat({e, a, conv(e, 8, 1, 1, 1, true)}, 1);
  Value *p = b.value(Op::pool, {c},
                     {{"dilations", std::vector<int64_t>{1, 1}},
                      {"fn", std::string("max")},
                      {"kernel", std::vector<int64_t>{3, 3}},
                      {"pads", std::vector<Dim>(4, 1)},
                      {"strides", std::vector<int64_t>{2, 2}}},
                     Type::tensor(DType::f32, {batch, 40, 5, 5}));
  Value *q = relu(conv(p, 12, 3, 2, 2, true)); // grouped
  Value *f = b.reshape(q, {batch, 12 * 3 * 3});
  Value *m = b.value(Op::contract, {f, constant({108, 10})}, {{"equation", std::string("mk,kn->mn")}},
                     Type::tensor(DType::f32, {batch, 10}));
  Value *l = b.add(m, constant({10}));
  Value *s = b.value(Op::softmax, {l}, {{"axis", int64_t{1}}, {"log", false}}, l->type());
  Value *mean = b.reduce("mean", q, {2, 3}, true);
  g.set_results(g.main(), {s, mean, c}, {"probabilities", "mean", "features"});
  return g;
}

RunResult run_through(graph::Graph g, const std::vector<Values> &inputs, const std::vector<std::string> &disabled,
                      const ProgramOptions &options, const std::vector<int64_t> &symbols = {}) {
  RunOptions run;
  run.disabled = disabled;
  const Result<bool> passed = run_pipeline(g, run);
  EXPECT_TRUE(passed.ok());
  return run_graph(g, inputs, options, symbols);
}

void expect_same(const RunResult &got, const RunResult &want, const std::string &what) {
  ASSERT_EQ(got.outputs.size(), want.outputs.size()) << what;
  for (size_t i = 0; i < want.outputs.size(); ++i)
    expect_near(got.outputs[i], want.outputs[i], 2e-5, what + ": output " + std::to_string(i));
}

} // namespace

TEST(Pipeline, EveryPassOnAndOffGivesTheSameResult) {
  const std::vector<Values> inputs{some(2 * 3 * 9 * 9, 77)};
  ProgramOptions plain;
  plain.plan.plain_schedules = true;
  const RunResult want = run_graph(network(2), inputs, plain);
  ASSERT_EQ(want.outputs.size(), 3u);
  expect_same(run_through(network(2), inputs, {}, {}), want, "default");
  for (const char *pass : {"fold_constants", "fold_batch_norm", "fuse", "choose_layouts", "canonicalize"})
    expect_same(run_through(network(2), inputs, {pass}, {}), want, std::string("without ") + pass);
  expect_same(run_through(network(2), inputs, {"choose_layouts", "fuse"}, {}), want, "without fuse and choose_layouts");
  ProgramOptions options;
  options.plan.halos = false;
  expect_same(run_through(network(2), inputs, {}, options), want, "no halos");
  options.plan.in_place = false;
  expect_same(run_through(network(2), inputs, {}, options), want, "nor in-place results");
  options.plan.views = false;
  expect_same(run_through(network(2), inputs, {}, options), want, "nor views");
  options.plan.pack_weights = false;
  expect_same(run_through(network(2), inputs, {}, options), want, "nor packing");
  expect_same(run_through(network(2), inputs, {}, plain), want, "plain schedules");
  options = {};
  options.calls_per_function = 2;
  expect_same(run_through(network(2), inputs, {}, options), want, "chunks");
}

TEST(Pipeline, ASymbolicBatchGivesTheSameResult) {
  ProgramOptions plain;
  plain.plan.plain_schedules = true;
  for (int64_t n : {1, 2, 5}) {
    const std::vector<Values> inputs{some(n * 3 * 9 * 9, 77)};
    const RunResult want = run_graph(network(n), inputs, plain);
    expect_same(run_through(network(Dim::symbol("batch")), inputs, {}, {}, {n}), want, "batch " + std::to_string(n));
  }
}

TEST(Pipeline, KernelsAreSharedAndMemoryIsReused) {
  const RunResult r = run_through(network(2), {some(2 * 3 * 9 * 9, 77)}, {}, {});
  const Variant &v = r.program.variants.at(0);
  EXPECT_LE(v.calls, 20);
  EXPECT_LE(v.kernels, v.calls);
}

} // namespace cameo::passes
