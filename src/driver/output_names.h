// What `compile -o` means: the kind of output, the names of the files, and the rule of make that says what they
// depend on.
#pragma once

#include "cameo/driver/driver.h"

namespace cameo::driver {

/// The files of one compilation.
struct OutputNames {
  Emit emit = Emit::so;
  bool to_stdout = false; ///< `-o -`: text for stdout, no files
  std::string output;     ///< the artefact
  std::string header;     ///< beside it; empty when there is nothing to link
  std::string stem;       ///< of both: what the C prefix is made from
};

/// Whether the kind is linked, and so has a header.
bool is_linkable(Emit emit);

/// Errors: usage, when the suffix names no kind (`model.dll`), or a library would go to stdout.
Result<OutputNames> output_names(const Options &options);

/// Whether a folder with this file on the include path hides a header of C or POSIX: `math.h`.
bool hides_system_header(const std::string &header);

/// `target: dependencies`, as make and ninja read it.
std::string dependency_rule(const std::string &target, const std::vector<std::string> &dependencies);

} // namespace cameo::driver
