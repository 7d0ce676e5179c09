// The boundary: exceptions of libraries (CLI11, protobuf, the standard library) and our own failed checks end here.
#include "cameo/driver/driver.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <unistd.h>

namespace cameo::driver {

namespace {

void say(const std::string &text) {
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t n = write(STDERR_FILENO, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return; // nobody listens: the exit code says it
    rest.remove_prefix(static_cast<size_t>(n));
  }
}

int internal(std::string what) {
  std::replace(what.begin(), what.end(), '\n', ' '); // one line per problem
  say("cameo: internal error: " + what + "\n");
  return static_cast<int>(ExitCode::internal);
}

} // namespace

int guarded(const std::function<Result<int>()> &body) {
  try {
    Result<int> result = body();
    if (result) return *result;
    std::string text;
    for (const Diagnostic &problem : result.errors()) text += "cameo: " + to_string(problem) + "\n";
    say(text);
    return static_cast<int>(exit_code(result.errors()));
  } catch (const std::bad_alloc &) {
    say("cameo: not enough memory\n"); // of the machine, or within the limit that the caller set
    return static_cast<int>(ExitCode::io);
  } catch (const std::exception &e) {
    return internal(e.what());
  } catch (...) {
    return internal("an exception of unknown type");
  }
}

} // namespace cameo::driver
