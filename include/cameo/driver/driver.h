// What the command line does, as functions: each subcommand parses its words into Options, calls one of these and
// prints the report. No function here prints, exits or lets an exception out; guarded() is the boundary where those of
// libraries end.
#pragma once

#include "cameo/support/result.h"
#include "cameo/support/tensor.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cameo::driver {

/// What `compile` produces: a shared library, a static one, an object file, or text of one stage.
enum class Emit : uint8_t { so, a, obj, assembly, llvm, graph, loops };
/// As on the command line: so, a, obj, asm, llvm, graph, loops.
std::string_view name(Emit emit);
std::optional<Emit> emit_from_name(std::string_view text);
/// The kind that a file name's suffix asks for: .so .a .o .s .ll .graph .loops.
std::optional<Emit> emit_from_path(std::string_view path);
std::string_view suffix(Emit emit);

/// Everything a command can be told, with the defaults of the documentation. One struct, so that an option means the
/// same everywhere.
struct Options {
  std::string model; ///< path of the model, or of a compiled library where a command takes either

  // How to compile (compile, and every command that compiles on the way).
  std::vector<std::pair<std::string, int64_t>> dims; ///< --dim: symbol (or `input:axis`) to its value, >= 0
  std::vector<std::string> target_cpus; ///< --target-cpu: empty is `native`; "portable" is a list of its own
  std::string external_data_root;       ///< where external data may lie besides the model's folder; empty: nowhere
  std::string winograd = "auto"; ///< --winograd: minimal filtering of convolutions: off, f2, or auto (also F(4,3))
  int jobs = 0;                  ///< --jobs: threads (compile) or children (test); 0: as many as CPUs

  // What to write (compile).
  std::string output; ///< -o; empty: the model's stem and the suffix of `emit`, in the current directory; -: stdout
  std::optional<Emit> emit; ///< unset: as the output's suffix says, else so
  std::string name;         ///< C prefix; empty: the sanitised stem of the output
  std::string depfile;      ///< --depfile: a rule of make, from the outputs to the files read; empty: none

  // How to run (run, bench, test).
  std::vector<std::pair<std::string, std::string>> inputs; ///< --input: name to .npy or .pb file; the others are random
  std::string output_dir;                                  ///< --output-dir; empty: write nothing
  int threads = 1;
  uint64_t seed = 0;

  // bench
  std::string baseline;     ///< --baseline: JSON of an earlier run
  double fail_above = -1;   ///< --fail-above: percent slower than the baseline that fails; < 0: never
  double min_seconds = 0.5; ///< measure at least this long

  // test
  double time_limit = 60; ///< seconds per case

  /// Told what happens, one line at a time; empty: nobody listens.
  std::function<void(const std::string &line)> explain;
};

struct Phase {
  std::string name;
  double seconds = 0;
};

struct CompileOutput {
  std::vector<std::string> files; ///< written, in order: the artefact, its header, the depfile
  std::string text;               ///< what is meant for stdout: `-o -`
  std::string name;               ///< C prefix
  int64_t bytes = 0;              ///< of the artefact
  std::vector<std::string> notes; ///< what the user may want to know (fixed symbols, ...), one line each
  std::vector<Phase> phases;      ///< where the time went
};

/// Compiles options.model and writes the outputs, all or none. Errors carry the exit code of their kind.
Result<CompileOutput> compile(const Options &options);

/// One input or output of a model.
struct PortInfo {
  /// Of sequences and optionals the rest tells about an element.
  enum class Kind : uint8_t { tensor, sequence, optional, optional_sequence };
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> dims;        ///< -1 where symbolic
  std::vector<std::string> symbols; ///< per dim: the symbol, or empty
  Kind kind = Kind::tensor;
  bool ranked = true; ///< false: elements have no common rank, and no dims
};
/// `f32[batch,8]`, `sequence of f32[?,4]`, escaped.
std::string port_type_text(const PortInfo &port);

/// What `cameo run` did.
struct RunReport {
  struct Value {
    PortInfo port;
    Tensor tensor;
    std::string file; ///< where it was written; empty: nowhere
    // Of sequences and optionals, instead of the tensor.
    bool present = true;
    std::vector<Tensor> elements;
  };
  std::vector<Value> inputs;
  std::vector<Value> outputs;
  std::vector<std::string> notes;
};
Result<RunReport> run(const Options &options);

/// Times of one model, in seconds per run.
struct BenchReport {
  std::string model;
  int threads = 1;
  int64_t iterations = 0, warmup = 0;
  bool stable = false; ///< best and third-best batch agreed within 3% before the time was up
  double min = 0, mean = 0, p50 = 0, p90 = 0, p99 = 0, deviation = 0;
  std::optional<double> flops; ///< floating-point operations of one run, when known
  double noise_percent = 0;    ///< of p50: three standard deviations of the medians of ten parts of the series
  std::optional<double> baseline_p50, change_percent;
  bool regressed = false; ///< slower than the baseline by more than --fail-above and by more than both runs' noise
  std::vector<std::string> notes;
};
Result<BenchReport> bench(const Options &options);

/// `cameo test`: one row per case.
struct TestReport {
  enum class Outcome : uint8_t { passed, failed, unsupported };
  struct Case {
    std::string name;
    Outcome outcome = Outcome::failed;
    std::string reason;    ///< empty when passed
    std::string tolerance; ///< the one that applied, as text
    double seconds = 0;
  };
  std::vector<Case> cases; ///< in the order of the directories
  int64_t count(Outcome outcome) const;
};
std::string_view name(TestReport::Outcome outcome);
/// `progress` is called here as each case ends (any order).
Result<TestReport> test(const std::vector<std::string> &directories, const Options &options,
                        const std::function<void(const TestReport::Case &)> &progress = {});

/// `cameo inspect` of a model or of a library (which is read, never loaded).
struct InspectReport {
  std::string kind; ///< "model" or "library"
  std::vector<PortInfo> inputs, outputs;
  std::vector<std::pair<std::string, int64_t>> ops;             ///< operator, count; sorted by name
  std::vector<std::pair<std::string, std::string>> unsupported; ///< node, why
  std::vector<std::pair<std::string, std::string>> facts; ///< name, value: opset, producer, bytes, FLOPs, arena, ...
};
Result<InspectReport> inspect(const Options &options);

/// `cameo opt`: reads a .graph or .loops file, runs the named passes in order and returns the text.
Result<std::string> opt(const std::string &path, const std::vector<std::string> &passes);

/// `cameo ops`: one row per operator and range of versions in which nothing changes.
struct OpRow {
  std::string domain, name; ///< domain "" is ai.onnx
  int since = 1, until = 0; ///< opset versions; until 0: to the newest
  bool supported = false;
  std::vector<std::string> dtypes; ///< of the first input, or of the first output where there is none
  std::string limits;              ///< what of it is not accepted, in words
};
std::vector<OpRow> ops();

/// Runs a command to its exit code: prints the problems that `body` returns, one line each, as `cameo: where: what` to
/// stderr. An exception that reaches it (of a library, or our own InternalError) becomes one line and exit code 70.
int guarded(const std::function<Result<int>()> &body);

} // namespace cameo::driver
