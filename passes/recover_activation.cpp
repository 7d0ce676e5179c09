// Finds activations in the products that exporters write for them.
//
//   x/2 (1 + erf(x / sqrt(2)))                          =>   gelu(x)
//   x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))       =>   gelu_tanh(x)
//   x sigmoid(a x)                                      =>   swish(x), alpha = a
//
// Factors may stand in any order and any nesting: a product is taken apart into one number and what it multiplies.
// Numbers must be as close as their dtype can write them. It refuses products of which somebody else reads a part, and
// dtypes that are no floats.
#include "cameo/passes/passes.h"

#include "canonicalize.h"

#include <algorithm>
#include <cmath>

namespace cameo::passes {

namespace {

using namespace graph;

/// number * factors[0] * factors[1] * ...
struct Product {
  double number = 1;
  std::vector<const Value *> factors;
};

constexpr size_t kMostFactors = 8;

// Multiplies v in; products that others read as well are factors, but for the outermost one.
void collect(const Value *v, bool outermost, Product &out) {
  const Node *node = v->producer();
  const bool own = outermost || v->has_one_use() || (v->uses().size() == 2 && v->uses()[0].node == v->uses()[1].node);
  if (const auto c = uniform(v)) {
    out.number *= *c;
  } else if (node && own && node->is(Fn::mul) && out.factors.size() < kMostFactors) {
    collect(node->operand(0), false, out);
    collect(node->operand(1), false, out);
  } else if (node && own && node->is(Fn::div) && uniform(node->operand(1)).value_or(0) != 0) {
    collect(node->operand(0), false, out);
    out.number /= *uniform(node->operand(1));
  } else if (node && own && node->is(Fn::pow) && uniform(node->operand(1)) == 3) {
    for (int i = 0; i < 3; ++i) out.factors.push_back(node->operand(0));
  } else {
    out.factors.push_back(v);
  }
}

Product product_of(const Value *v, bool outermost = false) {
  Product p;
  collect(v, outermost, p);
  return p;
}

bool near(double a, double b, DType dtype) {
  const double tolerance = dtype == DType::f32 || dtype == DType::f64 ? 1e-5 : dtype == DType::f16 ? 2e-3 : 1e-2;
  return std::abs(a - b) <= tolerance * std::abs(b);
}

bool is_power(const Product &p, const Value *x, size_t exponent) {
  return p.factors.size() == exponent &&
         std::all_of(p.factors.begin(), p.factors.end(), [&](const Value *f) { return f == x; });
}

// sum = 1 + term: the term, else null.
const Value *beside_one(const Value *sum) {
  const Node *node = sum->has_one_use() ? sum->producer() : nullptr;
  if (!node || !node->is(Fn::add)) return nullptr;
  for (size_t i = 0; i < 2; ++i)
    if (uniform(node->operand(i)) == 1 && node->operand(1 - i)->has_one_use()) return node->operand(1 - i);
  return nullptr;
}

// v = sqrt(2/pi) (x + 0.044715 x^3) = sqrt(2/pi) x (1 + 0.044715 x^2)
bool is_tanh_argument(const Value *v, const Value *x, DType dtype) {
  const Product p = product_of(v);
  if (!near(p.number, 0.7978845608028654, dtype)) return false;
  if (p.factors.size() == 1) {
    const Node *sum = p.factors[0]->producer();
    if (!sum || !sum->is(Fn::add) || !p.factors[0]->has_one_use()) return false;
    for (size_t i = 0; i < 2; ++i) {
      const Product cube = product_of(sum->operand(1 - i));
      if (sum->operand(i) == x && is_power(cube, x, 3) && near(cube.number, 0.044715, dtype)) return true;
    }
    return false;
  }
  if (p.factors.size() != 2) return false;
  for (size_t i = 0; i < 2; ++i) {
    const Value *term = p.factors[i] == x ? beside_one(p.factors[1 - i]) : nullptr;
    if (!term) continue;
    const Product square = product_of(term);
    if (is_power(square, x, 2) && near(square.number, 0.044715, dtype)) return true;
  }
  return false;
}

bool recover(Graph &graph, Node *node) {
  if (!node->is(Fn::mul) || node->has_attribute("compute")) return false;
  Value *y = node->result();
  const DType dtype = y->type().dtype();
  if (!is_float(dtype)) return false;
  const Product p = product_of(y, true);
  if (p.factors.size() != 2) return false;
  for (size_t i = 0; i < 2; ++i) {
    const Value *x = p.factors[i], *other = p.factors[1 - i];
    if (x->type() != y->type()) continue;
    std::optional<Fn> fn;
    std::optional<double> alpha;
    const Node *gate = other->has_one_use() ? other->producer() : nullptr;
    if (gate && gate->is(Fn::sigmoid) && near(p.number, 1, dtype)) {
      const Product inner = product_of(gate->operand());
      if (is_power(inner, x, 1) && std::isfinite(inner.number)) {
        fn = Fn::swish;
        alpha = inner.number;
      }
    } else if (near(p.number, 0.5, dtype)) {
      const Value *term = beside_one(other);
      const Node *function = term ? term->producer() : nullptr;
      if (function && function->is(Fn::erf)) {
        const Product inner = product_of(function->operand());
        if (is_power(inner, x, 1) && near(inner.number, std::sqrt(0.5), dtype)) fn = Fn::gelu;
      } else if (function && function->is(Fn::tanh)) {
        if (is_tanh_argument(function->operand(), x, dtype)) fn = Fn::gelu_tanh;
      }
    }
    if (!fn) continue;
    Builder builder = Builder::ahead_of(graph, node);
    builder.set_origin(node->origin());
    Value *result = builder.elementwise(*fn, {const_cast<Value *>(x)}, alpha);
    const std::string name = y->name();
    graph.replace(y, result);
    if (!name.empty()) result->set_name(name);
    graph.erase(node);
    return true;
  }
  return false;
}

} // namespace

Result<bool> recover_activation(Graph &graph, const PassOptions &) {
  bool changed = false;
  // The outermost product comes first: it holds the others.
  std::vector<Node *> nodes = Graph::all_nodes(graph.main().body);
  for (size_t i = nodes.size(); i-- > 0;)
    if (!nodes[i]->erased() && nodes[i]->is(Op::elementwise)) changed |= recover(graph, nodes[i]);
  return changed;
}

} // namespace cameo::passes
