#include "tolerance.h"

#include "cameo/ir/graph.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

namespace cameo::driver {

namespace {

constexpr Tolerance kExact = {"exact", 0, 0, 0, 0, "nothing is rounded, or the standard says how"};
constexpr Tolerance kDefault = {"default", 1e-3, 1e-7, 0, 0, "the bound of ONNX's own backend tests"};
constexpr Tolerance kF16 = {"f16", 2.5e-3, 1e-3, 0, 0, "two roundings to 11 bits; ONNX Runtime's own bound"};
constexpr Tolerance kBf16 = {"bf16", 2e-2, 1e-2, 0, 0, "two roundings to 8 bits; ONNX Runtime's own bound"};
constexpr Tolerance kConvNet = {
    "conv net", 1e-2, 0,
    1e-4,       1e-4, "Winograd and other orders of summation differ by that much between correct engines"};
constexpr Tolerance kRecurrent = {
    "recurrent", 1e-4, 1e-5, 0, 0, "a state goes round through every step; ONNX Runtime's own bound for whole models"};
constexpr Tolerance kFourier = {"Fourier transform",
                                1e-3,
                                1e-7,
                                1e-6,
                                0,
                                "each element is a sum over the whole axis, and rounded as the largest of them"};
constexpr Tolerance kRandom = {
    "random", 0, 0, 0, 0, "the standard leaves the generator open: only type and shape are compared", true};
constexpr Tolerance kF16Inside = {"f16 inside", 1e-2, 0,
                                  5e-3,         5e-3, "an f16 value between layers is rounded or not, by fusion"};
constexpr Tolerance kQuantized = {
    "quantised", 0, 0, 0, 2e-2, "one requantisation that rounds the other way moves what follows by a step"};
// A quotient that lies next to a tie is rounded by the noise of an f32 sum; each layer behind it doubles the
// differences. The fused and unfused forms of ONNX Runtime 1.30 are 0.077 apart on a YOLOX with 364 requantisations.
constexpr Tolerance kDeepQuantized = {
    "deep quantised", 0, 0, 0, 1e-1, "a requantisation that rounds the other way is amplified by a hundred layers"};
constexpr Tolerance kQuantizedOutput = {"quantised output", 0, 1, 0, 2e-2, "as quantised; one step of the output"};

} // namespace

ModelTraits traits_of(const frontend::Model &model) {
  ModelTraits traits;
  int64_t convolutions = 0, quantizers = 0, recurrences = 0;
  for (const auto &[op, count] : model.info.op_counts) {
    if (op == "Conv" || op == "ConvTranspose") convolutions += count;
    if (op == "QuantizeLinear" || op == "DynamicQuantizeLinear" || op.starts_with("QLinear")) quantizers += count;
    recurrences += op == "LSTM" || op == "GRU" || op == "RNN" ? count : 0;
    traits.fourier |= op == "DFT" || op == "STFT";
    traits.random |= op == "Bernoulli" || op == "Multinomial" || op.starts_with("Random");
  }
  traits.conv_net = convolutions >= 2;
  traits.recurrent = recurrences >= 2;
  traits.quantized = quantizers >= 2;
  traits.deep = quantizers >= 100;
  auto note = [&](const graph::Type &type) {
    if (!type.is_tensor()) return;
    traits.f16 |= type.dtype() == DType::f16;
    traits.bf16 |= type.dtype() == DType::bf16;
  };
  for (const graph::Function &function : model.graph.functions()) {
    for (const graph::Value *argument : function.body->arguments()) note(argument->type());
    for (const graph::Node *node : function.body->nodes())
      for (const graph::Value *result : node->results()) note(result->type());
  }
  return traits;
}

const Tolerance &tolerance_for(const ModelTraits &traits, DType output) {
  if (traits.random) return kRandom;
  if (!is_float(output) && kind(output) != DTypeKind::complex)
    return traits.quantized && is_integer(output) && bits(output) <= 8 ? kQuantizedOutput : kExact;
  if (bits(output) <= 8) return kExact; // f8 and f4 come from casts, whose rounding the standard fixes
  if (traits.quantized) return traits.deep ? kDeepQuantized : kQuantized;
  if (output == DType::bf16 || traits.bf16) return kBf16;
  if (traits.f16 && (traits.conv_net || output != DType::f16)) return kF16Inside;
  if (output == DType::f16) return kF16;
  return traits.conv_net ? kConvNet : traits.recurrent ? kRecurrent : traits.fourier ? kFourier : kDefault;
}

std::string text(const Tolerance &t) {
  if (t.shape_only) return "type and shape";
  if (t.exact()) return "exact";
  std::string out;
  auto add = [&](const char *what, double value) {
    if (value == 0) return;
    char buffer[64];
    std::snprintf(buffer, sizeof buffer, "%s%s %g", out.empty() ? "" : ", ", what, value);
    out += buffer;
  };
  add("rtol", t.rtol);
  add("atol", t.atol);
  add("atol of the range", t.range);
  add("relative L2", t.l2);
  return out;
}

namespace {

std::string place(const std::vector<int64_t> &shape, int64_t index) {
  std::string text;
  for (size_t d = shape.size(); d-- > 0;) {
    text = std::to_string(index % shape[d]) + (text.empty() ? "" : ",") + text;
    index /= shape[d];
  }
  return "[" + text + "]";
}

// Complex tensors as real ones with a last axis of 2.
Tensor as_real(const Tensor &t) {
  Tensor real = t;
  if (kind(t.dtype) == DTypeKind::complex) {
    real.dtype = t.dtype == DType::c64 ? DType::f32 : DType::f64;
    real.shape.push_back(2);
  }
  return real;
}

bool same_element(const Tensor &a, const Tensor &b, int64_t i) {
  if (a.dtype == DType::string) return a.strings[static_cast<size_t>(i)] == b.strings[static_cast<size_t>(i)];
  if (a.dtype == DType::i64 || a.dtype == DType::u64) return a.as<uint64_t>()[i] == b.as<uint64_t>()[i];
  const double x = element_value(a, i), y = element_value(b, i);
  return x == y || (std::isnan(x) && std::isnan(y));
}

} // namespace

std::optional<std::string> difference(const Tensor &actual_, const Tensor &expected_, const Tolerance &t) {
  if (actual_.dtype != expected_.dtype || actual_.shape != expected_.shape)
    return "is " + type_text(actual_.dtype, actual_.shape) + " instead of " +
           type_text(expected_.dtype, expected_.shape);
  if (t.shape_only) return std::nullopt;
  const bool complex = kind(actual_.dtype) == DTypeKind::complex;
  const Tensor real_actual = complex ? as_real(actual_) : Tensor(),
               real_expected = complex ? as_real(expected_) : Tensor();
  const Tensor &actual = complex ? real_actual : actual_, &expected = complex ? real_expected : expected_;
  const int64_t count = *element_count(expected.shape);

  double range = 0, norm = 0, error_norm = 0;
  if (!t.exact())
    for (int64_t i = 0; i < count; ++i) {
      const double e = element_value(expected, i), d = element_value(actual, i) - e;
      if (std::isfinite(e)) range = std::max(range, std::abs(e));
      norm += e * e;
      error_norm += d * d;
    }
  if (t.l2 > 0 && std::sqrt(error_norm) <= t.l2 * std::sqrt(norm)) return std::nullopt; // false where there is a NaN

  int64_t wrong = 0, first = 0;
  double worst = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (same_element(actual, expected, i)) continue;
    if (actual.dtype != DType::string && !t.exact()) {
      const double e = element_value(expected, i), d = std::abs(element_value(actual, i) - e);
      if (d <= t.atol + t.range * range + t.rtol * std::abs(e) && std::isfinite(e)) continue;
      worst = std::max(worst, d);
    }
    if (wrong++ == 0) first = i;
  }
  if (wrong == 0) return std::nullopt;
  std::string out = std::to_string(wrong) + " of " + std::to_string(count) + " elements differ, first at " +
                    place(expected.shape, first) + ": " + element_text(actual, first) + " instead of " +
                    element_text(expected, first);
  if (worst > 0) {
    char buffer[96];
    std::snprintf(buffer, sizeof buffer, ", by at most %g", worst);
    out += buffer;
    if (t.l2 > 0 && norm > 0) {
      std::snprintf(buffer, sizeof buffer, ", relative L2 %.2g", std::sqrt(error_norm / norm));
      out += buffer;
    }
  }
  return out + " (" + text(t) + ")";
}

} // namespace cameo::driver
