// Finds attention in the contractions and the softmax that exporters write for it.
//
//   %s = contract %q, %k {equation = "abmk,abnk->abmn"}       %y = attention %q, %k, %v, %mask {causal = false, scale =
//   0.125} %t = mul %s, 0.125                                  => %u = add %t, %mask %p = softmax %u {axis = 3} %y =
//   contract %p, %v {equation = "abmk,abkn->abmn"}
//
// The equations may list their axes in any order: operands and result are transposed, which costs nothing as they are
// only read and written with other strides. The scale may be a division, or missing, as may the mask; there may be
// several. select(c, %t, n) with a very small number n is a mask as well: 0 where c holds, n elsewhere.
//
// A row of scores that are all minus infinity, NaN in these steps, is 0 in attention. It refuses scores that anybody
// else reads, more than two axes of heads, heads whose number or size only the run knows, and dtypes other than f32,
// f16 and bf16 (scores of half precision are then kept in f32). It expects canonical nodes.
#include "cameo/passes/passes.h"

#include "canonicalize.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace cameo::passes {

namespace {

using namespace graph;

struct Equation {
  std::string a, b, result;
};

std::optional<Equation> equation_of(const Node &node) {
  const std::string &text = node.string("equation");
  const size_t comma = text.find(','), arrow = text.find("->");
  if (comma == std::string::npos || arrow == std::string::npos || node.operand(2) || node.operand(3))
    return std::nullopt;
  Equation e{text.substr(0, comma), text.substr(comma + 1, arrow - comma - 1), text.substr(arrow + 2)};
  for (const std::string *labels : {&e.a, &e.b, &e.result})
    for (char c : *labels)
      if (std::count(labels->begin(), labels->end(), c) != 1) return std::nullopt;
  return e;
}

bool has(const std::string &labels, char c) { return labels.find(c) != std::string::npos; }

// x with its axes in the order of `wanted`; '\0' stands for a new axis of extent 1.
Value *arrange(Builder &builder, Value *x, const std::string &labels, const std::string &wanted) {
  std::vector<int64_t> perm;
  for (char c : wanted)
    if (c != '\0') perm.push_back(static_cast<int64_t>(labels.find(c)));
  bool moves = false;
  for (size_t i = 0; i < perm.size(); ++i) moves |= perm[i] != static_cast<int64_t>(i);
  if (moves) x = builder.transpose(x, perm);
  Shape shape;
  size_t next = 0;
  for (char c : wanted) shape.push_back(c == '\0' ? Dim(1) : x->type().shape()[next++]);
  return builder.reshape(x, shape);
}

/// What is added to the scores: a value, or 0 where a condition holds (or does not) and a number elsewhere.
struct Mask {
  Value *value = nullptr;
  bool selects = false, forbids = false; ///< `value` is a condition; it says where the number stands
  double number = 0;
};

struct Score {
  Node *contract = nullptr;
  double scale = 1;
  std::vector<Mask> masks; ///< the innermost first
};

// A number so small that a score added to it is lost, as if it had taken the score's place.
constexpr double kForbidden = -1e9;

bool one_of(const Value *v, Fn fn) { return v->has_one_use() && v->producer() && v->producer()->is(fn); }

// v = scale * contraction, each step read by nobody else.
bool scaled(Value *v, Score &out) {
  for (Fn fn : {Fn::mul, Fn::div})
    if (one_of(v, fn) && uniform(v->producer()->operand(1)) && v->type() == v->producer()->operand()->type()) {
      const double c = *uniform(v->producer()->operand(1));
      if (fn == Fn::div && c == 0) return false;
      out.scale = fn == Fn::mul ? c : 1 / c;
      v = v->producer()->operand();
      break;
    }
  out.contract = v->has_one_use() ? producer(v, Op::contract) : nullptr;
  return out.contract && out.contract->operand_count() >= 2;
}

// v = scale * contraction with masks around it.
bool find_score(Value *v, Score &out, int depth = 0) {
  if (scaled(v, out)) return true;
  if (depth == 4) return false;
  if (one_of(v, Fn::add))
    for (size_t i = 0; i < 2; ++i) {
      Value *inner = v->producer()->operand(i), *mask = v->producer()->operand(1 - i);
      if (inner->type() != v->type() || mask->type().dtype() != v->type().dtype() || !find_score(inner, out, depth + 1))
        continue;
      out.masks.push_back({mask});
      return true;
    }
  if (one_of(v, Fn::select))
    for (size_t i = 1; i < 3; ++i) { // select(allowed, score, number), select(forbidden, number, score)
      Value *inner = v->producer()->operand(i);
      const auto number = uniform(v->producer()->operand(3 - i));
      if (inner->type() != v->type() || !number || !(*number <= kForbidden) || !find_score(inner, out, depth + 1))
        continue;
      out.masks.push_back({v->producer()->operand(0), true, i == 2, *number});
      return true;
    }
  return false;
}

/// Makes each mask once: layers share theirs.
class Masks {
public:
  Value *of(Builder &builder, const std::vector<Mask> &list, DType dtype) {
    Value *sum = nullptr;
    for (const Mask &mask : list) {
      Value *m = mask.value;
      if (mask.selects)
        m = once({m, nullptr, mask.number, mask.forbids}, builder, [&] {
          Value *zero = builder.scalar(dtype, 0), *number = builder.scalar(dtype, mask.number);
          return builder.elementwise(Fn::select,
                                     {mask.value, mask.forbids ? number : zero, mask.forbids ? zero : number});
        });
      sum = sum ? once({sum, m, 0, false}, builder, [&] { return builder.add(sum, m); }) : m;
    }
    return sum;
  }

private:
  using Key = std::tuple<const Value *, const Value *, double, bool>;
  template <class F> Value *once(const Key &key, const Builder &builder, F make) {
    Value *&known = made_[{builder.point().region, key}];
    if (!known) known = make();
    return known;
  }
  std::map<std::pair<const Region *, Key>, Value *> made_; ///< looked up, never iterated
};

// p itself, or p of select(is_nan(p), 0, p): attention gives 0 where every key is forbidden anyway.
Value *without_nan(Value *v) {
  if (!one_of(v, Fn::select) || uniform(v->producer()->operand(1)) != 0) return v;
  Value *p = v->producer()->operand(2);
  const Value *test = v->producer()->operand(0);
  if (!one_of(test, Fn::is_nan) || test->producer()->operand() != p || p->uses().size() != 2) return v;
  return p;
}

bool recover(Graph &graph, Node *node, Masks &masks) {
  if (!node->is(Op::contract) || node->operand_count() < 2) return false;
  Value *weights = without_nan(node->operand());
  Node *softmax = producer(weights, Op::softmax);
  if (!softmax || !node->operand()->has_one_use() || softmax->flag("log")) return false;
  Score found;
  if (!find_score(softmax->operand(), found)) return false;
  const auto first = equation_of(*found.contract), second = equation_of(*node);
  if (!first || !second) return false;
  Value *q = found.contract->operand(0), *k = found.contract->operand(1), *v = node->operand(1);
  const DType dtype = q->type().dtype();
  for (const Value *x : {q, k, v, node->result(), softmax->result()})
    if (x->type().dtype() != dtype) return false;
  if (dtype != DType::f32 && dtype != DType::f16 && dtype != DType::bf16) return false;
  for (const Node *n : {found.contract, softmax, node})
    if (n->has_attribute("compute") && n->dtype("compute") != DType::f32) return false;

  // Scores have the labels of the first equation; the second one's are translated.
  const std::string &s = first->result;
  if (second->a.size() != s.size()) return false;
  const char key = s[static_cast<size_t>(softmax->integer("axis"))];
  std::string q_labels = first->a, k_labels = first->b;
  if (has(q_labels, key)) {
    std::swap(q_labels, k_labels);
    std::swap(q, k);
  }
  if (has(q_labels, key) || !has(k_labels, key)) return false;
  std::string heads;
  char query = '\0', inner = '\0';
  const char column = '#'; // of v
  for (char c : s) {
    if (c == key) continue;
    if (has(q_labels, c) && has(k_labels, c)) {
      heads += c;
    } else if (has(q_labels, c) && query == '\0') {
      query = c;
    } else {
      return false;
    }
  }
  for (char c : q_labels)
    if (!has(s, c)) {
      if (inner != '\0' || !has(k_labels, c)) return false;
      inner = c;
    }
  if (query == '\0' || inner == '\0' || heads.size() > 2 || k_labels.size() != heads.size() + 2) return false;
  // What v and the result call the axes of the scores.
  auto translate = [&](const std::string &labels) {
    std::string out;
    for (char c : labels) {
      const size_t at = second->a.find(c);
      out += at == std::string::npos ? column : s[at];
    }
    return out;
  };
  const std::string v_labels = translate(second->b), y_labels = translate(second->result);
  auto same_set = [](std::string a, std::string b) {
    std::sort(a.begin(), a.end());
    std::sort(b.begin(), b.end());
    return a == b;
  };
  if (!same_set(v_labels, heads + key + column) || !same_set(y_labels, heads + query + column)) return false;
  if (!found.masks.empty() && s != heads + query + key) return false;
  // No operand broadcasts.
  auto extent = [](const Value *x, const std::string &labels, char c) { return x->type().shape()[labels.find(c)]; };
  for (char c : heads)
    if (extent(q, q_labels, c) != extent(k, k_labels, c) || extent(q, q_labels, c) != extent(v, v_labels, c))
      return false;
  if (extent(q, q_labels, inner) != extent(k, k_labels, inner) || extent(k, k_labels, key) != extent(v, v_labels, key))
    return false;
  if (!extent(q, q_labels, inner).is_constant() || !extent(v, v_labels, column).is_constant() ||
      (!heads.empty() && !extent(q, q_labels, heads.back()).is_constant()))
    return false;

  Builder builder = Builder::ahead_of(graph, node);
  const std::string lead = std::string(2 - heads.size(), '\0') + heads;
  Value *q4 = arrange(builder, q, q_labels, lead + query + inner),
        *k4 = arrange(builder, k, k_labels, lead + key + inner),
        *v4 = arrange(builder, v, v_labels, lead + key + column);
  Attributes attributes = {{"scale", found.scale}, {"causal", false}};
  if (dtype != DType::f32) attributes.emplace_back("compute", DType::f32);
  std::vector<Value *> operands = {q4, k4, v4};
  if (!found.masks.empty()) operands.push_back(masks.of(builder, found.masks, dtype));
  const Shape &qs = q4->type().shape();
  const Type type = Type::tensor(dtype, {qs[0], qs[1], qs[2], v4->type().shape()[3]});
  Node *attention = builder.node(Op::attention, operands, std::move(attributes), {type});
  for (const Node *n :
       {static_cast<const Node *>(found.contract), static_cast<const Node *>(softmax), static_cast<const Node *>(node)})
    attention->merge_origin(*n);
  // Back to the axes of the result.
  Value *y = attention->result();
  const std::string labels = heads + query + column;
  Shape kept;
  for (size_t d = lead.size() - heads.size(); d < 4; ++d) kept.push_back(type.shape()[d]);
  y = arrange(builder, builder.reshape(y, kept), labels, y_labels);
  CAMEO_CHECK(y->type().shape() == node->result()->type().shape(), "attention of another shape than the contraction");
  const std::string name = node->result()->name();
  graph.replace(node->result(), y);
  if (!name.empty()) y->set_name(name);
  graph.erase(node);
  return true;
}

} // namespace

Result<bool> recover_attention(Graph &graph, const PassOptions &) {
  bool changed = false;
  Masks masks;
  for (Node *node : Graph::all_nodes(graph.main().body)) changed |= recover(graph, node, masks);
  return changed;
}

} // namespace cameo::passes
