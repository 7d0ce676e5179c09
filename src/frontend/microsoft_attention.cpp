// Attention of com.microsoft: projections, masks in several forms, past keys and values, on the one attention of the
// graph. A mask there is a number that is added to the scores (mask_filter_value, -10000 unless it is said), so a query
// all of whose keys are masked still has a distribution over them: masks are added here, never turned into conditions.
#include "microsoft.h"
#include "parts.h"

#include <cmath>

namespace cameo::frontend {
namespace {

struct Heads {
  Value *q = nullptr, *k = nullptr, *v = nullptr; ///< [b, h, s, e], [b, h, t, e], [b, h, t, u]
  Value *past_k = nullptr, *past_v = nullptr;     ///< [b, h, p, e], [b, h, p, u]
};

Dim keys_of(const Heads &h) {
  const Dim own = h.k->type().dim(2);
  return h.past_k ? h.past_k->type().dim(2) + own : own;
}

// 0 where the condition holds, mask_filter_value elsewhere.
Value *filtered(NodeImport &n, Value *condition, DType dtype) {
  const double filter = n.real("mask_filter_value", -10000.0);
  if (!std::isfinite(filter)) return n.fail("mask_filter_value is not a number");
  return n.map(Fn::select, {condition, n.scalar(dtype, 0), n.scalar(dtype, filter)});
}

// The mask as numbers that spread over [b, h, s, t].
Value *added_mask(NodeImport &n, Value *mask, const Dim &batch, const Dim &queries, const Dim &keys, DType dtype) {
  if (!mask || !n.ranked(mask)) return nullptr;
  Value *none = n.scalar_int(DType::i32, 0);
  const int rank = mask->type().rank();
  if (rank == 2) {
    mask = n.with_shape(mask, "the mask", {batch, keys});
    if (!mask) return nullptr;
    return filtered(n, n.map(Fn::less, {none, n.reshape(mask, {batch, 1, 1, keys})}), dtype);
  }
  if (rank == 3) {
    mask = n.with_shape(mask, "the mask", {batch, queries, keys});
    if (!mask) return nullptr;
    return filtered(n, n.map(Fn::less, {none, n.reshape(mask, {batch, 1, queries, keys})}), dtype);
  }
  if (rank != 1) return n.unsupported("a mask of rank " + std::to_string(rank));
  // Exclusive ends, and inclusive starts behind them.
  const Dim count = mask->type().dim(0);
  const bool starts = count == batch * 2;
  if (!starts && count != batch) {
    if (count.is_constant() && batch.is_constant())
      return n.unsupported("a mask of " + count.str() + " numbers for " + batch.str() + " sequences");
    mask = n.with_shape(mask, "the mask", {batch});
    if (!mask) return nullptr;
  }
  Value *key = n.cast(positions(n, keys, 4, 3), DType::i32);
  Value *inside = n.map(Fn::less, {key, n.reshape(n.slice(mask, 0, 0, batch), {batch, 1, 1, 1})});
  if (starts) {
    Value *start = n.reshape(n.slice(mask, 0, batch, batch), {batch, 1, 1, 1});
    inside = n.map(Fn::logical_and, {inside, n.map(Fn::less_equal, {start, key})});
  }
  return filtered(n, inside, dtype);
}

// y [b, s, h * u] as output 0, then present keys and values.
std::vector<Value *> attend(NodeImport &n, const Heads &h, Value *mask, Value *bias, bool causal, size_t results,
                            double softcap = 0) {
  std::vector<Value *> nothing(results, nullptr);
  if (n.failed()) return nothing;
  const DType dtype = h.q->type().dtype();
  if (bias) mask = mask ? n.map(Fn::add, {mask, bias}) : bias;
  double scale = n.real("scale", 0.0);
  Value *q = h.q;
  if (!std::isfinite(scale)) n.fail("scale is not a number");
  if (const Dim size = q->type().dim(3); scale == 0 && size.is_constant()) {
    scale = size.is(0) ? 1 : 1 / std::sqrt(double(size.value()));
  } else if (scale == 0) {
    const DType compute = wide_compute(dtype).value_or(dtype);
    q = n.cast(n.map(Fn::mul, {n.cast(q, compute), inverse_root(n, size, compute)}), dtype);
    scale = 1;
  }
  if (n.failed()) return nothing;
  Attributes attributes = {{"scale", scale}, {"causal", causal}};
  if (softcap != 0) attributes.emplace_back("softcap", softcap);
  std::vector<Value *> ys = n.make_many(Op::attention, {q, h.k, h.v, mask, h.past_k, h.past_v},
                                        with_compute(std::move(attributes), dtype), results);
  if (n.failed()) return nothing;
  ys[0] = join_heads(n, ys[0]);
  return ys;
}

// What no kernel here shares: buffers that grow in place, beams.
bool plain(NodeImport &n) {
  for (const char *name : {"do_rotary", "past_present_share_buffer"})
    if (n.integer(name, 0) != 0) n.unsupported(std::string(name) + " is not 0");
  if (n.integer("num_heads", 0) < 1) n.fail("num_heads is " + std::to_string(n.integer("num_heads", 0)));
  return !n.failed();
}

// Attention and QAttention behind their projection qkv [b, s, columns of q, k and v].
void attend_projected(NodeImport &n, Value *qkv, std::vector<int64_t> sizes, Value *mask, Value *past, Value *bias) {
  if (!plain(n) || !n.ranked(qkv)) return;
  const int64_t heads = n.integer("num_heads", 0);
  const Dim columns = qkv->type().dim(-1);
  if (!columns.is_constant()) return void(n.unsupported("weights whose columns are not known"));
  if (sizes.empty() && columns.value() % 3 == 0) sizes.assign(3, columns.value() / 3);
  if (sizes.size() != 3) return void(n.fail(columns.str() + " columns are not those of q, k and v"));
  int64_t sum = 0;
  for (int64_t s : sizes)
    if (s < 1 || s % heads != 0 || __builtin_add_overflow(sum, s, &sum))
      return void(n.fail(std::to_string(heads) + " heads do not divide " + std::to_string(s) + " columns"));
  if (sum != columns.value() || sizes[0] != sizes[1])
    return void(n.fail("columns " + std::to_string(sizes[0]) + ", " + std::to_string(sizes[1]) + " and " +
                       std::to_string(sizes[2]) + " of q, k and v in weights of " + columns.str()));
  auto part = [&](int64_t start, int64_t size, const char *what) {
    return split_heads(n, n.slice(qkv, 2, start, size), heads, what);
  };
  Heads h{part(0, sizes[0], "q"), part(sizes[0], sizes[1], "k"), part(sizes[0] + sizes[1], sizes[2], "v"), nullptr,
          nullptr};
  if (n.failed()) return;
  const Dim batch = qkv->type().dim(0), queries = qkv->type().dim(1);
  if (past) {
    if (!n.ranked(past)) return;
    if (sizes[0] != sizes[2]) return void(n.fail("a past where keys and values differ in size"));
    if (past->type().rank() != 5 || (past->type().dim(0).is_constant() && !past->type().dim(0).is(2)))
      return void(n.fail("the past " + past->type().str() + " is not [2, batch, heads, sequence, size]"));
    const Shape own = {batch, heads, past->type().dim(3), sizes[0] / heads};
    auto half = [&](int64_t at) {
      const Shape &p = past->type().shape();
      Value *x = n.slice(past, 0, at, 1);
      return x ? n.with_shape(n.reshape(x, {p[1], p[2], p[3], p[4]}), "the past", own) : nullptr;
    };
    h.past_k = half(0), h.past_v = half(1);
    if (n.failed()) return;
  }
  const Dim keys = keys_of(h);
  mask = added_mask(n, mask, batch, queries, keys, h.q->type().dtype());
  const std::vector<Value *> ys = attend(n, h, mask, bias, n.flag("unidirectional"), n.wants(1) ? 3 : 1);
  if (n.failed()) return;
  n.result(0, ys[0]);
  if (!n.wants(1)) return;
  if (sizes[0] != sizes[2]) return void(n.fail("a present where keys and values differ in size"));
  auto one = [&](Value *x) {
    Shape shape = x->type().shape();
    shape.insert(shape.begin(), 1);
    return n.reshape(x, std::move(shape));
  };
  n.result(1, n.concat({one(ys[1]), one(ys[2])}, 0));
}

} // namespace

// input, weights, bias, mask_index, past, attention_bias, past_sequence_length
void import_microsoft_attention(NodeImport &n) {
  Value *x = n.input(0), *w = n.input(1), *bias = n.input(2);
  if (!n.ranked(x) || !n.ranked(w)) return;
  if (x->type().rank() != 3 || w->type().rank() != 2)
    return void(n.fail("input " + x->type().str() + " and weights " + w->type().str() + " are not of rank 3 and 2"));
  if (n.has(6)) return void(n.unsupported("a past_sequence_length"));
  if (const Dim a = x->type().dim(2), b = w->type().dim(0); a.is_constant() && b.is_constant() && a != b)
    return void(n.fail("input " + x->type().str() + " and weights " + w->type().str() + " do not fit"));
  Value *qkv =
      n.make(Op::contract, {x, w}, with_compute({{"equation", std::string("bsi,ig->bsg")}}, x->type().dtype()));
  if (bias && !n.failed()) qkv = n.map(Fn::add, {qkv, n.with_shape(bias, "the bias", {qkv->type().dim(-1)})});
  attend_projected(n, qkv, n.ints("qkv_hidden_sizes"), n.input(3), n.input(4), n.input(5));
}

// input, weight, bias, input_scale, weight_scale, mask_index, input_zero, weight_zero, past
void import_qattention(NodeImport &n) {
  Value *x = n.input(0), *w = n.input(1);
  if (!n.ranked(x) || !n.ranked(w)) return;
  if (x->type().rank() != 3 || w->type().rank() != 2)
    return void(n.fail("input " + x->type().str() + " and weight " + w->type().str() + " are not of rank 3 and 2"));
  Value *qkv = scaled_product(n, x, w, one_number(n, n.input(6), "input_zero_point"), per_tensor(n, n.input(7)),
                              one_number(n, n.input(3), "input_scale"), per_tensor(n, n.input(4)), n.input(2));
  if (n.failed()) return;
  attend_projected(n, n.cast(qkv, n.input(2)->type().dtype()), {}, n.input(5), n.input(8), nullptr);
}

namespace {

// Part `at` of x [b, s, heads, parts, size], as [b, s, heads * size].
Value *unpacked_part(NodeImport &n, Value *x, int64_t heads, int64_t parts, int64_t at) {
  if (n.failed()) return nullptr;
  const Shape s = x->type().shape();
  if ((s[2].is_constant() && !s[2].is(heads)) || !s[3].is(parts))
    return n.fail("packed heads " + x->type().str() + " are not [batch, sequence, " + std::to_string(heads) + ", " +
                  std::to_string(parts) + ", size]");
  return n.reshape(n.slice(x, 3, at, 1), {s[0], s[1], s[2] * s[4]});
}

struct Operands {
  size_t bias, mask, scores_bias, past;
};

// query, key and value, packed or not, keys and values perhaps with heads already: what MultiHeadAttention and
// DecoderMaskedMultiHeadAttention share.
void attend_multi_head(NodeImport &n, const Operands &at) {
  if (!plain(n)) return;
  const int64_t heads = n.integer("num_heads", 0);
  Value *q = n.input(0), *k = n.input(1), *v = n.input(2), *bias = n.input(at.bias);
  for (Value *x : {q, k, v, bias})
    if (x && !n.ranked(x)) return;
  if (n.wants(3)) return void(n.unsupported("the scores as a result"));
  if (q->type().rank() == 5) {
    if (k || v) return void(n.fail("keys or values beside a packed query"));
    Value *all = q;
    q = unpacked_part(n, all, heads, 3, 0);
    k = unpacked_part(n, all, heads, 3, 1);
    v = unpacked_part(n, all, heads, 3, 2);
  } else if (k && !v && k->type().rank() == 5) {
    Value *both = k;
    k = unpacked_part(n, both, heads, 2, 0);
    v = unpacked_part(n, both, heads, 2, 1);
  }
  if (n.failed()) return;
  if (!k || !v) return void(n.unsupported("a query alone"));
  if (q->type().rank() != 3) return void(n.fail("the query " + q->type().str() + " is not of rank 3"));
  if (k->type().rank() != v->type().rank())
    return void(n.fail("keys " + k->type().str() + " and values " + v->type().str() + " differ in rank"));
  if (k->type().rank() != 3 && k->type().rank() != 4)
    return void(n.fail("keys " + k->type().str() + " are not of rank 3 or 4"));
  const bool ready = k->type().rank() == 4; // keys and values of another sequence, with heads and without a bias
  if (bias) {
    const Dim q_columns = q->type().dim(2);
    const Dim v_columns = ready ? v->type().dim(1) * v->type().dim(3) : v->type().dim(2);
    bias = n.with_shape(bias, "the bias", {q_columns * 2 + v_columns});
    auto add = [&](Value *x, const Dim &start, const Dim &size) {
      return n.failed() ? nullptr : n.map(Fn::add, {x, n.slice(bias, 0, start, size)});
    };
    q = add(q, 0, q_columns);
    if (!ready) {
      k = add(k, q_columns, q_columns);
      v = add(v, q_columns * 2, v_columns);
    }
  }
  Heads h{split_heads(n, q, heads, "the query"), split_heads(n, k, heads, "the key"),
          split_heads(n, v, heads, "the value"), n.input(at.past), n.input(at.past + 1)};
  if ((h.past_k == nullptr) != (h.past_v == nullptr)) return void(n.fail("past keys and values must come together"));
  if (n.failed()) return;
  for (Value *x : {h.past_k, h.past_v})
    if (x && (!n.ranked(x) || x->type().rank() != 4)) return void(n.fail("the past must have rank 4"));
  if (h.past_k && ready) return void(n.fail("a past beside keys that have heads already"));
  const Dim batch = h.q->type().dim(0), queries = h.q->type().dim(2), keys = keys_of(h);
  for (Value **x : {&h.k, &h.v})
    *x = n.with_shape(*x, "keys or values", {batch, heads, (*x)->type().dim(2), (*x)->type().dim(3)});
  Value *mask = added_mask(n, n.input(at.mask), batch, queries, keys, h.q->type().dtype());
  const bool present = n.wants(1) || n.wants(2);
  const std::vector<Value *> ys =
      attend(n, h, mask, n.input(at.scores_bias), n.integer("unidirectional", 0) != 0, present ? 3 : 1);
  for (size_t i = 0; i < ys.size() && !n.failed(); ++i)
    if (n.wants(i)) n.result(i, ys[i]);
}

} // namespace

// query, key, value, bias, key_padding_mask, attention_bias, past_key, past_value, past_sequence_length, indirection
void import_multi_head_attention(NodeImport &n) {
  if (n.has(8) || n.has(9)) return void(n.unsupported("a past in a shared buffer"));
  attend_multi_head(n, {3, 4, 5, 6});
}

// query, key, value, mask_index, attention_bias, past_key, past_value, past_sequence_length, beams, indirection, bias
void import_decoder_masked_attention(NodeImport &n) {
  if (n.has(7) || n.has(8) || n.has(9)) return void(n.unsupported("a past in a shared buffer, or beams"));
  if (n.integer("output_qk", 0) != 0) return void(n.unsupported("the scores as a result"));
  attend_multi_head(n, {10, 3, 4, 5});
}

namespace {

// Rows of a cache [positions, half] for positions [b or 1, s], as [b or 1, s, 1, half].
Value *angles(NodeImport &n, Value *cache, Value *at) {
  if (n.failed() || !n.ranked(cache) || !n.ranked(at)) return nullptr;
  if (cache->type().rank() != 2) return n.fail("a cache " + cache->type().str() + " of angles is not of rank 2");
  Value *rows = n.gather(cache, at, 0);
  if (n.failed()) return nullptr;
  const Shape s = rows->type().shape();
  return n.reshape(rows, {s[0], s[1], 1, s[2]});
}

} // namespace

// input, position_ids, cos_cache, sin_cache
void import_microsoft_rotary(NodeImport &n) {
  Value *x = n.input(0), *at = n.input(1), *cache = n.input(2);
  if (!n.ranked(x) || !n.ranked(at) || !n.ranked(cache)) return;
  if (n.real("scale", 1.0) != 1) return void(n.unsupported("a scale"));
  if (n.integer("is_packed_batching", 0) != 0) return void(n.unsupported("a packed batch"));
  const int rank = x->type().rank();
  if (rank != 3 && rank != 4) return void(n.fail("the input has rank " + std::to_string(rank) + ", not 3 or 4"));
  const int64_t heads = n.integer("num_heads", 0), turned = n.integer("rotary_embedding_dim", 0);
  if (heads < 0 || turned < 0 || (turned > 0 && heads == 0))
    return void(
        n.fail("num_heads is " + std::to_string(heads) + " with rotary_embedding_dim " + std::to_string(turned)));
  if (cache->type().rank() != 2 || !cache->type().dim(1).is_constant())
    return void(n.unsupported("a cache of angles of unknown width"));
  const Dim size = turned > 0 ? Dim(turned) : cache->type().dim(1) * 2;
  if (cache->type().dim(1) * 2 != size)
    return void(n.fail("a cache " + cache->type().str() + " for " + size.str() + " rotated elements"));
  Value *rows = x; // [b, s, h, e]
  if (rank == 3) {
    const Shape &s = x->type().shape();
    const Dim each = turned > 0 ? floordiv(s[2], heads) : size;
    if (turned > 0 && s[2].is_constant() && s[2].value() % heads != 0)
      return void(n.fail(std::to_string(heads) + " heads do not divide " + s[2].str() + " columns"));
    if (s[2].is_constant() && each.is_constant() && (each.is(0) || s[2].value() % each.value() != 0))
      return void(n.fail("heads of " + each.str() + " do not divide " + s[2].str() + " columns"));
    rows = n.reshape(x, {s[0], s[1], floordiv(s[2], each), each});
  } else {
    rows = n.transpose(x, {0, 2, 1, 3});
  }
  if (n.failed()) return;
  const Dim batch = rows->type().dim(0), length = rows->type().dim(1);
  if (at->type().rank() == 2) {
    at = n.with_shape(at, "position_ids", {batch, length});
  } else { // the first of positions that follow each other
    at = n.map(Fn::add, {n.reshape(one_number(n, at, "position_ids"), {1, 1}), positions(n, length, 2, 1)});
  }
  Value *y = rotate(n, rows, angles(n, cache, at), angles(n, n.input(3), at), size, n.integer("interleaved", 0) != 0);
  n.result(rank == 3 ? n.reshape(y, x->type().shape()) : n.transpose(y, {0, 2, 1, 3}));
}

namespace {

// Whether all elements of a condition hold, as a scalar.
Value *all_of(NodeImport &n, Value *condition) {
  if (n.failed()) return nullptr;
  std::vector<int64_t> axes;
  for (int64_t i = 0; i < condition->type().rank(); ++i) axes.push_back(i);
  return n.cast(n.reduce("min", n.cast(condition, DType::u8), std::move(axes), false), DType::boolean);
}

void check(NodeImport &n, Value *condition, const char *message) {
  if (n.failed()) return;
  if (const auto known = n.ints_of(condition); known && known->size() == 1) {
    if ((*known)[0] == 0) n.fail(message);
    return;
  }
  n.create(Op::check, {condition}, {{"message", std::string(message)}}, {});
}

// A cache of keys and values that grows: sequence b has `past` valid rows of the p that past_key has room for, then the
// new ones. The rows are joined as they lie, past ones first; a mask leaves out those that are not valid.
struct Cache {
  Dim batch, groups, size, room, fresh;     ///< room: rows of past_key; fresh: new rows
  Value *past = nullptr, *length = nullptr; ///< i64[b, 1, 1, 1]: valid rows of the past; all valid rows
};

Value *whole(NodeImport &n, const Dim &d) { return n.failed() ? nullptr : n.reshape(n.dims({d}), {}); }

// Where each row lies in the present, i64[b or 1, 1, 1, room + fresh], and whether it is valid.
std::pair<Value *, Value *> row_positions(NodeImport &n, const Cache &c) {
  Value *row = positions(n, c.room + c.fresh, 4, 3);
  if (c.room.is(0)) return {row, n.map(Fn::less, {row, c.length})};
  Value *old = n.map(Fn::less, {row, whole(n, c.room)});
  Value *moved = n.map(Fn::add, {n.map(Fn::sub, {row, whole(n, c.room)}), c.past});
  Value *at = n.map(Fn::select, {old, row, moved});
  Value *limit = n.map(Fn::select, {old, c.past, c.length});
  return {at, n.map(Fn::less, {at, limit})};
}

// The joined rows [b, g, room + fresh, e] with the valid ones at the front, and 0 behind them.
Value *compacted(NodeImport &n, const Cache &c, Value *joined, Value *full) {
  if (c.room.is(0) || n.failed()) return joined;
  return n.choose(
      full, joined->type(), [&] { return joined; },
      [&]() -> Value * {
        const Dim rows = c.room + c.fresh;
        Value *row = positions(n, rows, 4, 2), *room = whole(n, c.room);
        Value *source = n.map(
            Fn::select, {n.map(Fn::less, {row, c.past}), row, n.map(Fn::sub, {n.map(Fn::add, {row, room}), c.past})});
        source = n.map(Fn::min, {source, whole(n, rows - 1)});
        if (n.failed()) return nullptr;
        source = n.broadcast(source, joined->type().shape());
        Value *moved = n.make(Op::gather_elements, {joined, source}, {{"axis", int64_t{2}}});
        Value *valid = n.map(Fn::less, {row, n.map(Fn::add, {c.past, whole(n, c.fresh)})});
        return n.map(Fn::select, {valid, moved, n.scalar(joined->type().dtype(), 0)});
      });
}

// One more key of zeros, whose score is `sink` of each head: it takes part in the sum that scores are divided by, and
// its value is 0.
void add_sink(NodeImport &n, Heads &h, Value *&mask, Value *sink) {
  if (n.failed()) return;
  const DType dtype = h.q->type().dtype();
  const Dim batch = h.q->type().dim(0), heads = h.q->type().dim(1), queries = h.q->type().dim(2);
  auto longer = [&](Value *x) {
    const Shape &s = x->type().shape();
    return n.concat({x, n.broadcast(n.scalar(dtype, 0), {s[0], s[1], 1, s[3]})}, 2);
  };
  const Dim keys = h.k->type().dim(2);
  h.k = longer(h.k), h.v = longer(h.v);
  sink = sink ? n.reshape(n.with_shape(sink, "head_sink", {heads}), {1, heads, 1, 1}) : n.scalar(dtype, 0);
  if (n.failed()) return;
  mask = n.concat({n.broadcast(mask, {batch, heads, queries, keys}), n.broadcast(sink, {batch, heads, queries, 1})}, 3);
}

} // namespace

// query, key, value, past_key, past_value, seqlens_k, total_sequence_length, cos_cache, sin_cache, position_ids,
// attention_bias, head_sink, k_scale, v_scale, q_norm_weight, k_norm_weight
void import_group_query_attention(NodeImport &n) {
  const int64_t heads = n.integer("num_heads", 0), groups = n.integer("kv_num_heads", 0);
  const int64_t window = n.integer("local_window_size");
  if (heads < 1 || groups < 1 || heads % groups != 0)
    return void(n.fail(std::to_string(groups) + " key heads do not divide " + std::to_string(heads) + " query heads"));
  const bool causal = n.integer("causal") != 0;
  if (window < -1 || window == 0 || (window > 0 && !causal))
    return void(n.fail("local_window_size is " + std::to_string(window)));
  if (n.text("k_quant_type") != "NONE" || n.text("v_quant_type") != "NONE" || n.has(12) || n.has(13))
    return void(n.unsupported("a quantised cache"));
  if (n.integer("sliding_window_cache") != 0) return void(n.unsupported("a cache of the window's size"));
  if (n.integer("qk_output") != 0 || n.wants(3)) return void(n.unsupported("the scores as a result"));
  if (n.has(14) || n.has(15)) return void(n.unsupported("normalised queries and keys"));
  const double softcap = n.real("softcap", 0.0);
  if (!(softcap >= 0) || std::isinf(softcap)) return void(n.fail("softcap is " + std::to_string(softcap)));
  if (n.has(3) != n.has(4)) return void(n.fail("past keys and values must come together"));
  Value *q = n.input(0), *k = n.input(1), *v = n.input(2);
  if (!n.ranked(q)) return;
  if (q->type().rank() != 3) return void(n.fail("the query " + q->type().str() + " is not of rank 3"));
  if ((k == nullptr) != (v == nullptr)) return void(n.fail("keys and values must come together"));
  if (!k) { // packed: queries, keys and values one behind the other
    const Dim columns = q->type().dim(2);
    if (!columns.is_constant()) return void(n.unsupported("packed heads of unknown size"));
    if (columns.value() % (heads + 2 * groups) != 0)
      return void(n.fail(std::to_string(heads) + " and twice " + std::to_string(groups) + " heads do not divide " +
                         columns.str() + " columns"));
    const int64_t size = columns.value() / (heads + 2 * groups);
    Value *all = q;
    q = n.slice(all, 2, 0, heads * size);
    k = n.slice(all, 2, heads * size, groups * size);
    v = n.slice(all, 2, (heads + groups) * size, groups * size);
  }
  Heads h{split_heads(n, q, heads, "the query"), split_heads(n, k, groups, "the key"),
          split_heads(n, v, groups, "the value"), nullptr, nullptr};
  if (n.failed()) return;
  const DType dtype = h.q->type().dtype();
  Cache c;
  c.batch = h.q->type().dim(0), c.groups = groups, c.size = h.q->type().dim(3), c.fresh = h.q->type().dim(2);
  h.k = n.with_shape(h.k, "the key", {c.batch, groups, c.fresh, c.size});
  h.v = n.with_shape(h.v, "the value", {c.batch, groups, c.fresh, c.size});
  c.room = 0;
  Value *pasts[] = {n.input(3), n.input(4)};
  for (Value *&past : pasts) {
    if (!past || !n.ranked(past)) continue;
    if (past->type().rank() != 4) return void(n.fail("the past must have rank 4"));
    if (past->type().dtype() != dtype) return void(n.unsupported("a past of another type"));
    c.room = pasts[0]->type().dim(2);
    past = n.with_shape(past, "the past", {c.batch, groups, c.room, c.size});
  }
  Value *lengths = n.input(5), *total = one_number(n, n.input(6), "total_sequence_length");
  if (!n.ranked(lengths) || n.failed()) return;
  lengths = n.reshape(lengths, {c.batch});
  lengths = n.map(Fn::add, {n.cast(lengths, DType::i64), n.scalar_int(DType::i64, 1)});
  if (n.failed()) return;
  c.length = n.reshape(lengths, {c.batch, 1, 1, 1});
  total = n.cast(total, DType::i64);
  check(n, n.map(Fn::equal, {total, whole(n, c.room + c.fresh)}),
        "total_sequence_length is not that of the past and the new keys (buffers that past and present share are not "
        "supported)");
  // Where all keys are new, none is of the past.
  Value *first = n.map(Fn::equal, {total, whole(n, c.fresh)});
  Value *none = n.scalar_int(DType::i64, 0);
  c.past = n.map(Fn::select, {first, none, n.map(Fn::sub, {c.length, whole(n, c.fresh)})});
  if (c.room.is(0)) c.past = none;
  if (!c.room.is(0)) {
    Value *inside = n.map(Fn::logical_and,
                          {n.map(Fn::less_equal, {none, c.past}), n.map(Fn::less_equal, {c.past, whole(n, c.room)})});
    check(n, all_of(n, inside), "seqlens_k is not between the new keys and all keys");
  }
  Value *query = n.map(Fn::add, {positions(n, c.fresh, 4, 2), c.past}); // [b or 1, 1, s, 1]
  if (n.failed()) return;

  if (n.integer("do_rotary", 0) != 0) {
    if (!n.has(7) || !n.has(8)) return void(n.fail("a rotation without cos_cache and sin_cache"));
    if (!n.ranked(n.input(7))) return;
    if (n.input(7)->type().rank() != 2 || !n.input(7)->type().dim(1).is_constant())
      return void(n.unsupported("a cache of angles of unknown width"));
    Value *at = n.input(9);
    if (at) {
      at = n.with_shape(at, "position_ids", {c.batch, c.fresh});
    } else {
      at = n.reshape(query, {query->type().dim(0), c.fresh});
    }
    Value *cosines = angles(n, n.input(7), at), *sines = angles(n, n.input(8), at);
    const Dim size = n.input(7)->type().dim(1) * 2;
    auto turned = [&](Value *x) { // heads stand behind the sequence there
      x = n.transpose(x, {0, 2, 1, 3});
      x = rotate(n, x, cosines, sines, size, n.integer("rotary_interleaved", 0) != 0);
      return n.transpose(x, {0, 2, 1, 3});
    };
    h.q = turned(h.q), h.k = turned(h.k);
  }
  if (n.failed()) return;
  if (pasts[0] && !c.room.is(0)) {
    h.k = n.concat({pasts[0], h.k}, 2);
    h.v = n.concat({pasts[1], h.v}, 2);
  }
  Value *full = c.room.is(0) ? nullptr : all_of(n, n.map(Fn::equal, {c.past, whole(n, c.room)}));
  if (n.wants(1)) n.result(1, compacted(n, c, h.k, full));
  if (n.wants(2)) n.result(2, compacted(n, c, h.v, full));

  auto [key, allowed] = row_positions(n, c);
  auto also = [&](Value *condition) { allowed = n.map(Fn::logical_and, {allowed, condition}); };
  if (causal) also(n.map(Fn::less_equal, {key, query}));
  if (window > 0) also(n.map(Fn::less, {n.map(Fn::sub, {query, key}), n.scalar_int(DType::i64, window)}));
  Value *mask = allowed, *bias = n.input(10);
  const bool sink = n.has(11) || n.integer("smooth_softmax") > 0;
  if (bias || sink) {
    if (bias && full) check(n, full, "a bias where a sequence has less keys than the cache has room for");
    mask = n.map(Fn::select, {allowed, bias ? bias : n.scalar(dtype, 0), n.scalar(dtype, -HUGE_VAL)});
  }
  if (sink) add_sink(n, h, mask, n.input(11));
  const std::vector<Value *> ys = attend(n, h, mask, nullptr, false, 1, softcap);
  if (!n.failed()) n.result(0, ys[0]);
}

} // namespace cameo::frontend
