// Text form of explicit Loop IR: parse(print(m)) == m. Grammar beside the parser (src/loop/parse.cpp); ir.h has an
// example.
#pragma once

#include "cameo/loop/ir.h"

namespace cameo::loop {

/// Deterministic: no pointers, no hash order. Unnamed values print as %0, %1, ... in order of definition; names that
/// clash get a numeric suffix that is no part of the name: %x, %x#1.
std::string print(const Module &module);
std::string print(const Function &function);

/// `file` is for messages: `file:line:col: what`, followed by the line and a caret under the column (in
/// Diagnostic::what).
Result<Module> parse(std::string_view text, const std::string &file);

/// Structural equality up to the numbering of values; names count.
bool same(const Module &a, const Module &b);

} // namespace cameo::loop
