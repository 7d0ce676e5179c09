// The default plan under construction: state that the parts of the planner share. Private to passes/.
//
//   plan.cpp           the order of decisions; where the values of each node go
//   plan_analysis.cpp  what is known before: kernels, last uses, borders
//   plan_schedule.cpp  what comes last: schedules, packed formats, memory of stages
#pragma once

#include "steps.h"

#include <map>
#include <set>

namespace cameo::passes {

inline constexpr int32_t kForever = INT32_MAX;

/// Whether the node's result has the elements of its first operand, in another order or fewer: perhaps a view.
bool moves_only(const graph::Node &node);
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
    const graph::Value *whole;
    size_t axis;
    graph::Dim start;
  };

  graph::Region *body() const { return graph_.main().body; }
  std::optional<Placement> &place(const graph::Value *v) { return places_[static_cast<size_t>(numbers_.of(v))]; }

  // plan_analysis.cpp
  void lower_nodes();
  void find_last_uses();
  void find_borders();

  // plan.cpp
  int32_t add_buffer(BufferPlan::Space space, int32_t port, graph::Dim bytes);
  void settle(const graph::Value *v, Placement p);
  void settle_new(const graph::Value *v, BufferPlan::Space space, int32_t port,
                  const std::optional<Reach> &border = {});
  void place_arguments();
  const Placement &require_place(const graph::Value *v);
  bool can_be_hosted(const graph::Value *v);
  void host_concatenations();
  const Placement &host_place(const graph::Value *whole);
  void add_fill(const graph::Value *v);
  void add_copy(const graph::Value *v, Placement to);
  void add_step(Step step, const std::vector<int32_t> &buffers);
  void place_node(const graph::Node &node);
  void place_concat(const graph::Node &node);
  void place_result(const graph::Node &node, const ops::Lowered &lowered, int32_t argument);
  bool settle_turned(const graph::Value *v);
  bool overwrite_operand(const graph::Node &node, const ops::Lowered &lowered, int32_t argument, const graph::Value *v,
                         const std::optional<Reach> &border);
  bool reads_elsewhere(const ops::Lowered &lowered, const graph::Node &node, int32_t buffer, size_t but);
  void place_results();

  // plan_schedule.cpp
  void schedule();
  void schedule(Step &step);
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
  std::vector<std::optional<ops::Lowered>> kernels_;  ///< by node
  std::vector<std::optional<Placement>> places_;      ///< by value
  std::vector<int32_t> last_use_;                     ///< by value: a node, or kForever
  std::vector<std::optional<Reach>> borders_;         ///< by value
  std::vector<std::vector<int32_t>> inhabitants_;     ///< by buffer: values
  std::map<int32_t, Host> hosts_;                     ///< by value
  std::set<int32_t> in_place_concats_;                ///< nodes
  std::vector<std::pair<int32_t, Placement>> packed_; ///< constants in formats of their kernels
};

} // namespace cameo::passes
