// How to look through the expressions of a kernel.
#pragma once

#include "cameo/loop/kernel.h"

#include <functional>

namespace cameo::loop {

/// Calls `visit` with each expression that the stage computes, once: its values, initial values and the indices of its
/// reads and stores.
void for_each_expr(const Kernel &kernel, int32_t stage, const std::function<void(const Expr &)> &visit);

/// The same for every stage, in order.
void for_each_expr(const Kernel &kernel, const std::function<void(int32_t stage, const Expr &)> &visit);
/// Those that read a stage.
void for_each_stage_read(const Kernel &kernel, int32_t stage, const std::function<void(const Expr &)> &visit);

/// The axis that an index is, without coefficient, constant or run-time part; -1 when it is something else.
int32_t axis_of(const Index &index);

/// Whether every coordinate of a read is the axis of the same number, always inside: point by point.
bool pointwise(const Expr &read);

} // namespace cameo::loop
