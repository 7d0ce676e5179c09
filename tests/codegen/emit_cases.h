// Element-wise cases for codegen: an operation built with the Builder beside the same in plain C++. All cases of a
// suite become one module, at several lane counts, compiled for each CPU level that this machine can run; the bits must
// agree.
#pragma once

#include "cameo/codegen/jit.h"
#include "cameo/loop/builder.h"
#include "cameo/loop/verify.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>

namespace cameo::codegen {

using loop::Affine;
using loop::Builder;
using loop::kIndex;
using loop::Opcode;
using loop::Scalar;
using loop::Type;
using loop::Value;

/// The targets to run on: the psABI levels that this machine has, and the machine itself.
inline std::vector<loop::Target> runnable_targets() {
  std::vector<loop::Target> result;
  for (const char *name : {"x86-64-v2", "x86-64-v3", "x86-64-v4", "native"}) {
    auto targets = resolve_targets(name);
    EXPECT_TRUE(targets.ok());
    if (host_can_run(targets->at(0)))
      result.push_back(targets->at(0));
    else
      std::printf("this machine cannot run %s: not executed for it\n", name);
  }
  return result;
}

inline Jit jit(const loop::Module &module, const loop::Target &target,
               const std::map<std::string, void *> &externals = {}) {
  auto problems = loop::verify(module);
  EXPECT_TRUE(problems.empty()) << problems[0];
  auto code = Jit::create(module, target, {}, externals);
  EXPECT_TRUE(code.ok()) << to_string(code.errors()[0]);
  return std::move(*code);
}

template <class T> constexpr Scalar scalar_of() {
  if constexpr (std::is_same_v<T, float>)
    return Scalar::f32;
  else if constexpr (std::is_same_v<T, double>)
    return Scalar::f64;
  else
    return sizeof(T) == 1 ? Scalar::i8 : sizeof(T) == 2 ? Scalar::i16 : sizeof(T) == 4 ? Scalar::i32 : Scalar::i64;
}

class Suite {
public:
  using Build = std::function<Value(Builder &, std::span<const Value> args)>;

  /// `build` computes an R from one value per A; the same from `reference`. Every combination of `inputs` is tried.
  template <class R, class... A>
  void add(const std::string &name, Build build, std::type_identity_t<R (*)(A...)> reference,
           const std::vector<std::vector<double>> &inputs, bool (*applies)(const loop::Target &) = nullptr) {
    static_assert(sizeof...(A) >= 1 && sizeof...(A) <= 3);
    Case c{name, std::move(build), {scalar_of<A>()...}, scalar_of<R>(), {}, {}, 0, applies};
    std::vector<std::vector<double>> rows(1);
    for (size_t k = 0; k < sizeof...(A); ++k) {
      std::vector<std::vector<double>> next;
      for (const auto &row : rows)
        for (double x : inputs[k % inputs.size()]) {
          next.push_back(row);
          next.back().push_back(x);
        }
      rows = std::move(next);
    }
    while (rows.size() % kMultiple) rows.push_back(rows.back());
    c.count = int64_t(rows.size());
    c.inputs.resize(sizeof...(A));
    for (const auto &row : rows) {
      std::tuple<A...> args;
      fill(args, row, std::index_sequence_for<A...>());
      [&]<size_t... K>(std::index_sequence<K...>) {
        (append(c.inputs[K], std::get<K>(args)), ...);
      }(std::index_sequence_for<A...>());
      append(c.expected, std::apply(reference, args));
    }
    cases_.push_back(std::move(c));
  }

  void run() {
    for (const loop::Target &target : runnable_targets()) {
      SCOPED_TRACE(target.name);
      loop::Module module;
      for (const Case &c : cases_)
        if (!c.applies || c.applies(target))
          for (int32_t lanes : kLanes) build(module, c, lanes);
      Jit code = jit(module, target);
      for (const Case &c : cases_)
        if (!c.applies || c.applies(target))
          for (int32_t lanes : kLanes) check(code, c, lanes);
    }
  }

private:
  static constexpr std::array<int32_t, 3> kLanes = {1, 3, 16};
  static constexpr size_t kMultiple = 48;
  struct Case {
    std::string name;
    Build build;
    std::vector<Scalar> args;
    Scalar result;
    std::vector<std::vector<char>> inputs;
    std::vector<char> expected;
    int64_t count;
    bool (*applies)(const loop::Target &);
  };

  template <class T> static void append(std::vector<char> &bytes, T value) {
    const char *p = reinterpret_cast<const char *>(&value);
    bytes.insert(bytes.end(), p, p + sizeof value);
  }
  template <class T> static T from(double x) {
    if constexpr (std::is_floating_point_v<T>)
      return T(x);
    else if (x >= 9.3e18)
      return T(-1); // "all ones" of unsigned kinds
    else if (x >= 9.2e18)
      return std::numeric_limits<T>::max();
    else if (x <= -9.2e18)
      return std::numeric_limits<T>::min();
    else
      return T(int64_t(x));
  }
  template <class Tuple, size_t... K>
  static void fill(Tuple &args, const std::vector<double> &row, std::index_sequence<K...>) {
    ((std::get<K>(args) = from<std::tuple_element_t<K, Tuple>>(row[K])), ...);
  }

  static std::string function_name(const Case &c, int32_t lanes) { return c.name + "x" + std::to_string(lanes); }

  static void build(loop::Module &module, const Case &c, int32_t lanes) {
    Builder b(module, function_name(c, lanes));
    b.function().exported = true;
    std::vector<Value> buffers;
    for (Scalar s : c.args) buffers.push_back(b.buffer_param("x" + std::to_string(buffers.size()), s, true));
    Value out = b.buffer_param("out", c.result, false), n = b.scalar_param("n");
    b.for_loop(b.index_constant(0), n, lanes, {}, [&](Value i, std::span<const Value>) {
      std::vector<Value> args;
      for (Value buffer : buffers) args.push_back(b.load(buffer, i, lanes));
      b.store(c.build(b, args), out, i);
      return std::vector<Value>();
    });
    b.finish();
  }

  static void check(const Jit &code, const Case &c, int32_t lanes) {
    std::vector<char> got(c.expected.size(), 0x55);
    cameo_env env{};
    std::string name = function_name(c, lanes);
    auto in = [&](size_t k) { return c.inputs[k].data(); };
    switch (c.args.size()) {
    case 1:
      code.function<void(cameo_env *, const char *, char *, int64_t)>(name)(&env, in(0), got.data(), c.count);
      break;
    case 2:
      code.function<void(cameo_env *, const char *, const char *, char *, int64_t)>(name)(&env, in(0), in(1),
                                                                                          got.data(), c.count);
      break;
    default:
      code.function<void(cameo_env *, const char *, const char *, const char *, char *, int64_t)>(name)(
          &env, in(0), in(1), in(2), got.data(), c.count);
    }
    size_t size = c.expected.size() / size_t(c.count);
    for (int64_t i = 0; i < c.count; ++i) {
      const char *a = &got[size_t(i) * size], *e = &c.expected[size_t(i) * size];
      if (std::memcmp(a, e, size) == 0) continue;
      if (is_float(c.result) && std::isnan(number(a, c.result)) && std::isnan(number(e, c.result))) continue;
      std::string args;
      for (size_t k = 0; k < c.args.size(); ++k)
        args += " " + std::to_string(number(&c.inputs[k][size_t(i) * size_t(loop::bits(c.args[k]) / 8)], c.args[k]));
      ADD_FAILURE() << name << " of" << args << ": got " << number(a, c.result) << ", expected " << number(e, c.result);
      return;
    }
  }

  static double number(const char *p, Scalar s) {
    auto read = [&]<class T>(T value) {
      std::memcpy(&value, p, sizeof value);
      return double(value);
    };
    switch (s) {
    case Scalar::f32:
      return read(float());
    case Scalar::f64:
      return read(double());
    case Scalar::i8:
      return read(int8_t());
    case Scalar::i16:
      return read(int16_t());
    case Scalar::i32:
      return read(int32_t());
    default:
      return read(int64_t());
    }
  }

  std::vector<Case> cases_;
};

} // namespace cameo::codegen
