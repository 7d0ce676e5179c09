// Loops, branches, calls, checks and parallel regions, on each CPU level.
#include "emit_cases.h"

#include <numeric>
#include <thread>

namespace cameo::codegen {
namespace {

TEST(EmitControl, LoopsRunFromLowerToUpper) {
  for (const loop::Target &target : runnable_targets()) {
    loop::Module module;
    // sum of i, and count, for i = a to b step 3
    Builder b(module, "f");
    b.function().exported = true;
    Value out = b.buffer_param("out", Scalar::i64, false), lower = b.scalar_param("a"), upper = b.scalar_param("b");
    Value zero = b.index_constant(0);
    auto sums = b.for_loop(lower, upper, 3, {zero, zero}, [&](Value i, std::span<const Value> v) {
      return std::vector<Value>{b.add(v[0], i), b.add(v[1], b.index_constant(1))};
    });
    b.store(sums[0], out, 0);
    b.store(sums[1], out, 1);
    b.finish();
    Jit code = jit(module, target);
    for (int64_t low : {-4, 0, 5})
      for (int64_t high : {-9, -4, 0, 1, 5, 6, 17, 18}) {
        int64_t got[2], sum = 0, count = 0;
        for (int64_t i = low; i < high; i += 3) sum += i, ++count;
        cameo_env env{};
        code.function<void(cameo_env *, int64_t *, int64_t, int64_t)>("f")(&env, got, low, high);
        EXPECT_EQ(got[0], sum);
        EXPECT_EQ(got[1], count);
      }
  }
}

// Swapped iteration values, and loops whose course is known: none, one, many.
TEST(EmitControl, ConstantLoops) {
  for (int64_t upper : {-1, 0, 1, 2, 3, 4, 7})
    for (bool certain : {false, true}) {
      if (certain && upper <= 0) continue;
      loop::Module module;
      Builder b(module, "f");
      b.function().exported = true;
      b.set_results({kIndex});
      Value n = b.scalar_param("n"); // the loop is written out here, not folded by the builder
      Value one = b.index_constant(1), two = b.index_constant(2);
      auto pair = b.for_loop(b.index_constant(0), n, 2, {one, two}, [&](Value i, std::span<const Value> v) {
        return std::vector<Value>{v[1], b.add(v[0], i)};
      });
      Value sum = b.add(b.mul(pair[0], b.index_constant(1000)), pair[1]);
      b.finish({sum});
      loop::Op &loop = *std::find_if(module.functions[0].body.ops.begin(), module.functions[0].body.ops.end(),
                                     [](auto &op) { return op.code == Opcode::for_loop; });
      loop.flag = certain;
      int64_t x = 1, y = 2;
      for (int64_t i = 0; i < upper; i += 2) std::tie(x, y) = std::pair(y, x + i);
      cameo_env env{};
      auto targets = resolve_targets("x86-64-v2");
      EXPECT_EQ(jit(module, targets->at(0)).function<int64_t(cameo_env *, int64_t)>("f")(&env, upper), x * 1000 + y);
      // The same with the bound a constant of the module.
      module.functions[0].params.clear();
      loop::Op constant{Opcode::constant, {}, {n}, {}, {}, upper, 0, 0, false, {}, {}};
      module.functions[0].body.ops.insert(module.functions[0].body.ops.begin(), constant);
      EXPECT_EQ(jit(module, targets->at(0)).function<int64_t(cameo_env *)>("f")(&env), x * 1000 + y);
    }
}

TEST(EmitControl, BranchesYield) {
  loop::Module module;
  Builder b(module, "f");
  b.function().exported = true;
  b.set_results({kIndex});
  Value out = b.buffer_param("out", Scalar::i64, false), x = b.scalar_param("x");
  Value negative = b.compare(Opcode::lt, x, b.index_constant(0));
  auto size = b.if_else(
      negative, [&] { return std::vector<Value>{b.sub(b.index_constant(0), x)}; },
      [&] { return std::vector<Value>{x}; });
  b.if_else(negative, [&] {
    b.store(size[0], out, Affine(size[0]) - 3);
    return std::vector<Value>();
  });
  b.finish({size[0]});
  for (const loop::Target &target : runnable_targets()) {
    Jit code = jit(module, target);
    auto *f = code.function<int64_t(cameo_env *, int64_t *, int64_t)>("f");
    int64_t out[4] = {};
    cameo_env env{};
    EXPECT_EQ(f(&env, out, 7), 7);
    EXPECT_EQ(f(&env, out, -5), 5);
    EXPECT_EQ(out[2], 5);
  }
}

TEST(EmitControl, WhileLoops) {
  // steps of the Collatz sequence of x down to 1
  loop::Module module;
  Builder b(module, "f");
  b.function().exported = true;
  b.set_results({kIndex});
  Value x = b.scalar_param("x");
  auto ends = b.while_loop(
      {x, b.index_constant(0)},
      [&](std::span<const Value> v) {
        return std::vector<Value>{b.compare(Opcode::gt, v[0], b.index_constant(1)), v[0], v[1]};
      },
      [&](std::span<const Value> v) {
        Value odd = b.compare(Opcode::ne, b.binary(Opcode::bit_and, v[0], b.index_constant(1)), b.index_constant(0));
        auto next = b.if_else(
            odd, [&] { return std::vector<Value>{b.add(b.mul(v[0], b.index_constant(3)), b.index_constant(1))}; },
            [&] { return std::vector<Value>{b.binary(Opcode::shr, v[0], b.index_constant(1))}; });
        return std::vector<Value>{next[0], b.add(v[1], b.index_constant(1))};
      });
  b.finish({ends[1]});
  for (const loop::Target &target : runnable_targets()) {
    cameo_env env{};
    Jit code = jit(module, target);
    EXPECT_EQ(code.function<int64_t(cameo_env *, int64_t)>("f")(&env, 27), 111);
    EXPECT_EQ(code.function<int64_t(cameo_env *, int64_t)>("f")(&env, 1), 0);
  }
}

extern "C" int64_t twice_plus_status(cameo_env *env, const int64_t *x) {
  env->status = 9;
  return 2 * *x;
}

// Inlined, noinline and external callees; vectors and several results between functions; i1 parameters and results.
TEST(EmitControl, Calls) {
  loop::Module module;
  Type vector{Scalar::f32, 16};
  for (bool noinline : {false, true}) {
    Builder b(module, noinline ? "outline" : "inline");
    b.function().noinline = noinline;
    b.set_results({vector, loop::kBool, vector});
    Value v = b.scalar_param("v", vector), flag = b.scalar_param("flag", loop::kBool);
    b.finish({b.add(v, v), b.unary(Opcode::bit_not, flag), b.mul(v, v)});
  }
  loop::Function external;
  external.name = "external";
  external.declaration = true;
  external.params.push_back({external.new_value(buffer_of(Scalar::i64), "x"), true});
  external.results = {kIndex};
  module.functions.push_back(external);

  Builder b(module, "f");
  b.function().exported = true;
  b.set_results({loop::kBool});
  Value x = b.buffer_param("x", Scalar::f32, true), y = b.buffer_param("y", Scalar::f32, false),
        z = b.buffer_param("z", Scalar::i64, false);
  Value flag = b.scalar_param("flag", loop::kBool);
  std::vector<Type> types = {vector, loop::kBool, vector};
  auto first = b.call("inline", {b.load(x, 0, 16), flag}, types),
       second = b.call("outline", {first[2], first[1]}, types);
  b.store(first[0], y, 0);
  b.store(second[0], y, 16);
  b.store(b.call("external", {b.view(z, 1)}, {kIndex})[0], z, 0);
  b.finish({second[1]});

  for (const loop::Target &target : runnable_targets()) {
    Jit code = jit(module, target, {{"external", reinterpret_cast<void *>(&twice_plus_status)}});
    std::vector<float> in(16), out(32);
    std::iota(in.begin(), in.end(), 1.0f);
    int64_t z[2] = {0, 21};
    for (bool flag : {false, true}) {
      cameo_env env{};
      EXPECT_EQ(code.function<bool(cameo_env *, float *, float *, int64_t *, bool)>("f")(&env, in.data(), out.data(), z,
                                                                                         flag),
                flag);
      EXPECT_EQ(env.status, 9);
    }
    for (size_t i = 0; i < 16; ++i) {
      EXPECT_EQ(out[i], 2 * in[i]);
      EXPECT_EQ(out[16 + i], 2 * in[i] * in[i]);
    }
    EXPECT_EQ(z[0], 42);
  }
}

TEST(EmitControl, FirstFailedCheckSticks) {
  loop::Module module;
  Builder b(module, "f");
  b.function().exported = true;
  b.set_results({kIndex});
  Value x = b.scalar_param("x");
  Value small = b.compare(Opcode::lt, x, b.index_constant(10)), tiny = b.compare(Opcode::lt, x, b.index_constant(5));
  b.check(tiny, 7);
  b.check(small, 8);
  b.finish({b.select(small, x, b.index_constant(0))});
  for (const loop::Target &target : runnable_targets()) {
    Jit code = jit(module, target);
    auto *f = code.function<int64_t(cameo_env *, int64_t)>("f");
    cameo_env fine{}, first{}, second{}, earlier{3, 0, nullptr, nullptr};
    EXPECT_EQ(f(&fine, 4), 4);
    EXPECT_EQ(fine.status, 0);
    EXPECT_EQ(f(&first, 6), 6);
    EXPECT_EQ(first.status, 7);
    EXPECT_EQ(f(&second, 12), 0);
    EXPECT_EQ(second.status, 7);
    f(&earlier, 12);
    EXPECT_EQ(earlier.status, 3);
  }
}

// Runs the tasks on threads, the last one first.
void run_on_threads(cameo_env *env, int64_t tasks, cameo_task task, void *capture) {
  ++*static_cast<int *>(env->pool);
  std::vector<std::thread> threads;
  for (int64_t i = tasks; i-- > 0;) threads.emplace_back(task, env, capture, i);
  for (std::thread &thread : threads) thread.join();
}

// Captured: buffers, a view, a local buffer, scalars, a vector, a constant, an enclosing loop's variable, a nested
// region.
loop::Module parallel_module() {
  loop::Module module;
  Builder b(module, "f");
  b.function().exported = true;
  Value x = b.buffer_param("x", Scalar::f32, true), y = b.buffer_param("y", Scalar::f32, false);
  Value n = b.scalar_param("n"), scale = b.scalar_param("scale", loop::kF32);
  Value local = b.alloca_buffer(Scalar::f32, 16);
  Value shift = b.load(x, 0, 16), ten = b.constant({Scalar::f32, 16}, 10), wide = b.broadcast(scale, 16);
  b.store(ten, local, 0);
  Value inner = b.view(y, 16);
  b.for_range(0, 3, 1, [&](Value i) {
    b.parallel(n, [&](Value task) {
      Value v = b.add(b.mul(b.load(x, Affine(task) * 16, 16), wide), b.add(shift, b.load(local, 0, 16)));
      b.store(v, inner, (Affine(task) * 3 + i) * 16);
      b.parallel(b.index_constant(2), [&](Value half) {
        b.store(b.broadcast(scale, 2), inner, (Affine(task) * 3 + i) * 16 + Affine(half) * 8);
      });
      b.check(b.compare(Opcode::lt, task, b.index_constant(1000)), 5);
    });
  });
  b.finish();
  return module;
}

TEST(EmitControl, ParallelIsTheSameWithAnyThreads) {
  loop::Module module = parallel_module();
  for (const loop::Target &target : runnable_targets()) {
    Jit code = jit(module, target);
    std::vector<float> x(16 * 8);
    std::iota(x.begin(), x.end(), 0.0f);
    for (int64_t n : {0, 1, 2, 8}) {
      std::vector<float> expected(16 * 25, -1);
      for (size_t task = 0; task < size_t(n); ++task)
        for (size_t k = 0; k < 48; ++k) {
          size_t lane = k % 16;
          expected[16 + task * 48 + k] = lane % 8 < 2 ? 3.0f : x[task * 16 + lane] * 3 + (x[lane] + 10);
        }
      for (int threads : {0, 1, 4}) {
        std::vector<float> y(16 * 25, -1);
        int regions = 0;
        cameo_env env{0, threads, run_on_threads, &regions};
        code.function<void(cameo_env *, float *, float *, int64_t, float)>("f")(&env, x.data(), y.data(), n, 3);
        EXPECT_EQ(y, expected);
        EXPECT_EQ(env.status, 0);
        EXPECT_EQ(regions, threads > 1 && n > 1 ? 3 : 0);
      }
      std::vector<float> y(16 * 25, -1);
      cameo_env env{0, 4, nullptr, nullptr};
      code.function<void(cameo_env *, float *, float *, int64_t, float)>("f")(&env, x.data(), y.data(), n, 3);
      EXPECT_EQ(y, expected);
    }
  }
}

// A task calls a function with a parallel region of its own: that region runs in order on the task's thread, and its
// failed check reaches the run.
TEST(EmitControl, ParallelRegionsDoNotNestOnThreads) {
  loop::Module module;
  {
    Builder b(module, "row");
    b.function().noinline = true;
    Value y = b.buffer_param("y", Scalar::i64, false), base = b.scalar_param("base");
    b.parallel(b.index_constant(4), [&](Value task) {
      b.store(b.index(Affine(base) + task), y, Affine(base) + task);
      b.check(b.compare(Opcode::ne, b.index(Affine(base) + task), b.index_constant(6)), 4);
    });
    b.finish();
  }
  Builder b(module, "f");
  b.function().exported = true;
  Value y = b.buffer_param("y", Scalar::i64, false), n = b.scalar_param("n");
  b.parallel(n, [&](Value task) { b.call("row", {y, b.index(Affine(task) * 4)}); });
  b.finish();
  for (const loop::Target &target : runnable_targets()) {
    Jit code = jit(module, target);
    for (int threads : {1, 3}) {
      for (int64_t n : {1, 3}) {
        std::vector<int64_t> y(12, -1);
        int regions = 0;
        cameo_env env{0, threads, run_on_threads, &regions};
        code.function<void(cameo_env *, int64_t *, int64_t)>("f")(&env, y.data(), n);
        for (int64_t i = 0; i < 4 * n; ++i) EXPECT_EQ(y[size_t(i)], i);
        EXPECT_EQ(regions, threads > 1 ? 1 : 0); // with one task the inner region has the threads
        EXPECT_EQ(env.status, n > 1 ? 4 : 0);
      }
    }
  }
}

} // namespace
} // namespace cameo::codegen
