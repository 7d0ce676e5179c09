// Runs a kernel under a schedule as compiled code and compares all its results with the oracle.
#pragma once

#include "kernel_oracle.h"

#include "cameo/codegen/env.h"
#include "cameo/codegen/jit.h"
#include "cameo/loop/apply.h"
#include "cameo/loop/legalize.h"
#include "cameo/loop/print.h"
#include "cameo/loop/verify.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

namespace cameo::loop {

/// Element offset of a logical index under a binding with constant strides.
inline int64_t element_offset(const Binding &binding, const std::vector<int64_t> &index) {
  int64_t offset = binding.offset;
  for (const LayoutTerm &t : binding.terms) {
    int64_t part = index[t.dim];
    if (t.divide != 1) part = part >= 0 ? part / t.divide : -((-part + t.divide - 1) / t.divide);
    if (t.modulo != 0) part = ((part % t.modulo) + t.modulo) % t.modulo;
    offset += part * t.stride;
  }
  return offset;
}

inline void for_each_index(const std::vector<std::pair<int64_t, int64_t>> &ranges,
                           const std::function<void(const std::vector<int64_t> &)> &visit) {
  std::vector<int64_t> index;
  for (auto r : ranges) {
    if (r.first >= r.second) return;
    index.push_back(r.first);
  }
  for (;;) {
    visit(index);
    size_t d = index.size();
    while (d > 0 && ++index[d - 1] == ranges[d - 1].second) {
      index[d - 1] = ranges[d - 1].first;
      --d;
    }
    if (d == 0) return;
  }
}

struct KernelRun {
  Kernel kernel;
  std::vector<Binding> bindings;
  Schedule schedule;
  std::vector<OracleTensor> tensors; ///< inputs; those left empty are filled at random
  std::vector<int64_t> symbols;
  std::map<int32_t, int32_t> shares_memory; ///< buffer -> buffer whose memory it uses (in place)
  double tolerance = 1e-5;
  int status = 0; ///< expected status of the run
  int64_t scratch_bytes = 0;
};

namespace detail {
inline int64_t extent_of(const Extent &e, const std::vector<int64_t> &symbols) {
  return e.is_constant() ? e.value : symbols[e.symbol];
}

inline double load_scalar(const std::byte *at, DType dtype) {
  auto get = [&](auto zero) {
    std::memcpy(&zero, at, sizeof zero);
    return static_cast<double>(zero);
  };
  switch (dtype) {
  case DType::f32:
    return get(float{});
  case DType::f64:
    return get(double{});
  case DType::i32:
    return get(int32_t{});
  case DType::i64:
    return get(int64_t{});
  case DType::i8:
    return get(int8_t{});
  default:
    return get(uint8_t{});
  }
}

inline void store_scalar(std::byte *at, DType dtype, double v) {
  auto put = [&](auto value) { std::memcpy(at, &value, sizeof value); };
  switch (dtype) {
  case DType::f32:
    return put(static_cast<float>(v));
  case DType::f64:
    return put(v);
  case DType::i32:
    return put(static_cast<int32_t>(v));
  case DType::i64:
    return put(static_cast<int64_t>(v));
  case DType::i8:
    return put(static_cast<int8_t>(v));
  default:
    return put(static_cast<uint8_t>(v));
  }
}

inline void call(void *function, cameo_env *env, std::vector<void *> a) {
  a.resize(16);
  using F = void(cameo_env *, void *, void *, void *, void *, void *, void *, void *, void *, void *, void *, void *,
                 void *, void *, void *, void *, void *);
  reinterpret_cast<F *>(function)(env, a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12],
                                  a[13], a[14], a[15]);
}

// Runs all tasks of parallel loops in the opposite order: results must not depend on it.
inline void reversed(cameo_env *env, int64_t tasks, void (*task)(cameo_env *, void *, int64_t), void *capture) {
  for (int64_t i = tasks; i-- > 0;) task(env, capture, i);
}
} // namespace detail

/// Compiles and runs `run` for `cpu` and expects the oracle's results.
inline void expect_right(KernelRun run, const std::string &cpu = "native") {
  const Kernel &k = run.kernel;
  for (const std::string &e : verify(k)) ADD_FAILURE() << e;
  auto targets = codegen::resolve_targets(cpu);
  ASSERT_TRUE(targets.ok());
  const Target &target = targets->back();
  if (!codegen::host_can_run(target)) GTEST_SKIP() << "this machine cannot run " << cpu;
  // Inputs: random floats in [-1, 1), small integers.
  std::mt19937 random(7);
  run.tensors.resize(k.buffers.size());
  for (size_t b = 0; b < k.buffers.size(); ++b) {
    int64_t n = 1;
    for (const Extent &e : k.buffers[b].dims) n *= detail::extent_of(e, run.symbols);
    if (!run.tensors[b].empty()) continue;
    run.tensors[b].resize(n);
    for (double &v : run.tensors[b])
      v = is_float(k.buffers[b].dtype)      ? static_cast<float>(static_cast<int>(random() % 2001) - 1000) / 1000.0f
          : k.buffers[b].dtype == DType::u8 ? static_cast<double>(random() % 256)
                                            : static_cast<double>(static_cast<int>(random() % 255) - 127);
  }
  std::vector<OracleTensor> want = run.tensors;
  KernelOracle oracle(k, want, run.symbols);
  oracle.run();
  EXPECT_EQ(oracle.status, run.status);

  Module module;
  const AppliedKernel applied = apply(module, k, run.bindings, target, run.schedule, "kernel");
  for (const std::string &e : verify(module)) ADD_FAILURE() << e;
  if (testing::Test::HasFailure()) {
    if (std::getenv("CAMEO_PRINT_LOOPS")) GTEST_LOG_(INFO) << print(module);
    return;
  }
  legalize(module, target);
  module.find("kernel")->exported = true;
  auto jit = codegen::Jit::create(module, target);
  ASSERT_TRUE(jit.ok()) << to_string(jit.errors()[0]);
  for (Binding &b : run.bindings) // from here on strides are numbers
    for (LayoutTerm &t : b.terms)
      if (t.stride_symbol >= 0) t.stride *= run.symbols[t.stride_symbol];
  if (run.scratch_bytes > 0) {
    EXPECT_EQ(applied.scratch_bytes, run.scratch_bytes);
  }

  for (bool reverse : {false, true}) {
    std::vector<std::vector<std::byte>> memory(k.buffers.size());
    std::vector<void *> arguments;
    auto ranges_of = [&](size_t b, bool halo) {
      std::vector<std::pair<int64_t, int64_t>> ranges;
      for (size_t d = 0; d < k.buffers[b].dims.size(); ++d) {
        const auto [before, after] =
            halo && !run.bindings[b].halo.empty() ? run.bindings[b].halo[d] : std::pair<int64_t, int64_t>{0, 0};
        ranges.emplace_back(-before, detail::extent_of(k.buffers[b].dims[d], run.symbols) + after);
      }
      return ranges;
    };
    auto at_of = [&](size_t b, const std::vector<int64_t> &i) {
      return element_offset(run.bindings[b], i) * std::max(1, bits(k.buffers[b].dtype) / 8);
    };
    for (size_t b = 0; b < k.buffers.size(); ++b) {
      const KernelBuffer &buffer = k.buffers[b];
      int64_t bytes = 64;
      for_each_index(ranges_of(b, true), [&](const auto &i) { bytes = std::max<int64_t>(bytes, at_of(b, i) + 8); });
      memory[b].assign(std::max<int64_t>(bytes, run.bindings[b].size * bits(buffer.dtype) / 8) + 64, std::byte{0xcb});
      std::byte *base = memory[b].data() + (64 - reinterpret_cast<uintptr_t>(memory[b].data()) % 64) % 64;
      if (auto it = run.shares_memory.find(static_cast<int32_t>(b)); it != run.shares_memory.end())
        base = static_cast<std::byte *>(arguments[it->second]);
      arguments.push_back(base);
      if (buffer.role == BufferRole::output) continue;
      for_each_index(ranges_of(b, true), [&](const auto &i) {
        detail::store_scalar(base + at_of(b, i), buffer.dtype, run.bindings[b].halo_value);
      });
      size_t n = 0;
      for_each_index(ranges_of(b, false), [&](const auto &i) {
        detail::store_scalar(base + at_of(b, i), buffer.dtype, run.tensors[b][n++]);
      });
    }
    void *scratch = applied.scratch_bytes > 0 ? std::aligned_alloc(64, applied.scratch_bytes) : nullptr;
    if (scratch) {
      std::memset(scratch, 0xcb, applied.scratch_bytes);
      arguments.push_back(scratch);
    }
    for (int64_t s : run.symbols) arguments.push_back(reinterpret_cast<void *>(s));
    cameo_env env{};
    if (reverse) {
      env.threads = 2;
      env.parallel = detail::reversed;
    }
    detail::call(jit->symbol("kernel"), &env, arguments);
    EXPECT_EQ(env.status, run.status);
    std::free(scratch);
    int reported = 0;
    for (size_t b = 0; b < k.buffers.size(); ++b) {
      if (k.buffers[b].role == BufferRole::input || k.buffers[b].role == BufferRole::constant) continue;
      size_t n = 0;
      for_each_index(ranges_of(b, false), [&](const auto &i) {
        const double got =
                         detail::load_scalar(static_cast<std::byte *>(arguments[b]) + at_of(b, i), k.buffers[b].dtype),
                     expected = want[b][n++];
        const bool same = got == expected || (std::isnan(got) && std::isnan(expected)) ||
                          (is_float(k.buffers[b].dtype) &&
                           std::fabs(got - expected) <= run.tolerance * std::max(1.0, std::fabs(expected)));
        if (!same && reported++ < 4) {
          std::string place;
          for (int64_t x : i) place += std::to_string(x) + " ";
          ADD_FAILURE() << k.name << "." << k.buffers[b].name << " at " << place << "is " << got << ", expected "
                        << expected;
        }
      });
    }
    if (testing::Test::HasFailure()) return;
  }
}

/// Dense bindings of all buffers.
inline std::vector<Binding> dense_bindings(const Kernel &kernel) {
  std::vector<Binding> bindings;
  for (const KernelBuffer &b : kernel.buffers) bindings.push_back(row_major(b));
  return bindings;
}

} // namespace cameo::loop
