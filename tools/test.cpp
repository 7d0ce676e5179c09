// cameo test DIR...: models against their expected outputs.
#include "command.h"

#include <cstdio>
#include <unistd.h>

namespace cameo::tool {

namespace {

using Outcome = driver::TestReport::Outcome;

void declare(CLI::App &app, Words &words) {
  app.add_option("directories", words.directories, "Each has model.onnx and test_data_set_*/{input,output}_*.pb")
      ->required()
      ->type_name("");
  app.add_option("--jobs", words.options.jobs, "Cases at once (default: one per CPU)")
      ->type_name("N")
      ->check(CLI::Range(1, 1024));
  app.add_option("--output-dir", words.options.output_dir, "Write what was computed to DIR/<case>/<set>/output_k.pb")
      ->type_name("DIR");
  app.add_option("--time-limit", words.options.time_limit, "Seconds per case (default 60)")
      ->type_name("S")
      ->check(CLI::PositiveNumber);
  declare_compilation(app, words);
  declare_threads(app, words);
  declare_json_file(app, words);
}

Json to_json(const driver::TestReport &report) {
  Json cases = Json::array();
  for (const auto &c : report.cases)
    cases.push_back({{"name", c.name},
                     {"status", name(c.outcome)},
                     {"reason", c.reason},
                     {"tolerance", c.tolerance},
                     {"seconds", c.seconds}});
  return {{"passed", report.count(Outcome::passed)},
          {"failed", report.count(Outcome::failed)},
          {"unsupported", report.count(Outcome::unsupported)},
          {"cases", cases}};
}

Result<int> run(const Words &words) {
  size_t ended = 0;
  const bool terminal = isatty(STDERR_FILENO) && !words.verbose;
  auto progress = [&](const driver::TestReport::Case &c) {
    words.log->info("{}: {}", escape_name(c.name), name(c.outcome));
    if (terminal) std::fprintf(stderr, "\r%zu of %zu", ++ended, words.directories.size());
  };
  CAMEO_TRY(const driver::TestReport report, driver::test(words.directories, words.options, progress));
  if (terminal) std::fputs("\r\x1b[K", stderr);
  if (words.json_file != "-") {
    std::string text;
    for (const auto &c : report.cases)
      if (c.outcome != Outcome::passed)
        text += std::string(name(c.outcome)) + " " + escape_name(c.name) + ": " + c.reason + "\n";
    text += std::to_string(report.count(Outcome::passed)) + " passed, " +
            std::to_string(report.count(Outcome::failed)) + " failed, " +
            std::to_string(report.count(Outcome::unsupported)) + " unsupported\n";
    CAMEO_TRY_STATUS(print(text));
  }
  if (!words.json_file.empty()) CAMEO_TRY_STATUS(print_json(to_json(report), words.json_file));
  return static_cast<int>(report.count(Outcome::failed) == 0 ? ExitCode::ok : ExitCode::check_failed);
}

} // namespace

Command test_command() { return {"test", "Compare models with their expected outputs", declare, run}; }

} // namespace cameo::tool
