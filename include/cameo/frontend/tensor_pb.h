// Values in ONNX's own files, as test data comes: input_0.pb is a TensorProto, or a SequenceProto or OptionalProto
// where the model's input is one. The kind does not stand in the file: the reader says what it expects.
#pragma once

#include "cameo/frontend/limits.h"
#include "cameo/ir/type.h"
#include "cameo/support/result.h"
#include "cameo/support/tensor.h"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace cameo::frontend {

/// A tensor, a sequence of values, an optional (no or one element), or a map (keys and as many elements).
struct PbValue {
  graph::TypeKind kind = graph::TypeKind::tensor;
  Tensor tensor;                 ///< of kind tensor
  std::vector<PbValue> elements; ///< of the other kinds
  Tensor keys;                   ///< of kind map: a vector of integers or strings
};

/// Reads a TensorProto. The dims and the amount of data are checked before anything is allocated. Errors: 66 missing,
/// 65 malformed, external data or a type that Cameo lacks.
Result<Tensor> read_tensor_pb(const std::string &path);
Result<Tensor> parse_tensor_pb(std::span<const std::byte> bytes, const std::string &where);

/// Reads a value of the kind of `type` (its dtype and shape are not compared).
Result<PbValue> read_value_pb(const std::string &path, const graph::Type &type);
Result<PbValue> parse_value_pb(std::span<const std::byte> bytes, const graph::Type &type, const std::string &where);

/// The bytes of a TensorProto with that name; raw_data, or string_data for strings.
std::string print_tensor_pb(const Tensor &tensor, const std::string &name);
std::string print_value_pb(const PbValue &value, const std::string &name);

/// Replaces the file at `path` (through a temporary). Errors: 73, 74.
Status write_tensor_pb(const std::string &path, const Tensor &tensor, const std::string &name);

} // namespace cameo::frontend
