// The memory invariants (M1 to M4 of verify.cpp), on functions whose structure and types are known to be right.
#pragma once

#include "cameo/loop/ir.h"

#include <functional>
#include <map>

namespace cameo::loop {

using FunctionTable = std::map<std::string_view, const Function *>; ///< by name

/// `functions` has every callee. Calls `report(op number, op, what)` for each violation; operations are numbered in
/// pre-order.
void verify_memory(const FunctionTable &functions, const Function &function,
                   const std::function<void(int64_t, const Op &, const std::string &)> &report);

} // namespace cameo::loop
