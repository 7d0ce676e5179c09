// How far a result may be from an expected one: one table, each row with its reason.
#pragma once

#include "cameo/frontend/frontend.h"
#include "cameo/support/tensor.h"

#include <optional>
#include <string>
#include <string_view>

namespace cameo::driver {

/// What of a model decides how far two correct engines may differ.
struct ModelTraits {
  bool conv_net = false;  ///< several convolutions after each other
  bool quantized = false; ///< several operators that round to 8 bits and less
  bool deep = false;      ///< quantised a hundred times and more
  bool f16 = false;       ///< some value is stored in f16
  bool bf16 = false;
  bool recurrent = false; ///< several recurrent layers after each other
  bool fourier = false;   ///< a Fourier transform
  bool random = false;    ///< some value is drawn
};
ModelTraits traits_of(const frontend::Model &model);

/// An element passes when |actual - expected| <= atol + range * R + rtol * |expected|, where R is the largest
/// |expected| of the tensor; the tensor also passes when |actual - expected|_2 <= l2 * |expected|_2. NaN equals NaN.
struct Tolerance {
  std::string_view name;
  double rtol, atol, range, l2;
  std::string_view reason;
  bool shape_only = false; ///< elements are not compared
  bool exact() const { return !shape_only && rtol == 0 && atol == 0 && range == 0 && l2 == 0; }
};
const Tolerance &tolerance_for(const ModelTraits &traits, DType output);

/// `rtol 0.001, atol 1e-07`; `exact`.
std::string text(const Tolerance &tolerance);

/// Nullopt when `actual` is as expected, else what differs, in one line.
std::optional<std::string> difference(const Tensor &actual, const Tensor &expected, const Tolerance &tolerance);

} // namespace cameo::driver
