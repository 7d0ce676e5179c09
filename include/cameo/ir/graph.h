// Graph IR: a model as SSA values and nodes, in regions.
//
// A Graph has a main function and model-local functions; a function is a region; a region is a list of nodes in an
// order in which definitions come before uses, between arguments and results. Nodes such as `if` and `loop` hold
// regions, which may use the values of the regions around them. Every region ends in a `yield` node, whose operands are
// the region's results: so every use of a value is an operand of a node.
//
//   graph @net stage canonical {
//     symbol batch in [1, 64]
//     main(%x: f32[batch, 8]) {
//       %w = constant f32[8, 2] #f2a9c01b6d3e4a57
//       %y = contract %x, %w {equation = "mk,kn->mn"} : f32[batch, 2] from "fc1"
//       %z = relu %y : f32[batch, 2]
//       yield %z as "scores"
//     }
//   }
//
// Handles: `Node *` and `Value *` stay valid until the node is erased; the Graph owns them. Nothing is ever ordered by
// address: use id(). Changing a graph goes through its methods; reading goes through the nodes. A pass reads like this:
//
//   for (Node *node : graph.main().body->nodes())           // safe against erasing `node` itself
//     if (node->op() == Op::transpose && is_identity(node->ints("perm"))) {
//       graph.replace(node->result(), node->operand());      // every use, also the region's results
//       graph.erase(node);
//     }
#pragma once

#include "cameo/ir/constant.h"
#include "cameo/ir/op.h"
#include "cameo/ir/type.h"

#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace cameo::graph {

class Graph;
class Node;
class Region;

/// The value of an attribute, by kind (op.h). Words are strings. Reals are doubles; an f32 of a model is widened
/// exactly.
using Attribute = std::variant<int64_t, double, bool, std::string, DType, Dim, Fn, std::vector<int64_t>,
                               std::vector<double>, std::vector<std::string>, std::vector<Dim>, Constant>;
/// Sorted by name; compared structurally (constants by content).
using Attributes = std::vector<std::pair<std::string, Attribute>>;
bool same(const Attribute &a, const Attribute &b);

/// One operand of one node.
struct Use {
  Node *node = nullptr;
  uint32_t index = 0;
};

/// An SSA value: a node's result or a region's argument.
class Value {
public:
  uint32_t id() const { return id_; } ///< unique in the graph, in order of creation
  const Type &type() const { return type_; }
  const std::string &name() const { return name_; } ///< as in the model; may be empty
  Node *producer() const { return producer_; }      ///< null for a region's argument
  Region *region() const;                           ///< that the value is defined in
  uint32_t index() const { return index_; }         ///< among the results or arguments
  /// In no particular (but a deterministic) order; a node that uses the value twice is there twice. Do not hold across
  /// changes.
  std::span<const Use> uses() const { return uses_; }
  bool unused() const { return uses_.empty(); }
  bool has_one_use() const { return uses_.size() == 1; }
  /// Each user once, by id.
  std::vector<Node *> users() const;
  bool is(Op op) const; ///< produced by such a node
  /// Data of the constant that produces it, else null.
  const ConstantData *constant() const;

  void set_type(Type type) { type_ = std::move(type); }
  void set_name(std::string name) { name_ = std::move(name); }

  Value() = default;
  Value(const Value &) = delete;

private:
  friend class Graph;
  uint32_t id_ = 0, index_ = 0;
  Type type_;
  std::string name_;
  Node *producer_ = nullptr;
  Region *owner_ = nullptr; ///< of an argument
  std::vector<Use> uses_;
};

class Node {
public:
  uint32_t id() const { return id_; }
  Op op() const { return op_; }
  bool erased() const { return erased_; } ///< a husk: for passes with work lists
  const OpInfo &info() const { return graph::info(op_); }
  bool has(Trait trait) const { return info().has(trait); }
  bool is(Op op) const { return op_ == op; }
  bool is(Fn fn) const { return op_ == Op::elementwise && this->fn() == fn; }
  Fn fn() const;                             ///< of an elementwise node
  Region *region() const { return region_; } ///< that lists the node (for a yield: that it ends)
  /// Op or function name, values and origin in one line, for messages about our own faults.
  std::string str() const;

  size_t operand_count() const { return operands_.size(); }
  Value *operand(size_t i = 0) const { return i < operands_.size() ? operands_[i].value : nullptr; } ///< null: absent
  std::vector<Value *> operands() const;
  size_t result_count() const { return results_.size(); }
  Value *result(size_t i = 0) const;
  std::span<Value *const> results() const { return results_; }
  size_t region_count() const { return regions_.size(); }
  Region *body(size_t i = 0) const;

  // Attributes. The typed getters CAMEO_CHECK that the attribute is there and of that kind.
  const Attributes &attributes() const { return attributes_; }
  const Attribute *find(std::string_view name) const; ///< null when absent
  bool has_attribute(std::string_view name) const { return find(name) != nullptr; }
  int64_t integer(std::string_view name) const;
  double real(std::string_view name) const;
  bool flag(std::string_view name) const;                 ///< false when absent
  const std::string &string(std::string_view name) const; ///< strings and words
  DType dtype(std::string_view name) const;
  const Dim &dim(std::string_view name) const;
  const std::vector<int64_t> &ints(std::string_view name) const;
  const std::vector<double> &reals(std::string_view name) const;
  const std::vector<std::string> &strings(std::string_view name) const;
  const std::vector<Dim> &dims(std::string_view name) const;
  const Constant &tensor(std::string_view name) const;
  int64_t integer_or(std::string_view name, int64_t otherwise) const;
  double real_or(std::string_view name, double otherwise) const;
  std::string_view string_or(std::string_view name, std::string_view otherwise) const;
  void set(std::string_view name, Attribute value); ///< adds or replaces; the schema must allow it
  void remove_attribute(std::string_view name);

  /// Names of the ONNX nodes that this one does the work of, for messages and debug information.
  const std::vector<std::string> &origin() const { return origin_; }
  void set_origin(std::vector<std::string> names) { origin_ = std::move(names); }
  /// Appends names that are not there yet (after fusing or replacing `other`).
  void merge_origin(const Node &other);

  Node() = default;
  Node(const Node &) = delete;

private:
  friend class Graph;
  friend class Region;
  friend class NodeIterator;
  struct Operand {
    Value *value = nullptr;
    uint32_t slot = 0; ///< position in value->uses_
  };
  uint32_t id_ = 0;
  Op op_ = Op::yield;
  bool erased_ = false;
  Region *region_ = nullptr;
  Node *previous_ = nullptr, *next_ = nullptr;
  mutable uint64_t order_ = 0; ///< increases along the region when region_->order_valid_
  std::vector<Operand> operands_;
  std::vector<Value *> results_;
  std::vector<Region *> regions_;
  Attributes attributes_;
  std::vector<std::string> origin_;
};

/// Iterates over a region's nodes in order. The current node may be erased, or moved to another region; nodes inserted
/// behind it are visited. For passes that reorder a region: Region::node_list().
class NodeIterator {
public:
  explicit NodeIterator(Node *node);
  Node *operator*() const { return node_; }
  NodeIterator &operator++();
  bool operator!=(const NodeIterator &other) const { return node_ != other.node_; }

private:
  Node *node_, *next_;
  const Region *region_;
};

struct NodeRange {
  Node *first = nullptr;
  NodeIterator begin() const { return NodeIterator(first); }
  NodeIterator end() const { return NodeIterator(nullptr); }
};

class Region {
public:
  uint32_t id() const { return id_; }
  Node *parent() const { return parent_; } ///< the node that holds it; null for a function's body
  std::span<Value *const> arguments() const { return arguments_; }
  Value *argument(size_t i) const;
  Node *yield() const { return yield_; }
  std::vector<Value *> results() const { return yield_->operands(); }
  NodeRange nodes() const { return {first_}; } ///< without the yield
  /// A snapshot, for passes that change much around them (last node last).
  std::vector<Node *> node_list() const;
  Node *first() const { return first_; }
  Node *last() const { return last_; }
  size_t size() const { return size_; }
  /// Whether `other` is this region or lies inside it.
  bool encloses(const Region *other) const;

  Region() = default;
  Region(const Region &) = delete;

private:
  friend class Graph;
  friend class Node;
  uint32_t id_ = 0;
  Node *parent_ = nullptr;
  std::vector<Value *> arguments_;
  Node *first_ = nullptr, *last_ = nullptr, *yield_ = nullptr;
  size_t size_ = 0;
  static constexpr uint64_t kOrderStep = 1 << 20;
  void number_nodes() const; ///< gives every node its order_ when that is not valid
  mutable bool order_valid_ = false;
};

/// `main` or a model-local function. Arguments and results keep the names of the model's interface.
struct Function {
  std::string name; ///< `main`, or `domain:name` or what the importer made unique
  Region *body = nullptr;
  std::vector<std::string> result_names; ///< one per result; the argument's names are those of the values
};

/// What is known of a symbol; `upper` may mention other symbols (nonzero: the number of elements of its input).
struct SymbolInfo {
  int64_t lower = 0;
  std::optional<Dim> upper;
  friend bool operator==(const SymbolInfo &, const SymbolInfo &) = default;
};

/// How far the pipeline has come; each stage keeps the invariants of those before it unless verify.h says otherwise.
enum class Stage : uint8_t { imported, canonical, fused, laid_out, planned };
std::string_view name(Stage stage);
std::optional<Stage> stage_from_name(std::string_view text);

/// Where a node goes.
struct InsertPoint {
  Region *region = nullptr;
  Node *before = nullptr; ///< null: at the end of the region
  static InsertPoint end(Region *region) { return {region, nullptr}; }
  static InsertPoint ahead_of(Node *node) { return {node->region(), node->is(Op::yield) ? nullptr : node}; }
};

class Graph {
public:
  explicit Graph(std::string name = {});
  Graph(Graph &&) = default; ///< handles stay valid
  Graph &operator=(Graph &&) = default;

  const std::string &name() const { return name_; }
  void set_name(std::string name) { name_ = std::move(name); }
  Stage stage() const { return stage_; }
  void set_stage(Stage stage) { stage_ = stage; }

  Function &main() { return functions_.front(); }
  const Function &main() const { return functions_.front(); }
  /// Main first, then local functions in order of creation.
  const std::deque<Function> &functions() const { return functions_; }
  Function *find_function(std::string_view name);
  const Function *find_function(std::string_view name) const;
  Function &add_function(std::string name);   ///< with an empty body; the name must be new
  void erase_function(std::string_view name); ///< not main

  // Building. All constructors check op, operand and result counts and attributes against the op's row.
  Value *add_argument(Region *region, Type type, std::string name = {});
  void erase_argument(Value *argument); ///< must be unused
  void set_results(Region *region, std::vector<Value *> values);
  /// Sets the results of main or of a local function with their public names.
  void set_results(Function &function, std::vector<Value *> values, std::vector<std::string> names);
  Node *create(InsertPoint at, Op op, std::vector<Value *> operands, Attributes attributes,
               std::vector<Type> result_types, std::vector<std::string> origin = {});
  Region *add_region(Node *node); ///< an empty one, after those that the node has

  // Changing.
  void set_operand(Node *node, size_t index, Value *value); ///< value may be null for an absent operand
  void set_operands(Node *node, std::vector<Value *> values);
  /// Every use of `from` becomes one of `to`. When `to` has no name it takes the name of `from`.
  void replace(Value *from, Value *to);
  Value *add_result(Node *node, Type type, std::string name = {}); ///< appends
  void erase_result(Node *node, size_t index); ///< must be unused; only of variadic results or trailing optional ones
  void erase(Node *node);                      ///< results must be unused; erases its regions too
  void move(Node *node, InsertPoint to);
  /// Moves all nodes of `from` ahead of the point, leaving `from` empty but for its yield.
  void splice(Region *from, InsertPoint to);

  /// Copies the nodes of `source`, a region of this graph, to the point and returns the copies of its results. `map`
  /// says what its arguments become (captured values stay unless they are in it) and ends with all copies. Run-time
  /// symbols defined inside get fresh numbers.
  std::vector<Value *> clone(const Region &source, InsertPoint to, std::unordered_map<const Value *, Value *> &map);
  /// Copies one node with its regions; operands through `map` where it has them.
  Node *clone(const Node &source, InsertPoint to, std::unordered_map<const Value *, Value *> &map);
  /// A deep copy of everything.
  Graph copy() const;

  // Symbols.
  Dim new_runtime_symbol(std::optional<Dim> upper = std::nullopt); ///< a fresh `?n`
  void reserve_runtime_symbols(int64_t count); ///< numbers below `count` are taken by whoever wrote the types
  void set_symbol(const Dim &symbol, SymbolInfo info);
  /// Forgets bounds of run-time symbols that no value defines any more, and bounds that mention such.
  void prune_symbols();
  SymbolInfo symbol(const std::string &name) const; ///< {0, none} when nothing was said
  const std::map<std::string, SymbolInfo> &symbols() const { return symbols_; }
  /// Bounds of an expression under what is known of its symbols.
  Interval bounds(const Dim &dim) const;
  /// Keys of the symbols that types mention, in order of first mention (arguments of main first).
  std::vector<std::string> used_symbols() const;
  /// The node that defines each run-time symbol: the first, in order, of which a result or a region's argument mentions
  /// it. Null for those that arguments of functions bring in. By key.
  std::map<std::string, const Node *> runtime_definers() const;
  /// Substitutes in every type and dims attribute of the graph and in the bounds of symbols; the symbols replaced (by
  /// their keys) lose theirs. Errors, after which the graph is of no use: a constant outside of its symbol's bounds, an
  /// extent that overflows.
  Status substitute(const std::map<std::string, Dim> &values);

  /// Whether a comes before b; inner nodes count where they meet in one region. False for a node and itself or one
  /// inside it.
  static bool is_before(const Node *a, const Node *b);
  /// Values defined outside `region` that it (or a region inside) uses, each once, in order of first use.
  static std::vector<Value *> captures(const Region *region);
  /// All nodes of the region and of regions inside, outer node before inner ones, without yields.
  static std::vector<Node *> all_nodes(const Region *region);
  size_t node_count() const; ///< of all functions, without yields

private:
  Value *new_value(Type type, std::string name);
  Node *new_node(Op op);
  Region *new_region(Node *parent);
  void link(Node *node, InsertPoint at);
  void unlink(Node *node);
  void add_use(Node *node, size_t index, Value *value);
  void drop_use(Node *node, size_t index);
  void erase_contents(Region *region);
  friend class Cloner;

  std::string name_;
  Stage stage_ = Stage::imported;
  std::deque<Function> functions_;
  std::map<std::string, SymbolInfo> symbols_;
  int64_t next_runtime_ = 0;
  uint32_t next_value_ = 0, next_node_ = 0, next_region_ = 0;
  std::deque<Node> nodes_; ///< stable addresses; an erased node stays as a husk, so that a stale handle is caught
  std::deque<Value> values_;
  std::deque<Region> regions_;
};

} // namespace cameo::graph
