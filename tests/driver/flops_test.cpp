#include "../../src/driver/flops.h"

#include <gtest/gtest.h>

namespace cameo::driver {
namespace {

using namespace loop;

// y[m, n] = relu(sum over k of x[m, k] w[k, n] + b[n]).
Kernel dense(Extent m) {
  Kernel k;
  const int32_t x = k.add_buffer("x", DType::f32, {m, 7}, BufferRole::input);
  const int32_t w = k.add_buffer("w", DType::f32, {7, 3}, BufferRole::constant);
  const int32_t b = k.add_buffer("b", DType::f32, {3}, BufferRole::constant);
  const int32_t y = k.add_buffer("y", DType::f32, {m, 3}, BufferRole::output);
  Stage sum;
  sum.name = "sum";
  sum.axes = {{"m", m}, {"n", 3}, {"k", 7, AxisKind::reduction}};
  sum.types = {Scalar::f32};
  sum.init = {k.read(b, {axis_index(1)})};
  sum.next = {k.op(Opcode::muladd, {k.read(x, {axis_index(0), axis_index(2)}),
                                    k.read(w, {axis_index(2), axis_index(1)}), k.carried(Scalar::f32)})};
  const int32_t s = k.add_stage(sum);
  Stage relu;
  relu.name = "relu";
  relu.axes = {{"m", m}, {"n", 3}};
  relu.types = {Scalar::f32};
  relu.next = {k.op(Opcode::max, {k.read_stage(s, {axis_index(0), axis_index(1)}), k.constant(Scalar::f32, 0)})};
  relu.stores = {{y, {axis_index(0), axis_index(1)}}};
  k.add_stage(relu);
  return k;
}

TEST(Flops, AMultiplyAddIsTwoAndEachExpressionCountsOnce) {
  EXPECT_EQ(flops(dense(5)), 5.0 * 3 * (2 * 7 + 1));
  EXPECT_EQ(flops(dense(Extent(0))), 0.0);
}

TEST(Flops, ASymbolicExtentHasNoCount) {
  Kernel k = dense(5);
  k.symbols = {"batch"};
  k.stages[0].axes[0].extent = Extent::of_symbol(0);
  EXPECT_EQ(flops(k), std::nullopt);
}

} // namespace
} // namespace cameo::driver
