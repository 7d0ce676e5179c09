// Constants re-laid for their kernels while compiling: plain C++ that follows a placement. Private to passes/.
#pragma once

#include "cameo/passes/plan.h"

#include <cstddef>
#include <span>
#include <vector>

namespace cameo::passes {

/// The bytes of a constant (row-major in `data`) where the placement puts them, zeros elsewhere. `elements` is the size
/// of the result. Dtypes of less than a byte only in row-major order.
std::vector<std::byte> pack(const graph::ConstantData &data, const Placement &place, int64_t elements);

} // namespace cameo::passes
