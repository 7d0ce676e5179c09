// Operators of ai.onnx.ml that prepare features: scaling, imputing, normalizing, selecting and joining columns, one-hot
// codes.
#include "classical.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace cameo::frontend {
namespace {

// One number for all columns or one per column, as a constant that broadcasts along the last axis. Null after a
// problem.
Value *per_column(NodeImport &n, DType dtype, const std::vector<double> &values, std::string_view what) {
  if (n.failed()) return nullptr;
  const Shape &shape = n.input(0)->type().shape();
  if (values.size() == 1) return reals_constant(n, dtype, {}, values);
  if (shape.empty() || shape.size() > 2)
    return n.unsupported(std::string(what) + " per column of a tensor of rank " + std::to_string(shape.size()));
  if (shape.back().is_constant() && !shape.back().is(int64_t(values.size())))
    return n.fail(std::to_string(values.size()) + " " + std::string(what) + " for " + shape.back().str() + " columns");
  return reals_constant(n, dtype, {int64_t(values.size())}, values);
}

Value *sum_of_rows(NodeImport &n, const char *fn, Value *x) {
  return n.failed() ? nullptr : n.reduce(fn, x, {x->type().rank() - 1}, true);
}

} // namespace

// y = (x - offset) * scale; f64 is rounded at the end only.
void import_scaler(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  const DType t = x->type().dtype() == DType::f64 ? DType::f64 : DType::f32;
  x = n.cast(x, t);
  if (const auto offset = n.reals("offset"); !offset.empty())
    x = n.map(Fn::sub, {x, per_column(n, t, offset, "offsets")});
  if (const auto scale = n.reals("scale"); !scale.empty()) x = n.map(Fn::mul, {x, per_column(n, t, scale, "scales")});
  n.result(n.cast(x, DType::f32));
}

// y = x is the value to replace (NaN equals NaN) ? imputed : x
void import_imputer(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  const DType t = x->type().dtype();
  const std::vector<double> reals = n.reals("imputed_value_floats");
  const std::vector<int64_t> integers = n.ints("imputed_value_int64s");
  if (reals.empty() == integers.empty())
    return void(n.fail("needs either imputed_value_floats or imputed_value_int64s"));
  if (is_float(t) == reals.empty())
    return void(n.fail("imputed values of another type than the input, which is " + std::string(name(t))));
  const size_t count = std::max(reals.size(), integers.size());
  // As many values as columns: one for each; else the first is for all.
  const Shape &shape = x->type().shape();
  const bool each = count > 1 && !shape.empty() && shape.size() <= 2 &&
                    (!shape.back().is_constant() || shape.back().is(int64_t(count)));
  const std::vector<int64_t> dims = each ? std::vector<int64_t>{int64_t(count)} : std::vector<int64_t>{};
  Value *imputed = nullptr, *is_missing = nullptr;
  if (is_float(t)) {
    const double replaced = n.real("replaced_value_float");
    imputed = reals_constant(n, t, dims, each ? reals : std::vector<double>{reals[0]});
    is_missing = std::isnan(replaced) ? n.map(Fn::is_nan, {x}) : n.map(Fn::equal, {x, n.scalar(t, replaced)});
  } else {
    const int64_t replaced = n.integer("replaced_value_int64");
    std::vector<int64_t> values = each ? integers : std::vector<int64_t>{integers[0]};
    if (t == DType::i32)
      for (int64_t v : values)
        if (v != int32_t(v)) return void(n.fail("imputed value " + std::to_string(v) + " is no i32"));
    imputed = n.constant(ConstantData::of_ints(t, dims, values));
    if (t == DType::i32 && replaced != int32_t(replaced)) return n.result(x); // nothing equals it
    is_missing = n.map(Fn::equal, {x, n.scalar_int(t, replaced)});
  }
  n.result(n.map(Fn::select, {is_missing, imputed, x}));
}

void import_binarizer(NodeImport &n) {
  Value *x = n.input(0);
  if (n.failed() || !x) return;
  const DType t = x->type().dtype(), compare = is_float(t) ? t : DType::f32;
  Value *above = n.map(Fn::less, {n.scalar(compare, n.real("threshold")), n.cast(x, compare)});
  n.result(n.cast(above, t));
}

// MAX: x / max(x); L1: x / sum |x|; L2: x / sqrt(sum x^2), as sign(x) sqrt(x^2 / sum). A row of norm 0 stays.
void import_normalizer(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  const int rank = x->type().rank();
  const std::string norm = n.word("norm", {"MAX", "L1", "L2"});
  if (rank < 1 || rank > 2) return void(n.unsupported("an input of rank " + std::to_string(rank)));
  Value *y = n.cast(x, DType::f32), *zero = n.scalar(DType::f32, 0);
  if (norm == "L2") {
    Value *square = n.cast(n.map(Fn::mul, {x, x}), DType::f32);
    Value *sum = sum_of_rows(n, "sum", square);
    Value *size = n.map(Fn::sqrt, {n.map(Fn::div, {square, sum})});
    Value *scaled = n.map(Fn::select, {n.map(Fn::less, {y, zero}), n.map(Fn::neg, {size}), size});
    return n.result(n.map(Fn::select, {n.map(Fn::equal, {sum, zero}), y, scaled}));
  }
  Value *size = norm == "L1" ? sum_of_rows(n, "sum", n.map(Fn::abs, {y})) : sum_of_rows(n, "max", y);
  Value *one = n.scalar(DType::f32, 1);
  n.result(n.map(Fn::div, {y, n.map(Fn::select, {n.map(Fn::equal, {size, zero}), one, size})}));
}

// z[..., j] = x[..., y[j]]; a vector counts as one row.
void import_array_feature_extractor(NodeImport &n) {
  Value *x = n.input(0), *y = n.input(1);
  if (!n.ranked(x) || !n.ranked(y)) return;
  const Shape &shape = x->type().shape();
  if (shape.empty()) return void(n.fail("a scalar has no features"));
  if (shape.size() == 1) x = n.reshape(x, {1, shape[0]});
  if (y->type().rank() != 1) y = n.reshape(y, {product(y->type().shape())});
  if (n.failed()) return;
  n.result(n.gather(x, y, x->type().rank() - 1));
}

// The inputs as f32 columns side by side, each cut or filled up with zeros to its entry of inputdimensions.
void import_feature_vectorizer(NodeImport &n) {
  const std::vector<int64_t> widths = n.ints("inputdimensions");
  if (!widths.empty() && widths.size() != n.input_count())
    return void(
        n.fail(std::to_string(widths.size()) + " inputdimensions for " + std::to_string(n.input_count()) + " inputs"));
  std::vector<Value *> columns;
  for (size_t i = 0; i < n.input_count(); ++i) {
    Value *x = n.input(i);
    if (!x) return void(n.fail("input " + std::to_string(i) + " is missing"));
    if (!n.ranked(x)) return;
    const Shape &shape = x->type().shape();
    Dim size = 1;
    for (size_t d = shape.size() > 1 ? 1 : 0; d < shape.size(); ++d) size *= shape[d];
    x = n.reshape(n.cast(x, DType::f32), {shape.size() > 1 ? shape[0] : Dim(1), size});
    if (n.failed()) return;
    if (!widths.empty() && !size.is(widths[i])) {
      if (widths[i] < 0) return void(n.fail("inputdimensions has " + std::to_string(widths[i])));
      if (!size.is_constant()) return void(n.unsupported("a number of columns known only at run time"));
      if (size.value() > widths[i])
        x = n.slice(x, 1, 0, widths[i]);
      else
        x = n.make(Op::pad, {x, n.scalar(DType::f32, 0)},
                   {{"high", std::vector<Dim>{0, widths[i] - size.value()}},
                    {"low", std::vector<Dim>{0, 0}},
                    {"mode", std::string("constant")}});
    }
    columns.push_back(x);
  }
  n.result(columns.size() == 1 ? columns[0] : n.concat(columns, 1));
}

// y[..., c] = x equals category c. Numbers count as i64; of equal categories the last one.
void import_one_hot_encoder(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  const bool texts = x->type().dtype() == DType::string;
  const std::vector<int64_t> integers = n.ints("cats_int64s");
  const std::vector<std::string> strings = n.texts("cats_strings");
  if (integers.empty() == strings.empty()) return void(n.fail("needs either cats_int64s or cats_strings"));
  if (texts == strings.empty()) return void(n.fail("the categories have another type than the input"));
  if (!n.flag("zeros")) return void(n.unsupported("zeros 0: an unknown category as an error of the run"));
  std::vector<int64_t> keep;
  std::set<int64_t> later_integers;
  std::set<std::string> later_strings;
  for (size_t i = std::max(integers.size(), strings.size()); i-- > 0;)
    keep.push_back(texts ? later_strings.insert(strings[i]).second : later_integers.insert(integers[i]).second);
  std::reverse(keep.begin(), keep.end());
  Shape shape = x->type().shape();
  shape.push_back(1);
  const auto count = int64_t(keep.size());
  Value *categories = n.constant(texts ? ConstantData::strings({count}, strings) : ConstantData::i64s(integers));
  Value *hot = n.map(Fn::equal, {n.reshape(texts ? x : n.cast(x, DType::i64), shape), categories});
  if (std::find(keep.begin(), keep.end(), 0) != keep.end())
    hot = n.map(Fn::logical_and, {hot, n.constant(ConstantData::of_ints(DType::boolean, {count}, keep))});
  n.result(n.cast(hot, DType::f32));
}

} // namespace cameo::frontend
