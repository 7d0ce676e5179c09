// What the subcommands share: one entry per verb, and how words become Options. A verb's file declares its options,
// calls the driver and prints the report; it holds no logic.
#pragma once

#include "cameo/driver/driver.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <spdlog/logger.h>

namespace cameo::tool {

using Json = nlohmann::ordered_json;

/// What the command line said, for every verb.
struct Words {
  driver::Options options;
  bool verbose = false;
  std::shared_ptr<spdlog::logger> log; ///< stderr: warnings always, explanations with -v
  bool json = false;                   ///< --json of the verbs that print one report
  std::string json_file;               ///< --json FILE of bench and test; "-" is stdout
  bool markdown = false;
  std::vector<std::string> directories; ///< test
  std::string passes;                   ///< opt
  // As given; checked and moved into options by parse_words().
  std::string emit;
  std::vector<std::string> dims, inputs;
  std::optional<std::string> target_cpu;
};

struct Command {
  const char *name;
  const char *summary; ///< one line, for the list of verbs
  void (*declare)(CLI::App &app, Words &words);
  Result<int> (*run)(const Words &words);
};

Command compile_command();
Command run_command();
Command test_command();
Command bench_command();
Command inspect_command();
Command opt_command();
Command ops_command();

// Options that several verbs have, each defined once.
void declare_model(CLI::App &app, Words &words, const char *what);
void declare_compilation(CLI::App &app, Words &words);
void declare_threads(CLI::App &app, Words &words);
void declare_json_flag(CLI::App &app, Words &words);
void declare_json_file(CLI::App &app, Words &words);

/// NAME=VALUE lists, names of kinds: into words.options; sets up the log. Errors: usage, all of them.
Status parse_words(Words &words);

/// Writes to stdout. Errors: io. A reader that has gone away (`| head`) is an error without a message: see kReaderGone.
Status print(std::string_view text);
/// Exit code of a command whose reader has gone away.
inline constexpr int kReaderGone = 74;

/// JSON to stdout (`-`) or to a file, with a final newline.
Status print_json(const Json &json, const std::string &file = "-");

/// Notes and problems that do not stop a command, to the log.
void say_notes(const Words &words, const std::vector<std::string> &notes);

Json to_json(const driver::PortInfo &port);
/// `image: f32[batch,1,8,8]`, `boxes: sequence of f32[?,4]`, escaped.
std::string text(const driver::PortInfo &port);
/// A number of seconds as a person reads it: `12.3 us`.
std::string time_text(double seconds);

} // namespace cameo::tool
