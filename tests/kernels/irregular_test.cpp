// Scatter with run-time indices and a check, top-k, and reductions dealt to tasks.
#include "kernel_runner.h"

#include "cameo/loop/transform.h"
#include "cameo/ops/stage_builder.h"

namespace cameo::loop {
namespace {

using namespace ops;

// y[index[e], c] += u[e, c]; an index outside of y sets `status` and its update is dropped.
Kernel scatter_add(int64_t rows, int64_t columns, int64_t updates, int status) {
  Kernel k;
  k.name = "scatter_add";
  const int32_t index = k.add_buffer("index", DType::i64, {updates}, BufferRole::input);
  const int32_t u = k.add_buffer("u", DType::f32, {updates, columns}, BufferRole::input);
  const int32_t y = k.add_buffer("y", DType::f32, {rows, columns}, BufferRole::inout);
  Stage s;
  s.name = "scatter";
  s.axes = {{"e", updates, AxisKind::sequential}, {"c", columns}};
  s.types = {Scalar::f32};
  s.next = {k.read(u, identity(2))};
  s.before = {k.constant(Scalar::f32, 0)};
  StageStore store;
  store.buffer = y;
  Index row;
  row.indirect = k.read(index, {axis_index(0)});
  store.indices = {row, axis_index(1)};
  store.rule = OutOfRange::fail;
  store.status = status;
  store.accumulate = true;
  s.stores = {store};
  k.add_stage(std::move(s));
  return k;
}

// The k largest of each row in descending order, ties by index: out[r, i] is the best of those after out[r, i - 1].
Kernel top_k(int64_t rows, int64_t n, int64_t count) {
  Kernel k;
  k.name = "top_k";
  const int32_t x = k.add_buffer("x", DType::f32, {rows, n}, BufferRole::input);
  const int32_t values = k.add_buffer("values", DType::f32, {rows, count}, BufferRole::output);
  const int32_t indices = k.add_buffer("indices", DType::i64, {rows, count}, BufferRole::output);
  auto previous = [&](Scalar type, int32_t component) {
    Expr e;
    e.kind = Expr::Kind::stage;
    e.type = type;
    e.source = 0;
    e.component = component;
    e.indices = {axis_index(0), axis_index(1, 1, -1)};
    k.exprs.push_back(e);
    return static_cast<ExprId>(k.exprs.size()) - 1;
  };
  const ExprId v = k.read(x, {axis_index(0), axis_index(2)}), at = k.axis_value(2);
  const ExprId last = previous(Scalar::f32, 0), last_at = previous(Scalar::i64, 1);
  const ExprId after =
      k.op(Opcode::bit_or, {k.op(Opcode::lt, {v, last}),
                            k.op(Opcode::bit_and, {k.op(Opcode::eq, {v, last}), k.op(Opcode::gt, {at, last_at})})});
  const ExprId best = k.carried(Scalar::f32, 0), best_at = k.carried(Scalar::i64, 1);
  const ExprId takes = k.op(Opcode::bit_and, {after, k.op(Opcode::gt, {v, best})});
  Stage s;
  s.name = "best";
  s.axes = {{"r", rows}, {"i", count, AxisKind::sequential}, {"j", n, AxisKind::reduction}};
  s.types = {Scalar::f32, Scalar::i64};
  s.init = {k.constant(Scalar::f32, -INFINITY), k.constant_int(Scalar::i64, -1)};
  s.next = {k.op(Opcode::select, {takes, v, best}), k.op(Opcode::select, {takes, at, best_at})};
  s.before = {k.constant(Scalar::f32, INFINITY), k.constant_int(Scalar::i64, -1)};
  for (int32_t buffer : {values, indices}) {
    StageStore store;
    store.buffer = buffer;
    store.indices = identity(2);
    s.stores.push_back(store);
  }
  k.add_stage(std::move(s));
  return k;
}

} // namespace

TEST(Irregular, ScatterAddReportsABadIndexAndWritesNothingThere) {
  for (bool bad : {false, true})
    for (int32_t lanes : {1, 8}) {
      KernelRun run;
      run.kernel = scatter_add(5, 20, 12, 9);
      run.bindings = dense_bindings(run.kernel);
      run.schedule = plain_schedule(run.kernel);
      if (lanes > 1) {
        run.schedule.stages[0].vector_axis = 1;
        run.schedule.stages[0].lanes = lanes;
        run.schedule.stages[0].loops[1].tile = lanes;
      }
      run.tensors.resize(3);
      for (int i = 0; i < 12; ++i) run.tensors[0].push_back(bad && i == 7 ? (lanes == 1 ? 5 : -1) : (i * 3) % 5);
      run.status = bad ? 9 : 0;
      expect_right(run);
    }
}

TEST(Irregular, TopK) {
  KernelRun run;
  run.kernel = top_k(3, 50, 7);
  run.bindings = dense_bindings(run.kernel);
  run.schedule = plain_schedule(run.kernel);
  run.tensors.resize(3);
  for (int i = 0; i < 150; ++i) run.tensors[0].push_back((i * 37) % 23); // many ties
  expect_right(run);
}

TEST(Irregular, SplitReductionHasTheSameBitsForAnyOrderOfTasks) {
  Kernel whole;
  whole.name = "sum";
  const int32_t x = whole.add_buffer("x", DType::f32, {3, 4096}, BufferRole::input);
  const int32_t y = whole.add_buffer("y", DType::f32, {3}, BufferRole::output);
  const int32_t sum =
      whole.add_stage(stored(stage("sum", {{"r", 3}, reduction("i", 4096)}, Scalar::f32,
                                   whole.op(Opcode::add, {whole.carried(Scalar::f32), whole.read(x, identity(2))}),
                                   whole.constant(Scalar::f32, 1), Opcode::add),
                             y, identity(1)));
  KernelRun run;
  run.kernel = split_reduction(whole, sum, 1, 8);
  run.bindings = dense_bindings(run.kernel);
  run.schedule = plain_schedule(run.kernel);
  StageSchedule &part = run.schedule.stages[0];
  part.loops = {{0, 1}, {1, 1}, {2, 64}};
  part.loops[0].parallel_tasks = 8;
  part.vector_axis = 2;
  part.lanes = 16;
  part.partials = 4;
  expect_right(run); // runs the tasks in both orders
}

} // namespace cameo::loop
