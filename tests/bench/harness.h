// Probes: short timings of generated code that answer one question each. A machine whose clock and neighbours change
// cannot be compared between two runs, so everything that belongs together is timed in one process, in interleaved
// rounds, beside a control row: the peak of the resource that bounds it, itself generated from Loop IR. What counts is
// a row's fraction of the control, taken round by round.
//
// A probe file is tests/bench/probe_<name>.cpp and defines `void cameo::bench::probes_<name>(Bench &)`; CMake finds it
// by its name. It calls bench.probe() once per question:
//
//   void probes_copy(Bench &bench) {
//     bench.probe("copy.l2", Unit::l2_bytes, [&](Probe &probe) {
//       const codegen::Jit &code = bench.compile(module); // built with loop::Builder
//       auto *copy = code.function<void(cameo_env *, const float *, float *)>("copy");
//       auto x = random_floats(n, 1), y = zeros<float>(n);
//       probe.contender("plain", 8.0 * n, [=, env = bench.env()] { copy(env, x.get(), y.get()); },
//                       {.verify = [=] { return difference({y.get(), n}, {x.get(), n}); }});
//     });
//   }
//
// The bench holds the code, the closures hold the buffers. Every contender runs and is verified before any is timed.
#pragma once

#include "cameo/codegen/jit.h"

#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace cameo::bench {

/// What a probe's work is counted in, and with that the control that bounds it.
enum class Unit {
  f32_flops,  ///< against independent chains of FMAs
  u8s8_ops,   ///< against independent chains of vpdpbusd (multiply and add count 2)
  l2_bytes,   ///< against reading a buffer of half the L2
  dram_bytes, ///< against reading a buffer of many times the L3
  elements,   ///< no control: elements per clock cycle are reported instead
};

/// How a contender is checked and run.
struct How {
  std::function<std::string()> verify; ///< after one run: what is wrong, or an empty text
  bool cold = false;                   ///< every sample is one call with its data out of the caches
};

class Probe {
public:
  /// `work` in the probe's unit, done by one call of `run`. The first contender is what the others are compared with.
  void contender(std::string name, double work, std::function<void()> run, How how = {});

private:
  friend class Bench;
  struct Contender {
    std::string name;
    double work;
    std::function<void()> run;
    How how;
  };
  std::vector<Contender> contenders_;
};

/// One line of the report. Times are medians over rounds, of one call.
struct Row {
  std::string probe, contender;
  Unit unit;
  double nanoseconds = 0, lower = 0, upper = 0; ///< median and quartiles
  double rate = 0;                              ///< work per nanosecond: GFLOP/s, GOP/s, GB/s, Gelements/s
  std::optional<double> of_peak;                ///< median of the rounds' ratio to the control
  double per_cycle = 0;                         ///< work per clock cycle
  double speedup = 1;                           ///< median of the rounds' ratio to the first contender
  std::string problem;                          ///< verification failed; not timed
};

struct Settings {
  std::vector<std::string> names; ///< run the probes that contain one of these; empty: all
  std::string target_cpu = "native";
  int rounds = 31;
  double seconds = 3;    ///< per probe; fewer rounds (at least 7) when they would take longer
  bool list = false;     ///< only print the names
  bool assembly = false; ///< print the code that each selected probe compiles
};

class Bench {
public:
  Bench(Settings settings, loop::Target target);
  ~Bench();
  const loop::Target &target() const { return target_; }
  /// An environment for one thread, valid as long as the bench.
  cameo_env *env() { return &env_; }
  /// Compiles for the bench's target. The code lives as long as the bench.
  const codegen::Jit &compile(const loop::Module &module, const codegen::Options &options = {});
  /// When `name` is selected: calls `build`, verifies its contenders and times them beside the control.
  void probe(const std::string &name, Unit unit, const std::function<void(Probe &)> &build);
  const std::vector<Row> &rows() const { return rows_; }

private:
  struct Controls;
  Probe::Contender &control(Unit unit);
  double clock_ghz();
  void measure(const std::string &name, Unit unit, Probe &probe);

  Settings settings_;
  loop::Target target_;
  cameo_env env_{};
  std::vector<std::unique_ptr<codegen::Jit>> code_;
  std::unique_ptr<Controls> controls_;
  std::vector<Row> rows_;
};

/// Memory aligned to 4 KiB (on huge pages when it is large), zeroed, freed with its last owner. Copies share it.
template <class T> class Shared {
public:
  explicit Shared(size_t count);
  T *get() const { return data_.get(); }
  size_t size() const { return size_; }
  T &operator[](size_t i) const { return data_.get()[i]; }
  std::span<T> span() const { return {data_.get(), size_}; }

private:
  std::shared_ptr<T> data_;
  size_t size_;
};
std::shared_ptr<void> allocate_zeroed(size_t bytes);
template <class T> Shared<T>::Shared(size_t count) : size_(count) {
  auto memory = allocate_zeroed(count * sizeof(T));
  data_ = std::shared_ptr<T>(memory, static_cast<T *>(memory.get()));
}
template <class T> Shared<T> zeros(size_t count) { return Shared<T>(count); }
/// Uniform in [-1, 1), the same for the same seed.
Shared<float> random_floats(size_t count, uint64_t seed);
/// Uniform over all bytes.
Shared<uint8_t> random_bytes(size_t count, uint64_t seed);

/// Empty when |got - want| <= absolute + relative * |want| everywhere (NaN equals NaN), else the worst element.
std::string difference(std::span<const float> got, std::span<const float> want, double relative = 1e-5,
                       double absolute = 1e-6);
std::string difference(std::span<const int32_t> got, std::span<const int32_t> want);

/// The report as a table or as JSON.
std::string table(const std::vector<Row> &rows);
std::string json(const std::vector<Row> &rows, const loop::Target &target);

/// The probe files, in order of name (generated by CMake).
struct ProbeFile {
  const char *name;
  void (*run)(Bench &bench);
};
std::span<const ProbeFile> probe_files();

} // namespace cameo::bench
