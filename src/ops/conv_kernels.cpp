#include "cameo/ops/conv_kernels.h"

#include "cameo/ops/stage_builder.h"

#include <algorithm>
#include <array>
#include <functional>

namespace cameo::ops {

using namespace loop;

namespace {

// Bias, residual and ReLU at a point of the output; `sum` includes the bias already.
ExprId finish(Kernel &k, ExprId sum, int32_t residual, std::vector<Index> at, bool relu, OutOfRange rule) {
  if (residual >= 0) sum = k.op(Opcode::add, {sum, k.read(residual, std::move(at), rule, 0)});
  return relu ? k.op(Opcode::max, {sum, k.constant(Scalar::f32, 0)}) : sum;
}

} // namespace

Binding with_halo(const KernelBuffer &buffer, int64_t before, int64_t after) {
  const int64_t c = buffer.dims[2].value, row = (buffer.dims[1].value + before + after) * c;
  Binding b;
  b.terms = {{0, 1, 0, row, -1}, {1, 1, 0, c, -1}, {2, 1, 0, 1, -1}};
  b.offset = before * (row + c);
  b.size = (buffer.dims[0].value + before + after) * row;
  b.align = 64;
  b.halo = {{before, after}, {before, after}, {0, 0}};
  return b;
}

Kernel direct_conv(const ConvShape &s) {
  Kernel k;
  k.name = "conv";
  const int64_t oh = s.out_height(), ow = s.out_width();
  const int32_t x = k.add_buffer("x", DType::f32, {s.height, s.width, s.in}, BufferRole::input);
  const int32_t w = k.add_buffer("w", DType::f32, {s.taps, s.taps, s.in, s.out}, BufferRole::constant);
  const int32_t b = k.add_buffer("b", DType::f32, {s.out}, BufferRole::constant);
  const int32_t r = s.residual ? k.add_buffer("r", DType::f32, {oh, ow, s.out}, BufferRole::input) : -1;
  const int32_t y = k.add_buffer("y", DType::f32, {oh, ow, s.out}, BufferRole::output);
  const ExprId product =
      k.op(Opcode::muladd,
           {k.read(x, {window_index(0, s.stride, 3, 1, -s.pad), window_index(1, s.stride, 4, 1, -s.pad), axis_index(5)},
                   OutOfRange::fill, 0),
            k.read(w, {axis_index(3), axis_index(4), axis_index(5), axis_index(2)}), k.carried(Scalar::f32)});
  const int32_t sum = k.add_stage(stage(
      "sum",
      {{"y", oh}, {"x", ow}, {"o", s.out}, reduction("ky", s.taps), reduction("kx", s.taps), reduction("c", s.in)},
      Scalar::f32, product, k.read(b, {axis_index(2)}), Opcode::add));
  const ExprId result = finish(k, k.read_stage(sum, identity(3)), r, identity(3), s.relu, OutOfRange::never);
  k.add_stage(stored(stage("y", {{"y", oh}, {"x", ow}, {"o", s.out}}, Scalar::f32, result), y, identity(3)));
  return k;
}

namespace {

using Element = std::function<ExprId(int64_t)>; // element i of a vector of expressions

ExprId sub(Kernel &k, ExprId a, ExprId b) { return k.op(Opcode::sub, {a, b}); }
ExprId add(Kernel &k, ExprId a, ExprId b) { return k.op(Opcode::add, {a, b}); }
// factor * a + b
ExprId scaled(Kernel &k, double factor, ExprId a, ExprId b) {
  return k.op(Opcode::muladd, {k.constant(Scalar::f32, factor), a, b});
}

// B^T d, factored so that common parts are computed once.
std::vector<ExprId> transform_input(Kernel &k, int64_t m, const Element &element) {
  std::array<ExprId, 6> d{};
  for (int64_t i = 0; i < m + 2; ++i) d[i] = element(i);
  if (m == 2) return {sub(k, d[0], d[2]), add(k, d[1], d[2]), sub(k, d[2], d[1]), sub(k, d[1], d[3])};
  const ExprId a = scaled(k, -4, d[2], d[4]), b = scaled(k, -4, d[1], d[3]);
  const ExprId c = sub(k, d[4], d[2]), e = sub(k, d[3], d[1]);
  return {scaled(k, 4, d[0], scaled(k, -5, d[2], d[4])),
          add(k, a, b),
          sub(k, a, b),
          scaled(k, 2, e, c),
          scaled(k, -2, e, c),
          scaled(k, 4, d[1], scaled(k, -5, d[3], d[5]))};
}

// A^T x.
std::vector<ExprId> transform_output(Kernel &k, int64_t m, const Element &element) {
  std::array<ExprId, 6> x{};
  for (int64_t i = 0; i < m + 2; ++i) x[i] = element(i);
  if (m == 2) return {add(k, add(k, x[0], x[1]), x[2]), sub(k, sub(k, x[1], x[2]), x[3])};
  const ExprId a = add(k, x[1], x[2]), b = sub(k, x[1], x[2]), c = add(k, x[3], x[4]), d = sub(k, x[3], x[4]);
  return {add(k, add(k, x[0], a), c), scaled(k, 2, d, b), scaled(k, 4, c, a), add(k, scaled(k, 8, d, b), x[5])};
}

} // namespace

Kernel winograd_conv(const ConvShape &s, int64_t m) {
  CAMEO_CHECK(s.taps == 3 && s.stride == 1 && s.pad == 1 && (m == 2 || m == 4), "no minimal filter of this shape");
  const int64_t n = m + 2, th = (s.height + m - 1) / m, tw = (s.width + m - 1) / m;
  Kernel k;
  k.name = "winograd" + std::to_string(m);
  const int32_t x = k.add_buffer("x", DType::f32, {s.height, s.width, s.in}, BufferRole::input);
  const int32_t u = k.add_buffer("u", DType::f32, {n * n, s.in, s.out}, BufferRole::constant);
  const int32_t b = k.add_buffer("b", DType::f32, {s.out}, BufferRole::constant);
  const int32_t r = s.residual ? k.add_buffer("r", DType::f32, {s.height, s.width, s.out}, BufferRole::input) : -1;
  const int32_t y = k.add_buffer("y", DType::f32, {s.height, s.width, s.out}, BufferRole::output);
  // rows[i, j, ty, tx, c] = (B^T d)[i, j] with d the (m+2)^2 patch at (m ty - 1, m tx - 1)
  const std::vector<Axis> patch = {{"i", n}, {"j", n}, {"ty", th}, {"tx", tw}, {"c", s.in}};
  const int32_t rows = k.add_stage(
      stage("rows", patch, Scalar::f32,
            k.pick(0, transform_input(k, m, [&](int64_t a) {
                     return k.read(x, {axis_index(2, m, a - 1), window_index(3, m, 1, 1, -1), axis_index(4)},
                                   OutOfRange::fill, 0);
                   }))));
  // v[i, j, ...] = (rows B)[i, j]
  const int32_t v = k.add_stage(
      stage("v", patch, Scalar::f32, k.pick(1, transform_input(k, m, [&](int64_t a) {
                                              return k.read_stage(rows, {axis_index(0), axis_index(-1, 0, a),
                                                                         axis_index(2), axis_index(3), axis_index(4)});
                                            }))));
  // m[i, j, ty, tx, o] = sum over c of v[i, j, ty, tx, c] u[i n + j, c, o]
  Index xi = axis_index(0, n);
  xi.axes.emplace_back(1, 1);
  const int32_t products = k.add_stage(
      stage("m", {{"i", n}, {"j", n}, {"ty", th}, {"tx", tw}, {"o", s.out}, reduction("c", s.in)}, Scalar::f32,
            k.op(Opcode::muladd,
                 {k.read_stage(v, {axis_index(0), axis_index(1), axis_index(2), axis_index(3), axis_index(5)}),
                  k.read(u, {xi, axis_index(5), axis_index(4)}), k.carried(Scalar::f32)}),
            k.constant(Scalar::f32, 0), Opcode::add));
  // columns[p, j, ...] = (A^T m)[p, j], y[m ty + p, m tx + q, o] = (columns A)[p, q] + b[o]
  const int32_t columns =
      k.add_stage(stage("columns", {{"p", m}, {"j", n}, {"ty", th}, {"tx", tw}, {"o", s.out}}, Scalar::f32,
                        k.pick(0, transform_output(k, m, [&](int64_t a) {
                                 return k.read_stage(products, {axis_index(-1, 0, a), axis_index(1), axis_index(2),
                                                                axis_index(3), axis_index(4)});
                               }))));
  const ExprId sum =
      k.op(Opcode::add,
           {k.pick(1, transform_output(k, m,
                                       [&](int64_t a) {
                                         return k.read_stage(columns, {axis_index(0), axis_index(-1, 0, a),
                                                                       axis_index(2), axis_index(3), axis_index(4)});
                                       })),
            k.read(b, {axis_index(4)})});
  const std::vector<Index> at = {window_index(2, m, 0, 1, 0), window_index(3, m, 1, 1, 0), axis_index(4)};
  Stage out = stored(stage("y", {{"p", m}, {"q", m}, {"ty", th}, {"tx", tw}, {"o", s.out}}, Scalar::f32,
                           finish(k, sum, r, at, s.relu, OutOfRange::fill)),
                     y, at);
  out.stores[0].rule = OutOfRange::fill; // the last tiles may reach over the edge
  k.add_stage(std::move(out));
  return k;
}

std::vector<float> winograd_weights(const float *w, int64_t in, int64_t out, int64_t m) {
  static constexpr double kG2[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
  static constexpr double kG4[6][3] = {{1.0 / 4, 0, 0},
                                       {-1.0 / 6, -1.0 / 6, -1.0 / 6},
                                       {-1.0 / 6, 1.0 / 6, -1.0 / 6},
                                       {1.0 / 24, 1.0 / 12, 1.0 / 6},
                                       {1.0 / 24, -1.0 / 12, 1.0 / 6},
                                       {0, 0, 1}};
  const int64_t n = m + 2;
  auto g = [&](int64_t i, int64_t a) { return m == 2 ? kG2[i][a] : kG4[i][a]; };
  std::vector<float> u(static_cast<size_t>(n * n * in * out));
  for (int64_t c = 0; c < in; ++c)
    for (int64_t o = 0; o < out; ++o)
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < n; ++j) {
          double sum = 0;
          for (int64_t a = 0; a < 3; ++a)
            for (int64_t e = 0; e < 3; ++e) sum += g(i, a) * g(j, e) * w[((a * 3 + e) * in + c) * out + o];
          u[static_cast<size_t>(((i * n + j) * in + c) * out + o)] = static_cast<float>(sum);
        }
  return u;
}

Schedule winograd_schedule(const Kernel &k, std::vector<Binding> &bindings, const Target &target) {
  enum { kRows, kV, kProducts, kColumns, kY };
  const Stage &products = k.stages[kProducts];
  const int64_t n = products.axes[0].extent.value, th = products.axes[2].extent.value,
                tw = products.axes[3].extent.value;
  const int64_t out = products.axes[4].extent.value, in = products.axes[5].extent.value;
  const int32_t lanes = target.lanes(32);
  auto loop = [](int32_t axis, int64_t tile, bool balanced = false) {
    LoopSpec l;
    l.axis = axis;
    l.tile = tile;
    l.balanced = balanced;
    return l;
  };
  // Rows of tiles per block: transformed input and products take at most a third of the second-level cache.
  const int64_t row_bytes = n * n * tw * (in + out) * 4;
  const int64_t block = std::clamp<int64_t>(target.l2_bytes / 3 / row_bytes, 1, th);
  // Register tile: whole tile rows when they are short.
  const int64_t vectors = out >= 2 * lanes ? 2 : 1,
                most = std::min<int64_t>(14, (target.vector_registers - 1 - vectors) / vectors);
  const int64_t tile_rows = std::clamp<int64_t>(most / tw, 1, block),
                tile_columns = tile_rows > 1 ? tw : std::min(tw, most);
  Schedule s;
  s.stages.resize(k.stages.size());
  auto vector = [&](int32_t stage, int32_t axis) {
    s.stages[stage].vector_axis = axis;
    s.stages[stage].lanes = lanes;
  };
  StageSchedule &y = s.stages[kY];
  y.loops = {loop(2, block, true), loop(2, 1), loop(3, 1), loop(4, lanes)};
  vector(kY, 4);
  auto place = [&](int32_t stage, Place where, int32_t at_stage, int32_t at_loop) {
    s.stages[stage].place = where;
    s.stages[stage].at_stage = at_stage;
    s.stages[stage].at_loop = at_loop;
  };
  place(kColumns, Place::registers, kY, 3);
  vector(kColumns, 4);
  place(kProducts, Place::local, kY, 0);
  StageSchedule &m = s.stages[kProducts];
  m.loops = {loop(0, 1),
             loop(1, 1),
             loop(4, vectors * lanes),
             loop(2, tile_rows, true),
             loop(3, tile_columns, true),
             loop(5, in % 4 == 0 ? 4 : 1)};
  vector(kProducts, 4);
  const int32_t u = 1;
  bindings[u] = packed(k.buffers[u], {{0, 1}, {2, 1}, {1, 1}, {2, vectors * lanes}});
  if (bindings[u].size * 4 > target.l2_bytes / 2) {
    m.prefetch_buffer = u;
    m.prefetch_loop_stage = kProducts;
    m.prefetch_loop = 2;
    m.prefetch_panel = in * vectors * lanes;
  }
  place(kV, Place::local, kY, 0);
  s.stages[kV].loops = {loop(2, 1), loop(3, 1), loop(4, lanes)};
  vector(kV, 4);
  place(kRows, Place::registers, kV, 2);
  vector(kRows, 4);
  return s;
}

} // namespace cameo::ops
