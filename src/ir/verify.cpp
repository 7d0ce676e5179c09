// The invariants of Graph IR. All of them are checked after every pass that changed something.
//
// Every stage (imported and later):
//   1. A node fits its row of ops.def: operands, results, attributes (op.h); the number of its regions.
//   2. Uses and operands agree in both directions; nodes, results and regions know where they are.
//   3. A value is used only where it is visible: after its definition in the same region, or in a region inside a node
//   that comes
//      after. Regions of isolated ops (fused) use nothing from outside.
//   4. A type can be stored: extents are valid and not negative, sizes fit 64 bits, rank <= 64, layouts and
//   quantizations fit
//      (Type::problem). Tokens stand alone.
//   5. Operand, region and result types obey the op's rule as far as it is a line (verify_types.cpp).
//   6. A run-time symbol is defined before it is mentioned: its first mention, in order, is as an extent of its own
//   (`?0`, not
//      `?0 + 1`) in an argument, or in a result of an op with the trait `fresh`. Bounds mention symbols that exist.
//      Lower bounds are not negative. A symbol that a region defines means nothing outside of it.
//   7. Functions have distinct names, main is the first; each result has a name; main's arguments have distinct
//   non-empty names.
//      A call names a function of the graph; functions do not call themselves, directly or through others; operands and
//      results match.
//   8. Layouts are row-major and no op is relayout or fused, before the stages that introduce them.
// canonical and later:
//   9. There are no calls and no functions but main.
//  10. Tensors have a rank (elements of sequences, optionals and maps need none).
// fused and later: fused nodes are allowed, not inside each other.
// laid_out and later: layouts other than row-major and relayout are allowed.
// planned: as laid_out; the plan is a record of its own with its own verifier.
#include "cameo/ir/verify.h"

#include "node_rules.h"
#include "verify_types.h"

#include <set>

namespace cameo::graph {

namespace {

constexpr size_t kMaxProblems = 100;

class Verifier {
public:
  Verifier(const Graph &graph, Stage stage) : graph_(graph), stage_(stage) {}

  std::vector<std::string> run() {
    functions();
    for (const Function &function : graph_.functions()) {
      function_ = &function;
      region(function.body, false);
    }
    bounds();
    return std::move(problems_);
  }

private:
  void report(const std::string &what) {
    if (problems_.size() < kMaxProblems) problems_.push_back(what);
  }
  void report(const Node *node, const std::string &what) {
    report("function '" + escape_name(function_->name) + "': " + node->str() + ": " + what);
  }
  void report(const Function &function, const std::string &what) {
    report("function '" + escape_name(function.name) + "': " + what);
  }

  void functions() {
    std::set<std::string> names;
    for (const Function &function : graph_.functions()) {
      if (!names.insert(function.name).second) report(function, "defined twice");
      if (function.result_names.size() != function.body->yield()->operand_count())
        report(function, std::to_string(function.result_names.size()) + " names for " +
                             std::to_string(function.body->yield()->operand_count()) + " results");
      if (function.body->parent()) report(function, "body inside a node");
    }
    if (graph_.main().name != "main") report(graph_.main(), "main has another name");
    std::set<std::string> arguments;
    for (const Value *argument : graph_.main().body->arguments())
      if (argument->name().empty() || !arguments.insert(argument->name()).second)
        report(graph_.main(), "argument '" + escape_name(argument->name()) + "' has no name of its own");
    if (stage_ >= Stage::canonical && graph_.functions().size() > 1)
      report("function left at stage " + std::string(name(stage_)));
    for (const Function &function : graph_.functions())
      if (std::set<const Function *> open; recursive(function, open)) {
        report(function, "calls itself");
        break;
      }
  }

  // Depth-first over calls; functions that were found to end are not entered again.
  bool recursive(const Function &function, std::set<const Function *> &open) {
    if (finite_.count(&function)) return false;
    if (!open.insert(&function).second) return true;
    for (const Node *node : Graph::all_nodes(function.body)) {
      if (!node->is(Op::call)) continue;
      const Function *callee = graph_.find_function(node->string("callee"));
      if (callee && recursive(*callee, open)) return true;
    }
    open.erase(&function);
    finite_.insert(&function);
    return false;
  }

  void bounds() {
    for (const auto &[key, info] : graph_.symbols()) {
      if (info.lower < 0) report("symbol " + key + ": lower bound " + std::to_string(info.lower));
      if (!info.upper) continue;
      if (!info.upper->valid()) report("symbol " + key + ": upper bound " + std::string(info.upper->fault_text()));
      info.upper->for_each_symbol([&](const std::string &other) {
        if (other[0] == '?' && !defined_.count(other)) report("symbol " + key + ": its bound mentions " + other);
      });
    }
  }

  void region(const Region *region, bool in_fused) {
    const size_t outer = scope_.size();
    for (const Value *argument : region->arguments()) {
      if (argument->region() != region || argument->producer()) report(region->yield(), "argument of another region");
      value(argument, region->parent(), true);
    }
    for (const Node *node : region->nodes()) {
      if (node->region() != region) report(node, "listed in a region that is not its own");
      this->node(node, in_fused);
    }
    operands(region->yield());
    for (; scope_.size() > outer; scope_.pop_back()) visible_.erase(scope_.back());
  }

  void node(const Node *node, bool in_fused) {
    if (auto problem = problem_of_node(node->op(), node->operands(), node->result_count(), node->attributes())) {
      report(node, *problem);
      return;
    }
    const OpInfo &row = node->info();
    if (row.regions != kAnyRegions && node->region_count() != static_cast<size_t>(row.regions)) {
      report(node, std::to_string(node->region_count()) + " regions instead of " + std::to_string(row.regions));
      return;
    }
    operands(node);
    stage_rules(node, in_fused);
    symbols(node);
    for (size_t i = 0; i < node->region_count(); ++i) {
      if (node->body(i)->parent() != node) report(node, "region of another node");
      if (row.has(kIsolated))
        for (const Value *value : Graph::captures(node->body(i)))
          report(node, "captures %" + escape_name(value->name()));
      region(node->body(i), in_fused || node->is(Op::fused));
    }
    for (size_t i = 0; i < node->result_count(); ++i) {
      if (node->result(i)->producer() != node || node->result(i)->index() != i) report(node, "result of another node");
      value(node->result(i), node, node->has(kFresh));
    }
    if (auto problem = problem_of_types(*node)) report(node, *problem);
    if (node->is(Op::call)) call(node);
  }

  void operands(const Node *node) {
    for (size_t i = 0; i < node->operand_count(); ++i) {
      const Value *value = node->operand(i);
      if (!value) continue;
      bool listed = false;
      // Long lists of uses are searched for a few operands only: constant values may have many thousands of users.
      if (value->uses().size() <= 64 || checked_long_lists_++ < 64)
        for (const Use &use : value->uses()) listed |= use.node == node && use.index == i;
      else
        listed = true;
      if (!listed) report(node, "operand " + std::to_string(i) + " does not know of its use");
      if (!visible(value, node)) report(node, "operand %" + escape_name(value->name()) + " is not visible here");
    }
  }

  static bool visible(const Value *value, const Node *user) {
    const Region *home = value->region();
    if (!home || !home->encloses(user->region())) return false;
    if (!value->producer()) return true;
    return Graph::is_before(value->producer(), user);
  }

  void stage_rules(const Node *node, bool in_fused) {
    if (node->is(Op::call) && stage_ >= Stage::canonical)
      report(node, "call left at stage " + std::string(name(stage_)));
    if (node->is(Op::fused) && stage_ < Stage::fused) report(node, "fused before stage fused");
    if (node->is(Op::fused) && in_fused) report(node, "fused inside fused");
    if (node->is(Op::relayout) && stage_ < Stage::laid_out) report(node, "relayout before stage laid_out");
  }

  // Attributes mention only symbols that exist.
  void symbols(const Node *node) {
    auto visit = [&](const Dim &dim) {
      if (!dim.valid()) report(node, "attribute " + std::string(dim.fault_text()));
      dim.for_each_symbol([&](const std::string &key) {
        if (key[0] == '?' && !visible_.count(key)) report(node, "symbol " + key + " is not defined here");
      });
    };
    for (const auto &[name, attribute] : node->attributes())
      if (auto dim = std::get_if<Dim>(&attribute))
        visit(*dim);
      else if (auto dims = std::get_if<std::vector<Dim>>(&attribute))
        for (const Dim &each : *dims) visit(each);
  }

  // `place` is for messages; null: an argument of the function.
  void value(const Value *value, const Node *place, bool may_define) {
    auto report_here = [&](const std::string &what) {
      if (place)
        report(place, what);
      else
        report(*function_, "argument '" + escape_name(value->name()) + "': " + what);
    };
    const Type &type = value->type();
    if (auto problem = type.problem()) report_here(*problem);
    if (stage_ >= Stage::canonical && type.is_tensor() && !type.is_ranked())
      report_here("unknown rank at stage " + std::string(name(stage_)));
    if (stage_ < Stage::laid_out && type.is_ranked() && !type.layout().is_row_major())
      report_here("layout before stage laid_out");
    if (may_define) define(type);
    type.for_each_symbol([&](const std::string &key) {
      if (key[0] == '?' && !visible_.count(key)) report_here("symbol " + key + " is not defined here");
    });
  }

  void define(const Type &type) {
    if (type.is_ranked())
      for (const Dim &dim : type.shape())
        if (dim.is_runtime() && defined_.insert(dim.symbol_key()).second) {
          visible_.insert(dim.symbol_key());
          scope_.push_back(dim.symbol_key());
        }
    if (type.is_sequence() || type.is_optional() || type.is_map()) define(type.element());
  }

  void call(const Node *node) {
    const Function *callee = graph_.find_function(node->string("callee"));
    if (!callee || callee == &graph_.main()) return report(node, "calls what is no function");
    if (callee->body->arguments().size() != node->operand_count() ||
        callee->body->yield()->operand_count() != node->result_count())
      return report(node, "operands or results do not match those of the function");
    for (size_t i = 0; i < node->operand_count(); ++i)
      if (!accepts(callee->body->argument(i)->type(), node->operand(i)->type()))
        report(node, "operand " + std::to_string(i) + " is " + node->operand(i)->type().str());
  }

  const Graph &graph_;
  Stage stage_;
  const Function *function_ = nullptr;
  std::set<const Function *> finite_; ///< membership only, never iterated
  std::set<std::string> defined_;     ///< run-time symbols seen so far, each has one definition
  std::set<std::string> visible_;     ///< those of the regions around the current place
  std::vector<std::string> scope_;    ///< the visible ones in order of definition
  size_t checked_long_lists_ = 0;
  std::vector<std::string> problems_;
};

} // namespace

std::vector<std::string> verify(const Graph &graph, Stage stage) { return Verifier(graph, stage).run(); }
std::vector<std::string> verify(const Graph &graph) { return verify(graph, graph.stage()); }

void verify_or_die(const Graph &graph, std::string_view where) {
  std::vector<std::string> problems = verify(graph);
  std::string text = "after " + std::string(where);
  for (const std::string &problem : problems) text += "\n  " + problem;
  CAMEO_CHECK(problems.empty(), text);
}

} // namespace cameo::graph
