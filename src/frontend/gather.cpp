// Picking and placing elements by index.
#include "families.h"

namespace cameo::frontend {

void import_gather(NodeImport &n) {
  if (!n.ranked(n.input(0))) return;
  n.result(n.gather(n.input(0), n.input(1), n.axis(n.integer("axis"), n.input(0)->type().rank())));
}

void import_gather_elements(NodeImport &n) {
  if (!n.ranked(n.input(0))) return;
  const int64_t axis = n.axis(n.integer("axis"), n.input(0)->type().rank());
  n.result(n.make(Op::gather_elements, {n.input(0), n.input(1)}, {{"axis", axis}}));
}

namespace {

// Index tuples of known length. Where only the run knows it, it follows from the ranks: x of rank r and indices of rank
// q pick slices of rank r - length, as many as there are tuples, so that what is picked has rank `slices` = q - 1 + r -
// length.
Value *index_tuples(NodeImport &n, Value *x, Value *indices, std::optional<int64_t> slices) {
  if (!n.ranked(x) || !n.ranked(indices) || indices->type().rank() < 1 || indices->type().dim(-1).is_constant())
    return indices;
  if (!slices) return n.unsupported("index tuples of unknown length");
  Shape shape = indices->type().shape();
  const int64_t length = int64_t(shape.size()) - 1 + x->type().rank() - *slices;
  if (length < 1 || length > x->type().rank())
    return n.fail("indices " + indices->type().str() + " of " + x->type().str() + " cannot give rank " +
                  std::to_string(*slices));
  shape.back() = length;
  return n.with_shape(indices, "indices", std::move(shape));
}

} // namespace

void import_gather_nd(NodeImport &n) {
  const int64_t batch = n.integer("batch_dims", 0);
  std::optional<int64_t> slices = n.declared_rank(0);
  if (slices) *slices += batch;
  Value *indices = index_tuples(n, n.input(0), n.input(1), slices);
  n.result(n.make(Op::gather_nd, {n.input(0), indices}, {{"batch_dims", batch}}));
}

namespace {
std::string reduction(NodeImport &n) {
  if (n.version() < 16) return "none";
  if (n.version() < 18) return n.word("reduction", {"none", "add", "mul"});
  return n.word("reduction", {"none", "add", "mul", "max", "min"});
}
} // namespace

void import_scatter_elements(NodeImport &n) {
  if (!n.ranked(n.input(0))) return;
  const int64_t axis = n.axis(n.integer("axis"), n.input(0)->type().rank());
  n.result(n.make(Op::scatter_elements, {n.input(0), n.input(1), n.input(2)},
                  {{"axis", axis}, {"reduction", n.op() == "Scatter" ? "none" : reduction(n)}}));
}

void import_scatter_nd(NodeImport &n) {
  if (!n.ranked(n.input(2))) return;
  Value *indices = index_tuples(n, n.input(0), n.input(1), n.input(2)->type().rank());
  n.result(n.make(Op::scatter_nd, {n.input(0), indices, n.input(2)}, {{"reduction", reduction(n)}}));
}

// cache[b, ..., (start[b] + i) mod length, ...] = update[b, ..., i, ...]
void import_tensor_scatter(NodeImport &n) {
  Value *cache = n.input(0), *update = n.input(1);
  if (!n.ranked(cache) || !n.ranked(update)) return;
  const int64_t rank = cache->type().rank(), axis = n.axis(n.integer("axis"), rank);
  if (n.failed()) return;
  if (axis == 0) return void(n.fail("axis 0 is the batch"));
  if (update->type().rank() != rank)
    return void(
        n.fail("the update has rank " + std::to_string(update->type().rank()) + ", the cache " + std::to_string(rank)));
  const bool circular = n.word("mode", {"linear", "circular"}) == "circular";
  const Shape &shape = update->type().shape();
  Shape row(size_t(rank), Dim(1));
  row[size_t(axis)] = shape[size_t(axis)];
  Value *index = n.make_typed(Op::iota, {}, {{"axis", axis}}, Type::tensor(DType::i64, row));
  if (n.has(2)) {
    Shape starts(size_t(rank), Dim(1));
    starts[0] = shape[0];
    index = n.map(Fn::add, {index, n.reshape(n.input(2), starts)});
  }
  if (circular) index = n.map(Fn::mod, {index, n.reshape(n.dims({cache->type().dim(int(axis))}), {})});
  n.result(n.make(Op::scatter_elements, {cache, n.broadcast(index, shape), update},
                  {{"axis", axis}, {"reduction", std::string("none")}}));
}

// The slices where the condition holds: gather at its nonzero positions.
void import_compress(NodeImport &n) {
  Value *x = n.input(0), *condition = n.input(1);
  if (!n.ranked(x) || !n.ranked(condition)) return;
  if (condition->type().rank() != 1)
    return void(n.fail("the condition has rank " + std::to_string(condition->type().rank()) + ", not 1"));
  int64_t axis = 0;
  if (n.has("axis"))
    axis = n.axis(n.integer("axis", 0), x->type().rank());
  else
    x = n.reshape(x, {x->type().elements()});
  Value *at = n.make(Op::nonzero, {condition});
  if (n.failed()) return;
  n.result(n.gather(x, n.reshape(at, {at->type().dim(1)}), axis));
}

// index(t, b) = t < length[b] ? length[b] - 1 - t : t
void import_reverse_sequence(NodeImport &n) {
  Value *x = n.input(0), *lengths = n.input(1);
  if (!n.ranked(x) || !n.ranked(lengths)) return;
  const int64_t rank = x->type().rank(), batch = n.integer("batch_axis"), time = n.integer("time_axis");
  if (rank < 2 || batch < 0 || batch > 1 || time < 0 || time > 1 || batch == time)
    return void(
        n.fail("batch_axis " + std::to_string(batch) + " and time_axis " + std::to_string(time) + " must be 0 and 1"));
  if (lengths->type().rank() != 1)
    return void(n.fail("sequence_lens has rank " + std::to_string(lengths->type().rank())));
  Shape per_batch(size_t(rank), Dim(1)), per_time(size_t(rank), Dim(1));
  per_batch[size_t(batch)] = lengths->type().dim(0);
  per_time[size_t(time)] = x->type().dim(int(time));
  Value *length = n.reshape(lengths, per_batch);
  Value *t = n.make_typed(Op::iota, {}, {{"axis", time}}, Type::tensor(DType::i64, per_time));
  Value *mirrored = n.map(Fn::sub, {n.map(Fn::sub, {length, n.scalar_int(DType::i64, 1)}), t});
  Value *index = n.map(Fn::select, {n.map(Fn::less, {t, length}), mirrored, t});
  n.result(n.make(Op::gather_elements, {x, n.broadcast(index, x->type().shape())}, {{"axis", time}}));
}

// Upper: column >= row + k stays; lower: column <= row + k.
void import_trilu(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  const int rank = x->type().rank();
  if (rank < 2) return void(n.fail("the input has rank " + std::to_string(rank) + ", not 2 or more"));
  const Shape matrix(x->type().shape().end() - 2, x->type().shape().end());
  auto iota = [&](int64_t axis) {
    return n.make_typed(Op::iota, {}, {{"axis", axis}}, Type::tensor(DType::i64, matrix));
  };
  Value *row = iota(0), *column = iota(1);
  if (n.has(1)) {
    Value *k = n.input(1);
    if (k->type().is_ranked() && k->type().rank() > 0) k = n.reshape(k, {});
    row = n.map(Fn::add, {row, k});
  }
  Value *keep =
      n.map(Fn::less_equal, n.flag("upper") ? std::vector<Value *>{row, column} : std::vector<Value *>{column, row});
  const DType dtype = x->type().dtype();
  Value *zero = is_float(dtype) ? n.scalar(dtype, 0) : n.scalar_int(dtype, 0);
  n.result(n.map(Fn::select, {keep, x, zero}));
}

} // namespace cameo::frontend
