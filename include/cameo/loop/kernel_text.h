// Text form of kernels in stage form (kernel.h has an example): parse_kernel(print(k)) == k.
#pragma once

#include "cameo/loop/kernel.h"
#include "cameo/support/result.h"

namespace cameo::loop {

/// Deterministic; expressions stand in the order of their ids, each stage after the expressions that it needs.
std::string print(const Kernel &kernel);

/// Errors are `file:line:col: what` with the line and a caret. A kernel that parses satisfies verify(Kernel).
Result<Kernel> parse_kernel(std::string_view text, const std::string &file);

} // namespace cameo::loop
