#include "cameo/ops/recurrent_kernel.h"

#include "cameo/ops/stage_builder.h"

namespace cameo::ops {

using namespace loop;

Kernel lstm(const LstmShape &s) {
  Kernel k;
  k.name = "lstm";
  const int64_t n = s.hidden;
  const int32_t xw = k.add_buffer("xw", DType::f32, {s.steps, 4 * n}, BufferRole::input);
  const int32_t r = k.add_buffer("r", DType::f32, {n, 4 * n}, BufferRole::constant);
  const int32_t h0 = k.add_buffer("h0", DType::f32, {n}, BufferRole::input);
  const int32_t c0 = k.add_buffer("c0", DType::f32, {n}, BufferRole::input);
  const int32_t y = k.add_buffer("y", DType::f32, {s.steps, n}, BufferRole::output);
  const int32_t gates = 0, state = 1;
  // gates[t, g] = xw[t, g] + sum over j of h[t - 1, j] r[j, g]
  Expr previous;
  previous.kind = Expr::Kind::stage;
  previous.type = Scalar::f32;
  previous.source = state;
  previous.component = 1;
  previous.indices = {axis_index(0, 1, -1), axis_index(2)};
  k.exprs.push_back(previous);
  const ExprId h = static_cast<ExprId>(k.exprs.size()) - 1;
  CAMEO_CHECK(
      k.add_stage(stage("gates", {{"t", s.steps}, {"g", 4 * n}, reduction("j", n)}, Scalar::f32,
                        k.op(Opcode::muladd, {h, k.read(r, {axis_index(2), axis_index(1)}), k.carried(Scalar::f32)}),
                        k.read(xw, {axis_index(0), axis_index(1)}), Opcode::add)) == gates,
      "stage order");
  // c[t, j] = f c[t - 1, j] + i g,  h[t, j] = o tanh(c[t, j])
  auto gate = [&](int64_t number) { return k.read_stage(gates, {axis_index(0), axis_index(1, 1, number * n)}); };
  Expr before = previous;
  before.component = 0;
  before.indices = {axis_index(0, 1, -1), axis_index(1)};
  k.exprs.push_back(before);
  const ExprId c = static_cast<ExprId>(k.exprs.size()) - 1;
  const ExprId kept = k.op(Opcode::mul, {k.op(Opcode::sigmoid, {gate(2)}), c});
  const ExprId cell = k.op(Opcode::muladd, {k.op(Opcode::sigmoid, {gate(0)}), k.op(Opcode::tanh, {gate(3)}), kept});
  const ExprId hidden = k.op(Opcode::mul, {k.op(Opcode::sigmoid, {gate(1)}), k.op(Opcode::tanh, {cell})});
  Stage st;
  st.name = "state";
  st.axes = {{"t", s.steps, AxisKind::sequential}, {"j", n}};
  st.types = {Scalar::f32, Scalar::f32};
  st.next = {cell, hidden};
  st.before = {k.read(c0, {axis_index(1)}), k.read(h0, {axis_index(1)})};
  StageStore result;
  result.buffer = y;
  result.indices = identity(2);
  st.stores = {StageStore{}, result};
  k.add_stage(std::move(st));
  return k;
}

Schedule lstm_schedule(const Kernel &k, std::vector<Binding> &bindings, const Target &target, bool zigzag) {
  const int32_t lanes = target.lanes(32);
  const int64_t columns = k.buffers[1].dims[1].value;
  int64_t panel = lanes * 8;
  while (panel > lanes && columns % panel != 0) panel -= lanes;
  bindings[1] = packed(k.buffers[1], {{1, 1}, {0, 1}, {1, panel}});
  auto loop = [](int32_t axis, int64_t tile) {
    LoopSpec l;
    l.axis = axis;
    l.tile = tile;
    l.balanced = false;
    return l;
  };
  Schedule s;
  s.stages.resize(2);
  StageSchedule &state = s.stages[1], &gates = s.stages[0];
  state.loops = {loop(0, 1), loop(1, lanes)};
  state.vector_axis = 1;
  state.lanes = lanes;
  gates.place = Place::local;
  gates.at_stage = 1;
  gates.at_loop = 0;
  gates.loops = {loop(1, panel), loop(2, k.buffers[1].dims[0].value % 4 == 0 ? 4 : 1)};
  if (zigzag) gates.loops[0].zigzag = 0;
  gates.vector_axis = 1;
  gates.lanes = lanes;
  return s;
}

} // namespace cameo::ops
