// Convolutions and pools against plain loops.
#include "program_runner.h"

#include "cameo/passes/passes.h"

namespace cameo::passes {
namespace {

struct Conv {
  int64_t n = 1, c = 4, h = 7, w = 6, m = 8, kh = 3, kw = 3, sh = 1, sw = 1, dh = 1, dw = 1, ph = 0, pw = 0, qh = 0,
          qw = 0, group = 1;
  bool bias = false;
  double tolerance = 1e-6;
  int64_t oh() const { return (h + ph + qh - (kh - 1) * dh - 1) / sh + 1; }
  int64_t ow() const { return (w + pw + qw - (kw - 1) * dw - 1) / sw + 1; }

  Values run(const Values &x, const Values &f, const Values &b) const {
    Values y;
    const int64_t cg = c / group, mg = m / group;
    for (int64_t i = 0; i < n; ++i)
      for (int64_t o = 0; o < m; ++o)
        for (int64_t r = 0; r < oh(); ++r)
          for (int64_t s = 0; s < ow(); ++s) {
            double sum = bias ? b[size_t(o)] : 0;
            for (int64_t k = 0; k < cg; ++k)
              for (int64_t u = 0; u < kh; ++u)
                for (int64_t v = 0; v < kw; ++v) {
                  const int64_t a = r * sh + u * dh - ph, e = s * sw + v * dw - pw;
                  if (a < 0 || a >= h || e < 0 || e >= w) continue;
                  sum += x[size_t(((i * c + o / mg * cg + k) * h + a) * w + e)] *
                         f[size_t(((o * cg + k) * kh + u) * kw + v)];
                }
            y.push_back(sum);
          }
    return y;
  }

  std::string attributes() const {
    auto list = [](std::initializer_list<int64_t> v) {
      std::string s = "[";
      for (int64_t i : v) s += (s.size() > 1 ? ", " : "") + std::to_string(i);
      return s + "]";
    };
    return "dilations = " + list({dh, dw}) + ", group = " + std::to_string(group) +
           ", pads = " + list({ph, pw, qh, qw}) + ", strides = " + list({sh, sw});
  }
  static std::string type(std::initializer_list<int64_t> dims) {
    std::string s = "f32[";
    for (int64_t d : dims) s += (s.back() == '[' ? "" : ", ") + std::to_string(d);
    return s + "]";
  }

  /// Filters as an input, then as a constant; with the input's layout as given and channels last inside.
  void check() const {
    const Values x = some(n * c * h * w, 1), f = some(m * c / group * kh * kw, 2), b = some(m, 3);
    const Values want = run(x, f, b);
    const std::string xt = type({n, c, h, w}), ft = type({m, c / group, kh, kw}), bt = type({m}),
                      yt = type({n, m, oh(), ow()});
    std::string text = "graph @g stage canonical {\n  main(%x: " + xt + ", %f: " + ft + ", %b: " + bt +
                       ") {\n    %y = conv %x, %f" + (bias ? ", %b" : "") + " {" + attributes() + "} : " + yt +
                       "\n    yield %y as \"y\"\n  }\n}\n";
    check_graph(text, {x, f, b}, {want}, tolerance);
    // Constant filters, channels last around the convolution.
    graph::Graph g("g");
    graph::Region *body = g.main().body;
    graph::Value *gx = g.add_argument(body, *graph::parse_type(xt), "x");
    auto constant = [&](const std::string &t, const Values &v) {
      const graph::Type ty = *graph::parse_type(t);
      const auto data = graph::ConstantData::of(ty.dtype(), *ty.static_shape(), v);
      return g.create(graph::InsertPoint::end(body), graph::Op::constant, {}, {{"value", data}}, {ty})->result();
    };
    const graph::Layout nhwc = graph::Layout::channels_last(4);
    graph::Value *gf = constant(ft, f), *gb = bias ? constant(bt, b) : nullptr;
    graph::Value *inner =
        g.create(graph::InsertPoint::end(body), graph::Op::relayout, {gx}, {}, {gx->type().with_layout(nhwc)})
            ->result();
    std::vector<graph::Value *> operands{inner, gf};
    if (gb) operands.push_back(gb);
    const graph::Type result = graph::parse_type(yt)->with_layout(nhwc);
    graph::Value *y = g.create(graph::InsertPoint::end(body), graph::Op::conv, operands,
                               {{"dilations", std::vector<int64_t>{dh, dw}},
                                {"group", group},
                                {"pads", std::vector<graph::Dim>{ph, pw, qh, qw}},
                                {"strides", std::vector<int64_t>{sh, sw}}},
                               {result})
                          ->result();
    graph::Value *out =
        g.create(graph::InsertPoint::end(body), graph::Op::relayout, {y}, {}, {result.with_layout({})})->result();
    g.set_results(g.main(), {out}, {"y"});
    for (const Winograd winograd : {Winograd::off, Winograd::f2, Winograd::automatic})
      for (bool halos : {true, false}) {
        ProgramOptions options;
        options.plan.halos = halos;
        options.plan.winograd = winograd;
        const RunResult r = run_graph(g, {x}, options);
        ASSERT_EQ(r.outputs.size(), 1u);
        expect_near(r.outputs[0], want, winograd == Winograd::off ? 1e-6 : tolerance, halos ? "halos" : "no halos");
      }
  }
};

} // namespace

TEST(Conv, Plain) { Conv{}.check(); }
TEST(Conv, PaddedWithBias) {
  Conv c;
  c.ph = c.pw = c.qh = c.qw = 1;
  c.bias = true;
  c.check();
}
TEST(Conv, AsymmetricPadding) {
  Conv c;
  c.ph = 2, c.qh = 0, c.pw = 0, c.qw = 3;
  c.check();
}
TEST(Conv, Strided) {
  Conv c;
  c.sh = 2, c.sw = 3, c.ph = 1, c.qw = 1;
  c.check();
}
TEST(Conv, Dilated) {
  Conv c;
  c.h = 11, c.dh = 2, c.dw = 2, c.ph = c.qh = 2;
  c.check();
}
TEST(Conv, Grouped) {
  Conv c;
  c.group = 2;
  c.ph = c.qh = 1;
  c.bias = true;
  c.check();
}
TEST(Conv, GroupsOfWholePanels) {
  Conv c;
  c.c = 24, c.m = 384, c.group = 3;
  c.ph = c.qh = 1;
  c.check();
}
TEST(Conv, GroupsThatAreNoPanels) {
  Conv c;
  c.c = 12, c.m = 180, c.group = 3;
  c.n = 2, c.pw = 1;
  c.bias = true;
  c.check();
}
TEST(Conv, Depthwise) {
  Conv c;
  c.c = c.m = c.group = 20;
  c.ph = c.pw = c.qh = c.qw = 1;
  c.check();
}
TEST(Conv, DepthwiseWithMultiplier) {
  Conv c;
  c.c = c.group = 3;
  c.m = 6;
  c.ph = 1;
  c.check();
}
TEST(Conv, Pointwise) {
  Conv c;
  c.kh = c.kw = 1;
  c.c = 33, c.m = 70;
  c.bias = true;
  c.check();
}
TEST(Conv, OneChannelIn) {
  Conv c;
  c.n = 2, c.c = 1, c.h = c.w = 8, c.m = 16;
  c.ph = c.pw = c.qh = c.qw = 1;
  c.bias = true;
  c.check();
}

namespace {

// Transposed convolution with constant filters (interleaved convolutions) and with filters as an input.
void check_transposed(int64_t stride, int64_t taps, int64_t pad, int64_t extra, int64_t group) {
  SCOPED_TRACE("stride " + std::to_string(stride) + " taps " + std::to_string(taps) + " pad " + std::to_string(pad));
  const int64_t n = 2, c = 6, m = 4, h = 5, w = 4, each = m / group;
  const int64_t oh = (h - 1) * stride + taps - 2 * pad + extra, ow = (w - 1) * stride + taps - 2 * pad + extra;
  const Values x = some(n * c * h * w, 1), f = some(c * each * taps * taps, 2), b = some(m, 3);
  Values want(static_cast<size_t>(n * m * oh * ow));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t o = 0; o < m; ++o)
      for (int64_t y = 0; y < oh; ++y)
        for (int64_t q = 0; q < ow; ++q) want[size_t(((i * m + o) * oh + y) * ow + q)] = b[size_t(o)];
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k < c; ++k)
      for (int64_t y = 0; y < h; ++y)
        for (int64_t q = 0; q < w; ++q)
          for (int64_t e = 0; e < each; ++e)
            for (int64_t u = 0; u < taps; ++u)
              for (int64_t v = 0; v < taps; ++v) {
                const int64_t r = y * stride + u - pad, s = q * stride + v - pad, o = k / (c / group) * each + e;
                if (r < 0 || r >= oh || s < 0 || s >= ow) continue;
                want[size_t(((i * m + o) * oh + r) * ow + s)] +=
                    x[size_t(((i * c + k) * h + y) * w + q)] * f[size_t(((k * each + e) * taps + u) * taps + v)];
              }
  for (double &v : want) v = std::max(v, 0.0);
  graph::Graph g("g");
  graph::Region *body = g.main().body;
  auto type = [](std::vector<int64_t> dims) { return graph::Type::tensor(DType::f32, {dims.begin(), dims.end()}); };
  const graph::Layout nhwc = graph::Layout::channels_last(4);
  graph::Value *gx = g.add_argument(body, type({n, c, h, w}), "x");
  graph::Value *filters[2] = {g.add_argument(body, type({c, each, taps, taps}), "f"), nullptr};
  auto constant = [&](std::vector<int64_t> dims, const Values &v) {
    const auto data = graph::ConstantData::of(DType::f32, dims, v);
    return g.create(graph::InsertPoint::end(body), graph::Op::constant, {}, {{"value", data}}, {type(dims)})->result();
  };
  filters[1] = constant({c, each, taps, taps}, f);
  graph::Value *bias = constant({m}, b);
  auto relayout = [&](graph::Value *v, const graph::Layout &layout) {
    return g.create(graph::InsertPoint::end(body), graph::Op::relayout, {v}, {}, {v->type().with_layout(layout)})
        ->result();
  };
  graph::Value *inside = relayout(gx, nhwc);
  std::vector<graph::Value *> out;
  for (graph::Value *filter : filters) {
    const graph::Type result = type({n, m, oh, ow}).with_layout(nhwc);
    graph::Value *y = g.create(graph::InsertPoint::end(body), graph::Op::conv_transpose, {inside, filter, bias},
                               {{"dilations", std::vector<int64_t>{1, 1}},
                                {"group", group},
                                {"pads", std::vector<graph::Dim>{pad, pad, pad - extra, pad - extra}},
                                {"strides", std::vector<int64_t>{stride, stride}}},
                               {result})
                          ->result();
    y = g.create(graph::InsertPoint::end(body), graph::Op::elementwise, {y}, {{"fn", graph::Fn::relu}}, {result})
            ->result();
    out.push_back(relayout(y, {}));
  }
  g.set_results(g.main(), out, {"y", "z"});
  for (const bool fused : {false, true}) {
    if (fused) {
      ASSERT_TRUE(fuse(g, {}).ok());
    }
    for (const bool halos : {true, false}) {
      ProgramOptions options;
      options.plan.halos = halos;
      const RunResult r = run_graph(g, {x, f}, options);
      ASSERT_EQ(r.outputs.size(), 2u);
      for (const Values &got : r.outputs) expect_near(got, want, 1e-6, fused ? "fused" : "alone");
    }
  }
}

} // namespace

TEST(ConvTranspose, Phases) {
  check_transposed(2, 2, 0, 0, 1);
  check_transposed(2, 4, 1, 0, 1);
  check_transposed(2, 3, 1, 1, 1);
  check_transposed(3, 5, 2, 0, 1);
  check_transposed(3, 2, 0, 0, 1);
}
TEST(ConvTranspose, WithoutStride) { check_transposed(1, 3, 1, 0, 1); }
TEST(ConvTranspose, Grouped) { check_transposed(2, 3, 0, 0, 2); }

namespace {

void check_pool(const std::string &fn, const std::string &extra, bool include, int64_t pad, int64_t ceil) {
  const int64_t n = 2, c = 5, h = 7, w = 6, k = 3, s = 2;
  const int64_t oh = (h + 2 * pad - k + (ceil ? s - 1 : 0)) / s + 1,
                ow = (w + 2 * pad - k + (ceil ? s - 1 : 0)) / s + 1;
  const Values x = some(n * c * h * w, 5);
  Values want;
  for (int64_t i = 0; i < n * c; ++i)
    for (int64_t r = 0; r < oh; ++r)
      for (int64_t q = 0; q < ow; ++q) {
        double best = -INFINITY, sum = 0, squares = 0;
        int64_t count = 0;
        for (int64_t u = 0; u < k; ++u)
          for (int64_t v = 0; v < k; ++v) {
            const int64_t a = r * s + u - pad, b = q * s + v - pad;
            if (include && a < h + pad && b < w + pad) ++count;
            if (a < 0 || a >= h || b < 0 || b >= w) continue;
            if (!include) ++count;
            const double e = x[size_t((i * h + a) * w + b)];
            best = std::max(best, e);
            sum += e;
            squares += e * e;
          }
        want.push_back(fn == "max" ? best : fn == "average" ? sum / double(count) : std::sqrt(squares));
      }
  const std::string p = std::to_string(pad);
  check_graph("graph @g stage canonical {\n main(%x: f32[2, 5, 7, 6]) {\n %y = pool %x {" + extra +
                  "dilations = [1, 1], fn = " + fn + ", kernel = [3, 3], pads = [" + p + ", " + p + ", " + p + ", " +
                  p + "], strides = [2, 2]} : f32[2, 5, " + std::to_string(oh) + ", " + std::to_string(ow) +
                  "]\n yield %y as \"y\"\n }\n}\n",
              {x}, {want});
}

} // namespace

TEST(Pool, Max) { check_pool("max", "", false, 1, 0); }
TEST(Pool, MaxRoundedUp) { check_pool("max", "", false, 0, 1); }
TEST(Pool, Average) { check_pool("average", "count_include_pad = false, ", false, 1, 0); }
TEST(Pool, AverageCountsPadding) { check_pool("average", "count_include_pad = true, ", true, 1, 1); }
TEST(Pool, Norm) { check_pool("lp", "p = 2, ", false, 1, 0); }

TEST(Pool, MaxAndItsPositions) {
  const Values x = {3, 1, 2, 9, 4, 4, -1, 0, 5};
  check_graph("graph @g stage canonical {\n main(%x: f32[1, 1, 3, 3]) {\n %y, %i = pool %x {dilations = [1, 1], fn = "
              "max, kernel = [2, 2], "
              "pads = [0, 0, 0, 0], strides = [1, 1]} : f32[1, 1, 2, 2], i64[1, 1, 2, 2]\n yield %y as \"y\", %i as "
              "\"i\"\n }\n}\n",
              {x}, {{9, 4, 9, 5}, {3, 4, 3, 8}});
}

} // namespace cameo::passes
