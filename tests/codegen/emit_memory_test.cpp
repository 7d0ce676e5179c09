// Loads, stores, partial vectors, gathers, scatters, views and addresses, on each CPU level. Partial accesses run
// against the edge of a page that must not be touched.
#include "emit_cases.h"

#include <numeric>
#include <sys/mman.h>
#include <unistd.h>

namespace cameo::codegen {
namespace {

// `bytes` of memory whose end (and start, less than a page before) lies against inaccessible pages.
class GuardedEnd {
public:
  explicit GuardedEnd(size_t bytes) : bytes_(bytes), page_(size_t(sysconf(_SC_PAGESIZE))) {
    base_ = static_cast<char *>(mmap(nullptr, 2 * page_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(base_ + page_, page_, PROT_NONE);
  }
  GuardedEnd(const GuardedEnd &) = delete;
  ~GuardedEnd() { munmap(base_, 2 * page_); }
  char *data() const { return base_ + page_ - bytes_; }

private:
  size_t bytes_, page_;
  char *base_;
};

// copy(x, y, n): y[0, n) = x[0, n) with one partial access of `lanes`; `constant` < 0: the count is known at run time.
loop::Module partial_copy(Scalar scalar, int32_t lanes, int64_t constant) {
  loop::Module module;
  Builder b(module, "copy");
  b.function().exported = true;
  Value x = b.buffer_param("x", scalar, true), y = b.buffer_param("y", scalar, false),
        whole = b.buffer_param("whole", scalar, false);
  Value n = b.scalar_param("n");
  Value active = constant < 0 ? n : b.index_constant(constant);
  Value v = b.load(x, 0, lanes, 0, active);
  b.store(v, whole, 0); // the lanes beyond are 0
  b.store(v, y, 0, 0, active);
  b.finish();
  return module;
}

TEST(EmitMemory, PartialAccessesStopAtTheirLanes) {
  for (const loop::Target &target : runnable_targets())
    for (Scalar scalar : {Scalar::i8, Scalar::i16, Scalar::f16, Scalar::f32, Scalar::i64, Scalar::f64})
      for (int32_t lanes : {2, 4, 6, 8, 16, 32}) {
        int64_t size = loop::bits(scalar) / 8;
        auto run = [&](const Jit &code, int64_t n, int64_t copied) {
          GuardedEnd from(size_t(copied * size)), to(size_t(copied * size));
          std::vector<char> whole(size_t(lanes * size), 0x55), expected(size_t(lanes * size), 0);
          for (int64_t i = 0; i < copied * size; ++i) from.data()[i] = char(i + 1);
          std::memcpy(expected.data(), from.data(), size_t(copied * size));
          cameo_env env{};
          code.function<void(cameo_env *, char *, char *, char *, int64_t)>("copy")(&env, from.data(), to.data(),
                                                                                    whole.data(), n);
          EXPECT_EQ(whole, expected) << target.name << " " << loop::name(scalar) << "x" << lanes << " of " << n;
          EXPECT_EQ(std::memcmp(to.data(), expected.data(), size_t(copied * size)), 0)
              << target.name << " " << loop::name(scalar) << "x" << lanes << " of " << n;
        };
        Jit dynamic = jit(partial_copy(scalar, lanes, -1), target);
        for (int64_t n : {int64_t{-5}, int64_t{0}, int64_t{1}, int64_t{lanes / 2}, int64_t{lanes - 1}, int64_t{lanes},
                          int64_t{lanes + 3}, INT64_MAX})
          run(dynamic, n, std::clamp<int64_t>(n, 0, lanes));
        for (int64_t n : {1, lanes - 1}) run(jit(partial_copy(scalar, lanes, n), target), 0, n);
      }
}

TEST(EmitMemory, PartialScalar) {
  for (const loop::Target &target : runnable_targets()) {
    Jit code = jit(partial_copy(Scalar::f32, 1, -1), target);
    for (int64_t n : {0, 1, 2}) {
      float x = 3, y = 5, whole = 7;
      cameo_env env{};
      code.function<void(cameo_env *, float *, float *, float *, int64_t)>("copy")(&env, &x, &y, &whole, n);
      EXPECT_EQ(y, n ? 3.0f : 5.0f);
      EXPECT_EQ(whole, n ? 3.0f : 0.0f);
    }
  }
}

TEST(EmitMemory, GatherAndScatter) {
  for (const loop::Target &target : runnable_targets())
    for (Scalar kind : {Scalar::i32, Scalar::i64})
      for (bool masked : {false, true}) {
        loop::Module module;
        Builder b(module, "f");
        b.function().exported = true;
        Value x = b.buffer_param("x", Scalar::f32, true), at = b.buffer_param("at", kind, true),
              y = b.buffer_param("y", Scalar::f32, false);
        Value index = b.load(at, 0, 8);
        Value mask = masked ? b.compare(Opcode::ge, index, b.constant_int(b.type(index), 0)) : Value{};
        Value v = b.gather(x, 2, index, mask);
        b.store(v, y, 0);
        b.scatter(b.binary(Opcode::add, v, b.constant(b.type(v), 100)), y, 8 + 2, index, mask);
        b.finish();
        Jit code = jit(module, target);
        int64_t low = masked ? -7 : -2; // only under the mask may an index point nowhere
        std::vector<int64_t> wide = {5, low, 0, 7, 7, 3, low, 1};
        std::vector<int32_t> narrow(wide.begin(), wide.end());
        std::vector<float> in(10), out(18, -1), expected(18, -1);
        std::iota(in.begin(), in.end(), 0.0f);
        for (size_t i = 0; i < 8; ++i) {
          bool on = !masked || wide[i] >= 0;
          expected[i] = on ? in[size_t(2 + wide[i])] : 0;
          if (on) expected[size_t(10 + wide[i])] = expected[i] + 100;
        }
        cameo_env env{};
        const void *indices = kind == Scalar::i64 ? static_cast<const void *>(wide.data()) : narrow.data();
        code.function<void(cameo_env *, float *, const void *, float *)>("f")(&env, in.data(), indices, out.data());
        EXPECT_EQ(out, expected) << target.name << " " << loop::name(kind) << " " << masked;
      }
}

TEST(EmitMemory, ScatterStoresLanesInOrder) {
  for (const loop::Target &target : runnable_targets()) {
    loop::Module module;
    Builder b(module, "f");
    b.function().exported = true;
    Value y = b.buffer_param("y", Scalar::i32, false);
    b.scatter(b.iota({Scalar::i32, 16}), y, 0, b.constant_int({Scalar::i32, 16}, 0));
    b.finish();
    int32_t y0 = -1;
    cameo_env env{};
    jit(module, target).function<void(cameo_env *, int32_t *)>("f")(&env, &y0);
    EXPECT_EQ(y0, 15);
  }
}

// Terms from several loops, views of views with other element kinds, index values, negative constants, a prefetch.
TEST(EmitMemory, AddressesAddUp) {
  for (const loop::Target &target : runnable_targets()) {
    loop::Module module;
    Builder b(module, "f");
    b.function().exported = true;
    Value x = b.buffer_param("x", Scalar::i8, true), y = b.buffer_param("y", Scalar::i32, false),
          n = b.scalar_param("n");
    Value words = b.view(x, 8, Scalar::i32); // starts at byte 8
    b.for_loop(b.index_constant(0), n, 1, {}, [&](Value i, std::span<const Value>) {
      Value row = b.view(words, Affine(i) * 10 - 2); // byte 8 + 40 i - 8
      Value twice = b.index(Affine(i) * 2 + 1);
      b.for_loop(b.index_constant(0), n, 1, {}, [&](Value j, std::span<const Value>) {
        Value v = b.load(row, Affine(j) + Affine(twice) - Affine(i) * 2); // words[10 i - 2 + j + 1]
        b.prefetch(row, Affine(j) + 1000000, 3);
        b.prefetch(y, Affine(j), 1, true);
        b.store(v, y, Affine(i) * 5 + j + Affine(twice) * 3 - 3); // y[11 i + j]
        return std::vector<Value>();
      });
      return std::vector<Value>();
    });
    b.finish();
    std::vector<int32_t> in(64), out(64, -1), expected(64, -1);
    std::iota(in.begin(), in.end(), 1000);
    for (size_t i = 0; i < 5; ++i)
      for (size_t j = 0; j < 5; ++j) expected[11 * i + j] = in[2 + 10 * i - 2 + j + 1];
    cameo_env env{};
    jit(module, target).function<void(cameo_env *, int32_t *, int32_t *, int64_t)>("f")(&env, in.data(), out.data(), 5);
    EXPECT_EQ(out, expected);
  }
}

TEST(EmitMemory, LocalBuffersAreAligned) {
  for (const loop::Target &target : runnable_targets()) {
    loop::Module module;
    Builder b(module, "f");
    b.function().exported = true;
    Value x = b.buffer_param("x", Scalar::f32, true), y = b.buffer_param("y", Scalar::f32, false);
    Value small = b.alloca_buffer(Scalar::i8, 3, 1), local = b.alloca_buffer(Scalar::f32, 4096, 64);
    b.store(b.constant_int({Scalar::i8, 1}, 1), small, 2);
    b.for_range(0, 4096, 16,
                [&](Value i) { b.store(b.load(x, i, 16), local, i, 64); }); // an aligned store faults when it is not
    b.for_range(0, 4096, 16, [&](Value i) { b.store(b.load(local, Affine(i) * -1 + 4080, 16, 64), y, i); });
    b.finish();
    std::vector<float> in(4096), out(4096);
    std::iota(in.begin(), in.end(), 0.0f);
    cameo_env env{};
    jit(module, target).function<void(cameo_env *, float *, float *)>("f")(&env, in.data(), out.data());
    for (size_t i = 0; i < 4096; ++i) ASSERT_EQ(out[i], float(4080 - i / 16 * 16 + i % 16));
  }
}

} // namespace
} // namespace cameo::codegen
