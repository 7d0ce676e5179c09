// Private to codegen/: a relocatable object becomes a shared library.
#pragma once

#include "cameo/support/result.h"

#include <cstdint>
#include <string>

namespace cameo::codegen {

/// Links `object` (of merge_objects, with its weights, if any, as WeightsSection::nobits) into a shared library that
/// exports the object's global symbols. Where there are weights, their bytes must follow the result: it ends where they
/// begin. Needs a process without other threads and /proc. Errors: io (no child, killed). A complaint of the linker is
/// our fault: an InternalError with its text.
Result<std::string> link_shared(const std::string &object, const std::string &soname, int64_t weights_size);

} // namespace cameo::codegen
