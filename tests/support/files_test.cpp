// Inputs that cannot hang, outputs that are whole or absent: the file rows F01 to F13 as far as the library alone
// carries them.
#include "cameo/support/child.h"
#include "cameo/support/files.h"
#include "scratch.h"

#include <gtest/gtest.h>

#include <csignal>
#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace cameo {
namespace {

using testing::Scratch;
using Names = std::set<std::string>;

std::string text_of(const Diagnostics &problems) { return to_string(problems[0]); }

// `ok`, or the exit code and the message: what a child can tell through its pipe.
template <class T> std::string outcome(const Result<T> &result) {
  return result.ok() ? "ok"
                     : std::to_string(static_cast<int>(exit_code(result.errors()))) + " " + text_of(result.errors());
}

FileId id_of(const std::string &path) {
  auto file = MappedFile::open(path);
  EXPECT_TRUE(file.ok());
  return file->id();
}

TEST(MappedFile, ReadsRegularFiles) {
  Scratch s;
  EXPECT_EQ(MappedFile::open(s.write("a", "cameo"))->text(), "cameo");
  EXPECT_EQ(MappedFile::open(s.write("empty", ""))->text(), "");
  symlink("a", s.path("link").c_str());
  EXPECT_EQ(MappedFile::open(s.path("link"))->text(), "cameo");
  EXPECT_EQ(*read_file(s.path("a"), 5), "cameo");
}

TEST(MappedFile, HoldsTheSizeLimit) {
  Scratch s;
  const std::string path = s.write("a", "12345");
  EXPECT_TRUE(MappedFile::open(path, 5).ok());
  EXPECT_EQ(outcome(MappedFile::open(path, 4)), "65 " + path + ": has 5 bytes, the limit is 4");
  EXPECT_EQ(outcome(read_file(path, 4)), "65 " + path + ": has 5 bytes, the limit is 4");
}

TEST(MappedFile, RefusesWhatIsNotAFileAndDoesNotWait) {
  Scratch s;
  ASSERT_EQ(mkfifo(s.path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(outcome(MappedFile::open(s.path("fifo"))), "66 " + s.path("fifo") + ": is not a regular file");
  EXPECT_EQ(outcome(MappedFile::open("/dev/zero")), "66 /dev/zero: is not a regular file");
  EXPECT_EQ(outcome(MappedFile::open(s.path())), "66 " + s.path() + ": is a directory");
  EXPECT_EQ(outcome(MappedFile::open(s.path("none"))), "66 " + s.path("none") + ": No such file or directory");
  EXPECT_EQ(outcome(MappedFile::open(s.path("a\nb"))), "66 " + s.path() + "/a\\x0ab: No such file or directory");
  EXPECT_EQ(outcome(MappedFile::open(std::string(5000, 'x'))).substr(0, 2), "66");
}

TEST(OutputSet, ReplacesOnlyAtCommit) { // F01
  Scratch s;
  s.write("out", "old");
  {
    OutputSet set;
    const size_t n = *set.add(s.path("out"));
    ASSERT_TRUE(set.write(n, "new").ok());
    EXPECT_EQ(s.read("out"), "old");
  }
  EXPECT_EQ(s.read("out"), "old");
  EXPECT_EQ(s.names(), Names{"out"});
  ASSERT_TRUE(write_file(s.path("out"), "new").ok());
  EXPECT_EQ(s.read("out"), "new");
  EXPECT_EQ(s.names(), Names{"out"});
}

TEST(OutputSet, ReplacesASymbolicLinkWithoutFollowingIt) { // F02
  Scratch s;
  s.write("precious", "old");
  symlink("precious", s.path("out").c_str());
  symlink("nowhere", s.path("dangling").c_str());
  ASSERT_TRUE(write_file(s.path("out"), "new").ok());
  ASSERT_TRUE(write_file(s.path("dangling"), "new").ok());
  EXPECT_EQ(s.read("precious"), "old");
  EXPECT_TRUE(std::filesystem::is_regular_file(std::filesystem::symlink_status(s.path("out"))));
  EXPECT_EQ(s.names(), (Names{"dangling", "out", "precious"}));
}

// /dev/stdout is such a link: as root, it would be gone for every process.
TEST(OutputSet, RefusesALinkToAnOpenStream) {
  Scratch s;
  s.write("log", "old");
  symlink("/proc/self/fd/1", s.path("stdout").c_str());
  const int kept = dup(1), log = open(s.path("log").c_str(), O_WRONLY);
  dup2(log, 1); // a regular file, as when the output is redirected
  OutputSet set;
  const auto refused = set.add(s.path("stdout"));
  dup2(kept, 1);
  close(kept);
  close(log);
  EXPECT_EQ(outcome(refused), "73 " + s.path("stdout") + ": is an open stream, not a file");
  EXPECT_TRUE(std::filesystem::is_symlink(s.path("stdout")));
  EXPECT_EQ(s.read("log"), "old");
  EXPECT_EQ(s.names(), (Names{"log", "stdout"}));
}

TEST(OutputSet, RefusesAnInput) { // F03
  Scratch s;
  s.write("model", "m");
  symlink("model", s.path("symbolic").c_str());
  link(s.path("model").c_str(), s.path("hard").c_str());
  for (const char *name : {"model", "symbolic", "hard"}) {
    OutputSet set;
    set.forbid(id_of(s.path("model")));
    EXPECT_EQ(outcome(set.add(s.path(name))), "73 " + s.path(name) + ": the output would replace an input");
  }
  EXPECT_EQ(s.read("model"), "m");
  EXPECT_EQ(s.names(), (Names{"hard", "model", "symbolic"}));
}

TEST(OutputSet, RefusesDirectoriesDevicesAndBadNames) { // F04
  Scratch s;
  s.write("file", "x");
  std::filesystem::create_directory(s.path("dir"));
  mkfifo(s.path("fifo").c_str(), 0600);
  symlink("/dev/null", s.path("null").c_str());
  auto refused = [&](const std::string &path) { return outcome(OutputSet().add(path)); };
  EXPECT_EQ(refused(s.path("none/out")), "73 " + s.path("none/out") + ": cannot open directory '" + s.path("none/") +
                                             "': No such file or directory");
  EXPECT_EQ(refused(s.path("file/out")),
            "73 " + s.path("file/out") + ": cannot open directory '" + s.path("file/") + "': Not a directory");
  EXPECT_EQ(refused(s.path("dir")), "73 " + s.path("dir") + ": is a directory");
  EXPECT_EQ(refused(s.path("dir/")), "73 " + s.path("dir/") + ": is not the name of a file");
  EXPECT_EQ(refused(s.path("fifo")), "73 " + s.path("fifo") + ": is not a regular file");
  EXPECT_EQ(refused(s.path("null")), "73 " + s.path("null") + ": is a link to something that is not a regular file");
  EXPECT_EQ(refused("/dev/null"), "73 /dev/null: is not a regular file");
  EXPECT_EQ(refused(s.path(std::string(300, 'x'))).substr(0, 2), "73");
  EXPECT_EQ(refused(s.path(std::string(5000, 'x'))).substr(0, 2), "73");
  EXPECT_EQ(refused("").substr(0, 2), "73");
  EXPECT_EQ(s.names(), (Names{"dir", "fifo", "file", "null"}));
}

TEST(OutputSet, RefusesAReadOnlyDirectory) { // F04
  Scratch s;
  std::filesystem::create_directory(s.path("dir"));
  chmod(s.path("dir").c_str(), 0555);
  chmod(s.path().c_str(), 0755);
  auto child = run_in_child([&] {
    if (geteuid() == 0 && setuid(65534) != 0) return std::string("cannot give up root");
    return outcome(OutputSet().add(s.path("dir/out")));
  });
  EXPECT_EQ(child->result, "73 " + s.path("dir/out") + ": Permission denied");
  EXPECT_EQ(s.names(), Names{"dir"});
}

TEST(OutputSet, WritesWhereItMayNotRead) {
  Scratch s;
  std::filesystem::create_directory(s.path("dir"));
  chmod(s.path("dir").c_str(), 0333);
  chmod(s.path().c_str(), 0755);
  auto child = run_in_child([&] {
    if (geteuid() == 0 && setuid(65534) != 0) return std::string("cannot give up root");
    return outcome(write_file(s.path("dir/out"), "x"));
  });
  EXPECT_EQ(child->result, "ok");
  chmod(s.path("dir").c_str(), 0777);
  EXPECT_EQ(s.read("dir/out"), "x");
}

TEST(OutputSet, AFullDiskLeavesNothing) { // F05
  Scratch s;
  auto child = run_in_child([&]() -> std::string {
    if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) != 0 ||
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("tmpfs", s.path().c_str(), "tmpfs", 0, "size=64k") != 0)
      return "no tmpfs here";
    s.write("out", "old");
    OutputSet set;
    const size_t small = *set.add(s.path("small")), large = *set.add(s.path("out"));
    std::string first = outcome(set.write(small, "x")), second = outcome(set.write(large, std::string(1 << 20, 'x')));
    set = OutputSet();
    std::string names;
    for (const std::string &name : s.names()) names += " " + name;
    return first + ", " + second + "," + names + " " + s.read("out");
  });
  if (child->result == "no tmpfs here") GTEST_SKIP() << "needs the right to mount a tmpfs in a namespace of its own";
  EXPECT_EQ(child->result, "ok, 74 " + s.path("out") + ": No space left on device, out old");
}

TEST(OutputSet, ASizeLimitIsAnErrorNotASignal) { // F06
  Scratch s;
  auto child = run_in_child([&]() -> std::string {
    handle_signals();
    const rlimit limit{1000, 1000};
    setrlimit(RLIMIT_FSIZE, &limit);
    return outcome(write_file(s.path("out"), std::string(2000, 'x')));
  });
  EXPECT_EQ(child->result, "74 " + s.path("out") + ": File too large");
  EXPECT_EQ(s.names(), Names{});
}

// Writes `out` again and again, each time the same letter 100,000 times and the header of one letter.
[[noreturn]] void write_for_ever(const Scratch &s) {
  for (char letter = 'a';; letter = letter == 'z' ? 'a' : static_cast<char>(letter + 1)) {
    OutputSet set;
    const size_t a = *set.add(s.path("out")), b = *set.add(s.path("out.h"));
    for (int i = 0; i < 100; ++i) (void)set.write(a, std::string(1000, letter));
    (void)set.write(b, std::string(1, letter));
    (void)set.commit();
  }
}

TEST(OutputSet, AKilledWriterLeavesWholeFilesAndTheNextOneCleans) { // F07
  Scratch s;
  for (int i = 0; i < 200; ++i) {
    const pid_t pid = fork();
    if (pid == 0) write_for_ever(s);
    usleep(static_cast<useconds_t>(500 + i * 37 % 5000));
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    const std::string text = s.read("out");
    if (text == "(absent)") continue;
    ASSERT_EQ(text.size(), 100000u);
    ASSERT_EQ(text.find_first_not_of(text[0]), std::string::npos);
  }
  ASSERT_TRUE(write_file(s.path("other"), "x").ok());
  Names left = s.names();
  left.erase("out");
  left.erase("out.h");
  EXPECT_EQ(left, Names{"other"});
}

TEST(OutputSet, ASignalRemovesTheTemporaries) { // F08
  for (int number : {SIGINT, SIGTERM}) {
    Scratch s;
    s.write("out", "old");
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    const pid_t pid = fork();
    if (pid == 0) {
      signal(SIGINT, SIG_DFL);
      handle_signals();
      OutputSet set;
      (void)set.write(*set.add(s.path("out")), "new");
      (void)!write(ready[1], "x", 1);
      for (;;) pause();
    }
    char c;
    ASSERT_EQ(read(ready[0], &c, 1), 1);
    EXPECT_EQ(s.names().size(), 2u); // the old file and the temporary one
    kill(pid, number);
    int status = 0;
    waitpid(pid, &status, 0);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 128 + number);
    EXPECT_EQ(s.names(), Names{"out"});
    EXPECT_EQ(s.read("out"), "old");
    close(ready[0]);
    close(ready[1]);
  }
}

TEST(OutputSet, WritersAtOnceLeaveAWholeFileOfOneOfThem) { // F09
  Scratch s;
  std::vector<pid_t> pids;
  for (char letter : {'a', 'b', 'c', 'd'}) {
    pids.push_back(fork());
    if (pids.back() == 0) {
      bool ok = true;
      for (int i = 0; i < 100; ++i) ok = ok && write_file(s.path("out"), std::string(50000, letter)).ok();
      _exit(ok ? 0 : 1);
    }
  }
  for (pid_t pid : pids) {
    int status = 1;
    waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
  }
  const std::string text = s.read("out");
  ASSERT_EQ(text.size(), 50000u);
  EXPECT_EQ(text.find_first_not_of(text[0]), std::string::npos);
  EXPECT_EQ(s.names(), Names{"out"});
}

TEST(OutputSet, AnotherWritersTemporaryStays) {
  Scratch s;
  OutputSet first;
  const size_t n = *first.add(s.path("first"));
  ASSERT_TRUE(first.write(n, "1").ok());
  ASSERT_TRUE(write_file(s.path("second"), "2").ok());
  ASSERT_TRUE(first.commit().ok());
  EXPECT_EQ(s.read("first"), "1");
  EXPECT_EQ(s.read("second"), "2");
}

TEST(OutputSet, SomebodyElsesLockOnTheDirectoryDoesNotStopIt) {
  Scratch s;
  const int fd = open(s.path().c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(flock(fd, LOCK_EX), 0);
  EXPECT_TRUE(write_file(s.path("out"), "x").ok());
  close(fd);
}

TEST(OutputSet, RespectsTheUmask) { // F11
  Scratch s;
  const mode_t before = umask(027);
  OutputSet set;
  const size_t n = *set.add(s.path("out"));
  struct stat info;
  ASSERT_EQ(stat(set.temporary(n).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
  ASSERT_TRUE(set.commit().ok());
  umask(before);
  ASSERT_EQ(stat(s.path("out").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
}

TEST(OutputSet, AllOrNone) { // F12
  Scratch s;
  s.write("a", "old a");
  s.write("c", "old c");
  OutputSet set;
  for (const char *name : {"a", "b", "c"})
    ASSERT_TRUE(set.write(*set.add(s.path(name)), std::string("new ") + name).ok());
  // The third rename fails: its temporary file has gone.
  ASSERT_EQ(unlink(set.temporary(2).c_str()), 0);
  EXPECT_EQ(outcome(set.commit()).substr(0, 2), "73");
  EXPECT_EQ(s.read("a"), "old a");
  EXPECT_EQ(s.read("b"), "(absent)");
  EXPECT_EQ(s.read("c"), "old c");
  set = OutputSet();
  EXPECT_EQ(s.names(), (Names{"a", "c"}));

  OutputSet twice;
  ASSERT_TRUE(twice.add(s.path("x")).ok());
  EXPECT_EQ(outcome(twice.add(s.path("./x"))), "73 " + s.path("./x") + ": two outputs have this name");
}

TEST(OutputSet, ADirectoryThatAppearsMeanwhileIsNotReplaced) {
  Scratch s;
  OutputSet set;
  ASSERT_TRUE(set.add(s.path("out")).ok());
  std::filesystem::create_directory(s.path("out"));
  EXPECT_EQ(outcome(set.commit()), "73 " + s.path("out") + ": is a directory");
}

TEST(OutputSet, TakesAnyName) { // F15
  Scratch s;
  for (const std::string &name : {std::string("a b"), std::string("-x"), std::string("a'\"$(x)`"), std::string("a\nb"),
                                  std::string("\xff\xfe"), std::string(255, 'n')}) {
    ASSERT_TRUE(write_file(s.path(name), "x").ok()) << name;
    EXPECT_EQ(s.read(name), "x");
  }
}

TEST(FileStem, DropsTheDirectoryAndTheLastSuffix) {
  EXPECT_EQ(file_stem("a/b/resnet.v1.onnx"), "resnet.v1");
  EXPECT_EQ(file_stem("model"), "model");
  EXPECT_EQ(file_stem("a.d/.hidden"), ".hidden");
}

} // namespace
} // namespace cameo
