// cameo_math_exhaustive: the f32 functions on all 2^32 inputs, against libm in f64. Run by hand after an expansion
// changed; tests/loop/math_bounds.h publishes what it finds.
//
//   cameo_math_exhaustive [--target-cpu CPU] [--every N] [--f64 COUNT] [function...]
//
// --every N takes one f32 in N; --f64 COUNT measures that many random f64 instead, half of them with everyday
// exponents. Prints the largest error, where it is, and the share of inputs beyond 1 ULP. Exit code 1 when a bound is
// exceeded.
#include "../loop/math_bounds.h"

#include "cameo/codegen/jit.h"
#include "cameo/loop/legalize.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

namespace cameo {
namespace {

using namespace loop;

constexpr int64_t kCount = 1 << 16;

codegen::Jit compile(Opcode opcode, const Target &target, Scalar scalar) {
  int32_t lanes = target.lanes(bits(scalar));
  Module module;
  Builder b(module, "map");
  b.function().exported = true;
  Value x = b.buffer_param("x", scalar, true), y = b.buffer_param("y", scalar, false);
  b.for_range(0, kCount, lanes, [&](Value i) { b.store(b.unary(opcode, b.load(x, i, lanes)), y, i); });
  b.finish();
  legalize(module, target);
  auto code = codegen::Jit::create(module, target);
  CAMEO_CHECK(code.ok(), "the target cannot run here");
  return std::move(*code);
}

// Fills x with inputs until there are no more.
template <class T> using Source = std::function<bool(std::vector<T> &x)>;

template <class T, class Exact>
bool check(const MathBound &row, const Target &target, double bound, Exact (*reference)(Exact),
           const Source<T> &source) {
  codegen::Jit code = compile(row.code, target, sizeof(T) == 4 ? Scalar::f32 : Scalar::f64);
  auto *map = code.function<void(cameo_env *, const T *, T *)>("map");
  std::vector<T> x(kCount), y(kCount);
  cameo_env env{};
  double worst = 0;
  T at = 0, got = 0;
  uint64_t beyond = 0, total = 0;
  while (source(x)) {
    map(&env, x.data(), y.data());
    for (size_t i = 0; i < x.size(); ++i) {
      double error = ulp_error(y[i], reference(x[i]));
      beyond += error > 1;
      if (error > worst) {
        worst = error;
        at = x[i];
        got = y[i];
      }
    }
    total += x.size();
  }
  bool good = worst <= bound;
  std::printf("%-8s f%zu %-10s max %.3f ULP (bound %.2f) at %a = %.9g, got %a, expected %La; beyond 1 ULP: %.2g%%%s\n",
              std::string(name(row.code)).c_str(), sizeof(T) * 8, target.name.c_str(), worst, bound, double(at),
              double(at), double(got), static_cast<long double>(reference(at)),
              100.0 * static_cast<double>(beyond) / static_cast<double>(total), good ? "" : "  EXCEEDED");
  std::fflush(stdout);
  return good;
}

Source<float> every_float(uint64_t step) {
  return [first = uint64_t{0}, step](std::vector<float> &x) mutable {
    if (first >> 32) return false;
    for (float &v : x) {
      v = std::bit_cast<float>(static_cast<uint32_t>(first));
      first += step;
    }
    return true;
  };
}

Source<double> random_doubles(uint64_t count) {
  return [count, random = RandomBits(7)](std::vector<double> &x) mutable {
    if (count == 0) return false;
    count -= std::min<uint64_t>(count, x.size());
    for (size_t i = 0; i < x.size(); ++i) {
      uint64_t bits = random();
      x[i] = std::bit_cast<double>(bits);
      if (i % 2) x[i] = std::ldexp(1 + static_cast<double>(bits >> 12) * 0x1p-52, static_cast<int>(bits % 44) - 32);
      if (i % 2 && bits & 2048) x[i] = -x[i];
    }
    return true;
  };
}

int run(int argc, char **argv) {
  std::string cpu = "native";
  uint64_t every = 1, doubles = 0;
  std::vector<std::string> wanted;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (argument == "--target-cpu" && i + 1 < argc)
      cpu = argv[++i];
    else if (argument == "--every" && i + 1 < argc)
      every = std::max<uint64_t>(1, std::strtoull(argv[++i], nullptr, 10));
    else if (argument == "--f64" && i + 1 < argc)
      doubles = std::strtoull(argv[++i], nullptr, 10);
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
    for (const MathBound &row : kMathBounds) {
      if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), name(row.code)) == wanted.end()) continue;
      good = (doubles ? check<double>(row, target, row.f64, row.wide, random_doubles(doubles))
                      : check<float>(row, target, row.f32, row.single, every_float(every))) &&
             good;
    }
  return good ? 0 : 1;
}

} // namespace
} // namespace cameo

int main(int argc, char **argv) { return cameo::run(argc, argv); }
