// Tables in registers: functions of a byte, which the passes over quantised tensors make.
#include "lowerer.h"

#include <algorithm>

namespace cameo::loop {

// A table of 256 bytes at a position that is a byte: in registers, where four of them hold the table.
Value Lowerer::look_up(const Expr &e, Context &context) {
  const KernelBuffer &buffer = kernel_.buffers[e.source];
  const Binding &binding = bindings_[e.source];
  if (buffer.role != BufferRole::constant || bits(buffer.dtype) != 8 || is_float(buffer.dtype) ||
      buffer.dims.size() != 1 || buffer.dims[0] != Extent(256) || e.indices[0].indirect < 0 ||
      !e.indices[0].axes.empty() || e.indices[0].constant != 0 || binding.offset != 0 || binding.terms.size() != 1 ||
      binding.terms[0].stride != 1 || binding.terms[0].divide != 1 || binding.terms[0].modulo != 0)
    return {};
  const Expr &position = kernel_.expr(e.indices[0].indirect);
  if (position.kind != Expr::Kind::op || position.op != Opcode::zext ||
      kernel_.expr(position.args[0]).type != Scalar::i8)
    return {};
  Value at = eval(position.args[0], context);
  const int32_t lanes = b_.type(at).lanes;
  if (target_.vector_bits < 512 || lanes < 4 || lanes > 16) return {};
  auto resized = [&](Value v, int32_t from, int32_t to) {
    if (from == to) return v;
    std::vector<int32_t> mask(static_cast<size_t>(to), -1);
    for (int32_t i = 0; i < std::min(from, to); ++i) mask[static_cast<size_t>(i)] = i;
    return shared({-11, to}, {v}, [&] { return b_.shuffle(v, v, mask); });
  };
  std::vector<Value> operands;
  for (int64_t quarter = 0; quarter < 4; ++quarter) {
    Point bytes;
    bytes.lanes = 64;
    operands.push_back(load_lanes(buffers_[e.source], Scalar::i8, {Affine(64 * quarter), 1, {}}, bytes, -1, 64));
  }
  operands.push_back(resized(at, lanes, 16));
  Value found = shared({-12}, operands, [&] { return b_.target("lookup256", {Scalar::i8, 16, false}, operands); });
  return resized(found, 16, lanes);
}

} // namespace cameo::loop
