// Small operators of com.microsoft that the standard has not, or not in this form.
#include "microsoft.h"
#include "parts.h"

namespace cameo::frontend {

void import_expand_dims(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  const std::vector<int64_t> given = n.need_ints(n.input(1), "an axis");
  if (n.failed()) return;
  if (given.size() != 1) return void(n.fail(std::to_string(given.size()) + " axes, not one"));
  const int64_t rank = x->type().rank() + 1;
  if (rank > n.limits().rank)
    return void(
        n.fail("a result of rank " + std::to_string(rank) + " (limit " + std::to_string(n.limits().rank) + ")"));
  const int64_t axis = n.axis(given[0], rank);
  Shape shape = x->type().shape();
  shape.insert(shape.begin() + axis, Dim(1));
  n.result(n.reshape(x, std::move(shape)));
}

// Distances between the rows of a and of b: the differences are taken first, so that near rows lose no digits.
void import_cdist(NodeImport &n) {
  Value *a = n.input(0), *b = n.input(1);
  const std::string metric = n.text("metric");
  if (metric != "sqeuclidean" && metric != "euclidean")
    return void(n.unsupported("metric '" + escape_name(metric) + "'"));
  if (!n.ranked(a) || !n.ranked(b)) return;
  if (a->type().rank() != 2 || b->type().rank() != 2)
    return void(n.fail("inputs " + a->type().str() + " and " + b->type().str() + " are not of rank 2"));
  b = n.with_shape(b, "B", {b->type().dim(0), a->type().dim(1)});
  if (n.failed()) return;
  const Dim m = a->type().dim(0), k = b->type().dim(0), columns = a->type().dim(1);
  Value *difference = n.map(Fn::sub, {n.reshape(a, {m, 1, columns}), n.reshape(b, {1, k, columns})});
  Value *y = n.reduce("sum_square", difference, {2}, false);
  n.result(metric == "euclidean" ? n.map(Fn::sqrt, {y}) : y);
}

// Values in the order of their first occurrence, where each of x stands among them, how often each occurs.
void import_microsoft_unique(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  if (x->type().rank() != 1) return void(n.fail("the input " + x->type().str() + " is not of rank 1"));
  const std::vector<Value *> ys = n.make_many(Op::unique, {x}, {{"sorted", false}}, 4);
  n.result(0, ys[0]);
  n.result(1, ys[2]);
  n.result(2, ys[3]);
}

} // namespace cameo::frontend
