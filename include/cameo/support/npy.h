// NumPy's .npy files, versions 1.0 to 3.0 (numpy.lib.format). The header is parsed as the fixed dictionary that NumPy
// writes, never evaluated; sizes are checked against the bytes that are there before anything is allocated.
//
// Types: every NumPy number and bool, `<U` and `|S` strings, both byte orders, C and Fortran order. What NumPy lacks is
// written as its nearest raw form: bf16 and f8 as void (`|V2`, `|V1`, as ml_dtypes does), 4- and 2-bit integers one per
// byte.
#pragma once

#include "cameo/support/result.h"
#include "cameo/support/tensor.h"

#include <span>

namespace cameo {

/// `where` is for messages. `wanted`: the dtype that the reader expects, used only to interpret raw forms (`|V2` as
/// bf16, bytes as packed i4); a plain NumPy type is returned as it is. Errors: bad_model, one line.
Result<Tensor> parse_npy(std::span<const std::byte> bytes, const std::string &where,
                         std::optional<DType> wanted = std::nullopt);

/// The bytes of a .npy file (version 1.0, or 3.0 where the header needs it), C order, little endian, data aligned
/// to 64.
std::vector<std::byte> print_npy(const Tensor &tensor);

} // namespace cameo
