#include "kernel_runner.h"

#include "cameo/ops/bottleneck.h"

namespace cameo::loop {

TEST(Bottleneck, StripsWithARingOfRowsAndLayersAgreeWithTheOracle) {
  for (const ops::BottleneckShape &shape :
       {ops::BottleneckShape{12, 12, 4, 16, 8, 2}, {9, 9, 4, 24, 8, 1}, {10, 7, 3, 33, 20, 2}})
    for (const char *cpu : {"native", "x86-64-v3"})
      for (int64_t rows : {0, 1, 2, 4}) {
        SCOPED_TRACE(std::to_string(shape.height) + " " + cpu + " rows " + std::to_string(rows));
        KernelRun run;
        run.kernel = ops::bottleneck(shape);
        run.bindings = dense_bindings(run.kernel);
        const Target target = codegen::resolve_targets(cpu)->back();
        run.schedule = rows == 0 ? ops::bottleneck_layers(run.kernel, run.bindings, target)
                                 : ops::bottleneck_strips(run.kernel, run.bindings, target, rows);
        expect_right(run, cpu);
      }
}

} // namespace cameo::loop
