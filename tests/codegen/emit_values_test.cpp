// Every arithmetic opcode, scalar and vector, on each CPU level, against plain C++.
#include "emit_cases.h"

#include <limits>

namespace cameo::codegen {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity(), kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kMin = -9.3e18, kMax = 9.2e18, kOnes = 9.4e18; // of whatever integer type

const std::vector<std::vector<double>> kInts = {{kMin, kMax, kOnes, -100, -7, -2, 0, 1, 2, 3, 7, 8, 31, 63, 64, 100}};
const std::vector<std::vector<double>> kFloats = {
    {-kInf, -1e30, -3.5, -2.5, -1, -0.5, -0.0, 0.0, 1e-40, 0.5, 1, 1.5, 2.5, 3.7, 1e30, kInf, kNaN}};

Suite::Build unary(Opcode code) {
  return [=](Builder &b, std::span<const Value> x) { return b.unary(code, x[0]); };
}
Suite::Build binary(Opcode code) {
  return [=](Builder &b, std::span<const Value> x) { return b.binary(code, x[0], x[1]); };
}
Suite::Build compare(Opcode code) {
  return [=](Builder &b, std::span<const Value> x) {
    return b.cast(Opcode::zext, b.compare(code, x[0], x[1]), Scalar::i8);
  };
}
Suite::Build cast(Opcode code, Scalar to) {
  return [=](Builder &b, std::span<const Value> x) { return b.cast(code, x[0], to); };
}

template <class T> void add_integer_cases(Suite &suite) {
  using U = std::make_unsigned_t<T>;
  std::string t = "i" + std::to_string(8 * sizeof(T)) + ".";
  suite.add<T, T>(t + "neg", unary(Opcode::neg), [](T a) { return T(-U(a)); }, kInts);
  suite.add<T, T>(t + "abs", unary(Opcode::abs), [](T a) { return T(a < 0 ? -U(a) : U(a)); }, kInts);
  suite.add<T, T>(t + "not", unary(Opcode::bit_not), [](T a) { return T(~a); }, kInts);
  suite.add<T, T>(t + "popcount", unary(Opcode::popcount), [](T a) { return T(std::popcount(U(a))); }, kInts);
  suite.add<T, T>(t + "clz", unary(Opcode::clz), [](T a) { return T(std::countl_zero(U(a))); }, kInts);
  suite.add<T, T, T>(t + "add", binary(Opcode::add), [](T a, T b) { return T(U(a) + U(b)); }, kInts);
  suite.add<T, T, T>(t + "sub", binary(Opcode::sub), [](T a, T b) { return T(U(a) - U(b)); }, kInts);
  suite.add<T, T, T>(t + "mul", binary(Opcode::mul), [](T a, T b) { return T(uint64_t(a) * uint64_t(b)); }, kInts);
  constexpr T lowest = std::numeric_limits<T>::min();
  suite.add<T, T, T>(
      t + "div", binary(Opcode::div),
      [](T a, T b) { return b == 0                   ? T(0)
                            : a == lowest && b == -1 ? lowest
                                                     : T(a / b); }, kInts);
  suite.add<T, T, T>(
      t + "rem", binary(Opcode::rem), [](T a, T b) { return b == 0 || b == -1 ? T(0) : T(a % b); }, kInts);
  suite.add<T, T, T>(t + "udiv", binary(Opcode::udiv), [](T a, T b) { return b == 0 ? T(0) : T(U(a) / U(b)); }, kInts);
  suite.add<T, T, T>(t + "urem", binary(Opcode::urem), [](T a, T b) { return b == 0 ? T(0) : T(U(a) % U(b)); }, kInts);
  suite.add<T, T, T>(t + "min", binary(Opcode::min), [](T a, T b) { return std::min(a, b); }, kInts);
  suite.add<T, T, T>(t + "max", binary(Opcode::max), [](T a, T b) { return std::max(a, b); }, kInts);
  suite.add<T, T, T>(t + "umin", binary(Opcode::umin), [](T a, T b) { return T(std::min(U(a), U(b))); }, kInts);
  suite.add<T, T, T>(t + "umax", binary(Opcode::umax), [](T a, T b) { return T(std::max(U(a), U(b))); }, kInts);
  suite.add<T, T, T>(t + "and", binary(Opcode::bit_and), [](T a, T b) { return T(a & b); }, kInts);
  suite.add<T, T, T>(t + "or", binary(Opcode::bit_or), [](T a, T b) { return T(a | b); }, kInts);
  suite.add<T, T, T>(t + "xor", binary(Opcode::bit_xor), [](T a, T b) { return T(a ^ b); }, kInts);
  constexpr auto width = U(8 * sizeof(T));
  suite.add<T, T, T>(
      t + "shl", binary(Opcode::shl), [](T a, T b) { return U(b) < width ? T(uint64_t(U(a)) << U(b)) : T(0); }, kInts);
  suite.add<T, T, T>(
      t + "shr", binary(Opcode::shr), [](T a, T b) { return U(b) < width ? T(U(a) >> U(b)) : T(0); }, kInts);
  suite.add<T, T, T>(
      t + "sar", binary(Opcode::sar), [](T a, T b) { return T(a >> std::min<U>(U(b), width - 1)); }, kInts);
  suite.add<uint8_t, T, T>(t + "eq", compare(Opcode::eq), [](T a, T b) { return uint8_t(a == b); }, kInts);
  suite.add<uint8_t, T, T>(t + "ne", compare(Opcode::ne), [](T a, T b) { return uint8_t(a != b); }, kInts);
  suite.add<uint8_t, T, T>(t + "lt", compare(Opcode::lt), [](T a, T b) { return uint8_t(a < b); }, kInts);
  suite.add<uint8_t, T, T>(t + "le", compare(Opcode::le), [](T a, T b) { return uint8_t(a <= b); }, kInts);
  suite.add<uint8_t, T, T>(t + "gt", compare(Opcode::gt), [](T a, T b) { return uint8_t(a > b); }, kInts);
  suite.add<uint8_t, T, T>(t + "ge", compare(Opcode::ge), [](T a, T b) { return uint8_t(a >= b); }, kInts);
  suite.add<uint8_t, T, T>(t + "ult", compare(Opcode::ult), [](T a, T b) { return uint8_t(U(a) < U(b)); }, kInts);
  suite.add<uint8_t, T, T>(t + "ule", compare(Opcode::ule), [](T a, T b) { return uint8_t(U(a) <= U(b)); }, kInts);
  suite.add<uint8_t, T, T>(t + "ugt", compare(Opcode::ugt), [](T a, T b) { return uint8_t(U(a) > U(b)); }, kInts);
  suite.add<uint8_t, T, T>(t + "uge", compare(Opcode::uge), [](T a, T b) { return uint8_t(U(a) >= U(b)); }, kInts);
  suite.add<T, T, T>(
      t + "select",
      [](Builder &b, std::span<const Value> x) { return b.select(b.compare(Opcode::lt, x[0], x[1]), x[1], x[0]); },
      [](T a, T b) { return std::max(a, b); }, kInts);
}

TEST(EmitValues, Integers) {
  Suite suite;
  add_integer_cases<int8_t>(suite);
  add_integer_cases<int16_t>(suite);
  add_integer_cases<int32_t>(suite);
  add_integer_cases<int64_t>(suite);
  suite.run();
}

// A constant operand takes other paths: no guard where none is needed, the stated result where the operand is odd.
TEST(EmitValues, ConstantDivisorsAndCounts) {
  Suite suite;
  auto by = [](Opcode code, int64_t constant) {
    return [=](Builder &b, std::span<const Value> x) {
      return b.binary(code, x[0], b.constant_int(b.type(x[0]), constant));
    };
  };
  suite.add<int32_t, int32_t>("div0", by(Opcode::div, 0), [](int32_t) { return 0; }, kInts);
  suite.add<int32_t, int32_t>("div-1", by(Opcode::div, -1), [](int32_t a) { return int32_t(-uint32_t(a)); }, kInts);
  suite.add<int32_t, int32_t>("div7", by(Opcode::div, 7), [](int32_t a) { return a / 7; }, kInts);
  suite.add<int32_t, int32_t>("rem0", by(Opcode::rem, 0), [](int32_t) { return 0; }, kInts);
  suite.add<int32_t, int32_t>("rem-1", by(Opcode::rem, -1), [](int32_t) { return 0; }, kInts);
  suite.add<int32_t, int32_t>("rem7", by(Opcode::rem, 7), [](int32_t a) { return a % 7; }, kInts);
  suite.add<int32_t, int32_t>("udiv7", by(Opcode::udiv, 7), [](int32_t a) { return int32_t(uint32_t(a) / 7); }, kInts);
  suite.add<int32_t, int32_t>("udiv-1", by(Opcode::udiv, -1), [](int32_t a) { return int32_t(a == -1); }, kInts);
  suite.add<int32_t, int32_t>("urem8", by(Opcode::urem, 8), [](int32_t a) { return int32_t(uint32_t(a) % 8); }, kInts);
  suite.add<int32_t, int32_t>("shl32", by(Opcode::shl, 32), [](int32_t) { return 0; }, kInts);
  suite.add<int32_t, int32_t>("shl-1", by(Opcode::shl, -1), [](int32_t) { return 0; }, kInts);
  suite.add<int32_t, int32_t>("shl5", by(Opcode::shl, 5), [](int32_t a) { return int32_t(uint32_t(a) << 5); }, kInts);
  suite.add<int32_t, int32_t>(
      "shr31", by(Opcode::shr, 31), [](int32_t a) { return int32_t(uint32_t(a) >> 31); }, kInts);
  suite.add<int32_t, int32_t>("sar40", by(Opcode::sar, 40), [](int32_t a) { return a >> 31; }, kInts);
  suite.run();
}

template <class T> void add_float_cases(Suite &suite) {
  std::string t = sizeof(T) == 4 ? "f32." : "f64.";
  suite.add<T, T>(t + "neg", unary(Opcode::neg), [](T a) { return -a; }, kFloats);
  suite.add<T, T>(t + "abs", unary(Opcode::abs), [](T a) { return std::fabs(a); }, kFloats);
  suite.add<T, T>(t + "floor", unary(Opcode::floor), [](T a) { return std::floor(a); }, kFloats);
  suite.add<T, T>(t + "ceil", unary(Opcode::ceil), [](T a) { return std::ceil(a); }, kFloats);
  suite.add<T, T>(t + "rint", unary(Opcode::rint), [](T a) { return std::nearbyint(a); }, kFloats);
  suite.add<T, T>(t + "ftrunc", unary(Opcode::ftrunc), [](T a) { return std::trunc(a); }, kFloats);
  suite.add<T, T>(t + "sqrt", unary(Opcode::sqrt), [](T a) { return std::sqrt(a); }, kFloats);
  suite.add<T, T, T>(t + "add", binary(Opcode::add), [](T a, T b) { return a + b; }, kFloats);
  suite.add<T, T, T>(t + "sub", binary(Opcode::sub), [](T a, T b) { return a - b; }, kFloats);
  suite.add<T, T, T>(t + "mul", binary(Opcode::mul), [](T a, T b) { return a * b; }, kFloats);
  suite.add<T, T, T>(t + "div", binary(Opcode::div), [](T a, T b) { return a / b; }, kFloats);
  suite.add<T, T, T>(t + "min", binary(Opcode::min), [](T a, T b) { return b < a || b != b ? b : a; }, kFloats);
  suite.add<T, T, T>(t + "max", binary(Opcode::max), [](T a, T b) { return b > a || b != b ? b : a; }, kFloats);
  suite.add<T, T, T>(t + "copysign", binary(Opcode::copysign), [](T a, T b) { return std::copysign(a, b); }, kFloats);
  suite.add<uint8_t, T, T>(t + "eq", compare(Opcode::eq), [](T a, T b) { return uint8_t(a == b); }, kFloats);
  suite.add<uint8_t, T, T>(t + "ne", compare(Opcode::ne), [](T a, T b) { return uint8_t(a != b); }, kFloats);
  suite.add<uint8_t, T, T>(t + "lt", compare(Opcode::lt), [](T a, T b) { return uint8_t(a < b); }, kFloats);
  suite.add<uint8_t, T, T>(t + "le", compare(Opcode::le), [](T a, T b) { return uint8_t(a <= b); }, kFloats);
  suite.add<uint8_t, T, T>(t + "gt", compare(Opcode::gt), [](T a, T b) { return uint8_t(a > b); }, kFloats);
  suite.add<uint8_t, T, T>(t + "ge", compare(Opcode::ge), [](T a, T b) { return uint8_t(a >= b); }, kFloats);
  auto fma = [](Builder &b, std::span<const Value> x) { return b.ternary(Opcode::fma, x[0], x[1], x[2]); };
  suite.add<T, T, T, T>(
      t + "fma", fma, [](T a, T b, T c) { return std::fma(a, b, c); },
      {{1.1, -2.3, 1e30, 0.0, kInf, kNaN}, {3.3, 1e-20, -0.0}, {-3.63, 1e10, kInf}},
      [](const loop::Target &target) { return target.fma; });
  // Exact either way, so rounding once or twice does not show.
  auto muladd = [](Builder &b, std::span<const Value> x) { return b.muladd(x[0], x[1], x[2]); };
  suite.add<T, T, T, T>(t + "muladd", muladd, [](T a, T b, T c) { return a * b + c; },
                        {{1.5, -2, 0.0, kInf, kNaN}, {3, -0.25, -0.0}, {7, -0.0, kInf}});
}

TEST(EmitValues, Floats) {
  Suite suite;
  add_float_cases<float>(suite);
  add_float_cases<double>(suite);
  suite.run();
}

// One instruction instead of three: the result is the same.
TEST(EmitValues, ExtremaWithConstants) {
  Suite suite;
  auto with = [](Opcode code, double constant, bool first) {
    return [=](Builder &b, std::span<const Value> x) {
      Value c = b.constant(b.type(x[0]), constant);
      return first ? b.binary(code, c, x[0]) : b.binary(code, x[0], c);
    };
  };
  suite.add<float, float>("max.x.0", with(Opcode::max, 0, false), [](float a) { return 0 > a ? 0 : a; }, kFloats);
  suite.add<float, float>(
      "max.0.x", with(Opcode::max, 0, true), [](float a) { return a > 0 || a != a ? a : 0; }, kFloats);
  suite.add<float, float>("max.x.1", with(Opcode::max, 1, false), [](float a) { return 1 > a ? 1 : a; }, kFloats);
  suite.add<float, float>(
      "max.1.x", with(Opcode::max, 1, true), [](float a) { return a > 1 || a != a ? a : 1; }, kFloats);
  suite.add<float, float>("min.x.6", with(Opcode::min, 6, false), [](float a) { return 6 < a ? 6 : a; }, kFloats);
  suite.add<float, float>(
      "min.6.x", with(Opcode::min, 6, true), [](float a) { return a < 6 || a != a ? a : 6; }, kFloats);
  suite.add<float, float>("max.x.nan", with(Opcode::max, kNaN, false), [](float) { return float(kNaN); }, kFloats);
  suite.add<float, float>("max.nan.x", with(Opcode::max, kNaN, true), [](float) { return float(kNaN); }, kFloats);
  suite.run();
}

float half_to_float(uint16_t h) {
  int exponent = (h >> 10) & 31, mantissa = h & 1023;
  double value = exponent == 0    ? std::ldexp(mantissa, -24)
                 : exponent == 31 ? (mantissa ? kNaN : kInf)
                                  : std::ldexp(1024 + mantissa, exponent - 25);
  return float(h >> 15 ? -value : value);
}

TEST(EmitValues, Casts) {
  Suite suite;
  suite.add<int64_t, int8_t>("sext.8.64", cast(Opcode::sext, Scalar::i64), [](int8_t a) { return int64_t(a); }, kInts);
  suite.add<int32_t, int16_t>(
      "sext.16.32", cast(Opcode::sext, Scalar::i32), [](int16_t a) { return int32_t(a); }, kInts);
  suite.add<int64_t, uint32_t>(
      "zext.32.64", cast(Opcode::zext, Scalar::i64), [](uint32_t a) { return int64_t(a); }, kInts);
  suite.add<int16_t, uint8_t>(
      "zext.8.16", cast(Opcode::zext, Scalar::i16), [](uint8_t a) { return int16_t(a); }, kInts);
  suite.add<int8_t, int64_t>("trunc.64.8", cast(Opcode::trunc, Scalar::i8), [](int64_t a) { return int8_t(a); }, kInts);
  suite.add<int16_t, int32_t>(
      "trunc.32.16", cast(Opcode::trunc, Scalar::i16), [](int32_t a) { return int16_t(a); }, kInts);
  suite.add<float, int32_t>(
      "sitofp.32.f32", cast(Opcode::sitofp, Scalar::f32), [](int32_t a) { return float(a); }, kInts);
  suite.add<float, int64_t>(
      "sitofp.64.f32", cast(Opcode::sitofp, Scalar::f32), [](int64_t a) { return float(a); }, kInts);
  suite.add<double, int8_t>(
      "sitofp.8.f64", cast(Opcode::sitofp, Scalar::f64), [](int8_t a) { return double(a); }, kInts);
  suite.add<float, uint32_t>(
      "uitofp.32.f32", cast(Opcode::uitofp, Scalar::f32), [](uint32_t a) { return float(a); }, kInts);
  suite.add<float, uint64_t>(
      "uitofp.64.f32", cast(Opcode::uitofp, Scalar::f32), [](uint64_t a) { return float(a); }, kInts);
  suite.add<double, uint64_t>(
      "uitofp.64.f64", cast(Opcode::uitofp, Scalar::f64), [](uint64_t a) { return double(a); }, kInts);
  suite.add<float, uint8_t>(
      "uitofp.8.f32", cast(Opcode::uitofp, Scalar::f32), [](uint8_t a) { return float(a); }, kInts);
  const std::vector<std::vector<double>> in_range = {{-100.9, -1.5, -0.0, 0.5, 1.999, 99.5, 127}},
                                         positive = {{-0.5, 0.0, 0.99, 200.5, 255}};
  suite.add<int32_t, float>(
      "fptosi.f32.32", cast(Opcode::fptosi, Scalar::i32), [](float a) { return int32_t(a); }, in_range);
  suite.add<int64_t, float>(
      "fptosi.f32.64", cast(Opcode::fptosi, Scalar::i64), [](float a) { return int64_t(a); }, in_range);
  suite.add<int8_t, double>(
      "fptosi.f64.8", cast(Opcode::fptosi, Scalar::i8), [](double a) { return int8_t(a); }, in_range);
  suite.add<int64_t, double>("fptosi.f64.64", cast(Opcode::fptosi, Scalar::i64), [](double a) { return int64_t(a); },
                             {{-9e18, 9e18, 4503599627370497.0}});
  suite.add<uint8_t, float>(
      "fptoui.f32.8", cast(Opcode::fptoui, Scalar::i8), [](float a) { return uint8_t(a); }, positive);
  suite.add<uint32_t, float>("fptoui.f32.32", cast(Opcode::fptoui, Scalar::i32), [](float a) { return uint32_t(a); },
                             {{4294967040.0, 3e9, 1}});
  suite.add<uint64_t, double>("fptoui.f64.64", cast(Opcode::fptoui, Scalar::i64), [](double a) { return uint64_t(a); },
                              {{1.8e19, 3e9, 1}});
  suite.add<double, float>("fpext", cast(Opcode::fpext, Scalar::f64), [](float a) { return double(a); }, kFloats);
  suite.add<float, double>("fptrunc", cast(Opcode::fptrunc, Scalar::f32), [](double a) { return float(a); },
                           {{1e300, -1e-300, 1.1, 16777217, kNaN, -kInf, -0.0}});
  suite.add<float, int32_t>(
      "bitcast", [](Builder &b, std::span<const Value> x) { return b.cast(Opcode::bitcast, x[0], Scalar::f32); },
      [](int32_t a) { return std::bit_cast<float>(a); }, {{0x3f800000, 0x80000000, 7}});
  // Half-width floats travel as their bits.
  auto f16_convert = [](const loop::Target &target) { return target.f16_convert; };
  const std::vector<std::vector<double>> halves = {
      {0, 1, 0x3ff, 0x400, 0x3c00, 0x7bff, 0x7c00, 0x7e00, 0x8000, 0xc123, 0xfc00}};
  auto from_half = [](Builder &b, std::span<const Value> x) {
    return b.cast(Opcode::fpext, b.cast(Opcode::bitcast, x[0], Scalar::f16), Scalar::f32);
  };
  suite.add<float, uint16_t>("fpext.f16", from_half, half_to_float, halves, f16_convert);
  auto through_half = [](Builder &b, std::span<const Value> x) {
    return b.cast(Opcode::fpext, b.cast(Opcode::fptrunc, x[0], Scalar::f16), Scalar::f64);
  };
  suite.add<double, float>(
      "fptrunc.f16", through_half,
      [](float a) {
        return double(std::fabs(a) >= 65520
                          ? std::copysign(kInf, a)
                          : std::ldexp(std::nearbyint(std::ldexp(double(a), 10 - std::max(std::ilogb(a), -14))),
                                       std::max(std::ilogb(a), -14) - 10));
      },
      {{1, -1.0004883, 1.0014648, 65504, 65519, 65520, 1e-7, 5.9604645e-8, 3e-8, -1e5}}, f16_convert);
  auto from_bfloat = [](Builder &b, std::span<const Value> x) {
    return b.cast(Opcode::fpext, b.cast(Opcode::bitcast, x[0], Scalar::bf16), Scalar::f32);
  };
  suite.add<float, uint16_t>(
      "fpext.bf16", from_bfloat, [](uint16_t a) { return std::bit_cast<float>(uint32_t(a) << 16); }, halves);
  suite.run();
}

TEST(EmitValues, BooleansAreValues) {
  Suite suite;
  auto logic = [](Opcode code) {
    return [=](Builder &b, std::span<const Value> x) {
      Value zero = b.constant_int(b.type(x[0]), 0), p = b.compare(Opcode::gt, x[0], zero),
            q = b.compare(Opcode::gt, x[1], zero);
      Value r = code == Opcode::bit_not ? b.unary(code, p) : b.binary(code, p, q);
      return b.cast(Opcode::sext, r, Scalar::i32);
    };
  };
  suite.add<int32_t, int32_t, int32_t>(
      "and", logic(Opcode::bit_and), [](int32_t a, int32_t b) { return -int32_t(a > 0 && b > 0); }, kInts);
  suite.add<int32_t, int32_t, int32_t>(
      "or", logic(Opcode::bit_or), [](int32_t a, int32_t b) { return -int32_t(a > 0 || b > 0); }, kInts);
  suite.add<int32_t, int32_t, int32_t>(
      "xor", logic(Opcode::bit_xor), [](int32_t a, int32_t b) { return -int32_t((a > 0) != (b > 0)); }, kInts);
  suite.add<int32_t, int32_t, int32_t>(
      "not", logic(Opcode::bit_not), [](int32_t a, int32_t) { return -int32_t(a <= 0); }, kInts);
  suite.run();
}

// A f(n) that stores `values` of vectors; run on every level.
template <class T>
std::vector<std::vector<T>> run_vectors(size_t count, const std::function<void(Builder &, Value in, Value out)> &build,
                                        std::vector<T> in) {
  std::vector<std::vector<T>> results;
  for (const loop::Target &target : runnable_targets()) {
    loop::Module module;
    Builder b(module, "f");
    b.function().exported = true;
    Value x = b.buffer_param("in", scalar_of<T>(), true), out = b.buffer_param("out", scalar_of<T>(), false);
    build(b, x, out);
    b.finish();
    Jit code = jit(module, target);
    std::vector<T> got(count);
    cameo_env env{};
    code.function<void(cameo_env *, const T *, T *)>("f")(&env, in.data(), got.data());
    results.push_back(got);
  }
  return results;
}

TEST(EmitVectors, ShuffleExtractIotaBroadcast) {
  auto results = run_vectors<int32_t>(24,
                                      [](Builder &b, Value in, Value out) {
                                        Value v = b.load(in, 0, 8), w = b.load(in, 8, 8);
                                        b.store(b.shuffle(v, w, {15, 0, 8, 7, 3, 3}), out, 0);
                                        b.store(b.extract(v, 5), out, 6);
                                        b.store(b.extract(b.iota({Scalar::i32, 4}), 3), out, 7);
                                        b.store(b.iota({Scalar::i32, 8}), out, 8);
                                        b.store(b.broadcast(b.extract(w, 2), 8), out, 16);
                                      },
                                      {10, 11, 12, 13, 14, 15, 16, 17, 20, 21, 22, 23, 24, 25, 26, 27});
  for (const auto &got : results)
    EXPECT_EQ(got, (std::vector<int32_t>{27, 10, 20, 17, 13, 13, 15, 3,  0,  1,  2,  3,
                                         4,  5,  6,  7,  22, 22, 22, 22, 22, 22, 22, 22}));
}

// The order of a reduction is part of its meaning: lane i with lane i + N/2.
TEST(EmitVectors, ReductionsAreTrees) {
  std::vector<float> in(16);
  for (size_t i = 0; i < 16; ++i) in[i] = float(std::exp(double(i)) * (i % 3 ? 1e-3 : -7.7));
  float eight[8], four[4], two[2];
  for (int i = 0; i < 8; ++i) eight[i] = in[size_t(i)] + in[size_t(i) + 8];
  for (int i = 0; i < 4; ++i) four[i] = eight[i] + eight[i + 4];
  for (int i = 0; i < 2; ++i) two[i] = four[i] + four[i + 2];
  auto build = [](Builder &b, Value in, Value out) {
    Value v = b.load(in, 0, 16);
    b.store(b.reduce(Opcode::reduce_add, v), out, 0);
    b.store(b.reduce(Opcode::reduce_min, v), out, 1);
    b.store(b.reduce(Opcode::reduce_max, v), out, 2);
  };
  for (const auto &got : run_vectors<float>(3, build, in)) {
    EXPECT_EQ(got[0], two[0] + two[1]);
    EXPECT_EQ(got[1], *std::min_element(in.begin(), in.end()));
    EXPECT_EQ(got[2], *std::max_element(in.begin(), in.end()));
  }
  in[9] = NAN;
  for (const auto &got : run_vectors<float>(3, build, in)) EXPECT_TRUE(std::isnan(got[1]) && std::isnan(got[2]));
}

TEST(EmitVectors, Vpdpbusd) {
  bool ran = false;
  for (const loop::Target &target : runnable_targets()) {
    if (!target.dot_u8s8) continue;
    for (int32_t lanes = 4; lanes * 32 <= target.vector_bits; lanes *= 2) {
      ran = true;
      loop::Module module;
      Builder b(module, "f");
      b.function().exported = true;
      Type type{Scalar::i32, lanes};
      Value x = b.buffer_param("x", Scalar::i32, true), out = b.buffer_param("out", Scalar::i32, false);
      b.store(b.target("vpdpbusd", type, {b.load(x, 0, lanes), b.load(x, lanes, lanes), b.load(x, 2 * lanes, lanes)}),
              out, 0);
      b.finish();
      Jit code = jit(module, target);
      std::vector<uint32_t> in(size_t(3 * lanes));
      for (size_t i = 0; i < in.size(); ++i) in[i] = uint32_t(i * 0x9e3779b9u + 0x80ff7f01u);
      std::vector<int32_t> got(size_t(lanes), 0);
      cameo_env env{};
      code.function<void(cameo_env *, const uint32_t *, int32_t *)>("f")(&env, in.data(), got.data());
      for (size_t i = 0; i < size_t(lanes); ++i) {
        uint32_t sum = in[i];
        for (int k = 0; k < 4; ++k)
          sum +=
              uint32_t(int32_t(uint8_t(in[i + size_t(lanes)] >> 8 * k)) * int8_t(in[i + 2 * size_t(lanes)] >> 8 * k));
        EXPECT_EQ(got[i], int32_t(sum)) << target.name << " lane " << i;
      }
    }
  }
  if (!ran) GTEST_SKIP() << "this machine has no vpdpbusd";
}

TEST(EmitVectors, Lookup256) {
  bool ran = false;
  for (const loop::Target &target : runnable_targets()) {
    if (target.vector_bits < 512) continue;
    ran = true;
    loop::Module module;
    Builder b(module, "f");
    b.function().exported = true;
    Value table = b.buffer_param("table", Scalar::i8, true), at = b.buffer_param("at", Scalar::i8, true);
    Value out = b.buffer_param("out", Scalar::i8, false);
    b.for_range(0, 256, 16, [&](Value i) {
      std::vector<Value> operands;
      for (int64_t quarter = 0; quarter < 4; ++quarter) operands.push_back(b.load(table, 64 * quarter, 64));
      operands.push_back(b.load(at, i, 16));
      b.store(b.target("lookup256", {Scalar::i8, 16}, operands), out, i);
    });
    b.finish();
    Jit code = jit(module, target);
    std::vector<uint8_t> values(256), places(256), got(256, 0);
    for (size_t i = 0; i < 256; ++i) {
      values[i] = static_cast<uint8_t>(i * 167 + 13);
      places[i] = static_cast<uint8_t>(255 - i * 3);
    }
    cameo_env env{};
    code.function<void(cameo_env *, const uint8_t *, const uint8_t *, uint8_t *)>("f")(&env, values.data(),
                                                                                       places.data(), got.data());
    for (size_t i = 0; i < 256; ++i) EXPECT_EQ(got[i], values[places[i]]) << target.name << " element " << i;
  }
  if (!ran) GTEST_SKIP() << "this machine has no vectors of 512 bits";
}

TEST(EmitValues, WhatLegalizeMustRemoveIsRefused) {
  auto targets = resolve_targets("x86-64-v2");
  auto refused = [&](const std::function<Value(Builder &, Value)> &build) {
    loop::Module module;
    Builder b(module, "f");
    b.set_results({loop::kF32});
    Value x = b.scalar_param("x", loop::kF32);
    b.function().exported = true;
    b.finish({build(b, x)});
    EXPECT_THROW((void)compile(module, targets->at(0), Emit::object), InternalError);
  };
  refused([](Builder &b, Value x) { return b.unary(Opcode::exp, x); });
  refused([](Builder &b, Value x) { return b.binary(Opcode::rem, x, x); });
  refused([](Builder &b, Value x) { return b.ternary(Opcode::fma, x, x, x); });
  refused(
      [](Builder &b, Value x) { return b.cast(Opcode::fpext, b.cast(Opcode::fptrunc, x, Scalar::f16), Scalar::f32); });
  refused(
      [](Builder &b, Value x) { return b.cast(Opcode::fpext, b.cast(Opcode::fptrunc, x, Scalar::bf16), Scalar::f32); });
}

} // namespace
} // namespace cameo::codegen
