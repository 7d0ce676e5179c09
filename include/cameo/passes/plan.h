// The plan of a model: what is decided about its kernels and its memory once the graph is fused and laid out.
//
// Fusion groups are `fused` nodes and layouts are part of types, so the graph's own text says them. The plan says the
// rest, for one target: the algorithm and the schedule of each kernel, where each tensor lies (strides, halos, views,
// in-place results), the packed format of each constant, and the offsets in the arena. It prints and parses, so that a
// tuner can search it and a file can keep it; the default comes from make_plan(). Building a program from a graph and a
// plan decides nothing more.
//
// Values and nodes of the graph are known by number: their position in the order of definition (numbering.h of
// passes/), which printing and parsing the graph keeps.
//
//   plan "x86-64-v3" for 0x9f83c1d2a4b5e607 {
//     arena 64*batch + 4096
//     buffer 0 input 0 bytes 64*batch steps 0 to 1
//     buffer 1 arena bytes 64*batch at 4096 steps 0 to 2
//     buffer 2 weights 3 bytes 36864
//     value 4 in 1 offset 66 terms (0 * 1024, 1 * 1, 2 * 256, 3 * 16) halo (0 0, 0 0, 1 1, 1 1) fill 0.0
//     fill value 4
//     copy value 3 to in 5 terms (0 * 8, 1 * 1)
//     kernel node 2 algorithm "direct" packed 1 in 2 terms (0/32 * 288, 1 * 32, 0 mod 32 * 1)
//       schedule @conv { ... }
//   }
#pragma once

#include "cameo/ir/graph.h"
#include "cameo/loop/schedule.h"
#include "cameo/loop/target.h"
#include "cameo/ops/lower.h"

#include <optional>
#include <string>
#include <vector>

namespace cameo::passes {

/// One term of a layout, as loop::LayoutTerm, with a stride in elements that may depend on symbols.
struct PlacedTerm {
  int32_t dim = 0;
  int64_t divide = 1;
  int64_t modulo = 0;
  graph::Dim stride = 1;
  friend bool operator==(const PlacedTerm &, const PlacedTerm &) = default;
};

/// Where the elements of a tensor lie in a buffer: element offset = offset + sum of the terms.
struct Placement {
  int32_t buffer = -1;
  graph::Dim offset;             ///< in elements, from the start of the buffer
  std::vector<PlacedTerm> terms; ///< none for a dim of extent 1 is needed
  /// Per dim, the elements before and after that exist and hold `fill`; empty: none.
  std::vector<std::pair<int64_t, int64_t>> halo;
  double fill = 0;
  friend bool operator==(const Placement &, const Placement &) = default;
};

/// A piece of memory.
struct BufferPlan {
  enum class Space : uint8_t {
    input,   ///< the caller's, read only
    output,  ///< the caller's
    weights, ///< constants, read only
    arena,   ///< the workspace
    grown,   ///< allocated while running, by `grow`, and given back behind `last`: the inputs' shapes do not bound its
             ///< size
  };
  Space space = Space::arena;
  /// Of an input or output: its number; of weights: the number of the constant value; grown: counts from 0.
  int32_t port = -1;
  graph::Dim
      bytes; ///< halo and padding included. Arena: the most that run-time symbols allow, over the caller's symbols
  graph::Dim offset; ///< arena: in bytes, a multiple of 64
  int32_t first = 0; ///< the step that first writes it,
  int32_t last = 0;  ///< and the last one that reads or writes it
  friend bool operator==(const BufferPlan &, const BufferPlan &) = default;
};

/// A value of the graph that lies in memory. Values inside fused groups do not, nor do those that no step needs.
struct ValuePlan {
  int32_t value = -1;
  Placement place;
  friend bool operator==(const ValuePlan &, const ValuePlan &) = default;
};

/// Values of a stage of a kernel that lie in the arena, row-major.
struct Temporary {
  int32_t stage = -1, component = 0, buffer = -1;
  friend bool operator==(const Temporary &, const Temporary &) = default;
};

/// A number that a step computes, and what becomes of it: the value of a run-time symbol, or a check.
struct Rule {
  enum class Kind : uint8_t {
    define, ///< `dim` is a run-time symbol, which gets the number; it must be in 0..`most`
    once,   ///< in a loop: the same in the first iteration, in the others it must equal `dim`
    equal,  ///< it must equal `dim`
    spread, ///< it must equal `dim` or be 1: broadcasting
    size,   ///< `factors` are extents of a tensor: none may be negative, nor their product more than memory has
  };
  Kind kind = Kind::define;
  graph::Dim dim;
  std::optional<graph::Dim> most; ///< over symbols that are defined before; none: 2^31 - 1
  /// The number: element `element` of the i64 tensor that the step reads, or the product of `factors`.
  int64_t element = -1;
  std::vector<graph::Dim> factors;
  friend bool operator==(const Rule &, const Rule &) = default;
};

/// One thing that the program does. Steps between `branch` and `otherwise`, `otherwise` and `end`, or `loop` and `end`
/// run as often as the node says; branches and loops nest.
struct Step {
  enum class Kind : uint8_t {
    kernel,  ///< runs node `node`
    extents, ///< runs the kernel that computes the extents of the results of node `node`, into `to` (i64)
    fill,    ///< writes the halo of value `value`
    copy, ///< copies value `value` (from `from`, when that is set) to `to`: outputs that are views or inputs, operands
          ///< of a concatenation, results of branches, values that a loop carries
    rules,  ///< applies `rules`, all numbers first; those with an element read `from`
    check,  ///< ends the run with CAMEO_SHAPE_MISMATCH when the scalar `value` is false
    grow,   ///< makes sure that buffer `buffer` has as many bytes as `rules` multiply to; its contents are lost, unless
            ///< `keep`
    branch, ///< of the `if` node: the steps up to `otherwise` when its condition is true, else those behind
    otherwise,
    loop, ///< of the `loop` node; `counter` is the number of the iteration. No more of them than the number of each of
          ///< `rules`
    end,  ///< of a branch or loop. Of a loop: `rules` apply once behind it, where `counter` is the number of iterations
  };
  Kind kind = Kind::kernel;
  int32_t node = -1;
  int32_t value = -1;
  int32_t buffer = -1;
  bool keep = false;
  Placement from, to;
  std::vector<Rule> rules; ///< kernel: sizes of temporaries that are grown, with the buffer as `element`
  graph::Dim counter;
  std::string algorithm; ///< kernel: one of ops::algorithms(node)
  /// Kernel: constants that are read in a format of this kernel's own, and dense copies of what a function of the
  /// runtime reads: (argument of the lowered kernel, where it lies).
  std::vector<std::pair<int32_t, Placement>> packed;
  std::vector<Temporary> temporaries; ///< kernel: what lies in the arena, not in its scratch memory
  int32_t scratch = -1;    ///< kernel: the buffer that is its scratch memory; -1: it has none, or that behind the arena
  loop::Schedule schedule; ///< of the kernel
  friend bool operator==(const Step &, const Step &) = default;
};

struct Plan {
  std::string target;      ///< name of the target it was made for
  uint64_t graph_hash = 0; ///< of the graph's text
  std::vector<BufferPlan> buffers;
  std::vector<ValuePlan> values; ///< sorted by value
  std::vector<Step> steps;
  /// Keys of the run-time symbols that the program keeps at the head of the arena, in order.
  std::vector<std::string> slots;
  graph::Dim arena_bytes; ///< head and buffers; the scratch memory of kernels comes behind them, the same for all

  const ValuePlan *find(int32_t value) const; ///< nullptr when it has no memory
  friend bool operator==(const Plan &, const Plan &) = default;
};

/// Which minimal filters a convolution may use: none, F(2,3), or F(4,3) as well where the model of the target says that
/// it wins.
enum class Winograd : uint8_t { off, f2, automatic };

/// What a plan may depend on besides graph and target.
struct PlanOptions {
  bool in_place = true;     ///< results may overwrite an operand that dies
  bool views = true;        ///< reshape, slice, concat, ... without copies
  bool halos = true;        ///< producers write into buffers with a border for padded windows
  bool pack_weights = true; ///< constants are re-laid for their kernel
  Winograd winograd = Winograd::automatic;
  bool plain_schedules = false; ///< every kernel by plain_schedule: slow, the oracle of tests
};

/// The plan that the analytical model of the target picks. `graph` is at stage fused or laid_out. Errors (unsupported):
/// every node without a lowering.
Result<Plan> make_plan(const graph::Graph &graph, const loop::Target &target, const PlanOptions &options = {});

/// Deterministic; parse(print(p)) gives p.
std::string print(const Plan &plan, const graph::Graph &graph);
/// `graph` is the one that the plan is for: a different hash is an error. `file` is for messages (file:line:col: what).
Result<Plan> parse_plan(std::string_view text, const graph::Graph &graph, const std::string &file);

/// Violated rules in words: a value that a step reads before it is written, two live buffers that overlap, a placement
/// that leaves its buffer, a port that is not row-major. Empty when the plan is sound.
std::vector<std::string> verify(const Plan &plan, const graph::Graph &graph);

} // namespace cameo::passes
