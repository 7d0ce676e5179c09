// Recurrent layers against plain C++ loops: kinds, directions, lengths, rows of symbolic number, all schedules.
#include "program_runner.h"

namespace cameo::passes {
namespace {

struct Layer {
  std::string kind = "lstm";
  int64_t steps = 4, batch = 2, hidden = 5;
  bool reverse = false, lengths = false, states = false, peepholes = false, reset_after = false, bias = false,
       last = true;
  std::string steps_symbol, batch_symbol;
  std::string dtype = "f32";
  bool constant = true; ///< weights
};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

struct Data {
  Values xw, r, rc, rb, lengths, h0, c0, p;
};

int64_t gates_of(const Layer &l) { return l.kind == "lstm" ? 4 : l.kind == "gru" ? 3 : 1; }

Data data_of(const Layer &l) {
  const int64_t n = l.hidden, direct = l.kind == "gru" ? 2 : gates_of(l);
  Data d{some(l.steps * l.batch * gates_of(l) * n, 1), some(n * direct * n, 2, 0.03125), {}, {}, {}, {}, {}, {}};
  if (l.kind == "gru") d.rc = some(n * n, 3, 0.03125);
  if (l.bias) d.rb = some(n, 4);
  for (int64_t b = 0; l.lengths && b < l.batch; ++b) d.lengths.push_back(double((b * 3 + 1) % (l.steps + 1)));
  if (l.states) d.h0 = some(l.batch * n, 5);
  if (l.states && l.kind == "lstm") d.c0 = some(l.batch * n, 6);
  if (l.peepholes) d.p = some(3 * n, 7, 0.0625);
  return d;
}

// y, the last h and the last c.
std::array<Values, 3> expected(const Layer &l, const Data &d) {
  const int64_t n = l.hidden, g = gates_of(l) * n, direct = l.kind == "gru" ? 2 * n : g;
  Values y(size_t(l.steps * l.batch * n), 0), hs, cs;
  for (int64_t b = 0; b < l.batch; ++b) {
    Values h(size_t(n), 0), c(size_t(n), 0);
    for (int64_t j = 0; j < n; ++j) {
      if (!d.h0.empty()) h[size_t(j)] = d.h0[size_t(b * n + j)];
      if (!d.c0.empty()) c[size_t(j)] = d.c0[size_t(b * n + j)];
    }
    const int64_t length = l.lengths ? int64_t(d.lengths[size_t(b)]) : l.steps;
    for (int64_t t = 0; t < length; ++t) {
      const int64_t at = l.reverse ? length - 1 - t : t;
      auto x = [&](int64_t column) { return d.xw[size_t((at * l.batch + b) * g + column)]; };
      auto product = [&](const Values &state, const Values &w, int64_t columns, int64_t column) {
        double sum = 0;
        for (int64_t k = 0; k < n; ++k) sum += state[size_t(k)] * w[size_t(k * columns + column)];
        return sum;
      };
      Values next(size_t(n), 0), reset(size_t(n), 0);
      for (int64_t j = 0; j < n; ++j) {
        auto gate = [&](int64_t i) { return x(i * n + j) + product(h, d.r, direct, i * n + j); };
        auto peep = [&](int64_t i, double cell) { return d.p.empty() ? 0 : d.p[size_t(i * n + j)] * cell; };
        if (l.kind == "rnn") next[size_t(j)] = std::tanh(gate(0));
        if (l.kind == "gru") reset[size_t(j)] = sigmoid(gate(1));
        if (l.kind == "lstm") {
          const double before = c[size_t(j)];
          const double cell =
              sigmoid(gate(2) + peep(2, before)) * before + sigmoid(gate(0) + peep(0, before)) * std::tanh(gate(3));
          next[size_t(j)] = sigmoid(gate(1) + peep(1, cell)) * std::tanh(cell);
          c[size_t(j)] = cell;
        }
      }
      for (int64_t j = 0; l.kind == "gru" && j < n; ++j) {
        Values gated(h);
        for (int64_t k = 0; k < n; ++k) gated[size_t(k)] *= reset[size_t(k)];
        const double inside = l.reset_after
                                  ? reset[size_t(j)] * (product(h, d.rc, n, j) + (d.rb.empty() ? 0 : d.rb[size_t(j)]))
                                  : product(gated, d.rc, n, j);
        const double z = sigmoid(x(j) + product(h, d.r, direct, j));
        next[size_t(j)] = (1 - z) * std::tanh(x(2 * n + j) + inside) + z * h[size_t(j)];
      }
      h = next;
      for (int64_t j = 0; j < n; ++j) y[size_t((at * l.batch + b) * n + j)] = h[size_t(j)];
    }
    hs.insert(hs.end(), h.begin(), h.end());
    cs.insert(cs.end(), c.begin(), c.end());
  }
  return {y, hs, cs};
}

void check_layer(const Layer &l) {
  const Data d = data_of(l);
  const int64_t n = l.hidden;
  const std::string seq = l.steps_symbol.empty() ? std::to_string(l.steps) : l.steps_symbol;
  const std::string batch = l.batch_symbol.empty() ? std::to_string(l.batch) : l.batch_symbol;
  const auto shape = [](std::initializer_list<std::string> dims) {
    std::string text;
    for (const std::string &e : dims) text += (text.empty() ? "" : ", ") + e;
    return "[" + text + "]";
  };
  const std::string hidden = std::to_string(n), row = std::to_string(gates_of(l) * n);
  const std::string direct = std::to_string((l.kind == "gru" ? 2 : gates_of(l)) * n);
  const std::string wide = l.dtype == "f64" ? "f64" : "f32"; // what it is computed in
  struct Operand {
    std::string name, type;
    const Values *values;
    bool constant;
  };
  const std::vector<Operand> operands = {{"xw", wide + shape({seq, batch, row}), &d.xw, false},
                                         {"r", l.dtype + shape({hidden, direct}), &d.r, l.constant},
                                         {"rc", l.dtype + shape({hidden, hidden}), &d.rc, l.constant},
                                         {"rb", wide + shape({hidden}), &d.rb, l.constant},
                                         {"lengths", "i32" + shape({batch}), &d.lengths, false},
                                         {"h0", l.dtype + shape({"1", batch, hidden}), &d.h0, false},
                                         {"c0", l.dtype + shape({"1", batch, hidden}), &d.c0, false},
                                         {"p", l.dtype + shape({std::to_string(3 * n)}), &d.p, l.constant}};
  std::string arguments, constants, list;
  std::vector<Values> inputs;
  for (const Operand &o : operands) {
    const bool there = o.name == "xw" || !o.values->empty();
    list += (list.empty() ? "" : ", ") + (there ? "%" + o.name : "_");
    if (!there) continue;
    if (o.constant) {
      std::string text;
      for (double v : *o.values) text += (text.empty() ? "" : ", ") + std::to_string(v);
      const size_t bracket = o.type.find('[');
      // Nested brackets are written flat, as a reshape of a vector.
      constants += "    %" + o.name + "_flat = constant " + o.type.substr(0, bracket) + "[" +
                   std::to_string(o.values->size()) + "] [" + text + "]\n    %" + o.name + " = reshape %" + o.name +
                   "_flat : " + o.type + "\n";
      continue;
    }
    arguments += (arguments.empty() ? "%" : ", %") + o.name + ": " + o.type;
    inputs.push_back(*o.values);
  }
  while (list.ends_with(", _")) list.resize(list.size() - 3);
  const std::string activations = l.kind == "lstm"  ? R"(["sigmoid", "tanh", "tanh"])"
                                  : l.kind == "gru" ? R"(["sigmoid", "tanh"])"
                                                    : R"(["tanh"])";
  const std::string y_type = l.dtype + shape({seq, "1", batch, hidden}), h_type = l.dtype + shape({"1", batch, hidden});
  const bool cell = l.last && l.kind == "lstm";
  const std::string text = "graph @g stage canonical {\n  main(" + arguments + ") {\n" + constants + "    %y" +
                           (l.last ? ", %h" : "") + (cell ? ", %c" : "") + " = rnn " + list + " {kind = " + l.kind +
                           ", reverse = " + (l.reverse ? "true" : "false") + ", activations = " + activations +
                           (l.reset_after ? ", linear_before_reset = true" : "") + "} : " + y_type +
                           (l.last ? ", " + h_type : "") + (cell ? ", " + h_type : "") + "\n    yield %y as \"y\"" +
                           (l.last ? ", %h as \"h\"" : "") + (cell ? ", %c as \"c\"" : "") + "\n  }\n}\n";
  const std::array<Values, 3> want = expected(l, d);
  const double tolerance = l.dtype == "f64" ? 1e-12 : l.dtype == "f32" ? 2e-5 : l.dtype == "f16" ? 2e-3 : 1e-2;
  for (const bool plain : {false, true}) {
    SCOPED_TRACE((plain ? "plain: " : "default: ") + text.substr(text.find("%y")));
    graph::Graph graph = parse_graph(text);
    std::vector<int64_t> symbols;
    ASSERT_TRUE(run_pipeline(graph).ok());
    ProgramOptions options;
    options.plan.plain_schedules = plain;
    if (!l.steps_symbol.empty()) symbols.push_back(l.steps);
    if (!l.batch_symbol.empty()) symbols.push_back(l.batch);
    const RunResult result = run_graph(graph, inputs, options, symbols);
    ASSERT_EQ(result.status, 0);
    ASSERT_EQ(result.outputs.size(), size_t(l.last ? cell ? 3 : 2 : 1));
    for (size_t o = 0; o < result.outputs.size(); ++o) {
      ASSERT_EQ(result.outputs[o].size(), want[o].size());
      for (size_t i = 0; i < want[o].size(); ++i)
        ASSERT_NEAR(result.outputs[o][i], want[o][i], tolerance) << "output " << o << " element " << i;
    }
  }
}

} // namespace

TEST(Recurrent, KindsAndDirections) {
  for (const char *kind : {"lstm", "gru", "rnn"})
    for (bool reverse : {false, true})
      for (int64_t hidden : {1, 5, 16, 24}) {
        Layer l;
        l.kind = kind;
        l.reverse = reverse;
        l.hidden = hidden;
        l.states = reverse;
        check_layer(l);
      }
}

TEST(Recurrent, LengthsPeepholesAndResets) {
  for (const char *kind : {"lstm", "gru", "rnn"})
    for (bool reverse : {false, true}) {
      Layer l;
      l.kind = kind;
      l.reverse = reverse;
      l.batch = 5;
      l.lengths = l.states = true;
      l.peepholes = l.kind == "lstm";
      l.reset_after = l.kind == "gru" && reverse;
      l.bias = l.reset_after;
      check_layer(l);
    }
}

TEST(Recurrent, SymbolicStepsAndRows) {
  for (int64_t batch : {1, 7, 13})
    for (int64_t steps : {0, 1, 3}) {
      Layer l;
      l.kind = batch == 7 ? "gru" : "lstm";
      l.steps = steps;
      l.batch = batch;
      l.hidden = 9;
      l.steps_symbol = "seq";
      l.batch_symbol = "batch";
      l.lengths = l.states = batch == 13;
      l.last = batch != 1;
      check_layer(l);
    }
}

TEST(Recurrent, WeightsThatAreNoConstants) {
  Layer l;
  l.constant = false;
  l.hidden = 24;
  check_layer(l);
}

TEST(Recurrent, OtherFloats) {
  for (const char *dtype : {"f16", "bf16", "f64"})
    for (const char *kind : {"lstm", "gru", "rnn"}) {
      Layer l;
      l.kind = kind;
      l.dtype = dtype;
      l.states = true;
      l.peepholes = l.kind == "lstm";
      l.reset_after = l.kind == "gru";
      l.bias = l.reset_after;
      check_layer(l);
    }
}

TEST(Recurrent, MoreRowsThanStayInCache) {
  Layer l;
  l.batch = 70;
  l.hidden = 3;
  check_layer(l);
}

} // namespace cameo::passes
