// Losses over log-probabilities [n, c, d...] and labels [n, d...].
#include "families.h"

#include <numeric>

namespace cameo::frontend {
namespace {

// loss = -x[n, label, d...] * weight[label], 0 where the label is ignored; the mean divides by the sum of the weights
// used.
Value *nll_loss(NodeImport &n, Value *x, Value *labels, Value *weight) {
  if (n.failed() || !n.ranked(x) || !n.ranked(labels)) return nullptr;
  const int rank = x->type().rank();
  if (rank < 2 || labels->type().rank() != rank - 1)
    return n.fail("labels " + labels->type().str() + " do not fit scores " + x->type().str());
  const DType dtype = x->type().dtype();
  Value *ignored = nullptr, *safe = labels;
  if (n.has("ignore_index")) {
    const DType index = labels->type().dtype();
    if (const int64_t v = n.integer("ignore_index", 0); index != DType::i32 || (v >= INT32_MIN && v <= INT32_MAX)) {
      ignored = n.map(Fn::equal, {labels, n.scalar_int(index, v)});
      safe = n.map(Fn::select, {ignored, n.scalar_int(index, 0), labels});
    }
  }
  Shape with_class = labels->type().shape();
  with_class.insert(with_class.begin() + 1, Dim(1));
  Value *picked = n.make(Op::gather_elements, {x, n.reshape(safe, with_class)}, {{"axis", int64_t{1}}});
  Value *loss = n.map(Fn::neg, {n.reshape(picked, labels->type().shape())});
  Value *weights = weight ? n.gather(weight, safe, 0) : nullptr;
  if (ignored) {
    Value *one = weights ? weights : n.scalar(dtype, 1);
    weights = n.map(Fn::select, {ignored, n.scalar(dtype, 0), one});
  }
  if (weights) loss = n.map(Fn::mul, {loss, weights});
  const std::string reduction = n.word("reduction", {"none", "sum", "mean"});
  if (reduction == "none" || n.failed()) return loss;
  std::vector<int64_t> axes(static_cast<size_t>(rank - 1));
  std::iota(axes.begin(), axes.end(), 0);
  if (reduction == "mean" && !weights) return n.reduce("mean", loss, axes, false);
  Value *sum = n.reduce("sum", loss, axes, false);
  return reduction == "sum" ? sum : n.map(Fn::div, {sum, n.reduce("sum", weights, axes, false)});
}

} // namespace

void import_nll_loss(NodeImport &n) { n.result(nll_loss(n, n.input(0), n.input(1), n.input(2))); }

void import_softmax_cross_entropy(NodeImport &n) {
  Value *scores = n.input(0);
  if (!n.ranked(scores)) return;
  if (scores->type().rank() < 2) return void(n.fail("scores " + scores->type().str() + " have no classes"));
  Value *log_prob =
      n.make(Op::softmax, {scores}, with_compute({{"axis", int64_t{1}}, {"log", true}}, scores->type().dtype()));
  n.result(0, nll_loss(n, log_prob, n.input(1), n.input(2)));
  if (n.wants(1)) n.result(1, log_prob);
}

} // namespace cameo::frontend
