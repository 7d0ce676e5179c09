// The ordered pipeline of Graph IR passes is one table: name, function, the stage after it, one line of description.
// This runs it.
//
// A pass is a pure function of the graph and the options; it returns whether it changed anything. After each pass that
// did, the verifier runs. When it fails, or the pass fails one of our own checks, a reproducer is written: text IR from
// before the pass with the passes still to run, which `cameo opt FILE --passes=...` replays. A pass that breaks a graph
// is our fault (InternalError); a Result of errors is the user's (a model that cannot be handled).
#pragma once

#include "cameo/ir/graph.h"

#include <functional>
#include <optional>
#include <span>

namespace cameo::passes {

/// What passes may depend on. Fields are added here as passes need them.
struct PassOptions {
  int64_t fold_bytes_per_tensor = 1 << 20; ///< a folded constant may be this large or twice its inputs
  int64_t fold_bytes_total = 256 << 20;
  int64_t cache_bytes = 512 << 10; ///< second-level cache of one core, the smallest of the targets'
};

using PassFunction = Result<bool> (*)(graph::Graph &, const PassOptions &);

struct Pass {
  std::string_view name;
  PassFunction run;
  std::optional<graph::Stage> after; ///< the stage that the graph reaches with it; nullopt: the pass leaves the stage
  std::string_view description;      ///< one line, for --help
};

/// The default pipeline, in order (passes/pipeline.cpp). A pass may stand in it several times.
std::span<const Pass> pipeline();
/// The pass of that name in the pipeline; nullptr when unknown.
const Pass *find_pass(std::string_view name);

/// `a,b,c` to passes, blanks around names allowed; empty text gives none. An unknown name is a usage error with the
/// nearest one.
Result<std::vector<const Pass *>> parse_pass_list(std::string_view text);

struct PassTime {
  std::string name;
  double seconds = 0;
  bool changed = false;
};

struct RunOptions {
  PassOptions pass;
  std::vector<std::string> disabled;   ///< names of passes to skip; the stage still advances
  int64_t stop_after = -1;             ///< run only the first N passes (bisecting); -1: all
  bool verify = true;                  ///< after every pass that reports a change, and once at the end
  bool verify_always = false;          ///< also after passes that report none, and check that print() did not change
  bool dump_all = false;               ///< dump after each pass that changed something
  std::vector<std::string> dump_after; ///< or after these only, changed or not
  std::function<void(std::string_view title, const std::string &text)> dump; ///< receives dumps
  std::string reproducer_path;                                               ///< empty: no reproducer is written
  bool reproducer_data = false;                                              ///< with the bytes of all constants
};

/// Runs passes in order. Fails with the first pass's errors; throws InternalError (naming pass and reproducer) on our
/// own faults. `times` collects one row per pass that ran.
Result<bool> run_passes(graph::Graph &graph, std::span<const Pass *const> passes, const RunOptions &options = {},
                        std::vector<PassTime> *times = nullptr);
/// The default pipeline.
Result<bool> run_pipeline(graph::Graph &graph, const RunOptions &options = {}, std::vector<PassTime> *times = nullptr);

/// What stands behind `// run:` at the beginning of a line of text IR, as reproducers and text tests have it.
std::optional<std::string> run_line(std::string_view text);

} // namespace cameo::passes
