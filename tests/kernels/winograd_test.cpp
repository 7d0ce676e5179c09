#include "kernel_runner.h"

#include "cameo/ops/conv_kernels.h"

namespace cameo::loop {
namespace {

void expect_winograd(const ops::ConvShape &shape, int64_t m, const char *cpu, bool halo, bool scarce = false) {
  SCOPED_TRACE("F(" + std::to_string(m) + ",3) " + std::to_string(shape.height) + " " + cpu + (halo ? " halo" : ""));
  KernelRun run;
  run.kernel = ops::winograd_conv(shape, m);
  run.bindings = dense_bindings(run.kernel);
  if (halo) run.bindings[0] = ops::with_halo(run.kernel.buffers[0], 1, m + 1);
  const Target target = codegen::resolve_targets(cpu)->back();
  run.schedule = ops::winograd_schedule(run.kernel, run.bindings, target, scarce);
  run.tolerance = 2e-4; // products of up to 24 times the input's size cancel
  expect_right(run, cpu);
}

} // namespace

TEST(Winograd, SchedulesAgreeWithTheOracle) {
  for (const char *cpu : {"native", "x86-64-v3"})
    for (int64_t m : {2, 4})
      for (bool halo : {false, true}) {
        expect_winograd({8, 8, 16, 32}, m, cpu, halo);
        expect_winograd({7, 9, 5, 19, 3, 1, 1, true}, m, cpu, halo);
      }
}

TEST(Winograd, NeedsLessWhereMemoryIsScarce) {
  expect_winograd({24, 24, 16, 32}, 4, "native", false, true);
  auto scratch = [&](bool scarce) {
    Module module;
    const Kernel kernel = ops::winograd_conv({56, 56, 128, 32}, 4);
    std::vector<Binding> bindings = dense_bindings(kernel);
    const Target target = codegen::resolve_targets("x86-64-v3")->back();
    const Schedule schedule = ops::winograd_schedule(kernel, bindings, target, scarce);
    return apply(module, kernel, bindings, target, schedule, "kernel").scratch_bytes;
  };
  EXPECT_LT(scratch(true), scratch(false));
}

// The transforms compute a convolution: the Winograd kernel's oracle against the direct kernel's.
TEST(Winograd, IsAConvolution) {
  const ops::ConvShape shape{7, 6, 3, 5};
  for (int64_t m : {2, 4}) {
    Kernel direct = ops::direct_conv(shape), fast = ops::winograd_conv(shape, m);
    std::vector<OracleTensor> a(4), b(4);
    std::mt19937 random(3);
    auto fill = [&](OracleTensor &t, int64_t n) {
      t.resize(n);
      for (double &v : t) v = static_cast<float>(static_cast<int>(random() % 2001) - 1000) / 1000.0f;
    };
    fill(a[0], 7 * 6 * 3);
    fill(a[1], 9 * 3 * 5);
    fill(a[2], 5);
    b[0] = a[0];
    b[2] = a[2];
    const std::vector<float> w(a[1].begin(), a[1].end());
    const std::vector<float> u = ops::winograd_weights(w.data(), 3, 5, m);
    b[1].assign(u.begin(), u.end());
    KernelOracle(direct, a).run();
    KernelOracle(fast, b).run();
    ASSERT_EQ(a[3].size(), b[3].size());
    for (size_t i = 0; i < a[3].size(); ++i) EXPECT_NEAR(a[3][i], b[3][i], 1e-5);
  }
}

} // namespace cameo::loop
