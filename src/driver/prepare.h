// From a model or a library to something that can run: what run and bench have in common.
#pragma once

#include "compile.h"
#include "library.h"
#include "values.h"

namespace cameo::driver {

struct Prepared {
  std::unique_ptr<Compiled> compiled; ///< when options.model is a model: the library's weights live in it
  Library library;
  std::vector<PortInfo> inputs, outputs; ///< as the library has them
  std::vector<Tensor> tensors;           ///< one per input, of sequences and optionals one per part
  std::vector<std::string> notes;
};

/// Options that compile do nothing for a library. Errors: usage.
Status check_library_options(const Options &options);
Diagnostic compiled_already(const Options &options, const char *option);

/// Opens the library, or compiles the model with every symbol fixed (given, taken from the input files, or 1), and
/// makes the inputs.
Result<Prepared> prepare(const Options &options);

} // namespace cameo::driver
