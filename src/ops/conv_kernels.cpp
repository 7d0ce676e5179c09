#include "cameo/ops/conv_kernels.h"

#include "cameo/ops/stage_builder.h"

#include "winograd.h"

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
            k.pick(0, winograd_input(k, m, [&](int64_t a) {
                     return k.read(x, {axis_index(2, m, a - 1), window_index(3, m, 1, 1, -1), axis_index(4)},
                                   OutOfRange::fill, 0);
                   }))));
  // v[i, j, ...] = (rows B)[i, j]
  const int32_t v = k.add_stage(
      stage("v", patch, Scalar::f32, k.pick(1, winograd_input(k, m, [&](int64_t a) {
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
                        k.pick(0, winograd_output(k, m, [&](int64_t a) {
                                 return k.read_stage(products, {axis_index(-1, 0, a), axis_index(1), axis_index(2),
                                                                axis_index(3), axis_index(4)});
                               }))));
  const ExprId sum =
      k.op(Opcode::add, {k.pick(1, winograd_output(k, m,
                                                   [&](int64_t a) {
                                                     return k.read_stage(columns,
                                                                         {axis_index(0), axis_index(-1, 0, a),
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

} // namespace cameo::ops
