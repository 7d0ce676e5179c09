// Kernels and schedules survive their text forms; broken text ends in a message, at every length.
#include "cameo/loop/kernel_text.h"

#include "../support/mutate.h"

#include "cameo/ir/builder.h"
#include "cameo/loop/apply.h"
#include "cameo/ops/bottleneck.h"
#include "cameo/ops/conv_kernels.h"
#include "cameo/ops/lower.h"
#include "cameo/ops/recurrent_kernel.h"

#include <gtest/gtest.h>

namespace cameo::loop {
namespace {

struct Sample {
  Kernel kernel;
  Schedule schedule;
};

Kernel attention() {
  graph::Graph graph("attention");
  graph::Region *body = graph.main().body;
  std::vector<graph::Value *> operands; // q, k, v, mask
  for (const graph::Shape &shape : {graph::Shape{1, 2, 33, 32}, {1, 2, 70, 32}, {1, 2, 70, 32}, {33, 70}})
    operands.push_back(graph.add_argument(body, graph::Type::tensor(DType::f32, shape)));
  graph::Builder builder = graph::Builder::at_end(graph, body);
  return ops::lower(
             *builder.node(graph::Op::attention, operands, {{"scale", 0.5}, {"causal", true}}, {operands[0]->type()}))
      ->kernel;
}

std::vector<Sample> samples() {
  Target target;
  target.vector_bits = 512;
  target.vector_registers = 32;
  target.l2_bytes = 1 << 20;
  std::vector<Sample> list;
  auto bindings = [](const Kernel &k) {
    std::vector<Binding> b;
    for (const KernelBuffer &buffer : k.buffers) b.push_back(row_major(buffer));
    return b;
  };
  auto add = [&](Kernel k, auto schedule) {
    auto b = bindings(k);
    Schedule s = schedule(k, b);
    list.push_back({std::move(k), std::move(s)});
  };
  using Bindings = std::vector<Binding>;
  add(ops::bottleneck({112, 112, 16, 96, 32, 2}),
      [&](const Kernel &k, Bindings &b) { return ops::bottleneck_strips(k, b, target, 4); });
  add(ops::winograd_conv({14, 14, 256, 256, 3, 1, 1, true}, 4),
      [&](const Kernel &k, Bindings &b) { return ops::winograd_schedule(k, b, target); });
  add(ops::direct_conv({9, 9, 64, 512}), [&](const Kernel &k, Bindings &b) { return default_schedule(k, b, target); });
  add(attention(), [&](const Kernel &k, Bindings &b) { return default_schedule(k, b, target); });
  add(ops::lstm({5, 64}), [&](const Kernel &k, Bindings &b) { return ops::lstm_schedule(k, b, target, true); });
  return list;
}

} // namespace

TEST(KernelText, ReadsBackWhatItPrints) {
  for (const Sample &s : samples()) {
    const std::string text = print(s.kernel);
    auto parsed = parse_kernel(text, "kernel");
    ASSERT_TRUE(parsed.ok()) << to_string(parsed.errors()[0]);
    EXPECT_EQ(print(*parsed), text);
    EXPECT_TRUE(*parsed == s.kernel) << s.kernel.name;
  }
}

TEST(ScheduleText, ReadsBackWhatItPrints) {
  for (const Sample &s : samples()) {
    const std::string text = print(s.schedule, s.kernel);
    auto parsed = parse_schedule(text, s.kernel, "schedule");
    ASSERT_TRUE(parsed.ok()) << to_string(parsed.errors()[0]) << "\n" << text;
    EXPECT_TRUE(*parsed == s.schedule) << text;
  }
}

TEST(KernelText, EveryTruncationIsAnError) {
  const Sample s = samples().back();
  const std::string kernel = print(s.kernel), schedule = print(s.schedule, s.kernel);
  for (size_t n = 0; n + 2 < kernel.size(); ++n) EXPECT_FALSE(parse_kernel(kernel.substr(0, n), "k").ok()) << n;
  for (size_t n = 0; n + 2 < schedule.size(); ++n)
    EXPECT_FALSE(parse_schedule(schedule.substr(0, n), s.kernel, "s").ok()) << n;
}

TEST(KernelText, ChangedTextsAreRefusedOrKernels) {
  for (const Sample &s : samples()) {
    const std::string kernel = print(s.kernel), schedule = print(s.schedule, s.kernel);
    for (uint64_t seed = 0; seed < 500; ++seed) {
      if (auto parsed = parse_kernel(cameo::testing::mutated(kernel, seed), "kernel"); parsed.ok())
        EXPECT_EQ(print(*parse_kernel(print(*parsed), "kernel")), print(*parsed)) << s.kernel.name << " " << seed;
      if (auto parsed = parse_schedule(cameo::testing::mutated(schedule, seed), s.kernel, "schedule"); parsed.ok())
        EXPECT_TRUE(*parse_schedule(print(*parsed, s.kernel), s.kernel, "schedule") == *parsed)
            << s.kernel.name << " " << seed;
    }
  }
}

TEST(KernelText, MessagesPointAtThePlace) {
  auto parsed = parse_kernel("kernel @k {\n  in %x: f32[4]\n  e0 = read %y[a0] : f32\n}\n", "k.kernel");
  ASSERT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.errors()[0].where, "k.kernel:3:13");
  EXPECT_NE(parsed.errors()[0].what.find("no buffer of this name"), std::string::npos);
}

} // namespace cameo::loop
