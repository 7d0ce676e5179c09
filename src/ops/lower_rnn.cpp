// Recurrent layers: what is left when the inputs are projected, one direction.
//
//   lstm  i, o, f, g[t] = xw[t] + h[t-1] r,  c[t] = f(f + p c[t-1]) c[t-1] + f(i + p c[t-1]) g(g),  h[t] = f(o + p
//   c[t]) h(c[t]) gru   z, s[t] = xw[t] + h[t-1] r,  n[t] = xw[t] + (f(s) h[t-1]) rc, or xw[t] + f(s) (h[t-1] rc + rb),
//         h[t] = (1 - f(z)) g(n) + f(z) h[t-1]
//   rnn   h[t] = f(xw[t] + h[t-1] r)
//
// The state is a stage with a sequential axis; the sums over h[t-1] are stages that read it one step back. Time runs
// backwards for `reverse`: step t works on position seq - 1 - t. Behind the end of a shorter sequence the state stays
// and y is 0, which for the reverse direction means that such a sequence starts late.
#include "lowering.h"

namespace cameo::ops {
namespace {

class Recurrence {
public:
  Recurrence(Lowering &l, const graph::Node &node) : l_(l), node_(node) {
    const graph::Type &xw = node.operand(0)->type();
    kind_ = node.string("kind");
    hidden_ = node.operand(1)->type().dim(0).value();
    seq_ = xw.dim(0);
    batch_ = xw.dim(1);
    t_ = loop::compute_type(xw.dtype());
    dtype_ = xw.dtype();
    time_ = loop::axis_index(0);
    if (node.flag("reverse")) time_ = l.offset(loop::axis_index(0, -1, -1), seq_);
  }

  Problem run() {
    const bool gru = kind_ == "gru", lstm = kind_ == "lstm";
    const bool before_reset = gru && !node_.flag("linear_before_reset");
    cell_ = lstm ? 0 : -1;
    hidden_component_ = lstm ? 1 : 0;
    state_ = static_cast<int32_t>(l_.kernel().stages.size()) + (gru ? (before_reset ? 3 : 2) : 1);
    const int64_t n = hidden_;
    const ExprId from_input = read_gates(0);
    gates_ = sum("gates", node_.operand(1), (lstm ? 4 : gru ? 2 : 1) * n, from_input, previous(hidden_component_, 3));
    ExprId h = -1, c = -1;
    if (lstm) {
      std::tie(c, h) = lstm_step();
    } else if (gru) {
      if (before_reset) {
        loop::Stage reset = l_.stage(step_space(), "reset");
        reset.types = {t_};
        reset.next = {l_.op(Opcode::mul, activate(0, gate(gates_, 1)), previous(0, 2))};
        const int32_t number = l_.add_stage(std::move(reset));
        const ExprId at =
            l_.kernel().read_stage(number, {loop::axis_index(0), loop::axis_index(1), loop::axis_index(3)});
        candidate_ = sum("candidate", node_.operand(2), n, read_gates(2 * n), at);
      } else {
        const graph::Value *bias = node_.operand(3);
        const ExprId start = bias ? as_compute(bias, {loop::axis_index(2)}) : l_.number(t_, 0);
        candidate_ = sum("candidate", node_.operand(2), n, start, previous(0, 3));
      }
      h = gru_step(before_reset);
    } else {
      h = activate(0, gate(gates_, 0));
    }
    add_state(c, h);
    return {};
  }

private:
  // Axes of a step's stages: t, batch, column; the reduction is the last of its stage.
  Space step_space() {
    Space s;
    s.axes = {{"t", l_.extent(seq_), AxisKind::parallel},
              {"b", l_.extent(batch_), AxisKind::parallel},
              {"j", hidden_, AxisKind::parallel}};
    return s;
  }

  ExprId as_compute(const graph::Value *v, std::vector<Index> indices) {
    return convert(l_, l_.read(v, std::move(indices)), v->type().dtype(), t_);
  }

  // xw at the position of the step, column `first` + the column of the stage.
  ExprId read_gates(int64_t first) {
    return as_compute(node_.operand(0), {time_, loop::axis_index(1), loop::axis_index(2, 1, first)});
  }

  // The state one step back, its column being an axis of the reading stage.
  ExprId previous(int32_t component, int32_t column) {
    loop::Expr e;
    e.kind = loop::Expr::Kind::stage;
    e.type = t_;
    e.source = state_;
    e.component = component;
    e.indices = {loop::axis_index(0, 1, -1), loop::axis_index(1), loop::axis_index(column)};
    l_.kernel().exprs.push_back(std::move(e));
    return static_cast<ExprId>(l_.kernel().exprs.size()) - 1;
  }

  // start + sum over k of x[k] w[k, column]
  int32_t sum(const char *name, const graph::Value *w, int64_t columns, ExprId start, ExprId x) {
    Space space = step_space();
    space.axes[2] = {"g", columns, AxisKind::parallel};
    loop::Stage s = l_.stage(space, name);
    Lowering::add_reduction(s, "k", hidden_);
    s.types = {t_};
    s.init = {start};
    s.next = {
        l_.op(Opcode::muladd, x, as_compute(w, {loop::axis_index(3), loop::axis_index(2)}), l_.kernel().carried(t_))};
    s.combine = Opcode::add;
    return l_.add_stage(std::move(s));
  }

  ExprId gate(int32_t stage, int64_t number) {
    return l_.kernel().read_stage(stage,
                                  {loop::axis_index(0), loop::axis_index(1), loop::axis_index(2, 1, number * hidden_)});
  }

  // Activation number `i` of a value that clip bounds before.
  ExprId activate(size_t i, ExprId x) { return activation(i, clipped(x)); }

  ExprId clipped(ExprId x) {
    if (!node_.has_attribute("clip")) return x;
    const double bound = node_.real_or("clip", 0);
    return *elementwise(l_, graph::Fn::clip, dtype_, {x, l_.number(t_, -bound), l_.number(t_, bound)}, 0, 0);
  }

  ExprId activation(size_t i, ExprId x) {
    using graph::Fn;
    const std::string &name = node_.strings("activations")[i];
    const double alpha = node_.has_attribute("alphas") ? node_.reals("alphas")[i] : 0;
    const double beta = node_.has_attribute("betas") ? node_.reals("betas")[i] : 0;
    auto times = [&](double factor, ExprId e) { return l_.op(Opcode::mul, l_.number(t_, factor), e); };
    if (name == "affine") return l_.op(Opcode::add, times(alpha, x), l_.number(t_, beta));
    if (name == "scaledtanh") return times(alpha, l_.op(Opcode::tanh, times(beta, x)));
    static constexpr std::pair<std::string_view, Fn> functions[] = {
        {"relu", Fn::relu},         {"tanh", Fn::tanh},
        {"sigmoid", Fn::sigmoid},   {"leakyrelu", Fn::leaky_relu},
        {"elu", Fn::elu},           {"thresholdedrelu", Fn::thresholded_relu},
        {"softsign", Fn::softsign}, {"hardsigmoid", Fn::hard_sigmoid},
        {"softplus", Fn::softplus}};
    for (const auto &[known, fn] : functions)
      if (name == known) return *elementwise(l_, fn, dtype_, {x}, alpha, beta);
    CAMEO_UNREACHABLE("activation " + name);
  }

  std::pair<ExprId, ExprId> lstm_step() {
    const ExprId before = previous(0, 2);
    auto with_peephole = [&](int64_t number, ExprId x, ExprId cell) {
      const graph::Value *p = node_.operand(7);
      if (!p) return x;
      return l_.op(Opcode::muladd, as_compute(p, {loop::axis_index(2, 1, number * hidden_)}), cell, x);
    };
    const ExprId input = activate(0, with_peephole(0, gate(gates_, 0), before));
    const ExprId forget = node_.flag("input_forget") ? l_.op(Opcode::sub, l_.number(t_, 1), input)
                                                     : activate(0, with_peephole(2, gate(gates_, 2), before));
    const ExprId kept = l_.op(Opcode::mul, forget, before);
    const ExprId cell = l_.op(Opcode::muladd, input, activate(1, gate(gates_, 3)), kept);
    const ExprId output = activate(0, with_peephole(1, gate(gates_, 1), cell));
    return {cell, l_.op(Opcode::mul, output, activation(2, cell))};
  }

  ExprId gru_step(bool before_reset) {
    ExprId sum = gate(candidate_, 0);
    if (!before_reset) sum = l_.op(Opcode::muladd, activate(0, gate(gates_, 1)), sum, read_gates(2 * hidden_));
    const ExprId update = activate(0, gate(gates_, 0)), fresh = activate(1, sum);
    // (1 - z) n + z h
    return l_.op(Opcode::muladd, update, l_.op(Opcode::sub, previous(0, 2), fresh), fresh);
  }

  // The state after the step, y, and the last states.
  void add_state(ExprId c, ExprId h) {
    Space space = step_space();
    space.axes[0].kind = AxisKind::sequential;
    loop::Stage s = l_.stage(space, "state");
    ExprId y = h;
    if (const graph::Value *lengths = node_.operand(4)) {
      const ExprId length = convert(l_, l_.read(lengths, {loop::axis_index(1)}), lengths->type().dtype(), Scalar::i64);
      const ExprId inside = l_.op(Opcode::lt, l_.index_value(time_), length);
      y = l_.select(inside, h, l_.number(t_, 0));
      h = l_.select(inside, h, previous(hidden_component_, 2));
      if (c >= 0) c = l_.select(inside, c, previous(0, 2));
    }
    auto add = [&](ExprId next, const graph::Value *start) {
      s.types.push_back(t_);
      s.next.push_back(next);
      s.before.push_back(start ? as_compute(start, {Index{}, loop::axis_index(1), loop::axis_index(2)})
                               : l_.number(t_, 0));
      return static_cast<int32_t>(s.types.size()) - 1;
    };
    if (c >= 0) add(c, node_.operand(6));
    int32_t result = add(h, node_.operand(5));
    if (y != h) result = add(y, nullptr);
    CAMEO_CHECK(l_.add_stage(std::move(s)) == state_, "stage order");
    space.dims = {time_, Index{}, loop::axis_index(1), loop::axis_index(2)};
    l_.define(node_.result(0), state_, result, space);
    if (node_.result_count() < 2) return;

    Space last_space;
    last_space.axes = {{"b", l_.extent(batch_), AxisKind::parallel}, {"j", hidden_, AxisKind::parallel}};
    loop::Stage last = l_.stage(last_space, "last");
    const Index end = l_.offset(Index{{}, -1, -1}, seq_);
    for (size_t r = 1; r < node_.result_count(); ++r) {
      const int32_t component = r == 1 ? hidden_component_ : cell_;
      last.types.push_back(t_);
      last.next.push_back(l_.kernel().read_stage(state_, {end, loop::axis_index(0), loop::axis_index(1)}, component));
    }
    const int32_t number = l_.add_stage(std::move(last));
    last_space.dims = {Index{}, loop::axis_index(0), loop::axis_index(1)};
    for (size_t r = 1; r < node_.result_count(); ++r)
      l_.define(node_.result(r), number, static_cast<int32_t>(r) - 1, last_space);
  }

  Lowering &l_;
  const graph::Node &node_;
  std::string kind_;
  int64_t hidden_ = 0;
  graph::Dim seq_, batch_;
  Scalar t_ = Scalar::f32;
  DType dtype_ = DType::f32;
  Index time_;
  int32_t cell_ = -1, hidden_component_ = 0; ///< components of the state
  int32_t state_ = -1, gates_ = -1, candidate_ = -1;
};

} // namespace

Problem lower_rnn(Lowering &l, const graph::Node &node) { return Recurrence(l, node).run(); }

} // namespace cameo::ops
