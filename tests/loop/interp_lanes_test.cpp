// Every element-wise operation, cast, reduction and selection of the interpreter on values that hurt, as scalars and as
// vectors, against a plain restatement of opcodes.def.
#include "cameo/loop/builder.h"
#include "cameo/loop/interp.h"
#include "cameo/loop/verify.h"
#include "cameo/support/half.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

namespace cameo::loop {

namespace {

template <class T> constexpr Scalar kScalar = Scalar::i1;
template <> constexpr Scalar kScalar<int8_t> = Scalar::i8;
template <> constexpr Scalar kScalar<int16_t> = Scalar::i16;
template <> constexpr Scalar kScalar<int32_t> = Scalar::i32;
template <> constexpr Scalar kScalar<int64_t> = Scalar::i64;
template <> constexpr Scalar kScalar<float> = Scalar::f32;
template <> constexpr Scalar kScalar<double> = Scalar::f64;

template <class T> std::vector<T> hard_values() {
  using L = std::numeric_limits<T>;
  if constexpr (std::is_floating_point_v<T>) {
    std::vector<T> v = {0,
                        1,
                        T(1.5),
                        2.5,
                        3.5,
                        0.5,
                        T(0.1),
                        100,
                        T(1e10),
                        L::max(),
                        L::min(),
                        L::denorm_min(),
                        L::infinity(),
                        L::quiet_NaN(),
                        L::epsilon(),
                        T(1) + L::epsilon(),
                        T(16777217),
                        T(0.49999997)};
    for (size_t i = 0, n = v.size(); i < n; ++i) v.push_back(-v[i]);
    return v;
  } else {
    std::vector<T> v = {0,
                        1,
                        2,
                        3,
                        5,
                        7,
                        8,
                        15,
                        31,
                        63,
                        64,
                        65,
                        100,
                        L::max(),
                        L::min(),
                        static_cast<T>(L::max() - 1),
                        static_cast<T>(L::min() + 1)};
    for (size_t i = 0, n = v.size(); i < n; ++i) v.push_back(static_cast<T>(0 - static_cast<uint64_t>(v[i])));
    return v;
  }
}

// Runs `y[i] = build(x0[i], x1[i], ...)` over all elements with vectors of `lanes` lanes. In and out have their slot
// types.
template <class Out, class In>
std::vector<Out> map(const std::vector<std::vector<In>> &inputs, Scalar from, Scalar to, int32_t lanes,
                     const std::function<Value(Builder &, std::vector<Value>)> &build) {
  Module module;
  Builder b(module, "f");
  std::vector<Value> buffers;
  for (size_t k = 0; k < inputs.size(); ++k) buffers.push_back(b.buffer_param("x" + std::to_string(k), from, true));
  Value out = b.buffer_param("y", to, false), n = b.scalar_param("n");
  b.for_loop(b.index_constant(0), n, lanes, {}, [&](Value i, std::span<const Value>) -> std::vector<Value> {
    std::vector<Value> operands;
    for (Value buffer : buffers) operands.push_back(b.load(buffer, i, lanes));
    b.store(build(b, operands), out, i);
    return {};
  });
  b.finish();
  verify_or_die(module, "the test");
  std::vector<std::vector<In>> padded = inputs;
  size_t count =
      (inputs[0].size() + static_cast<size_t>(lanes) - 1) / static_cast<size_t>(lanes) * static_cast<size_t>(lanes);
  std::vector<Argument> args;
  for (auto &input : padded) {
    input.resize(count);
    args.push_back(Argument::readonly(input.data(), static_cast<int64_t>(count * sizeof(In))));
  }
  std::vector<Out> y(count);
  args.push_back(Argument::buffer(y.data(), static_cast<int64_t>(count * sizeof(Out))));
  args.push_back(Argument::integer(static_cast<int64_t>(count)));
  auto info = interpret(module, "f", args);
  CAMEO_CHECK(info.ok(), info ? "" : to_string(info.errors()[0]));
  y.resize(inputs[0].size());
  return y;
}

// Same bits, or both NaN.
template <class T> bool same_value(T a, T b) {
  if constexpr (std::is_floating_point_v<T>)
    if (a != a && b != b) return true;
  return std::memcmp(&a, &b, sizeof a) == 0;
}

// All pairs (and for fma shifted thirds) of hard values.
template <class T> std::vector<std::vector<T>> operands(size_t arity) {
  std::vector<T> values = hard_values<T>();
  std::vector<std::vector<T>> out(arity);
  size_t n = values.size(), total = arity == 1 ? n : n * n;
  for (size_t i = 0; i < total; ++i) {
    out[0].push_back(values[i % n]);
    if (arity > 1) out[1].push_back(values[i / n]);
    if (arity > 2) out[2].push_back(values[(i * 7 + i / n) % n]);
  }
  return out;
}

template <class T, class F> void check(Opcode code, size_t arity, F reference) {
  auto in = operands<T>(arity);
  for (int32_t lanes : {1, 2, 7, 16}) {
    auto got = map<T>(in, kScalar<T>, kScalar<T>, lanes, [&](Builder &b, std::vector<Value> v) {
      return arity == 1   ? b.unary(code, v[0])
             : arity == 2 ? b.binary(code, v[0], v[1])
                          : b.ternary(code, v[0], v[1], v[2]);
    });
    for (size_t i = 0; i < got.size(); ++i) {
      T expected;
      if constexpr (std::is_invocable_v<F, T>)
        expected = static_cast<T>(reference(in[0][i]));
      else if constexpr (std::is_invocable_v<F, T, T>)
        expected = static_cast<T>(reference(in[0][i], in[1][i]));
      else
        expected = static_cast<T>(reference(in[0][i], in[1][i], in[2][i]));
      ASSERT_TRUE(same_value(got[i], expected))
          << name(code) << " " << name(kScalar<T>) << "x" << lanes << "(" << +in[0][i] << ", "
          << (arity > 1 ? +in[1][i] : 0) << ") = " << +got[i] << ", expected " << +expected;
    }
  }
}

template <class T> class Integers : public testing::Test {};
template <class T> class Floats : public testing::Test {};
using IntegerTypes = testing::Types<int8_t, int16_t, int32_t, int64_t>;
using FloatTypes = testing::Types<float, double>;
TYPED_TEST_SUITE(Integers, IntegerTypes);
TYPED_TEST_SUITE(Floats, FloatTypes);

} // namespace

// 128-bit arithmetic on the values, cut to the width.
TYPED_TEST(Integers, Arithmetic) {
  using T = TypeParam;
  using U = std::make_unsigned_t<T>;
  using W = __int128;
  constexpr int kWidth = sizeof(T) * 8;
  auto cut = [](W v) { return static_cast<T>(static_cast<U>(static_cast<unsigned __int128>(v))); };
  check<T>(Opcode::neg, 1, [&](T a) { return cut(-W{a}); });
  check<T>(Opcode::abs, 1, [&](T a) { return cut(a < 0 ? -W{a} : W{a}); });
  check<T>(Opcode::bit_not, 1, [&](T a) { return cut(-1 - W{a}); });
  check<T>(Opcode::popcount, 1, [](T a) {
    int count = 0;
    for (int k = 0; k < kWidth; ++k) count += static_cast<U>(a) >> k & 1;
    return count;
  });
  check<T>(Opcode::clz, 1, [](T a) {
    int count = 0;
    while (count < kWidth && !(static_cast<U>(a) >> (kWidth - 1 - count) & 1)) ++count;
    return count;
  });
  check<T>(Opcode::add, 2, [&](T a, T b) { return cut(W{a} + b); });
  check<T>(Opcode::sub, 2, [&](T a, T b) { return cut(W{a} - b); });
  check<T>(Opcode::mul, 2, [&](T a, T b) { return cut(W{a} * b); });
  check<T>(Opcode::div, 2, [&](T a, T b) { return b == 0 ? T{0} : cut(W{a} / b); });
  check<T>(Opcode::rem, 2, [&](T a, T b) { return b == 0 ? T{0} : cut(W{a} % b); });
  check<T>(Opcode::udiv, 2, [&](T a, T b) { return b == 0 ? T{0} : cut(W{U(a)} / U(b)); });
  check<T>(Opcode::urem, 2, [&](T a, T b) { return b == 0 ? T{0} : cut(W{U(a)} % U(b)); });
  check<T>(Opcode::min, 2, [](T a, T b) { return std::min(a, b); });
  check<T>(Opcode::max, 2, [](T a, T b) { return std::max(a, b); });
  check<T>(Opcode::umin, 2, [](T a, T b) { return std::min(U(a), U(b)); });
  check<T>(Opcode::umax, 2, [](T a, T b) { return std::max(U(a), U(b)); });
  check<T>(Opcode::bit_and, 2, [](T a, T b) { return a & b; });
  check<T>(Opcode::bit_or, 2, [](T a, T b) { return a | b; });
  check<T>(Opcode::bit_xor, 2, [](T a, T b) { return a ^ b; });
  check<T>(Opcode::shl, 2, [&](T a, T b) { return U(b) >= kWidth ? T{0} : cut(W{a} << b); });
  check<T>(Opcode::shr, 2, [&](T a, T b) { return U(b) >= kWidth ? T{0} : cut(W{U(a)} >> b); });
  check<T>(Opcode::sar, 2, [&](T a, T b) { return U(b) >= kWidth ? (a < 0 ? T{-1} : T{0}) : cut(W{a} >> b); });
}

TYPED_TEST(Floats, Arithmetic) {
  using T = TypeParam;
  check<T>(Opcode::neg, 1, [](T a) { return -a; });
  check<T>(Opcode::abs, 1, [](T a) { return std::signbit(a) ? -a : a; });
  check<T>(Opcode::floor, 1, [](T a) { return std::floor(a); });
  check<T>(Opcode::ceil, 1, [](T a) { return std::ceil(a); });
  check<T>(Opcode::ftrunc, 1, [](T a) { return std::trunc(a); });
  check<T>(Opcode::rint, 1, [](T a) { return std::nearbyint(a); }); // the test runs with the default rounding
  check<T>(Opcode::sqrt, 1, [](T a) { return std::sqrt(a); });
  check<T>(Opcode::add, 2, [](T a, T b) { return a + b; });
  check<T>(Opcode::sub, 2, [](T a, T b) { return a - b; });
  check<T>(Opcode::mul, 2, [](T a, T b) { return a * b; });
  check<T>(Opcode::div, 2, [](T a, T b) { return a / b; });
  check<T>(Opcode::rem, 2, [](T a, T b) { return std::fmod(a, b); });
  check<T>(Opcode::copysign, 2, [](T a, T b) { return std::signbit(a) == std::signbit(b) ? a : -a; });
  check<T>(Opcode::min, 2, [](T a, T b) { return std::isnan(a) ? a : std::isnan(b) ? b : b < a ? b : a; });
  check<T>(Opcode::max, 2, [](T a, T b) { return std::isnan(a) ? a : std::isnan(b) ? b : b > a ? b : a; });
  check<T>(Opcode::fma, 3, [](T a, T b, T c) { return std::fma(a, b, c); });
  check<T>(Opcode::muladd, 3, [](T a, T b, T c) { return std::fma(a, b, c); });
}

namespace {

template <class T, class F> void check_compare(Opcode code, F reference) {
  auto in = operands<T>(2);
  for (int32_t lanes : {1, 16}) {
    auto got = map<int8_t>(in, kScalar<T>, Scalar::i8, lanes, [&](Builder &b, std::vector<Value> v) {
      return b.cast(Opcode::zext, b.compare(code, v[0], v[1]), Scalar::i8);
    });
    for (size_t i = 0; i < got.size(); ++i)
      ASSERT_EQ(got[i] != 0, reference(in[0][i], in[1][i])) << name(code) << " " << +in[0][i] << ", " << +in[1][i];
  }
}

template <class T> void check_ordered() {
  check_compare<T>(Opcode::eq, [](T a, T b) { return a == b; });
  check_compare<T>(Opcode::ne, [](T a, T b) { return a != b; });
  check_compare<T>(Opcode::lt, [](T a, T b) { return a < b; });
  check_compare<T>(Opcode::le, [](T a, T b) { return a <= b; });
  check_compare<T>(Opcode::gt, [](T a, T b) { return a > b; });
  check_compare<T>(Opcode::ge, [](T a, T b) { return a >= b; });
}

} // namespace

TYPED_TEST(Integers, Comparisons) {
  using T = TypeParam;
  using U = std::make_unsigned_t<T>;
  check_ordered<T>();
  check_compare<T>(Opcode::ult, [](T a, T b) { return U(a) < U(b); });
  check_compare<T>(Opcode::ule, [](T a, T b) { return U(a) <= U(b); });
  check_compare<T>(Opcode::ugt, [](T a, T b) { return U(a) > U(b); });
  check_compare<T>(Opcode::uge, [](T a, T b) { return U(a) >= U(b); });
}
TYPED_TEST(Floats, Comparisons) { check_ordered<TypeParam>(); }

// Masks: logic of i1, and selection by lane and by a scalar.
TEST(InterpLanes, MasksSelect) {
  auto in = operands<int32_t>(2);
  for (int32_t lanes : {1, 16}) {
    auto got = map<int32_t>(in, Scalar::i32, Scalar::i32, lanes, [&](Builder &b, std::vector<Value> v) {
      Value less = b.compare(Opcode::lt, v[0], v[1]), same = b.compare(Opcode::eq, v[0], v[1]);
      Value wrong = b.unary(Opcode::bit_not, b.binary(Opcode::bit_or, less, same));
      Value greater = b.compare(Opcode::gt, v[0], v[1]);
      Value agree = b.unary(Opcode::bit_not, b.binary(Opcode::bit_xor, wrong, greater)); // always
      Value sign = b.cast(Opcode::sext, b.binary(Opcode::bit_and, agree, less), Scalar::i32);
      return b.add(b.select(less, v[0], v[1]), sign);
    });
    for (size_t i = 0; i < got.size(); ++i) {
      int32_t a = in[0][i], c = in[1][i];
      ASSERT_EQ(got[i], static_cast<int32_t>(static_cast<uint32_t>(std::min(a, c)) - (a < c)));
    }
  }
}

namespace {

template <class From, class To, class F> void check_cast(Opcode code, F reference) {
  std::vector<std::vector<From>> in = {hard_values<From>()};
  for (double v : {2147483648.0, 4294967295.0, 4294967296.0, 9.3e18, 1.9e19, 127.5, 128.0, 255.5, 256.0, 65535.9})
    for (double s : {v, -v})
      in[0].push_back(static_cast<From>(std::is_floating_point_v<From> ? s : std::clamp(s, -100.0, 100.0)));
  for (int32_t lanes : {1, 16}) {
    auto got = map<To>(in, kScalar<From>, kScalar<To>, lanes,
                       [&](Builder &b, std::vector<Value> v) { return b.cast(code, v[0], kScalar<To>); });
    for (size_t i = 0; i < got.size(); ++i)
      ASSERT_TRUE(same_value(got[i], static_cast<To>(reference(in[0][i]))))
          << name(code) << " " << name(kScalar<From>) << " to " << name(kScalar<To>) << ": " << +in[0][i] << " = "
          << +got[i];
  }
}

template <class From, class To> void check_int_to_int() {
  using U = std::make_unsigned_t<From>;
  if constexpr (sizeof(To) > sizeof(From)) {
    check_cast<From, To>(Opcode::sext, [](From a) { return static_cast<To>(a); });
    check_cast<From, To>(Opcode::zext, [](From a) { return static_cast<To>(static_cast<U>(a)); });
  } else if constexpr (sizeof(To) < sizeof(From)) {
    check_cast<From, To>(Opcode::trunc, [](From a) { return static_cast<To>(static_cast<U>(a)); });
  }
}

// long double holds every 64-bit integer and rounds once to the target.
template <class I, class F> void check_int_float() {
  using U = std::make_unsigned_t<I>;
  check_cast<I, F>(Opcode::sitofp, [](I a) { return static_cast<F>(static_cast<long double>(a)); });
  check_cast<I, F>(Opcode::uitofp, [](I a) { return static_cast<F>(static_cast<long double>(static_cast<U>(a))); });
  auto clamped = [](auto tag, F a) {
    using To = decltype(tag);
    using L = std::numeric_limits<To>;
    if (std::isnan(a)) return To{0};
    long double x = std::trunc(static_cast<long double>(a));
    return x <= L::min() ? L::min() : x >= L::max() ? L::max() : static_cast<To>(x);
  };
  check_cast<F, I>(Opcode::fptosi, [&](F a) { return clamped(I{}, a); });
  check_cast<F, I>(Opcode::fptoui, [&](F a) { return clamped(U{}, a); });
}

template <class I> void check_int_casts() {
  check_int_to_int<I, int8_t>();
  check_int_to_int<I, int16_t>();
  check_int_to_int<I, int32_t>();
  check_int_to_int<I, int64_t>();
  check_int_float<I, float>();
  check_int_float<I, double>();
}

} // namespace

TYPED_TEST(Integers, Casts) { check_int_casts<TypeParam>(); }

TEST(InterpLanes, FloatCasts) {
  check_cast<float, double>(Opcode::fpext, [](float a) { return a; });
  check_cast<double, float>(Opcode::fptrunc, [](double a) { return a; });
}

// Every f16 and bf16 widens exactly; every neighbourhood of a rounding boundary narrows as the generic converter says,
// once.
TEST(InterpLanes, HalvesAreExact) {
  for (auto [scalar, dtype] : {std::pair(Scalar::f16, DType::f16), std::pair(Scalar::bf16, DType::bf16)}) {
    std::vector<std::vector<uint16_t>> all(1);
    for (int k = 0; k < 65536; ++k) all[0].push_back(static_cast<uint16_t>(k));
    auto single = map<float>(all, scalar, Scalar::f32, 16, [&](Builder &b, std::vector<Value> v) {
      return b.cast(Opcode::fpext, v[0], Scalar::f32);
    });
    auto wide = map<double>(all, scalar, Scalar::f64, 16,
                            [&](Builder &b, std::vector<Value> v) { return b.cast(Opcode::fpext, v[0], Scalar::f64); });
    std::vector<std::vector<double>> doubles(1);
    std::vector<std::vector<float>> floats(1);
    for (int k = 0; k < 65536; ++k) {
      double exact = decode(dtype, static_cast<uint64_t>(k));
      ASSERT_TRUE(same_value(wide[k], exact)) << k;
      ASSERT_TRUE(same_value(single[k], static_cast<float>(exact))) << k;
      double above = decode(dtype, static_cast<uint64_t>(k) + ((k & 0x7fff) == 0x7fff ? 0 : 1));
      for (double v : {exact, (exact + above) / 2, std::nextafter((exact + above) / 2, 1e300),
                       std::nextafter((exact + above) / 2, -1e300)}) {
        doubles[0].push_back(v);
        floats[0].push_back(static_cast<float>(v));
      }
    }
    for (double v : {65504.0, 65519.99, 65520.0, 65536.0, 3.3895e38, 3.4e38, 1e300, HUGE_VAL, 5e-324, 1e-40}) {
      doubles[0].insert(doubles[0].end(), {v, -v});
      floats[0].insert(floats[0].end(), {static_cast<float>(v), static_cast<float>(-v)});
    }
    auto from_double = map<uint16_t>(doubles, Scalar::f64, scalar, 16, [&](Builder &b, std::vector<Value> v) {
      return b.cast(Opcode::fptrunc, v[0], scalar);
    });
    auto from_float = map<uint16_t>(floats, Scalar::f32, scalar, 16, [&](Builder &b, std::vector<Value> v) {
      return b.cast(Opcode::fptrunc, v[0], scalar);
    });
    for (size_t i = 0; i < doubles[0].size(); ++i) {
      ASSERT_EQ(from_double[i], encode(dtype, doubles[0][i])) << name(scalar) << " " << doubles[0][i];
      ASSERT_EQ(from_float[i], encode(dtype, floats[0][i])) << name(scalar) << " " << floats[0][i];
    }
  }
}

TEST(InterpLanes, BitcastsKeepTheBits) {
  std::vector<std::vector<float>> in = {hard_values<float>()};
  auto bits = map<int32_t>(in, Scalar::f32, Scalar::i32, 4,
                           [](Builder &b, std::vector<Value> v) { return b.bitcast(v[0], {Scalar::i32, 4}); });
  EXPECT_EQ(std::memcmp(bits.data(), in[0].data(), bits.size() * 4), 0);
  // A mask as a byte, lane 0 lowest, and back.
  auto masks =
      map<int8_t>(std::vector<std::vector<int8_t>>{{0, 1, -1, 0x55, -128}}, Scalar::i8, Scalar::i8, 1,
                  [](Builder &b, std::vector<Value> v) {
                    Value mask = b.bitcast(v[0], {Scalar::i1, 8});
                    Value first = b.cast(Opcode::zext, b.extract(mask, 0), Scalar::i8);
                    return b.binary(Opcode::bit_xor, b.bitcast(b.unary(Opcode::bit_not, mask), {Scalar::i8}), first);
                  });
  EXPECT_EQ(masks, (std::vector<int8_t>{-1, -1, 1, -86 ^ 1, 127}));
}

// reduce.* pairs lane i with lane i + N/2; the order shows in float sums.
TEST(InterpLanes, ReductionsAreTrees) {
  std::vector<float> v = {1e8f, 1, -1e8f, 3, 0.5f, 1e-8f, 7, -2};
  auto tree = [](std::vector<float> x, auto combine) {
    for (size_t half = x.size() / 2; half; half /= 2)
      for (size_t i = 0; i < half; ++i) x[i] = combine(x[i], x[i + half]);
    return x[0];
  };
  Module module;
  Builder b(module, "f");
  Value x = b.buffer_param("x", Scalar::f32, true), y = b.buffer_param("y", Scalar::f32, false);
  Value lanes = b.load(x, 0, 8);
  b.store(b.reduce(Opcode::reduce_add, lanes), y, 0);
  b.store(b.reduce(Opcode::reduce_min, lanes), y, 1);
  b.store(b.reduce(Opcode::reduce_max, lanes), y, 2);
  b.store(b.shuffle(lanes, b.broadcast(b.extract(lanes, 3), 8), {7, 0, 8, -1}), y, 3);
  Value iota = b.cast(Opcode::sitofp, b.iota({Scalar::i32, 4}), Scalar::f32);
  b.store(b.add(iota, b.broadcast(b.constant(kF32, 0.5), 4)), y, 7);
  b.finish();
  std::vector<float> out(11);
  auto info = interpret(module, "f", std::vector{Argument::readonly(v.data(), 32), Argument::buffer(out.data(), 44)});
  ASSERT_TRUE(info) << to_string(info.errors()[0]);
  EXPECT_EQ(out[0], tree(v, [](float a, float c) { return a + c; }));
  EXPECT_EQ(out[1], -1e8f);
  EXPECT_EQ(out[2], 1e8f);
  EXPECT_EQ((std::vector<float>(out.begin() + 3, out.end())),
            (std::vector<float>{-2, 1e8f, 3, 0, 0.5f, 1.5f, 2.5f, 3.5f}));
}

} // namespace cameo::loop
