// A dense tensor in host memory: what files hold and what a compiled model reads and writes. Not a value of any IR.
#pragma once

#include "cameo/support/dtype.h"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace cameo {

/// Row-major elements, little endian, packed as the dtype says (dtype.h). The invariant that readers of files
/// establish: data.size() == byte_size(dtype, element_count(shape)); for DType::string `data` is empty and `strings`
/// has the elements.
struct Tensor {
  DType dtype = DType::f32;
  std::vector<int64_t> shape; ///< every dim >= 0; empty: a scalar
  std::vector<std::byte> data;
  std::vector<std::string> strings; ///< UTF-8 by convention, not checked

  template <class T> const T *as() const { return reinterpret_cast<const T *>(data.data()); }
  template <class T> T *as() { return reinterpret_cast<T *>(data.data()); }
};

/// Product of the dims (1 for a scalar); nullopt when a dim is negative or the product overflows int64.
std::optional<int64_t> element_count(const std::vector<int64_t> &shape);

/// `f32[1,3,224,224]`; `f32` for a scalar.
std::string type_text(DType dtype, const std::vector<int64_t> &shape);

/// Element `index` as text: shortest decimal form that reads back (floats), `nan`, `inf`, integers, `true`, quoted
/// strings,
/// `(re,im)`. The index must be in range.
std::string element_text(const Tensor &tensor, int64_t index);

/// Element `index` as a double: exact for every real type up to 53 significant bits; the real part of complex elements.
/// Not for strings.
double element_value(const Tensor &tensor, int64_t index);

} // namespace cameo
