// Loops over buffers for tests that run one and the same module interpreted and compiled.
#pragma once

#include "cameo/loop/builder.h"
#include "cameo/loop/interp.h"

#include <gtest/gtest.h>

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace cameo::loop {

/// Runs function(inputs..., output, n), however it is executed.
using RunElementwise = std::function<void(const std::string &function, std::vector<std::span<const std::byte>> inputs,
                                          std::span<std::byte> output, int64_t n)>;

template <class T> std::span<const std::byte> bytes_of(const std::vector<T> &v) { return std::as_bytes(std::span(v)); }
template <class T> std::span<std::byte> writable_bytes_of(std::vector<T> &v) {
  return std::as_writable_bytes(std::span(v));
}

/// name(x..., out, n): out[i] = build(x[i]...) for n a multiple of `lanes`.
inline void add_elementwise(Module &module, const std::string &name, std::vector<Scalar> inputs, Scalar output,
                            int32_t lanes, const std::function<Value(Builder &, std::span<const Value>)> &build) {
  Builder b(module, name);
  b.function().exported = true;
  std::vector<Value> buffers;
  for (Scalar scalar : inputs) buffers.push_back(b.buffer_param("x" + std::to_string(buffers.size()), scalar, true));
  Value out = b.buffer_param("out", output, false), n = b.scalar_param("n");
  b.for_loop(b.index_constant(0), n, lanes, {}, [&](Value i, std::span<const Value>) {
    std::vector<Value> x;
    for (Value buffer : buffers) x.push_back(b.load(buffer, i, lanes));
    b.store(build(b, x), out, i);
    return std::vector<Value>();
  });
  b.finish();
}

/// Runs on the interpreter; `module` must live as long.
inline RunElementwise interpreted(const Module &module) {
  auto interpreter = std::make_shared<Interpreter>(module);
  return [interpreter](const std::string &function, std::vector<std::span<const std::byte>> inputs,
                       std::span<std::byte> output, int64_t n) {
    std::vector<Argument> arguments;
    for (auto in : inputs) arguments.push_back(Argument::readonly(in.data(), static_cast<int64_t>(in.size())));
    arguments.push_back(Argument::buffer(output.data(), static_cast<int64_t>(output.size())));
    arguments.push_back(Argument::integer(n));
    auto result = interpreter->run(function, arguments);
    ASSERT_TRUE(result.ok()) << to_string(result.errors()[0]);
  };
}

} // namespace cameo::loop
