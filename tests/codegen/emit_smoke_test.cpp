#include "cameo/codegen/jit.h"
#include "cameo/loop/builder.h"
#include <gtest/gtest.h>
using namespace cameo;
using namespace cameo::loop;
TEST(Smoke, axpy) {
  Module m;
  Builder b(m, "axpy");
  Value x = b.buffer_param("x", Scalar::f32, true), y = b.buffer_param("y", Scalar::f32, false);
  Value n = b.scalar_param("n");
  b.function().exported = true;
  Value a = b.constant({Scalar::f32, 16}, 2.0);
  b.for_loop(b.index_constant(0), n, 16, {}, [&](Value i, std::span<const Value>) {
    b.store(b.muladd(a, b.load(x, i, 16), b.load(y, i, 16)), y, i);
    return std::vector<Value>{};
  });
  b.finish();
  for (auto name : {"x86-64-v2", "x86-64-v3", "x86-64-v4", "native"}) {
    auto t = codegen::resolve_targets(name);
    ASSERT_TRUE(t.ok());
    if (!codegen::host_can_run(t->at(0))) continue;
    auto j = codegen::Jit::create(m, t->at(0));
    float xs[32], ys[32];
    for (int i = 0; i < 32; i++) xs[i] = i, ys[i] = 1;
    cameo_env env{};
    j->function<void(cameo_env *, float *, float *, int64_t)>("axpy")(&env, xs, ys, 32);
    for (int i = 0; i < 32; i++) EXPECT_EQ(ys[i], 2 * i + 1);
  }
}
