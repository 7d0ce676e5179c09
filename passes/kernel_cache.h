// Identical (kernel, bindings, schedule) become one function of the module. Private to passes/.
#pragma once

#include "cameo/loop/apply.h"

#include <map>
#include <string>

namespace cameo::passes {

class KernelCache {
public:
  KernelCache(loop::Module &module, const loop::Target &target) : module_(module), target_(target) {}

  /// The applied kernel, from the cache when an identical one was asked for before.
  const loop::AppliedKernel &get(const loop::Kernel &kernel, const std::vector<loop::Binding> &bindings,
                                 const loop::Schedule &schedule);
  int64_t size() const { return static_cast<int64_t>(known_.size()); }

private:
  loop::Module &module_;
  const loop::Target &target_;
  std::map<std::string, loop::AppliedKernel> known_;
  std::map<std::string, int> names_;
};

/// Everything that apply() looks at, but names and origins, as bytes: equal keys give equal code.
std::string kernel_key(const loop::Kernel &kernel, const std::vector<loop::Binding> &bindings,
                       const loop::Schedule &schedule);

} // namespace cameo::passes
