// Convolutions by minimal filtering, as stages over tiles of m x m results (see winograd.h).
#include "winograd.h"

#include "window.h"

#include "cameo/ops/stage_builder.h"

namespace cameo::ops {

using graph::Value;

namespace {

// u[i n + j, c, o] = (G w G^T)[i, j] from w[o, c, 3, 3], in f64 until it is stored.
std::shared_ptr<const loop::Kernel> filter_kernel(int64_t in, int64_t out, int64_t m) {
  const int64_t n = m + 2;
  auto kernel = std::make_shared<loop::Kernel>();
  loop::Kernel &k = *kernel;
  k.name = "filter";
  const int32_t w = k.add_buffer("w", DType::f32, {out, in, 3, 3}, loop::BufferRole::input);
  const int32_t u = k.add_buffer("u", DType::f32, {n * n, in, out}, loop::BufferRole::output);
  // Sum of factor(a) * value(a) over the three taps of an axis.
  auto combine = [&](auto factor, auto value) {
    ExprId sum = -1;
    for (int64_t a = 0; a < 3; ++a) {
      if (factor(a) == 0) continue;
      const ExprId f = k.constant(Scalar::f64, factor(a));
      sum = sum < 0 ? k.op(Opcode::mul, {value(a), f}) : k.op(Opcode::muladd, {value(a), f, sum});
    }
    return sum;
  };
  ExprId taps[3][3];
  for (int64_t a = 0; a < 3; ++a)
    for (int64_t e = 0; e < 3; ++e)
      taps[a][e] = k.cast(Opcode::fpext,
                          k.read(w, {loop::axis_index(1), loop::axis_index(0), Index{{}, a, -1}, Index{{}, e, -1}}),
                          Scalar::f64);
  loop::Stage u_of_all{"u", {{"c", in, AxisKind::parallel}, {"o", out, AxisKind::parallel}}, {}, {}, {}, {}, {}, {}};
  for (int64_t i = 0; i < n; ++i) {
    ExprId row[3]; // (G w)[i]
    for (int64_t e = 0; e < 3; ++e)
      row[e] = combine([&](int64_t a) { return winograd_filter(m, i, a); }, [&](int64_t a) { return taps[a][e]; });
    for (int64_t j = 0; j < n; ++j) {
      const ExprId sum =
          combine([&](int64_t e) { return winograd_filter(m, j, e); }, [&](int64_t e) { return row[e]; });
      loop::StageStore store;
      store.buffer = u;
      store.indices = {Index{{}, i * n + j, -1}, loop::axis_index(0), loop::axis_index(1)};
      u_of_all.types.push_back(Scalar::f32);
      u_of_all.next.push_back(k.cast(Opcode::fptrunc, sum, Scalar::f32));
      u_of_all.stores.push_back(std::move(store));
    }
  }
  k.add_stage(std::move(u_of_all));
  return kernel;
}

} // namespace

bool winograd_applies(const graph::Node &conv, const Value &weights) {
  if (conv.operand_count() > 3 && (conv.operand(3) || (conv.operand_count() > 4 && conv.operand(4)))) return false;
  const Value *x = conv.operand(0), *y = conv.result();
  if (!weights.constant() || !weights.constant()->available()) return false;
  for (const Value *v : {x, y, &weights, static_cast<const Value *>(conv.operand(2))})
    if (v && v->type().dtype() != DType::f32) return false;
  if (conv.has_attribute("compute") && conv.dtype("compute") != DType::f32) return false;
  if (x->type().rank() != 4) return false;
  for (int d = 1; d < 4; ++d) // how many images there are may be a symbol
    if (!x->type().dim(d).is_constant() || !y->type().dim(d).is_constant()) return false;
  if (conv.integer("group") != 1) return false;
  const graph::Shape &w = weights.type().shape();
  if (!w[2].is(3) || !w[3].is(3)) return false;
  const Window window = Window::of(conv);
  for (size_t d = 0; d < 2; ++d)
    if (window.strides[d] != 1 || window.dilations[d] != 1 || !window.low[d].is_constant()) return false;
  for (const graph::Dim &d : y->type().shape())
    if (d.is(0)) return false;
  if (y->type().dim(1).value() < 4 || x->type().dim(1).value() < 4) return false; // hardly a vector
  return true;
}

Problem lower_winograd(Lowering &l, const graph::Node &node, int64_t m) {
  const Value *x = node.operand(0), *w = node.operand(1), *bias = node.operand(2), *y = node.result();
  std::vector<int64_t> xs(4), ys(4); // of images, whose number is a symbol or known
  for (int d = 1; d < 4; ++d) {
    xs[size_t(d)] = x->type().dim(d).value();
    ys[size_t(d)] = y->type().dim(d).value();
  }
  const loop::Extent images = l.extent(y->type().dim(0));
  const Window window = Window::of(node);
  const int64_t n = m + 2, th = (ys[2] + m - 1) / m, tw = (ys[3] + m - 1) / m, top = window.low[0].value(),
                left = window.low[1].value();
  const bool inside = top == 0 && left == 0 && m * th + 2 <= xs[2] && m * tw + 2 <= xs[3];
  const OutOfRange rule = inside ? OutOfRange::never : OutOfRange::fill;
  loop::Kernel &k = l.kernel();
  auto tiles = [&](const char *first, int64_t a, const char *second, int64_t b, const char *channel, int64_t channels) {
    Space space;
    for (const auto &[name, extent] : std::initializer_list<std::pair<const char *, loop::Extent>>{
             {first, a}, {second, b}, {"n", images}, {"ty", th}, {"tx", tw}, {channel, channels}})
      space.axes.push_back({name, extent, AxisKind::parallel});
    return space;
  };
  auto add_stage = [&](const Space &space, const char *name, ExprId body) {
    loop::Stage stage = l.stage(space, name);
    stage.types = {Scalar::f32};
    stage.next = {body};
    return l.add_stage(std::move(stage));
  };
  // Element [a, j] or [i, a] of a stage of the same tile.
  auto element = [&](int32_t stage, int32_t axis, int64_t a) {
    std::vector<Index> at = identity(6);
    at[static_cast<size_t>(axis)] = Index{{}, a, -1};
    return k.read_stage(stage, std::move(at));
  };
  // rows = B^T d, v = rows B
  const Space patch = tiles("i", n, "j", n, "c", xs[1]);
  auto pixel = [&](int64_t a) {
    return l.read(
        x, {loop::axis_index(2), loop::axis_index(5), loop::axis_index(3, m, a - top), window_index(4, m, 1, 1, -left)},
        rule, 0);
  };
  const int32_t rows = add_stage(patch, "rows", k.pick(0, winograd_input(k, m, pixel)));
  const int32_t v =
      add_stage(patch, "v", k.pick(1, winograd_input(k, m, [&](int64_t a) { return element(rows, 1, a); })));
  // m[i, j] = sum over c of v[i, j, c] u[i n + j, c, o]
  const int32_t u = l.derived(w, "u", filter_kernel(xs[1], ys[1], m));
  loop::Stage products = l.stage(tiles("i", n, "j", n, "o", ys[1]), "m");
  const int32_t c = Lowering::add_reduction(products, "c", xs[1]);
  std::vector<Index> at = identity(6);
  at[5] = loop::axis_index(c);
  Index point = loop::axis_index(0, n);
  point.axes.emplace_back(1, 1);
  products.types = {Scalar::f32};
  products.init = {l.number(Scalar::f32, 0)};
  products.next = {l.op(Opcode::muladd, k.read_stage(v, std::move(at)),
                        k.read(u, {point, loop::axis_index(c), loop::axis_index(5)}), k.carried(Scalar::f32))};
  products.combine = Opcode::add;
  const int32_t sums = l.add_stage(std::move(products));
  // columns = A^T m, y[m ty + p, m tx + q] = (columns A)[p, q] + bias
  const int32_t columns = add_stage(tiles("p", m, "j", n, "o", ys[1]), "columns",
                                    k.pick(0, winograd_output(k, m, [&](int64_t a) { return element(sums, 0, a); })));
  Space result = tiles("p", m, "q", m, "o", ys[1]);
  result.dims = {loop::axis_index(2), loop::axis_index(5), window_index(3, m, 0, 1, 0), window_index(4, m, 1, 1, 0)};
  result.partial = ys[2] % m != 0 || ys[3] % m != 0;
  ExprId value = k.pick(1, winograd_output(k, m, [&](int64_t a) { return element(columns, 1, a); }));
  if (bias) value = l.op(Opcode::add, value, l.read(bias, {loop::axis_index(5)}));
  l.define_pointwise(y, result, value, "tile");
  return {};
}

} // namespace cameo::ops
