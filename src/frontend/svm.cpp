// Support vector machines of ai.onnx.ml: scores are sums of coefficients times kernel(x, support vector).
#include "classical.h"

#include <algorithm>

namespace cameo::frontend {
namespace {

struct Kernel {
  std::string type;
  double gamma = 0, coef0 = 0, degree = 0;
};

Kernel kernel_of(NodeImport &n) {
  Kernel kernel{n.word("kernel_type", {"LINEAR", "POLY", "RBF", "SIGMOID"})};
  const std::vector<double> params = n.reals("kernel_params");
  if (params.size() == 3) {
    kernel.gamma = params[0];
    kernel.coef0 = params[1];
    kernel.degree = params[2];
  } else if (!params.empty()) {
    n.fail("kernel_params has " + std::to_string(params.size()) + " values; they are gamma, coef0 and degree");
  }
  return kernel;
}

// k(x_i, s_j): [rows, vectors].
Value *kernel_matrix(NodeImport &n, const Kernel &kernel, Value *rows, const std::vector<double> &vectors,
                     int64_t count) {
  if (n.failed()) return nullptr;
  const int64_t features = int64_t(vectors.size()) / count;
  expect_features(n, rows, features, "has support vectors");
  Value *support = reals_constant(n, DType::f32, {count, features}, vectors);
  auto number = [&](double v) { return n.scalar(DType::f32, v); };
  if (kernel.type == "RBF") { // exp(-gamma |x - s|^2); differences first: norms would cancel
    if (n.failed()) return nullptr;
    Value *x = n.reshape(rows, {rows->type().dim(0), 1, rows->type().dim(1)});
    Value *difference = n.map(Fn::sub, {x, support});
    Value *distance = n.reduce("sum", n.map(Fn::mul, {difference, difference}), {2}, false);
    return n.map(Fn::exp, {n.map(Fn::mul, {distance, number(-kernel.gamma)})});
  }
  Value *dot = n.make(Op::contract, {rows, support}, {{"equation", std::string("nf,vf->nv")}});
  if (kernel.type == "LINEAR") return dot;
  Value *affine = n.map(Fn::add, {n.map(Fn::mul, {dot, number(kernel.gamma)}), number(kernel.coef0)});
  if (kernel.type == "SIGMOID") return n.map(Fn::tanh, {affine});
  if (kernel.degree == 2) return n.map(Fn::mul, {affine, affine});
  if (kernel.degree == 3) return n.map(Fn::mul, {n.map(Fn::mul, {affine, affine}), affine});
  return n.map(Fn::pow, {affine, number(kernel.degree)});
}

Value *sum_of_products(NodeImport &n, Value *kernels, std::vector<int64_t> dims,
                       const std::vector<double> &coefficients) {
  if (n.failed()) return nullptr;
  return n.make(Op::contract, {kernels, reals_constant(n, DType::f32, std::move(dims), coefficients)},
                {{"equation", std::string("nv,vp->np")}});
}

Value *arg_max(NodeImport &n, Value *x) {
  return n.make(Op::arg_reduce, {x},
                {{"fn", std::string("max")}, {"axis", int64_t{1}}, {"keepdims", false}, {"select_last", false}});
}

bool enough(NodeImport &n, std::string_view what, size_t size, int64_t needed) {
  if (int64_t(size) < needed)
    n.fail(std::string(what) + " has " + std::to_string(size) + " values, needs " + std::to_string(needed));
  return !n.failed();
}

} // namespace

void import_svm_regressor(NodeImport &n) {
  Value *rows = feature_rows(n, DType::f32);
  const Kernel kernel = kernel_of(n);
  const std::vector<double> coefficients = n.reals("coefficients"), rho = n.reals("rho"),
                            vectors = n.reals("support_vectors");
  post_transform_of(n); // of one score none has an effect
  const int64_t count = n.integer("n_supports");
  if (n.failed() || !enough(n, "rho", rho.size(), 1) || !enough(n, "coefficients", coefficients.size(), 1)) return;
  Value *y = nullptr;
  if (count > 0) {
    if (int64_t(coefficients.size()) != count || vectors.empty() || int64_t(vectors.size()) % count != 0)
      return void(n.fail(std::to_string(coefficients.size()) + " coefficients and " + std::to_string(vectors.size()) +
                         " numbers in support_vectors for n_supports " + std::to_string(count)));
    y = sum_of_products(n, kernel_matrix(n, kernel, rows, vectors, count), {count, 1}, coefficients);
  } else {
    if (count < 0) return void(n.fail("n_supports is " + std::to_string(count)));
    const auto features = int64_t(coefficients.size());
    expect_features(n, rows, features, "has coefficients");
    y = sum_of_products(n, rows, {features, 1}, coefficients);
  }
  y = n.map(Fn::add, {y, n.scalar(DType::f32, rho[0])});
  if (n.flag("one_class"))
    y = n.map(Fn::select,
              {n.map(Fn::less, {n.scalar(DType::f32, 0), y}), n.scalar(DType::f32, 1), n.scalar(DType::f32, -1)});
  n.result(y);
}

namespace {

// What a classifier with support vectors gives: a score for every pair of classes i < j, and votes for classes.
struct Pairs {
  Value *scores = nullptr; ///< [rows, pairs]
  Value *votes = nullptr;  ///< [rows, classes], f32
};

Pairs pair_scores(NodeImport &n, Value *kernels, const std::vector<int64_t> &per_class,
                  const std::vector<double> &coefficients, const std::vector<double> &rho) {
  const auto classes = int64_t(per_class.size());
  const int64_t pairs = classes * (classes - 1) / 2;
  std::vector<int64_t> start{0};
  for (int64_t count : per_class) start.push_back(start.back() + count);
  const int64_t vectors = start.back();
  // Class i meets class j by the vectors of both: those of i with coefficients of row j - 1, those of j with row i.
  std::vector<double> weights(static_cast<size_t>(vectors * pairs), 0), wins(static_cast<size_t>(pairs * classes), 0),
      losses(static_cast<size_t>(classes), 0);
  int64_t pair = 0;
  for (int64_t i = 0; i < classes; ++i)
    for (int64_t j = i + 1; j < classes; ++j, ++pair) {
      for (int64_t v = start[size_t(i)]; v < start[size_t(i) + 1]; ++v)
        weights[size_t(v * pairs + pair)] = coefficients[size_t((j - 1) * vectors + v)];
      for (int64_t v = start[size_t(j)]; v < start[size_t(j) + 1]; ++v)
        weights[size_t(v * pairs + pair)] = coefficients[size_t(i * vectors + v)];
      wins[size_t(pair * classes + i)] = 1; // a positive score is a vote for i, else for j
      wins[size_t(pair * classes + j)] = -1;
      losses[size_t(j)] += 1;
    }
  Pairs result;
  const std::vector<double> offsets(rho.begin(), rho.begin() + pairs);
  result.scores = n.map(Fn::add, {sum_of_products(n, kernels, {vectors, pairs}, weights),
                                  reals_constant(n, DType::f32, {pairs}, offsets)});
  Value *won = n.failed() ? nullptr : n.cast(n.map(Fn::less, {n.scalar(DType::f32, 0), result.scores}), DType::f32);
  result.votes = n.map(
      Fn::add, {sum_of_products(n, won, {pairs, classes}, wins), reals_constant(n, DType::f32, {classes}, losses)});
  return result;
}

} // namespace

void import_svm_classifier(NodeImport &n) {
  Value *rows = feature_rows(n, DType::f32);
  Kernel kernel = kernel_of(n);
  const std::string transform = post_transform_of(n);
  const ClassLabels labels = class_labels(n, "classlabels_ints", "classlabels_strings");
  const std::vector<double> coefficients = n.reals("coefficients"), rho = n.reals("rho"), a = n.reals("prob_a"),
                            b = n.reals("prob_b"), vectors = n.reals("support_vectors");
  const std::vector<int64_t> per_class = n.ints("vectors_per_class");
  const int64_t classes = labels.count();
  if (n.failed() || !enough(n, "coefficients", coefficients.size(), 1) || !enough(n, "rho", rho.size(), 1)) return;
  if (classes > 65535) return void(n.unsupported(std::to_string(classes) + " classes"));
  if (a.size() != b.size())
    return void(n.fail("prob_a has " + std::to_string(a.size()) + " values, prob_b " + std::to_string(b.size())));
  int64_t count = 0;
  for (int64_t v : per_class) {
    if (v < 0 || v > int64_t(vectors.size())) return void(n.fail("vectors_per_class has " + std::to_string(v)));
    count += v;
  }
  const bool positive = std::all_of(coefficients.begin(), coefficients.end(), [](double c) { return c >= 0; });
  if (count == 0) { // linear: one row of coefficients per class
    if (int64_t(coefficients.size()) % classes != 0)
      return void(
          n.fail(std::to_string(coefficients.size()) + " coefficients for " + std::to_string(classes) + " classes"));
    const int64_t features = int64_t(coefficients.size()) / classes;
    expect_features(n, rows, features, "has coefficients");
    if (n.failed()) return;
    Value *scores = n.make(Op::contract, {rows, reals_constant(n, DType::f32, {classes, features}, coefficients)},
                           {{"equation", std::string("nf,kf->nk")}});
    scores = n.map(Fn::add, {scores, n.scalar(DType::f32, rho[0])});
    Value *best = arg_max(n, scores);
    if (n.failed()) return;
    Value *label = nullptr;
    if (classes == 2 && a.empty()) { // above a limit the second class wins
      Value *top = n.reduce("max", scores, {1}, false), *limit = n.scalar(DType::f32, positive ? 0.5 : 0);
      Value *sure = positive ? n.map(Fn::less_equal, {limit, top}) : n.map(Fn::less, {limit, top});
      label = labels_at(n, labels, n.map(Fn::select, {sure, n.scalar_int(DType::i64, 1), best}));
    } else {
      label = labels_at(n, labels, best);
    }
    n.result(0, label);
    return n.result(1, post_transform(n, transform, scores));
  }
  const int64_t pairs = classes * (classes - 1) / 2;
  if (int64_t(per_class.size()) != classes)
    return void(n.fail("vectors_per_class has " + std::to_string(per_class.size()) + " entries for " +
                       std::to_string(classes) + " classes"));
  if (classes < 2) return void(n.fail("support vectors for one class"));
  if (int64_t(vectors.size()) % count != 0)
    return void(n.fail(std::to_string(vectors.size()) + " numbers in support_vectors for " + std::to_string(count) +
                       " vectors"));
  if (!enough(n, "coefficients", coefficients.size(), (classes - 1) * count) || !enough(n, "rho", rho.size(), pairs) ||
      (!a.empty() && !enough(n, "prob_a", a.size(), pairs)))
    return;
  if (pairs * count > int64_t{1} << 26) return void(n.unsupported(std::to_string(pairs) + " pairs of classes"));
  const Pairs p = pair_scores(n, kernel_matrix(n, kernel, rows, vectors, count), per_class, coefficients, rho);
  Value *best = arg_max(n, p.votes);
  if (n.failed()) return;
  if (!a.empty()) {
    n.result(0, labels_at(n, labels, best));
    // P(i of i, j) = 1 - 1 / (1 + exp(-(score a + b))), kept off 0 and 1, then coupled.
    auto list = [&](const std::vector<double> &v) {
      return reals_constant(n, DType::f32, {pairs}, std::vector<double>(v.begin(), v.begin() + pairs));
    };
    auto number = [&](double v) { return n.scalar(DType::f32, v); };
    Value *score = n.map(Fn::add, {n.map(Fn::mul, {p.scores, list(a)}), list(b)});
    Value *r =
        n.map(Fn::clip, {n.map(Fn::sub, {number(1), n.map(Fn::sigmoid, {score})}), number(1e-7), number(1 - 1e-7)});
    Value *scores = n.make(Op::pairwise_coupling, {r}, {{"classes", classes}});
    return n.result(1, post_transform(n, transform, scores));
  }
  if (classes > 2) {
    n.result(0, labels_at(n, labels, best));
    return n.result(1, pairs > 1 ? post_transform(n, transform, p.scores) : p.scores);
  }
  // One score for two classes. Without probabilities the limits of a class's weight (0) never hold, so that votes
  // decide; but weights that are all positive put the limit at 0.5, which no vote reaches either.
  n.result(0, labels_at(n, labels, best));
  if (transform == "PROBIT") return void(n.unsupported("PROBIT of one score for two classes"));
  n.result(1, two_of_one(n, transform, p.scores, transform != "NONE"));
}

} // namespace cameo::frontend
