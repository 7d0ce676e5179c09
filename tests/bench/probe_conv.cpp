// 3x3 convolutions: direct in NHWC with a halo, residual added in place and ReLU, and by minimal filtering.
#include "kernel_probe.h"

#include "cameo/ops/conv_kernels.h"

namespace cameo::bench {

void probes_conv(Bench &bench) {
  for (const ops::ConvShape &shape : {ops::ConvShape{14, 14, 256, 256, 3, 1, 1, true},
                                      {56, 56, 64, 64, 3, 1, 1, true},
                                      {28, 28, 128, 128, 3, 1, 1, true}}) {
    const std::string name = "conv.3x3." + std::to_string(shape.in) + "@" + std::to_string(shape.height);
    bench.probe(name, Unit::f32_flops, [&](Probe &probe) {
      const loop::Kernel direct = ops::direct_conv(shape);
      const auto values = random_values(direct, 0.2);
      auto reference = plain_reference(bench, direct, values);
      const double work = 2.0 * 9 * double(shape.height * shape.width * shape.in * shape.out);
      auto bindings = dense_bindings(direct);
      bindings[0] = ops::with_halo(direct.buffers[0], 1, 1);
      const loop::Schedule schedule = loop::default_schedule(direct, bindings, bench.target());
      add_kernel(bench, probe, "direct", work, direct, bindings, schedule, values, reference);
      for (int64_t m : {2, 4}) {
        const loop::Kernel fast = ops::winograd_conv(shape, m);
        auto transformed = values;
        std::vector<float> w(values[1].begin(), values[1].end());
        const std::vector<float> u = ops::winograd_weights(w.data(), shape.in, shape.out, m);
        transformed[1].assign(u.begin(), u.end());
        auto fast_bindings = dense_bindings(fast);
        fast_bindings[0] = ops::with_halo(fast.buffers[0], 1, m + 1);
        const loop::Schedule tiles = ops::winograd_schedule(fast, fast_bindings, bench.target());
        add_kernel(bench, probe, "F(" + std::to_string(m) + ",3)", work, fast, fast_bindings, tiles, transformed,
                   reference);
      }
    });
  }
}

} // namespace cameo::bench
