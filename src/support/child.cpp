// Forked children with a time limit: one poll loop reads their pipes and notices their ends. Each child leads a process
// group of its own, so that the time limit ends its own children too.
#include "cameo/support/child.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <string_view>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

namespace cameo {

namespace {

using Clock = std::chrono::steady_clock;

struct Running {
  size_t index = 0;
  pid_t pid = -1;
  int pipes[2] = {-1, -1}; // result, stderr; -1 once closed
  Clock::time_point start;
  bool killed = false;
  ChildResult result;
};

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text.remove_prefix(static_cast<size_t>(n));
  }
}

[[noreturn]] void be_child(pid_t parent, int result, int errors, const ChildLimits &limits,
                           const std::function<std::string(size_t)> &body, size_t index) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(128 + SIGKILL); // it ended before the line above
  dup2(errors, STDOUT_FILENO);
  dup2(errors, STDERR_FILENO);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
#ifndef __SANITIZE_ADDRESS__ // its shadow memory is address space too
  if (limits.memory_bytes > 0) {
    const rlimit memory{static_cast<rlim_t>(limits.memory_bytes), static_cast<rlim_t>(limits.memory_bytes)};
    setrlimit(RLIMIT_AS, &memory);
  }
#else
  (void)limits;
#endif
  int code = 0;
  try {
    write_all(result, body(index));
  } catch (const std::exception &e) {
    write_all(STDERR_FILENO, std::string(e.what()) + "\n");
    code = static_cast<int>(ExitCode::internal);
  } catch (...) {
    code = static_cast<int>(ExitCode::internal);
  }
  _exit(code);
}

Result<Running> start(size_t index, const ChildLimits &limits, const std::function<std::string(size_t)> &body) {
  int result[2], errors[2];
  auto failed = [] {
    return Diagnostic{ExitCode::io, "", "cannot start a child: " + std::generic_category().message(errno)};
  };
  if (pipe2(result, O_CLOEXEC) != 0) return failed();
  if (pipe2(errors, O_CLOEXEC) != 0) {
    close(result[0]);
    close(result[1]);
    return failed();
  }
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) be_child(parent, result[1], errors[1], limits, body, index);
  close(result[1]);
  close(errors[1]);
  if (pid < 0) {
    close(result[0]);
    close(errors[0]);
    return failed();
  }
  setpgid(pid, pid); // here too: whichever comes first
  Running child;
  child.index = index;
  child.pid = pid;
  child.start = Clock::now();
  child.pipes[0] = result[0];
  child.pipes[1] = errors[0];
  for (int fd : child.pipes) fcntl(fd, F_SETFL, O_NONBLOCK);
  return child;
}

// Reads what is there; closes the pipe at its end.
void drain(int &fd, std::string &into, int64_t limit) {
  char buffer[1 << 16];
  while (fd >= 0) {
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      close(fd);
      fd = -1;
      return;
    }
    into.append(buffer, std::min<size_t>(static_cast<size_t>(n), static_cast<size_t>(limit) - into.size()));
  }
}

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Reads its pipes, holds it against the time limit; true when it has ended.
bool attend(Running &child, const ChildLimits &limits) {
  ChildResult &r = child.result;
  drain(child.pipes[0], r.result, limits.result_bytes);
  drain(child.pipes[1], r.errors, limits.result_bytes);
  if (!child.killed && seconds_since(child.start) > limits.seconds) {
    kill(-child.pid, SIGKILL);
    child.killed = true;
  }
  int status = 0;
  const pid_t ended = waitpid(child.pid, &status, WNOHANG);
  if (ended == 0 || (ended < 0 && errno == EINTR)) return false;
  r.seconds = seconds_since(child.start);
  kill(-child.pid, SIGKILL); // what it may have left running
  drain(child.pipes[0], r.result, limits.result_bytes);
  drain(child.pipes[1], r.errors, limits.result_bytes);
  for (int &fd : child.pipes)
    if (fd >= 0) close(std::exchange(fd, -1));
  if (child.killed) {
    r.end = ChildResult::End::timed_out;
  } else if (WIFSIGNALED(status)) {
    r.end = ChildResult::End::signaled;
    r.code = WTERMSIG(status);
  } else {
    r.end = ChildResult::End::exited;
    r.code = WEXITSTATUS(status);
  }
  return true;
}

void wait_for_news(const std::vector<Running> &children) {
  std::vector<pollfd> fds;
  for (const Running &child : children)
    for (int fd : child.pipes)
      if (fd >= 0) fds.push_back({fd, POLLIN, 0});
  poll(fds.data(), fds.size(), fds.empty() ? 1 : 20); // the end of a pipe is the news; the time is for the limits
}

} // namespace

std::string describe(const ChildResult &result, const ChildLimits &limits) {
  switch (result.end) {
  case ChildResult::End::exited:
    return "exit code " + std::to_string(result.code);
  case ChildResult::End::signaled:
    return "killed by signal " + std::to_string(result.code) + " (" + strsignal(result.code) + ")";
  case ChildResult::End::timed_out:
    break;
  }
  std::string seconds = std::to_string(limits.seconds);
  seconds.erase(seconds.find_last_not_of('0') + 1);
  if (seconds.back() == '.') seconds.pop_back();
  return "time limit of " + seconds + " s exceeded";
}

Status run_in_children(size_t count, size_t jobs, const ChildLimits &limits,
                       const std::function<std::string(size_t)> &body,
                       const std::function<void(size_t, ChildResult)> &done) {
  std::vector<Running> running;
  std::optional<Diagnostic> problem;
  for (size_t next = 0; (next < count && !problem) || !running.empty();) {
    while (next < count && !problem && running.size() < std::max<size_t>(jobs, 1)) {
      auto child = start(next, limits, body);
      if (!child) {
        problem = child.errors()[0]; // those that run are waited for
        break;
      }
      running.push_back(std::move(*child));
      ++next;
    }
    if (running.empty()) break;
    wait_for_news(running);
    for (size_t i = 0; i < running.size();) {
      if (!attend(running[i], limits)) {
        ++i;
        continue;
      }
      Running ended = std::move(running[i]);
      running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
      done(ended.index, std::move(ended.result));
    }
  }
  if (problem) return *problem;
  return Ok{};
}

Result<ChildResult> run_in_child(const std::function<std::string()> &body, const ChildLimits &limits) {
  ChildResult result;
  CAMEO_TRY_STATUS(run_in_children(
      1, 1, limits, [&](size_t) { return body(); }, [&](size_t, ChildResult r) { result = std::move(r); }));
  return result;
}

} // namespace cameo
