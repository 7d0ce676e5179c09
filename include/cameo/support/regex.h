// Regular expressions of RE2's syntax (https://github.com/google/re2/wiki/Syntax) as programs of a machine that runs
// all ways to match side by side (Thompson, CACM 11, 1968): time is linear in the text, whatever the expression.
#pragma once

#include "cameo/support/result.h"

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace cameo {

/// One step: {kind, a, b, next}. The program starts at the first one.
enum class RegexStep : int32_t {
  byte,   ///< a byte from a to b, then `next`
  fork,   ///< both a and b
  holds,  ///< `next` where RegexPlace a holds
  accept, ///< all of it was read: a match, if the text ends here
};
enum class RegexPlace : int32_t { begin_text, end_text, begin_line, end_line, word_edge, no_word_edge };

using RegexProgram = std::vector<std::array<int32_t, 4>>;

/// Texts are UTF-8; bytes that are none are matched by \C only. Errors, without a place: bad_model (no expression of
/// RE2), unsupported (Unicode classes, `(?i)` with letters beyond ASCII, more steps than a library should hold).
Result<RegexProgram> compile_regex(std::string_view pattern);

} // namespace cameo
