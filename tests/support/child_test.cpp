// Children: results, crashes, hangs, floods.
#include "cameo/support/child.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <stdexcept>
#include <unistd.h>

namespace cameo {
namespace {

using End = ChildResult::End;

TEST(Child, ReturnsItsResultAndItsMessages) {
  auto r = run_in_child([] {
    std::fputs("warned", stderr);
    return std::string(300000, 'x'); // more than a pipe holds
  });
  EXPECT_EQ(r->end, End::exited);
  EXPECT_EQ(r->code, 0);
  EXPECT_EQ(r->result, std::string(300000, 'x'));
  EXPECT_EQ(r->errors, "warned");
}

TEST(Child, ACrashIsAResult) {
  auto r = run_in_child([]() -> std::string {
    signal(SIGABRT, SIG_DFL);
    std::abort();
  });
  EXPECT_EQ(r->end, End::signaled);
  EXPECT_EQ(describe(*r, {}), "killed by signal 6 (Aborted)");
}

TEST(Child, AnExceptionIsExitCode70) {
  auto r = run_in_child([]() -> std::string { throw std::runtime_error("no luck"); });
  EXPECT_EQ(r->end, End::exited);
  EXPECT_EQ(r->code, 70);
  EXPECT_EQ(r->errors, "no luck\n");
}

TEST(Child, AHangEndsAtTheLimitWithItsOwnChildren) {
  int alive[2]; // its writing end is open as long as any descendant lives
  ASSERT_EQ(pipe2(alive, O_CLOEXEC), 0);
  ChildLimits limits;
  limits.seconds = 0.2;
  auto r = run_in_child(
      []() -> std::string {
        fork();
        for (;;) pause();
      },
      limits);
  close(alive[1]);
  EXPECT_EQ(r->end, End::timed_out);
  EXPECT_EQ(describe(*r, limits), "time limit of 0.2 s exceeded");
  char c;
  EXPECT_EQ(read(alive[0], &c, 1), 0); // blocks for ever if one survived
  close(alive[0]);
}

TEST(Child, AFloodIsCut) {
  ChildLimits limits;
  limits.result_bytes = 1000;
  auto r = run_in_child([] { return std::string(1 << 20, 'x'); }, limits);
  EXPECT_EQ(r->code, 0);
  EXPECT_EQ(r->result.size(), 1000u);
}

TEST(Child, MemoryIsLimited) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer needs the address space";
#else
  ChildLimits limits;
  limits.memory_bytes = 256 << 20;
  auto r = run_in_child([] { return std::to_string(std::string(1 << 30, 'x').size()); }, limits);
  EXPECT_EQ(r->code, 70);
  EXPECT_EQ(r->errors, "std::bad_alloc\n");
#endif
}

TEST(Child, ManyRunAtOnceAndEachReportsOnce) {
  std::vector<int> seen(50);
  size_t crashed = 0;
  auto status = run_in_children(
      seen.size(), 4, {},
      [](size_t i) {
        if (i % 10 == 3) _exit(5);
        return std::to_string(i * i);
      },
      [&](size_t i, ChildResult r) {
        ++seen[i];
        if (r.code == 5)
          ++crashed;
        else
          EXPECT_EQ(r.result, std::to_string(i * i));
      });
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(seen, std::vector<int>(50, 1));
  EXPECT_EQ(crashed, 5u);
}

} // namespace
} // namespace cameo
