// Discrete Fourier transforms of known length as products with constant matrices.
//
//   %y = dft %x {axis = 1, inverse = false, length = 400, onesided = true} : f32[b, 201, 2]
//     =>  y[b, (k, q)] = sum over z of x[b, z] * w[z, (k, q)]
//
// A length n = n1 * n2 is taken in two steps where that saves work (Cooley and Tukey 1965). With j = n2 * j1 + j2 and
// k = k1 + n1 * k2, and e(t) = exp(-2 pi i t):
//
//   a[k1, j2] = sum over j1 of x[j1, j2] * e(j1 * k1 / n1)
//   y[k1, k2] = sum over j2 of a[k1, j2] * e(j2 * k / n)
//
// Both steps are contractions: every k1 has a matrix of its own in the second. Complex numbers are pairs of reals.
// Sines and cosines come from the product's own expansions in f64; the matrices are rounded once.
//
// It refuses lengths and extents that only a run knows, types other than f32 and f64, and what would need matrices of
// more than kMostElements: the plain form of dft needs none.
#include "cameo/passes/passes.h"

#include "cameo/ir/builder.h"

#include <cmath>
#include <functional>

namespace cameo::passes {

namespace {

using namespace graph;

constexpr int64_t kMostElements = int64_t{1} << 21;
constexpr int64_t kWorth = 3; ///< how many times less work two steps must be than one

// cos(2 pi i / n) and sin(2 pi i / n).
struct Circle {
  std::vector<double> cosine, sine;
};

std::optional<Circle> circle_of(int64_t n) {
  Graph g("circle");
  g.set_stage(Stage::canonical);
  Builder b = Builder::at_end(g, g.main().body);
  Value *angle = b.mul(b.cast(b.iota(DType::i64, {n}, 0), DType::f64), b.scalar(DType::f64, 2 * M_PI / double(n)));
  g.set_results(g.main(), {b.elementwise(Fn::cos, {angle}), b.elementwise(Fn::sin, {angle})}, {"cos", "sin"});
  const Result<bool> folded = fold_constants(g, {});
  Circle circle;
  for (auto [i, list] : {std::pair{0, &circle.cosine}, std::pair{1, &circle.sine}}) {
    const ConstantData *data = g.main().body->results()[static_cast<size_t>(i)]->constant();
    if (!folded.ok() || !data) return std::nullopt;
    for (int64_t j = 0; j < n; ++j) list->push_back(data->as_double(j));
  }
  return circle;
}

class Expansion {
public:
  Expansion(Graph &graph, Node *dft) : graph_(graph), dft_(dft), b_(Builder::ahead_of(graph, dft)) {
    b_.set_origin(dft->origin());
  }

  bool run() {
    const Type &x = dft_->operand()->type(), &y = dft_->result()->type();
    dtype_ = x.dtype();
    const auto axis = static_cast<size_t>(dft_->integer("axis"));
    if ((dtype_ != DType::f32 && dtype_ != DType::f64) || y.dtype() != dtype_ || !dft_->dim("length").is_constant())
      return false;
    for (const Dim &d : {x.dim(axis), x.dim(-1), y.dim(axis), y.dim(-1)})
      if (!d.is_constant() || d.value() < 1) return false;
    n_ = dft_->dim("length").value();
    terms_ = std::min(x.dim(axis).value(), n_);
    parts_ = x.dim(-1).value();
    count_ = y.dim(axis).value();
    out_ = y.dim(-1).value();
    inverse_ = dft_->flag("inverse");
    mirrored_ = inverse_ && dft_->flag("onesided");
    if (n_ < 2 || n_ > kMostElements) return false;
    const int64_t direct = product_of({terms_, parts_, count_, out_}), n1 = divisor();
    const int64_t columns = out_ * columns_of(n1); // of the second step's matrices
    const int64_t second = product_of({2, n_, columns});
    const bool can_split = n1 > 1 && !mirrored_ && x.dim(axis).is(n_) && second <= kMostElements;
    const bool split = can_split && kWorth * (2 * n1 * n_ * parts_ + second + 4 * n_) < direct;
    if (!split && direct > kMostElements) return false;
    const std::optional<Circle> circle = circle_of(n_);
    if (!circle) return false;
    circle_ = *circle;
    replace(axis, [&](Value *rows) { return split ? two_steps(rows, n1) : one_step(rows); });
    return true;
  }

private:
  static int64_t product_of(std::initializer_list<int64_t> factors) {
    int64_t product = 1;
    for (int64_t f : factors)
      if (__builtin_mul_overflow(product, f, &product)) return INT64_MAX;
    return product;
  }

  int64_t divisor() const {
    int64_t best = 1;
    for (int64_t d = 2; d * d <= n_; ++d)
      if (n_ % d == 0) best = d;
    return best;
  }
  int64_t columns_of(int64_t n1) const { return (count_ + n1 - 1) / n1; }

  // The transform of rows [batch, terms, parts] to [batch, count, out], around whatever lies beside the axis.
  void replace(size_t axis, const std::function<Value *(Value *)> &transform) {
    const Type &y = dft_->result()->type();
    Value *x = dft_->operand();
    const size_t rank = static_cast<size_t>(x->type().rank());
    std::vector<int64_t> perm; // the axis behind the others
    for (size_t d = 0; d + 1 < rank; ++d)
      if (d != axis) perm.push_back(static_cast<int64_t>(d));
    perm.push_back(static_cast<int64_t>(axis));
    perm.push_back(static_cast<int64_t>(rank) - 1);
    const bool moves = axis + 2 != rank;
    if (moves) x = b_.transpose(x, perm);
    const Shape others(x->type().shape().begin(), x->type().shape().end() - 2);
    if (!x->type().dim(-2).is(terms_)) x = b_.slice(x, static_cast<int64_t>(rank) - 2, 0, terms_);
    Value *result = transform(b_.reshape(x, {product(others), terms_, parts_}));
    Shape shape = others;
    shape.insert(shape.end(), {Dim(count_), Dim(out_)});
    result = b_.reshape(result, shape);
    if (moves) {
      std::vector<int64_t> back(rank);
      for (size_t d = 0; d < rank; ++d) back[static_cast<size_t>(perm[d])] = static_cast<int64_t>(d);
      result = b_.transpose(result, back);
    }
    result->set_name(dft_->result()->name());
    CAMEO_CHECK(result->type().shape() == y.shape(), "a transform keeps its shape");
    graph_.replace(dft_->result(), result);
    graph_.erase(dft_);
  }

  Value *contract(std::string equation, Value *x, Value *w, Shape shape) {
    return b_.value(Op::contract, {x, w}, {{"equation", std::move(equation)}}, Type::tensor(dtype_, std::move(shape)));
  }
  Value *matrix(std::vector<int64_t> dims, std::vector<double> values) {
    if (dtype_ == DType::f32)
      for (double &v : values) v = static_cast<float>(v);
    return b_.constant(ConstantData::of(dtype_, std::move(dims), values));
  }

  // Part `out` of the product of part `in` (1 or i) and exp(-+ 2 pi i turn / n): what a real number is multiplied by.
  double factor(int64_t turn, int64_t in, int64_t out) const {
    const auto at = static_cast<size_t>(turn % n_);
    const double cosine = circle_.cosine[at], sine = inverse_ ? circle_.sine[at] : -circle_.sine[at];
    if (in == out) return cosine;
    return in == 0 ? sine : -sine;
  }
  double scale() const { return inverse_ ? double(n_) : 1; }

  Value *one_step(Value *x) {
    std::vector<double> w;
    for (int64_t j = 0; j < terms_; ++j)
      for (int64_t in = 0; in < parts_; ++in)
        for (int64_t k = 0; k < count_; ++k)
          for (int64_t out = 0; out < out_; ++out) {
            double v = factor(j * k, in, out);
            // x[n - j] is the conjugate of x[j], where only half of the spectrum is given.
            if (mirrored_ && j > n_ / 2) v = 0;
            if (mirrored_ && j > 0 && 2 * j < n_) v += (in == 0 ? 1 : -1) * factor((n_ - j) * k, in, out);
            w.push_back(v / scale());
          }
    const Dim rows = x->type().dim(0);
    return contract("bz,zn->bn", b_.reshape(x, {rows, terms_ * parts_}), matrix({terms_ * parts_, count_ * out_}, w),
                    {rows, count_ * out_});
  }

  Value *two_steps(Value *x, int64_t n1) {
    const int64_t n2 = n_ / n1, columns = columns_of(n1);
    const Dim rows = x->type().dim(0);
    if (parts_ == 2) x = b_.transpose(x, {0, 2, 1}); // real parts, then imaginary ones
    x = b_.reshape(x, {rows, parts_ * n1, n2});
    std::vector<double> first, second;
    for (int64_t in = 0; in < parts_; ++in)
      for (int64_t j = 0; j < n1; ++j)
        for (int64_t k = 0; k < n1; ++k)
          for (int64_t out = 0; out < 2; ++out) first.push_back(factor(j * k * n2, in, out));
    Value *a = contract("bjm,jz->bzm", x, matrix({parts_ * n1, n1 * 2}, first), {rows, n1 * 2, n2});
    for (int64_t k1 = 0; k1 < n1; ++k1)
      for (int64_t in = 0; in < 2; ++in)
        for (int64_t j = 0; j < n2; ++j)
          for (int64_t k2 = 0; k2 < columns; ++k2)
            for (int64_t out = 0; out < out_; ++out) second.push_back(factor(j * (k1 + n1 * k2), in, out) / scale());
    Value *y = contract("bkz,kzn->bkn", b_.reshape(a, {rows, n1, 2 * n2}), matrix({n1, 2 * n2, columns * out_}, second),
                        {rows, n1, columns * out_});
    y = b_.transpose(b_.reshape(y, {rows, n1, columns, out_}), {0, 2, 1, 3});
    y = b_.reshape(y, {rows, columns * n1, out_});
    return columns * n1 == count_ ? y : b_.slice(y, 1, 0, count_);
  }

  Graph &graph_;
  Node *dft_;
  Builder b_;
  DType dtype_ = DType::f32;
  int64_t n_ = 0, terms_ = 0, parts_ = 1, count_ = 0, out_ = 2; ///< length; elements that x has; of them and y's
  bool inverse_ = false, mirrored_ = false;
  Circle circle_;
};

} // namespace

Result<bool> expand_dft(Graph &graph, const PassOptions &) {
  bool changed = false;
  for (Node *node : Graph::all_nodes(graph.main().body))
    if (!node->erased() && node->is(Op::dft) && node->operand()->type().is_ranked())
      changed |= Expansion(graph, node).run();
  return changed;
}

} // namespace cameo::passes
