// An LSTM layer of 512 hidden units over 64 steps: 4 MB of recurrent weights are read again every step.
#include "kernel_probe.h"

#include "cameo/ops/recurrent_kernel.h"

namespace cameo::bench {

void probes_lstm(Bench &bench) {
  for (int64_t hidden : {512, 256}) {
    bench.probe("lstm." + std::to_string(hidden) + "x64", Unit::l2_bytes, [&](Probe &probe) {
      const loop::Kernel kernel = ops::lstm({64, hidden});
      const auto values = random_values(kernel, 0.05);
      const double work = 64.0 * double(hidden) * double(hidden) * 16;
      std::shared_ptr<PreparedKernel> reference;
      for (bool zigzag : {false, true}) {
        auto bindings = dense_bindings(kernel);
        const loop::Schedule schedule = ops::lstm_schedule(kernel, bindings, bench.target(), zigzag);
        if (!reference) {
          reference = std::make_shared<PreparedKernel>(bench, kernel, bindings, schedule, values);
          reference->run();
        }
        add_kernel(bench, probe, zigzag ? "alternating" : "one direction", work, kernel, bindings, schedule, values,
                   reference);
      }
    });
  }
}

} // namespace cameo::bench
