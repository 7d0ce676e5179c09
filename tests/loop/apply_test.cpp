// Schedules against the plain schedule and against plain C++, through compiled code.
#include "cameo/loop/apply.h"

#include <gtest/gtest.h>

namespace cameo::loop {
namespace {

Kernel dense(int64_t m, int64_t n, int64_t k) {
  Kernel kernel;
  kernel.name = "dense";
  const int32_t x = kernel.add_buffer("x", DType::f32, {m, k}, BufferRole::input);
  const int32_t w = kernel.add_buffer("w", DType::f32, {k, n}, BufferRole::constant);
  const int32_t b = kernel.add_buffer("b", DType::f32, {n}, BufferRole::constant);
  const int32_t y = kernel.add_buffer("y", DType::f32, {m, n}, BufferRole::output);
  Stage acc;
  acc.name = "acc";
  acc.axes = {{"m", m}, {"n", n}, {"k", k, AxisKind::reduction}};
  acc.types = {Scalar::f32};
  acc.init = {kernel.read(b, {axis_index(1)})};
  acc.next = {kernel.op(Opcode::muladd, {kernel.read(x, {axis_index(0), axis_index(2)}),
                                         kernel.read(w, {axis_index(2), axis_index(1)}), kernel.carried(Scalar::f32)})};
  acc.combine = Opcode::add;
  const int32_t sum = kernel.add_stage(acc);
  Stage out;
  out.name = "y";
  out.axes = {{"m", m}, {"n", n}};
  out.types = {Scalar::f32};
  out.next = {kernel.op(Opcode::max,
                        {kernel.read_stage(sum, {axis_index(0), axis_index(1)}), kernel.constant(Scalar::f32, 0)})};
  StageStore store;
  store.buffer = y;
  store.indices = {axis_index(0), axis_index(1)};
  out.stores = {store};
  kernel.add_stage(out);
  return kernel;
}

} // namespace

TEST(Kernel, VerifierAcceptsADenseLayer) { EXPECT_TRUE(verify(dense(4, 5, 6)).empty()); }

TEST(Kernel, VerifierFindsAForwardRead) {
  Kernel kernel = dense(4, 5, 6);
  std::swap(kernel.stages[0], kernel.stages[1]);
  EXPECT_FALSE(verify(kernel).empty());
}

TEST(Binding, PanelPackedWeightHasThreeTerms) {
  const Kernel kernel = dense(4, 70, 6);
  const Binding b = packed(kernel.buffers[1], {{1, 1}, {0, 1}, {1, 32}});
  ASSERT_EQ(b.terms.size(), 3u);
  EXPECT_EQ(b.terms[0], (LayoutTerm{1, 32, 0, 6 * 32, -1}));
  EXPECT_EQ(b.terms[1], (LayoutTerm{0, 1, 0, 32, -1}));
  EXPECT_EQ(b.terms[2], (LayoutTerm{1, 1, 32, 1, -1}));
  EXPECT_EQ(b.size, 3 * 6 * 32);
}

TEST(Apply, PlainScheduleKeepsTheAccumulatorInScratch) {
  const Kernel kernel = dense(4, 5, 6);
  std::vector<Binding> bindings;
  for (const KernelBuffer &buffer : kernel.buffers) bindings.push_back(row_major(buffer));
  Module module;
  const AppliedKernel applied = apply(module, kernel, bindings, Target{}, plain_schedule(kernel), "dense");
  EXPECT_EQ(applied.scratch_bytes, (4 * 5 * 4 + 63) / 64 * 64);
  EXPECT_EQ(module.functions.size(), 1u);
}

} // namespace cameo::loop
