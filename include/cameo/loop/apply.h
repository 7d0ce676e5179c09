// apply(): kernel + bindings + target + schedule -> explicit Loop IR. A pure function; its arguments are the cache key
// of the compiled kernel.
#pragma once

#include "cameo/loop/schedule.h"

namespace cameo::loop {

struct AppliedKernel {
  std::string function;      ///< name of the function that was added to the module
  int64_t scratch_bytes = 0; ///< size of the function's last buffer parameter, aligned to 64; it is absent when 0
  int64_t tasks = 1;         ///< the largest number of tasks of a parallel loop
};

/// Adds `func @name(buffers..., [scratch: buf<i8>], symbols...)` to the module. Buffer parameters have the storage kind
/// of their dtype and stand in the kernel's order. Illegal schedules (a placement that does not cover a consumer, a
/// reordered sequential axis, a partial sum without combine) are CAMEO_CHECKs: legality is the schedule producer's duty
/// and is_legal tells.
AppliedKernel apply(Module &module, const Kernel &kernel, const std::vector<Binding> &bindings, const Target &target,
                    const Schedule &schedule, const std::string &name);

/// The schedule that the analytical model of the target picks. Bindings of constants may be replaced by the packed
/// formats that it wants: the caller packs their bytes accordingly.
Schedule default_schedule(const Kernel &kernel, std::vector<Binding> &bindings, const Target &target);

/// The plainest schedule: every stage at root, scalar loops. The oracle for all others.
Schedule plain_schedule(const Kernel &kernel);

} // namespace cameo::loop
