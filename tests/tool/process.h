// Runs a program as a user would, and says how it ended.
#pragma once

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace cameo::testing {

struct Ended {
  int code = -1; ///< exit code; -1 when a signal ended it
  int signal = 0;
  std::string out, err;
};

/// Where the tool under test is.
inline std::string tool_path() { return CAMEO_BINARY_DIR "/bin/cameo"; }

/// The CMake that configured this build.
inline std::string cmake_path() {
  std::ifstream cache(CAMEO_BINARY_DIR "/CMakeCache.txt");
  constexpr std::string_view key = "CMAKE_COMMAND:INTERNAL=";
  for (std::string line; std::getline(cache, line);)
    if (line.starts_with(key)) return line.substr(key.size());
  return "cmake";
}

/// Reads both pipes to their ends.
inline void read_both(int out, int err, Ended &ended) {
  pollfd fds[2] = {{out, POLLIN, 0}, {err, POLLIN, 0}};
  std::string *texts[2] = {&ended.out, &ended.err};
  for (int open = 2; open > 0;) {
    if (poll(fds, 2, -1) < 0) continue;
    for (int i = 0; i < 2; ++i) {
      if (fds[i].fd < 0 || !fds[i].revents) continue;
      char buffer[1 << 16];
      const ssize_t n = read(fds[i].fd, buffer, sizeof buffer);
      if (n > 0)
        texts[i]->append(buffer, static_cast<size_t>(n));
      else if (n == 0 || errno != EINTR)
        fds[i].fd = -1, --open;
    }
  }
}

/// Starts words[0] with those arguments in `directory`. `in_child` runs in the child before exec; `meanwhile` here,
/// with its process id, while it runs.
inline Ended run_program(const std::vector<std::string> &words, const std::string &directory = {},
                         const std::function<void()> &in_child = {}, const std::function<void(pid_t)> &meanwhile = {}) {
  Ended ended;
  int out[2], err[2];
  if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) return ended;
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
    dup2(out[1], 1);
    dup2(err[1], 2);
    if (!directory.empty() && chdir(directory.c_str()) != 0) _exit(126);
    if (in_child) in_child();
    std::vector<char *> arguments;
    for (const std::string &word : words) arguments.push_back(const_cast<char *>(word.c_str()));
    arguments.push_back(nullptr);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  close(out[1]);
  close(err[1]);
  if (meanwhile) meanwhile(pid);
  read_both(out[0], err[0], ended);
  close(out[0]);
  close(err[0]);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status))
    ended.code = WEXITSTATUS(status);
  else
    ended.signal = WTERMSIG(status);
  return ended;
}

/// `cameo words...`
inline Ended cameo(std::vector<std::string> words, const std::string &directory = {},
                   const std::function<void()> &in_child = {}, const std::function<void(pid_t)> &meanwhile = {}) {
  words.insert(words.begin(), tool_path());
  return run_program(words, directory, in_child, meanwhile);
}

/// A file of the source tree.
inline std::string source(const std::string &name) { return CAMEO_SOURCE_DIR "/" + name; }

} // namespace cameo::testing
