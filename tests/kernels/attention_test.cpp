#include "kernel_runner.h"

#include "cameo/ops/attention_kernel.h"

namespace cameo::loop {

TEST(Attention, OnlineSoftmaxOverBlocksOfKeys) {
  for (const char *cpu : {"native", "x86-64-v3"})
    for (const ops::AttentionShape &shape : {ops::AttentionShape{2, 20, 64, 32, 0.2, true, 32},
                                             {1, 9, 16, 16, 0.25, false, 16},
                                             {3, 33, 96, 48, 0.3, true, 32}}) {
      SCOPED_TRACE(std::string(cpu) + " " + std::to_string(shape.queries));
      KernelRun run;
      run.kernel = ops::attention(shape);
      run.bindings = dense_bindings(run.kernel);
      run.schedule = ops::attention_schedule(run.kernel, codegen::resolve_targets(cpu)->back());
      expect_right(run, cpu);
    }
}

} // namespace cameo::loop
