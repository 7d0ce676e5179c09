// What the importers of ai.onnx.ml share: rows of features, class labels, and the transforms that turn scores into
// probabilities.
#pragma once

#include "families.h"

namespace cameo::frontend {

/// The attributes of a classifier that name its classes: integers or strings, not both.
struct ClassLabels {
  std::vector<int64_t> integers;
  std::vector<std::string> strings;
  bool are_strings() const { return !strings.empty(); }
  int64_t count() const { return int64_t(are_strings() ? strings.size() : integers.size()); }
};
ClassLabels class_labels(NodeImport &n, std::string_view integers, std::string_view strings);

/// Labels of i64 indices, each in [0, count).
Value *labels_at(NodeImport &n, const ClassLabels &labels, Value *index);
/// condition ? yes : no, where both are labels (of a list of labels: positions in it).
Value *choose_label(NodeImport &n, const ClassLabels &labels, Value *condition, int64_t yes, int64_t no);

/// Input 0 as [rows, features] in this dtype: a vector is one row. Null after a problem.
Value *feature_rows(NodeImport &n, DType dtype);
/// The number of columns must be `features`, as far as it is known.
void expect_features(NodeImport &n, const Value *rows, int64_t features, std::string_view what);

/// An f32 constant; rounded.
Value *reals_constant(NodeImport &n, DType dtype, std::vector<int64_t> dims, const std::vector<double> &values);

/// The attribute post_transform: NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO or PROBIT.
std::string post_transform_of(NodeImport &n);
/// Scores [rows, columns], each row transformed. Of one column only PROBIT changes anything.
Value *post_transform(NodeImport &n, std::string_view transform, Value *scores);
/// The scores of two classes from one, [rows, 1] to [rows, 2]: LOGISTIC gives their probabilities; otherwise [1 - s, s]
/// where s is a probability itself, and [-s, s] where it is not.
Value *two_of_one(NodeImport &n, std::string_view transform, Value *score, bool probability);
/// sqrt(2) erfinv(2 p - 1) by Winitzki's approximation, which the operators' reference uses.
Value *probit(NodeImport &n, Value *p);

} // namespace cameo::frontend
