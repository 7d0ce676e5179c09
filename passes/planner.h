// The default plan under construction: state that the parts of the planner share. Private to passes/.
//
//   plan.cpp           the order of decisions; where the values of each node go
//   plan_analysis.cpp  what is known before: kernels, last uses, borders
//   plan_hosts.cpp     parts that are computed inside of concatenations
//   plan_control.cpp   branches and loops
//   plan_symbols.cpp   run-time symbols: who defines them, what their bounds make of sizes
//   plan_schedule.cpp  what comes last: schedules, packed formats, memory of stages
#pragma once

#include "dim_bounds.h"
#include "kernel_cache.h"
#include "steps.h"

#include <map>
#include <set>

namespace cameo::passes {

inline constexpr int32_t kForever = INT32_MAX;

/// Whether the plan has steps of its own for what the node's regions hold.
bool has_branches(const graph::Node &node);

/// Whether an extent of the type is known only while running.
bool is_runtime(const graph::Type &type);
/// Whether some values of the symbols make the extent negative: `n - 2` after a window of 3.
bool may_be_negative(const graph::Dim &extent);
/// Of the graph's text: a plan belongs to one graph.
uint64_t hash_of(const graph::Graph &graph);

class Planner {
public:
  Planner(const graph::Graph &graph, const loop::Target &target, const PlanOptions &options)
      : graph_(graph), target_(target), options_(options), numbers_(graph) {}

  Result<Plan> run();

private:
  /// Memory of another value in which a value is written.
  struct Host {
    enum class Kind : uint8_t {
      part,  ///< from `start` of axis `axis` on
      all,   ///< all of it: the result of a branch
      slice, ///< slice number `start` along a new first axis
    };
    Kind kind = Kind::part;
    const graph::Value *whole = nullptr;
    size_t axis = 0;
    graph::Dim start;
  };
  /// What a value that the next iteration gets should be written over.
  struct Home {
    const graph::Value *argument = nullptr; ///< of the loop's body
    int32_t buffer = -1;
  };
  /// When a node begins and ends, in the order of steps.
  struct Times {
    int32_t begin = 0, end = 0;
  };

  graph::Region *body() const { return graph_.main().body; }
  std::optional<Placement> &place(const graph::Value *v) { return places_[static_cast<size_t>(numbers_.of(v))]; }
  const Times &times(const graph::Node &node) const { return times_[static_cast<size_t>(numbers_.of(&node))]; }
  BufferPlan &buffer(int32_t number) { return plan_.buffers[static_cast<size_t>(number)]; }

  // plan_analysis.cpp
  void list_nodes(const graph::Region *region);
  void lower_nodes();
  void check_control(const graph::Node &node);
  int32_t use_time(const graph::Value *v, const graph::Region *where, int32_t time) const;
  void find_last_uses();
  void find_borders();

  // plan.cpp
  int32_t add_buffer(BufferPlan::Space space, int32_t port, graph::Dim bytes);
  void settle(const graph::Value *v, Placement p);
  void settle_new(const graph::Value *v, BufferPlan::Space space, int32_t port,
                  const std::optional<Reach> &border = {});
  void place_arguments();
  const Placement &require_place(const graph::Value *v);
  void add_fill(const graph::Value *v);
  void add_copy(const graph::Value *v, Placement to, const Placement *from = nullptr);
  void add_check(const graph::Value *v);
  void add_step(Step step, const std::vector<int32_t> &buffers);
  void place_node(const graph::Node &node);
  void place_kernel(const graph::Node &node);
  void copy_to_dense(const graph::Node &node, const ops::Lowered &lowered, Step &step);
  void place_concat(const graph::Node &node);
  void place_result(const graph::Node &node, const ops::Lowered &lowered, int32_t argument);
  bool settle_turned(const graph::Value *v);
  bool overwrite_operand(const graph::Node &node, const ops::Lowered &lowered, int32_t argument, const graph::Value *v,
                         const std::optional<Reach> &border);
  bool reads_elsewhere(const ops::Lowered &lowered, const graph::Node &node, int32_t buffer, size_t but);
  bool dies_at(int32_t buffer, int32_t now) const;
  void place_results();

  // plan_hosts.cpp
  bool can_be_hosted(const graph::Value *v);
  void host_concatenations();
  void copy_early_parts();
  const Placement &host_place(const graph::Value *whole);

  // plan_control.cpp
  void host_results();
  void host_result(const graph::Value *v, const graph::Region *region, Host host);
  Placement hosted(const graph::Value *v, const Host &host);
  Placement slice_place(const graph::Type &slice, const graph::Value *whole, const graph::Dim &counter);
  bool take_home(const graph::Node &node, const ops::Lowered &lowered, int32_t argument, const graph::Value *v);
  void place_branches(const graph::Node &node);
  void place_branch(const graph::Node &node, const graph::Region *region);
  void place_loop(const graph::Node &node);
  void place_carried(const graph::Node &node, size_t index);
  void yield_slices(const graph::Node &node, const graph::Dim &counter);
  void yield_carried(const graph::Node &node);

  // plan_symbols.cpp
  void find_definers();
  graph::Dim new_symbol();
  void add_slot(const graph::Dim &symbol);
  bool defined(const graph::Dim &dim) const;
  SymbolBounds bounds_of(const std::string &key) const;
  std::optional<graph::Dim> caller_bound(const graph::Dim &dim) const;
  std::optional<graph::Dim> bound_now(const graph::Dim &dim) const;
  bool reserve(int32_t buffer, const graph::Dim &bytes);
  Rule rule(const graph::Dim &dim, std::vector<graph::Dim> factors);
  std::optional<graph::Dim> most_of(const graph::Dim &symbol) const;
  void add_rules(std::vector<Rule> rules, const Placement *from = nullptr);
  bool known_at(const graph::Type &type, const graph::Value *v) const;
  void add_grow(int32_t buffer, const graph::Type &type, const graph::Dim &more = 1, const Halo *halo = nullptr,
                bool keep = false);
  void define_extents(const graph::Node &node);
  void check_broadcast(const graph::Node &node);
  void check_sizes(const graph::Node &node);
  void check_parts(const graph::Node &concat);
  void add_size(const graph::Type &type, std::vector<Rule> &rules);

  // plan_schedule.cpp
  void schedule();
  void schedule(Step &step);
  void choose_schedule(Step &step, bool scarce);
  bool calls_runtime(const Step &step) const;
  std::vector<int32_t> homeless_stages(const Step &step) const;
  void add_temporaries(int32_t number, const std::vector<int32_t> &stages);
  void pack(Step &step, int32_t argument, const loop::Binding &binding);
  BoundStep bound_step(const Step &step);

  const graph::Graph &graph_;
  const loop::Target &target_;
  const PlanOptions &options_;
  Numbering numbers_;
  Plan plan_;
  Diagnostics problems_;
  std::vector<graph::Node *> nodes_;                 ///< those with steps, outer ones before inner ones
  std::vector<std::optional<ops::Lowered>> kernels_; ///< by node
  std::vector<std::string> algorithms_;              ///< by node
  loop::Module module_;
  KernelCache applied_{module_, target_};               ///< kernels that need scratch memory
  int64_t scratch_bytes_ = 0;                           ///< of the step that was scheduled last, in the arena
  std::vector<int64_t> spare_;                          ///< by step: bytes of the arena that no tensor needs then
  std::vector<Times> times_;                            ///< by node
  std::map<uint32_t, int32_t> yield_times_;             ///< by id of region
  std::vector<std::optional<Placement>> places_;        ///< by value
  std::vector<int32_t> last_use_;                       ///< by value: a time, or kForever
  std::vector<std::optional<Reach>> borders_;           ///< by value
  std::vector<std::vector<int32_t>> inhabitants_;       ///< by buffer: values
  std::vector<graph::Dim> sizes_;                       ///< by buffer: its bytes, over all symbols
  std::map<int32_t, Host> hosts_;                       ///< by value
  std::set<int32_t> in_place_concats_;                  ///< nodes
  std::map<int32_t, Home> homes_;                       ///< by value that is yielded
  std::set<int32_t> home_buffers_;                      ///< what only the next iteration's value may overwrite
  std::map<std::string, const graph::Node *> definers_; ///< by run-time symbol
  std::set<std::string> defined_;                       ///< run-time symbols that have a value by now
  std::set<std::pair<graph::Dim, graph::Dim>> checked_; ///< extents whose broadcasting is checked by now
  std::set<graph::Shape> sized_;                        ///< shapes that are known to be sizes by now
  int regions_ = 0;                                     ///< branches and loops around what is being placed
  std::vector<std::pair<graph::Dim, graph::Dim>>
      products_;                     ///< products of run-time extents that are known to be equal to the second
  std::vector<graph::Dim> counters_; ///< of the loops that are being placed
  mutable int bound_depth_ = 0;
  int32_t now_ = 0; ///< the last time that was given
  int64_t next_symbol_ = 0;
  int32_t grown_ = 0;                                               ///< buffers
  std::vector<std::tuple<int32_t, std::string, Placement>> packed_; ///< constants in formats of their kernels
};

} // namespace cameo::passes
