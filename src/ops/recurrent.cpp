// Recurrent networks and attention.
#include "rules.h"

namespace cameo::ops {

using namespace graph;

// q: [b, h, s, e], k: [b, g, t, e], v: [b, g, t, u] with g dividing h; y: [b, h, s, u]. Past keys and values come
// before k and v.
Inferred infer_attention(InferContext &c) {
  for (size_t i = 0; i < 3; ++i) {
    if (!c.type(i).is_ranked()) return Inferred::wrong("the rank of an operand is not known");
    if (c.type(i).rank() != 4) return Inferred::wrong("operands must have rank 4 here");
  }
  const Type &q = c.type(0), &k = c.type(1), &v = c.type(2);
  Dim total = k.dim(2);
  if (c.operand(4)) total = c.type(4).dim(2) + total;
  if (!may_be_equal(q.dim(0), k.dim(0)) || !may_be_equal(q.dim(0), v.dim(0)) || !may_be_equal(q.dim(3), k.dim(3)) ||
      !may_be_equal(k.dim(1), v.dim(1)) || !may_be_equal(k.dim(2), v.dim(2)))
    return Inferred::wrong("shapes of query " + shape_text(q.shape()) + ", key " + shape_text(k.shape()) +
                           " and value " + shape_text(v.shape()) + " do not fit");
  if (q.dim(1).is_constant() && k.dim(1).is_constant() && (k.dim(1).is(0) || q.dim(1).value() % k.dim(1).value() != 0))
    return Inferred::wrong(k.dim(1).str() + " key heads do not divide " + q.dim(1).str() + " query heads");
  struct Wanted {
    size_t operand;
    const char *name;
    Shape shape;
  };
  const Wanted wanted[] = {{4, "past key", {k.dim(0), k.dim(1), total - k.dim(2), k.dim(3)}},
                           {5, "past value", {v.dim(0), v.dim(1), total - k.dim(2), v.dim(3)}},
                           {6, "numbers of keys", {q.dim(0)}}};
  for (const Wanted &want : wanted) {
    if (!c.operand(want.operand)) continue;
    const Type &t = c.type(want.operand);
    bool fits = t.is_ranked() && t.shape().size() == want.shape.size();
    for (size_t i = 0; fits && i < want.shape.size(); ++i) fits = may_be_equal(t.shape()[i], want.shape[i]);
    if (!fits)
      return Inferred::wrong(std::string(want.name) + " " + t.str() + " where " + shape_text(want.shape) +
                             " is needed");
  }
  if (c.operand(3)) { // broadcasts to the scores
    const Type &mask = c.type(3);
    const Shape scores = {q.dim(0), q.dim(1), q.dim(2), total};
    bool fits = mask.is_ranked() && mask.rank() <= 4;
    for (int i = 1; fits && i <= mask.rank(); ++i)
      fits = mask.dim(-i).is(1) || may_be_equal(mask.dim(-i), scores[size_t(4 - i)]);
    if (!fits) return Inferred::wrong("mask " + mask.str() + " does not fit scores " + shape_text(scores));
  }
  std::vector<Type> types = {Type::tensor(q.dtype(), {q.dim(0), q.dim(1), q.dim(2), v.dim(3)})};
  if (c.wants(1)) types.push_back(Type::tensor(k.dtype(), {k.dim(0), k.dim(1), total, k.dim(3)}));
  if (c.wants(2)) types.push_back(Type::tensor(v.dtype(), {v.dim(0), v.dim(1), total, v.dim(3)}));
  if (c.wants(3)) types.push_back(Type::tensor(q.dtype(), {q.dim(0), q.dim(1), q.dim(2), total}));
  return types;
}

// xw: [seq, batch, gates * hidden], r: [hidden, gates * hidden] (of a gru 2 * hidden columns, the third gate's are rc).
Inferred infer_rnn(InferContext &c) {
  const Type &xw = c.type(0), &r = c.type(1);
  for (size_t i = 0; i < c.operands(); ++i)
    if (c.operand(i) && !c.type(i).is_ranked()) return Inferred::wrong("the rank of an operand is not known");
  if (xw.rank() != 3 || r.rank() != 2) return Inferred::wrong("xw must have rank 3 and r rank 2");
  const std::string_view kind = c.word("kind");
  const bool gru = kind == "gru", lstm = kind == "lstm";
  if (!r.dim(0).is_constant() || r.dim(0).value() < 1) return Inferred::wrong("r has shape " + shape_text(r.shape()));
  const int64_t hidden = r.dim(0).value();
  const Dim batch = xw.dim(1);
  if (gru != (c.operand(2) != nullptr)) return Inferred::wrong("a gru, and nothing else, has a candidate's r");
  if (c.operand(3) && !(gru && c.flag("linear_before_reset")))
    return Inferred::wrong("a bias inside of the reset product needs linear_before_reset");
  if ((c.operand(6) || c.operand(7) || c.wants(2)) && !lstm) return Inferred::wrong("only an lstm has cells");
  struct Wanted {
    size_t operand;
    const char *name;
    Shape shape;
  };
  const Wanted wanted[] = {{0,
                            "xw",
                            {xw.dim(0), batch,
                             (lstm  ? 4
                              : gru ? 3
                                    : 1) *
                                 hidden}},
                           {1,
                            "r",
                            {hidden, (lstm  ? 4
                                      : gru ? 2
                                            : 1) *
                                         hidden}},
                           {2, "rc", {hidden, hidden}},
                           {3, "rb", {hidden}},
                           {4, "lengths", {batch}},
                           {5, "h0", {1, batch, hidden}},
                           {6, "c0", {1, batch, hidden}},
                           {7, "peepholes", {3 * hidden}}};
  for (const Wanted &want : wanted)
    if (c.operand(want.operand) && c.type(want.operand).shape() != want.shape)
      return Inferred::wrong(std::string(want.name) + " has shape " + shape_text(c.type(want.operand).shape()) +
                             " where " + shape_text(want.shape) + " is needed");
  const auto *activations = c.get<std::vector<std::string>>("activations");
  if (!activations || activations->size() != (lstm ? 3u : gru ? 2u : 1u))
    return Inferred::wrong("a " + std::string(kind) + " has another number of activations");
  std::vector<Type> types = {Type::tensor(r.dtype(), {xw.dim(0), 1, batch, hidden})};
  for (size_t i = 1; i <= 2; ++i)
    if (c.wants(i)) types.push_back(Type::tensor(r.dtype(), {1, batch, hidden}));
  return types;
}

} // namespace cameo::ops
