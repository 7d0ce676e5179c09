#include "harness.h"

#include "controls.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <sys/mman.h>

namespace cameo::bench {
namespace {

double now() {
  return double(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  double at = q * double(values.size() - 1);
  size_t low = size_t(at), high = std::min(low + 1, values.size() - 1);
  return values[low] + (values[high] - values[low]) * (at - double(low));
}

double median(const std::vector<double> &values) { return quantile(values, 0.5); }

// splitmix64
uint64_t next_random(uint64_t &state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

} // namespace

std::shared_ptr<void> allocate_zeroed(size_t bytes) {
  constexpr size_t kPage = 4096, kHuge = size_t{2} << 20;
  size_t align = bytes >= kHuge ? kHuge : kPage, size = (std::max<size_t>(bytes, 1) + align - 1) / align * align;
  void *memory = std::aligned_alloc(align, size);
  CAMEO_CHECK(memory, "no memory for a probe");
  if (align == kHuge) madvise(memory, size, MADV_HUGEPAGE);
  std::memset(memory, 0, size);
  return {memory, std::free};
}

Shared<float> random_floats(size_t count, uint64_t seed) {
  Shared<float> result(count);
  for (float &x : result.span()) x = float(int64_t(next_random(seed) >> 40) - (1 << 23)) / float(1 << 23);
  return result;
}

Shared<uint8_t> random_bytes(size_t count, uint64_t seed) {
  Shared<uint8_t> result(count);
  for (uint8_t &x : result.span()) x = uint8_t(next_random(seed) >> 56);
  return result;
}

std::string difference(std::span<const float> got, std::span<const float> want, double relative, double absolute) {
  CAMEO_CHECK(got.size() == want.size(), "difference() of different sizes");
  double worst = 0;
  size_t where = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(got[i]) && std::isnan(want[i])) continue;
    double error = std::abs(double(got[i]) - double(want[i])) / (absolute + relative * std::abs(double(want[i])));
    if (got[i] == want[i]) error = 0;
    if (std::isnan(error)) error = INFINITY;
    if (error > worst) {
      worst = error;
      where = i;
    }
  }
  if (worst <= 1) return {};
  char text[128];
  std::snprintf(text, sizeof text, "element %zu is %.9g, expected %.9g", where, double(got[where]),
                double(want[where]));
  return text;
}

std::string difference(std::span<const int32_t> got, std::span<const int32_t> want) {
  CAMEO_CHECK(got.size() == want.size(), "difference() of different sizes");
  for (size_t i = 0; i < got.size(); ++i)
    if (got[i] != want[i])
      return "element " + std::to_string(i) + " is " + std::to_string(got[i]) + ", expected " + std::to_string(want[i]);
  return {};
}

void Probe::contender(std::string name, double work, std::function<void()> run, How how) {
  contenders_.push_back({std::move(name), work, std::move(run), std::move(how)});
}

struct Bench::Controls {
  std::map<Unit, Probe::Contender> rows;
  std::function<void(int64_t)> clock;
  std::function<void()> evict; ///< fills the caches with other data
};

Bench::Bench(Settings settings, loop::Target target) : settings_(std::move(settings)), target_(std::move(target)) {
  env_.threads = 1;
}
Bench::~Bench() = default;

const codegen::Jit &Bench::compile(const loop::Module &module, const codegen::Options &options) {
  if (settings_.assembly)
    std::fputs(codegen::compile(module, target_, codegen::Emit::assembly, options)->c_str(), stdout);
  auto code = codegen::Jit::create(module, target_, options);
  CAMEO_CHECK(code.ok(), to_string(code.errors()[0]));
  return *code_.emplace_back(std::make_unique<codegen::Jit>(std::move(*code)));
}

Probe::Contender &Bench::control(Unit unit) {
  if (!controls_) {
    controls_ = std::make_unique<Controls>();
    auto *chain = compile(clock_chain()).function<int64_t(cameo_env *, int64_t, int64_t)>("clock");
    controls_->clock = [=, env = env()](int64_t steps) { chain(env, 3, steps); };
  }
  auto found = controls_->rows.find(unit);
  if (found != controls_->rows.end()) return found->second;

  auto lanes = size_t(target_.lanes(32));
  Probe::Contender row;
  if (unit == Unit::f32_flops || unit == Unit::u8s8_ops) {
    bool dot = unit == Unit::u8s8_ops;
    CAMEO_CHECK(!dot || target_.dot_u8s8, target_.name + " has no vpdpbusd");
    const codegen::Jit &code = compile(dot ? dot_chains(target_) : fma_chains(target_));
    auto *chains = code.function<void(cameo_env *, void *, int64_t)>(dot ? "dot" : "fma");
    auto io = zeros<float>(lanes * (kChains + 2));
    constexpr int64_t kRounds = 1000;
    row.name = dot ? "VNNI peak" : "FMA peak";
    row.work = double(kRounds * kChains * kUnroll) * double(lanes) * (dot ? 8 : 2);
    row.run = [=, env = env()] { chains(env, io.get(), kRounds); };
  } else if (unit == Unit::l2_bytes || unit == Unit::dram_bytes) {
    bool dram = unit == Unit::dram_bytes;
    auto *read = compile(read_stream(target_, dram ? 2048 : 0)).function<void(cameo_env *, const void *, int64_t, void *)>("read");
    int64_t bytes = dram ? std::max<int64_t>(256 << 20, 4 * target_.l3_bytes) : target_.l2_bytes / 2;
    int64_t vectors = bytes / int64_t(lanes * 4) / kReads * kReads;
    auto x = zeros<float>(size_t(vectors) * lanes), out = zeros<float>(lanes);
    row.name = dram ? "DRAM read" : "L2 read";
    row.work = double(vectors) * double(lanes * 4);
    row.run = [=, env = env()] { read(env, x.get(), vectors, out.get()); };
  }
  return controls_->rows.emplace(unit, std::move(row)).first->second;
}

double Bench::clock_ghz() {
  constexpr int64_t kSteps = 40000;
  double begin = now();
  controls_->clock(kSteps);
  return 4.0 * double(kSteps) / (now() - begin);
}

void Bench::probe(const std::string &name, Unit unit, const std::function<void(Probe &)> &build) {
  auto matches = [&](const std::string &part) { return name.find(part) != std::string::npos; };
  if (!settings_.names.empty() && std::none_of(settings_.names.begin(), settings_.names.end(), matches)) return;
  if (settings_.list) {
    std::puts(name.c_str());
    return;
  }
  Probe probe;
  build(probe);
  measure(name, unit, probe);
}

void Bench::measure(const std::string &name, Unit unit, Probe &probe) {
  std::vector<Probe::Contender *> rows;
  for (Probe::Contender &contender : probe.contenders_) {
    contender.run();
    if (std::string problem = contender.how.verify ? contender.how.verify() : ""; !problem.empty()) {
      rows_.push_back({name, contender.name, unit, 0, 0, 0, 0, {}, 0, 0, problem});
      continue;
    }
    rows.push_back(&contender);
  }
  if (rows.empty() && !probe.contenders_.empty()) return;
  Probe::Contender &peak = control(unit);
  bool has_control = bool(peak.run);
  if (has_control) rows.push_back(&peak);
  bool any_cold = std::any_of(rows.begin(), rows.end(), [](auto *row) { return row->how.cold; });
  if (any_cold && !controls_->evict) {
    auto other = zeros<char>(size_t(3 * target_.l3_bytes));
    controls_->evict = [other] {
      for (size_t i = 0; i < other.size(); i += 64) ++other[i];
    };
  }

  // As many calls per sample as fill 0.3 ms: the clock's cost and resolution vanish, and a round stays short.
  constexpr double kSample = 3e5;
  std::vector<int> calls;
  double round = 0;
  for (Probe::Contender *row : rows) {
    row->run();
    double begin = now();
    row->run();
    double once = now() - begin;
    calls.push_back(row->how.cold ? 1 : int(std::clamp(std::ceil(kSample / once), 1.0, 1e6)));
    round += once * calls.back() + (row->how.cold ? 2e7 : 0);
  }
  int rounds = int(std::clamp(settings_.seconds * 1e9 / round, 7.0, double(std::max(settings_.rounds, 7))));

  std::vector<std::vector<double>> times(rows.size());
  std::vector<double> clocks;
  for (int r = 0; r < rounds; ++r) {
    clocks.push_back(clock_ghz());
    for (size_t k = 0; k < rows.size(); ++k) {
      size_t i = (k + size_t(r)) % rows.size(); // each goes first in turn
      if (rows[i]->how.cold) controls_->evict();
      double begin = now();
      for (int c = 0; c < calls[i]; ++c) rows[i]->run();
      times[i].push_back((now() - begin) / calls[i]);
    }
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    std::vector<double> of_peak, speedup;
    for (size_t r = 0; r < size_t(rounds); ++r) {
      if (has_control) of_peak.push_back(rows[i]->work / times[i][r] / (peak.work / times.back()[r]));
      speedup.push_back(rows[i]->work / times[i][r] / (rows[0]->work / times[0][r]));
    }
    Row row{
        name, rows[i]->name, unit, median(times[i]), quantile(times[i], 0.25), quantile(times[i], 0.75), 0, {}, 0, 0,
        {}};
    row.rate = rows[i]->work / row.nanoseconds;
    row.per_cycle = row.rate / median(clocks);
    row.speedup = median(speedup);
    if (has_control) row.of_peak = median(of_peak);
    rows_.push_back(std::move(row));
  }
}

} // namespace cameo::bench
