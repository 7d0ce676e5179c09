// Reading a graph: values, nodes with their attributes, regions, and questions about order and use. graph_edit.cpp
// changes it.
#include "cameo/ir/graph.h"

#include "node_rules.h"

#include <algorithm>
#include <bit>

namespace cameo::graph {

bool same(const Attribute &a, const Attribute &b) {
  if (a.index() != b.index()) return false;
  if (auto x = std::get_if<Constant>(&a)) return same_content(**x, *std::get<Constant>(b));
  // Doubles by bits, so that NaN equals itself and 0 does not equal -0.
  auto bits_equal = [](double x, double y) { return std::bit_cast<uint64_t>(x) == std::bit_cast<uint64_t>(y); };
  if (auto x = std::get_if<double>(&a)) return bits_equal(*x, std::get<double>(b));
  if (auto x = std::get_if<std::vector<double>>(&a)) {
    const auto &y = std::get<std::vector<double>>(b);
    return std::equal(x->begin(), x->end(), y.begin(), y.end(), bits_equal);
  }
  return a == b;
}

Region *Value::region() const { return producer_ ? producer_->region() : owner_; }

std::vector<Node *> Value::users() const {
  std::vector<Node *> nodes;
  for (const Use &use : uses_) nodes.push_back(use.node);
  std::sort(nodes.begin(), nodes.end(), [](Node *a, Node *b) { return a->id() < b->id(); });
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  return nodes;
}

bool Value::is(Op op) const { return producer_ && producer_->is(op); }

const ConstantData *Value::constant() const { return is(Op::constant) ? producer_->tensor("value").get() : nullptr; }

Fn Node::fn() const {
  const Attribute *attribute = find("fn");
  CAMEO_CHECK(op_ == Op::elementwise && attribute, "fn of " + str());
  return std::get<Fn>(*attribute);
}

std::vector<Value *> Node::operands() const {
  std::vector<Value *> values;
  values.reserve(operands_.size());
  for (const Operand &operand : operands_) values.push_back(operand.value);
  return values;
}

Value *Node::result(size_t i) const {
  CAMEO_CHECK(!erased_ && i < results_.size(), "result " + std::to_string(i) + " of " + std::string(graph::name(op_)));
  return results_[i];
}

Region *Node::body(size_t i) const {
  CAMEO_CHECK(i < regions_.size(), "region " + std::to_string(i) + " of " + str());
  return regions_[i];
}

const Attribute *Node::find(std::string_view name) const {
  for (const auto &[key, value] : attributes_)
    if (key == name) return &value;
  return nullptr;
}

namespace {
template <class T> const T &typed(const Node &node, std::string_view name) {
  const Attribute *attribute = node.find(name);
  CAMEO_CHECK(attribute && std::holds_alternative<T>(*attribute),
              "attribute '" + std::string(name) + "' of " + node.str());
  return std::get<T>(*attribute);
}
} // namespace

int64_t Node::integer(std::string_view name) const { return typed<int64_t>(*this, name); }
double Node::real(std::string_view name) const { return typed<double>(*this, name); }
bool Node::flag(std::string_view name) const { return find(name) && typed<bool>(*this, name); }
const std::string &Node::string(std::string_view name) const { return typed<std::string>(*this, name); }
DType Node::dtype(std::string_view name) const { return typed<DType>(*this, name); }
const Dim &Node::dim(std::string_view name) const { return typed<Dim>(*this, name); }
const std::vector<int64_t> &Node::ints(std::string_view name) const { return typed<std::vector<int64_t>>(*this, name); }
const std::vector<double> &Node::reals(std::string_view name) const { return typed<std::vector<double>>(*this, name); }
const std::vector<std::string> &Node::strings(std::string_view name) const {
  return typed<std::vector<std::string>>(*this, name);
}
const std::vector<Dim> &Node::dims(std::string_view name) const { return typed<std::vector<Dim>>(*this, name); }
const Constant &Node::tensor(std::string_view name) const { return typed<Constant>(*this, name); }
int64_t Node::integer_or(std::string_view name, int64_t otherwise) const {
  return find(name) ? integer(name) : otherwise;
}
double Node::real_or(std::string_view name, double otherwise) const { return find(name) ? real(name) : otherwise; }
std::string_view Node::string_or(std::string_view name, std::string_view otherwise) const {
  return find(name) ? std::string_view(string(name)) : otherwise;
}

void Node::set(std::string_view name, Attribute value) {
  const AttrSchema *schema = info().attribute(name);
  CAMEO_CHECK(schema && is_kind(schema->kind, value), "attribute '" + std::string(name) + "' of " + str());
  CAMEO_CHECK(schema->kind != AttrKind::word || schema->allows(std::get<std::string>(value)),
              "word of attribute '" + std::string(name) + "' of " + str());
  auto at = std::lower_bound(attributes_.begin(), attributes_.end(), name,
                             [](const auto &pair, std::string_view key) { return pair.first < key; });
  if (at != attributes_.end() && at->first == name)
    at->second = std::move(value);
  else
    attributes_.insert(at, {std::string(name), std::move(value)});
}

void Node::remove_attribute(std::string_view name) {
  std::erase_if(attributes_, [&](const auto &pair) { return pair.first == name; });
}

void Node::merge_origin(const Node &other) {
  for (const std::string &name : other.origin_)
    if (std::find(origin_.begin(), origin_.end(), name) == origin_.end()) origin_.push_back(name);
}

NodeIterator::NodeIterator(Node *node)
    : node_(node), next_(node ? node->next_ : nullptr), region_(node ? node->region_ : nullptr) {}

NodeIterator &NodeIterator::operator++() {
  // A husk still knows what came after it; a node that moved away does not.
  Node *next = node_->erased_ || node_->region_ == region_ ? node_->next_ : next_;
  while (next && next->erased_) next = next->next_;
  node_ = next;
  next_ = next ? next->next_ : nullptr;
  return *this;
}

Value *Region::argument(size_t i) const {
  CAMEO_CHECK(i < arguments_.size(), "argument " + std::to_string(i) + " of a region");
  return arguments_[i];
}

std::vector<Node *> Region::node_list() const {
  std::vector<Node *> list;
  list.reserve(size_);
  for (Node *node = first_; node; node = node->next_) list.push_back(node);
  return list;
}

bool Region::encloses(const Region *other) const {
  while (other && other != this) other = other->parent_ ? other->parent_->region() : nullptr;
  return other == this;
}

void Region::number_nodes() const {
  if (order_valid_) return;
  uint64_t order = 0;
  for (Node *node = first_; node; node = node->next_) node->order_ = order += kOrderStep;
  yield_->order_ = UINT64_MAX;
  order_valid_ = true;
}

std::string_view name(Stage stage) {
  constexpr std::string_view kNames[] = {"imported", "canonical", "fused", "laid_out", "planned"};
  return kNames[static_cast<size_t>(stage)];
}

std::optional<Stage> stage_from_name(std::string_view text) {
  for (Stage stage : {Stage::imported, Stage::canonical, Stage::fused, Stage::laid_out, Stage::planned})
    if (name(stage) == text) return stage;
  return std::nullopt;
}

bool Graph::is_before(const Node *a, const Node *b) {
  auto outer = [](const Node *node) -> const Node * { return node->region()->parent(); };
  auto depth = [&](const Node *node) {
    int levels = 0;
    while ((node = outer(node))) ++levels;
    return levels;
  };
  int levels = depth(a) - depth(b);
  for (; levels > 0; --levels) a = outer(a);
  for (; levels < 0; ++levels) b = outer(b);
  while (a != b && a->region() != b->region()) {
    a = outer(a);
    b = outer(b);
    CAMEO_CHECK(a && b, "order of nodes of different functions");
  }
  if (a == b) return false;
  a->region()->number_nodes();
  return a->order_ < b->order_;
}

namespace {
template <class Visit> void visit_nodes(const Region *region, const Visit &visit) {
  for (Node *node : region->nodes()) {
    visit(node);
    for (size_t i = 0; i < node->region_count(); ++i) visit_nodes(node->body(i), visit);
  }
}
} // namespace

std::vector<Node *> Graph::all_nodes(const Region *region) {
  std::vector<Node *> nodes;
  visit_nodes(region, [&](Node *node) { nodes.push_back(node); });
  return nodes;
}

static void add_captures(const Region *root, const Region *region, std::unordered_map<const Value *, bool> &seen,
                         std::vector<Value *> &found) {
  auto add = [&](const Node *node) {
    for (Value *value : node->operands())
      if (value && !root->encloses(value->region()) && seen.emplace(value, true).second) found.push_back(value);
  };
  for (Node *node : region->nodes()) {
    add(node);
    for (size_t i = 0; i < node->region_count(); ++i) add_captures(root, node->body(i), seen, found);
  }
  add(region->yield());
}

std::vector<Value *> Graph::captures(const Region *region) {
  std::unordered_map<const Value *, bool> seen;
  std::vector<Value *> found;
  add_captures(region, region, seen, found);
  return found;
}

size_t Graph::node_count() const {
  size_t count = 0;
  for (const Function &function : functions_) visit_nodes(function.body, [&](Node *) { ++count; });
  return count;
}

Function *Graph::find_function(std::string_view name) {
  for (Function &function : functions_)
    if (function.name == name) return &function;
  return nullptr;
}

const Function *Graph::find_function(std::string_view name) const {
  return const_cast<Graph *>(this)->find_function(name);
}

} // namespace cameo::graph
