// A depthwise bottleneck fused over strips of output rows against the same three layers one after the other.
#include "kernel_probe.h"

#include "cameo/ops/bottleneck.h"

namespace cameo::bench {

void probes_bottleneck(Bench &bench) {
  for (const ops::BottleneckShape &shape : {ops::BottleneckShape{112, 112, 16, 96, 32, 2}, {56, 56, 32, 144, 32, 1}}) {
    const std::string name = "bottleneck." + std::to_string(shape.in) + "-" + std::to_string(shape.expanded) + "@" +
                             std::to_string(shape.height);
    bench.probe(name, Unit::f32_flops, [&](Probe &probe) {
      const loop::Kernel kernel = ops::bottleneck(shape);
      const auto values = random_values(kernel, 0.3);
      auto reference = plain_reference(bench, kernel, values);
      const double work = 2.0 * double(shape.expanded) *
                          (double(shape.height * shape.width * shape.in) +
                           double(shape.out_height() * shape.out_width()) * double(9 + shape.out));
      auto layers = dense_bindings(kernel);
      const loop::Schedule apart = ops::bottleneck_layers(kernel, layers, bench.target());
      add_kernel(bench, probe, "layers", work, kernel, layers, apart, values, reference);
      auto chosen = dense_bindings(kernel);
      const loop::Schedule by_default = loop::default_schedule(kernel, chosen, bench.target());
      add_kernel(bench, probe, "default", work, kernel, chosen, by_default, values, reference);
      for (int64_t rows : {1, 2, 4, 8}) {
        auto strips = dense_bindings(kernel);
        const loop::Schedule fused = ops::bottleneck_strips(kernel, strips, bench.target(), rows);
        add_kernel(bench, probe, "strips of " + std::to_string(rows), work, kernel, strips, fused, values, reference);
      }
    });
  }
}

} // namespace cameo::bench
