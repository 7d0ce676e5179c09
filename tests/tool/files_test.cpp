// Outputs of `cameo compile` as files: rows F01 to F16 of the reliability table, through the command line. (The
// library's own tests, tests/support/files_test.cpp, try the same rows where a command cannot be stopped at the
// interesting moment.)
#include "../support/scratch.h"
#include "onnx_bytes.h"
#include "process.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

namespace {

using namespace cameo::testing;
using Names = std::set<std::string>;

class Files : public ::testing::Test {
protected:
  void SetUp() override { s.write("m.onnx", relu_graph().model()); }
  Ended compile(const std::string &output, const std::function<void()> &in_child = {},
                const std::function<void(pid_t)> &meanwhile = {}) {
    return cameo::testing::cameo({"compile", "m.onnx", "-o", output}, s.path(), in_child, meanwhile);
  }
  bool is_library(const std::string &name) {
    return s.read(name).starts_with("\x7f"
                                    "ELF");
  }
  Scratch s;
};

TEST_F(Files, F01AFailureLeavesTheOldOutput) {
  s.write("out.so", "old");
  s.write("out.h", "old header");
  s.write("bad.onnx", "garbage");
  EXPECT_EQ(cameo::testing::cameo({"compile", "bad.onnx", "-o", "out.so"}, s.path()).code, 65);
  EXPECT_EQ(s.read("out.so"), "old");
  EXPECT_EQ(s.read("out.h"), "old header");
  EXPECT_EQ(compile("out.so").code, 0);
  EXPECT_TRUE(is_library("out.so"));
  EXPECT_NE(s.read("out.h").find("out_run"), std::string::npos);
  EXPECT_EQ(s.names(), (Names{"bad.onnx", "m.onnx", "out.h", "out.so"}));
}

TEST_F(Files, F02ASymbolicLinkIsReplacedNotFollowed) {
  s.write("precious", "old");
  symlink("precious", s.path("out.so").c_str());
  EXPECT_EQ(compile("out.so").code, 0);
  EXPECT_EQ(s.read("precious"), "old");
  EXPECT_TRUE(is_library("out.so"));
}

TEST_F(Files, F03AnInputIsNotReplaced) {
  const std::string model = s.read("m.onnx");
  link(s.path("m.onnx").c_str(), s.path("hard.so").c_str());
  symlink("m.onnx", s.path("link.so").c_str());
  for (const char *output : {"m.onnx", "./m.onnx", "hard.so", "link.so"}) {
    const Ended e = cameo::testing::cameo({"compile", "m.onnx", "-o", output, "--emit", "so"}, s.path());
    EXPECT_EQ(e.code, 73) << output;
    EXPECT_EQ(e.err, "cameo: " + std::string(output) + ": the output would replace an input\n");
  }
  symlink("m.onnx", s.path("x.h").c_str()); // the header beside x.so
  EXPECT_EQ(compile("x.so").code, 73);
  EXPECT_EQ(s.read("m.onnx"), model);
  EXPECT_EQ(s.names(), (Names{"hard.so", "link.so", "m.onnx", "x.h"}));
}

TEST_F(Files, TheSuffixSaysTheKind) {
  const auto compiled = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"compile", "m.onnx"});
    return cameo::testing::cameo(words, s.path());
  };
  for (const char *name : {"x.dll", "x.lib", "x.onnx", "x.SO", "x.h", "x.so.v2"}) {
    const Ended e = compiled({"-o", name});
    EXPECT_EQ(e.code, 2) << name;
    EXPECT_NE(e.err.find("which kind of output is "), std::string::npos) << e.err;
  }
  EXPECT_EQ(s.names(), Names{"m.onnx"});
  EXPECT_EQ(compiled({"-o", "x.dll", "--emit", "so"}).code, 0); // when one insists
  EXPECT_EQ(compiled({"-o", "plain"}).code, 0);
  EXPECT_TRUE(is_library("plain"));
  // A versioned library: its header and its functions have no version.
  EXPECT_EQ(compiled({"-o", "libv.so.1.2"}).code, 0);
  EXPECT_NE(s.read("libv.h").find("int libv("), std::string::npos);
  EXPECT_EQ(s.names(), (Names{"libv.h", "libv.so.1.2", "m.onnx", "plain", "plain.h", "x.dll", "x.h"}));
}

TEST_F(Files, TextGoesToStdoutAndLibrariesDoNot) {
  const auto compiled = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"compile", "m.onnx", "-o", "-"});
    return cameo::testing::cameo(words, s.path());
  };
  const Ended text = compiled({"--emit", "graph"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_EQ(text.out.substr(0, 6), "graph ");
  EXPECT_EQ(compiled({}).code, 2);
  EXPECT_EQ(compiled({"--emit", "a"}).code, 2);
  EXPECT_EQ(compiled({"--emit", "graph", "--json"}).code, 2);
  EXPECT_EQ(compiled({"--emit", "graph", "--depfile", "d"}).code, 2);
  EXPECT_EQ(s.names(), Names{"m.onnx"});
}

TEST_F(Files, ADepfileNamesWhatWasRead) {
  std::filesystem::create_directory(s.path("a $b#c"));
  s.write("a $b#c/m.onnx", relu_graph().model());
  const Ended e =
      cameo::testing::cameo({"compile", "a $b#c/m.onnx", "-o", "x.so", "--depfile", "x.d", "--json"}, s.path());
  EXPECT_EQ(e.code, 0) << e.err;
  EXPECT_EQ(s.read("x.d"), "x.so: \\\n  a\\ $$b\\#c/m.onnx\n");
  EXPECT_NE(e.out.find("\"x.d\""), std::string::npos) << e.out;
}

TEST_F(Files, AHeaderThatHidesTheSystemsIsWarnedOf) {
  EXPECT_EQ(compile("math.so").err, "cameo: warning: math.h hides a system header of that name from programs that have "
                                    "its folder on their include path\n");
  EXPECT_EQ(compile("mathematics.so").err, "");
}

TEST_F(Files, F04WhatCannotBeCreated) {
  std::filesystem::create_directory(s.path("dir.so"));
  s.write("file", "x");
  const Names before = s.names();
  for (const char *output : {"none/out.so", "file/out.so", "dir.so", "/dev/null", "/proc/out.so"}) {
    const Ended e = cameo::testing::cameo({"compile", "m.onnx", "-o", output, "--emit", "so"}, s.path());
    EXPECT_EQ(e.code, 73) << output << e.err;
    EXPECT_TRUE(e.err.starts_with("cameo: " + std::string(output) + ": ")) << e.err;
    EXPECT_EQ(std::count(e.err.begin(), e.err.end(), '\n'), 1) << e.err;
  }
  EXPECT_EQ(s.names(), before);
}

TEST_F(Files, F05AFullDisk) {
  std::filesystem::create_directory(s.path("small"));
  bool mounted = true;
  const Ended e = compile("small/out.so", [&] {
    if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) != 0 ||
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("tmpfs", "small", "tmpfs", 0, "size=4k") != 0)
      _exit(99);
  });
  mounted = e.code != 99;
  if (!mounted) GTEST_SKIP() << "needs the right to mount a tmpfs in a namespace of its own";
  EXPECT_EQ(e.signal, 0);
  EXPECT_EQ(e.code, 74);
  EXPECT_EQ(e.err, "cameo: small/out.so: No space left on device\n");
}

TEST_F(Files, F06AFileSizeLimit) {
  ASSERT_EQ(compile("whole.so").code, 0);
  const rlim_t whole = s.read("whole.so").size();
  // Whichever file meets the limit: the object, the linker's output or the library.
  for (rlim_t bytes = 1000; bytes < whole + whole / 8; bytes += whole / 8) {
    const rlim_t most = std::min(bytes, whole - 1);
    const Ended e = compile("out.so", [&] {
      const rlimit limit{most, most};
      setrlimit(RLIMIT_FSIZE, &limit);
    });
    EXPECT_EQ(e.signal, 0);
    EXPECT_EQ(e.code, 74) << most << " of " << whole << " bytes: " << e.err;
    EXPECT_EQ(s.names(), (Names{"m.onnx", "whole.h", "whole.so"}));
  }
}

TEST_F(Files, F07KilledAtRandomMoments) {
  ASSERT_EQ(compile("out.so").code, 0);
  const std::string library = s.read("out.so"), header = s.read("out.h");
  s.write("out.so", "old");
  int killed = 0;
  uint32_t state = 7;
  for (int i = 0; i < 200; ++i) {
    state = state * 1664525 + 1013904223;
    const Ended e = compile("out.so", {}, [&](pid_t pid) {
      usleep((state >> 16) % 150'000);
      kill(pid, SIGKILL);
    });
    killed += e.signal == SIGKILL;
    const std::string now = s.read("out.so");
    ASSERT_TRUE(now == "old" || now == library) << now.size();
    if (now == library) s.write("out.so", "old");
  }
  EXPECT_GT(killed, 20);
  ASSERT_EQ(compile("out.so").code, 0);
  EXPECT_EQ(s.read("out.so"), library);
  EXPECT_EQ(s.read("out.h"), header);
  EXPECT_EQ(s.names(), (Names{"m.onnx", "out.h", "out.so"}));
}

TEST_F(Files, F08InterruptedAtRandomMoments) {
  for (int number : {SIGINT, SIGTERM}) {
    int interrupted = 0;
    for (int i = 0; i < 20; ++i) {
      const Ended e = compile(
          "out.so", [] { signal(SIGINT, SIG_DFL); },
          [&](pid_t pid) {
            usleep(static_cast<useconds_t>(20'000 + i * 5'000));
            kill(pid, number);
          });
      if (e.code == 0) continue;        // too late
      if (e.signal == number) continue; // before main
      ++interrupted;
      EXPECT_EQ(e.signal, 0);
      EXPECT_EQ(e.code, 128 + number);
      for (const std::string &name : s.names()) EXPECT_FALSE(name.starts_with(".cameo-")) << name;
    }
    EXPECT_GT(interrupted, 0);
  }
}

TEST_F(Files, F09TwoAtOnceLeaveAWholeLibrary) {
  ASSERT_EQ(compile("a.so").code, 0);
  for (int i = 0; i < 10; ++i) {
    const Ended e = compile("out.so", {}, [&](pid_t) { EXPECT_EQ(compile("out.so").code, 0); });
    EXPECT_EQ(e.code, 0) << e.err;
    EXPECT_TRUE(is_library("out.so"));
    EXPECT_EQ(cameo::testing::cameo({"run", "out.so"}, s.path()).code, 0);
  }
  EXPECT_EQ(s.names(), (Names{"a.h", "a.so", "m.onnx", "out.h", "out.so"}));
}

TEST_F(Files, F11TheUmaskIsRespected) {
  ASSERT_EQ(compile("out.so", [] { umask(027); }).code, 0);
  for (const char *name : {"out.so", "out.h"}) {
    struct stat info;
    ASSERT_EQ(stat(s.path(name).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0640u) << name;
  }
}

TEST_F(Files, F12LibraryAndHeaderTogetherOrNotAtAll) {
  s.write("out.so", "old");
  std::filesystem::create_directory(s.path("out.h"));
  EXPECT_EQ(compile("out.so").code, 73);
  EXPECT_EQ(s.read("out.so"), "old");
  EXPECT_EQ(s.names(), (Names{"m.onnx", "out.h", "out.so"}));
}

TEST_F(Files, F13NoPlaceForTemporaryFilesIsNeeded) {
  EXPECT_EQ(compile("a.so", [] { setenv("TMPDIR", "/nonexistent", 1); }).code, 0);
  EXPECT_EQ(compile("b.so", [] { unsetenv("TMPDIR"); }).code, 0);
  EXPECT_EQ(cameo::testing::cameo({"run", "m.onnx"}, s.path(), [] { setenv("TMPDIR", "/nonexistent", 1); }).code, 0);
}

TEST_F(Files, F15AnyPath) {
  const std::string model = s.read("m.onnx");
  for (const std::string &name : {std::string("a b"), std::string("it's \"quoted\" $(x) `y`"), std::string("@response"),
                                  std::string("new\nline"), std::string("\xff\xfe"), std::string(200, 'n')}) {
    s.write(name + ".onnx", model);
    const Ended e = cameo::testing::cameo({"compile", name + ".onnx", "-o", name + ".so"}, s.path());
    EXPECT_EQ(e.code, 0) << name << e.err;
    EXPECT_TRUE(is_library(name + ".so")) << name;
  }
  s.write("-leading.onnx", model);
  EXPECT_EQ(cameo::testing::cameo({"compile", "-o", "leading.so", "--", "-leading.onnx"}, s.path()).code, 0);
  EXPECT_EQ(cameo::testing::cameo({"compile", "./-leading.onnx", "-o", "./-leading.so"}, s.path()).code, 0);

  std::string deep = s.path(); // 4,095 bytes: the longest path that the kernel takes
  while (deep.size() + 201 < 4095 - 10) {
    deep += "/" + std::string(200, 'd');
    std::filesystem::create_directory(deep);
  }
  deep += "/" + std::string(4095 - deep.size() - 4, 'f') + ".so";
  ASSERT_EQ(deep.size(), 4095u);
  const Ended e = compile(deep);
  EXPECT_EQ(e.code, 0) << e.err;
}

TEST_F(Files, F16NoOtherProgramNoNetwork) {
  if (run_program({"strace", "-V"}).code != 0) GTEST_SKIP() << "needs strace";
  const Ended e = run_program({"strace", "-f", "-o", "trace", "-e", "trace=execve,execveat,connect,socket", tool_path(),
                               "compile", "m.onnx", "-o", "out.so"},
                              s.path());
  if (e.code != 0 && s.read("trace").find("execve") == std::string::npos) GTEST_SKIP() << "may not trace: " << e.err;
  EXPECT_EQ(e.code, 0) << e.err;
  const std::string trace = s.read("trace");
  size_t programs = 0;
  for (size_t at = trace.find("execve"); at != std::string::npos; at = trace.find("execve", at + 1)) ++programs;
  EXPECT_EQ(programs, 1u) << trace;
  EXPECT_EQ(trace.find("connect("), std::string::npos) << trace;
  EXPECT_EQ(trace.find("socket("), std::string::npos) << trace;
}

TEST_F(Files, F10FlushedBeforeItIsRenamed) {
  if (run_program({"strace", "-V"}).code != 0) GTEST_SKIP() << "needs strace";
  const Ended e = run_program({"strace", "-o", "trace", "-e", "trace=fsync,renameat,renameat2,rename", tool_path(),
                               "compile", "m.onnx", "-o", "out.so"},
                              s.path());
  if (e.code != 0 && s.read("trace").find("fsync") == std::string::npos) GTEST_SKIP() << "may not trace: " << e.err;
  const std::string trace = s.read("trace");
  std::string order; // f: fsync, r: rename
  for (size_t at = 0; at < trace.size(); at = trace.find('\n', at) + 1) {
    if (trace.compare(at, 6, "fsync(") == 0) order += 'f';
    if (trace.compare(at, 6, "rename") == 0) order += 'r';
    if (trace.find('\n', at) == std::string::npos) break;
  }
  EXPECT_EQ(order, "ffrrf") << trace; // library, header; both renamed; the directory
}

} // namespace
