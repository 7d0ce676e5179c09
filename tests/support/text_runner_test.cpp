// The runner of text tests must be able to fail: each directive once met and once not.
#include "text_runner.h"

#include <gtest/gtest.h>

using namespace cameo;

namespace {

// Output is the text itself without comments; a line that begins with `fail` is an error at that line.
Result<std::string> strip(const std::string &text, const std::string &file, const std::string &run) {
  std::string out = run.empty() ? "" : "run " + run + "\n";
  size_t number = 1;
  for (size_t at = 0; at < text.size(); ++number) {
    size_t end = text.find('\n', at);
    std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line.starts_with("fail"))
      return Diagnostic{ExitCode::bad_model, file + ":" + std::to_string(number) + ":1", "it failed"};
    out += line.substr(0, line.find("//")) + "\n";
  }
  return out;
}

size_t failures(const std::string &text) { return test::check_text(text, "t", strip).size(); }

TEST(TextRunner, ChecksFollowEachOther) {
  EXPECT_EQ(failures("a // check: a\nb // check: b\n"), 0u);
  EXPECT_EQ(failures("b // check: a\na // check: b\n"), 1u);
  EXPECT_EQ(failures("a // check: c\n"), 1u);
  EXPECT_EQ(failures("a   1 // check: a 1\n"), 0u);
  EXPECT_EQ(failures("a 17 // check: a {{[0-9]+}}\n"), 0u);
  EXPECT_EQ(failures("a x // check: a {{[0-9]+}}\n"), 1u);
}

TEST(TextRunner, NextAndNot) {
  EXPECT_EQ(failures("a // check: a\nb // check-next: b\n"), 0u);
  EXPECT_EQ(failures("a // check: a\nx\nb // check-next: b\n"), 1u);
  EXPECT_EQ(failures("a // check: a\n// check-not: b\nb\nc // check: c\n"), 1u);
  EXPECT_EQ(failures("b // check: b\n// check-not: b\nc // check: c\n"), 0u);
  EXPECT_EQ(failures("// check-not: z\nb\n"), 0u);
  EXPECT_EQ(failures("// check-not: b\nb\n"), 1u);
}

TEST(TextRunner, Errors) {
  EXPECT_EQ(failures("ok\nfail // error: it failed\n"), 0u);
  EXPECT_EQ(failures("ok // error: it failed\nfail\n"), 2u) << "the line differs: not met, and unexpected";
  EXPECT_EQ(failures("fail // error: other\n"), 2u);
  EXPECT_EQ(failures("ok // error: it failed\n"), 1u);
  EXPECT_EQ(failures("fail // check: ok\n"), 2u);
}

TEST(TextRunner, SectionsKeepLineNumbersAndRunLine) {
  EXPECT_EQ(
      failures("// run: p,q\na // check: run p,q\n// -----\nfail // error: it failed\n// -----\nb // check: run p,q\n"),
      0u);
  EXPECT_EQ(failures("a // check: a\n// -----\nb\n"), 1u) << "a section without directives";
}

} // namespace
