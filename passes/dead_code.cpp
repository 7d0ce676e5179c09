// Drops what nothing uses: nodes, results of control flow, values that a loop carries only for itself, local functions.
//
//   %a = relu %x                         gone: nobody uses %a
//   %y, %z = if %c () {... yield %p, %q} %y = if %c () {... yield %p}      when %z is not used
//
// Live are the yields of functions, nodes with an effect (check) together with the nodes around them, and whatever live
// nodes need: their operands, what the yields of their regions need, and the definitions of the run-time symbols that
// their types and attributes mention (a `dims` of `?0` needs the nonzero that counts). An unused node that could only
// have failed at run time goes too. Refuses: results whose type defines a symbol that something else mentions.
#include "cameo/passes/passes.h"

#include <unordered_set>

namespace cameo::passes {

namespace {

using namespace graph;

template <class Visit> void for_each_dim(const Node &node, const Visit &visit) {
  for (const auto &[name, attribute] : node.attributes())
    if (auto dim = std::get_if<Dim>(&attribute))
      visit(*dim);
    else if (auto dims = std::get_if<std::vector<Dim>>(&attribute))
      for (const Dim &each : *dims) visit(each);
}

class Marker {
public:
  explicit Marker(const Graph &graph) : definers_(graph.runtime_definers()) {
    for (const Function &function : graph.functions()) {
      mark(function.body->yield());
      for (const Value *argument : function.body->arguments()) symbols(argument->type());
      for (const Node *node : Graph::all_nodes(function.body))
        if (node->has(kEffect)) mark(node);
    }
    while (!work_.empty()) {
      const Node *node = work_.back();
      work_.pop_back();
      visit(node);
    }
  }

  bool live(const Node *node) const { return live_.count(node) > 0; }

private:
  void mark(const Node *node) {
    if (node && live_.insert(node).second) work_.push_back(node);
  }

  void visit(const Node *node) {
    mark(node->region()->parent());
    for (const Value *operand : node->operands())
      if (operand) {
        mark(operand->producer());
        if (!operand->producer()) mark(operand->region()->parent());
      }
    for (const Value *result : node->results()) symbols(result->type());
    for_each_dim(*node, [&](const Dim &dim) { symbols(dim); });
    for (size_t i = 0; i < node->region_count(); ++i) {
      mark(node->body(i)->yield());
      for (const Value *argument : node->body(i)->arguments()) symbols(argument->type());
    }
  }

  template <class Mentions> void symbols(const Mentions &type_or_dim) {
    type_or_dim.for_each_symbol([&](const std::string &key) {
      auto definer = definers_.find(key);
      if (definer != definers_.end()) mark(definer->second);
    });
  }

  std::map<std::string, const Node *> definers_;
  std::unordered_set<const Node *> live_; ///< membership only
  std::vector<const Node *> work_;
};

bool sweep(Graph &graph, Region *region, const Marker &marker) {
  bool changed = false;
  std::vector<Node *> nodes = region->node_list();
  for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) {
    if (!marker.live(*it)) {
      graph.erase(*it);
      changed = true;
      continue;
    }
    for (size_t i = 0; i < (*it)->region_count(); ++i) changed |= sweep(graph, (*it)->body(i), marker);
  }
  return changed;
}

// Results, operands and arguments of live nodes that nothing uses.
class Trimmer {
public:
  explicit Trimmer(Graph &graph) : graph_(graph) {}

  bool run() {
    for (const Function &function : graph_.functions()) {
      for (Node *node : Graph::all_nodes(function.body)) {
        for (const Value *result : node->results()) count(result->type());
        for_each_dim(*node, [&](const Dim &dim) { count(dim); });
        for (size_t i = 0; i < node->region_count(); ++i)
          for (const Value *argument : node->body(i)->arguments()) count(argument->type());
      }
    }
    bool changed = false;
    for (const Function &function : graph_.functions())
      for (Node *node : Graph::all_nodes(function.body)) changed |= trim(node);
    return changed;
  }

private:
  template <class Mentions> void count(const Mentions &type_or_dim) {
    type_or_dim.for_each_symbol([&](const std::string &key) {
      if (key[0] == '?') ++mentions_[key];
    });
  }

  // Unused, and no symbol in its type is mentioned anywhere else (it might be the definition).
  bool droppable(const Value *value) const {
    bool alone = value->unused();
    value->type().for_each_symbol([&](const std::string &key) {
      auto it = mentions_.find(key);
      if (it != mentions_.end() && it->second > 1) alone = false;
    });
    return alone;
  }

  bool trim(Node *node) {
    switch (node->op()) {
    case Op::if_:
      return trim_if(node);
    case Op::loop:
      return trim_loop(node, 2, 1, 0);
    case Op::scan:
      return trim_loop(node, 0, 0, static_cast<size_t>(node->integer("inputs")));
    case Op::fused:
      return trim_fused(node);
    default:
      return trim_optional(node);
    }
  }

  // Optional results behind the ones that are used: a kernel need not compute them.
  bool trim_optional(Node *node) {
    bool changed = false;
    const OpInfo &row = node->info();
    while (row.max_results >= 0 && static_cast<int>(node->result_count()) > row.min_results &&
           droppable(node->result(node->result_count() - 1))) {
      graph_.erase_result(node, node->result_count() - 1);
      changed = true;
    }
    return changed;
  }

  bool trim_if(Node *node) {
    bool changed = false;
    for (size_t i = node->result_count(); i-- > 0;) {
      if (!droppable(node->result(i))) continue;
      for (size_t branch = 0; branch < 2; ++branch) erase_yielded(node->body(branch), i);
      graph_.erase_result(node, i);
      changed = true;
    }
    return changed;
  }

  bool trim_fused(Node *node) {
    bool changed = false;
    for (size_t i = node->result_count(); i-- > 0 && node->result_count() > 1;) {
      if (!droppable(node->result(i))) continue;
      erase_yielded(node->body(), i);
      graph_.erase_result(node, i);
      changed = true;
    }
    for (size_t i = node->operand_count(); i-- > 0;) {
      if (!droppable(node->body()->argument(i))) continue;
      graph_.erase_argument(node->body()->argument(i));
      erase_operand(node, i);
      changed = true;
    }
    return changed;
  }

  // Of a loop, `extra` operands (trip, condition) come before the carried ones and `shift` yielded values (the
  // condition) before theirs; of a scan, `inputs` operands are sliced. Results are the carried values, then stacked
  // slices.
  bool trim_loop(Node *node, size_t extra, size_t shift, size_t inputs) {
    bool changed = false;
    const bool is_scan = node->is(Op::scan);
    const size_t carried = std::max(node->operand_count(), extra) - extra - inputs;
    for (size_t i = node->result_count(); i-- > 0;) {
      if (!droppable(node->result(i))) continue;
      if (i < carried) {
        // Carried for itself alone: the only use of the argument, if any, is to be handed on.
        Value *argument = node->body()->argument(extra + i);
        bool own = true;
        for (const Use &use : argument->uses()) own &= use.node == node->body()->yield() && use.index == shift + i;
        if (!own) continue;
        erase_yielded(node->body(), shift + i);
        if (!droppable(argument)) CAMEO_CHECK(argument->unused(), "a carried value is used");
        graph_.erase_argument(argument);
        erase_operand(node, extra + i);
      } else {
        if (is_scan)
          for (const char *list : {"output_axes", "output_reverse"}) {
            std::vector<int64_t> entries = node->ints(list);
            entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(i - carried));
            node->set(list, std::move(entries));
          }
        erase_yielded(node->body(), shift + i);
      }
      graph_.erase_result(node, i);
      changed = true;
    }
    return changed;
  }

  void erase_yielded(Region *region, size_t index) {
    std::vector<Value *> values = region->results();
    values.erase(values.begin() + static_cast<std::ptrdiff_t>(index));
    graph_.set_results(region, std::move(values));
  }

  void erase_operand(Node *node, size_t index) {
    std::vector<Value *> operands = node->operands();
    operands.erase(operands.begin() + static_cast<std::ptrdiff_t>(index));
    graph_.set_operands(node, std::move(operands));
  }

  Graph &graph_;
  std::map<std::string, int> mentions_; ///< of run-time symbols, in types and attributes
};

bool drop_uncalled(Graph &graph) {
  if (graph.functions().size() == 1) return false;
  std::unordered_set<std::string> called = {"main"};
  for (const Function &function : graph.functions())
    for (const Node *node : Graph::all_nodes(function.body))
      if (node->is(Op::call)) called.insert(node->string("callee"));
  std::vector<std::string> uncalled;
  for (const Function &function : graph.functions())
    if (!called.count(function.name)) uncalled.push_back(function.name);
  for (const std::string &name : uncalled) graph.erase_function(name);
  return !uncalled.empty();
}

} // namespace

Result<bool> dead_code(Graph &graph, const PassOptions &) {
  bool changed = false;
  // Trimming results makes more nodes dead, and dropping nodes more results unused: until neither finds anything.
  for (bool again = true; again;) {
    const Marker marker(graph);
    bool swept = false;
    for (const Function &function : graph.functions()) swept |= sweep(graph, function.body, marker);
    again = Trimmer(graph).run();
    again |= drop_uncalled(graph);
    changed |= swept || again;
  }
  if (changed) graph.prune_symbols();
  return changed;
}

} // namespace cameo::passes
