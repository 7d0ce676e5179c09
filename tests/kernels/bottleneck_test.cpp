#include "kernel_runner.h"

#include "cameo/loop/strips.h"
#include "cameo/ops/bottleneck.h"
#include "cameo/ops/stage_builder.h"

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

TEST(Bottleneck, TheSchedulerChoosesStripsWithRingsOfRows) {
  for (const ops::BottleneckShape &shape :
       {ops::BottleneckShape{40, 12, 4, 16, 8, 2}, {37, 9, 4, 24, 8, 1}, {32, 7, 3, 33, 20, 1}, {5, 6, 4, 16, 8, 1}})
    for (const char *cpu : {"native", "x86-64-v3", "x86-64-v2"}) {
      SCOPED_TRACE(std::to_string(shape.height) + " " + cpu);
      KernelRun run;
      run.kernel = ops::bottleneck(shape);
      run.bindings = dense_bindings(run.kernel);
      run.schedule = default_schedule(run.kernel, run.bindings, codegen::resolve_targets(cpu)->back());
      const StageSchedule &expand = run.schedule.stages[static_cast<size_t>(run.kernel.find_stage("expand"))];
      EXPECT_EQ(expand.place, Place::local);
      EXPECT_EQ(expand.rolling_axis, 0);
      EXPECT_EQ(run.schedule.stages.back().loops.at(0).axis, 0);
      expect_right(run, cpu);
    }
}

TEST(Bottleneck, StripsNeedOneReaderOfEachLayerAndNoRowsThatNobodyNeeds) {
  const Kernel kernel = ops::bottleneck({32, 32, 4, 16, 8, 1});
  const std::optional<StripChain> chain = find_strips(kernel);
  ASSERT_TRUE(chain);
  EXPECT_EQ(chain->layers.size(), 3u);
  EXPECT_EQ(chain->axis, 0);
  EXPECT_EQ(chain->layers[1].stride, 1);
  EXPECT_EQ(chain->layers[1].span, 3);
  EXPECT_EQ(chain->layers[2].span, 1);
  // Two rows of the first layer are new to a strip, two are those of the strip before. Nothing is saved here: few tasks
  // repeat rows.
  const StripPlan plan = plan_strips(kernel, *chain, 2, 1 << 20);
  EXPECT_EQ(plan.rows, 2);
  EXPECT_EQ(plan.tasks, 4);
  EXPECT_EQ(plan.window, (std::vector<int64_t>{4, 2, 2}));
  EXPECT_EQ(plan.advance, (std::vector<int64_t>{2, 2, 2}));
  EXPECT_TRUE(plan.fits);
  EXPECT_FALSE(plan_strips(kernel, *chain, 2, 1 << 10).fits);

  EXPECT_FALSE(find_strips(ops::bottleneck({32, 32, 4, 16, 8, 4}))); // one row of four is read by nobody
  Kernel shared = kernel;
  Stage &last = shared.stages.back(); // which reads the expanded tensor as well
  const ExprId expanded = shared.read_stage(shared.find_stage("expand"), ops::identity(3));
  last.next[0] = shared.op(Opcode::add, {last.next[0], expanded});
  EXPECT_FALSE(find_strips(shared));
}

} // namespace cameo::loop
