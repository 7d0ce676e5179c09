// ai.onnx.preview.training: one step of an optimizer, as arithmetic on each of its n tensors.
//
// The inputs are R (the learning rate), T (the number of steps before), then n tensors X, their n gradients G, and the
// state of each; the outputs are the new X, then the new states. With g = norm_coefficient * X + G:
//
//   Adagrad   H' = H + g^2,  X' = X - R / (1 + T decay) * g / (sqrt(H') + epsilon)
//   Adam      V' = alpha V + (1 - alpha) g,  H' = beta H + (1 - beta) g^2,
//             X' = (1 - post) (X - r V' / (sqrt(H') + epsilon)),  r = R sqrt(1 - beta^T) / (1 - alpha^T), R at T = 0
//   Momentum  V' = alpha V + b g,  X' = X - R V', or X - R (g + alpha V') in the mode `nesterov`; b = beta, 1 at T = 0
#include "training.h"

namespace cameo::frontend {
namespace {

class Optimizer {
public:
  // `states` tensors beside X and G.
  Optimizer(NodeImport &n, size_t states) : n_(n), states_(states) {
    const size_t groups = states + 2, given = n.input_count() - 2;
    if (n.input_count() < 2 + groups || given % groups != 0)
      n.fail("has " + std::to_string(n.input_count()) + " inputs, not 2 and a multiple of " + std::to_string(groups));
    else
      count_ = given / groups;
    if (n.output_count() > count_ * (states + 1))
      n.fail("has " + std::to_string(n.output_count()) + " outputs for " + std::to_string(count_) + " tensors");
    for (size_t i = 0; i < n.input_count(); ++i)
      if (!n.has(i)) n.fail("input " + std::to_string(i) + " is missing");
  }

  // `step` sets state_ and returns the new X.
  template <class Step> void run(Step step) {
    for (at_ = 0; at_ < count_ && !n_.failed(); ++at_) {
      dtype_ = x()->type().dtype();
      gradient_ = add(mul(number("norm_coefficient"), x()), input(1));
      state_.assign(states_, nullptr);
      put(0, step());
      for (size_t s = 0; s < states_; ++s) put(s + 1, state_[s]);
    }
  }

  Value *x() const { return input(0); }
  Value *gradient() const { return gradient_; }
  Value *state(size_t i) const { return input(i + 2); }
  void set_state(size_t i, Value *value) { state_[i] = value; }
  Value *number(const char *attribute) { return number(n_.real(attribute)); }
  Value *number(double value) { return n_.scalar(dtype_, value); }
  Value *rate() { return n_.cast(n_.input(0), dtype_); }
  Value *steps() { return n_.cast(n_.input(1), DType::f64); }
  Value *at_first(Value *first, Value *later) {
    Value *started = n_.map(Fn::less, {n_.scalar_int(DType::i64, 0), n_.cast(n_.input(1), DType::i64)});
    return n_.map(Fn::select, {started, later, first});
  }
  Value *add(Value *a, Value *b) { return n_.map(Fn::add, {a, b}); }
  Value *sub(Value *a, Value *b) { return n_.map(Fn::sub, {a, b}); }
  Value *mul(Value *a, Value *b) { return n_.map(Fn::mul, {a, b}); }
  Value *div(Value *a, Value *b) { return n_.map(Fn::div, {a, b}); }
  Value *square(Value *a) { return mul(a, a); }
  // weight * old + (1 - weight) * now
  Value *average(double weight, Value *old, Value *now) {
    return add(mul(number(weight), old), mul(number(1 - weight), now));
  }
  Value *root(Value *h) { return add(n_.map(Fn::sqrt, {h}), number("epsilon")); }

private:
  Value *input(size_t group) const { return n_.input(2 + group * count_ + at_); }
  void put(size_t group, Value *value) {
    const size_t output = group * count_ + at_;
    if (n_.failed() || output >= n_.output_count() || !n_.wants(output)) return;
    if (!n_.ranked(x()) || !n_.ranked(value)) return;
    n_.result(output, n_.with_shape(value, "the new tensor", x()->type().shape()));
  }

  NodeImport &n_;
  const size_t states_;
  size_t count_ = 0, at_ = 0;
  DType dtype_ = DType::f32;
  Value *gradient_ = nullptr;
  std::vector<Value *> state_;
};

} // namespace

void import_adagrad(NodeImport &n) {
  Optimizer o(n, 1);
  o.run([&] {
    Value *h = o.add(o.state(0), o.square(o.gradient()));
    o.set_state(0, h);
    Value *decay = n.map(Fn::mul, {o.steps(), n.scalar(DType::f64, n.real("decay_factor"))});
    Value *slower = n.cast(n.map(Fn::add, {decay, n.scalar(DType::f64, 1)}), o.x()->type().dtype());
    return o.sub(o.x(), o.div(o.mul(o.div(o.rate(), slower), o.gradient()), o.root(h)));
  });
}

void import_adam(NodeImport &n) {
  Optimizer o(n, 2);
  const double alpha = n.real("alpha"), beta = n.real("beta");
  o.run([&] {
    Value *v = o.average(alpha, o.state(0), o.gradient());
    Value *h = o.average(beta, o.state(1), o.square(o.gradient()));
    o.set_state(0, v);
    o.set_state(1, h);
    auto rest = [&](double base) { // 1 - base^T
      Value *power = n.map(Fn::pow, {n.scalar(DType::f64, base), o.steps()});
      return n.map(Fn::sub, {n.scalar(DType::f64, 1), power});
    };
    Value *factor = n.map(Fn::div, {n.map(Fn::sqrt, {rest(beta)}), rest(alpha)});
    factor = o.at_first(n.scalar(DType::f64, 1), factor);
    Value *rate = o.mul(o.rate(), n.cast(factor, o.x()->type().dtype()));
    Value *x = o.sub(o.x(), o.div(o.mul(rate, v), o.root(h)));
    return o.mul(o.number(1 - n.real("norm_coefficient_post")), x);
  });
}

void import_momentum(NodeImport &n) {
  Optimizer o(n, 1);
  const bool nesterov = n.word("mode", {"standard", "nesterov"}) == "nesterov";
  o.run([&] {
    Value *weight = o.at_first(o.number(1), o.number("beta"));
    Value *v = o.add(o.mul(o.number("alpha"), o.state(0)), o.mul(weight, o.gradient()));
    o.set_state(0, v);
    Value *along = nesterov ? o.add(o.gradient(), o.mul(o.number("alpha"), v)) : v;
    return o.sub(o.x(), o.mul(o.rate(), along));
  });
}

} // namespace cameo::frontend
