// The mathematical functions as compiled code, on every CPU level of this machine, within the bounds of
// loop/math_bounds.h. Levels with fma agree bit for bit, and with the interpreter: their operations are the same.
// Without fma, muladd rounds twice: other bits, same bounds.
#include "../loop/math_bounds.h"
#include "compiled.h"

#include "cameo/loop/legalize.h"

#include <optional>

namespace cameo::codegen {
namespace {

using loop::MathBound;

std::string function_name(Opcode code, Scalar scalar, int32_t lanes) {
  return std::string(loop::name(code)) + "_" + std::string(loop::name(scalar)) + "x" + std::to_string(lanes);
}

void add_function(loop::Module &module, Opcode code, Scalar scalar, int32_t lanes) {
  bool two = loop::op_class(code) == loop::OpClass::binary;
  loop::add_elementwise(
      module, function_name(code, scalar, lanes), std::vector<Scalar>(two ? 2 : 1, scalar), scalar, lanes,
      [&](Builder &b, std::span<const Value> x) { return two ? b.binary(code, x[0], x[1]) : b.unary(code, x[0]); });
}

template <class T>
std::vector<T> run(const loop::RunElementwise &code, Opcode opcode, int32_t lanes, const std::vector<T> &x) {
  std::vector<T> out(x.size());
  code(function_name(opcode, scalar_of<T>(), lanes), {loop::bytes_of(x)}, loop::writable_bytes_of(out),
       static_cast<int64_t>(x.size()));
  return out;
}

template <class T> bool same_bits(const std::vector<T> &a, const std::vector<T> &b, size_t count) {
  for (size_t i = 0; i < count; ++i)
    if (std::memcmp(&a[i], &b[i], sizeof(T)) != 0 && !(std::isnan(a[i]) && std::isnan(b[i]))) return false;
  return true;
}

template <class T, class Exact>
void check_functions(int per_exponent, double MathBound::*bound, Exact (*MathBound::*reference)(Exact)) {
  constexpr Scalar kScalar = scalar_of<T>();
  constexpr size_t kFew = 1 << 12; // for lane counts that are not the target's
  std::vector<T> x = loop::math_inputs<T>(per_exponent);
  while (x.size() % 48) x.push_back(0);
  std::vector<T> few; // spread over all of x
  for (size_t i = 0; few.size() < kFew * 3; i = (i + 7919) % x.size()) few.push_back(x[i]);
  std::vector<std::vector<T>> with_fma(std::size(loop::kMathBounds));
  std::vector<std::vector<Exact>> exact(std::size(loop::kMathBounds));
  for (const loop::Target &target : runnable_targets()) {
    int32_t lanes = target.lanes(sizeof(T) * 8);
    loop::Module module;
    for (const MathBound &row : loop::kMathBounds)
      for (int32_t n : {1, 3, lanes}) add_function(module, row.code, kScalar, n);
    loop::legalize(module, target);
    Jit loaded = jit(module, target);
    loop::RunElementwise code = compiled(loaded), interpreter = loop::interpreted(module);
    for (size_t k = 0; k < std::size(loop::kMathBounds); ++k) {
      const MathBound &row = loop::kMathBounds[k];
      SCOPED_TRACE(std::string(loop::name(row.code)) + " " + target.name);
      std::vector<T> y = run(code, row.code, lanes, x);
      if (exact[k].empty())
        for (T v : x) exact[k].push_back((row.*reference)(v));
      double worst = 0;
      size_t at = 0;
      for (size_t i = 0; i < x.size(); ++i)
        if (double error = loop::ulp_error(y[i], exact[k][i]); !(error <= worst)) {
          worst = error;
          at = i;
        }
      EXPECT_LE(worst, row.*bound) << std::hexfloat << "at " << x[at] << ": got " << y[at] << ", expected "
                                   << exact[k][at];
      EXPECT_TRUE(same_bits(run(code, row.code, 1, few), run(code, row.code, 3, few), few.size()));
      while (few.size() % static_cast<size_t>(lanes)) few.pop_back();
      EXPECT_TRUE(same_bits(run(code, row.code, 1, few), run(code, row.code, lanes, few), few.size()));
      if (!target.fma) continue;
      EXPECT_TRUE(same_bits(run(interpreter, row.code, 1, few), run(code, row.code, 1, few), few.size()));
      if (with_fma[k].empty()) with_fma[k] = y;
      EXPECT_TRUE(same_bits(y, with_fma[k], y.size())) << "levels with fma disagree";
    }
  }
}

TEST(Math, F32WithinBounds) { check_functions<float, double>(2048, &MathBound::f32, &MathBound::single); }
TEST(Math, F64WithinBounds) { check_functions<double, long double>(64, &MathBound::f64, &MathBound::wide); }

template <class T, class Exact> void check_pow(double bound) {
  auto pairs = loop::pow_inputs<T>(1 << 16);
  while (pairs.size() % 16) pairs.emplace_back(T(1), T(1));
  std::vector<T> x, y, out(pairs.size());
  for (auto [a, b] : pairs) {
    x.push_back(a);
    y.push_back(b);
  }
  for (const loop::Target &target : runnable_targets()) {
    SCOPED_TRACE(target.name);
    int32_t lanes = target.lanes(sizeof(T) * 8);
    loop::Module module;
    add_function(module, Opcode::pow, scalar_of<T>(), lanes);
    loop::legalize(module, target);
    Jit code = jit(module, target);
    compiled(code)(function_name(Opcode::pow, scalar_of<T>(), lanes), {loop::bytes_of(x), loop::bytes_of(y)},
                   loop::writable_bytes_of(out), static_cast<int64_t>(x.size()));
    int failures = 0;
    for (size_t i = 0; i < x.size() && failures < 5; ++i) {
      Exact exact = std::pow(Exact(x[i]), Exact(y[i]));
      double error = loop::ulp_error(out[i], exact);
      if (error <= bound) continue;
      ADD_FAILURE() << std::hexfloat << "pow(" << x[i] << ", " << y[i] << "): got " << out[i] << ", expected " << exact;
      ++failures;
    }
  }
}

TEST(Math, PowF32WithinBounds) { check_pow<float, double>(loop::kPowBoundF32); }
TEST(Math, PowF64WithinBounds) { check_pow<double, long double>(loop::kPowBoundF64); }

} // namespace
} // namespace cameo::codegen
