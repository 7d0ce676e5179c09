// Shared by the importers of ai.onnx.ml (see classical.h).
#include "classical.h"

#include <numeric>

namespace cameo::frontend {

ClassLabels class_labels(NodeImport &n, std::string_view integers, std::string_view strings) {
  ClassLabels labels{n.ints(integers), n.texts(strings)};
  if (!labels.integers.empty() && !labels.strings.empty())
    n.fail(std::string(integers) + " and " + std::string(strings) + " exclude each other");
  else if (labels.count() == 0)
    n.fail("needs either " + std::string(integers) + " or " + std::string(strings));
  return labels;
}

Value *labels_at(NodeImport &n, const ClassLabels &labels, Value *index) {
  if (labels.are_strings())
    return n.gather(n.constant(ConstantData::strings({labels.count()}, labels.strings)), index, 0);
  bool counting = true;
  for (size_t i = 0; i < labels.integers.size(); ++i) counting &= labels.integers[i] == int64_t(i);
  return counting ? index : n.gather(n.ints_constant(labels.integers), index, 0);
}

Value *choose_label(NodeImport &n, const ClassLabels &labels, Value *condition, int64_t yes, int64_t no) {
  if (!labels.are_strings())
    return n.map(Fn::select, {condition, n.scalar_int(DType::i64, yes), n.scalar_int(DType::i64, no)});
  if (std::max(yes, no) >= labels.count()) return n.unsupported("a positive class that has no label");
  return labels_at(n, labels,
                   n.map(Fn::select, {condition, n.scalar_int(DType::i64, yes), n.scalar_int(DType::i64, no)}));
}

Value *feature_rows(NodeImport &n, DType dtype) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return nullptr;
  const Shape &shape = x->type().shape();
  if (shape.size() < 1 || shape.size() > 2) return n.unsupported("an input of rank " + std::to_string(shape.size()));
  if (shape.size() == 1) x = n.reshape(x, {1, shape[0]});
  return n.cast(x, dtype);
}

void expect_features(NodeImport &n, const Value *rows, int64_t features, std::string_view what) {
  if (n.failed() || !rows) return;
  const Dim &columns = rows->type().dim(1);
  if (columns.is_constant() && columns.value() != features)
    n.fail(std::string(what) + " for " + std::to_string(features) + " features, the input has " + columns.str());
}

Value *reals_constant(NodeImport &n, DType dtype, std::vector<int64_t> dims, const std::vector<double> &values) {
  if (n.failed()) return nullptr;
  return n.constant(ConstantData::of_rounded(dtype, std::move(dims), values));
}

std::string post_transform_of(NodeImport &n) {
  return n.word("post_transform", {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"});
}

Value *probit(NodeImport &n, Value *p) {
  if (n.failed() || !p) return nullptr;
  const DType t = p->type().dtype();
  auto number = [&](double v) { return n.scalar(t, v); };
  auto map = [&](Fn fn, Value *a, Value *b) { return n.map(fn, {a, b}); };
  // erfinv(x) = sign(x) sqrt(sqrt(v^2 - w / a) - v), w = log(1 - x^2), v = 2 / (pi a) + w / 2, a = 0.147
  constexpr double kA = 0.147, kPi = 3.14159;
  Value *x = map(Fn::sub, map(Fn::mul, p, number(2)), number(1));
  Value *w = n.map(Fn::log, {map(Fn::mul, map(Fn::sub, number(1), x), map(Fn::add, number(1), x))});
  Value *v = map(Fn::add, number(2 / (kPi * kA)), map(Fn::mul, w, number(0.5)));
  Value *root = n.map(Fn::sqrt, {map(Fn::sub, map(Fn::mul, v, v), map(Fn::mul, w, number(1 / kA)))});
  Value *size = n.map(Fn::sqrt, {map(Fn::sub, root, v)});
  Value *value = n.map(Fn::select, {map(Fn::less, x, number(0)), n.map(Fn::neg, {size}), size});
  return map(Fn::mul, value, number(1.41421356));
}

Value *two_of_one(NodeImport &n, std::string_view transform, Value *score, bool probability) {
  if (n.failed() || !score) return nullptr;
  Value *opposite = n.map(Fn::neg, {score});
  if (transform == "LOGISTIC") return n.concat({n.map(Fn::sigmoid, {opposite}), n.map(Fn::sigmoid, {score})}, 1);
  if (probability) opposite = n.map(Fn::sub, {n.scalar(score->type().dtype(), 1), score});
  return n.concat({opposite, score}, 1);
}

// exp(x - max) over the sum of those, where x is not near 0; else x exp(-max) over that sum.
static Value *softmax_zero(NodeImport &n, Value *scores) {
  if (n.failed() || !scores) return nullptr;
  const DType t = scores->type().dtype();
  auto number = [&](double v) { return n.scalar(t, v); };
  Value *max = n.reduce("max", scores, {1}, true);
  Value *far = n.map(Fn::less, {number(0.0000001), n.map(Fn::abs, {scores})});
  Value *exponential = n.map(Fn::exp, {n.map(Fn::sub, {scores, max})});
  Value *sum = n.reduce("sum", n.map(Fn::select, {far, exponential, number(0)}), {1}, true);
  Value *near = n.map(Fn::mul, {scores, n.map(Fn::exp, {n.map(Fn::neg, {max})})});
  return n.map(Fn::div, {n.map(Fn::select, {far, exponential, near}), sum});
}

Value *post_transform(NodeImport &n, std::string_view transform, Value *scores) {
  if (n.failed() || !scores || transform == "NONE") return scores;
  if (transform == "PROBIT") return probit(n, scores);
  if (scores->type().dim(1).is(1)) return scores;
  if (transform == "LOGISTIC") return n.map(Fn::sigmoid, {scores});
  if (transform == "SOFTMAX") return n.make(Op::softmax, {scores}, {{"axis", int64_t{1}}, {"log", false}});
  return softmax_zero(n, scores);
}

} // namespace cameo::frontend
