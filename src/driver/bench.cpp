// `cameo bench`: runs until the times have settled, each run timed by itself (very short ones in batches), and compares
// with an earlier report. Only what exceeds both reports' noise counts as slower.
#include "prepare.h"
#include "statistics.h"

#include "cameo/support/files.h"

#include <chrono>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace cameo::driver {

namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

constexpr double kShortest = 2e-6; // a shorter measurement would mostly time the clock
constexpr size_t kMaxSamples = 1'000'000;
constexpr int64_t kMaxJson = 1 << 20;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// The p50 and noise of an earlier report; errors when it is of another model, thread count or form.
struct Baseline {
  double p50 = 0, noise_percent = 0;
};
Result<Baseline> read_baseline(const std::string &path, const BenchReport &report) {
  const std::string where = escape_name(path);
  CAMEO_TRY(const std::string text, read_file(path, kMaxJson));
  const Json json = Json::parse(text, nullptr, false);
  auto number = [&](const char *key) -> std::optional<double> {
    if (!json.is_object() || !json.contains(key) || !json[key].is_number()) return std::nullopt;
    return json[key].get<double>();
  };
  const auto p50 = number("p50_seconds"), noise = number("noise_percent"), threads = number("threads");
  if (!p50 || !noise || !threads || !(*p50 > 0) || !(*noise >= 0))
    return Diagnostic{ExitCode::bad_model, where, "is not a report of `cameo bench --json`"};
  if (*threads != report.threads)
    return Diagnostic{ExitCode::usage, where, "was measured with another number of threads"};
  return Baseline{*p50, *noise};
}

// The fact that the compiler recorded: only for models whose shapes are all fixed.
std::optional<double> flops(const codegen::Provenance &provenance) {
  for (const auto &[name, value] : provenance.facts)
    if (double count = 0; name == "flops" && std::sscanf(value.c_str(), "%lf", &count) == 1 && count > 0) return count;
  return std::nullopt;
}

} // namespace

Result<BenchReport> bench(const Options &options) {
  BenchReport report;
  report.model = options.model;
  report.threads = options.threads;
  std::optional<Baseline> baseline;
  if (!options.baseline.empty()) { // before time is spent
    CAMEO_TRY(baseline, read_baseline(options.baseline, report));
  }

  CAMEO_TRY(Prepared p, prepare(options));
  CAMEO_TRY(Session session, Session::create(p.library, options.threads));
  CAMEO_TRY_STATUS(session.bind(p.tensors));
  CAMEO_TRY_STATUS(session.run_checked());
  report.notes = std::move(p.notes);

  // Warm-up: a tenth of the time, at least two runs; it also says how many runs one measurement needs.
  const auto warmup = Clock::now();
  double fastest = INFINITY;
  do {
    const auto start = Clock::now();
    CAMEO_TRY_STATUS(session.run_checked());
    fastest = std::min(fastest, since(start));
    ++report.warmup;
  } while (report.warmup < 2 || since(warmup) < options.min_seconds / 10);
  const int64_t batch = fastest >= kShortest ? 1 : static_cast<int64_t>(std::ceil(kShortest / std::max(fastest, 1e-8)));

  // Until it is stable, but no longer than four times the time asked for.
  std::vector<double> samples;
  const auto begin = Clock::now();
  for (double elapsed = 0; samples.size() < kMaxSamples; elapsed = since(begin)) {
    if (elapsed >= options.min_seconds && samples.size() >= 3) {
      report.stable = is_stable(samples);
      if (report.stable || elapsed >= 4 * options.min_seconds) break;
    }
    // Judging stability sorts all samples: take many between two judgements.
    const auto slice = Clock::now();
    do {
      const auto start = Clock::now();
      int32_t status = CAMEO_OK;
      for (int64_t i = 0; i < batch; ++i) status |= session.run();
      samples.push_back(since(start) / static_cast<double>(batch));
      if (status != CAMEO_OK) { // once more, to say what is wrong
        CAMEO_TRY_STATUS(session.run_checked());
      }
    } while (since(slice) < options.min_seconds / 10 && samples.size() < kMaxSamples);
  }
  report.iterations = static_cast<int64_t>(samples.size()) * batch;
  const Statistics s = statistics(samples);
  report.min = s.min;
  report.mean = s.mean;
  report.p50 = s.p50;
  report.p90 = s.p90;
  report.p99 = s.p99;
  report.noise_percent = s.noise_percent;

  report.flops = flops(p.library.manifest().provenance);
  if (baseline) {
    report.baseline_p50 = baseline->p50;
    report.change_percent = 100 * (s.p50 / baseline->p50 - 1);
    const double noise = std::max(s.noise_percent, baseline->noise_percent);
    report.regressed =
        options.fail_above >= 0 && *report.change_percent > options.fail_above && *report.change_percent > noise;
  }
  return report;
}

} // namespace cameo::driver
