// The arena of whole plans against what must live at once: early parts of concatenations, wide borders, scratch memory.
#include "cameo/ir/print.h"
#include "cameo/passes/pass_manager.h"
#include "cameo/passes/plan.h"

#include <gtest/gtest.h>

#include <map>

using namespace cameo;
using namespace cameo::passes;

namespace {

struct Planned {
  graph::Graph graph;
  Plan plan;
  int64_t arena() const { return plan.arena_bytes.value(); }
};

Planned plan_of(const std::string &text, const PlanOptions &options = {}) {
  Planned out;
  auto parsed = graph::parse(text, "net");
  EXPECT_TRUE(parsed.ok()) << to_string(parsed.errors()[0]);
  if (!parsed.ok()) return out;
  out.graph = std::move(*parsed);
  EXPECT_TRUE(run_pipeline(out.graph).ok());
  loop::Target target;
  target.name = "x86-64-v3";
  target.vector_bits = 256;
  target.vector_registers = 16;
  target.fma = true;
  auto made = make_plan(out.graph, target, options);
  EXPECT_TRUE(made.ok()) << to_string(made.errors()[0]);
  if (made.ok()) out.plan = std::move(*made);
  EXPECT_TRUE(verify(out.plan, out.graph).empty());
  return out;
}

// A line of the graph's text: stride 1, the same padding and dilation on all sides.
std::string conv(const std::string &result, const std::string &x, const std::string &w, const std::string &type,
                 int pad, int dilation = 1) {
  auto times = [](int n, int value) {
    std::string list = std::to_string(value);
    for (int i = 1; i < n; ++i) list += ", " + std::to_string(value);
    return "[" + list + "]";
  };
  return "    %" + result + " = conv %" + x + ", %" + w + " {dilations = " + times(2, dilation) +
         ", group = 1, pads = " + times(4, pad) + ", strides = [1, 1]} : " + type + "\n";
}

std::string net(const std::string &arguments, const std::string &nodes) {
  return "graph @net stage canonical {\n  main(%x: " + arguments + ") {\n" + nodes + "    yield %y as \"y\"\n  }\n}\n";
}

constexpr int64_t kImage = 64 * 64 * 4; // bytes of a channel

} // namespace

// A channel that is put aside for a concatenation of 33 must not keep the room of all from then on.
TEST(Arena, EarlyPartsAreCopied) {
  const std::string wide = "f32[1, 64, 64, 64]", part = "f32[1, 32, 64, 64]", one = "f32[1, 1, 64, 64]";
  const Planned p = plan_of(net("f32[1, 1, 64, 64], %a: f32[1, 1, 1, 1], %b: f32[64, 1, 1, 1], %c: f32[64, 64, 1, 1], "
                                "%d: f32[32, 64, 1, 1], %e: f32[1, 33, 1, 1]",
                                conv("early", "x", "a", one, 0) + conv("u", "early", "b", wide, 0) +
                                    conv("v", "u", "c", wide, 0) + conv("late", "v", "d", part, 0) +
                                    "    %all = concat %early, %late {axis = 1} : f32[1, 33, 64, 64]\n" +
                                    conv("y", "all", "e", one, 0)));
  // Two wide images and the part, not the room of 33 channels; x may have a copy of its own.
  EXPECT_LE(p.arena(), (64 + 64 + 2) * kImage + 4096);
}

// Parts that are computed just before are written in place: three images live, not four.
TEST(Arena, LatePartsAreNotCopied) {
  const std::string part = "f32[1, 32, 64, 64]";
  const Planned p = plan_of(net("f32[1, 32, 64, 64], %a: f32[32, 32, 1, 1], %b: f32[32, 32, 1, 1], "
                                "%e: f32[1, 64, 1, 1]",
                                conv("u", "x", "a", part, 0) + conv("v", "x", "b", part, 0) +
                                    "    %all = concat %u, %v {axis = 1} : f32[1, 64, 64, 64]\n" +
                                    conv("y", "all", "e", "f32[1, 1, 64, 64]", 0)));
  EXPECT_LE(p.arena(), 3 * 32 * kImage + 4096);
  for (const Step &step : p.plan.steps) EXPECT_NE(step.kind, Step::Kind::copy);
}

// The border of a 3x3 window is small beside an image of 64 x 64; that of one dilated by 24 is two times the image.
TEST(Arena, WideBordersAreNotMade) {
  const std::string part = "f32[1, 32, 64, 64]";
  auto arena = [&](int dilation) {
    return plan_of(net("f32[1, 32, 64, 64], %a: f32[32, 32, 1, 1], %b: f32[32, 32, 3, 3]",
                       conv("u", "x", "a", part, 0) + conv("y", "u", "b", part, dilation, dilation)))
        .arena();
  };
  EXPECT_GT(arena(1), 2 * 32 * kImage); // it has one
  EXPECT_LE(arena(24), arena(1));
}

// Pixels of 256 channels would lie 1,024 bytes apart, in four sets of the first-level cache: a window's lie further.
TEST(Arena, PixelsOfWindowsShareNoSets) {
  auto apart = [&](int channels, int pad) {
    const std::string c = std::to_string(channels), image = "f32[1, " + c + ", 16, 16]";
    const std::string window = pad == 0 ? "1, 1]" : "3, 3]";
    const Planned p =
        plan_of(net(image + ", %a: f32[" + c + ", " + c + ", 1, 1], %b: f32[" + c + ", " + c + ", " + window,
                    conv("u", "x", "a", image, 0) + conv("y", "u", "b", image, pad)));
    int64_t largest = 0; // stride of the columns of what has a border
    for (const ValuePlan &v : p.plan.values)
      for (const PlacedTerm &term : v.place.terms)
        if (term.dim == 3 && term.stride.is_constant() && (pad == 0 || !v.place.halo.empty()))
          largest = std::max(largest, term.stride.value());
    return largest;
  };
  EXPECT_EQ(apart(256, 1), 256 + 16);
  EXPECT_EQ(apart(240, 1), 240);
  EXPECT_EQ(apart(256, 0), 256) << "no window, no border";
}

// An operand that is seen across is not written over: who reads the result reads along its rows.
TEST(Arena, ResultsLieAlongTheirRows) {
  const Planned p = plan_of(net("f32[64, 32], %w: f32[32, 48], %g: f32[48, 64], %v: f32[64, 16]",
                                "    %a = contract %x, %w {equation = \"mk,kn->mn\"} : f32[64, 48]\n"
                                "    %r = relu %a : f32[64, 48]\n"
                                "    %t = transpose %r {perm = [1, 0]} : f32[48, 64]\n"
                                "    %e = exp %t : f32[48, 64]\n"
                                "    %m = mul %g, %e : f32[48, 64]\n"
                                "    %y = contract %m, %v {equation = \"mk,kn->mn\"} : f32[48, 16]\n"));
  int64_t across = 0, along = 0;
  for (const ValuePlan &v : p.plan.values) {
    std::map<int32_t, int64_t> stride;
    for (const PlacedTerm &term : v.place.terms) stride[term.dim] = term.stride.value();
    const bool arena = p.plan.buffers[static_cast<size_t>(v.place.buffer)].space == BufferPlan::Space::arena;
    across += arena && stride[0] == 1 && stride[1] == 48;
    along += arena && stride[0] == 64 && stride[1] == 1;
  }
  EXPECT_EQ(across, 1); // %t
  EXPECT_EQ(along, 1);  // %m
}

// A sum over a window of channels: the padded tensor and the sum, no copies in another order.
TEST(Arena, WindowsOfChannelsAreViews) {
  const std::string part = "f32[1, 32, 64, 64]";
  const Planned p = plan_of(net("f32[1, 32, 64, 64], %a: f32[32, 32, 1, 1], %b: f32[32, 32, 1, 1]",
                                conv("u", "x", "a", part, 0) +
                                    "    %zero = constant f32[] [0.0]\n"
                                    "    %p = pad %u, %zero {high = [0, 1, 0, 0], low = [0, 0, 0, 0], "
                                    "mode = constant} : f32[1, 33, 64, 64]\n"
                                    "    %c = slice %p {axes = [1], starts = [0], steps = [1]} : f32[1, 32, 64, 64]\n"
                                    "    %d = slice %p {axes = [1], starts = [1], steps = [1]} : f32[1, 32, 64, 64]\n"
                                    "    %s = add %c, %d : f32[1, 32, 64, 64]\n" +
                                    conv("y", "s", "b", part, 0)));
  EXPECT_LE(p.arena(), (32 + 33) * kImage + 4096);
}

// What is cut at a limit beyond all memory has memory in common with what is not: two tensors live at once, not three.
TEST(Arena, FarLimitsMakeNoClassOfTheirOwn) {
  const std::string cut = "f32[min(1000000000, n), 2048]", times = "%w {equation = \"mk,kn->mn\"} : ";
  const Planned p = plan_of(
      net("f32[n, 2048], %w: f32[2048, 2048]", "    %a = contract %x, " + times +
                                                   "f32[n, 2048]\n"
                                                   "    %s = slice %a {axes = [0], starts = [0], steps = [1]} : " +
                                                   cut +
                                                   "\n"
                                                   "    %b = contract %s, " +
                                                   times + cut +
                                                   "\n"
                                                   "    %c = contract %b, " +
                                                   times + cut +
                                                   "\n"
                                                   "    %y = contract %c, " +
                                                   times + cut + "\n"));
  const auto arena = p.plan.arena_bytes.evaluate([](const std::string &) { return int64_t{100}; });
  ASSERT_TRUE(arena);
  EXPECT_GE(*arena, 2 * 100 * 2048 * 4);
  EXPECT_LE(*arena, 2 * 100 * 2048 * 4 + 4096);
}
