// RNN, GRU and LSTM: the inputs of all steps are projected at once by a contraction, the recurrence is what remains.
#include "families.h"

#include <algorithm>

namespace cameo::frontend {

namespace {

// The names of activations as the graph has them: lower case. Unknown ones fail.
std::vector<std::string> activations(NodeImport &n, size_t directions, const std::vector<std::string> &defaults) {
  static constexpr std::string_view known[] = {
      "relu",       "tanh",        "sigmoid", "affine",   "leakyrelu", "thresholdedrelu",
      "scaledtanh", "hardsigmoid", "elu",     "softsign", "softplus"};
  std::vector<std::string> names = n.has("activations") ? n.texts("activations") : std::vector<std::string>();
  if (names.empty())
    for (size_t i = 0; i < directions; ++i) names.insert(names.end(), defaults.begin(), defaults.end());
  if (names.size() != directions * defaults.size())
    n.fail(std::to_string(names.size()) + " activations where " + std::to_string(directions * defaults.size()) +
           " are needed");
  for (std::string &name : names) {
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
    if (std::find(std::begin(known), std::end(known), name) == std::end(known))
      n.fail("activation '" + escape_name(name) + "' is not defined");
  }
  return names;
}

// Alpha and beta per activation: as given for those that have one, the standard's defaults for the rest.
std::vector<double> constants(const std::vector<std::string> &names, const std::vector<double> &given, bool alpha) {
  std::vector<double> result;
  size_t next = 0;
  for (const std::string &name : names) {
    double value = 0;
    const bool takes = alpha ? name == "affine" || name == "leakyrelu" || name == "thresholdedrelu" ||
                                   name == "scaledtanh" || name == "hardsigmoid" || name == "elu"
                             : name == "affine" || name == "scaledtanh" || name == "hardsigmoid";
    if (takes) {
      if (alpha)
        value = name == "leakyrelu" ? double(0.01f) : name == "hardsigmoid" ? double(0.2f) : 1.0;
      else
        value = name == "hardsigmoid" ? 0.5 : name == "scaledtanh" ? 1.0 : 0.0;
      if (next < given.size()) value = given[next++];
    }
    result.push_back(value);
  }
  return result;
}

// The weights of a node: how many gates there are is how many blocks of `hidden` rows w and r have.
struct Weights {
  Value *w, *r, *b;
  int64_t directions, gates, hidden;
};

// v[direction] of a tensor with one block per direction.
Value *of_direction(NodeImport &n, Value *v, int64_t direction) {
  if (!v) return nullptr;
  Shape rest(v->type().shape().begin() + 1, v->type().shape().end());
  v = n.slice(v, 0, direction, 1);
  return v ? n.reshape(v, std::move(rest)) : nullptr;
}

// Sum of the biases of input and recurrence over all gates, in the dtype of the computation. What the reset gate
// multiplies stays apart: it is returned in `inside`.
Value *input_bias(NodeImport &n, Value *b, const Weights &weights, bool reset_after, Value **inside) {
  const int64_t rows = weights.gates * weights.hidden;
  Value *own = n.slice(b, 0, 0, rows), *recurrent = n.slice(b, 0, rows, rows);
  if (!reset_after) return n.map(Fn::add, {own, recurrent});
  const int64_t summed = rows - weights.hidden;
  *inside = n.slice(recurrent, 0, summed, weights.hidden);
  if (n.failed()) return nullptr;
  return n.concat({n.map(Fn::add, {n.slice(own, 0, 0, summed), n.slice(recurrent, 0, 0, summed)}),
                   n.slice(own, 0, summed, weights.hidden)},
                  0);
}

// x w^T + bias over all steps, as [seq, batch, gates * hidden]: one contraction whose rows are the pairs of step and
// batch.
Value *project(NodeImport &n, Value *x, Value *w, Value *bias, DType compute, bool batch_first) {
  const Shape outer{x->type().dim(0), x->type().dim(1)};
  const Dim columns = w->type().dim(0);
  // Rows of one axis are a contraction as they are: x may be a transposed view that no reshape can flatten.
  const bool flat = !outer[0].is(1) && !outer[1].is(1);
  Attributes attributes{{"equation", std::string(flat ? "mi,gi->mg" : "sbi,gi->sbg")}};
  if (x->type().dtype() != compute) attributes.emplace_back("compute", compute);
  if (flat) x = n.reshape(x, {outer[0] * outer[1], x->type().dim(2)});
  Value *gates = n.make(Op::contract, {x, w}, std::move(attributes), compute);
  if (bias) gates = n.map(Fn::add, {gates, bias});
  if (flat && gates) gates = n.reshape(gates, {outer[0], outer[1], columns});
  return batch_first && gates ? n.transpose(gates, {1, 0, 2}) : gates;
}

} // namespace

// The projection of the inputs and the sums of biases are nodes of their own: only what depends on the step before is
// left to `rnn`, one node per direction.
void import_rnn(NodeImport &n) {
  const std::string_view op = n.op();
  const std::string kind = op == "LSTM" ? "lstm" : op == "GRU" ? "gru" : "rnn";
  const std::string direction = n.word("direction", {"forward", "reverse", "bidirectional"});
  const bool batch_first = n.version() >= 14 && n.flag("layout");
  Value *x = n.input(0), *r = n.input(2);
  if (!n.ranked(x) || !n.ranked(r)) return;
  if (x->type().rank() != 3) return void(n.fail("X has rank " + std::to_string(x->type().rank()) + ", not 3"));
  if (r->type().rank() != 3) return void(n.fail("R has rank " + std::to_string(r->type().rank()) + ", not 3"));
  Weights weights{n.input(1),
                  r,
                  n.input(3),
                  direction == "bidirectional" ? 2 : 1,
                  kind == "lstm"  ? 4
                  : kind == "gru" ? 3
                                  : 1,
                  n.integer("hidden_size", 0)};
  if (!n.has("hidden_size") && r->type().dim(2).is_constant()) weights.hidden = r->type().dim(2).value();
  const int64_t hidden = weights.hidden, rows = weights.gates * hidden, directions = weights.directions;
  if (hidden < 1 || hidden > INT32_MAX / 8) return void(n.fail("hidden size " + std::to_string(hidden)));
  const Dim seq = x->type().dim(batch_first ? 1 : 0), batch = x->type().dim(batch_first ? 0 : 1);
  if (!n.ranked(weights.w)) return;
  const Dim input = weights.w->type().rank() == 3 ? weights.w->type().dim(2) : x->type().dim(2);
  weights.w = n.with_shape(weights.w, "W", {directions, rows, input});
  r = weights.r = n.with_shape(r, "R", {directions, rows, hidden});
  weights.b = n.with_shape(weights.b, "B", {directions, 2 * rows});
  if (n.failed()) return;
  const std::vector<std::string> defaults = kind == "lstm"  ? std::vector<std::string>{"sigmoid", "tanh", "tanh"}
                                            : kind == "gru" ? std::vector<std::string>{"sigmoid", "tanh"}
                                                            : std::vector<std::string>{"tanh"};
  const std::vector<std::string> names = activations(n, static_cast<size_t>(directions), defaults);
  const auto alphas = constants(names, n.reals("activation_alpha"), true),
             betas = constants(names, n.reals("activation_beta"), false);
  Attributes common{{"kind", kind}};
  if (n.has("clip")) {
    if (!(n.real("clip", 0.0) >= 0)) return void(n.fail("clip is negative"));
    common.emplace_back("clip", n.real("clip", 0.0));
  }
  if (kind == "lstm" && n.integer("input_forget", 0) != 0) common.emplace_back("input_forget", true);
  const bool reset_after = kind == "gru" && n.integer("linear_before_reset", 0) != 0;
  if (reset_after) common.emplace_back("linear_before_reset", true);
  Value *lengths = n.with_shape(n.input(4), "sequence_lens", {batch});
  auto state = [&](size_t i, const char *name) {
    Value *v = n.input(i);
    if (!v || n.failed()) return static_cast<Value *>(nullptr);
    if (batch_first && n.ranked(v) && v->type().rank() == 3) v = n.transpose(v, {1, 0, 2});
    return n.with_shape(v, name, {directions, batch, hidden});
  };
  Value *h0 = state(5, "initial_h"), *c0 = kind == "lstm" ? state(6, "initial_c") : nullptr;
  Value *peepholes = kind == "lstm" ? n.input(7) : nullptr;
  peepholes = n.with_shape(peepholes, "P", {directions, 3 * hidden});
  if (n.failed()) return;

  const DType dtype = x->type().dtype(), compute = wide_compute(dtype).value_or(dtype);
  const size_t results = std::max<size_t>(n.output_count(), 1);
  std::vector<std::vector<Value *>> parts(results);
  for (int64_t d = 0; d < directions; ++d) {
    Value *inside = nullptr, *bias = of_direction(n, weights.b, d);
    if (bias) bias = input_bias(n, n.cast(bias, compute), weights, reset_after, &inside);
    Value *w = of_direction(n, weights.w, d);
    if (n.failed()) return;
    Value *xw = project(n, x, w, bias, compute, batch_first);
    Value *recurrent = of_direction(n, r, d);
    if (n.failed()) return;
    recurrent = n.transpose(recurrent, {1, 0});
    Value *candidate = nullptr;
    if (kind == "gru") { // the candidate's columns wait for the reset gate
      candidate = n.slice(recurrent, 1, 2 * hidden, hidden);
      recurrent = n.slice(recurrent, 1, 0, 2 * hidden);
    }
    const auto first = static_cast<std::ptrdiff_t>(size_t(d) * defaults.size()),
               last = first + static_cast<std::ptrdiff_t>(defaults.size());
    Attributes attributes = common;
    attributes.emplace_back("reverse", direction == "reverse" || d == 1);
    attributes.emplace_back("activations", std::vector<std::string>(names.begin() + first, names.begin() + last));
    const std::vector<double> alpha(alphas.begin() + first, alphas.begin() + last),
        beta(betas.begin() + first, betas.begin() + last);
    if (std::any_of(alpha.begin(), alpha.end(), [](double v) { return v != 0; }) ||
        std::any_of(beta.begin(), beta.end(), [](double v) { return v != 0; })) {
      attributes.emplace_back("alphas", alpha);
      attributes.emplace_back("betas", beta);
    }
    auto own_state = [&](Value *v) { return v && !n.failed() ? n.slice(v, 0, d, 1) : nullptr; };
    const std::vector<Value *> ys = n.make_many(
        Op::rnn,
        {xw, recurrent, candidate, inside, lengths, own_state(h0), own_state(c0), of_direction(n, peepholes, d)},
        std::move(attributes), results);
    if (n.failed()) return;
    for (size_t i = 0; i < results; ++i) parts[i].push_back(ys[i]);
  }
  for (size_t i = 0; i < results; ++i) {
    if (!n.wants(i)) continue;
    Value *y = n.concat(parts[i], i == 0 ? 1 : 0); // [seq, directions, batch, hidden] or [directions, batch, hidden]
    if (batch_first && y) y = n.transpose(y, i == 0 ? std::vector<int64_t>{2, 0, 1, 3} : std::vector<int64_t>{1, 0, 2});
    n.result(i, y);
  }
}

} // namespace cameo::frontend
