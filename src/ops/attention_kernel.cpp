#include "cameo/ops/attention_kernel.h"

#include "cameo/ops/stage_builder.h"

#include <algorithm>
#include <limits>

namespace cameo::ops {

using namespace loop;

Kernel attention(const AttentionShape &s) {
  CAMEO_CHECK(s.keys % s.block == 0, "blocks of keys are whole");
  const int64_t blocks = s.keys / s.block;
  Kernel k;
  k.name = "attention";
  const int32_t q = k.add_buffer("q", DType::f32, {s.heads, s.queries, s.size}, BufferRole::input);
  const int32_t key = k.add_buffer("k", DType::f32, {s.heads, s.keys, s.size}, BufferRole::input);
  const int32_t v = k.add_buffer("v", DType::f32, {s.heads, s.keys, s.size}, BufferRole::input);
  const int32_t mask = s.mask ? k.add_buffer("mask", DType::f32, {s.queries, s.keys}, BufferRole::input) : -1;
  const int32_t y = k.add_buffer("y", DType::f32, {s.heads, s.queries, s.size}, BufferRole::output);
  const ExprId carried = k.carried(Scalar::f32);
  auto number = [&](double x) { return k.constant(Scalar::f32, x); };
  // Axes: b block (sequential where a stage carries state from block to block), h head, i query, j key of the block, d element.
  const Axis step{"b", blocks, AxisKind::sequential}, b{"b", blocks}, h{"h", s.heads}, i{"i", s.queries},
      j{"j", s.block}, d{"d", s.size};
  const Index previous = axis_index(0, 1, -1), last = axis_index(-1, 0, blocks - 1);
  auto key_of = [&](int32_t block_axis, int32_t j_axis) { return window_index(block_axis, s.block, j_axis, 1, 0); };

  const int32_t best = 6, total = 5, sum = 7; // stages that are read one step back before they are listed
  // kt[h, d, j] = k[h, j, d]
  const int32_t kt = k.add_stage(
      stage("kt", {h, d, {"j", s.keys}}, Scalar::f32, k.read(key, {axis_index(0), axis_index(2), axis_index(1)})));
  // score[b, h, i, j] = scale * sum over d of q[h, i, d] kt[h, d, b block + j]
  const int32_t score =
      k.add_stage(stage("score", {b, h, i, j, reduction("d", s.size)}, Scalar::f32,
                        k.op(Opcode::muladd, {k.read(q, {axis_index(1), axis_index(2), axis_index(4)}),
                                              k.read_stage(kt, {axis_index(1), axis_index(4), key_of(0, 3)}), carried}),
                        number(0), Opcode::add));
  auto masked = [&] {
    const ExprId value = k.read_stage(score, identity(4));
    return mask >= 0 ? k.op(Opcode::muladd, {value, number(s.scale), k.read(mask, {axis_index(2), key_of(0, 3)})})
                     : k.op(Opcode::mul, {value, number(s.scale)});
  };
  auto back = [&](int32_t stage_id, std::vector<Index> at) { // a stage that is added below
    Expr e;
    e.kind = Expr::Kind::stage;
    e.type = Scalar::f32;
    e.source = stage_id;
    e.indices = std::move(at);
    k.exprs.push_back(std::move(e));
    return static_cast<ExprId>(k.exprs.size()) - 1;
  };
  // top[b] = max(best[b - 1], scores of the block); alpha[b] = exp(best[b - 1] - top[b]); p[b] = exp(score - top[b])
  const int32_t top =
      k.add_stage(stage("top", {b, h, i, reduction("j", s.block)}, Scalar::f32, k.op(Opcode::max, {carried, masked()}),
                        back(best, {previous, axis_index(1), axis_index(2)}), Opcode::max));
  const int32_t alpha =
      k.add_stage(stage("alpha", {b, h, i}, Scalar::f32,
                        k.op(Opcode::exp, {k.op(Opcode::sub, {back(best, {previous, axis_index(1), axis_index(2)}),
                                                              k.read_stage(top, identity(3))})})));
  const int32_t p =
      k.add_stage(stage("p", {b, h, i, j}, Scalar::f32,
                        k.op(Opcode::exp, {k.op(Opcode::sub, {masked(), k.read_stage(top, identity(3))})})));
  // total[b] = alpha[b] total[b - 1] + sum of p[b]
  Stage t = stage(
      "total", {step, h, i, reduction("j", s.block)}, Scalar::f32,
      k.op(Opcode::add, {carried, k.read_stage(p, identity(4))}),
      k.op(Opcode::mul, {k.read_stage(alpha, identity(3)), back(total, {previous, axis_index(1), axis_index(2)})}),
      Opcode::add);
  t.before = {number(0)};
  CAMEO_CHECK(k.add_stage(std::move(t)) == total, "stage order");
  Stage m = stage("best", {step, h, i}, Scalar::f32, k.read_stage(top, identity(3)));
  m.before = {number(std::numeric_limits<float>::lowest())}; // not minus infinity: the difference of two stays a number
  CAMEO_CHECK(k.add_stage(std::move(m)) == best, "stage order");
  // sum[b] = alpha[b] sum[b - 1] + p[b] v
  Stage o = stage("sum", {step, h, i, d, reduction("j", s.block)}, Scalar::f32,
                  k.op(Opcode::muladd, {k.read_stage(p, {axis_index(0), axis_index(1), axis_index(2), axis_index(4)}),
                                        k.read(v, {axis_index(1), key_of(0, 4), axis_index(3)}), carried}),
                  k.op(Opcode::mul, {k.read_stage(alpha, identity(3)),
                                     back(sum, {previous, axis_index(1), axis_index(2), axis_index(3)})}),
                  Opcode::add);
  o.before = {number(0)};
  CAMEO_CHECK(k.add_stage(std::move(o)) == sum, "stage order");
  const ExprId result = k.op(Opcode::div, {k.read_stage(sum, {last, axis_index(0), axis_index(1), axis_index(2)}),
                                           k.read_stage(total, {last, axis_index(0), axis_index(1)})});
  k.add_stage(stored(stage("y", {h, i, d}, Scalar::f32, result), y, identity(3)));
  return k;
}

Schedule attention_schedule(const Kernel &k, const Target &target) {
  enum { kKt, kScore, kTop, kAlpha, kP, kTotal, kBest, kSum, kY };
  const int32_t lanes = target.lanes(32);
  const int64_t size = k.stages[kY].axes[2].extent.value, block = k.stages[kScore].axes[3].extent.value;
  const int64_t vectors = size >= 2 * lanes && block >= 2 * lanes ? 2 : 1;
  const int64_t rows = std::min<int64_t>((target.vector_registers - 1 - vectors) / vectors, 14);
  auto loop = [](int32_t axis, int64_t tile, bool balanced = false) {
    LoopSpec l;
    l.axis = axis;
    l.tile = tile;
    l.balanced = balanced;
    return l;
  };
  Schedule s;
  s.stages.resize(k.stages.size());
  auto place = [&](int32_t stage, int32_t at_stage, int32_t at_loop, int32_t vector_axis, std::vector<LoopSpec> loops) {
    StageSchedule &plan = s.stages[stage];
    plan.place = at_stage < 0 ? Place::root : Place::local;
    plan.at_stage = at_stage;
    plan.at_loop = at_loop;
    plan.vector_axis = vector_axis;
    plan.lanes = lanes;
    plan.loops = std::move(loops);
  };
  place(kY, -1, -1, 2, {loop(0, 1), loop(1, rows, true), loop(1, 1), loop(2, vectors * lanes)});
  if (k.stages[kY].axes[0].extent.value > 1)
    s.stages[kY].loops[0].parallel_tasks =
        static_cast<int32_t>(std::min<int64_t>(k.stages[kY].axes[0].extent.value, 8));
  place(kKt, kY, 0, 2, {loop(1, lanes), loop(2, lanes)});
  place(kSum, kY, 1, 3, {loop(0, 1), loop(3, vectors * lanes), loop(4, 4)});
  place(kScore, kSum, 0, 3, {loop(3, vectors * lanes), loop(4, 4)});
  place(kTop, kSum, 0, 3, {loop(2, 4)});
  place(kAlpha, kSum, 0, 2, {loop(2, lanes)});
  place(kP, kSum, 0, 3, {loop(2, 1), loop(3, 4 * lanes)});
  place(kTotal, kSum, 0, 3, {loop(2, 4)});
  place(kBest, kSum, 0, 2, {loop(2, lanes)});
  return s;
}

} // namespace cameo::ops
