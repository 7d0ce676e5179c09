// cameo bench MODEL|LIB: how fast, and whether that is worse than before.
#include "command.h"

#include <cstdio>

namespace cameo::tool {

namespace {

void declare(CLI::App &app, Words &words) {
  declare_model(app, words, "The ONNX model, or a library that cameo compiled");
  declare_threads(app, words);
  declare_compilation(app, words);
  declare_json_file(app, words);
  app.add_option("--baseline", words.options.baseline, "Compare with the JSON of an earlier run")->type_name("FILE");
  app.add_option("--fail-above", words.options.fail_above,
                 "Exit with 1 when the median is slower by more than PCT percent and than the noise")
      ->type_name("PCT")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--seconds", words.options.min_seconds, "Measure at least that long (default 0.5)")
      ->type_name("S")
      ->check(CLI::PositiveNumber);
  app.add_option("--seed", words.options.seed, "Seed of the random inputs (default 0)")->type_name("N");
}

Json to_json(const driver::BenchReport &r) {
  Json out = {{"model", r.model},     {"threads", r.threads}, {"iterations", r.iterations},      {"warmup", r.warmup},
              {"stable", r.stable},   {"min_seconds", r.min}, {"mean_seconds", r.mean},          {"p50_seconds", r.p50},
              {"p90_seconds", r.p90}, {"p99_seconds", r.p99}, {"noise_percent", r.noise_percent}};
  if (r.flops) out["flops"] = *r.flops, out["gflops_per_second"] = *r.flops / r.p50 * 1e-9;
  if (r.change_percent)
    out["baseline_p50_seconds"] = *r.baseline_p50, out["change_percent"] = *r.change_percent,
    out["regressed"] = r.regressed;
  out["notes"] = r.notes;
  return out;
}

std::string to_text(const driver::BenchReport &r) {
  std::string out = "p50 " + time_text(r.p50) + ", p90 " + time_text(r.p90) + ", p99 " + time_text(r.p99) + ", min " +
                    time_text(r.min) + ", mean " + time_text(r.mean) + " (" + std::to_string(r.iterations) +
                    " runs after " + std::to_string(r.warmup) + " to warm up, " + std::to_string(r.threads) +
                    (r.threads == 1 ? " thread" : " threads") + (r.stable ? ")" : ", not stable)") + "\n";
  char buffer[128];
  if (r.flops) {
    std::snprintf(buffer, sizeof buffer, "%.4g GFLOP, %.4g GFLOP/s\n", *r.flops * 1e-9, *r.flops / r.p50 * 1e-9);
    out += buffer;
  }
  if (r.change_percent) {
    std::snprintf(buffer, sizeof buffer, "%+.1f%% against the baseline (noise %.1f%%)%s\n", *r.change_percent,
                  r.noise_percent, r.regressed ? ": slower" : "");
    out += buffer;
  }
  return out;
}

Result<int> run(const Words &words) {
  if (words.options.fail_above >= 0 && words.options.baseline.empty())
    return Diagnostic{ExitCode::usage, "bench", "--fail-above needs --baseline"};
  CAMEO_TRY(const driver::BenchReport report, driver::bench(words.options));
  if (words.json_file != "-") {
    say_notes(words, report.notes);
    CAMEO_TRY_STATUS(print(to_text(report)));
  }
  if (!words.json_file.empty()) CAMEO_TRY_STATUS(print_json(to_json(report), words.json_file));
  return static_cast<int>(report.regressed ? ExitCode::check_failed : ExitCode::ok);
}

} // namespace

Command bench_command() { return {"bench", "Measure how fast a model runs", declare, run}; }

} // namespace cameo::tool
