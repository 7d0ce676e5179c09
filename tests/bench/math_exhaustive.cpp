// cameo_math_exhaustive: the f32 functions on all 2^32 inputs, against libm in f64. Run by hand after an expansion changed;
// tests/loop/math_bounds.h publishes what it finds.
//
//   cameo_math_exhaustive [--target-cpu CPU] [--every N] [function...]
//
// Prints the largest error, where it is, and the share of inputs beyond 1 ULP. Exit code 1 when a bound is exceeded.
#include "../loop/math_bounds.h"

#include "cameo/codegen/jit.h"
#include "cameo/loop/legalize.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace cameo {
namespace {

using namespace loop;

codegen::Jit compile(Opcode opcode, const Target &target, int64_t count) {
  int32_t lanes = target.lanes(32);
  Module module;
  Builder b(module, "map");
  b.function().exported = true;
  Value x = b.buffer_param("x", Scalar::f32, true), y = b.buffer_param("y", Scalar::f32, false);
  b.for_range(0, count, lanes, [&](Value i) { b.store(b.unary(opcode, b.load(x, i, lanes)), y, i); });
  b.finish();
  legalize(module, target);
  auto code = codegen::Jit::create(module, target);
  CAMEO_CHECK(code.ok(), "the target cannot run here");
  return std::move(*code);
}

bool check(const MathBound &row, const Target &target, uint64_t every) {
  constexpr int64_t kCount = 1 << 16;
  codegen::Jit code = compile(row.code, target, kCount);
  auto *map = code.function<void(cameo_env *, const float *, float *)>("map");
  std::vector<float> x(kCount), y(kCount);
  cameo_env env{};
  double worst = 0;
  float at = 0, got = 0;
  uint64_t beyond = 0, total = 0;
  for (uint64_t first = 0; first < uint64_t{1} << 32; first += kCount * every) {
    for (uint64_t i = 0; i < kCount; ++i) x[i] = std::bit_cast<float>(static_cast<uint32_t>(first + i * every));
    map(&env, x.data(), y.data());
    for (uint64_t i = 0; i < kCount; ++i) {
      double error = ulp_error(y[i], row.single(x[i]));
      beyond += error > 1;
      if (error > worst) {
        worst = error;
        at = x[i];
        got = y[i];
      }
    }
    total += kCount;
  }
  bool good = worst <= row.f32;
  std::printf("%-8s %-10s max %.3f ULP (bound %.2f) at %a = %.9g, got %a, expected %a; beyond 1 ULP: %.2g%%%s\n",
              std::string(name(row.code)).c_str(), target.name.c_str(), worst, row.f32, at, at, got, row.single(at),
              100.0 * static_cast<double>(beyond) / static_cast<double>(total), good ? "" : "  EXCEEDED");
  std::fflush(stdout);
  return good;
}

int run(int argc, char **argv) {
  std::string cpu = "native";
  uint64_t every = 1;
  std::vector<std::string> wanted;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (argument == "--target-cpu" && i + 1 < argc)
      cpu = argv[++i];
    else if (argument == "--every" && i + 1 < argc)
      every = std::max<uint64_t>(1, std::strtoull(argv[++i], nullptr, 10));
    else
      wanted.push_back(argument);
  }
  auto targets = codegen::resolve_targets(cpu);
  if (!targets.ok()) {
    std::fprintf(stderr, "%s\n", to_string(targets.errors()[0]).c_str());
    return 2;
  }
  bool good = true;
  for (const Target &target : *targets)
    for (const MathBound &row : kMathBounds)
      if (wanted.empty() || std::find(wanted.begin(), wanted.end(), name(row.code)) != wanted.end())
        good = check(row, target, every) && good;
  return good ? 0 : 1;
}

} // namespace
} // namespace cameo

int main(int argc, char **argv) { return cameo::run(argc, argv); }
