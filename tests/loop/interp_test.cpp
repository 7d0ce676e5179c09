// The interpreter's control flow, memory, faults and limits, against plain C++ loops.
#include "cameo/loop/builder.h"
#include "cameo/loop/interp.h"
#include "cameo/loop/print.h"
#include "cameo/loop/verify.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

namespace cameo::loop {

namespace {

Module module_of(const std::string &text) {
  Result<Module> parsed = parse(text, "test");
  CAMEO_CHECK(parsed.ok(), parsed ? "" : to_string(parsed.errors()[0]));
  verify_or_die(*parsed, "the test");
  return std::move(*parsed);
}

template <class T> Argument buffer(std::vector<T> &v) {
  return Argument::buffer(v.data(), static_cast<int64_t>(v.size() * sizeof(T)));
}
template <class T> Argument readonly(const std::vector<T> &v) {
  return Argument::readonly(v.data(), static_cast<int64_t>(v.size() * sizeof(T)));
}

RunInfo run(const std::string &text, std::vector<Argument> args, const InterpreterOptions &options = {}) {
  Module module = module_of(text);
  Result<RunInfo> info = interpret(module, module.functions.back().name, args, options);
  CAMEO_CHECK(info.ok(), info ? "" : to_string(info.errors()[0]));
  return *info;
}

// The message of the run of the last function, "" if there is none.
std::string fault(const std::string &text, std::vector<Argument> args, const InterpreterOptions &options = {},
                  ExitCode code = ExitCode::internal) {
  Module module = module_of(text);
  Result<RunInfo> info = interpret(module, module.functions.back().name, args, options);
  if (info) return "";
  EXPECT_EQ(info.errors()[0].code, code);
  return to_string(info.errors()[0]);
}

void expect_contains(const std::string &text, const std::string &part) {
  EXPECT_NE(text.find(part), std::string::npos) << "'" << text << "' lacks '" << part << "'";
}

std::vector<float> ramp(size_t n, float step = 1) {
  std::vector<float> v(n);
  for (size_t i = 0; i < n; ++i) v[i] = static_cast<float>(i) * step - 3;
  return v;
}

} // namespace

TEST(Interp, AxpyWithATail) {
  const char *text = R"(
func @axpy(%x: buf<f32> readonly noalias, %y: buf<f32>, %n: i64) {
  %a = const 2.0 : f32x16
  for %i = 0 to %n step 16 {
    %left = sub %n, %i : i64
    %v = load %x[%i] active %left : f32x16
    %w = load %y[%i] active %left : f32x16
    %r = muladd %a, %v, %w : f32x16
    store %r, %y[%i] active %left : f32x16
  }
  return
})";
  for (size_t n : {0, 1, 16, 17, 100}) {
    std::vector<float> x = ramp(n), y = ramp(n, 0.5), expected = y;
    for (size_t i = 0; i < n; ++i) expected[i] += 2 * x[i];
    run(text, {readonly(x), buffer(y), Argument::integer(static_cast<int64_t>(n))});
    EXPECT_EQ(y, expected);
  }
}

// A register tile of four accumulators, bit for bit what the same order of operations gives in C++.
TEST(Interp, MatmulTile) {
  constexpr int64_t kM = 4, kN = 8, kK = 37;
  Module module;
  Builder b(module, "tile");
  Value a = b.buffer_param("a", Scalar::f32, true, true, kM * kK),
        w = b.buffer_param("w", Scalar::f32, true, true, kK * kN);
  Value c = b.buffer_param("c", Scalar::f32, false, true, kM * kN);
  std::vector<Value> zeros(kM, b.constant({Scalar::f32, kN}, 0));
  auto sums = b.for_loop(b.index_constant(0), b.index_constant(kK), 1, zeros, [&](Value k, std::span<const Value> acc) {
    std::vector<Value> next;
    Value row = b.load(w, Affine(k, kN), kN);
    for (int64_t m = 0; m < kM; ++m) {
      Value scalar = b.broadcast(b.load(a, Affine(k) + m * kK), kN);
      next.push_back(b.muladd(scalar, row, acc[static_cast<size_t>(m)]));
    }
    return next;
  });
  for (int64_t m = 0; m < kM; ++m) b.store(sums[static_cast<size_t>(m)], c, m * kN);
  b.finish();
  verify_or_die(module, "the test");

  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> x(kM * kK), y(kK * kN), z(kM * kN), expected(kM * kN);
  for (float &v : x) v = uniform(random);
  for (float &v : y) v = uniform(random);
  for (int64_t k = 0; k < kK; ++k)
    for (int64_t m = 0; m < kM; ++m)
      for (int64_t n = 0; n < kN; ++n)
        expected[m * kN + n] = std::fma(x[m * kK + k], y[k * kN + n], expected[m * kN + n]);
  auto info = interpret(module, "tile", std::vector{readonly(x), readonly(y), buffer(z)});
  ASSERT_TRUE(info) << to_string(info.errors()[0]);
  EXPECT_EQ(z, expected);
  EXPECT_GE(info->steps, static_cast<uint64_t>(kK * kM * kN * 2));
}

// Yields that permute, repeat and keep the arguments behave as if they happened at once.
TEST(Interp, YieldsHappenAtOnce) {
  const char *text = R"(
func @f(%n: i64, %p: i64, %q: i64) -> (i64, i64, i64, i64, i64) {
  %a, %b, %c, %d, %e = for %i = 0 to %n iter (%u = %p, %v = %q, %w = %p, %x = %q, %y = %p) {
    %sum = add %u, %v : i64
    %twice = add %w, %w : i64
    yield %v, %sum, %twice, %u, %twice
  }
  return %a, %b, %c, %d, %e
})";
  for (int64_t n : {0, 1, 2, 10}) {
    int64_t u = 1, v = 2, w = 1, x = 2, y = 1;
    for (int64_t i = 0; i < n; ++i) {
      int64_t sum = u + v, twice = w + w;
      x = u, u = v, v = sum, w = twice, y = twice;
    }
    RunInfo info = run(text, {Argument::integer(n), Argument::integer(1), Argument::integer(2)});
    EXPECT_EQ(info.results, (std::vector<uint64_t>{uint64_t(u), uint64_t(v), uint64_t(w), uint64_t(x), uint64_t(y)}))
        << n;
  }
}

// An argument that is still read after the value that replaces it was computed keeps its own slot.
TEST(Interp, CarriedValuesAreNotOverwrittenEarly) {
  const char *text = R"(
func @f(%x: buf<i64>, %n: i64, %zero: i64) -> i64 {
  %r = for %i = 0 to %n iter (%a = %zero) {
    %next = add %a, %i : i64
    store %a, %x[%i] : i64
    %again = mul %next, %next : i64
    store %next, %x[%i + %n] : i64
    yield %next
  }
  %nested = for %j = 0 to %n iter (%s = %r) {
    %t = for %k = 0 to %n iter (%q = %s) {
      %q1 = add %q, %k : i64
      yield %q1
    }
    %u = sub %t, %s : i64
    yield %u
  }
  return %nested
})";
  std::vector<int64_t> x(10), expected(10);
  int64_t a = 0;
  for (int64_t i = 0; i < 5; ++i) {
    expected[i] = a;
    a += i;
    expected[i + 5] = a;
  }
  RunInfo info = run(text, {buffer(x), Argument::integer(5), Argument::integer(0)});
  EXPECT_EQ(x, expected);
  EXPECT_EQ(info.results[0], 10u);
}

// A broadcast shares the slot of the argument that it replaces, and is computed all the same.
TEST(Interp, BroadcastsAreCarried) {
  const char *text = R"(
func @f(%s: i32, %out: buf<i32> noalias) {
  %zero = const 0 : i64
  %two = const 2 : i64
  %none = const 0 : i32x4
  %r = for %i = %zero to %two iter (%a = %none) {
    %b = broadcast %s : i32x4
    yield %b
  }
  store %r, %out[0] : i32x4
  return
}
)";
  std::vector<int32_t> out(4);
  run(text, {Argument::integer(7), buffer(out)});
  EXPECT_EQ(out, (std::vector<int32_t>{7, 7, 7, 7}));
}

TEST(Interp, WhileAndBranches) {
  const char *text = R"(
func @collatz(%n: i64) -> (i64, i64) {
  %zero = const 0 : i64
  %one = const 1 : i64
  %two = const 2 : i64
  %three = const 3 : i64
  %last, %steps = while iter (%v = %n, %s = %zero) {
    %go = gt %v, %one : i1
    yield %go, %v, %s
  } do (%w: i64, %t: i64) {
    %bit = and %w, %one : i64
    %odd = eq %bit, %one : i1
    %next = if %odd -> i64 {
      %x = mul %w, %three : i64
      %y = add %x, %one : i64
      yield %y
    } else {
      %z = div %w, %two : i64
      yield %z
    }
    %t1 = add %t, %one : i64
    yield %next, %t1
  }
  return %last, %steps
})";
  EXPECT_EQ(run(text, {Argument::integer(27)}).results, (std::vector<uint64_t>{1, 111}));
  EXPECT_EQ(run(text, {Argument::integer(1)}).results, (std::vector<uint64_t>{1, 0}));
}

TEST(Interp, LoopBoundsAtTheEndOfTheRange) {
  const char *text = R"(
func @f(%from: i64, %to: i64) -> i64 {
  %zero = const 0 : i64
  %n = for %i = %from to %to step 3 iter (%c = %zero) {
    %d = index [%c + 1] : i64
    yield %d
  }
  return %n
})";
  auto count = [&](int64_t from, int64_t to) {
    return run(text, {Argument::integer(from), Argument::integer(to)}).results[0];
  };
  EXPECT_EQ(count(INT64_MAX - 4, INT64_MAX), 2u); // the next value would overflow
  EXPECT_EQ(count(INT64_MAX, INT64_MIN), 0u);
  EXPECT_EQ(count(-5, 5), 4u);
}

TEST(Interp, CallsAllocasAndViews) {
  const char *text = R"(
func @sum(%p: buf<f32> readonly size 4, %scale: f32) -> (f32, i64) {
  %local = alloca 4 align 64 : buf<f32>
  %v = load %p[0] : f32x4
  %s = broadcast %scale : f32x4
  %w = mul %v, %s : f32x4
  store %w, %local[0] align 64 : f32x4
  %x = load %local[0] : f32x4
  %r = reduce.add %x : f32
  %count = const 4 : i64
  return %r, %count
}
func @main(%x: buf<i8>, %n: i64, %y: buf<f32>) -> i64 {
  %f = view %x[8] : buf<f32>
  %half = const 0.5 : f32
  %zero = const 0 : i64
  %total = for %i = 0 to %n iter (%t = %zero) {
    %row = view %f[%i*4] : buf<f32>
    %r, %c = call @sum(%row, %half) -> (f32, i64)
    store %r, %y[%i] : f32
    %u = add %t, %c : i64
    yield %u
  }
  return %total
})";
  std::vector<float> x = ramp(2 + 12), y(3), expected(3);
  for (size_t i = 0; i < 12; ++i) expected[i / 4] += x[2 + i] * 0.5f;
  RunInfo info = run(text, {buffer(x), Argument::integer(3), buffer(y)});
  EXPECT_EQ(y, expected);
  EXPECT_EQ(info.results[0], 12u);
  std::vector<float> short_x = ramp(2 + 11);
  expect_contains(fault(text, {buffer(short_x), Argument::integer(3), buffer(y)}),
                  "parameter 0 of @sum needs 16 bytes, given are 12");
}

TEST(Interp, TasksRunInEitherOrder) {
  const char *text = R"(
func @f(%x: buf<i64>, %log: buf<i64>, %n: i64) {
  parallel %t of %n {
    %at = load %log[0] : i64
    store %t, %x[%at] : i64
    %next = index [%at + 1] : i64
    store %next, %log[0] : i64
  }
  return
})";
  std::vector<int64_t> x(5), log(1), forward = {0, 1, 2, 3, 4}, backward = {4, 3, 2, 1, 0};
  run(text, {buffer(x), buffer(log), Argument::integer(5)});
  EXPECT_EQ(x, forward);
  log[0] = 0;
  run(text, {buffer(x), buffer(log), Argument::integer(5)}, {.reverse_tasks = true});
  EXPECT_EQ(x, backward);
}

TEST(Interp, TheFirstFailedCheckGivesTheStatus) {
  const char *text = R"(
func @f(%a: i1, %b: i1) -> i64 {
  %go = const 7 : i64
  check %a status 3
  check %b status 5
  return %go
})";
  auto status = [&](bool a, bool b) {
    RunInfo info = run(text, {Argument::integer(a), Argument::integer(b)});
    EXPECT_EQ(info.results[0], 7u) << "execution goes on";
    return info.status;
  };
  EXPECT_EQ(status(true, true), 0);
  EXPECT_EQ(status(false, false), 3);
  EXPECT_EQ(status(true, false), 5);
}

TEST(Interp, GatherScatterAndMasks) {
  const char *text = R"(
func @f(%x: buf<f32> readonly, %i: buf<i32>, %y: buf<f32>, %limit: i32) {
  %at = load %i[0] : i32x8
  %l = broadcast %limit : i32x8
  %m = lt %at, %l : i1x8
  %v = gather %x[1] at %at mask %m : f32x8
  store %v, %y[0] : f32x8
  %wide = sext %at : i64x8
  %w = gather %x[%wide0] at %wide mask %m : f32x8
  scatter %w, %y[8] at %at mask %m : f32x8
  return
})";
  std::string fixed = text;
  fixed.replace(fixed.find("%wide0"), 6, "0");
  std::vector<float> x = ramp(10), y(24, -9), expected(24, -9);
  std::vector<int32_t> i = {3, 0, 1000, 3, 8, -1, 2, 9};
  for (size_t k = 0; k < 8; ++k) {
    expected[k] = i[k] < 9 ? x[static_cast<size_t>(i[k] + 1)] : 0;
    if (i[k] >= 0 && i[k] < 9) expected[static_cast<size_t>(8 + i[k])] = x[static_cast<size_t>(i[k])];
  }
  // Lane 5 has index -1: inside for the gather from element 1, outside for the one from element 0.
  expect_contains(fault(fixed, {readonly(x), buffer(i), buffer(y), Argument::integer(9)}),
                  "(gather): reaches 4 bytes at bytes -4");
  i[5] = 1000;
  expected[5] = 0;
  run(fixed, {readonly(x), buffer(i), buffer(y), Argument::integer(9)});
  EXPECT_EQ(y, expected);
}

TEST(Interp, VpdpbusdMultipliesUnsignedBySigned) {
  const char *text = R"(
func @f(%a: buf<i32>, %b: buf<i32>, %c: buf<i32>) {
  %u = load %a[0] : i32x16
  %s = load %b[0] : i32x16
  %acc = load %c[0] : i32x16
  %r = target "vpdpbusd"(%acc, %u, %s) : i32x16
  store %r, %c[0] : i32x16
  return
})";
  std::vector<uint8_t> a(64);
  std::vector<int8_t> b(64);
  std::vector<int32_t> c(16, INT32_MAX), expected = c;
  for (int k = 0; k < 64; ++k) {
    a[k] = static_cast<uint8_t>(255 - k);
    b[k] = static_cast<int8_t>(k * 37 - 128);
    expected[k / 4] = static_cast<int32_t>(static_cast<uint32_t>(expected[k / 4]) + static_cast<uint32_t>(a[k] * b[k]));
  }
  run(text, {buffer(a), buffer(b), buffer(c)});
  EXPECT_EQ(c, expected);
}

TEST(Interp, NativeFunctions) {
  const char *text = R"(
declare @twice(%p: buf<i64> readonly, %n: i64) -> i64
func @f(%x: buf<i64>) -> i64 {
  %n = const 2 : i64
  %v = view %x[1] : buf<i64>
  %r = call @twice(%v, %n) -> i64
  return %r
})";
  std::map<std::string, NativeFunction, std::less<>> natives;
  natives["twice"] = [](std::span<const Argument> args, std::span<uint64_t> results) {
    EXPECT_FALSE(args[0].writable);
    EXPECT_EQ(args[0].bytes, 24);
    results[0] = 2 * reinterpret_cast<const uint64_t *>(args[0].data)[args[1].bits];
    return 9;
  };
  std::vector<int64_t> x = {1, 2, 3, 4};
  RunInfo info = run(text, {buffer(x)}, {.natives = &natives});
  EXPECT_EQ(info.results[0], 8u);
  EXPECT_EQ(info.status, 9);
  expect_contains(fault(text, {buffer(x)}, {}, ExitCode::unsupported), "no native function @twice");
}

TEST(Interp, AccessesOutOfRangeAreFaults) {
  std::vector<float> x(4);
  auto one = [&](const std::string &op, int64_t n) {
    return fault("func @f(%x: buf<f32>, %n: i64, %k: i64, %v: f32) {\n  %w = broadcast %v : f32x4\n  " + op +
                     "\n  return\n}",
                 {buffer(x), Argument::integer(n), Argument::integer(2), Argument::f32(1)});
  };
  EXPECT_EQ(one("%a = load %x[%n] : f32", 3), "");
  EXPECT_EQ(one("%a = load %x[%n] : f32", 4),
            "function @f: op 1 (load): reaches 4 bytes at bytes 16 of a buffer of 16 bytes");
  expect_contains(one("%a = load %x[%n] : f32", -1), "at bytes -4");
  expect_contains(one("%a = load %x[%n] : f32", INT64_MAX), "at element 9223372036854775807");
  expect_contains(one("%a = load %x[%n] : f32", INT64_MIN), "at element -9223372036854775808");
  expect_contains(one("%a = load %x[%n] : f32x4", 1), "reaches 16 bytes at bytes 4");
  EXPECT_EQ(one("%a = load %x[%n] active %k : f32x4", 2), "");
  expect_contains(one("%a = load %x[%n] active %k : f32x4", 3), "reaches 8 bytes at bytes 12");
  EXPECT_EQ(one("store %w, %x[%n] active %k : f32x4", 2), "");
  expect_contains(one("store %w, %x[%n] active %k : f32x4", 3), "reaches 8 bytes at bytes 12");
  expect_contains(one("store %v, %x[%n] : f32", 4), "(store)");
  expect_contains(
      one("%y = view %x[%n] : buf<f32>\n %z = view %y[%n] : buf<f32>\n %a = load %z[0] : f32", INT64_MAX / 4),
      "overflows");
  EXPECT_EQ(one("%y = view %x[%n] : buf<f32>\n %a = load %y[-100] : f32", 102), "") << "views may point outside";
  EXPECT_EQ(one("prefetch %x[%n] locality 1", 1000), "") << "a prefetch reads nothing";
  EXPECT_EQ(one("%a = load %x[%n] active %n : f32x4", -5), "") << "no active lane, no access";
}

TEST(Interp, ClaimsOfParametersAreChecked) {
  alignas(64) static float data[64];
  auto at = [&](int64_t first, int64_t count) { return Argument::buffer(data + first, count * 4); };
  const std::string body = " {\n  return\n}";
  EXPECT_EQ(fault("func @f(%x: buf<f32> align 64)" + body, {at(16, 4)}), "");
  expect_contains(fault("func @f(%x: buf<f32> align 64)" + body, {at(4, 4)}),
                  "parameter 0 of @f is not aligned to 64 bytes");
  EXPECT_EQ(fault("func @f(%x: buf<f32> align 64)" + body, {at(4, 4)}, {.check_alignment = false}), "");
  expect_contains(fault("func @f(%x: buf<f32>)" + body, {Argument::buffer(reinterpret_cast<char *>(data) + 1, 8)}),
                  "aligned to 4");
  expect_contains(fault("func @f(%x: buf<f32> size 5)" + body, {at(0, 4)}), "needs 20 bytes, given are 16");
  const std::string two = "func @f(%x: buf<f32> noalias size 8, %y: buf<f32> size 8)" + body;
  EXPECT_EQ(fault(two, {at(0, 8), at(8, 8)}), "");
  expect_contains(fault(two, {at(0, 8), at(7, 8)}), "overlaps parameter 1 in spite of noalias");
  EXPECT_EQ(fault("func @f(%x: buf<f32> readonly noalias size 8, %y: buf<f32> readonly noalias size 8)" + body,
                  {at(0, 8), at(7, 8)}),
            "");
  expect_contains(fault("func @f(%x: buf<f32>)" + body, {Argument::readonly(data, 16)}), "given as readonly");
  expect_contains(fault("func @f(%x: buf<f32>)" + body, {Argument::integer(1)}), "not of type buf<f32>");
  expect_contains(fault("func @f(%x: buf<f32>)" + body, {}), "takes 1 arguments, 0 given");
  const std::string load = "func @f(%x: buf<f32>, %i: i64) {\n  %v = load %x[%i] align 16 : f32x4\n  return\n}";
  EXPECT_EQ(fault(load, {at(0, 16), Argument::integer(4)}), "");
  expect_contains(fault(load, {at(0, 16), Argument::integer(5)}), "address is not aligned to 16 bytes");
  // The parameter's size bounds what the callee reaches, whatever the argument has.
  expect_contains(fault("func @f(%x: buf<f32> size 4, %i: i64) {\n  %v = load %x[%i] : f32\n  return\n}",
                        {at(0, 16), Argument::integer(4)}),
                  "of a buffer of 16 bytes");
}

TEST(Interp, FuelAndMemoryEnd) {
  const char *forever = "func @f() {\n  while {\n    %c = const true : i1\n    yield %c\n  } do () {\n  }\n  return\n}";
  expect_contains(fault(forever, {}, {.fuel = 1000}, ExitCode::unsupported), "out of fuel");
  const char *loop = "func @f(%n: i64) {\n  for %i = 0 to %n {\n    %a = neg %i : i64\n  }\n  return\n}";
  EXPECT_EQ(fault(loop, {Argument::integer(100)}, {.fuel = 1000}), "");
  expect_contains(fault(loop, {Argument::integer(1000)}, {.fuel = 1000}, ExitCode::unsupported), "out of fuel");
  const char *tasks = "func @f(%n: i64) {\n  parallel %i of %n {\n  }\n  return\n}";
  expect_contains(fault(tasks, {Argument::integer(INT64_MAX)}, {.fuel = 1000}, ExitCode::unsupported), "out of fuel");
  const char *large = "func @f() {\n  %x = alloca 1000000 : buf<f64>\n  %y = alloca 1000000 : buf<f64>\n  return\n}";
  EXPECT_EQ(fault(large, {}), "");
  expect_contains(fault(large, {}, {.memory = 12'000'000}, ExitCode::unsupported), "op 1 (alloca): out of memory");
  expect_contains(fault(large, {}, {.memory = 1}, ExitCode::unsupported), "frames need");
}

// Allocas end with their call: a loop of calls needs the memory of one.
TEST(Interp, AllocasAreFreedOnReturn) {
  const char *text = R"(
func @g() {
  %x = alloca 1000000 : buf<i8>
  return
}
func @f(%n: i64) {
  for %i = 0 to %n {
    call @g()
  }
  return
})";
  EXPECT_EQ(fault(text, {Argument::integer(100)}, {.memory = 1'100'000}), "");
}

TEST(Interp, MathMustHaveBeenExpanded) {
  Module module = module_of("func @f(%x: f32) {\n  %y = exp %x : f32\n  return\n}");
  EXPECT_THROW((void)interpret(module, "f", std::vector{Argument::f32(1)}), InternalError);
}

TEST(Interp, OneInterpreterRunsManyTimes) {
  Module module = module_of("func @f(%x: i64) -> i64 {\n  %y = mul %x, %x : i64\n  return %y\n}");
  Interpreter interpreter(module);
  for (int64_t i = -3; i < 3; ++i) {
    auto info = interpreter.run("f", std::vector{Argument::integer(i)});
    ASSERT_TRUE(info);
    EXPECT_EQ(info->results[0], static_cast<uint64_t>(i * i));
  }
}

} // namespace cameo::loop
