// Changing a graph. Uses are kept in both directions: an operand knows its slot in the value's list of uses, so adding
// and dropping a use takes constant time however many users a value has.
#include "node_rules.h"

#include <algorithm>

namespace cameo::graph {

Graph::Graph(std::string name) : name_(std::move(name)) {
  functions_.emplace_back();
  functions_.back().name = "main";
  functions_.back().body = new_region(nullptr);
}

Function &Graph::add_function(std::string name) {
  CAMEO_CHECK(!find_function(name), "function '" + name + "' exists");
  functions_.push_back({std::move(name), new_region(nullptr), {}});
  return functions_.back();
}

void Graph::erase_function(std::string_view name) {
  Function *function = find_function(name);
  CAMEO_CHECK(function && function != &main(), "cannot erase function '" + std::string(name) + "'");
  erase_contents(function->body);
  functions_.erase(functions_.begin() + (std::find_if(functions_.begin(), functions_.end(),
                                                      [&](const Function &f) { return &f == function; }) -
                                         functions_.begin()));
}

Value *Graph::new_value(Type type, std::string name) {
  Value &value = values_.emplace_back();
  value.id_ = next_value_++;
  value.type_ = std::move(type);
  value.name_ = std::move(name);
  return &value;
}

Node *Graph::new_node(Op op) {
  Node &node = nodes_.emplace_back();
  node.id_ = next_node_++;
  node.op_ = op;
  return &node;
}

Region *Graph::new_region(Node *parent) {
  Region &region = regions_.emplace_back();
  region.id_ = next_region_++;
  region.parent_ = parent;
  region.yield_ = new_node(Op::yield);
  region.yield_->region_ = &region;
  return &region;
}

Value *Graph::add_argument(Region *region, Type type, std::string name) {
  Value *value = new_value(std::move(type), std::move(name));
  value->owner_ = region;
  value->index_ = static_cast<uint32_t>(region->arguments_.size());
  region->arguments_.push_back(value);
  return value;
}

void Graph::erase_argument(Value *argument) {
  CAMEO_CHECK(argument->owner_ && argument->unused(), "cannot erase argument %" + argument->name_);
  std::vector<Value *> &arguments = argument->owner_->arguments_;
  arguments.erase(arguments.begin() + argument->index_);
  for (size_t i = argument->index_; i < arguments.size(); ++i) arguments[i]->index_ = static_cast<uint32_t>(i);
  argument->owner_ = nullptr;
}

void Graph::set_results(Region *region, std::vector<Value *> values) {
  for (const Value *value : values) CAMEO_CHECK(value, "a region's result is absent");
  set_operands(region->yield_, std::move(values));
}

void Graph::set_results(Function &function, std::vector<Value *> values, std::vector<std::string> names) {
  CAMEO_CHECK(values.size() == names.size(), "names of the results of '" + function.name + "'");
  set_results(function.body, std::move(values));
  function.result_names = std::move(names);
}

Node *Graph::create(InsertPoint at, Op op, std::vector<Value *> operands, Attributes attributes,
                    std::vector<Type> result_types, std::vector<std::string> origin) {
  std::sort(attributes.begin(), attributes.end(), [](const auto &a, const auto &b) { return a.first < b.first; });
  auto problem = problem_of_node(op, operands, result_types.size(), attributes);
  CAMEO_CHECK(!problem, *problem);
  CAMEO_CHECK(op != Op::yield, "a yield belongs to its region");
  Node *node = new_node(op);
  node->attributes_ = std::move(attributes);
  node->origin_ = std::move(origin);
  link(node, at);
  set_operands(node, std::move(operands));
  for (Type &type : result_types) add_result(node, std::move(type));
  return node;
}

Region *Graph::add_region(Node *node) {
  CAMEO_CHECK(node->info().regions != 0, "a region in " + node->str());
  node->regions_.push_back(new_region(node));
  return node->regions_.back();
}

void Graph::add_use(Node *node, size_t index, Value *value) {
  Node::Operand &operand = node->operands_[index];
  operand.value = value;
  if (!value) return;
  CAMEO_CHECK(!value->producer_ || !value->producer_->erased_, "use of an erased value");
  operand.slot = static_cast<uint32_t>(value->uses_.size());
  value->uses_.push_back({node, static_cast<uint32_t>(index)});
}

void Graph::drop_use(Node *node, size_t index) {
  Node::Operand &operand = node->operands_[index];
  if (!operand.value) return;
  std::vector<Use> &uses = operand.value->uses_;
  uses[operand.slot] = uses.back();
  uses[operand.slot].node->operands_[uses[operand.slot].index].slot = operand.slot;
  uses.pop_back();
  operand.value = nullptr;
}

void Graph::set_operand(Node *node, size_t index, Value *value) {
  CAMEO_CHECK(index < node->operands_.size(), "operand " + std::to_string(index) + " of " + node->str());
  CAMEO_CHECK(value || node->info().operand_optional(index), "operand " + std::to_string(index) + " is not optional");
  drop_use(node, index);
  add_use(node, index, value);
}

void Graph::set_operands(Node *node, std::vector<Value *> values) {
  while (node->info().max_operands >= 0 && !values.empty() && !values.back()) values.pop_back();
  for (size_t i = 0; i < node->operands_.size(); ++i) drop_use(node, i);
  node->operands_.assign(values.size(), {});
  for (size_t i = 0; i < values.size(); ++i) add_use(node, i, values[i]);
}

void Graph::replace(Value *from, Value *to) {
  if (from == to) return;
  if (to->name_.empty()) to->name_ = from->name_;
  std::vector<Use> uses = std::move(from->uses_);
  from->uses_.clear();
  for (const Use &use : uses) add_use(use.node, use.index, to);
}

Value *Graph::add_result(Node *node, Type type, std::string name) {
  Value *value = new_value(std::move(type), std::move(name));
  value->producer_ = node;
  value->index_ = static_cast<uint32_t>(node->results_.size());
  node->results_.push_back(value);
  return value;
}

void Graph::erase_result(Node *node, size_t index) {
  CAMEO_CHECK(node->result(index)->unused(), "result " + std::to_string(index) + " is used: " + node->str());
  const OpInfo &row = node->info();
  CAMEO_CHECK(row.max_results < 0 || (index + 1 == node->results_.size() && static_cast<int>(index) >= row.min_results),
              "result " + std::to_string(index) + " is not optional: " + node->str());
  node->results_[index]->producer_ = nullptr;
  node->results_.erase(node->results_.begin() + static_cast<std::ptrdiff_t>(index));
  for (size_t i = index; i < node->results_.size(); ++i) node->results_[i]->index_ = static_cast<uint32_t>(i);
}

void Graph::link(Node *node, InsertPoint at) {
  Region *region = at.region;
  CAMEO_CHECK(region && (!at.before || (at.before->region_ == region && !at.before->erased_)), "insertion point");
  node->region_ = region;
  node->next_ = at.before;
  node->previous_ = at.before ? at.before->previous_ : region->last_;
  (node->previous_ ? node->previous_->next_ : region->first_) = node;
  (node->next_ ? node->next_->previous_ : region->last_) = node;
  ++region->size_;
  if (!region->order_valid_) return;
  const uint64_t low = node->previous_ ? node->previous_->order_ : 0;
  const uint64_t high = node->next_ ? node->next_->order_ : low + 2 * Region::kOrderStep;
  node->order_ = low + (high - low) / 2;
  region->order_valid_ = node->order_ > low && high < UINT64_MAX / 2;
}

void Graph::unlink(Node *node) {
  Region *region = node->region_;
  (node->previous_ ? node->previous_->next_ : region->first_) = node->next_;
  (node->next_ ? node->next_->previous_ : region->last_) = node->previous_;
  --region->size_;
}

void Graph::move(Node *node, InsertPoint to) {
  CAMEO_CHECK(!node->erased_ && !node->is(Op::yield) && to.before != node, "cannot move " + node->str());
  unlink(node);
  link(node, to);
}

void Graph::splice(Region *from, InsertPoint to) {
  while (from->first_) move(from->first_, to);
}

void Graph::erase_contents(Region *region) {
  set_operands(region->yield_, {});
  while (region->last_) erase(region->last_);
}

void Graph::erase(Node *node) {
  CAMEO_CHECK(!node->erased_ && !node->is(Op::yield), "cannot erase " + node->str());
  for (const Value *result : node->results_) CAMEO_CHECK(result->unused(), "result is used: " + node->str());
  for (Region *region : node->regions_) erase_contents(region);
  set_operands(node, {});
  unlink(node);
  node->erased_ = true; // next_ stays, for iterators
  node->results_.clear();
  node->regions_.clear();
  node->attributes_ = {};
  node->origin_ = {};
}

Dim Graph::new_runtime_symbol(std::optional<Dim> upper) {
  Dim symbol = Dim::runtime(next_runtime_++);
  if (upper) set_symbol(symbol, {0, std::move(upper)});
  return symbol;
}

void Graph::reserve_runtime_symbols(int64_t count) { next_runtime_ = std::max(next_runtime_, count); }

void Graph::set_symbol(const Dim &symbol, SymbolInfo info) {
  CAMEO_CHECK(info.lower >= 0, "lower bound of " + symbol.str());
  if (symbol.is_runtime()) reserve_runtime_symbols(symbol.runtime_number() + 1);
  if (info == SymbolInfo{})
    symbols_.erase(symbol.symbol_key());
  else
    symbols_[symbol.symbol_key()] = std::move(info);
}

SymbolInfo Graph::symbol(const std::string &key) const {
  auto it = symbols_.find(key);
  return it == symbols_.end() ? SymbolInfo{} : it->second;
}

// Bounds may mention symbols with bounds; a chain longer than this, or a cycle, counts as unbounded.
static Interval bounds_of(const std::map<std::string, SymbolInfo> &symbols, const Dim &dim, int depth) {
  return dim.bounds([&](const std::string &key) -> std::optional<Interval> {
    auto it = symbols.find(key);
    if (it == symbols.end()) return std::nullopt;
    Interval interval{it->second.lower, {}};
    if (it->second.upper && depth < 8) interval.upper = bounds_of(symbols, *it->second.upper, depth + 1).upper;
    return interval;
  });
}

Interval Graph::bounds(const Dim &dim) const { return bounds_of(symbols_, dim, 0); }

template <class Visit> static void for_each_value(const Region *region, const Visit &visit) {
  for (Value *argument : region->arguments()) visit(argument);
  for (Node *node : region->nodes()) {
    for (size_t i = 0; i < node->region_count(); ++i) for_each_value(node->body(i), visit);
    for (Value *result : node->results()) visit(result);
  }
}

std::vector<std::string> Graph::used_symbols() const {
  std::vector<std::string> found;
  std::map<std::string, bool> seen;
  for (const Function &function : functions_)
    for_each_value(function.body, [&](Value *value) {
      value->type().for_each_symbol([&](const std::string &key) {
        if (seen.emplace(key, true).second) found.push_back(key);
      });
    });
  return found;
}

std::map<std::string, const Node *> Graph::runtime_definers() const {
  std::map<std::string, const Node *> definers;
  for (const Function &function : functions_)
    for_each_value(function.body, [&](const Value *value) {
      const Node *definer = value->producer() ? value->producer() : value->region()->parent();
      value->type().for_each_symbol([&](const std::string &key) {
        if (key[0] == '?') definers.emplace(key, definer);
      });
    });
  return definers;
}

void Graph::prune_symbols() {
  const std::map<std::string, const Node *> definers = runtime_definers();
  auto gone = [&](const std::string &key) { return key[0] == '?' && !definers.count(key); };
  std::erase_if(symbols_, [&](const auto &entry) { return gone(entry.first); });
  for (auto it = symbols_.begin(); it != symbols_.end();) {
    SymbolInfo &info = it->second;
    bool stale = false;
    if (info.upper) info.upper->for_each_symbol([&](const std::string &key) { stale |= gone(key); });
    if (stale) info.upper = std::nullopt;
    it = info == SymbolInfo{} ? symbols_.erase(it) : std::next(it);
  }
}

Status Graph::substitute(const std::map<std::string, Dim> &values) {
  Diagnostics problems;
  for (const auto &[key, value] : values) {
    Interval known = bounds(Dim::from_key(key));
    if (!value.is_constant()) continue;
    if ((known.lower && value.value() < *known.lower) || (known.upper && value.value() > *known.upper))
      problems.push_back({ExitCode::usage, "symbol " + Dim::from_key(key).str(),
                          value.str() + " is outside of its bounds, " + std::to_string(known.lower.value_or(0)) +
                              " to " + (known.upper ? std::to_string(*known.upper) : "any")});
  }
  auto lookup = [&](const std::string &key) -> std::optional<Dim> {
    auto it = values.find(key);
    return it == values.end() ? std::nullopt : std::optional(it->second);
  };
  for (const Function &function : functions_) {
    for_each_value(function.body, [&](Value *value) {
      value->set_type(value->type().substitute(lookup));
      auto problem = value->type().problem();
      if (problem && problems.size() < 20)
        problems.push_back({ExitCode::bad_model, "value '" + escape_name(value->name()) + "'", *problem});
    });
    for (Node *node : all_nodes(function.body))
      for (auto &[name, attribute] : node->attributes_)
        if (auto dim = std::get_if<Dim>(&attribute))
          *dim = dim->substitute(lookup);
        else if (auto dims = std::get_if<std::vector<Dim>>(&attribute))
          for (Dim &each : *dims) each = each.substitute(lookup);
  }
  for (const auto &[key, value] : values) symbols_.erase(key);
  for (auto &[key, info] : symbols_)
    if (info.upper) info.upper = info.upper->substitute(lookup);
  std::erase_if(symbols_, [](const auto &entry) { return entry.second.upper && !entry.second.upper->valid(); });
  if (!problems.empty()) return problems;
  return Ok{};
}

} // namespace cameo::graph
