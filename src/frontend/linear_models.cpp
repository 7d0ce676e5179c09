// Linear models of ai.onnx.ml: scores = x coefficients^T + intercepts, in f32.
#include "classical.h"

namespace cameo::frontend {
namespace {

// [rows, count], and the rows' dtype is f32 by now.
Value *linear_scores(NodeImport &n, Value *rows, const std::vector<double> &coefficients,
                     const std::vector<double> &intercepts, int64_t count) {
  if (n.failed()) return nullptr;
  const auto size = int64_t(coefficients.size());
  if (count < 1 || size % count != 0)
    return n.fail(std::to_string(size) + " coefficients for " + std::to_string(count) + " scores");
  expect_features(n, rows, size / count, "has coefficients");
  if (!intercepts.empty() && int64_t(intercepts.size()) != count)
    return n.fail(std::to_string(intercepts.size()) + " intercepts for " + std::to_string(count) + " scores");
  Value *scores = n.make(Op::contract, {rows, reals_constant(n, DType::f32, {count, size / count}, coefficients)},
                         {{"equation", std::string("nf,kf->nk")}});
  return intercepts.empty() ? scores : n.map(Fn::add, {scores, reals_constant(n, DType::f32, {count}, intercepts)});
}

} // namespace

void import_linear_regressor(NodeImport &n) {
  Value *rows = feature_rows(n, DType::f32);
  const std::string transform = post_transform_of(n);
  Value *scores = linear_scores(n, rows, n.reals("coefficients"), n.reals("intercepts"), n.integer("targets"));
  n.result(post_transform(n, transform, scores));
}

// With one score for two classes the score is that of the second.
void import_linear_classifier(NodeImport &n) {
  Value *rows = feature_rows(n, DType::f32);
  const std::string transform = post_transform_of(n);
  const ClassLabels labels = class_labels(n, "classlabels_ints", "classlabels_strings");
  const std::vector<double> coefficients = n.reals("coefficients"), intercepts = n.reals("intercepts");
  if (n.failed()) return;
  int64_t count = intercepts.empty() ? labels.count() : int64_t(intercepts.size());
  if (const Dim &features = rows->type().dim(1);
      intercepts.empty() && features.is_constant() && features.is(int64_t(coefficients.size())))
    count = 1;
  if (count != 1 && count != labels.count())
    return void(n.fail(std::to_string(labels.count()) + " labels for " + std::to_string(count) + " classes"));
  Value *scores = linear_scores(n, rows, coefficients, intercepts, count);
  if (n.failed()) return;
  if (count > 1) {
    Value *best =
        n.make(Op::arg_reduce, {scores},
               {{"fn", std::string("max")}, {"axis", int64_t{1}}, {"keepdims", false}, {"select_last", false}});
    n.result(0, labels_at(n, labels, best));
    n.result(1, post_transform(n, transform, scores));
    return;
  }
  Value *positive = n.map(Fn::less, {n.scalar(DType::f32, 0), n.reshape(scores, {scores->type().dim(0)})});
  if (labels.count() != 2) {
    const ClassLabels plain{{}, {"0", "1"}}; // a lone class is told by its number
    n.result(0, choose_label(n, labels.are_strings() ? plain : labels, positive, 1, 0));
    n.result(1, post_transform(n, transform, scores));
    return;
  }
  if (transform == "PROBIT") return void(n.unsupported("PROBIT of one score for two classes"));
  Value *index = n.map(Fn::select, {positive, n.scalar_int(DType::i64, 1), n.scalar_int(DType::i64, 0)});
  n.result(0, labels_at(n, labels, index));
  n.result(1, two_of_one(n, transform, scores, true));
}

} // namespace cameo::frontend
