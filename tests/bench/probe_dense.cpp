// Matrix products as the product compiles them: kernels in stage form, packed by the default schedule. f32 with bias
// and GELU on the accumulators (hot, and with weights out of the caches), one row against weights in memory, and u8 x
// s8 requantised to u8.
#include "kernel_probe.h"

#include "cameo/ops/stage_builder.h"

namespace cameo::bench {
namespace {

using namespace loop;
using namespace ops;

// y = gelu(x w + b), erf form.
Kernel dense_gelu(int64_t m, int64_t n, int64_t k) {
  Kernel kernel;
  kernel.name = "dense";
  const int32_t x = kernel.add_buffer("x", DType::f32, {m, k}, BufferRole::input);
  const int32_t w = kernel.add_buffer("w", DType::f32, {k, n}, BufferRole::constant);
  const int32_t b = kernel.add_buffer("b", DType::f32, {n}, BufferRole::constant);
  const int32_t y = kernel.add_buffer("y", DType::f32, {m, n}, BufferRole::output);
  const ExprId product =
      kernel.op(Opcode::muladd, {kernel.read(x, {axis_index(0), axis_index(2)}),
                                 kernel.read(w, {axis_index(2), axis_index(1)}), kernel.carried(Scalar::f32)});
  const int32_t sum = kernel.add_stage(stage("sum", {{"m", m}, {"n", n}, reduction("k", k)}, Scalar::f32, product,
                                             kernel.read(b, {axis_index(1)}), Opcode::add));
  auto number = [&](double v) { return kernel.constant(Scalar::f32, v); };
  const ExprId v = kernel.read_stage(sum, identity(2));
  const ExprId erf = kernel.op(Opcode::erf, {kernel.op(Opcode::mul, {v, number(0.70710678118654752)})});
  const ExprId gelu =
      kernel.op(Opcode::mul, {kernel.op(Opcode::mul, {v, number(0.5)}), kernel.op(Opcode::add, {erf, number(1)})});
  kernel.add_stage(stored(stage("y", {{"m", m}, {"n", n}}, Scalar::f32, gelu), y, identity(2)));
  return kernel;
}

// y = clamp(rint((b + sum of x w) * scale[n]) + zero), u8 from u8 and s8; b carries the zero-point correction.
Kernel dense_u8s8(int64_t m, int64_t n, int64_t k) {
  Kernel kernel;
  kernel.name = "dense_u8s8";
  const int32_t x = kernel.add_buffer("x", DType::u8, {m, k}, BufferRole::input);
  const int32_t w = kernel.add_buffer("w", DType::i8, {k, n}, BufferRole::constant);
  const int32_t b = kernel.add_buffer("b", DType::i32, {n}, BufferRole::constant);
  const int32_t scale = kernel.add_buffer("scale", DType::f32, {n}, BufferRole::constant);
  const int32_t y = kernel.add_buffer("y", DType::u8, {m, n}, BufferRole::output);
  const ExprId product =
      kernel.op(Opcode::mul, {kernel.cast(Opcode::zext, kernel.read(x, {axis_index(0), axis_index(2)}), Scalar::i32),
                              kernel.cast(Opcode::sext, kernel.read(w, {axis_index(2), axis_index(1)}), Scalar::i32)});
  const int32_t sum = kernel.add_stage(stage("sum", {{"m", m}, {"n", n}, reduction("k", k)}, Scalar::i32,
                                             kernel.op(Opcode::add, {kernel.carried(Scalar::i32), product}),
                                             kernel.read(b, {axis_index(1)}), Opcode::add));
  const ExprId real =
      kernel.op(Opcode::mul, {kernel.cast(Opcode::sitofp, kernel.read_stage(sum, identity(2)), Scalar::f32),
                              kernel.read(scale, {axis_index(1)})});
  auto number = [&](double v) { return kernel.constant(Scalar::f32, v); };
  const ExprId shifted = kernel.op(Opcode::add, {kernel.op(Opcode::rint, {real}), number(128)});
  const ExprId clamped = kernel.op(Opcode::min, {kernel.op(Opcode::max, {shifted, number(0)}), number(255)});
  const ExprId byte = kernel.cast(Opcode::trunc, kernel.cast(Opcode::fptosi, clamped, Scalar::i32), Scalar::i8);
  kernel.add_stage(stored(stage("y", {{"m", m}, {"n", n}}, Scalar::i8, byte), y, identity(2)));
  return kernel;
}

std::string shape_name(const char *kind, int64_t m, int64_t n, int64_t k) {
  return std::string("dense.") + kind + "." + std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k);
}

} // namespace

void probes_dense(Bench &bench) {
  for (auto [m, n, k] : {std::array<int64_t, 3>{128, 3072, 768}, {49, 2048, 512}}) {
    bench.probe(shape_name("f32", m, n, k), Unit::f32_flops, [&](Probe &probe) {
      const Kernel kernel = dense_gelu(m, n, k);
      auto values = random_values(kernel, 0.1);
      auto reference = plain_reference(bench, kernel, values);
      auto bindings = dense_bindings(kernel);
      const Schedule schedule = default_schedule(kernel, bindings, bench.target());
      const double work = 2.0 * double(m * n * k);
      add_kernel(bench, probe, "bias + GELU", work, kernel, bindings, schedule, values, reference);
      const int copies = static_cast<int>((int64_t{200} << 20) / (n * k * 4) + 2);
      add_kernel(bench, probe, "weights cold", work, kernel, bindings, schedule, values, reference, copies);
    });
  }
  bench.probe(shape_name("f32", 1, 3072, 768), Unit::dram_bytes, [&](Probe &probe) {
    const Kernel kernel = dense_gelu(1, 3072, 768);
    auto values = random_values(kernel, 0.1);
    auto reference = plain_reference(bench, kernel, values);
    auto bindings = dense_bindings(kernel);
    const Schedule schedule = default_schedule(kernel, bindings, bench.target());
    add_kernel(bench, probe, "weights from memory", 3072.0 * 768 * 4, kernel, bindings, schedule, values, reference,
               40);
  });
  if (bench.target().dot_u8s8)
    bench.probe(shape_name("u8s8", 128, 768, 768), Unit::u8s8_ops, [&](Probe &probe) {
      const Kernel kernel = dense_u8s8(128, 768, 768);
      auto values = random_values(kernel);
      for (double &v : values[3]) v = std::abs(v) * 2e-5 + 1e-6;
      auto reference = plain_reference(bench, kernel, values);
      auto bindings = dense_bindings(kernel);
      const Schedule schedule = default_schedule(kernel, bindings, bench.target());
      add_kernel(bench, probe, "requantised", 2.0 * 128 * 768 * 768, kernel, bindings, schedule, values, reference, 1,
                 0);
    });
}

} // namespace cameo::bench
