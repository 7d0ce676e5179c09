// What the passes over quantised tensors recognise: reals that stand for integers of 8 bits and one scale. Private to
// passes/.
#pragma once

#include "cameo/ir/graph.h"

#include <optional>

namespace cameo::passes {

/// Scale and zero point of a quantize or dequantize node, where they are one constant each for the whole tensor.
struct PerTensor {
  float scale = 1;
  int64_t zero = 0;
  friend bool operator==(const PerTensor &, const PerTensor &) = default;
};
std::optional<PerTensor> per_tensor(const graph::Node &node);

/// v = (x - zero) * scale in f32, x of 8 bits and not a constant.
struct Dequantized {
  graph::Value *x = nullptr;
  PerTensor by;
};
std::optional<Dequantized> dequantized(const graph::Value *v);

/// The data of a constant at hand, else null.
const graph::ConstantData *data_of(const graph::Value *v);

/// i8 or u8.
bool is_byte(DType dtype);

} // namespace cameo::passes
