// Work in child processes: a crash, a hang or a leak there is a result here. The children are forks of this process (no
// program is started), so call this before any thread exists.
#pragma once

#include "cameo/support/result.h"

#include <cstdint>
#include <functional>
#include <string>

namespace cameo {

struct ChildLimits {
  double seconds = 60;            ///< wall-clock time, then SIGKILL
  int64_t memory_bytes = 0;       ///< address space (RLIMIT_AS); 0: no limit
  int64_t result_bytes = 1 << 20; ///< of the result and of stderr, each; what exceeds it is dropped
};

struct ChildResult {
  enum class End : uint8_t { exited, signaled, timed_out };
  End end = End::exited;
  int code = 0;       ///< exit code, or signal number
  std::string result; ///< what the body returned; partial when the child crashed
  std::string errors; ///< what the child wrote to stderr
  double seconds = 0; ///< wall-clock time
};

/// `exit code 3`, `killed by signal 11 (Segmentation fault)`, `time limit of 60 s exceeded`.
std::string describe(const ChildResult &result, const ChildLimits &limits);

/// Runs body() in a forked child, where stdout goes to stderr, and returns how it ended. The body's text comes back
/// through a pipe; it ends with exit code 0, or 70 when an exception escapes the body. Errors: io, when no child can be
/// started.
Result<ChildResult> run_in_child(const std::function<std::string()> &body, const ChildLimits &limits = {});

/// body(i) for i in [0, count), up to `jobs` children at once; done(i, result) runs here as each ends.
Status run_in_children(size_t count, size_t jobs, const ChildLimits &limits,
                       const std::function<std::string(size_t)> &body,
                       const std::function<void(size_t, ChildResult)> &done);

} // namespace cameo
