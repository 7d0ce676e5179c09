#include "kernel_runner.h"

#include "cameo/ops/recurrent_kernel.h"

namespace cameo::loop {

TEST(Lstm, StepsInEitherDirectionOfPanels) {
  for (const char *cpu : {"native", "x86-64-v3"})
    for (bool zigzag : {false, true})
      for (const ops::LstmShape &shape : {ops::LstmShape{5, 32}, {1, 64}, {7, 20}}) {
        SCOPED_TRACE(std::string(cpu) + " " + std::to_string(shape.hidden));
        KernelRun run;
        run.kernel = ops::lstm(shape);
        run.bindings = dense_bindings(run.kernel);
        run.schedule = ops::lstm_schedule(run.kernel, run.bindings, codegen::resolve_targets(cpu)->back(), zigzag);
        expect_right(run, cpu);
      }
}

} // namespace cameo::loop
