// Kernels of every shape under plain, default and hand-written schedules, compiled, against the oracle.
#include "kernel_runner.h"

#include "cameo/loop/print.h"

#include <regex>

namespace cameo::loop {
namespace {

StageStore store_to(int32_t buffer, std::vector<Index> indices) {
  StageStore s;
  s.buffer = buffer;
  s.indices = std::move(indices);
  return s;
}

std::vector<Index> identity(int32_t rank) {
  std::vector<Index> list;
  for (int32_t d = 0; d < rank; ++d) list.push_back(axis_index(d));
  return list;
}

// y = relu(x w + b), optionally + r in place.
Kernel dense(int64_t m, int64_t n, int64_t k) {
  Kernel kernel;
  kernel.name = "dense";
  const int32_t x = kernel.add_buffer("x", DType::f32, {m, k}, BufferRole::input);
  const int32_t w = kernel.add_buffer("w", DType::f32, {k, n}, BufferRole::constant);
  const int32_t b = kernel.add_buffer("b", DType::f32, {n}, BufferRole::constant);
  const int32_t y = kernel.add_buffer("y", DType::f32, {m, n}, BufferRole::output);
  Stage acc;
  acc.name = "acc";
  acc.axes = {{"m", m}, {"n", n}, {"k", k, AxisKind::reduction}};
  acc.types = {Scalar::f32};
  acc.init = {kernel.read(b, {axis_index(1)})};
  acc.next = {kernel.op(Opcode::muladd, {kernel.read(x, {axis_index(0), axis_index(2)}),
                                         kernel.read(w, {axis_index(2), axis_index(1)}), kernel.carried(Scalar::f32)})};
  acc.combine = Opcode::add;
  const int32_t sum = kernel.add_stage(acc);
  Stage out;
  out.name = "out";
  out.axes = {{"m", m}, {"n", n}};
  out.types = {Scalar::f32};
  out.next = {kernel.op(Opcode::max, {kernel.read_stage(sum, identity(2)), kernel.constant(Scalar::f32, 0)})};
  out.stores = {store_to(y, identity(2))};
  kernel.add_stage(out);
  return kernel;
}

// NHWC convolution with padding, stride and a residual.
Kernel conv(int64_t h, int64_t c, int64_t o, int64_t taps, int64_t stride, int64_t pad) {
  const int64_t out_h = (h + 2 * pad - taps) / stride + 1;
  Kernel k;
  k.name = "conv";
  const int32_t x = k.add_buffer("x", DType::f32, {h, h, c}, BufferRole::input);
  const int32_t w = k.add_buffer("w", DType::f32, {taps, taps, c, o}, BufferRole::constant);
  const int32_t r = k.add_buffer("r", DType::f32, {out_h, out_h, o}, BufferRole::input);
  const int32_t y = k.add_buffer("y", DType::f32, {out_h, out_h, o}, BufferRole::output);
  Stage acc;
  acc.name = "acc";
  acc.axes = {{"y", out_h},
              {"x", out_h},
              {"o", o},
              {"ky", taps, AxisKind::reduction},
              {"kx", taps, AxisKind::reduction},
              {"c", c, AxisKind::reduction}};
  acc.types = {Scalar::f32};
  acc.init = {k.constant(Scalar::f32, 0)};
  auto at = [&](int32_t axis, int32_t tap) {
    Index i = axis_index(axis, stride, -pad);
    i.axes.emplace_back(tap, 1);
    return i;
  };
  acc.next = {k.op(Opcode::muladd,
                   {k.read(x, {at(0, 3), at(1, 4), axis_index(5)}, OutOfRange::fill, 0),
                    k.read(w, {axis_index(3), axis_index(4), axis_index(5), axis_index(2)}), k.carried(Scalar::f32)})};
  acc.combine = Opcode::add;
  const int32_t sum = k.add_stage(acc);
  Stage out;
  out.name = "out";
  out.axes = {{"y", out_h}, {"x", out_h}, {"o", o}};
  out.types = {Scalar::f32};
  out.next = {k.op(Opcode::max, {k.op(Opcode::add, {k.read_stage(sum, identity(3)), k.read(r, identity(3))}),
                                 k.constant(Scalar::f32, 0)})};
  out.stores = {store_to(y, identity(3))};
  k.add_stage(out);
  return k;
}

Kernel softmax(int64_t rows, int64_t n) {
  Kernel k;
  k.name = "softmax";
  const int32_t x = k.add_buffer("x", DType::f32, {rows, n}, BufferRole::input);
  const int32_t y = k.add_buffer("y", DType::f32, {rows, n}, BufferRole::output);
  auto reduce = [&](const char *name, double init, Opcode combine, ExprId value) {
    Stage s;
    s.name = name;
    s.axes = {{"r", rows}, {"i", n, AxisKind::reduction}};
    s.types = {Scalar::f32};
    s.init = {k.constant(Scalar::f32, init)};
    s.next = {k.op(combine, {k.carried(Scalar::f32), value})};
    s.combine = combine;
    return k.add_stage(s);
  };
  const int32_t m = reduce("m", -INFINITY, Opcode::max, k.read(x, identity(2)));
  Stage p;
  p.name = "p";
  p.axes = {{"r", rows}, {"i", n}};
  p.types = {Scalar::f32};
  p.next = {k.op(Opcode::exp, {k.op(Opcode::sub, {k.read(x, identity(2)), k.read_stage(m, {axis_index(0)})})})};
  const int32_t e = k.add_stage(p);
  const int32_t sum = reduce("sum", 0, Opcode::add, k.read_stage(e, identity(2)));
  Stage out;
  out.name = "out";
  out.axes = {{"r", rows}, {"i", n}};
  out.types = {Scalar::f32};
  out.next = {k.op(Opcode::div, {k.read_stage(e, identity(2)), k.read_stage(sum, {axis_index(0)})})};
  out.stores = {store_to(y, identity(2))};
  k.add_stage(out);
  return k;
}

void expect_all_schedules(const Kernel &kernel, std::vector<Binding> bindings, std::map<int32_t, int32_t> shares = {}) {
  for (const char *cpu : {"native", "x86-64-v3", "x86-64-v2"}) {
    SCOPED_TRACE(cpu);
    KernelRun run;
    run.kernel = kernel;
    run.bindings = bindings;
    run.shares_memory = shares;
    run.schedule = plain_schedule(kernel);
    {
      SCOPED_TRACE("plain");
      expect_right(run, cpu);
    }
    auto targets = codegen::resolve_targets(cpu);
    run.schedule = default_schedule(kernel, run.bindings, targets->back());
    SCOPED_TRACE("default");
    expect_right(run, cpu);
  }
}

} // namespace

TEST(Schedules, DenseLayers) {
  for (auto [m, n, k] : {std::array<int64_t, 3>{1, 10, 64}, {5, 33, 7}, {29, 64, 40}, {130, 40, 16}}) {
    SCOPED_TRACE(std::to_string(m) + " " + std::to_string(n) + " " + std::to_string(k));
    const Kernel kernel = dense(m, n, k);
    expect_all_schedules(kernel, dense_bindings(kernel));
  }
}

TEST(Schedules, DenseLayersWhoseResultsAreStoredByColumns) {
  for (auto [m, n, k] : {std::array<int64_t, 3>{29, 64, 40}, {49, 24, 16}, {1, 33, 20}, {5, 12, 4}}) {
    SCOPED_TRACE(std::to_string(m) + " " + std::to_string(n) + " " + std::to_string(k));
    const Kernel kernel = dense(m, n, k);
    std::vector<Binding> bindings = dense_bindings(kernel);
    bindings[3] = packed(kernel.buffers[3], {{1, 1}, {0, 1}}, 64);
    expect_all_schedules(kernel, bindings);
    // Sums go along the columns of the weights, whatever the order of the result.
    const Schedule schedule = default_schedule(kernel, bindings, codegen::resolve_targets("x86-64-v4")->back());
    if (k > 8) {
      EXPECT_EQ(schedule.stages[0].vector_axis, 1);
    }
  }
}

// How far ahead of what it reads the code of dense(m, 256, 768) asks for weights, in elements.
int64_t elements_ahead(int64_t m) {
  const Kernel kernel = dense(m, 256, 768);
  const Target target = codegen::resolve_targets("x86-64-v4")->back();
  std::vector<Binding> bindings = dense_bindings(kernel);
  const Schedule schedule = default_schedule(kernel, bindings, target);
  Module module;
  apply(module, kernel, bindings, target, schedule, "kernel");
  const std::string text = print(module);
  std::smatch found;
  if (!std::regex_search(text, found, std::regex(R"(prefetch %\w+\[[^\]]* \+ (\d+)\])"))) return -1;
  return std::stoll(found[1]);
}

TEST(Schedules, WeightsOfOneRowAreAskedForAPageAheadThoseOfManyAPanelAhead) {
  EXPECT_EQ(elements_ahead(1), 4096 / 4);
  EXPECT_GT(elements_ahead(64), 768 * 16);
}

// Neither the rows nor the weights fit into half of the second-level cache: chunks of panels that do are outermost.
TEST(Schedules, ManyRowsMeetTheWeightsInChunks) {
  Target target = codegen::resolve_targets("x86-64-v3")->back();
  target.l2_bytes = 32 << 10;
  auto loops = [&](int64_t rows) {
    const Kernel kernel = dense(rows, 200, 64);
    std::vector<Binding> bindings = dense_bindings(kernel);
    KernelRun run{kernel, bindings, default_schedule(kernel, bindings, target), {}, {}, {}};
    run.bindings = bindings;
    expect_right(run, "x86-64-v3");
    return run.schedule.stages.back().loops;
  };
  const std::vector<LoopSpec> many = loops(200), few = loops(20);
  auto columns = [](const std::vector<LoopSpec> &list) {
    return std::count_if(list.begin(), list.end(), [](const LoopSpec &l) { return l.axis == 1; });
  };
  EXPECT_EQ(columns(many), 2);
  EXPECT_EQ(columns(few), 1);
  ASSERT_FALSE(many.empty());
  EXPECT_EQ(many.front().axis, 1);
  EXPECT_EQ(many.front().tile % many.back().tile, 0);
  EXPECT_LE(many.front().tile * 64 * 4, target.l2_bytes / 2);
}

TEST(Schedules, ConvolutionsWithoutHalo) {
  for (auto [h, c, o, taps, stride, pad] :
       {std::array<int64_t, 6>{8, 1, 16, 3, 1, 1}, {9, 3, 20, 3, 2, 1}, {7, 8, 32, 1, 1, 0}, {10, 4, 8, 5, 2, 2}}) {
    const Kernel kernel = conv(h, c, o, taps, stride, pad);
    expect_all_schedules(kernel, dense_bindings(kernel));
  }
}

TEST(Schedules, ConvolutionWithHaloAndResidualInPlace) {
  const Kernel kernel = conv(14, 16, 32, 3, 1, 1);
  std::vector<Binding> bindings = dense_bindings(kernel);
  Binding &x = bindings[0];
  x.terms = {{0, 1, 0, 16 * 16, -1}, {1, 1, 0, 16, -1}, {2, 1, 0, 1, -1}};
  x.offset = 16 * 16 + 16;
  x.size = 16 * 16 * 16;
  x.halo = {{1, 1}, {1, 1}, {0, 0}};
  bindings[2].aliased = bindings[3].aliased = true;
  expect_all_schedules(kernel, bindings, {{3, 2}});
}

TEST(Schedules, Softmax) {
  for (auto [rows, n] : {std::array<int64_t, 2>{3, 10}, {7, 128}, {2, 67}, {40, 1000}}) {
    const Kernel kernel = softmax(rows, n);
    expect_all_schedules(kernel, dense_bindings(kernel));
  }
}

// Rows and lengths that are known at run time only.
TEST(Schedules, SoftmaxOfSymbolicSize) {
  for (bool symbolic_length : {false, true})
    for (auto [rows, n] : {std::array<int64_t, 2>{3, 10}, {5, 67}, {1, 128}, {2, 1}}) {
      Kernel k = softmax(rows, n);
      k.symbols = {"rows", "n"};
      for (KernelBuffer &b : k.buffers) {
        b.dims[0] = Extent::of_symbol(0);
        if (symbolic_length) b.dims[1] = Extent::of_symbol(1);
      }
      for (Stage &s : k.stages) {
        s.axes[0].extent = Extent::of_symbol(0);
        if (symbolic_length && s.axes.size() > 1) s.axes[1].extent = Extent::of_symbol(1);
      }
      std::vector<Binding> bindings(2);
      for (Binding &b : bindings) {
        LayoutTerm outer{0, 1, 0, n, -1};
        if (symbolic_length) outer = {0, 1, 0, 1, 1};
        b.terms = {outer, {1, 1, 0, 1, -1}};
      }
      for (const char *cpu : {"native", "x86-64-v3"}) {
        KernelRun run;
        run.kernel = k;
        run.bindings = bindings;
        run.symbols = {rows, n};
        run.schedule = default_schedule(k, run.bindings, codegen::resolve_targets(cpu)->back());
        expect_right(run, cpu);
      }
    }
}

// Softmax over the middle axis: the rows of the reduction lie across the vectors.
TEST(Schedules, SoftmaxAcrossTheContiguousAxis) {
  for (auto [b, n, c] : {std::array<int64_t, 3>{3, 4, 5}, {2, 7, 40}, {1, 33, 64}}) {
    Kernel k;
    k.name = "softmax";
    const int32_t x = k.add_buffer("x", DType::f32, {b, n, c}, BufferRole::input);
    const int32_t y = k.add_buffer("y", DType::f32, {b, n, c}, BufferRole::output);
    auto reduce = [&](const char *name, double init, Opcode combine, ExprId value) {
      Stage s;
      s.name = name;
      s.axes = {{"b", b}, {"c", c}, {"n", n, AxisKind::reduction}};
      s.types = {Scalar::f32};
      s.init = {k.constant(Scalar::f32, init)};
      s.next = {k.op(combine, {k.carried(Scalar::f32), value})};
      s.combine = combine;
      return k.add_stage(s);
    };
    const int32_t m = reduce("m", -INFINITY, Opcode::max, k.read(x, {axis_index(0), axis_index(2), axis_index(1)}));
    Stage e;
    e.name = "e";
    e.axes = {{"b", b}, {"n", n}, {"c", c}};
    e.types = {Scalar::f32};
    e.next = {k.op(Opcode::exp,
                   {k.op(Opcode::sub, {k.read(x, identity(3)), k.read_stage(m, {axis_index(0), axis_index(2)})})})};
    const int32_t exp = k.add_stage(e);
    const int32_t sum = reduce("sum", 0, Opcode::add, k.read_stage(exp, {axis_index(0), axis_index(2), axis_index(1)}));
    Stage out = e;
    out.name = "out";
    out.next = {k.op(Opcode::div, {k.read_stage(exp, identity(3)), k.read_stage(sum, {axis_index(0), axis_index(2)})})};
    out.stores = {store_to(y, identity(3))};
    k.add_stage(out);
    expect_all_schedules(k, dense_bindings(k));
  }
}

// Results that are reductions themselves: along the contiguous axis, across it, over windows, and channels first.
TEST(Schedules, ReductionsWithoutAnEpilogue) {
  auto reduce = [](std::vector<Axis> axes, std::vector<Extent> in, std::vector<Index> at, std::vector<Extent> out,
                   OutOfRange rule) {
    Kernel k;
    k.name = "reduce";
    const int32_t x = k.add_buffer("x", DType::f32, std::move(in), BufferRole::input);
    const int32_t y = k.add_buffer("y", DType::f32, out, BufferRole::output);
    Stage s;
    s.name = "y";
    s.axes = std::move(axes);
    s.types = {Scalar::f32};
    s.init = {k.constant(Scalar::f32, -INFINITY)};
    s.next = {k.op(Opcode::max, {k.carried(Scalar::f32), k.read(x, std::move(at), rule, -INFINITY)})};
    s.combine = Opcode::max;
    s.stores = {store_to(y, identity(static_cast<int32_t>(out.size())))};
    k.add_stage(s);
    return k;
  };
  const auto r = AxisKind::reduction;
  for (int64_t n : {5, 37, 200}) {
    const Kernel rows = reduce({{"i", 7}, {"j", n, r}}, {7, n}, {axis_index(0), axis_index(1)}, {7}, OutOfRange::never);
    expect_all_schedules(rows, dense_bindings(rows));
    const Kernel columns =
        reduce({{"j", n}, {"i", 7, r}}, {7, n}, {axis_index(1), axis_index(0)}, {n}, OutOfRange::never);
    expect_all_schedules(columns, dense_bindings(columns));
  }
  auto window = [](int32_t axis, int32_t tap) {
    Index i = axis_index(axis, 2, -1);
    i.axes.emplace_back(tap, 1);
    return i;
  };
  const Kernel pool = reduce({{"y", 5}, {"x", 5}, {"c", 20}, {"ky", 3, r}, {"kx", 3, r}}, {10, 10, 20},
                             {window(0, 3), window(1, 4), axis_index(2)}, {5, 5, 20}, OutOfRange::fill);
  expect_all_schedules(pool, dense_bindings(pool));
}

} // namespace cameo::loop
