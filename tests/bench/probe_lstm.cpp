// An LSTM layer of 512 hidden units over 64 steps: 4 MB of recurrent weights are read again every step. What their
// order can gain is what the caches behind the second level lose: two rows show it by reading as many bytes in the same
// orders without computing anything.
#include "controls.h"
#include "kernel_probe.h"

#include "cameo/ops/recurrent_kernel.h"

namespace cameo::bench {

namespace {

// Reads `bytes` of weights 64 times, in 16 parts forwards, or forwards and backwards in turn.
void add_reads(Bench &bench, Probe &probe, int64_t bytes, bool zigzag) {
  constexpr int64_t kParts = 16;
  const int64_t lanes = bench.target().lanes(32), vectors = bytes / kParts / (lanes * 4);
  auto *read =
      bench.compile(read_stream(bench.target(), 0)).function<void(cameo_env *, const void *, int64_t, void *)>("read");
  auto weights = zeros<float>(static_cast<size_t>(bytes / 4)), out = zeros<float>(static_cast<size_t>(lanes));
  probe.contender(zigzag ? "reads alone, alternating" : "reads alone", 64.0 * double(bytes), [=, env = bench.env()] {
    for (int64_t step = 0; step < 64; ++step)
      for (int64_t part = 0; part < kParts; ++part) {
        const int64_t at = zigzag && step % 2 == 1 ? kParts - 1 - part : part;
        read(env, weights.get() + at * (bytes / kParts / 4), vectors, out.get());
      }
  });
}

} // namespace

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
      for (bool zigzag : {false, true}) add_reads(bench, probe, hidden * hidden * 16, zigzag);
    });
  }
}

} // namespace cameo::bench
