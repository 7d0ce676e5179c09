#include "quantized.h"

#include <cmath>

namespace cameo::passes {

using namespace graph;

const ConstantData *data_of(const Value *v) {
  const ConstantData *c = v ? v->constant() : nullptr;
  return c && c->available() ? c : nullptr;
}

bool is_byte(DType dtype) { return dtype == DType::u8 || dtype == DType::i8; }

std::optional<PerTensor> per_tensor(const Node &node) {
  const ConstantData *scale = data_of(node.operand(1)), *zero = data_of(node.operand(2));
  if (!scale || scale->count() != 1 || scale->dtype() != DType::f32) return std::nullopt;
  if (node.operand(2) && (!zero || zero->count() != 1 || !is_integer(zero->dtype()))) return std::nullopt;
  const auto s = static_cast<float>(scale->as_double(0));
  if (!(s > 0) || std::isinf(s)) return std::nullopt;
  return PerTensor{s, zero ? zero->as_int(0) : 0};
}

std::optional<Dequantized> dequantized(const Value *v) {
  const Node *node = v ? v->producer() : nullptr;
  if (!node || !node->is(Op::dequantize) || v->type().dtype() != DType::f32) return std::nullopt;
  if (!is_byte(node->operand()->type().dtype()) || node->operand()->constant()) return std::nullopt;
  const auto by = per_tensor(*node);
  if (!by) return std::nullopt;
  return Dequantized{node->operand(), *by};
}

} // namespace cameo::passes
