#include "output_names.h"

#include "cameo/support/files.h"

#include <algorithm>
#include <filesystem>

namespace cameo::driver {

namespace {

namespace fs = std::filesystem;

// C23, POSIX and Linux headers without a folder.
constexpr std::string_view kSystemHeaders =
    " aio alloca ar argz assert byteswap complex cpio crypt ctype dirent dlfcn elf endian envz err errno error "
    "execinfo fcntl features fenv float fmtmsg fnmatch fts ftw getopt glob grp iconv ifaddrs inttypes iso646 "
    "langinfo libgen limits link locale malloc math memory mntent monetary mqueue ndbm netdb nl_types obstack "
    "paths poll printf pthread pty pwd regex resolv sched search semaphore setjmp shadow signal spawn stab "
    "stdalign stdarg stdatomic stdbit stdbool stdckdint stddef stdint stdio stdlib stdnoreturn string strings "
    "stropts syscall sysexits syslog tar termios tgmath thread_db threads time trace uchar ucontext ulimit "
    "unistd utime utmp utmpx values wait wchar wctype wordexp ";

// `libx.so.1.2` without `.1.2`.
std::string without_version(const std::string &name) {
  const size_t so = name.rfind(".so.");
  if (so == std::string::npos || so == 0) return name;
  const std::string version = name.substr(so + 4);
  const bool numbers = version.find_first_not_of("0123456789.") == std::string::npos && !version.empty();
  return numbers ? name.substr(0, so + 3) : name;
}

} // namespace

bool is_linkable(Emit emit) { return emit == Emit::so || emit == Emit::a || emit == Emit::obj; }

Result<OutputNames> output_names(const Options &options) {
  OutputNames names;
  if (options.output == "-") {
    names.emit = options.emit.value_or(Emit::so);
    names.to_stdout = true;
    if (is_linkable(names.emit))
      return Diagnostic{ExitCode::usage, "-o -", "a library has a header beside it: only text (--emit) goes to stdout"};
    if (!options.depfile.empty()) return Diagnostic{ExitCode::usage, "--depfile", "needs an output file, not stdout"};
    names.stem = file_stem(options.model);
    return names;
  }
  const std::string plain = without_version(options.output);
  const std::string suffix_given = fs::path(plain).extension().string();
  const std::optional<Emit> by_suffix = emit_from_path(plain);
  if (!options.emit && !by_suffix && !suffix_given.empty())
    return Diagnostic{ExitCode::usage, escape_name(options.output),
                      "which kind of output is '" + escape_name(suffix_given) +
                          "'? Name it .so, .a, .o, .s, .ll, .graph or .loops, or say --emit"};
  names.emit = options.emit ? *options.emit : by_suffix.value_or(Emit::so);
  names.output = options.output.empty() ? file_stem(options.model) + std::string(suffix(names.emit)) : options.output;
  names.stem = file_stem(without_version(names.output));
  if (is_linkable(names.emit)) names.header = (fs::path(names.output).parent_path() / names.stem).string() + ".h";
  return names;
}

bool hides_system_header(const std::string &header) {
  return kSystemHeaders.find(" " + file_stem(header) + " ") != std::string_view::npos;
}

std::string dependency_rule(const std::string &target, const std::vector<std::string> &dependencies) {
  auto escaped = [](const std::string &path) {
    std::string out;
    for (char c : path) {
      if (c == ' ' || c == '#') out += '\\';
      if (c == '$') out += '$';
      out += c;
    }
    return out;
  };
  std::string rule = escaped(target) + ":";
  for (const std::string &dependency : dependencies) rule += " \\\n  " + escaped(dependency);
  return rule + "\n";
}

} // namespace cameo::driver
