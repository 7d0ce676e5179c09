// Element-wise functions (loop/elementwise.h) as compiled code.
#pragma once

#include "../loop/elementwise.h"
#include "emit_cases.h"

namespace cameo::codegen {

/// Calls into `code`, which must live as long.
inline loop::RunElementwise compiled(const Jit &code) {
  return [&code](const std::string &function, std::vector<std::span<const std::byte>> inputs,
                 std::span<std::byte> output, int64_t n) {
    using In = const std::byte *;
    cameo_env env{};
    switch (inputs.size()) {
    case 1:
      return code.function<void(cameo_env *, In, std::byte *, int64_t)>(function)(&env, inputs[0].data(), output.data(),
                                                                                  n);
    case 2:
      return code.function<void(cameo_env *, In, In, std::byte *, int64_t)>(function)(
          &env, inputs[0].data(), inputs[1].data(), output.data(), n);
    default:
      ASSERT_EQ(inputs.size(), 3u);
      return code.function<void(cameo_env *, In, In, In, std::byte *, int64_t)>(function)(
          &env, inputs[0].data(), inputs[1].data(), inputs[2].data(), output.data(), n);
    }
  };
}

} // namespace cameo::codegen
