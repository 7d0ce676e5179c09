// Assertions about our own code. A failed check is a bug in Cameo, never the user's fault: it throws InternalError,
// which only the driver's boundary catches (exit code 70, "internal error", with the text). Input from a file must
// never reach one.
#pragma once

#include <stdexcept>
#include <string>

namespace cameo {

/// Thrown by CAMEO_CHECK. Not caught inside the compiler: only the driver's boundary, and tests of the checks, catch
/// it.
struct InternalError : std::logic_error {
  using std::logic_error::logic_error;
};

/// Throws InternalError with file, line, the failed condition and the message.
[[noreturn]] void check_failed(const char *file, int line, const char *condition, const std::string &message);

} // namespace cameo

#ifdef __FILE_NAME__
#define CAMEO_FILE __FILE_NAME__ // no build path in the binary
#else
#define CAMEO_FILE __FILE__
#endif

/// Always on, in every build type: CAMEO_CHECK(rank == 2, "matmul of rank " + std::to_string(rank)).
#define CAMEO_CHECK(condition, message)                                                                                \
  do {                                                                                                                 \
    if (!(condition)) [[unlikely]]                                                                                     \
      ::cameo::check_failed(CAMEO_FILE, __LINE__, #condition, (message));                                              \
  } while (0)
#define CAMEO_UNREACHABLE(message) ::cameo::check_failed(CAMEO_FILE, __LINE__, "unreachable", (message))
