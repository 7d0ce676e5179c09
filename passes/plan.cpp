// Makes the default plan of a graph for a target.
//
// In order: every node gets its kernel (views none, when memory allows); borders are collected from the kernels that read over
// edges; then node by node each result gets a place: inside a concatenation that wants it, over an operand that dies, in a new buffer
// with the border that its readers wish. Results of the model that fill a buffer of their own are moved to the caller's memory, the
// rest is copied there. Last come schedules, which also choose the packed formats of constants, and the arena.
#include "memory.h"
#include "steps.h"

#include "cameo/ir/print.h"
#include "cameo/loop/apply.h"

#include <algorithm>
#include <map>
#include <set>

namespace cameo::passes {

using graph::Dim;
using graph::Node;
using graph::Op;
using graph::Type;
using graph::Value;

const ValuePlan *Plan::find(int32_t value) const {
  auto it =
      std::lower_bound(values.begin(), values.end(), value, [](const ValuePlan &v, int32_t n) { return v.value < n; });
  return it != values.end() && it->value == value ? &*it : nullptr;
}

namespace {

constexpr int32_t kForever = INT32_MAX;

class Planner {
public:
  Planner(const graph::Graph &graph, const loop::Target &target, const PlanOptions &options)
      : graph_(graph), target_(target), options_(options), numbers_(graph) {}

  Result<Plan> run() {
    plan_.target = target_.name;
    plan_.graph_hash = hash_of(graph_);
    lower_nodes();
    if (!problems_.empty()) return problems_;
    places_.resize(static_cast<size_t>(numbers_.value_count()));
    find_last_uses();
    find_borders();
    place_arguments();
    host_concatenations();
    for (Node *node : body()->nodes()) place_node(*node);
    if (!problems_.empty()) return problems_;
    place_results();
    schedule();
    for (int32_t v = 0; v < numbers_.value_count(); ++v)
      if (places_[static_cast<size_t>(v)]) plan_.values.push_back({v, *places_[static_cast<size_t>(v)]});
    assign_arena(plan_);
    return std::move(plan_);
  }

  static uint64_t hash_of(const graph::Graph &graph) {
    uint64_t hash = 0xcbf29ce484222325ull; // FNV-1a
    for (const char c : graph::print(graph)) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
    return hash;
  }

private:
  graph::Region *body() const { return graph_.main().body; }
  std::optional<Placement> &place(const Value *v) { return places_[static_cast<size_t>(numbers_.of(v))]; }
  static bool moves_only(const Node &node) {
    switch (node.op()) {
    case Op::reshape:
    case Op::transpose:
    case Op::slice:
    case Op::broadcast:
    case Op::bitcast:
    case Op::relayout:
      return true;
    default:
      return false;
    }
  }

  void lower_nodes() {
    kernels_.resize(static_cast<size_t>(numbers_.node_count()));
    for (Node *node : body()->nodes()) {
      if (node->is(Op::constant)) continue;
      Result<ops::Lowered> lowered = ops::lower(*node);
      if (lowered.ok())
        kernels_[static_cast<size_t>(numbers_.of(node))] = std::move(*lowered);
      else
        problems_.insert(problems_.end(), lowered.errors().begin(), lowered.errors().end());
    }
  }

  // The last node that may read the memory behind each value, through views as well.
  void find_last_uses() {
    last_use_.assign(static_cast<size_t>(numbers_.value_count()), -1);
    for (const Value *v : body()->results()) last_use_[static_cast<size_t>(numbers_.of(v))] = kForever;
    std::vector<Node *> nodes = body()->node_list();
    for (size_t i = nodes.size(); i-- > 0;) {
      const Node &node = *nodes[i];
      int32_t at = numbers_.of(&node);
      if (moves_only(node) || node.is(Op::concat))
        at = std::max(at, last_use_[static_cast<size_t>(numbers_.of(node.result()))]);
      for (const Value *v : node.operands())
        if (v)
          last_use_[static_cast<size_t>(numbers_.of(v))] = std::max(last_use_[static_cast<size_t>(numbers_.of(v))], at);
    }
  }

  // The border that readers of each value wish: of those that agree with the first one on what fills it.
  void find_borders() {
    borders_.resize(static_cast<size_t>(numbers_.value_count()));
    if (!options_.halos) return;
    for (Node *node : body()->nodes()) {
      const auto &lowered = kernels_[static_cast<size_t>(numbers_.of(node))];
      if (!lowered || moves_only(*node) || node->is(Op::pad)) continue;
      for (size_t i = 0; i < lowered->arguments.size(); ++i) {
        if (lowered->arguments[i].kind != ops::Argument::Kind::operand) continue;
        const std::optional<Reach> wish = reach(lowered->kernel, static_cast<int32_t>(i));
        if (!wish) continue;
        const Value *v = argument_value(*node, lowered->arguments[i]);
        std::optional<Reach> &border = borders_[static_cast<size_t>(numbers_.of(v))];
        if (!border) border = wish;
        if (border->fill != wish->fill) continue;
        for (size_t d = 0; d < border->halo.size(); ++d) {
          border->halo[d].first = std::max(border->halo[d].first, wish->halo[d].first);
          border->halo[d].second = std::max(border->halo[d].second, wish->halo[d].second);
        }
      }
    }
    // A border pays while it is small beside the tensor, and needs strides that are constant.
    for (int32_t n = 0; n < numbers_.value_count(); ++n) {
      std::optional<Reach> &border = borders_[static_cast<size_t>(n)];
      if (!border) continue;
      const Type &type = numbers_.value(n)->type();
      double inner = 1, outer = 1;
      bool constant = type.layout().blocks.empty() && bits(type.dtype()) >= 8;
      for (size_t d = 0; d < border->halo.size(); ++d) {
        const auto [before, after] = border->halo[d];
        const Dim &extent = type.shape()[d];
        if (!extent.is_constant()) continue;
        inner *= double(extent.value());
        outer *= double(extent.value() + before + after);
      }
      // Symbolic dims may only be outermost in memory.
      const std::vector<int32_t> &order = type.layout().order;
      bool seen = false;
      for (size_t i = 0; i < border->halo.size(); ++i) {
        const size_t d = order.empty() ? i : static_cast<size_t>(order[i]);
        if (type.shape()[d].is_constant())
          seen = true;
        else
          constant = constant && !seen;
      }
      if (!constant || outer > 4 * inner) border.reset();
    }
  }

  int32_t add_buffer(BufferPlan::Space space, int32_t port, Dim bytes) {
    BufferPlan b;
    b.space = space;
    b.port = port;
    b.bytes = std::move(bytes);
    b.first = kForever;
    b.last = -1;
    plan_.buffers.push_back(std::move(b));
    inhabitants_.emplace_back();
    return static_cast<int32_t>(plan_.buffers.size()) - 1;
  }

  void settle(const Value *v, Placement p) {
    inhabitants_[static_cast<size_t>(p.buffer)].push_back(numbers_.of(v));
    place(v) = std::move(p);
  }

  void settle_new(const Value *v, BufferPlan::Space space, int32_t port, const std::optional<Reach> &border = {}) {
    const int32_t b = add_buffer(space, port, 0);
    Dim bytes;
    Placement p = border ? dense(v->type(), b, bytes, border->halo, border->fill) : dense(v->type(), b, bytes);
    plan_.buffers[static_cast<size_t>(b)].bytes = bytes;
    settle(v, std::move(p));
  }

  void place_arguments() {
    int32_t port = 0;
    for (const Value *v : body()->arguments()) settle_new(v, BufferPlan::Space::input, port++);
  }

  const Placement &require_place(const Value *v) {
    if (!place(v)) {
      CAMEO_CHECK(v->constant(), "value '" + v->name() + "' is used before it has a place");
      settle_new(v, BufferPlan::Space::weights, numbers_.of(v));
    }
    return *place(v);
  }

  // ---- concatenation: parts are computed where they belong

  // Whether a value can be written into memory that another value's placement says.
  bool can_be_hosted(const Value *v) {
    const Node *producer = v->producer();
    return producer && !producer->is(Op::constant) && !moves_only(*producer) && !hosts_.count(numbers_.of(v)) &&
           bits(v->type().dtype()) >= 8 && !producer->is(Op::concat);
  }

  void host_concatenations() {
    if (!options_.views) return;
    for (Node *node : body()->nodes()) {
      if (!node->is(Op::concat) || bits(node->result()->type().dtype()) < 8) continue;
      Dim start = 0;
      const size_t axis = static_cast<size_t>(node->integer("axis"));
      bool any = false;
      for (size_t i = 0; i < node->operand_count(); ++i) {
        const Value *v = node->operand(i);
        if (can_be_hosted(v) && v->type().layout() == node->result()->type().layout()) {
          hosts_[numbers_.of(v)] = {node->result(), axis, start};
          any = true;
        }
        start = start + v->type().shape()[axis];
      }
      if (any) in_place_concats_.insert(numbers_.of(node));
    }
  }

  struct Host {
    const Value *whole;
    size_t axis;
    Dim start;
  };

  // The place of a concatenation's result, made when its first part is computed.
  const Placement &host_place(const Value *whole) {
    if (!place(whole)) {
      std::optional<Reach> border = borders_[static_cast<size_t>(numbers_.of(whole))];
      settle_new(whole, BufferPlan::Space::arena, -1, border);
      if (border) add_fill(whole);
    }
    return *place(whole);
  }

  // ---- nodes

  void add_fill(const Value *v) {
    Step step;
    step.kind = Step::Kind::fill;
    step.value = numbers_.of(v);
    add_step(std::move(step), {place(v)->buffer});
  }

  void add_copy(const Value *v, Placement to) {
    Step step;
    step.kind = Step::Kind::copy;
    step.value = numbers_.of(v);
    const int32_t from = require_place(v).buffer, into = to.buffer;
    step.to = std::move(to);
    add_step(std::move(step), {from, into});
  }

  void add_step(Step step, const std::vector<int32_t> &buffers) {
    const int32_t number = static_cast<int32_t>(plan_.steps.size());
    for (int32_t b : buffers) {
      BufferPlan &buffer = plan_.buffers[static_cast<size_t>(b)];
      buffer.first = std::min(buffer.first, number);
      buffer.last = std::max(buffer.last, number);
    }
    plan_.steps.push_back(std::move(step));
  }

  void place_node(const Node &node) {
    if (node.is(Op::constant)) return;
    if (options_.views && moves_only(node)) {
      const bool constant = node.operand()->constant() != nullptr;
      if (std::optional<Placement> p = constant ? std::nullopt : view(node, require_place(node.operand()))) {
        settle(node.result(), std::move(*p));
        return;
      }
    }
    if (in_place_concats_.count(numbers_.of(&node))) return place_concat(node);
    const ops::Lowered &lowered = *kernels_[static_cast<size_t>(numbers_.of(&node))];
    for (const ops::Argument &a : lowered.arguments)
      if (a.kind == ops::Argument::Kind::operand && !argument_value(node, a)->constant())
        require_place(argument_value(node, a));
    for (size_t i = 0; i < lowered.arguments.size(); ++i)
      if (lowered.arguments[i].kind == ops::Argument::Kind::result)
        place_result(node, lowered, static_cast<int32_t>(i));
    Step step;
    step.node = numbers_.of(&node);
    step.algorithm = ops::algorithms(node).front();
    std::vector<int32_t> buffers;
    for (const ops::Argument &a : lowered.arguments)
      if (const Value *v = argument_value(node, a); v && place(v)) buffers.push_back(place(v)->buffer);
    add_step(std::move(step), buffers);
  }

  void place_concat(const Node &node) {
    const size_t axis = static_cast<size_t>(node.integer("axis"));
    const Placement whole = host_place(node.result());
    Dim start = 0;
    for (const Value *v : node.operands()) {
      auto host = hosts_.find(numbers_.of(v));
      const bool there = host != hosts_.end() && host->second.whole == node.result() && host->second.start == start;
      if (!there && !v->type().dim(static_cast<int>(axis)).is(0)) add_copy(v, part(whole, axis, start));
      start = start + v->type().shape()[axis];
    }
  }

  void place_result(const Node &node, const ops::Lowered &lowered, int32_t argument) {
    const Value *v = argument_value(node, lowered.arguments[static_cast<size_t>(argument)]);
    if (auto host = hosts_.find(numbers_.of(v)); host != hosts_.end()) {
      const Host h = host->second;
      Placement p = part(host_place(h.whole), h.axis, h.start);
      if (!p.halo.empty() && (p.halo[h.axis].first > 0 || p.halo[h.axis].second > 0)) p.halo.clear();
      settle(v, std::move(p));
      return;
    }
    const std::optional<Reach> &border = borders_[static_cast<size_t>(numbers_.of(v))];
    if (options_.in_place && overwrite_operand(node, lowered, argument, v, border)) return;
    if (!border && settle_turned(v)) return;
    settle_new(v, BufferPlan::Space::arena, -1, border);
    if (border) add_fill(v);
  }

  // A value that is transposed and nothing else lies as the transposed one would, where rows stay rows: so that what follows (a
  // reshape that joins heads) is a view of it.
  bool settle_turned(const Value *v) {
    if (!options_.views || v->uses().size() != 1 || !v->type().layout().order.empty() ||
        !v->type().layout().blocks.empty())
      return false;
    const Node *turn = v->uses()[0].node;
    if (!turn->is(Op::transpose) || !turn->result()->type().layout().order.empty()) return false;
    const std::vector<int64_t> &perm = turn->ints("perm");
    if (perm.empty() || perm.back() + 1 != static_cast<int64_t>(perm.size())) return false;
    const int32_t b = add_buffer(BufferPlan::Space::arena, -1, 0);
    Dim bytes;
    Placement p = dense(turn->result()->type(), b, bytes);
    for (PlacedTerm &term : p.terms) term.dim = static_cast<int32_t>(perm[static_cast<size_t>(term.dim)]);
    std::stable_sort(p.terms.begin(), p.terms.end(),
                     [](const PlacedTerm &x, const PlacedTerm &y) { return x.dim < y.dim; });
    plan_.buffers[static_cast<size_t>(b)].bytes = bytes;
    settle(v, std::move(p));
    return true;
  }

  // An operand that nobody needs any more, and that lies as the result would.
  bool overwrite_operand(const Node &node, const ops::Lowered &lowered, int32_t argument, const Value *v,
                         const std::optional<Reach> &border) {
    const int32_t now = numbers_.of(&node);
    for (size_t i = 0; i < lowered.arguments.size(); ++i) {
      if (lowered.arguments[i].kind != ops::Argument::Kind::operand) continue;
      const Value *o = argument_value(node, lowered.arguments[i]);
      if (o->constant() || o->type().shape() != v->type().shape() || o->type().layout() != v->type().layout() ||
          bits(o->type().dtype()) != bits(v->type().dtype()))
        continue;
      const Placement &p = *place(o);
      if (plan_.buffers[static_cast<size_t>(p.buffer)].space != BufferPlan::Space::arena) continue;
      const std::vector<int32_t> &others = inhabitants_[static_cast<size_t>(p.buffer)];
      if (std::any_of(others.begin(), others.end(),
                      [&](int32_t other) { return last_use_[static_cast<size_t>(other)] > now; }))
        continue;
      Dim bytes;
      Placement wanted =
          border ? dense(v->type(), p.buffer, bytes, border->halo, border->fill) : dense(v->type(), p.buffer, bytes);
      // A border that nobody asks for does not hurt; one that is asked for must be there already.
      if (border ? !(wanted == p) : strides(p, v->type().shape().size()) == std::nullopt) continue;
      if (!border && bytes != plan_.buffers[static_cast<size_t>(p.buffer)].bytes && p.halo.empty()) continue;
      if (!can_overwrite(lowered.kernel, static_cast<int32_t>(i), argument)) continue;
      if (reads_elsewhere(lowered, node, p.buffer, i)) continue;
      settle(v, p);
      return true;
    }
    return false;
  }

  // Whether the kernel reads the buffer through another argument as well.
  bool reads_elsewhere(const ops::Lowered &lowered, const Node &node, int32_t buffer, size_t but) {
    for (size_t i = 0; i < lowered.arguments.size(); ++i)
      if (i != but && lowered.arguments[i].kind == ops::Argument::Kind::operand)
        if (const auto &p = place(argument_value(node, lowered.arguments[i])); p && p->buffer == buffer) return true;
    return false;
  }

  // ---- results of the model

  void place_results() {
    const std::vector<Value *> results = body()->results();
    std::vector<bool> taken(plan_.buffers.size(), false);
    std::vector<std::pair<int32_t, int32_t>> copies;
    for (size_t port = 0; port < results.size(); ++port) {
      const Value *v = results[port];
      const Placement &p = require_place(v);
      taken.resize(plan_.buffers.size(), false);
      BufferPlan &b = plan_.buffers[static_cast<size_t>(p.buffer)];
      if (b.space == BufferPlan::Space::arena && !taken[static_cast<size_t>(p.buffer)] &&
          is_row_major(p, v->type(), b.bytes)) {
        taken[static_cast<size_t>(p.buffer)] = true;
        b.space = BufferPlan::Space::output;
        b.port = static_cast<int32_t>(port);
        continue;
      }
      copies.emplace_back(numbers_.of(v), static_cast<int32_t>(port));
    }
    for (const auto &[number, port] : copies) {
      const Value *v = numbers_.value(number);
      const int32_t b = add_buffer(BufferPlan::Space::output, port, 0);
      Dim bytes;
      Placement to = dense(v->type().with_layout({}), b, bytes);
      plan_.buffers[static_cast<size_t>(b)].bytes = bytes;
      add_copy(v, std::move(to));
    }
  }

  // ---- schedules and packed constants

  void schedule() {
    for (size_t s = 0; s < plan_.steps.size(); ++s) {
      schedule(plan_.steps[s]);
      // Values between two stages of symbolic extents have no room in scratch memory.
      if (const std::vector<int32_t> homeless = homeless_stages(plan_.steps[s]); !homeless.empty()) {
        add_temporaries(static_cast<int32_t>(s), homeless);
        schedule(plan_.steps[s]);
      }
    }
  }

  void schedule(Step &step) {
    BoundStep bound = bound_step(step);
    const loop::Kernel &kernel = bound.lowered.kernel;
    if (options_.plain_schedules) {
      step.schedule = loop::plain_schedule(kernel);
      return;
    }
    const std::vector<loop::Binding> before = bound.bindings;
    step.schedule = loop::default_schedule(kernel, bound.bindings, target_);
    step.packed.clear();
    for (size_t i = 0; i < before.size(); ++i)
      if (options_.pack_weights && before[i].terms != bound.bindings[i].terms)
        pack(step, static_cast<int32_t>(i), bound.bindings[i]);
  }

  // Stages that the schedule keeps whole in memory, of symbolic size and without a buffer.
  std::vector<int32_t> homeless_stages(const Step &step) const {
    std::vector<int32_t> list;
    if (step.kind != Step::Kind::kernel) return list;
    const loop::Kernel &kernel = kernels_[static_cast<size_t>(step.node)]->kernel;
    for (size_t s = 0; s < kernel.stages.size(); ++s) {
      const loop::Stage &stage = kernel.stages[s];
      if (step.schedule.stages[s].place != loop::Place::root || !stage.stores.empty()) continue;
      for (int32_t d = 0; d < stage.outer_rank(); ++d)
        if (!stage.axes[static_cast<size_t>(d)].extent.is_constant()) {
          list.push_back(static_cast<int32_t>(s));
          break;
        }
    }
    return list;
  }

  void add_temporaries(int32_t number, const std::vector<int32_t> &stages) {
    Step &step = plan_.steps[static_cast<size_t>(number)];
    ops::Lowered &lowered = *kernels_[static_cast<size_t>(step.node)];
    for (int32_t stage : stages) {
      const size_t before = lowered.arguments.size();
      lowered.add_temporaries(stage);
      for (size_t a = before; a < lowered.arguments.size(); ++a) {
        const int32_t b = add_buffer(BufferPlan::Space::arena, -1, 0);
        Dim bytes;
        temporary_place(lowered, lowered.arguments[a], b, bytes);
        BufferPlan &buffer = plan_.buffers[static_cast<size_t>(b)];
        buffer.bytes = bytes;
        buffer.first = buffer.last = number;
        step.temporaries.push_back({stage, static_cast<int32_t>(lowered.arguments[a].component), b});
      }
    }
  }

  void pack(Step &step, int32_t argument, const loop::Binding &binding) {
    const Node &node = *numbers_.node(step.node);
    const ops::Lowered &lowered = *kernels_[static_cast<size_t>(step.node)];
    const Value *v = argument_value(node, lowered.arguments[static_cast<size_t>(argument)]);
    CAMEO_CHECK(v->constant(), "a schedule packs '" + v->name() + "', which is no constant");
    Placement p = unbind(binding, -1);
    // The same value in the same format is stored once.
    for (const auto &[value, known] : packed_) {
      Placement same = known;
      same.buffer = -1;
      if (value == numbers_.of(v) && same == p) {
        step.packed.emplace_back(argument, known);
        return;
      }
    }
    p.buffer = add_buffer(BufferPlan::Space::weights, numbers_.of(v), bytes_of(v->type().dtype(), binding.size));
    packed_.emplace_back(numbers_.of(v), p);
    step.packed.emplace_back(argument, std::move(p));
  }

  BoundStep bound_step(const Step &step) {
    if (step.kind == Step::Kind::fill) {
      const Value *v = numbers_.value(step.value);
      return bind_step(plan_, fill_kernel(v->type(), place(v)->halo, place(v)->fill), {{*place(v), v->type()}});
    }
    if (step.kind == Step::Kind::copy) {
      const Value *v = numbers_.value(step.value);
      return bind_step(plan_, copy_kernel(v->type()), {{*place(v), v->type()}, {step.to, v->type()}});
    }
    const Node &node = *numbers_.node(step.node);
    const ops::Lowered &lowered = *kernels_[static_cast<size_t>(step.node)];
    std::vector<std::pair<Placement, Type>> places;
    for (const ops::Argument &a : lowered.arguments) {
      if (const Value *v = argument_value(node, a)) {
        places.emplace_back(require_place(v), v->type());
        continue;
      }
      Dim bytes;
      for (const Temporary &t : step.temporaries)
        if (t.stage == static_cast<int32_t>(a.index) && t.component == static_cast<int32_t>(a.component))
          places.push_back(temporary_place(lowered, a, t.buffer, bytes));
    }
    return bind_step(plan_, lowered, places);
  }

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

} // namespace

Result<Plan> make_plan(const graph::Graph &graph, const loop::Target &target, const PlanOptions &options) {
  return Planner(graph, target, options).run();
}

} // namespace cameo::passes
