// f32 matrix multiplication as the schedules will write it: a register tile of rows x (vectors x lanes) accumulators,
// weights in packed panels, the next panel prefetched while this one is used. Rows whose stride is a multiple of 4 KiB
// fall into the same sets of the caches, so the planner may pad them: `padded` shows what that is worth.
#include "harness.h"

#include "cameo/loop/builder.h"

#include <algorithm>

namespace cameo::bench {
namespace {

using namespace loop;

struct Tile {
  int rows, vectors, unroll;
};

struct Shape {
  int64_t m, n, k, lda, ldc;
};

// One line longer when it is a multiple of a page.
int64_t padded(int64_t stride) { return stride % 1024 ? stride : stride + 16; }

// C[rows][width] = bias + A[rows][k] * panel; `next` is prefetched line by line: `lines` per step of the unrolled loop.
void micro_kernel(Module &module, const std::string &name, const Target &target, Tile tile, int rows,
                  const Shape &shape, int lines) {
  int lanes = target.lanes(32);
  int64_t width = int64_t{tile.vectors} * lanes, line = 64 / 4;
  Builder b(module, name);
  b.function().noinline = true;
  Value a = b.buffer_param("a", Scalar::f32, true), panel = b.buffer_param("panel", Scalar::f32, true, true, -1, 64);
  Value c = b.buffer_param("c", Scalar::f32, false), bias = b.buffer_param("bias", Scalar::f32, true);
  Value next = b.buffer_param("next", Scalar::f32, true, false);
  std::vector<Value> inits;
  for (int i = 0; i < rows; ++i)
    for (int v = 0; v < tile.vectors; ++v) inits.push_back(b.load(bias, v * lanes, lanes));
  auto sums = b.for_loop(b.index_constant(0), b.index_constant(shape.k), tile.unroll, inits,
                         [&](Value k, std::span<const Value> values) {
                           std::vector<Value> acc(values.begin(), values.end());
                           for (int q = 0; q < lines; ++q)
                             b.prefetch(next, Affine(k) * (lines * line / tile.unroll) + q * line, 2);
                           for (int u = 0; u < tile.unroll; ++u) {
                             std::vector<Value> weights;
                             for (int v = 0; v < tile.vectors; ++v)
                               weights.push_back(b.load(panel, (Affine(k) + u) * width + v * lanes, lanes));
                             for (int i = 0; i < rows; ++i) {
                               Value x = b.broadcast(b.load(a, Affine(k) + (i * shape.lda + u)), lanes);
                               for (int v = 0; v < tile.vectors; ++v) {
                                 Value &sum = acc[size_t(i * tile.vectors + v)];
                                 sum = b.muladd(x, weights[size_t(v)], sum);
                               }
                             }
                           }
                           return acc;
                         });
  for (int i = 0; i < rows; ++i)
    for (int v = 0; v < tile.vectors; ++v) b.store(sums[size_t(i * tile.vectors + v)], c, i * shape.ldc + v * lanes);
  b.finish();
}

// gemm(A, packed, C, bias): panels outside, balanced row tiles inside.
Module gemm(const Target &target, Tile tile, const Shape &shape, bool prefetch) {
  Module module;
  int64_t width = int64_t{tile.vectors} * target.lanes(32), tiles = (shape.m + tile.rows - 1) / tile.rows;
  int64_t small = shape.m / tiles, bigger = shape.m % tiles; // `bigger` tiles have one row more
  // All row tiles of a panel together prefetch the next one.
  int64_t panel_lines = shape.k * width * 4 / 64, steps = shape.k / tile.unroll;
  int64_t lines = prefetch ? (panel_lines + steps * tiles - 1) / (steps * tiles) : 0;
  if (bigger) micro_kernel(module, "tile" + std::to_string(small + 1), target, tile, int(small + 1), shape, int(lines));
  if (bigger < tiles) micro_kernel(module, "tile" + std::to_string(small), target, tile, int(small), shape, int(lines));

  Builder b(module, "gemm");
  b.function().exported = true;
  Value a = b.buffer_param("a", Scalar::f32, true), packed = b.buffer_param("packed", Scalar::f32, true, true, -1, 64);
  Value c = b.buffer_param("c", Scalar::f32, false), bias = b.buffer_param("bias", Scalar::f32, true);
  b.for_range(0, shape.n, width, [&](Value n) {
    auto run = [&](int64_t rows, int64_t first_tile, int64_t count, int64_t first_row) {
      if (count == 0) return;
      b.for_range(0, count, 1, [&](Value i) {
        Affine row = Affine(i) * rows + first_row;
        Affine ahead = Affine(n) * shape.k + shape.k * width + (Affine(i) + first_tile) * (lines * steps * 16);
        b.call("tile" + std::to_string(rows),
               {b.view(a, row * shape.lda), b.view(packed, Affine(n) * shape.k), b.view(c, row * shape.ldc + Affine(n)),
                b.view(bias, n), b.view(packed, ahead)});
      });
    };
    run(small + 1, 0, bigger, 0);
    run(small, bigger, tiles - bigger, bigger * (small + 1));
  });
  b.finish();
  return module;
}

void probe_shape(Bench &bench, int64_t m, int64_t n, int64_t k, bool cold) {
  const Target &target = bench.target();
  std::string name =
      "gemm.f32." + std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k) + (cold ? ".cold" : "");
  bench.probe(name, Unit::f32_flops, [&](Probe &probe) {
    auto x = random_floats(size_t(m * k), 1), weights = random_floats(size_t(k * n), 2),
         bias = random_floats(size_t(n), 3);
    auto want = zeros<float>(size_t(m * n));
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) want[size_t(i * n + j)] = bias[size_t(j)];
      for (int64_t p = 0; p < k; ++p)
        for (int64_t j = 0; j < n; ++j) want[size_t(i * n + j)] += x[size_t(i * k + p)] * weights[size_t(p * n + j)];
    }
    auto contender = [&](const std::string &label, Tile tile, bool prefetch, bool pad) {
      Shape shape{m, n, k, pad ? padded(k) : k, pad ? padded(n) : n};
      int64_t width = int64_t{tile.vectors} * target.lanes(32);
      auto packed = zeros<float>(size_t(k * n + 2 * k * width)); // the last panel's prefetch reads on
      for (int64_t p = 0; p < k; ++p)
        for (int64_t j = 0; j < n; ++j)
          packed[size_t(j / width * width * k + p * width + j % width)] = weights[size_t(p * n + j)];
      auto a = zeros<float>(size_t(m * shape.lda)), c = zeros<float>(size_t(m * shape.ldc));
      for (int64_t i = 0; i < m; ++i) std::copy_n(&x[size_t(i * k)], k, &a[size_t(i * shape.lda)]);
      auto *run = bench.compile(gemm(target, tile, shape, prefetch))
                      .function<void(cameo_env *, const float *, const float *, float *, const float *)>("gemm");
      auto verify = [=] {
        for (int64_t i = 0; i < m; ++i) {
          std::span<const float> row{&c[size_t(i * shape.ldc)], size_t(n)}, expected{&want[size_t(i * n)], size_t(n)};
          if (std::string problem = difference(row, expected, 1e-4, 1e-3); !problem.empty()) return problem;
        }
        return std::string();
      };
      probe.contender(label, 2.0 * double(m * n * k),
                      [=, env = bench.env()] { run(env, a.get(), packed.get(), c.get(), bias.get()); },
                      {.verify = verify, .cold = cold});
    };
    if (target.vector_bits == 512) {
      contender("14x32 prefetch padded", {14, 2, 4}, true, true);
      contender("14x32 prefetch", {14, 2, 4}, true, false);
      contender("14x32 padded", {14, 2, 4}, false, true);
      contender("12x32 prefetch padded", {12, 2, 4}, true, true);
      contender("8x48 prefetch padded", {8, 3, 4}, true, true);
      contender("6x64 prefetch padded", {6, 4, 4}, true, true);
    } else {
      contender("6x2 prefetch padded", {6, 2, 4}, true, true);
      contender("6x2 prefetch", {6, 2, 4}, true, false);
      contender("6x2 padded", {6, 2, 4}, false, true);
      contender("4x3 prefetch padded", {4, 3, 4}, true, true);
    }
  });
}

} // namespace

void probes_gemm(Bench &bench) {
  probe_shape(bench, 128, 3072, 768, false);
  probe_shape(bench, 128, 3072, 768, true);
  probe_shape(bench, 128, 768, 3072, false);
  probe_shape(bench, 512, 768, 768, false);
}

} // namespace cameo::bench
