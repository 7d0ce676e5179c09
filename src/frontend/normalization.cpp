// Normalizations.
#include "families.h"

#include <algorithm>
#include <numeric>

namespace cameo::frontend {
namespace {

std::vector<int64_t> axes_from(int64_t first, int64_t rank) {
  std::vector<int64_t> axes(size_t(std::max<int64_t>(rank - first, 0)));
  std::iota(axes.begin(), axes.end(), first);
  return axes;
}

// Axes other than the batch and the channels.
bool has_channels(NodeImport &n, Value *x, int least) {
  if (!n.ranked(x)) return false;
  if (x->type().rank() < least)
    n.fail("the input has rank " + std::to_string(x->type().rank()) + ", less than " + std::to_string(least));
  return !n.failed();
}

// [c] as [c, 1, ...], to lie along axis 1.
Value *along_channels(NodeImport &n, Value *v, int rank) {
  if (n.failed() || !n.ranked(v) || v->type().rank() != 1) return v;
  Shape shape(size_t(rank - 1), Dim(1));
  shape[0] = v->type().dim(0);
  return n.reshape(v, std::move(shape));
}

// Mean and variance over all axes but 1, as [c].
std::pair<Value *, Value *> batch_statistics(NodeImport &n, Value *x) {
  std::vector<int64_t> axes = axes_from(2, x->type().rank());
  axes.insert(axes.begin(), 0);
  Value *mean = n.reduce("mean", x, axes, false);
  Value *centred = n.map(Fn::sub, {x, along_channels(n, mean, x->type().rank())});
  Value *variance = n.reduce("mean", n.map(Fn::mul, {centred, centred}), axes, false);
  return {mean, variance};
}

} // namespace

// y = (x - mean) / sqrt(variance + epsilon) * scale + bias, per channel.
void import_batch_normalization(NodeImport &n) {
  Value *x = n.input(0), *scale = n.input(1), *bias = n.input(2), *mean = n.input(3), *variance = n.input(4);
  if (!has_channels(n, x, n.version() >= 9 ? 1 : 2)) return;
  const int rank = x->type().rank();
  if (n.version() < 9 && n.integer("spatial", 1) == 0)
    return void(n.unsupported("statistics per activation (spatial is 0)"));
  const bool training = n.version() >= 14 && n.flag("training_mode");
  if (!training && n.output_count() > 1) return void(n.unsupported("statistics as results while not training"));
  if (rank == 1) return void(n.unsupported("an input of rank 1"));
  const DType dtype = x->type().dtype();
  if (training) {
    auto [batch_mean, batch_variance] = batch_statistics(n, x);
    if (n.failed()) return;
    const double momentum = n.real("momentum");
    auto running = [&](Value *old, Value *now) {
      const DType t = old->type().dtype();
      return n.map(Fn::add, {n.map(Fn::mul, {old, n.scalar(t, momentum)}),
                             n.map(Fn::mul, {n.cast(now, t), n.scalar(t, 1 - double(float(momentum)))})});
    };
    n.result(1, n.wants(1) ? running(mean, batch_mean) : mean);
    n.result(2, n.wants(2) ? running(variance, batch_variance) : variance);
    mean = batch_mean, variance = batch_variance;
  }
  Attributes attributes = {
      {"kind", std::string("batch")}, {"axes", std::vector<int64_t>{}}, {"epsilon", n.real("epsilon")}};
  n.result(n.make(Op::normalize, {x, scale, bias, mean, variance}, with_compute(std::move(attributes), dtype)));
}

void import_instance_normalization(NodeImport &n) {
  Value *x = n.input(0);
  if (!has_channels(n, x, 3)) return;
  n.result(n.make(
      Op::normalize, {x, n.input(1), n.input(2)},
      with_compute(
          {{"kind", std::string("instance")}, {"axes", axes_from(2, x->type().rank())}, {"epsilon", n.real("epsilon")}},
          x->type().dtype())));
}

// Over the last axes from `axis`; statistics are computed in `stash_type`. In ONNX Runtime's version 1 parameters and
// result may have another type than x: they are applied afterwards, in their own.
void import_layer_normalization(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  const int64_t rank = x->type().rank(), axis = n.axis(n.integer("axis"), rank);
  const DType stash = n.dtype("stash_type", DType::f32);
  if (n.failed()) return;
  Attributes attributes = {
      {"kind", std::string("layer")}, {"axes", axes_from(axis, rank)}, {"epsilon", n.real("epsilon")}};
  if (stash != x->type().dtype()) attributes.emplace_back("compute", stash);
  const size_t results = n.output_count();
  const DType type = n.input(1)->type().dtype();
  const bool apart = type != x->type().dtype();
  std::vector<Value *> operands = {x};
  if (!apart) operands.insert(operands.end(), {n.input(1), n.input(2)});
  std::vector<Value *> ys = n.make_many(Op::normalize, std::move(operands), std::move(attributes), results);
  if (apart && !n.failed()) {
    ys[0] = n.map(Fn::mul, {n.cast(ys[0], type), n.input(1)});
    if (n.has(2)) ys[0] = n.map(Fn::add, {ys[0], n.input(2)});
  }
  for (size_t i = 0; i < results; ++i) n.result(i, ys[i]);
}

// SimplifiedLayerNormalization is the same, with 1 / sqrt(mean of squares + epsilon) as a second result.
void import_rms_normalization(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  const int64_t rank = x->type().rank(), axis = n.axis(n.integer("axis"), rank);
  const DType stash = n.dtype("stash_type", DType::f32);
  if (n.failed()) return;
  Attributes attributes = {
      {"kind", std::string("rms")}, {"axes", axes_from(axis, rank)}, {"epsilon", n.real("epsilon")}};
  if (stash != x->type().dtype()) attributes.emplace_back("compute", stash);
  const size_t results = n.wants(1) ? 3 : 1;
  // A scale of another type multiplies afterwards, in its own type.
  const DType type = n.input(1)->type().dtype();
  const bool apart = type != x->type().dtype();
  std::vector<Value *> operands = {x};
  if (!apart) operands.push_back(n.input(1));
  const std::vector<Value *> ys = n.make_many(Op::normalize, std::move(operands), std::move(attributes), results);
  if (n.failed()) return;
  n.result(apart ? n.map(Fn::mul, {n.cast(ys[0], type), n.input(1)}) : ys[0]);
  if (results == 3) n.result(1, ys[2]);
}

// Scale and bias per group in version 18, per channel since 21.
void import_group_normalization(NodeImport &n) {
  Value *x = n.input(0), *scale = n.input(1), *bias = n.input(2);
  if (!has_channels(n, x, 3)) return;
  const int64_t groups = n.integer("num_groups");
  if (groups < 1) return void(n.fail("num_groups is " + std::to_string(groups)));
  const Dim channels = x->type().dim(1);
  if (n.version() < 21) {
    if (channels.is_constant() && channels.value() % groups != 0)
      return void(n.fail(std::to_string(groups) + " groups do not divide " + channels.str() + " channels"));
    auto widen = [&](Value *v) {
      if (n.failed() || !n.ranked(v)) return v;
      if (v->type().rank() != 1 || (v->type().dim(0).is_constant() && !v->type().dim(0).is(groups)))
        return n.fail("scale and bias must be [" + std::to_string(groups) + "]");
      const Dim each = floordiv(channels, groups);
      return n.reshape(n.broadcast(n.reshape(v, {groups, 1}), {groups, each}), {channels});
    };
    scale = widen(scale);
    bias = widen(bias);
  }
  Attributes attributes = {{"kind", std::string("group")},
                           {"axes", axes_from(2, x->type().rank())},
                           {"groups", groups},
                           {"epsilon", n.real("epsilon")}};
  const DType stash = n.version() >= 21 ? n.dtype("stash_type", DType::f32) : DType::f32;
  if (stash != x->type().dtype() && wide_compute(x->type().dtype())) attributes.emplace_back("compute", stash);
  n.result(n.make(Op::normalize, {x, scale, bias}, std::move(attributes)));
}

void import_lp_normalization(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  const int64_t p = n.integer("p"), axis = n.axis(n.integer("axis"), x->type().rank());
  if (p != 1 && p != 2) n.fail("p is " + std::to_string(p) + ", not 1 or 2");
  n.result(n.make(Op::normalize, {x},
                  with_compute({{"kind", std::string(p == 1 ? "l1" : "l2")}, {"axes", std::vector<int64_t>{axis}}},
                               n.failed() ? DType::f32 : x->type().dtype())));
}

// (x - mean) / (sqrt(mean(x^2) - mean^2) + 1e-9)
void import_mean_variance_normalization(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  const std::vector<int64_t> axes = n.axes(n.ints("axes"), x->type().rank()); // the mean over n, h and w by default
  Value *mean = n.reduce("mean", x, axes, true);
  Value *square = n.reduce("mean", n.map(Fn::mul, {x, x}), axes, true);
  Value *deviation = n.map(Fn::sqrt, {n.map(Fn::sub, {square, n.map(Fn::mul, {mean, mean})})});
  if (n.failed()) return;
  Value *divisor = n.map(Fn::add, {deviation, n.scalar(x->type().dtype(), 1e-9)});
  n.result(n.map(Fn::div, {n.map(Fn::sub, {x, mean}), divisor}));
}

// Sum of x^2 over a window of channels, of which `low` come before. Few channels: a sum of slices, which are views in
// any layout of the padded tensor, so that it is one pass over memory. Many: a pool over the channels as rows.
Value *sum_of_squares(NodeImport &n, Value *x, int64_t size, int64_t low) {
  constexpr int64_t kFew = 15;
  const Shape &s = x->type().shape();
  if (size <= kFew) {
    std::vector<Dim> before(s.size(), 0), after(s.size(), 0);
    before[1] = low;
    after[1] = size - 1 - low;
    Value *padded = n.make(Op::pad, {x, n.scalar(x->type().dtype(), 0)},
                           {{"mode", std::string("constant")}, {"low", before}, {"high", after}});
    Value *sum = nullptr;
    for (int64_t i = 0; i < size; ++i) {
      Value *channels = n.slice(padded, 1, i, s[1]), *square = n.map(Fn::mul, {channels, channels});
      sum = sum ? n.map(Fn::add, {sum, square}) : square;
    }
    return sum;
  }
  Dim rest = 1;
  for (size_t i = 2; i < s.size(); ++i) rest *= s[i];
  Value *squares = n.reshape(n.map(Fn::mul, {x, x}), {s[0], 1, s[1], rest});
  Value *mean = n.make(Op::pool, {squares}, // the padded average is sum / size
                       with_compute({{"fn", std::string("average")},
                                     {"kernel", std::vector<int64_t>{size, 1}},
                                     {"strides", std::vector<int64_t>{1, 1}},
                                     {"dilations", std::vector<int64_t>{1, 1}},
                                     {"pads", std::vector<Dim>{low, 0, size - 1 - low, 0}},
                                     {"count_include_pad", true}},
                                    x->type().dtype()));
  return n.map(Fn::mul, {n.reshape(mean, s), n.scalar(x->type().dtype(), double(size))});
}

// x / (bias + alpha / size * sum of x^2 over a window of channels) ^ beta
void import_lrn(NodeImport &n) {
  Value *x = n.input(0);
  if (!has_channels(n, x, 2)) return;
  const int64_t size = n.integer("size");
  if (size < 1 || size > 1 << 20) return void(n.fail("size is " + std::to_string(size)));
  Value *sum = sum_of_squares(n, x, size, (size - 1) / 2);
  if (n.failed()) return;
  const DType dtype = x->type().dtype();
  Value *base = n.map(Fn::add, {n.map(Fn::mul, {sum, n.scalar(dtype, n.real("alpha") / double(size))}),
                                n.scalar(dtype, n.real("bias"))});
  n.result(n.map(Fn::div, {x, n.map(Fn::pow, {base, n.scalar(dtype, n.real("beta"))})}));
}

} // namespace cameo::frontend
