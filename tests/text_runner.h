// Text tests: a file of text IR with its checks in comments, beside the instructions they are about.
//
//   // run: canonicalize,dead_code        passes to run; nothing after the colon: parse, verify, print
//   graph @g stage canonical {
//     main(%x: f32[2]) {
//       %y = relu %x : f32[2]             // check: %y = relu %x
//       %z = relu %y : f32[2]             // check-not: relu
//       yield %z as "z"                   // check: yield %y
//     }
//   }
//   // -----                              splits a file into sections, each a test; the run line is inherited
//
// check:       the next line of the output that contains the text (blanks count as one; {{...}} holds a regular
// expression) check-next:  the line right after the last match contains it check-not:   no line between the last match
// and the next one (or the end) contains it error:       the section fails with a message that contains the text; when
// the message names a line, it is this one
//
// A section needs at least one directive. All errors must be expected.
#pragma once

#include "cameo/support/result.h"

#include <functional>
#include <string>
#include <vector>

namespace cameo::test {

/// Turns the text of a section into the output to check, or fails with diagnostics. `run` is what stands after `//
/// run:`.
using Transform =
    std::function<Result<std::string>(const std::string &text, const std::string &file, const std::string &run)>;

/// Every failed check as `file:line: what`, with the output; empty when all hold. `text` is the file's content.
std::vector<std::string> check_text(const std::string &text, const std::string &file, const Transform &transform);

/// check_text() on a file; its name in messages is the last component.
std::vector<std::string> check_file(const std::string &path, const Transform &transform);

/// Files of the directory tests/<area> whose names end in `suffix`, sorted; never empty (an empty list would test
/// nothing).
std::vector<std::string> text_tests(const std::string &area, const std::string &suffix);

/// A test's name for a file: its stem, with what GoogleTest does not allow replaced.
std::string test_name(const std::string &path);

} // namespace cameo::test
