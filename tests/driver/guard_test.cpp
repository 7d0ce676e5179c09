// The boundary: whatever escapes becomes one line and a documented exit code.
#include "cameo/driver/driver.h"

#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

namespace cameo::driver {
namespace {

std::pair<int, std::string> ended(const std::function<Result<int>()> &body) {
  ::testing::internal::CaptureStderr();
  const int code = guarded(body);
  return {code, ::testing::internal::GetCapturedStderr()};
}

TEST(Guarded, PassesTheExitCode) {
  EXPECT_EQ(ended([] { return Result<int>(1); }), std::pair(1, std::string()));
}

TEST(Guarded, PrintsEveryProblemAndTheMostSevereDecides) {
  const auto body = []() -> Result<int> {
    return Diagnostics{{ExitCode::bad_model, "a.onnx", "is empty"}, {ExitCode::io, "", "cannot start a child"}};
  };
  EXPECT_EQ(ended(body), std::pair(74, std::string("cameo: a.onnx: is empty\ncameo: cannot start a child\n")));
}

TEST(Guarded, ExceptionsAreOneLine) {
  EXPECT_EQ(ended([]() -> Result<int> { throw std::runtime_error("two\nlines"); }),
            std::pair(70, std::string("cameo: internal error: two lines\n")));
  EXPECT_EQ(ended([]() -> Result<int> { throw std::bad_alloc(); }),
            std::pair(74, std::string("cameo: not enough memory\n")));
  EXPECT_EQ(ended([]() -> Result<int> { throw 5; }),
            std::pair(70, std::string("cameo: internal error: an exception of unknown type\n")));
  const auto failed = ended([]() -> Result<int> {
    CAMEO_CHECK(1 + 1 == 3, "arithmetic");
    return 0;
  });
  EXPECT_EQ(failed.first, 70);
  EXPECT_NE(failed.second.find("guard_test.cpp"), std::string::npos);
  EXPECT_NE(failed.second.find("1 + 1 == 3: arithmetic\n"), std::string::npos) << failed.second;
}

TEST(Emit, NamesAndSuffixesGoTogether) {
  for (Emit emit : {Emit::so, Emit::a, Emit::obj, Emit::assembly, Emit::llvm, Emit::graph, Emit::loops}) {
    EXPECT_EQ(emit_from_name(name(emit)), emit);
    EXPECT_EQ(emit_from_path("dir.x/model" + std::string(suffix(emit))), emit);
    EXPECT_EQ(emit_from_path(suffix(emit)), std::nullopt); // a hidden file, not a suffix
  }
  EXPECT_EQ(emit_from_name("dll"), std::nullopt);
  EXPECT_EQ(emit_from_path("model"), std::nullopt);
}

} // namespace
} // namespace cameo::driver
