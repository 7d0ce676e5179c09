// Matrix products: everything becomes a contraction with an equation.
#include "families.h"
#include "parts.h"

#include <algorithm>
#include <set>

namespace cameo::frontend {
namespace {

constexpr std::string_view kLetters = "abcdefghijlopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"; // without k, m and n

} // namespace

std::string matmul_equation(NodeImport &n, const Type &a, const Type &b) {
  if (a.rank() == 0 || b.rank() == 0) {
    n.fail("a factor is a scalar");
    return "";
  }
  const int batch_a = std::max(a.rank() - 2, 0), batch_b = std::max(b.rank() - 2, 0),
            batch = std::max(batch_a, batch_b);
  if (batch > int(kLetters.size())) {
    n.unsupported("rank " + std::to_string(batch + 2));
    return "";
  }
  const std::string axes(kLetters.substr(0, size_t(batch)));
  std::string equation = axes.substr(size_t(batch - batch_a)) + (a.rank() == 1 ? "k" : "mk") + "," +
                         axes.substr(size_t(batch - batch_b)) + (b.rank() == 1 ? "k" : "kn") + "->" + axes;
  if (a.rank() > 1) equation += "m";
  if (b.rank() > 1) equation += "n";
  return equation;
}

Value *with_known_axis(NodeImport &n, Value *x, int axis, const Dim &known) {
  if (n.failed() || x->type().dim(axis).is_constant() || !known.is_constant()) return n.failed() ? nullptr : x;
  Shape shape = x->type().shape();
  shape[size_t(axis)] = known;
  return n.with_shape(x, "a factor", std::move(shape));
}

// Of 4- and 8-bit integers.
Value *integer_matmul(NodeImport &n, Value *a, Value *b, Value *a_zero, Value *b_zero) {
  if (!n.ranked(a) || !n.ranked(b)) return nullptr;
  if (const int rank = a->type().rank(), columns = b->type().rank(); rank > 0 && columns > 0) {
    a = with_known_axis(n, a, rank - 1, b->type().dim(std::max(columns - 2, 0)));
    if (n.failed()) return nullptr;
  }
  const std::string equation = matmul_equation(n, a->type(), b->type());
  if (n.failed()) return nullptr;
  auto settle = [&](Value *&x, Value *&zero, bool rows) {
    if (!zero || !n.ranked(zero)) return;
    const Type &t = zero->type();
    if (t.rank() == 0) return;
    if (product(t.shape()).is(1)) return void(zero = n.reshape(zero, {}));
    // One per row of a or column of b is what the contraction knows; other shapes are subtracted first.
    if (t.rank() == 1 && !rows) return;
    if (t.rank() == 1 && x->type().rank() == 2) return;
    Value *z = zero;
    if (t.rank() == 1) z = n.reshape(z, {t.dim(0), 1});
    x = n.map(Fn::sub, {n.cast(x, DType::i32), n.cast(z, DType::i32)});
    zero = nullptr;
  };
  settle(a, a_zero, true);
  settle(b, b_zero, false);
  if (n.failed()) return nullptr;
  if (a->type().dtype() == DType::i32 || b->type().dtype() == DType::i32) { // both sides were brought to one type
    auto widen = [&](Value *x, Value *&zero) {
      if (x->type().dtype() == DType::i32) return x;
      Value *wide = n.cast(x, DType::i32);
      if (zero) wide = n.map(Fn::sub, {wide, n.cast(zero, DType::i32)});
      zero = nullptr;
      return wide;
    };
    a = widen(a, a_zero);
    b = widen(b, b_zero);
  }
  return n.make(Op::contract, {a, b, a_zero, b_zero}, {{"equation", equation}, {"compute", DType::i32}}, DType::i32);
}

void import_matmul(NodeImport &n) {
  Value *a = n.input(0), *b = n.input(1);
  if (!n.ranked(a) || !n.ranked(b)) return;
  const std::string equation = matmul_equation(n, a->type(), b->type());
  n.result(n.make(Op::contract, {a, b}, with_compute({{"equation", equation}}, a->type().dtype())));
}

Value *gemm(NodeImport &n, Value *a, Value *b, Value *c, double alpha, double beta) {
  if (!n.ranked(a) || !n.ranked(b) || (c && !n.ranked(c))) return nullptr;
  if (a->type().rank() != 2 || b->type().rank() != 2)
    return n.fail("factors of rank " + std::to_string(a->type().rank()) + " and " + std::to_string(b->type().rank()) +
                  ", not 2");
  const DType dtype = a->type().dtype();
  const std::string equation =
      std::string(n.flag("transA") ? "km" : "mk") + "," + (n.flag("transB") ? "nk" : "kn") + "->mn";
  Value *y = n.make(Op::contract, {a, b}, with_compute({{"equation", equation}}, dtype));
  auto scaled = [&](Value *v, double factor) {
    if (factor == 1 || n.failed()) return v;
    if (!is_float(dtype) && factor != double(int64_t(factor)))
      return n.unsupported("a factor that is no integer for integers");
    return n.map(Fn::mul, {v, n.scalar(dtype, factor)});
  };
  y = scaled(y, alpha);
  if (c && beta != 0 && !n.failed()) {
    if (c->type().rank() > 2) return n.fail("C has rank " + std::to_string(c->type().rank()));
    const Shape &shape = y->type().shape(), &own = c->type().shape();
    for (size_t i = 0; i < own.size(); ++i) {
      const Dim &d = own[i], &wanted = shape[i + 2 - own.size()];
      if (d.is_constant() && !d.is(1) && wanted.is_constant() && d != wanted)
        return n.fail("C " + c->type().str() + " does not spread over the product " + y->type().str());
    }
    // The run checks extents that only it knows.
    const std::optional<Shape> sum = graph::broadcast_shapes(shape, own);
    if (!sum || *sum != shape) c = n.broadcast(c, shape);
    y = n.map(Fn::add, {y, scaled(c, beta)});
  }
  return y;
}

void import_gemm(NodeImport &n) {
  n.result(gemm(n, n.input(0), n.input(1), n.input(2), n.real("alpha"), n.real("beta")));
}

void import_matmul_integer(NodeImport &n) {
  n.result(integer_matmul(n, n.input(0), n.input(1), n.input(2), n.input(3)));
}

void import_det(NodeImport &n) { n.result(n.make(Op::det, {n.input(0)})); }

namespace {

struct Einsum {
  std::vector<std::string> inputs; ///< one letter per axis, ellipses expanded
  std::string output;
};

// Reads the equation against the operands' ranks. Ellipsis axes get upper letters that the equation does not use.
std::optional<Einsum> parse_einsum(NodeImport &n, std::string equation) {
  std::erase(equation, ' ');
  auto bad = [&](const std::string &what) {
    n.fail("equation '" + escape_name(equation) + "' " + what);
    return std::nullopt;
  };
  const size_t arrow = equation.find("->");
  std::string_view left = std::string_view(equation).substr(0, arrow);
  std::vector<std::string> terms(1);
  for (char c : left)
    if (c == ',')
      terms.emplace_back();
    else
      terms.back() += c;
  if (terms.size() != n.input_count())
    return bad("has " + std::to_string(terms.size()) + " terms for " + std::to_string(n.input_count()) + " inputs");

  std::string free;
  for (char c = 'A'; c <= 'Z'; ++c)
    if (equation.find(c) == std::string::npos) free += c;
  for (char c = 'a'; c <= 'z'; ++c)
    if (equation.find(c) == std::string::npos) free += c;
  size_t widest = 0;
  Einsum e;
  for (size_t i = 0; i < terms.size(); ++i) {
    if (!n.ranked(n.input(i))) return std::nullopt;
    const auto rank = size_t(n.input(i)->type().rank());
    std::string term = terms[i];
    const size_t dots = term.find("...");
    if (dots != std::string::npos) {
      term.erase(dots, 3);
      if (term.size() > rank) return bad("names more axes than input " + std::to_string(i) + " has");
      const size_t width = rank - term.size();
      if (width > free.size()) return bad("has too many axes");
      widest = std::max(widest, width);
      std::string axes(width, ' ');
      for (size_t k = 0; k < width; ++k) axes[k] = free[width - 1 - k]; // aligned at the last axis
      term.insert(dots, axes);
    }
    for (char c : term)
      if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
        return bad("has '" + escape_name(std::string(1, c)) + "'");
    if (term.size() != rank)
      return bad("names " + std::to_string(term.size()) + " axes of input " + std::to_string(i) + ", which has rank " +
                 std::to_string(rank));
    e.inputs.push_back(std::move(term));
  }
  std::string ellipsis(widest, ' ');
  for (size_t k = 0; k < widest; ++k) ellipsis[k] = free[widest - 1 - k];
  if (arrow == std::string::npos) { // implicit: the ellipsis, then the letters that stand once, in order
    std::string all;
    for (const std::string &t : terms) all += t;
    std::set<char> once;
    for (char c : all)
      if (c != '.' && std::count(all.begin(), all.end(), c) == 1) once.insert(c);
    e.output = ellipsis + std::string(once.begin(), once.end());
  } else {
    e.output = equation.substr(arrow + 2);
    if (const size_t dots = e.output.find("..."); dots != std::string::npos) e.output.replace(dots, 3, ellipsis);
  }
  for (size_t i = 0; i < e.output.size(); ++i) {
    const char c = e.output[i];
    if (e.output.find(c) != i) return bad("has '" + escape_name(std::string(1, c)) + "' twice in the result");
    bool known = false;
    for (const std::string &t : e.inputs) known = known || t.find(c) != std::string::npos;
    if (!known) return bad("has '" + escape_name(std::string(1, c)) + "' in the result but in no input");
  }
  return e;
}

} // namespace

// Two operands at a time, from the left; what neither the rest nor the result needs is summed at once.
void import_einsum(NodeImport &n) {
  const std::optional<Einsum> e = parse_einsum(n, n.text("equation"));
  if (!e) return;
  Value *y = n.input(0);
  std::string labels = e->inputs[0];
  const DType dtype = y->type().dtype();
  if (n.input_count() == 1) {
    if (labels == e->output) return n.result(y);
    return n.result(n.make(Op::contract, {y}, with_compute({{"equation", labels + "->" + e->output}}, dtype)));
  }
  for (size_t i = 1; i < n.input_count(); ++i) {
    std::string out;
    if (i + 1 == n.input_count()) {
      out = e->output;
    } else {
      std::string later = e->output;
      for (size_t k = i + 1; k < n.input_count(); ++k) later += e->inputs[k];
      for (char c : labels + e->inputs[i])
        if (later.find(c) != std::string::npos && out.find(c) == std::string::npos) out += c;
    }
    y = n.make(Op::contract, {y, n.input(i)},
               with_compute({{"equation", labels + "," + e->inputs[i] + "->" + out}}, dtype));
    labels = out;
  }
  n.result(y);
}

void import_qlinear_matmul(NodeImport &n) {
  // a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero: y = quantize(acc * (a_scale * b_scale), y_scale, y_zero)
  Value *acc = integer_matmul(n, n.input(0), n.input(3), n.input(2), n.input(5));
  if (n.failed()) return;
  auto f32 = [&](Value *scale) { return n.cast(scale, DType::f32); };
  auto column = [&](Value *scale) { // one per row of a
    if (!n.failed() && scale->type().is_ranked() && scale->type().rank() == 1 && !scale->type().dim(0).is(1))
      return n.reshape(scale, {scale->type().dim(0), 1});
    return scale;
  };
  auto scalar = [&](Value *v) {
    return !n.failed() && v->type().is_ranked() && v->type().rank() > 0 && product(v->type().shape()).is(1)
               ? n.reshape(v, {})
               : v;
  };
  Attributes attributes{{"saturate", true}};
  // Of the result: one for all, or one per row.
  Value *y_scale = scalar(f32(n.input(6))), *y_zero = scalar(n.input(7));
  if (!n.failed() && y_scale->type().is_ranked() && y_scale->type().rank() == 1 && n.input(0)->type().rank() >= 2) {
    const int64_t axis = acc->type().rank() - (n.input(3)->type().rank() > 1 ? 2 : 1);
    const Dim rows = acc->type().dim(int(axis));
    y_scale = n.with_shape(y_scale, "y_scale", {rows});
    if (y_zero && y_zero->type().is_ranked() && y_zero->type().rank() == 1)
      y_zero = n.with_shape(y_zero, "y_zero_point", {rows});
    attributes.emplace_back("axis", axis);
  }
  Value *scale = n.map(Fn::mul, {scalar(column(f32(n.input(1)))), scalar(f32(n.input(4)))});
  Value *y = n.map(Fn::mul, {n.cast(acc, DType::f32), scale});
  n.result(n.make(Op::quantize, {y, y_scale, y_zero}, std::move(attributes)));
}

} // namespace cameo::frontend
