// From words to Options, and from reports to stdout: what the verbs share.
#include "command.h"

#include "cameo/support/files.h"
#include "cameo/support/nearest.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <spdlog/sinks/stdout_sinks.h>
#include <system_error>
#include <unistd.h>

namespace cameo::tool {

void declare_model(CLI::App &app, Words &words, const char *what) {
  app.add_option("model", words.options.model, what)->required()->type_name("");
}

void declare_compilation(CLI::App &app, Words &words) {
  app.add_option("--dim", words.dims, "Fix a symbolic dimension: NAME=N (may be repeated)")
      ->type_name("NAME=N")
      ->allow_extra_args(false);
  app.add_option("--target-cpu", words.target_cpu,
                 "CPUs to compile for: native (default), portable, or a list such as x86-64-v3,x86-64-v4")
      ->type_name("CPU");
  app.add_option("--winograd", words.options.winograd,
                 "Minimal filtering of 3x3 convolutions, faster and less exact: off, f2, or auto (default)")
      ->type_name("WHICH")
      ->check(CLI::IsMember({"off", "f2", "auto"}));
  app.add_option("--external-data-root", words.options.external_data_root,
                 "Folder besides the model's own that external data may lie in")
      ->type_name("DIR");
}

void declare_threads(CLI::App &app, Words &words) {
  app.add_option("--threads", words.options.threads, "Threads of a run (default 1)")
      ->type_name("N")
      ->check(CLI::Range(1, 1024));
}

void declare_json_flag(CLI::App &app, Words &words) { app.add_flag("--json", words.json, "Print the report as JSON"); }

void declare_json_file(CLI::App &app, Words &words) {
  app.add_option("--json", words.json_file, "Write the report as JSON (- for stdout)")->type_name("FILE");
}

namespace {

Diagnostic usage(const std::string &what) { return {ExitCode::usage, "", what}; }

// NAME=VALUE at the first `=` that leaves a name.
std::optional<std::pair<std::string, std::string>> split(const std::string &word) {
  const size_t at = word.find('=', 1);
  if (at == std::string::npos || at + 1 == word.size()) return std::nullopt;
  return std::pair(word.substr(0, at), word.substr(at + 1));
}

} // namespace

Status parse_words(Words &words) {
  Diagnostics problems;
  for (const std::string &word : words.dims) {
    const auto pair = split(word);
    int64_t value = -1;
    if (pair) {
      const char *end = pair->second.data() + pair->second.size();
      const auto [stop, error] = std::from_chars(pair->second.data(), end, value);
      if (error != std::errc() || stop != end) value = -1;
    }
    if (value < 0)
      problems.push_back(usage("--dim: '" + escape_name(word) + "' is not NAME=N with N >= 0"));
    else if (std::any_of(words.options.dims.begin(), words.options.dims.end(),
                         [&](const auto &d) { return d.first == pair->first; }))
      problems.push_back(usage("--dim: '" + escape_name(pair->first) + "' is given twice"));
    else
      words.options.dims.emplace_back(pair->first, value);
  }
  for (const std::string &word : words.inputs) {
    const auto pair = split(word);
    if (!pair)
      problems.push_back(usage("--input: '" + escape_name(word) + "' is not NAME=FILE"));
    else if (std::any_of(words.options.inputs.begin(), words.options.inputs.end(),
                         [&](const auto &i) { return i.first == pair->first; }))
      problems.push_back(usage("--input: '" + escape_name(pair->first) + "' is given twice"));
    else
      words.options.inputs.push_back(*pair);
  }
  if (!words.emit.empty()) {
    words.options.emit = driver::emit_from_name(words.emit);
    constexpr std::array<std::string_view, 7> kinds = {"so", "a", "obj", "asm", "llvm", "graph", "loops"};
    if (!words.options.emit)
      problems.push_back(usage("--emit: unknown kind '" + escape_name(words.emit) + "'" +
                               did_you_mean(words.emit, kinds) + " (so, a, obj, asm, llvm, graph, loops)"));
  }
  if (words.target_cpu) { // also when it is empty: an unset variable of a script is no CPU
    const std::string &list = *words.target_cpu;
    for (size_t at = 0; at <= list.size();) {
      const size_t comma = std::min(list.find(',', at), list.size());
      words.options.target_cpus.push_back(list.substr(at, comma - at));
      at = comma + 1;
    }
  }
  if (!problems.empty()) return problems;
  words.log = std::make_shared<spdlog::logger>("cameo", std::make_shared<spdlog::sinks::stderr_sink_st>());
  words.log->set_pattern("cameo: %v");
  words.log->set_level(words.verbose ? spdlog::level::info : spdlog::level::warn);
  if (words.verbose) words.options.explain = [log = words.log](const std::string &line) { log->info("{}", line); };
  return Ok{};
}

Status print(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(STDOUT_FILENO, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EPIPE) _exit(kReaderGone); // what we say interests nobody
    if (n < 0) return Diagnostic{ExitCode::io, "stdout", std::generic_category().message(errno)};
    text.remove_prefix(static_cast<size_t>(n));
  }
  return Ok{};
}

Status print_json(const Json &json, const std::string &file) {
  const std::string text = json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  return file == "-" ? print(text) : write_file(file, text);
}

void say_notes(const Words &words, const std::vector<std::string> &notes) {
  for (const std::string &note : notes) words.log->warn("{}", note);
}

Json to_json(const driver::PortInfo &port) {
  Json dims = Json::array();
  for (size_t i = 0; i < port.dims.size(); ++i) {
    if (port.dims[i] >= 0)
      dims.push_back(port.dims[i]);
    else
      dims.push_back(port.symbols[i]);
  }
  Json out = {{"name", port.name}, {"dtype", name(port.dtype)}, {"shape", dims}};
  if (!port.ranked) out["shape"] = nullptr;
  constexpr const char *kKinds[] = {"tensor", "sequence", "optional", "optional sequence"};
  if (port.kind != driver::PortInfo::Kind::tensor) out["kind"] = kKinds[static_cast<size_t>(port.kind)];
  return out;
}

std::string text(const driver::PortInfo &port) { return escape_name(port.name) + ": " + driver::port_type_text(port); }

std::string time_text(double seconds) {
  char buffer[32];
  if (seconds < 1e-3)
    std::snprintf(buffer, sizeof buffer, "%.3g us", seconds * 1e6);
  else if (seconds < 1)
    std::snprintf(buffer, sizeof buffer, "%.3g ms", seconds * 1e3);
  else
    std::snprintf(buffer, sizeof buffer, "%.3g s", seconds);
  return buffer;
}

} // namespace cameo::tool
