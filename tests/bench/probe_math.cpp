// Vector mathematics from legalize(): elements per clock cycle, out of the L1 cache. PERF.md's aim for exp is 1.2.
#include "harness.h"

#include "cameo/loop/legalize.h"

#include <cmath>

namespace cameo::bench {
namespace {

using namespace loop;

constexpr int64_t kCount = 2048; // 8 KiB in, 8 KiB out

struct Map {
  const char *name;
  Value (*build)(Builder &b, Value x);
  double (*reference)(double x);
  bool positive = false; ///< of |x|
};

template <Opcode code> Value one(Builder &b, Value x) { return b.unary(code, x); }

Value scaled(Builder &b, Value x, double factor) { return b.mul(x, b.constant(b.type(x), factor)); }

// x (1 + erf(x / sqrt 2))/2
Value gelu(Builder &b, Value x) {
  Value e = b.unary(Opcode::erf, scaled(b, x, std::sqrt(0.5)));
  Value half = scaled(b, x, 0.5);
  return b.muladd(half, e, half);
}

// x sigmoid(x)
Value silu(Builder &b, Value x) { return b.mul(x, b.unary(Opcode::sigmoid, x)); }

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

const Map kMaps[] = {
    {"copy", [](Builder &, Value x) { return x; }, [](double x) { return x; }},
    {"exp", one<Opcode::exp>, std::exp},
    {"expm1", one<Opcode::expm1>, std::expm1},
    {"tanh", one<Opcode::tanh>, std::tanh},
    {"erf", one<Opcode::erf>, std::erf},
    {"gelu", gelu, [](double x) { return x * (1 + std::erf(x * std::sqrt(0.5))) / 2; }},
    {"sigmoid", one<Opcode::sigmoid>, sigmoid},
    {"silu", silu, [](double x) { return x * sigmoid(x); }},
    {"log", one<Opcode::log>, std::log, true},
    {"sin", one<Opcode::sin>, std::sin},
    {"atan", one<Opcode::atan>, std::atan},
    {"pow", [](Builder &b, Value x) { return b.binary(Opcode::pow, x, b.constant(b.type(x), 2.4)); },
     [](double x) { return std::pow(x, 2.4); }, true},
};

Module loop_of(const Target &target, const Map &row) {
  constexpr int64_t kUnroll = 4;
  int32_t lanes = target.lanes(32);
  Module module;
  Builder b(module, "map");
  b.function().exported = true;
  Value x = b.buffer_param("x", Scalar::f32, true), y = b.buffer_param("y", Scalar::f32, false);
  b.for_range(0, kCount, kUnroll * lanes, [&](Value i) {
    for (int64_t k = 0; k < kUnroll; ++k)
      b.store(row.build(b, b.load(x, Affine(i) + k * lanes, lanes)), y, Affine(i) + k * lanes);
  });
  b.finish();
  legalize(module, target);
  return module;
}

} // namespace

void probes_math(Bench &bench) {
  bench.probe("math.l1", Unit::elements, [&](Probe &probe) {
    for (const Map &row : kMaps) {
      auto *map =
          bench.compile(loop_of(bench.target(), row)).function<void(cameo_env *, const float *, float *)>("map");
      auto x = random_floats(kCount, 1);
      for (float &v : x.span()) v = row.positive ? std::fabs(6 * v) : 6 * v;
      auto y = zeros<float>(kCount), want = zeros<float>(kCount);
      for (size_t i = 0; i < kCount; ++i) want[i] = static_cast<float>(row.reference(x[i]));
      probe.contender(row.name, kCount, [=, env = bench.env()] { map(env, x.get(), y.get()); },
                      {.verify = [=] { return difference(y.span(), want.span()); }});
    }
  });
}

} // namespace cameo::bench
