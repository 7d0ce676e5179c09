#include "cameo/support/nearest.h"

#include <gtest/gtest.h>

namespace cameo {
namespace {

TEST(Nearest, FindsTypingMistakesOnly) {
  const std::string_view verbs[] = {"compile", "run", "test", "bench"};
  EXPECT_EQ(nearest("compiel", verbs), "compile"); // swapped neighbours count once
  EXPECT_EQ(nearest("tset", verbs), "test");
  EXPECT_EQ(nearest("bnch", verbs), "bench");
  EXPECT_EQ(nearest("rum", verbs), "run");
  EXPECT_EQ(nearest("optimise", verbs), "");
  EXPECT_EQ(nearest("", verbs), "");
  EXPECT_EQ(nearest(std::string(100000, 'x'), verbs), "");
  EXPECT_EQ(did_you_mean("runn", verbs), ", did you mean 'run'?");
  EXPECT_EQ(did_you_mean("quantize", verbs), "");
}

} // namespace
} // namespace cameo
