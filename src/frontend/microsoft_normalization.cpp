// Normalisations of com.microsoft, with the sums before them.
#include "microsoft.h"
#include "parts.h"

#include <algorithm>

namespace cameo::frontend {
namespace {

// Over the last axis, with parameters along it: y, mean, 1 / deviation.
std::vector<Value *> normalized_rows(NodeImport &n, Value *x, Value *scale, Value *bias, bool centred, size_t results) {
  if (!n.ranked(x)) return std::vector<Value *>(results, nullptr);
  const int64_t axis = n.axis(-1, x->type().rank());
  for (Value *v : {scale, bias})
    if (v && n.ranked(v) && v->type().rank() != 1)
      n.fail("scale or bias " + v->type().str() + " is not along one axis");
  Attributes attributes = {{"kind", std::string(centred ? "layer" : "rms")},
                           {"axes", std::vector<int64_t>{axis}},
                           {"epsilon", n.real("epsilon")}};
  return n.make_many(Op::normalize, {x, scale, bias}, with_compute(std::move(attributes), x->type().dtype()), results);
}

} // namespace

// SkipLayerNormalization: input, skip, gamma, beta, bias; SkipSimplifiedLayerNormalization: input, skip, gamma, bias.
// s = input + skip + bias is normalised, and is a result of its own.
void import_skip_normalization(NodeImport &n) {
  const bool centred = n.op() == "SkipLayerNormalization";
  Value *x = n.input(0), *skip = n.input(1), *bias = n.input(centred ? 4 : 3);
  if (!n.ranked(x) || !n.ranked(skip)) return;
  if (x->type().rank() < 2 || x->type().rank() > 3)
    return void(n.fail("the input has rank " + std::to_string(x->type().rank()) + ", not 2 or 3"));
  if (n.wants(1) && !centred) return void(n.unsupported("a mean as result, which this normalisation has not"));
  Value *sum = n.map(Fn::add, {x, skip});
  if (bias) sum = n.map(Fn::add, {sum, bias});
  sum = n.with_shape(sum, "the sum of input, skip and bias", x->type().shape());
  const size_t results = n.wants(2) ? 3 : n.wants(1) ? 2 : 1;
  const std::vector<Value *> ys = normalized_rows(n, sum, n.input(2), centred ? n.input(3) : nullptr, centred, results);
  if (n.failed()) return;
  for (size_t i = 0; i < results; ++i)
    if (n.wants(i)) n.result(i, ys[i]);
  if (n.wants(3)) n.result(3, sum);
}

// input_ids, segment_ids, word, position, segment embeddings, gamma, beta, mask, position_ids: the sum of the rows of
// the embeddings, normalised; the number of ones in each row of the mask; the sum.
void import_embed_normalization(NodeImport &n) {
  Value *ids = n.input(0), *segment_ids = n.input(1), *position_ids = n.input(8), *mask = n.input(7);
  if (!n.ranked(ids)) return;
  for (size_t i : {size_t{2}, size_t{3}, size_t{4}})
    if (n.has(i) && (!n.ranked(n.input(i)) || n.input(i)->type().rank() != 2))
      return void(n.fail("an embedding is " + n.input(i)->type().str() + ", not of rank 2"));
  if (ids->type().rank() != 2) return void(n.fail("input_ids " + ids->type().str() + " is not of rank 2"));
  if ((segment_ids != nullptr) != n.has(4)) return void(n.fail("segment_ids and segment_embedding must come together"));
  const Dim batch = ids->type().dim(0), length = ids->type().dim(1);
  Value *sum = n.gather(n.input(2), ids, 0), *positions = n.input(3);
  if (position_ids) {
    if (!n.ranked(position_ids) || position_ids->type().rank() != 2)
      return void(n.fail("position_ids must be of rank 2"));
    positions = n.gather(positions, position_ids, 0);
  } else {
    Value *at = n.make_typed(Op::iota, {}, {{"axis", int64_t{0}}}, Type::tensor(DType::i64, {length}));
    positions = n.gather(positions, at, 0);
  }
  sum = n.map(Fn::add, {sum, positions});
  if (segment_ids) sum = n.map(Fn::add, {sum, n.gather(n.input(4), segment_ids, 0)});
  const std::vector<Value *> ys = normalized_rows(n, sum, n.input(5), n.input(6), true, 1);
  if (n.failed()) return;
  if (sum->type().rank() != 3) return void(n.fail("the embeddings of " + ids->type().str() + " have another rank"));
  n.result(0, ys[0]);
  if (n.wants(1)) {
    Value *count = n.scalar_int(DType::i32, 0);
    if (mask) {
      if (!n.ranked(mask) || mask->type().rank() != 2) return void(n.fail("the mask must be of rank 2"));
      count = n.reduce("sum", n.cast(n.map(Fn::equal, {mask, n.scalar_int(DType::i32, 1)}), DType::i32), {1}, false);
    } else {
      count = n.broadcast(count, {batch});
    }
    n.result(1, count);
  }
  if (n.wants(2)) n.result(2, sum);
}

// GroupNorm: x, gamma, beta; SkipGroupNorm: x, gamma, beta, skip, bias, of which the sum is a result as well.
void import_microsoft_group_norm(NodeImport &n) {
  const bool last = n.integer("channels_last") != 0;
  const int64_t groups = n.integer("groups", 0), activation = n.integer("activation", 0);
  if (groups < 1) return void(n.fail("groups is " + std::to_string(groups)));
  if (activation != 0 && activation != 1) return void(n.fail("activation is " + std::to_string(activation)));
  Value *x = n.input(0), *skip = n.input(3), *bias = n.input(4);
  if (!n.ranked(x)) return;
  const DType dtype = x->type().dtype();
  if (x->type().rank() != 4) return void(n.fail("the input " + x->type().str() + " is not of rank 4"));
  if (skip || bias) {
    if (!last) return void(n.unsupported("a residual where the channels are not last"));
    if (skip && n.ranked(skip) && skip->type().rank() == 2)
      skip = n.reshape(skip, {skip->type().dim(0), 1, 1, skip->type().dim(1)});
    for (Value *v : {skip, bias})
      if (v) x = n.map(Fn::add, {x, v});
    x = n.with_shape(x, "the sum of input, skip and bias", n.input(0)->type().shape());
    if (n.failed()) return;
  }
  if (n.wants(1)) n.result(1, x);
  Value *y = last ? channels_first(n, x) : x;
  if (n.failed()) return;
  // Parameters of another type than x: all of it in f32.
  const bool wide = n.input(1)->type().dtype() != dtype;
  auto real = [&](Value *v) { return wide ? n.cast(v, DType::f32) : v; };
  y = n.make(Op::normalize, {real(y), real(n.input(1)), real(n.input(2))},
             with_compute({{"kind", std::string("group")},
                           {"axes", std::vector<int64_t>{2, 3}},
                           {"groups", groups},
                           {"epsilon", n.real("epsilon")}},
                          wide ? DType::f32 : dtype));
  if (activation == 1) y = n.map(Fn::swish, {y}, 1.0);
  if (n.failed()) return;
  y = n.cast(y, dtype);
  n.result(0, last ? channels_last(n, y) : y);
}

} // namespace cameo::frontend
