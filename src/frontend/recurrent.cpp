// RNN, GRU and LSTM.
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

} // namespace

void import_rnn(NodeImport &n) {
  const std::string_view op = n.op();
  const std::string kind = op == "LSTM" ? "lstm" : op == "GRU" ? "gru" : "rnn";
  const std::string direction = n.word("direction", {"forward", "reverse", "bidirectional"});
  const size_t directions = direction == "bidirectional" ? 2 : 1;
  const bool batch_first = n.version() >= 14 && n.flag("layout");
  Value *x = n.input(0), *r = n.input(2);
  if (!n.ranked(x) || !n.ranked(r)) return;
  if (x->type().rank() != 3) return void(n.fail("X has rank " + std::to_string(x->type().rank()) + ", not 3"));
  int64_t hidden = n.integer("hidden_size", 0);
  if (!n.has("hidden_size") && r->type().rank() == 3 && r->type().dim(2).is_constant())
    hidden = r->type().dim(2).value();
  const std::vector<std::string> defaults = kind == "lstm"  ? std::vector<std::string>{"sigmoid", "tanh", "tanh"}
                                            : kind == "gru" ? std::vector<std::string>{"sigmoid", "tanh"}
                                                            : std::vector<std::string>{"tanh"};
  const std::vector<std::string> names = activations(n, directions, defaults);
  Attributes attributes = {{"kind", kind}, {"direction", direction}, {"hidden", hidden}, {"activations", names}};
  const auto alphas = constants(names, n.reals("activation_alpha"), true),
             betas = constants(names, n.reals("activation_beta"), false);
  if (std::any_of(alphas.begin(), alphas.end(), [](double v) { return v != 0; }) ||
      std::any_of(betas.begin(), betas.end(), [](double v) { return v != 0; })) {
    attributes.emplace_back("alphas", alphas);
    attributes.emplace_back("betas", betas);
  }
  if (n.has("clip")) {
    if (!(n.real("clip", 0.0) >= 0)) return void(n.fail("clip is negative"));
    attributes.emplace_back("clip", n.real("clip", 0.0));
  }
  if (kind == "lstm" && n.integer("input_forget", 0) != 0) attributes.emplace_back("input_forget", true);
  if (kind == "gru" && n.integer("linear_before_reset", 0) != 0) attributes.emplace_back("linear_before_reset", true);
  if (n.failed()) return;

  auto state_first = [&](Value *state) { return state && batch_first ? n.transpose(state, {1, 0, 2}) : state; };
  if (batch_first) x = n.transpose(x, {1, 0, 2});
  std::vector<Value *> operands = {x,
                                   n.input(1),
                                   r,
                                   n.input(3),
                                   n.input(4),
                                   state_first(n.input(5)),
                                   kind == "lstm" ? state_first(n.input(6)) : nullptr,
                                   kind == "lstm" ? n.input(7) : nullptr};
  const size_t results = std::max<size_t>(n.output_count(), 1);
  const std::vector<Value *> ys =
      n.make_many(Op::rnn, std::move(operands),
                  with_compute(std::move(attributes), n.failed() ? DType::f32 : x->type().dtype()), results);
  if (n.failed()) return;
  if (n.wants(0)) n.result(0, batch_first ? n.transpose(ys[0], {2, 0, 1, 3}) : ys[0]);
  for (size_t i = 1; i < results; ++i)
    if (n.wants(i)) n.result(i, batch_first ? n.transpose(ys[i], {1, 0, 2}) : ys[i]);
}

} // namespace cameo::frontend
