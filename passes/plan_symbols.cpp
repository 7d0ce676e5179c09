// Run-time symbols in a plan. A node whose result has an extent that only the run knows is preceded by `rules`, which
// compute the number (from the elements of a shape, from a kernel that counts), check it and keep it at the head of the
// arena; kernels and addresses behind it read it there.
//
// Memory of such a size is reserved for the largest value that the bounds of symbols allow. Where there is no bound
// over the caller's symbols, the buffer is `grown`: allocated when the extents are known.
#include "planner.h"

#include <algorithm>

namespace cameo::passes {

using graph::Dim;
using graph::Node;
using graph::Op;
using graph::Type;
using graph::Value;

bool is_runtime(const Type &type) {
  bool runtime = false;
  type.for_each_symbol([&](const std::string &key) { runtime |= key[0] == '?'; });
  return runtime;
}

bool may_be_negative(const Dim &extent) { return !extent.is_constant() && extent.bounds().lower.value_or(-1) < 0; }

void Planner::find_definers() {
  definers_ = graph_.runtime_definers();
  for (const auto &[key, node] : definers_)
    next_symbol_ = std::max(next_symbol_, Dim::from_key(key).runtime_number() + 1);
}

Dim Planner::new_symbol() { return Dim::runtime(next_symbol_++); }

void Planner::add_slot(const Dim &symbol) {
  const std::string key = symbol.symbol_key();
  if (std::find(plan_.slots.begin(), plan_.slots.end(), key) == plan_.slots.end()) plan_.slots.push_back(key);
  defined_.insert(key);
}

bool Planner::defined(const Dim &dim) const {
  bool all = true;
  dim.for_each_symbol([&](const std::string &key) { all &= key[0] != '?' || defined_.count(key) > 0; });
  return all;
}

// Whether every extent of the type is known before `v` is computed.
bool Planner::known_at(const Type &type, const Value *v) const {
  bool known = true;
  type.for_each_symbol([&](const std::string &key) {
    if (key[0] != '?') return;
    const Node *definer = definers_.at(key);
    known &= definer &&
             (definer == v->producer() || !has_branches(*definer) ? times(*definer).begin <= times(*v->producer()).begin
                                                                  : times(*definer).end < times(*v->producer()).begin);
  });
  return known;
}

SymbolBounds Planner::bounds_of(const std::string &key) const {
  const graph::SymbolInfo info = graph_.symbol(key);
  SymbolBounds out;
  // A bound may mention symbols that were defined before, never itself.
  if (info.upper && bound_depth_ < 16) {
    ++bound_depth_;
    out.upper = caller_bound(*info.upper);
    --bound_depth_;
  }
  return out;
}

std::optional<Dim> Planner::caller_bound(const Dim &dim) const {
  // Extents of a reshaped tensor multiply to what it had before, however large each of them may be.
  bool runtime = false;
  dim.for_each_symbol([&](const std::string &key) { runtime |= key[0] == '?'; });
  if (!runtime && dim.valid()) return dim;
  for (const auto &[product, elements] : products_)
    if (const std::optional<Dim> rest = product.is_constant() ? std::nullopt : dim.exact_quotient(product))
      return upper_bound(*rest * elements, [&](const std::string &key) { return bounds_of(key); });
  return upper_bound(dim, [&](const std::string &key) { return bounds_of(key); });
}

// At least `dim`, over symbols that are defined by now.
std::optional<Dim> Planner::bound_now(const Dim &dim) const {
  if (defined(dim)) return dim;
  return upper_bound(dim, [&](const std::string &key) {
    if (!defined_.count(key)) return bounds_of(key);
    return SymbolBounds{0, Dim::from_key(key)};
  });
}

// Gives the buffer its size; false: only the run knows it.
bool Planner::reserve(int32_t number, const Dim &bytes) {
  BufferPlan &b = buffer(number);
  sizes_[static_cast<size_t>(number)] = b.bytes = bytes;
  if (b.space != BufferPlan::Space::arena) return true;
  if (const std::optional<Dim> bound = caller_bound(bytes)) {
    // A step that refuses a negative extent does not come before all others, or is not reached: what lies behind the
    // buffer must not move.
    const bool late = *bound != bytes || regions_ > 0;
    b.bytes = late && may_be_negative(*bound) ? max(*bound, 0) : *bound;
    return true;
  }
  b.space = BufferPlan::Space::grown;
  b.port = grown_++;
  return false;
}

// `dim` is the product: a definition when it is a symbol without a value, else a check.
Rule Planner::rule(const Dim &dim, std::vector<Dim> factors) {
  Rule rule;
  rule.dim = dim;
  rule.factors = std::move(factors);
  if (dim.is_runtime() && !defined_.count(dim.symbol_key())) {
    rule.most = most_of(dim);
    add_slot(dim);
  } else {
    rule.kind = Rule::Kind::equal;
    if (!defined(dim))
      problems_.push_back({ExitCode::unsupported, "extent " + dim.str(), "is known only while running, by parts"});
  }
  return rule;
}

// What a symbol must not exceed, over symbols that have values.
std::optional<Dim> Planner::most_of(const Dim &symbol) const {
  const graph::SymbolInfo info = graph_.symbol(symbol.symbol_key());
  if (!info.upper) return std::nullopt;
  return defined(*info.upper) ? info.upper : caller_bound(*info.upper);
}

void Planner::add_rules(std::vector<Rule> rules, const Placement *from) {
  if (rules.empty()) return;
  Step step;
  step.kind = Step::Kind::rules;
  step.rules = std::move(rules);
  std::vector<int32_t> buffers;
  if (from) {
    step.from = *from;
    buffers.push_back(from->buffer);
  }
  add_step(std::move(step), buffers);
}

// Room in a grown buffer for a dense tensor of that type, `more` times.
void Planner::add_grow(int32_t number, const Type &type, const Dim &more, const Halo *halo, bool keep) {
  Step step;
  step.kind = Step::Kind::grow;
  step.buffer = number;
  step.keep = keep;
  Rule size;
  size.kind = Rule::Kind::equal;
  size.factors = {std::max(1, bits(type.dtype()) / 8), more};
  for (size_t d = 0; d < type.shape().size(); ++d) {
    Dim extent = type.shape()[d];
    for (const graph::Layout::Block &block : type.layout().blocks)
      if (block.axis == static_cast<int32_t>(d)) extent = ceildiv(extent, block.size) * block.size;
    if (halo) {
      const std::vector<int32_t> &order = type.layout().order;
      extent += (*halo)[d].first + (*halo)[d].second;
      if (d == (order.empty() ? type.shape().size() - 1 : static_cast<size_t>(order.back())))
        extent += rows_apart(type, *halo);
    }
    const std::optional<Dim> known = bound_now(extent);
    if (!known)
      problems_.push_back({ExitCode::unsupported, "extent " + extent.str(), "has no value where memory is needed"});
    size.factors.push_back(known.value_or(0));
  }
  step.rules = {std::move(size)};
  add_step(std::move(step), {number});
}

// The rules of the extents that the node defines.
void Planner::define_extents(const Node &node) {
  const Value *extents = node.is(Op::reshape) || node.is(Op::broadcast) ? node.operand(1)
                         : node.is(Op::string_call)                     ? node.operand(0)
                                                                        : nullptr;
  if (extents) {
    std::vector<Rule> rules;
    const graph::Shape &shape = node.result()->type().shape();
    for (size_t d = 0; d < shape.size(); ++d) {
      rules.push_back(rule(shape[d], {}));
      rules.back().element = static_cast<int64_t>(d);
    }
    const Placement from = require_place(extents);
    add_rules(std::move(rules), &from);
    if (node.is(Op::reshape)) {
      const Dim elements = node.operand()->type().elements();
      add_rules({rule(elements, shape)});
      products_.emplace_back(graph::product(shape), elements);
    }
    return;
  }
  bool fresh = false;
  for (const Value *v : node.results())
    v->type().for_each_symbol([&](const std::string &key) { fresh |= key[0] == '?' && !defined_.count(key); });
  if (!fresh) return;
  Result<ops::Lowered> lowered = ops::lower_extents(node);
  if (!lowered.ok()) {
    problems_.insert(problems_.end(), lowered.errors().begin(), lowered.errors().end());
    return;
  }
  const Type type = ops::extents_type(node);
  const int32_t b = add_buffer(BufferPlan::Space::arena, -1, 0);
  Dim bytes;
  const Placement place = dense(type, b, bytes);
  reserve(b, bytes);
  Step step;
  step.kind = Step::Kind::extents;
  step.node = numbers_.of(&node);
  step.to = place;
  std::vector<int32_t> buffers{b};
  for (const ops::Argument &a : lowered->arguments)
    if (a.kind == ops::Argument::Kind::operand) buffers.push_back(require_place(argument_value(node, a)).buffer);
  add_step(std::move(step), buffers);
  std::vector<Rule> rules;
  int64_t element = 0;
  for (const Value *v : node.results())
    for (const Dim &d : v->type().shape()) {
      rules.push_back(rule(d, {}));
      rules.back().element = element++;
    }
  add_rules(std::move(rules), &place);
}

// Extents that only the run knows must be equal, or 1, where operands broadcast.
void Planner::check_broadcast(const Node &node) {
  std::vector<Rule> rules;
  auto check = [&](const Node &n) {
    if (n.is(Op::reshape) && !n.operand(1)) {
      const Dim from = n.operand()->type().elements(), to = n.result()->type().elements();
      if (from == to || !checked_.emplace(from, to).second) return;
      Rule rule;
      rule.kind = Rule::Kind::equal;
      rule.dim = from;
      rule.factors = n.result()->type().shape();
      rules.push_back(std::move(rule));
      return;
    }
    if (!n.is(Op::elementwise) && !n.is(Op::broadcast)) return;
    const graph::Shape &to = n.result()->type().shape();
    for (size_t i = 0; i < n.operand_count(); ++i) {
      if (!n.operand(i) || (i > 0 && n.is(Op::broadcast))) continue;
      const graph::Shape &from = n.operand(i)->type().shape();
      for (size_t d = 0; d < from.size(); ++d) {
        const Dim &x = from[d], &y = to[to.size() - from.size() + d];
        if (x == y || x.is(1) || !checked_.emplace(x, y).second) continue;
        Rule rule;
        rule.kind = Rule::Kind::spread;
        rule.dim = y;
        rule.factors = {x};
        rules.push_back(std::move(rule));
      }
    }
  };
  if (node.is(Op::fused))
    for (const Node *inner : node.body()->nodes()) check(*inner);
  else
    check(node);
  add_rules(std::move(rules));
}

// Extents that are not known to be sizes: differences may be negative, products may be more than memory has. Those of
// the caller's symbols alone are checked before the run (emit_program.cpp), but for what a branch or loop may skip.
void Planner::check_sizes(const Node &node) {
  std::vector<Rule> rules;
  if (node.is(Op::fused))
    for (const Node *inner : node.body()->nodes())
      for (const Value *v : inner->results()) add_size(v->type(), rules);
  for (const Value *v : node.results()) add_size(v->type(), rules);
  add_rules(std::move(rules));
}

// The parts of a concatenation say where each of them begins: all are checked before the first is written.
void Planner::check_parts(const Node &concat) {
  std::vector<Rule> rules;
  for (const Value *v : concat.operands()) add_size(v->type(), rules);
  add_rules(std::move(rules));
}

void Planner::add_size(const Type &type, std::vector<Rule> &rules) {
  if (!type.is_tensor() || !type.is_ranked()) return;
  const graph::Shape &shape = type.shape();
  const bool runtime = is_runtime(type), negative = std::any_of(shape.begin(), shape.end(), may_be_negative);
  if (!runtime && (regions_ == 0 || !negative)) return;
  // Not even views and what is fused may be larger than memory: a kernel walks over them.
  if (!negative && caller_bound(type.elements())) return;
  if (!std::all_of(shape.begin(), shape.end(), [&](const Dim &d) { return defined(d); })) return;
  if (!sized_.insert(shape).second) return;
  Rule rule;
  rule.kind = Rule::Kind::size;
  rule.factors = shape;
  rules.push_back(std::move(rule));
}

} // namespace cameo::passes
