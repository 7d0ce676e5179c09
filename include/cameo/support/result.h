// How Cameo reports the user's faults: a Result<T> carries either a value or every problem found, each with the exit
// code it maps to. Our own faults are assertions (cameo/support/check.h), never Results. Exceptions do not cross our
// functions.
#pragma once

#include "cameo/support/check.h"

#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace cameo {

/// The documented exit codes of the tool (DESIGN: the command line; numbers from sysexits.h where it has them).
enum class ExitCode : int {
  ok = 0,
  check_failed = 1,   ///< a test or a benchmark gate failed
  usage = 2,          ///< the command line is wrong
  bad_model = 65,     ///< the model or another input file is malformed
  missing = 66,       ///< an input file does not exist or cannot be read
  unsupported = 69,   ///< valid, but not supported
  internal = 70,      ///< a fault of Cameo itself
  cannot_create = 73, ///< an output cannot be created
  io = 74,            ///< reading or writing failed half way, or the memory did not suffice
};

/// One problem, told in one line: `where: what`, lower case, subject first, values shown.
struct Diagnostic {
  ExitCode code = ExitCode::bad_model;
  std::string where; ///< file, or `file: node 'x' (Op)`, or `file:line:col`; may be empty
  std::string what;  ///< escaped already: no control characters, no name longer than 200 bytes (see escape_name)
};
using Diagnostics = std::vector<Diagnostic>;

/// Either a T or at least one Diagnostic. Move-only when T is.
template <class T> class [[nodiscard]] Result {
public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Diagnostic problem) : state_(std::in_place_index<1>, Diagnostics{std::move(problem)}) {}
  Result(Diagnostics problems) : state_(std::in_place_index<1>, std::move(problems)) {
    CAMEO_CHECK(!std::get<1>(state_).empty(), "a failed Result needs a diagnostic");
  }
  explicit operator bool() const { return state_.index() == 0; }
  bool ok() const { return state_.index() == 0; }
  T &operator*() & { return value(); }
  const T &operator*() const & { return value(); }
  T &&operator*() && { return std::move(value()); }
  T *operator->() { return &value(); }
  const T *operator->() const { return &value(); }
  T &value() {
    CAMEO_CHECK(ok(), "value() of a failed Result");
    return std::get<0>(state_);
  }
  const T &value() const {
    CAMEO_CHECK(ok(), "value() of a failed Result");
    return std::get<0>(state_);
  }
  const Diagnostics &errors() const {
    CAMEO_CHECK(!ok(), "errors() of a successful Result");
    return std::get<1>(state_);
  }

private:
  std::variant<T, Diagnostics> state_;
};

/// Success without a value.
struct Ok {};
using Status = Result<Ok>;

/// The exit code of a list of problems: the most severe in the order internal, io, cannot_create, usage, missing,
/// bad_model, unsupported, check_failed.
ExitCode exit_code(const Diagnostics &problems);

/// `where: what`, or `what` when there is no place.
std::string to_string(const Diagnostic &problem);

/// A name from an untrusted file made fit for a message: control characters, quotes, backslashes and bytes that are not
/// UTF-8 become \xNN, and what exceeds `limit` bytes is cut and marked with `...`.
std::string escape_name(const std::string &name, size_t limit = 200);

} // namespace cameo

/// Propagates the errors of a Result or yields its value: CAMEO_TRY(auto graph, import(path));
#define CAMEO_CONCAT_(a, b) a##b
#define CAMEO_CONCAT(a, b) CAMEO_CONCAT_(a, b)
#define CAMEO_TRY_(tmp, decl, expr)                                                                                    \
  auto tmp = (expr);                                                                                                   \
  if (!tmp.ok()) return tmp.errors();                                                                                  \
  decl = std::move(*tmp)
#define CAMEO_TRY(decl, expr) CAMEO_TRY_(CAMEO_CONCAT(result_, __LINE__), decl, expr)
#define CAMEO_TRY_STATUS(expr)                                                                                         \
  do {                                                                                                                 \
    auto status_ = (expr);                                                                                             \
    if (!status_.ok()) return status_.errors();                                                                        \
  } while (0)
