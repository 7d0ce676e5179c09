// Row kernels: everything between the reductions of a row stays in the first-level cache. Work is counted in elements.
#include "kernel_probe.h"

#include "cameo/ops/stage_builder.h"

#include <limits>

namespace cameo::bench {
namespace {

using namespace loop;
using namespace ops;

// y = (x + r - mean) / sqrt(variance + eps) * g + b over the last axis.
Kernel residual_layer_norm(int64_t rows, int64_t n) {
  Kernel k;
  k.name = "layer_norm";
  const int32_t x = k.add_buffer("x", DType::f32, {rows, n}, BufferRole::input);
  const int32_t r = k.add_buffer("r", DType::f32, {rows, n}, BufferRole::input);
  const int32_t g = k.add_buffer("g", DType::f32, {n}, BufferRole::constant);
  const int32_t b = k.add_buffer("b", DType::f32, {n}, BufferRole::constant);
  const int32_t y = k.add_buffer("y", DType::f32, {rows, n}, BufferRole::output);
  auto number = [&](double v) { return k.constant(Scalar::f32, v); };
  const ExprId carried = k.carried(Scalar::f32);
  const std::vector<Axis> row = {{"r", rows}, {"i", n}}, sums = {{"r", rows}, reduction("i", n)};
  const int32_t t =
      k.add_stage(stage("t", row, Scalar::f32, k.op(Opcode::add, {k.read(x, identity(2)), k.read(r, identity(2))})));
  const int32_t total = k.add_stage(stage(
      "total", sums, Scalar::f32, k.op(Opcode::add, {carried, k.read_stage(t, identity(2))}), number(0), Opcode::add));
  const int32_t mean =
      k.add_stage(stage("mean", {{"r", rows}}, Scalar::f32,
                        k.op(Opcode::mul, {k.read_stage(total, identity(1)), number(1.0 / double(n))})));
  const ExprId centred = k.op(Opcode::sub, {k.read_stage(t, identity(2)), k.read_stage(mean, {axis_index(0)})});
  const int32_t squares = k.add_stage(
      stage("squares", sums, Scalar::f32, k.op(Opcode::muladd, {centred, centred, carried}), number(0), Opcode::add));
  const ExprId variance =
      k.op(Opcode::muladd, {k.read_stage(squares, identity(1)), number(1.0 / double(n)), number(1e-5)});
  const int32_t inverse = k.add_stage(
      stage("inverse", {{"r", rows}}, Scalar::f32, k.op(Opcode::div, {number(1), k.op(Opcode::sqrt, {variance})})));
  const ExprId centred_again = k.op(Opcode::sub, {k.read_stage(t, identity(2)), k.read_stage(mean, {axis_index(0)})});
  const ExprId scaled = k.op(Opcode::mul, {centred_again, k.read_stage(inverse, {axis_index(0)})});
  k.add_stage(stored(stage("y", row, Scalar::f32,
                           k.op(Opcode::muladd, {scaled, k.read(g, {axis_index(1)}), k.read(b, {axis_index(1)})})),
                     y, identity(2)));
  return k;
}

Kernel softmax(int64_t heads, int64_t rows, int64_t n) {
  Kernel k;
  k.name = "softmax";
  const int32_t x = k.add_buffer("x", DType::f32, {heads, rows, n}, BufferRole::input);
  const int32_t y = k.add_buffer("y", DType::f32, {heads, rows, n}, BufferRole::output);
  const ExprId carried = k.carried(Scalar::f32);
  const std::vector<Axis> row = {{"h", heads}, {"r", rows}, {"i", n}},
                          sums = {{"h", heads}, {"r", rows}, reduction("i", n)};
  const int32_t m = k.add_stage(stage("m", sums, Scalar::f32, k.op(Opcode::max, {carried, k.read(x, identity(3))}),
                                      k.constant(Scalar::f32, -std::numeric_limits<double>::infinity()), Opcode::max));
  const int32_t e = k.add_stage(
      stage("e", row, Scalar::f32,
            k.op(Opcode::exp, {k.op(Opcode::sub, {k.read(x, identity(3)), k.read_stage(m, identity(2))})})));
  const int32_t sum =
      k.add_stage(stage("sum", sums, Scalar::f32, k.op(Opcode::add, {carried, k.read_stage(e, identity(3))}),
                        k.constant(Scalar::f32, 0), Opcode::add));
  const int32_t inverse =
      k.add_stage(stage("inverse", {{"h", heads}, {"r", rows}}, Scalar::f32,
                        k.op(Opcode::div, {k.constant(Scalar::f32, 1), k.read_stage(sum, identity(2))})));
  k.add_stage(stored(stage("y", row, Scalar::f32,
                           k.op(Opcode::mul, {k.read_stage(e, identity(3)), k.read_stage(inverse, identity(2))})),
                     y, identity(3)));
  return k;
}

void row_probe(Bench &bench, const std::string &name, const Kernel &kernel, double elements) {
  bench.probe(name, Unit::elements, [&](Probe &probe) {
    auto values = random_values(kernel);
    auto reference = plain_reference(bench, kernel, values);
    auto bindings = dense_bindings(kernel);
    const Schedule schedule = default_schedule(kernel, bindings, bench.target());
    add_kernel(bench, probe, "row by row", elements, kernel, bindings, schedule, values, reference);
  });
}

} // namespace

void probes_rows(Bench &bench) {
  row_probe(bench, "rows.residual_layer_norm.128x768", residual_layer_norm(128, 768), 128 * 768);
  row_probe(bench, "rows.softmax.12x128x128", softmax(12, 128, 128), 12 * 128 * 128);
}

} // namespace cameo::bench
