// The mathematical functions on the interpreter, within the bounds of math_bounds.h, legalized for targets with and
// without fma. Compiled code is measured on more inputs (codegen/math_test.cpp), all f32 by bench/math_exhaustive.cpp.
#include "math_bounds.h"

#include "elementwise.h"

#include "cameo/loop/legalize.h"

namespace cameo::loop {
namespace {

constexpr int32_t kLanes = 256; // long vectors keep the interpreter busy

template <class T> constexpr Scalar kScalar = sizeof(T) == 4 ? Scalar::f32 : Scalar::f64;

template <class T, class Exact>
void check_functions(int per_exponent, double MathBound::*bound, Exact (*MathBound::*reference)(Exact)) {
  std::vector<T> x = math_inputs<T>(per_exponent), y;
  x.resize((x.size() + kLanes - 1) / kLanes * kLanes);
  y.resize(x.size());
  for (bool fma : {true, false}) {
    Target target;
    target.fma = fma;
    Module module;
    for (const MathBound &row : kMathBounds)
      add_elementwise(module, std::string(name(row.code)), {kScalar<T>}, kScalar<T>, kLanes,
                      [&](Builder &b, std::span<const Value> v) { return b.unary(row.code, v[0]); });
    legalize(module, target);
    RunElementwise run = interpreted(module);
    for (const MathBound &row : kMathBounds) {
      run(std::string(name(row.code)), {bytes_of(x)}, writable_bytes_of(y), static_cast<int64_t>(x.size()));
      double worst = 0;
      size_t at = 0;
      for (size_t i = 0; i < x.size(); ++i)
        if (double error = ulp_error(y[i], (row.*reference)(x[i])); error > worst) {
          worst = error;
          at = i;
        }
      EXPECT_LE(worst, row.*bound) << name(row.code) << std::hexfloat << " at " << x[at] << ": got " << y[at];
    }
  }
}

TEST(Math, F32WithinBounds) { check_functions<float, double>(64, &MathBound::f32, &MathBound::single); }
TEST(Math, F64WithinBounds) { check_functions<double, long double>(4, &MathBound::f64, &MathBound::wide); }

template <class T, class Exact> void check_pow(double bound) {
  auto pairs = pow_inputs<T>(1 << 14);
  pairs.resize((pairs.size() + kLanes - 1) / kLanes * kLanes);
  std::vector<T> x, y, out(pairs.size());
  for (auto [a, b] : pairs) {
    x.push_back(a);
    y.push_back(b);
  }
  Module module;
  add_elementwise(module, "pow", {kScalar<T>, kScalar<T>}, kScalar<T>, kLanes,
                  [](Builder &b, std::span<const Value> v) { return b.binary(Opcode::pow, v[0], v[1]); });
  legalize(module, {});
  interpreted(module)("pow", {bytes_of(x), bytes_of(y)}, writable_bytes_of(out), static_cast<int64_t>(x.size()));
  for (size_t i = 0; i < x.size(); ++i) {
    Exact exact = std::pow(Exact(x[i]), Exact(y[i]));
    ASSERT_LE(ulp_error(out[i], exact), bound)
        << std::hexfloat << "pow(" << x[i] << ", " << y[i] << "): got " << out[i];
  }
}

TEST(Math, PowF32WithinBounds) { check_pow<float, double>(kPowBoundF32); }
TEST(Math, PowF64WithinBounds) { check_pow<double, long double>(kPowBoundF64); }

// The committed coefficients are what the script prints.
TEST(Math, TablesAreThoseOfTheScript) {
  std::string root = CAMEO_SOURCE_DIR;
  if (std::system("command -v python3 >/dev/null 2>&1") != 0) GTEST_SKIP() << "no python3 on this machine";
  std::string command =
      "python3 '" + root + "/tools/fit_math.py' | cmp -s - '" + root + "/src/loop/expand_math_tables.h'";
  EXPECT_EQ(std::system(command.c_str()), 0) << "run tools/fit_math.py > src/loop/expand_math_tables.h";
}

} // namespace
} // namespace cameo::loop
