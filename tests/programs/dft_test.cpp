// Fourier transforms as matrix products against the plain form, which sums in f64.
#include "program_runner.h"

#include "cameo/ir/builder.h"

namespace cameo::passes {
namespace {

using graph::Dim;
using graph::Op;
using graph::Shape;
using graph::Type;
using graph::Value;

struct Dft {
  Shape x;
  int64_t axis, length, terms, parts; ///< of y: extent of the axis, and of the last one
  bool inverse, onesided;
};

void check(const Dft &d, bool expands = true) {
  SCOPED_TRACE("length " + std::to_string(d.length) + ", axis " + std::to_string(d.axis) +
               (d.inverse ? " inverse" : ""));
  graph::Graph g("g");
  g.set_stage(graph::Stage::canonical);
  graph::Builder b = graph::Builder::at_end(g, g.main().body);
  Value *x = g.add_argument(g.main().body, Type::tensor(DType::f32, d.x), "x");
  Shape y = d.x;
  y[static_cast<size_t>(d.axis)] = d.terms;
  y.back() = d.parts;
  g.set_results(
      g.main(),
      {b.value(Op::dft, {x},
               {{"axis", d.axis}, {"inverse", d.inverse}, {"length", Dim(d.length)}, {"onesided", d.onesided}},
               Type::tensor(DType::f32, y))},
      {"y"});
  const std::vector<Values> inputs{some(graph::product(d.x).value(), 3)};
  RunOptions off;
  off.disabled = {"expand_dft"};
  graph::Graph plain = g.copy();
  ASSERT_TRUE(run_pipeline(plain, off).ok());
  ASSERT_TRUE(run_pipeline(g, {}).ok());
  bool left = false;
  for (const graph::Node *node : g.main().body->nodes()) left |= node->is(Op::dft);
  EXPECT_EQ(left, !expands);
  expect_near(run_graph(g, inputs).outputs.at(0), run_graph(plain, inputs).outputs.at(0), 1e-4, "dft");
}

} // namespace

TEST(Dft, MatricesComputeTheSame) {
  check({{3, 7, 1}, 1, 7, 4, 2, false, true});        // a prime
  check({{2, 16, 1}, 1, 16, 9, 2, false, true});      // one step
  check({{2, 16, 2}, 1, 16, 16, 2, false, false});    // complex
  check({{2, 16, 2}, 1, 16, 16, 2, true, false});     // and back
  check({{16, 3, 2, 2}, 0, 16, 16, 2, false, false}); // the axis in front
  check({{2, 9, 2}, 1, 16, 16, 1, true, true});       // half of a spectrum
  check({{2, 8, 2}, 1, 15, 15, 1, true, true});       // of an odd length
  check({{2, 5, 1}, 1, 16, 9, 2, false, true});       // zeros behind
  check({{2, 20, 1}, 1, 16, 9, 2, false, true});      // cut
}

TEST(Dft, LongOnesInTwoSteps) {
  check({{3, 400, 1}, 1, 400, 201, 2, false, true});
  check({{1, 512, 1}, 1, 512, 512, 2, false, false});
  check({{2, 512, 2}, 1, 512, 512, 2, true, false});
  check({{2, 441, 2}, 1, 441, 441, 2, false, false});
  check({{1, 4096, 1}, 1, 4096, 2049, 2, false, true});
}

TEST(Dft, APrimeWithoutRoomForItsMatrixStays) { check({{1, 2053, 1}, 1, 2053, 1027, 2, false, true}, false); }

} // namespace cameo::passes
