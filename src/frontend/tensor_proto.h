// TensorProto to data: the one place where the bytes of a model's tensors are checked and decoded.
#pragma once

#include "external_data.h"

#include "cameo/frontend/limits.h"
#include "cameo/ir/constant.h"
#include "cameo/support/result.h"
#include "cameo/support/tensor.h"

#include <memory>
#include <onnx/onnx_pb.h>
#include <span>
#include <string>

namespace cameo::frontend {

/// Where the bytes of a skeleton's tensors are.
struct TensorSource {
  std::span<const std::byte> bytes;  ///< what the skeleton's RawRefs point into
  std::shared_ptr<const void> owner; ///< keeps `bytes` alive; null: data must be copied
  ExternalData *external = nullptr;  ///< null: external data is refused
  Limits limits;
};

/// The tensor as constant data, without a copy where the file has it as the memory wants it. `where` names the tensor.
///
/// Checked before anything is allocated: the type exists (65; 69 when ONNX has it and Cameo not), dims are not negative
/// and their product fits, exactly one data field is filled, and its size is exactly what type and dims need. Values of
/// int32_data must fit the type. A bool other than 0 becomes 1.
Result<graph::Constant> decode_tensor(const onnx::TensorProto &tensor, const TensorSource &source,
                                      const std::string &where);

/// A sparse tensor as the dense one it stands for, at most 16 MiB or 64 times the bytes of its values.
Result<graph::Constant> decode_sparse(const onnx::SparseTensorProto &tensor, const TensorSource &source,
                                      const std::string &where);

/// The dtype of a TensorProto.DataType number: 65 for 0 and numbers ONNX does not define, 69 for types Cameo lacks.
Result<DType> decode_dtype(int64_t number, const std::string &where);

} // namespace cameo::frontend
