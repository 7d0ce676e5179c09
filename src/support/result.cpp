#include "cameo/support/result.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace cameo {

void check_failed(const char *file, int line, const char *condition, const std::string &message) {
  throw InternalError(std::string(file) + ":" + std::to_string(line) + ": " + condition + ": " + message);
}

ExitCode exit_code(const Diagnostics &problems) {
  constexpr std::array order = {ExitCode::internal,    ExitCode::io,          ExitCode::cannot_create,
                                ExitCode::usage,       ExitCode::missing,     ExitCode::bad_model,
                                ExitCode::unsupported, ExitCode::check_failed};
  for (ExitCode code : order)
    if (std::any_of(problems.begin(), problems.end(), [&](const Diagnostic &d) { return d.code == code; })) return code;
  return ExitCode::ok;
}

std::string to_string(const Diagnostic &problem) {
  return problem.where.empty() ? problem.what : problem.where + ": " + problem.what;
}

namespace {
// Length of the well-formed UTF-8 sequence at `p` (RFC 3629), or 0.
size_t utf8_length(const unsigned char *p, size_t left) {
  auto tail = [&](size_t i, unsigned char lo = 0x80, unsigned char hi = 0xbf) {
    return i < left && p[i] >= lo && p[i] <= hi;
  };
  if (p[0] < 0x80) return 1;
  if (p[0] >= 0xc2 && p[0] <= 0xdf) return tail(1) ? 2 : 0;
  if (p[0] >= 0xe0 && p[0] <= 0xef)
    return tail(1, p[0] == 0xe0 ? 0xa0 : 0x80, p[0] == 0xed ? 0x9f : 0xbf) && tail(2) ? 3 : 0;
  if (p[0] >= 0xf0 && p[0] <= 0xf4)
    return tail(1, p[0] == 0xf0 ? 0x90 : 0x80, p[0] == 0xf4 ? 0x8f : 0xbf) && tail(2) && tail(3) ? 4 : 0;
  return 0;
}
} // namespace

std::string escape_name(const std::string &name, size_t limit) {
  std::string out;
  const auto *p = reinterpret_cast<const unsigned char *>(name.data());
  for (size_t i = 0; i < name.size();) {
    size_t length = utf8_length(p + i, name.size() - i);
    std::string piece;
    bool plain =
        length > 1 || (length == 1 && p[i] >= 0x20 && p[i] != 0x7f && p[i] != '\'' && p[i] != '"' && p[i] != '\\');
    if (length == 2 && p[i] == 0xc2 && p[i + 1] < 0xa0) plain = false; // C1 control characters
    if (plain) {
      piece = name.substr(i, length);
    } else {
      length = 1;
      char buffer[8];
      std::snprintf(buffer, sizeof buffer, "\\x%02x", p[i]);
      piece = buffer;
    }
    if (out.size() + piece.size() > limit) return out + "...";
    out += piece;
    i += length;
  }
  return out;
}

} // namespace cameo
