// Attention of 12 heads, 128 queries and keys of 64 elements, additive mask, online softmax by blocks of keys.
#include "kernel_probe.h"

#include "cameo/ops/attention_kernel.h"

namespace cameo::bench {

void probes_attention(Bench &bench) {
  bench.probe("attention.12x128x64", Unit::f32_flops, [&](Probe &probe) {
    std::shared_ptr<PreparedKernel> reference;
    for (int64_t block : {128, 64, 32}) {
      const loop::Kernel kernel = ops::attention({12, 128, 128, 64, 0.125, true, block});
      const auto values = random_values(kernel);
      if (!reference) { // every block size computes the same function: a scalar one serves as reference
        reference = std::make_shared<PreparedKernel>(bench, kernel, dense_bindings(kernel),
                                                     ops::attention_schedule(kernel, bench.target()), values);
        reference->run();
      }
      add_kernel(bench, probe, "blocks of " + std::to_string(block), 4.0 * 12 * 128 * 128 * 64, kernel,
                 dense_bindings(kernel), ops::attention_schedule(kernel, bench.target()), values, reference);
    }
  });
}

} // namespace cameo::bench
