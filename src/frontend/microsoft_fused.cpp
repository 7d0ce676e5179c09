// Fused operators of com.microsoft, which ONNX Runtime's optimiser makes: products and convolutions with what follows
// them, activations with a bias. Each is written as its parts again; the passes choose what becomes one kernel.
#include "microsoft.h"
#include "parts.h"

#include <algorithm>

namespace cameo::frontend {
namespace {

struct Activation {
  std::string name; ///< as the operator of the standard
  std::optional<double> alpha, beta, gamma;
};

// Of no activation x itself. Constants that are not given are the standard's defaults.
Value *activate(NodeImport &n, Value *x, const Activation &a) {
  struct Plain {
    std::string_view name;
    Fn fn;
  };
  static constexpr Plain kPlain[] = {{"Relu", Fn::relu},         {"Sigmoid", Fn::sigmoid},   {"Tanh", Fn::tanh},
                                     {"Softplus", Fn::softplus}, {"Softsign", Fn::softsign}, {"Gelu", Fn::gelu}};
  if (a.name.empty() || n.failed()) return n.failed() ? nullptr : x;
  for (const Plain &p : kPlain)
    if (a.name == p.name) return n.map(p.fn, {x});
  if (a.name == "LeakyRelu") return n.map(Fn::leaky_relu, {x}, a.alpha.value_or(double(0.01f)));
  if (a.name == "ThresholdedRelu") return n.map(Fn::thresholded_relu, {x}, a.alpha.value_or(1));
  if (a.name == "Elu") return n.map(Fn::elu, {x}, a.alpha.value_or(1));
  if (a.name == "Selu")
    return n.map(Fn::selu, {x}, a.alpha.value_or(double(1.67326319217681884765625f)),
                 a.gamma.value_or(double(1.05070102214813232421875f)));
  if (a.name == "HardSigmoid")
    return n.map(Fn::hard_sigmoid, {x}, a.alpha.value_or(double(0.2f)), a.beta.value_or(0.5));
  if (a.name == "Clip") {
    if (!a.alpha || !a.beta) return n.fail("Clip without its two bounds");
    const DType dtype = x->type().dtype();
    return n.map(Fn::clip, {x, n.scalar(dtype, *a.alpha), n.scalar(dtype, *a.beta)});
  }
  return n.unsupported("activation '" + escape_name(a.name) + "'");
}

// `activation` and `activation_params`, in the order of the activation.
Activation listed_activation(NodeImport &n) {
  Activation a{n.text("activation"), {}, {}, {}};
  const std::vector<double> given = n.reals("activation_params");
  if (given.size() > 2) n.fail("activation_params has " + std::to_string(given.size()) + " values");
  if (!given.empty()) a.alpha = given[0];
  if (given.size() > 1) a.beta = given[1];
  return a;
}

// `activation` with attributes for its constants.
Activation named_activation(NodeImport &n) {
  Activation a{n.text("activation"), {}, {}, {}};
  if (n.has("activation_alpha")) a.alpha = n.real("activation_alpha", 0.0);
  if (n.has("activation_beta")) a.beta = n.real("activation_beta", 0.0);
  if (n.has("activation_gamma")) a.gamma = n.real("activation_gamma", 0.0);
  return a;
}

constexpr std::string_view kBatch = "abcdefghijlopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"; // without k, m and n

// numpy's matmul where each factor may be stored with its last two axes exchanged, or with its row axis before the
// batch axes (transBatch), and whose product is multiplied with alpha.
Value *fused_matmul(NodeImport &n) {
  Value *a = n.input(0), *b = n.input(1);
  if (!n.ranked(a) || !n.ranked(b)) return nullptr;
  const int ranks[] = {a->type().rank(), b->type().rank()};
  if (ranks[0] == 0 || ranks[1] == 0) return n.fail("a factor is a scalar");
  const size_t batch = size_t(std::max({ranks[0] - 2, ranks[1] - 2, 0}));
  if (batch > kBatch.size()) return n.unsupported("rank " + std::to_string(batch + 2));
  const std::string axes(kBatch.substr(0, batch));
  auto labels = [&](int rank, char row, char column, const char *exchanged, const char *row_first) {
    if (rank == 1) return std::string("k");
    if (n.integer(exchanged, 0) != 0) std::swap(row, column);
    const std::string own = axes.substr(batch - size_t(rank - 2));
    return (n.integer(row_first, 0) != 0 ? std::string(1, row) + own : own + row) + column;
  };
  const std::string equation = labels(ranks[0], 'm', 'k', "transA", "transBatchA") + "," +
                               labels(ranks[1], 'k', 'n', "transB", "transBatchB") + "->" + axes +
                               (ranks[0] > 1 ? "m" : "") + (ranks[1] > 1 ? "n" : "");
  const DType dtype = a->type().dtype();
  Value *y = n.make(Op::contract, {a, b}, with_compute({{"equation", equation}}, dtype));
  const double alpha = n.real("alpha", 1.0);
  return alpha == 1 || n.failed() ? y : n.map(Fn::mul, {y, n.scalar(dtype, alpha)});
}

// x + bias, where the bias lies along the last axis.
Value *with_bias(NodeImport &n, Value *x, Value *bias) {
  if (!bias || !n.ranked(x) || !n.ranked(bias)) return n.failed() ? nullptr : x;
  const Type &t = bias->type();
  if (t.rank() != 1 || x->type().rank() < 1 ||
      (t.dim(0).is_constant() && x->type().dim(-1).is_constant() && t.dim(0) != x->type().dim(-1)))
    return n.fail("bias " + t.str() + " does not fit the last axis of " + x->type().str());
  return n.map(Fn::add, {x, bias});
}

Value *like(NodeImport &n, Value *x, Value *other, const char *what) {
  return n.ranked(x) ? n.with_shape(other, what, x->type().shape()) : nullptr;
}

} // namespace

// X, W, B, Z: activation(conv(X, W) + B + Z)
void import_fused_conv(NodeImport &n) {
  const bool last = n.op().substr(0, 4) == "Nhwc";
  Value *y = convolve(n, last ? channels_first(n, n.input(0)) : n.input(0), n.input(1), n.input(2));
  if (n.has(3) && y) y = n.map(Fn::add, {y, like(n, y, last ? channels_first(n, n.input(3)) : n.input(3), "Z")});
  y = activate(n, y, listed_activation(n));
  n.result(last ? channels_last(n, y) : y);
}

void import_fused_gemm(NodeImport &n) {
  Value *y = gemm(n, n.input(0), n.input(1), n.input(2), n.real("alpha"), n.real("beta"));
  n.result(activate(n, y, named_activation(n)));
}

void import_fused_matmul(NodeImport &n) { n.result(fused_matmul(n)); }

void import_fused_matmul_activation(NodeImport &n) { n.result(activate(n, fused_matmul(n), named_activation(n))); }

void import_gemm_fast_gelu(NodeImport &n) {
  Value *y = with_bias(n, fused_matmul(n), n.input(2));
  n.result(n.map(Fn::gelu_tanh, {y}));
}

// Gelu, BiasGelu, FastGelu (which takes tanh for erf), QuickGelu: x sigmoid(alpha x)
void import_microsoft_gelu(NodeImport &n) {
  if (n.op() == "QuickGelu") return n.result(n.map(Fn::swish, {n.input(0)}, n.real("alpha")));
  Value *x = n.op() == "Gelu" ? n.input(0) : with_bias(n, n.input(0), n.input(1));
  n.result(n.map(n.op() == "FastGelu" ? Fn::gelu_tanh : Fn::gelu, {x}));
}

// x + bias in two halves of the last axis: left * gelu(right)
void import_bias_split_gelu(NodeImport &n) {
  Value *x = with_bias(n, n.input(0), n.input(1));
  if (!n.ranked(x)) return;
  const int64_t axis = x->type().rank() - 1;
  const Dim columns = x->type().dim(-1), half = floordiv(columns, 2);
  if (columns.is_constant() && columns.value() % 2 != 0)
    return void(n.fail(columns.str() + " columns have no two halves"));
  if (!columns.is_constant()) return void(n.unsupported("a number of columns that is not known"));
  n.result(n.map(Fn::mul, {n.slice(x, axis, 0, half), n.map(Fn::gelu, {n.slice(x, axis, half, half)})}));
}

// x + bias + skip
void import_bias_add(NodeImport &n) {
  Value *x = with_bias(n, n.input(0), n.input(1));
  n.result(n.map(Fn::add, {x, like(n, x, n.input(2), "the residual")}));
}

// softmax(x + bias) over the axes from `axis` on.
void import_bias_softmax(NodeImport &n) {
  Value *x = n.input(0), *sum = n.map(Fn::add, {x, n.input(1)});
  if (!n.ranked(x) || !n.ranked(sum)) return;
  sum = n.with_shape(sum, "the sum of input and bias", x->type().shape());
  n.result(softmax(n, sum, n.integer("axis"), true, false));
}

// data, bias, residual, ratio, training_mode: not in training, data + bias + residual.
void import_bias_dropout(NodeImport &n) {
  if (n.has(4)) {
    const auto training = n.ints_of(n.input(4));
    if (!training || training->size() != 1 || (*training)[0] != 0)
      return void(n.unsupported("dropout in training mode"));
  }
  Value *x = n.input(0), *y = n.map(Fn::add, {x, n.input(1)});
  if (n.has(2)) y = n.map(Fn::add, {y, n.input(2)});
  if (!n.ranked(y) || !n.ranked(x)) return;
  n.result(0, n.with_shape(y, "the sum of input, bias and residual", x->type().shape()));
  if (n.wants(1)) n.result(1, n.broadcast(n.scalar_int(DType::boolean, 1), x->type().shape()));
}

} // namespace cameo::frontend
