// Attention and what surrounds it in transformers.
#include "families.h"
#include "parts.h"

#include <cmath>

namespace cameo::frontend {

Value *inverse_root(NodeImport &n, const Dim &size, DType dtype) {
  if (size.is_constant()) return n.scalar(dtype, 1 / std::sqrt(double(size.value())));
  return n.map(Fn::div, {n.scalar(dtype, 1), n.map(Fn::sqrt, {n.cast(n.reshape(n.dims({size}), {}), dtype)})});
}

Value *split_heads(NodeImport &n, Value *x, int64_t heads, const char *what) {
  if (n.failed() || !n.ranked(x)) return nullptr;
  if (x->type().rank() == 4) return x;
  if (x->type().rank() != 3)
    return n.fail(std::string(what) + " has rank " + std::to_string(x->type().rank()) + ", not 3 or 4");
  const Shape &s = x->type().shape();
  if (heads < 1) return n.fail("the number of heads is " + std::to_string(heads));
  if (s[2].is_constant() && s[2].value() % heads != 0)
    return n.fail(std::to_string(heads) + " heads do not divide " + s[2].str() + " columns of " + what);
  return n.transpose(n.reshape(x, {s[0], s[1], heads, floordiv(s[2], heads)}), {0, 2, 1, 3});
}

Value *join_heads(NodeImport &n, Value *x) {
  if (n.failed()) return nullptr;
  const Shape s = x->type().shape();
  return n.reshape(n.transpose(x, {0, 2, 1, 3}), {s[0], s[2], s[1] * s[3]});
}

Value *positions(NodeImport &n, const Dim &extent, int64_t rank, int64_t axis) {
  Shape shape(size_t(rank), Dim(1));
  shape[size_t(axis)] = extent;
  return n.make_typed(Op::iota, {}, {{"axis", axis}}, Type::tensor(DType::i64, std::move(shape)));
}

namespace {

// The mask combined with a window of positions around each query: left <= p - j, j - p <= right with p = offset + i.
Value *windowed(NodeImport &n, Value *mask, int64_t left, int64_t right, Value *lengths, const Dim &queries,
                const Dim &past, const Dim &keys, DType dtype) {
  Value *position = positions(n, queries, 4, 2), *key = positions(n, keys, 4, 3);
  if (lengths) { // offset = valid keys - queries, per sample
    Value *offset = n.map(Fn::sub, {n.cast(lengths, DType::i64), n.reshape(n.dims({queries}), {})});
    position = n.map(Fn::add, {position, n.reshape(offset, {lengths->type().dim(0), 1, 1, 1})});
  } else {
    position = n.map(Fn::add, {position, n.reshape(n.dims({past}), {})});
  }
  Value *distance = n.map(Fn::sub, {position, key}), *allowed = nullptr;
  auto also = [&](Value *condition) { allowed = allowed ? n.map(Fn::logical_and, {allowed, condition}) : condition; };
  if (left >= 0) also(n.map(Fn::less_equal, {distance, n.scalar_int(DType::i64, left)}));
  if (right >= 0) also(n.map(Fn::less_equal, {n.map(Fn::neg, {distance}), n.scalar_int(DType::i64, right)}));
  if (!mask || n.failed()) return allowed;
  if (mask->type().dtype() == DType::boolean) return n.map(Fn::logical_and, {mask, allowed});
  return n.map(Fn::select, {allowed, mask, n.scalar(dtype, -HUGE_VAL)});
}

} // namespace

void import_attention(NodeImport &n) {
  Value *q = n.input(0), *k = n.input(1), *v = n.input(2), *mask = n.input(3);
  if (!n.ranked(q)) return;
  const bool packed = q->type().rank() == 3;
  const int64_t q_heads = n.integer("q_num_heads", 0), kv_heads = n.integer("kv_num_heads", 0);
  q = split_heads(n, q, q_heads, "Q");
  k = split_heads(n, k, kv_heads, "K");
  v = split_heads(n, v, kv_heads, "V");
  if (n.failed()) return;
  if (n.has(4) != n.has(5)) return void(n.fail("past_key and past_value must come together"));
  if (n.has(6) && n.has(4)) return void(n.fail("nonpad_kv_seqlen cannot be combined with a past"));
  for (size_t i : {size_t{4}, size_t{5}})
    if (n.has(i) && (!n.ranked(n.input(i)) || n.input(i)->type().rank() != 4))
      return void(n.fail("the past must have rank 4"));
  const DType dtype = q->type().dtype();
  const Dim past = n.has(4) ? n.input(4)->type().dim(2) : Dim(0), keys = past + k->type().dim(2),
            queries = q->type().dim(2);

  if (mask && n.ranked(mask)) { // a shorter mask forbids what it does not reach
    if (mask->type().rank() < 1 || mask->type().rank() > 4)
      return void(n.fail("the mask has rank " + std::to_string(mask->type().rank())));
    const Dim reach = mask->type().dim(-1);
    if (reach != keys && !reach.is(1)) {
      const Dim missing = keys - reach;
      if (missing.is_constant() && missing.value() < 0)
        return void(n.fail("the mask reaches " + reach.str() + " keys of " + keys.str()));
      std::vector<Dim> none(size_t(mask->type().rank()), Dim(0)), high = none;
      high.back() = missing;
      Value *fill = mask->type().dtype() == DType::boolean ? n.scalar_int(DType::boolean, 0)
                                                           : n.scalar(mask->type().dtype(), -HUGE_VAL);
      mask = n.make(Op::pad, {mask, fill}, {{"mode", std::string("constant")}, {"low", none}, {"high", high}});
    }
  }
  const int64_t left = n.integer("left_window_size", -1), right = n.integer("right_window_size", -1);
  if (left < -1 || right < -1) return void(n.fail("a window size is below -1"));
  if (left >= 0 || right >= 0) mask = windowed(n, mask, left, right, n.input(6), queries, past, keys, dtype);
  if (n.failed()) return;

  // Where only the run knows how many heads there are, it checks that key heads divide them.
  if (const Dim heads = q->type().dim(1), groups = k->type().dim(1);
      heads != groups && !(heads.is_constant() && groups.is_constant())) {
    auto number = [&](const Dim &d) { return n.reshape(n.dims({d}), {}); };
    Value *product = n.map(Fn::mul, {n.map(Fn::div, {number(heads), number(max(groups, 1))}), number(groups)});
    n.create(Op::check, {n.map(Fn::equal, {product, number(heads)})},
             {{"message", std::string("key heads that do not divide the query heads")}}, {});
  }
  double scale = n.real("scale", 0.0);
  if (const Dim size = q->type().dim(3); !n.has("scale") && size.is_constant()) {
    scale = 1 / std::sqrt(double(size.value()));
  } else if (!n.has("scale")) {
    const DType compute = wide_compute(dtype).value_or(dtype);
    q = n.cast(n.map(Fn::mul, {n.cast(q, compute), inverse_root(n, size, compute)}), dtype);
    if (n.failed()) return;
    scale = 1;
  }
  static constexpr const char *kStages[] = {"raw", "capped", "masked", "softmax"};
  const int64_t stage = n.integer("qk_matmul_output_mode", 0);
  if (stage < 0 || stage > 3) return void(n.fail("qk_matmul_output_mode is " + std::to_string(stage)));
  Attributes attributes = {{"scale", scale}, {"causal", n.flag("is_causal")}};
  if (const double cap = n.real("softcap"); cap != 0) {
    if (!(cap > 0)) return void(n.fail("softcap is " + std::to_string(cap)));
    attributes.emplace_back("softcap", cap);
  }
  size_t results = 1;
  for (size_t i = 1; i < 4; ++i)
    if (n.wants(i)) results = i + 1;
  if (results == 4) attributes.emplace_back("qk_output", std::string(kStages[stage]));
  if (n.integer("softmax_precision", 0) != 0) {
    if (const DType compute = n.dtype("softmax_precision", dtype); compute != dtype)
      attributes.emplace_back("compute", wide_compute(compute).value_or(compute));
  } else {
    attributes = with_compute(std::move(attributes), dtype);
  }
  const std::vector<Value *> ys =
      n.make_many(Op::attention, {q, k, v, mask, n.input(4), n.input(5), n.input(6)}, std::move(attributes), results);
  if (n.failed()) return;
  n.result(0, packed ? join_heads(n, ys[0]) : ys[0]);
  for (size_t i = 1; i < results; ++i)
    if (n.wants(i)) n.result(i, ys[i]);
}

// softmax(score_mod(q k^T * scale)) with prob_mod before the product with v; each modifier is imported in place.
void import_flex_attention(NodeImport &n) {
  Value *q = n.input(0), *k = n.input(1), *v = n.input(2);
  if (!n.ranked(q) || !n.ranked(k) || !n.ranked(v)) return;
  for (Value *x : {q, k, v})
    if (x->type().rank() != 4) return void(n.fail("an input has rank " + std::to_string(x->type().rank()) + ", not 4"));
  const Shape &qs = q->type().shape();
  const Dim heads = qs[1], groups = k->type().dim(1), keys = k->type().dim(2);
  if (groups.is(0) || (heads.is_constant() && groups.is_constant() && heads.value() % groups.value() != 0))
    return void(n.fail(groups.str() + " key heads do not divide " + heads.str() + " query heads"));
  const DType dtype = q->type().dtype();
  const DType precision = n.integer("softmax_precision", 0) != 0 ? n.dtype("softmax_precision", dtype)
                          : dtype == DType::f64                  ? DType::f64
                                                                 : DType::f32;
  Value *scale = n.has("scale") ? n.scalar(precision, n.real("scale", 1.0)) : inverse_root(n, qs[3], precision);
  auto modify = [&](const char *name, Value *x) {
    if (!n.graph_attribute(name) || n.failed()) return x;
    if (n.body_arity(name) != std::pair(size_t{1}, size_t{1}))
      return n.fail(std::string(name) + " must have one input and one output");
    const std::vector<Value *> ys = n.inline_body(name, {x});
    if (ys.size() != 1) return static_cast<Value *>(nullptr);
    if (!(ys[0]->type().is_tensor() && ys[0]->type().dtype() == x->type().dtype()))
      return n.fail(std::string(name) + " makes " + ys[0]->type().str() + " of " + x->type().str());
    return ys[0];
  };
  const Dim each = floordiv(heads, groups);
  Value *wide = n.reshape(n.cast(q, precision), {qs[0], groups, each, qs[2], qs[3]});
  Value *scores = n.make(Op::contract, {wide, n.cast(k, precision)}, {{"equation", std::string("bgrse,bgte->bgrst")}});
  scores = n.reshape(n.map(Fn::mul, {scores, scale}), {qs[0], heads, qs[2], keys});
  scores = modify("score_mod", scores);
  Value *probabilities = n.make(Op::softmax, {scores}, with_compute({{"axis", int64_t{3}}, {"log", false}}, precision));
  probabilities = modify("prob_mod", probabilities);
  probabilities = n.reshape(probabilities, {qs[0], groups, each, qs[2], keys});
  Value *y =
      n.make(Op::contract, {probabilities, n.cast(v, precision)}, {{"equation", std::string("bgrst,bgtu->bgrsu")}});
  n.result(n.cast(n.reshape(y, {qs[0], heads, qs[2], v->type().dim(3)}), dtype));
}

Value *rotate(NodeImport &n, Value *heads, Value *cosines, Value *sines, const Dim &size, bool interleaved) {
  if (n.failed()) return nullptr;
  const Shape s = heads->type().shape();
  if (size.is_constant() &&
      (size.value() < 2 || size.value() % 2 != 0 || (s[3].is_constant() && size.value() > s[3].value())))
    return n.fail("rotary_embedding_dim " + size.str() + " of heads of " + s[3].str());
  const Dim half = floordiv(size, 2);
  Value *turning = n.slice(heads, 3, 0, size), *first = nullptr, *second = nullptr;
  if (interleaved) {
    Value *pairs = n.reshape(turning, {s[0], s[1], s[2], half, 2});
    first = n.reshape(n.slice(pairs, 4, 0, 1), {s[0], s[1], s[2], half});
    second = n.reshape(n.slice(pairs, 4, 1, 1), {s[0], s[1], s[2], half});
  } else {
    first = n.slice(turning, 3, 0, half);
    second = n.slice(turning, 3, half, half);
  }
  auto times = [&](Value *a, Value *b) { return n.map(Fn::mul, {a, b}); };
  Value *real = n.map(Fn::sub, {times(cosines, first), times(sines, second)});
  Value *imaginary = n.map(Fn::add, {times(sines, first), times(cosines, second)});
  Value *turned = nullptr;
  if (interleaved) {
    const Shape pair = {s[0], s[1], s[2], half, 1};
    turned = n.reshape(n.concat({n.reshape(real, pair), n.reshape(imaginary, pair)}, 4), {s[0], s[1], s[2], size});
  } else {
    turned = n.concat({real, imaginary}, 3);
  }
  return size != s[3] ? n.concat({turned, n.slice(heads, 3, size, s[3] - size)}, 3) : turned;
}

void import_rotary_embedding(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x) || !n.ranked(n.input(1)) || !n.ranked(n.input(2))) return;
  const bool packed = x->type().rank() == 3;
  if (!packed && x->type().rank() != 4)
    return void(n.fail("the input has rank " + std::to_string(x->type().rank()) + ", not 3 or 4"));
  Value *heads = x; // [b, s, h, e]
  if (packed) {
    const Shape &s = x->type().shape();
    const int64_t count = n.integer("num_heads", 0);
    if (count < 1 || (s[2].is_constant() && s[2].value() % count != 0))
      return void(n.fail("num_heads is " + std::to_string(count) + " of " + s[2].str() + " columns"));
    heads = n.reshape(x, {s[0], s[1], count, floordiv(s[2], count)});
  } else {
    heads = n.transpose(x, {0, 2, 1, 3});
  }
  if (n.failed()) return;
  Dim size = n.integer("rotary_embedding_dim", 0);
  if (size.is(0)) size = heads->type().dim(3);
  const Dim half = floordiv(size, 2);
  auto angles = [&](Value *cache) -> Value * {
    if (n.has(3)) cache = n.gather(cache, n.input(3), 0);
    if (n.failed()) return nullptr;
    const Type &t = cache->type();
    if (t.rank() != 3 || (t.dim(2).is_constant() && half.is_constant() && t.dim(2) != half))
      return n.fail("a cache " + t.str() + " for " + half.str() + " angles");
    return n.reshape(cache, {t.dim(0), t.dim(1), 1, t.dim(2)});
  };
  Value *cosines = angles(n.input(1)), *sines = angles(n.input(2));
  Value *turned = rotate(n, heads, cosines, sines, size, n.flag("interleaved"));
  n.result(packed ? n.reshape(turned, x->type().shape()) : n.transpose(turned, {0, 2, 1, 3}));
}

// A state S of [b, h, k, v] carried over the tokens, in f32:
//   S = exp(g) S;  v' = beta (v - S^T k);  S = S + k v'^T;  o = scale q^T S   (gates and correction as the update rule
//   says)
void import_linear_attention(NodeImport &n) {
  const std::string rule = n.word("update_rule", {"linear", "gated", "delta", "gated_delta"});
  const bool gated = rule.substr(0, 5) == "gated", delta = rule.size() >= 5 && rule.substr(rule.size() - 5) == "delta";
  const int64_t q_heads = n.integer("q_num_heads", 0), heads = n.integer("kv_num_heads", 0);
  Value *q = n.input(0), *k = n.input(1), *v = n.input(2), *decay = n.input(4), *beta = n.input(5);
  if (gated != (decay != nullptr) || delta != (beta != nullptr))
    return void(n.fail("update rule '" + rule + "' does not go with these inputs"));
  if (heads < 1 || q_heads < 1 || q_heads % heads != 0)
    return void(n.fail(std::to_string(heads) + " key heads do not divide " + std::to_string(q_heads) + " query heads"));
  for (Value *x : {q, k, v, decay, beta})
    if (x && (!n.ranked(x) || x->type().rank() != 3)) return void(n.fail("inputs must be [batch, tokens, columns]"));
  const Dim batch = q->type().dim(0), tokens = q->type().dim(1);
  const Dim q_columns = q->type().dim(2), v_columns = v->type().dim(2);
  if ((q_columns.is_constant() && q_columns.value() % q_heads != 0) ||
      (v_columns.is_constant() && v_columns.value() % heads != 0))
    return void(n.fail("the heads do not divide the columns"));
  const Dim size = floordiv(q_columns, q_heads), out = floordiv(v_columns, heads);
  const int64_t each = q_heads / heads;
  // One slice per token: [tokens, b, heads..., columns].
  auto sliced = [&](Value *x, const Shape &inner) {
    Shape shape = {batch, tokens};
    shape.insert(shape.end(), inner.begin(), inner.end());
    std::vector<int64_t> perm = {1, 0};
    for (size_t i = 2; i < shape.size(); ++i) perm.push_back(int64_t(i));
    return n.transpose(n.reshape(n.cast(x, DType::f32), shape), perm);
  };
  const DType state_type = n.has(3) ? n.input(3)->type().dtype() : q->type().dtype();
  Value *state =
      n.has(3) ? n.cast(n.input(3), DType::f32) : n.broadcast(n.scalar(DType::f32, 0), {batch, heads, size, out});
  std::vector<Value *> operands = {state, sliced(q, {heads, each, size}), sliced(k, {heads, size}),
                                   sliced(v, {heads, out})};
  if (gated) {
    const Dim columns = decay->type().dim(2);
    const bool per_head = columns.is(heads);
    if (!per_head && columns.is_constant() && size.is_constant() && columns != size * heads)
      return void(n.fail("decay has " + columns.str() + " columns"));
    operands.push_back(sliced(decay, {heads, per_head                ? Dim(1)
                                             : columns.is_constant() ? size
                                                                     : floordiv(columns, heads)}));
  }
  if (delta) {
    const Dim columns = beta->type().dim(2);
    if (columns.is_constant() && !columns.is(1) && !columns.is(heads))
      return void(n.fail("beta has " + columns.str() + " columns"));
    operands.push_back(sliced(beta, {columns, 1}));
  }
  if (n.failed()) return;
  Value *scale =
      n.real("scale", 0.0) != 0 ? n.scalar(DType::f32, n.real("scale", 0.0)) : inverse_root(n, size, DType::f32);
  if (n.failed()) return;
  const auto sequences = int64_t(operands.size()) - 1;
  std::vector<Type> arguments = {state->type()};
  for (size_t i = 1; i < operands.size(); ++i) {
    const Shape &shape = operands[i]->type().shape();
    arguments.push_back(Type::tensor(DType::f32, Shape(shape.begin() + 1, shape.end())));
  }
  const Type slice = Type::tensor(DType::f32, {batch, heads, each, out});
  const std::vector<int64_t> zeros(size_t(sequences), 0);
  Node *scan = n.create(Op::scan, operands,
                        {{"inputs", sequences},
                         {"input_axes", zeros},
                         {"input_reverse", zeros},
                         {"output_axes", std::vector<int64_t>{0}},
                         {"output_reverse", std::vector<int64_t>{0}}},
                        {state->type(), Type::tensor(DType::f32, {tokens, batch, heads, each, out})});
  n.region(scan, arguments, [&](const std::vector<Value *> &a) -> std::vector<Value *> {
    Value *s = a[0], *value = a[3];
    auto contract = [&](const char *equation, Value *x, Value *y) {
      return n.make(Op::contract, {x, y}, {{"equation", std::string(equation)}});
    };
    size_t next = 4;
    if (gated) {
      const Shape &shape = a[next]->type().shape();
      s = n.map(Fn::mul, {s, n.reshape(n.map(Fn::exp, {a[next++]}), {shape[0], shape[1], shape[2], 1})});
    }
    if (delta) value = n.map(Fn::mul, {a[next], n.map(Fn::sub, {value, contract("bhkv,bhk->bhv", s, a[2])})});
    s = n.map(Fn::add, {s, contract("bhk,bhv->bhkv", a[2], value)});
    Value *o = n.map(Fn::mul, {contract("bhrk,bhkv->bhrv", a[1], s), scale});
    return {s, o};
  });
  if (n.failed()) return n.discard(scan);
  Value *o = n.reshape(n.transpose(scan->result(1), {1, 0, 2, 3, 4}), {batch, tokens, out * q_heads});
  n.result(0, n.cast(o, q->type().dtype()));
  if (n.wants(1)) n.result(1, n.cast(scan->result(0), state_type));
}

} // namespace cameo::frontend
