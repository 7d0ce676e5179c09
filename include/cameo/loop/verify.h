// Invariants of explicit Loop IR. src/loop/verify.cpp checks every one of them and opens with the complete list in
// prose.
#pragma once

#include "cameo/loop/ir.h"

namespace cameo::loop {

/// Every violated invariant as `function @f: op N (name): what`; empty when the module is well formed.
std::vector<std::string> verify(const Module &module);
std::vector<std::string> verify(const Module &module, const Function &function);

/// CAMEO_CHECKs that verify() finds nothing; `stage` names the producer in the message.
void verify_or_die(const Module &module, std::string_view stage);

} // namespace cameo::loop
