// Turns strings into numbers (see cameo/passes/strings.h). First the whole graph is read: which ops see strings, which
// strings the model has. Then types and constants change, and last the ops that are more than movement.
#include "cameo/passes/strings.h"

#include "cameo/ir/builder.h"
#include "cameo/passes/passes.h"
#include "cameo/support/regex.h"

#include <algorithm>
#include <map>
#include <set>

namespace cameo::passes {

namespace {

using namespace graph;

bool holds_strings(const Type &type) {
  switch (type.kind()) {
  case TypeKind::tensor:
    return type.dtype() == DType::string;
  case TypeKind::sequence:
  case TypeKind::optional:
    return holds_strings(type.element());
  case TypeKind::map: // no op makes a map that is read as anything but a table of numbers
  case TypeKind::token:
    break;
  }
  return false;
}

Type numbered(const Type &type) {
  if (!holds_strings(type)) return type;
  if (type.is_tensor()) return type.with_dtype(DType::i64);
  return type.is_sequence() ? Type::sequence(numbered(type.element())) : Type::optional(numbered(type.element()));
}

bool is_string(const Value *v) { return v && v->type().is_tensor() && v->type().dtype() == DType::string; }

// Ops that do the same with numbers of strings as with strings.
bool moves_strings(const Node &node) {
  switch (node.op()) {
  case Op::constant:
  case Op::reshape:
  case Op::transpose:
  case Op::broadcast:
  case Op::concat:
  case Op::slice:
  case Op::pad:
  case Op::gather:
  case Op::gather_elements:
  case Op::gather_nd:
  case Op::relayout:
  case Op::shape_of:
  case Op::if_:
  case Op::loop:
  case Op::scan:
  case Op::call:
  case Op::sequence_construct:
  case Op::sequence_at:
  case Op::sequence_insert:
  case Op::sequence_erase:
  case Op::sequence_length:
  case Op::sequence_split:
  case Op::sequence_concat:
  case Op::optional_make:
  case Op::optional_has:
  case Op::optional_get:
    return true;
  case Op::scatter_elements:
  case Op::scatter_nd:
    return node.string("reduction") == "none";
  case Op::elementwise:
    return node.fn() == Fn::equal || node.fn() == Fn::select;
  default:
    return false;
  }
}

// Ops that look into strings or make new ones.
bool is_call(const Node &node) {
  return node.is(Op::string_normalize) || node.is(Op::string_split) || node.is(Op::regex_match) || node.is(Op::cast) ||
         node.is(Fn::string_concat);
}

class Numberer {
public:
  explicit Numberer(Graph &graph) : graph_(graph) {}

  Result<StringTable> run() {
    // What nobody reads needs no numbers: the strings of outputs that are told in labels, for one.
    CAMEO_TRY([[maybe_unused]] const bool changed, dead_code(graph_, {}));
    for (const Function &function : graph_.functions()) read(function.body);
    if (!problems_.empty()) return problems_;
    StringTable table;
    if (!any_) return table;
    strings_.insert("");
    for (const Value *v : graph_.main().body->arguments()) table.inputs.push_back(is_string(v));
    for (const Value *v : graph_.main().body->results()) table.outputs.push_back(is_string(v));
    for (const std::string &s : strings_) {
      numbers_.emplace(s, static_cast<int64_t>(table.strings.size()));
      table.strings.push_back(s);
    }
    for (const Function &function : graph_.functions()) retype(function.body);
    for (const Call &call : calls_) rewrite(call);
    return table;
  }

private:
  struct Call {
    Node *node = nullptr;
    bool of_strings = false; ///< its first operand
  };

  void read(const Region *region) {
    for (const Value *v : region->arguments()) any_ |= holds_strings(v->type());
    for (Node *node : Graph::all_nodes(region)) {
      for (size_t r = 0; r < node->region_count(); ++r)
        for (const Value *v : node->body(r)->arguments()) any_ |= holds_strings(v->type());
      bool strings = false;
      for (const Value *v : node->operands()) strings |= v && holds_strings(v->type());
      for (const Value *v : node->results()) strings |= holds_strings(v->type());
      if (!strings) continue;
      any_ = true;
      if (node->is(Op::constant)) {
        const Constant &data = node->tensor("value");
        if (!data->available()) return void(problem(*node, "a constant whose strings are not at hand"));
        strings_.insert(data->string_values().begin(), data->string_values().end());
      } else if (is_call(*node)) {
        calls_.push_back({node, is_string(node->operand())});
        if (node->is(Op::string_split)) strings_.insert(delimiter(*node));
        if (node->is(Op::string_normalize))
          strings_.insert(node->strings("stopwords").begin(), node->strings("stopwords").end());
      } else if (!moves_strings(*node)) {
        problem(*node, std::string(node->is(Op::elementwise) ? name(node->fn()) : name(node->op())) +
                           " of strings is not supported");
      }
    }
  }

  void problem(const Node &node, const std::string &what) {
    std::string where = "node";
    if (!node.origin().empty()) where += " '" + escape_name(node.origin()[0]) + "'";
    problems_.push_back({ExitCode::unsupported, where, what});
  }

  void retype(const Region *region) {
    for (Value *v : region->arguments()) v->set_type(numbered(v->type()));
    for (Node *node : Graph::all_nodes(region)) {
      if (node->is(Op::constant) && is_string(node->result())) node->set("value", numbers_of(*node->tensor("value")));
      for (size_t r = 0; r < node->region_count(); ++r)
        for (Value *v : node->body(r)->arguments()) v->set_type(numbered(v->type()));
      for (Value *v : node->results()) v->set_type(numbered(v->type()));
    }
  }

  Constant numbers_of(const ConstantData &data) const {
    std::vector<int64_t> numbers;
    for (const std::string &s : data.string_values()) numbers.push_back(numbers_.at(s));
    return ConstantData::of_ints(DType::i64, data.dims(), numbers);
  }

  static std::string delimiter(const Node &node) { return std::string(node.string_or("delimiter", "")); }

  void rewrite(const Call &call) {
    Node *node = call.node;
    Builder b = Builder::ahead_of(graph_, node);
    b.set_origin(node->origin());
    if (node->is(Op::string_split)) {
      split(b, node);
    } else {
      Value *y = node->is(Op::string_normalize) ? normalize(b, node)
                 : node->is(Op::regex_match)    ? match(b, node)
                 : node->is(Fn::string_concat)  ? concat(b, node)
                 : call.of_strings              ? parse(b, node)
                                                : print(b, node);
      graph_.replace(node->result(), y);
    }
    graph_.erase(node);
  }

  static Value *make(Builder &b, const char *fn, std::vector<Value *> operands, Type type, Attributes more = {},
                     Value *shape = nullptr) {
    operands.insert(operands.begin(), shape);
    more.insert(more.begin(), {"fn", std::string(fn)});
    return b.value(Op::string_call, std::move(operands), std::move(more), std::move(type));
  }

  static Value *integer(Builder &b, int64_t n) { return b.constant(ConstantData::scalar_int(DType::i64, n)); }

  static Value *concat(Builder &b, Node *node) {
    const Type &type = node->result()->type();
    Value *y = b.broadcast(node->operand(), type.shape());
    for (size_t i = 1; i < node->operand_count(); ++i)
      y = make(b, "concat", {y, b.broadcast(node->operand(i), type.shape())}, type);
    return y;
  }

  // Through the widest number of its kind that the runtime reads and writes.
  static DType number_dtype(DType dtype) {
    if (dtype == DType::f64 || dtype == DType::u64) return dtype;
    return is_float(dtype) ? DType::f32 : DType::i64;
  }

  static Value *parse(Builder &b, Node *node) {
    const DType to = node->result()->type().dtype();
    const DType read = to == DType::boolean ? DType::f64 : number_dtype(to);
    Value *x = make(b, "parse", {node->operand()}, node->result()->type().with_dtype(read));
    return b.cast(x, to, node->flag("saturate"));
  }

  static Value *print(Builder &b, Node *node) {
    Value *x = node->operand();
    return make(b, "print", {b.cast(x, number_dtype(x->type().dtype()))}, node->result()->type());
  }

  static Value *match(Builder &b, Node *node) {
    Result<RegexProgram> program = compile_regex(node->string("pattern"));
    CAMEO_CHECK(program.ok(), "the importer has read the pattern");
    std::vector<int64_t> words;
    for (const auto &step : *program) words.insert(words.end(), step.begin(), step.end());
    const auto steps = static_cast<int64_t>(program->size());
    Value *table = b.constant(ConstantData::of_ints(DType::i32, {steps, 4}, words));
    return make(b, "match", {node->operand(), table}, node->result()->type());
  }

  // counts[i] = how many parts; parts: as many columns as the most of them.
  void split(Builder &b, Node *node) {
    Value *x = node->operand(), *by = integer(b, numbers_.at(delimiter(*node)));
    Attributes limit;
    if (node->has_attribute("max_split")) limit.emplace_back("limit", node->integer("max_split"));
    Value *counts = make(b, "counts", {x, by}, node->result(1)->type(), limit);
    if (!node->result(0)->unused()) {
      Value *most = b.reduce("max", b.reshape(counts, {x->type().elements()}), {0}, true);
      Value *shape = b.elementwise(Fn::max, {most, integer(b, 0)});
      if (x->type().rank() > 0) shape = b.concat({b.dims(x->type().shape()), shape}, 0);
      graph_.replace(node->result(0), make(b, "parts", {x, by}, node->result(0)->type(), limit, shape));
    }
    graph_.replace(node->result(1), counts);
  }

  // The words that are no stopwords, in their order; one empty word where there is none.
  Value *normalize(Builder &b, Node *node) {
    Value *x = node->operand();
    const Type &type = node->result()->type();
    const std::string &change = node->string("case");
    const std::vector<std::string> &stopwords = node->strings("stopwords");
    Value *changed = change == "none" ? x : make(b, change.c_str(), {x}, x->type());
    if (stopwords.empty()) return changed;
    const auto count = static_cast<int64_t>(stopwords.size());
    const Dim words = x->type().elements();
    Value *stop = b.constant(numbers_of(*ConstantData::strings({count}, stopwords)));
    Value *key = b.reshape(x, {words, 1});
    if (!node->flag("case_sensitive")) {
      stop = make(b, "lower", {stop}, stop->type());
      key = make(b, "lower", {key}, key->type());
    }
    Value *zero = integer(b, 0);
    Value *hits = b.reduce("sum", b.cast(b.elementwise(Fn::equal, {key, stop}), DType::i64), {1}, false);
    Value *keep = b.cast(b.elementwise(Fn::equal, {hits, zero}), DType::i64);
    Value *any = b.elementwise(Fn::max, {b.reduce("max", keep, {0}, true), zero});
    Value *mask = b.concat({keep, b.sub(integer(b, 1), any)}, 0);
    Value *all = b.concat({b.reshape(changed, {words}), b.reshape(zero, {1})}, 0);
    const Dim kept = type.dim(-1);
    Value *places = b.value(Op::nonzero, {mask}, {}, Type::tensor(DType::i64, {1, kept}));
    return b.reshape(b.gather(all, b.reshape(places, {kept}), 0), type.shape());
  }

  Graph &graph_;
  bool any_ = false;
  std::set<std::string> strings_;
  std::map<std::string, int64_t> numbers_;
  std::vector<Call> calls_; ///< nodes that are more than movement
  Diagnostics problems_;
};

} // namespace

Result<StringTable> number_strings(Graph &graph) { return Numberer(graph).run(); }

} // namespace cameo::passes
