#include "cameo/ops/bottleneck.h"

#include "cameo/ops/stage_builder.h"

#include <algorithm>

namespace cameo::ops {

using namespace loop;

Kernel bottleneck(const BottleneckShape &s) {
  Kernel k;
  k.name = "bottleneck";
  const int32_t x = k.add_buffer("x", DType::f32, {s.height, s.width, s.in}, BufferRole::input);
  const int32_t we = k.add_buffer("we", DType::f32, {s.in, s.expanded}, BufferRole::constant);
  const int32_t be = k.add_buffer("be", DType::f32, {s.expanded}, BufferRole::constant);
  const int32_t wd = k.add_buffer("wd", DType::f32, {3, 3, s.expanded}, BufferRole::constant);
  const int32_t bd = k.add_buffer("bd", DType::f32, {s.expanded}, BufferRole::constant);
  const int32_t wp = k.add_buffer("wp", DType::f32, {s.expanded, s.out}, BufferRole::constant);
  const int32_t bp = k.add_buffer("bp", DType::f32, {s.out}, BufferRole::constant);
  const int32_t y = k.add_buffer("y", DType::f32, {s.out_height(), s.out_width(), s.out}, BufferRole::output);
  const ExprId sum = k.carried(Scalar::f32);
  auto clip = [&](ExprId v) {
    return k.op(Opcode::min, {k.op(Opcode::max, {v, k.constant(Scalar::f32, 0)}), k.constant(Scalar::f32, 6)});
  };
  const std::vector<Axis> wide = {{"y", s.height}, {"x", s.width}, {"c", s.expanded}};
  const std::vector<Axis> deep = {{"y", s.out_height()}, {"x", s.out_width()}, {"c", s.expanded}};
  const std::vector<Axis> thin = {{"y", s.out_height()}, {"x", s.out_width()}, {"o", s.out}};
  auto with = [](std::vector<Axis> axes, std::vector<Axis> more) {
    axes.insert(axes.end(), more.begin(), more.end());
    return axes;
  };
  // expand[y, x, c] = clip(be[c] + sum over i of x[y, x, i] we[i, c])
  const int32_t expand_sum =
      k.add_stage(stage("expand_sum", with(wide, {reduction("i", s.in)}), Scalar::f32,
                        k.op(Opcode::muladd, {k.read(x, {axis_index(0), axis_index(1), axis_index(3)}),
                                              k.read(we, {axis_index(3), axis_index(2)}), sum}),
                        k.read(be, {axis_index(2)}), Opcode::add));
  const int32_t expand = k.add_stage(stage("expand", wide, Scalar::f32, clip(k.read_stage(expand_sum, identity(3)))));
  // depth[y, x, c] = clip(bd[c] + sum over ky, kx of expand[stride y + ky - 1, stride x + kx - 1, c] wd[ky, kx, c])
  const int32_t depth_sum = k.add_stage(stage(
      "depth_sum", with(deep, {reduction("ky", 3), reduction("kx", 3)}), Scalar::f32,
      k.op(Opcode::muladd,
           {k.read_stage(expand,
                         {window_index(0, s.stride, 3, 1, -1), window_index(1, s.stride, 4, 1, -1), axis_index(2)}, 0,
                         OutOfRange::fill, 0),
            k.read(wd, {axis_index(3), axis_index(4), axis_index(2)}), sum}),
      k.read(bd, {axis_index(2)}), Opcode::add));
  const int32_t depth = k.add_stage(stage("depth", deep, Scalar::f32, clip(k.read_stage(depth_sum, identity(3)))));
  // y[y, x, o] = bp[o] + sum over c of depth[y, x, c] wp[c, o]
  const int32_t project_sum =
      k.add_stage(stage("project_sum", with(thin, {reduction("c", s.expanded)}), Scalar::f32,
                        k.op(Opcode::muladd, {k.read_stage(depth, {axis_index(0), axis_index(1), axis_index(3)}),
                                              k.read(wp, {axis_index(3), axis_index(2)}), sum}),
                        k.read(bp, {axis_index(2)}), Opcode::add));
  k.add_stage(stored(stage("project", thin, Scalar::f32, k.read_stage(project_sum, identity(3))), y, identity(3)));
  return k;
}

namespace {

LoopSpec tiles(int32_t axis, int64_t tile, bool balanced = false) {
  LoopSpec l;
  l.axis = axis;
  l.tile = tile;
  l.balanced = balanced;
  return l;
}

struct Shape {
  int64_t columns; ///< of one register tile
  int64_t rows;
};

// A product in registers under the stage that finishes it.
void in_registers(Schedule &schedule, int32_t sum, int32_t consumer, std::vector<LoopSpec> reduction, int32_t lanes) {
  StageSchedule &s = schedule.stages[sum];
  s.place = Place::registers;
  s.at_stage = consumer;
  s.at_loop = static_cast<int32_t>(schedule.stages[consumer].loops.size()) - 1;
  s.loops = std::move(reduction);
  s.vector_axis = 2;
  s.lanes = lanes;
}

Schedule with_tiles(const Kernel &k, std::vector<Binding> &bindings, const Target &target) {
  const int32_t lanes = target.lanes(32);
  const int64_t registers = target.vector_registers;
  Schedule schedule;
  schedule.stages.resize(k.stages.size());
  auto product = [&](int32_t sum, int32_t result, int32_t weights, int64_t columns, bool strip) {
    const int64_t vectors = std::min<int64_t>(2, (columns + lanes - 1) / lanes), panel = vectors * lanes;
    const int64_t rows = std::min<int64_t>(14, (registers - 1 - vectors) / vectors);
    bindings[weights] = packed(k.buffers[weights], {{1, 1}, {0, 1}, {1, panel}});
    StageSchedule &s = schedule.stages[result];
    if (strip) s.loops.push_back(tiles(0, 1));
    s.loops.push_back(tiles(2, panel));
    s.loops.push_back(tiles(1, rows, true));
    s.vector_axis = 2;
    s.lanes = lanes;
    const int64_t steps = k.stages[sum].axes.back().extent.value;
    in_registers(schedule, sum, result, {tiles(3, steps % 4 == 0 ? 4 : 1)}, lanes);
  };
  product(0, 1, 1, k.buffers[1].dims[1].value, true);
  StageSchedule &depth = schedule.stages[3];
  depth.loops = {tiles(0, 1), tiles(2, lanes), tiles(1, std::min<int64_t>(8, registers / 2 - 2), true)};
  depth.vector_axis = 2;
  depth.lanes = lanes;
  in_registers(schedule, 2, 3, {}, lanes);
  product(4, 5, 5, k.buffers[5].dims[1].value, true);
  return schedule;
}

} // namespace

Schedule bottleneck_layers(const Kernel &k, std::vector<Binding> &bindings, const Target &target) {
  return with_tiles(k, bindings, target);
}

Schedule bottleneck_strips(const Kernel &k, std::vector<Binding> &bindings, const Target &target, int64_t rows) {
  Schedule schedule = with_tiles(k, bindings, target);
  StageSchedule &project = schedule.stages[5];
  project.loops.insert(project.loops.begin(), tiles(0, rows));
  ++schedule.stages[4].at_loop;
  const Index &row = k.expr(k.expr(k.stages[2].next[0]).args[0]).indices[0];
  const int64_t stride = row.axes[0].second;
  for (int32_t s : {1, 3}) {
    schedule.stages[s].place = Place::local;
    schedule.stages[s].at_stage = 5;
    schedule.stages[s].at_loop = 0;
  }
  schedule.stages[1].rolling_axis = 0;
  schedule.stages[1].rolling = (rows - 1) * stride + 3;
  return schedule;
}

} // namespace cameo::ops
