// Signals that end a command: temporary files are removed, then the process exits with the documented code.
#include "cameo/support/files.h"
#include "temporaries.h"

#include <atomic>
#include <cstring>
#include <pthread.h>
#include <sys/types.h>
#include <unistd.h>

namespace cameo {

namespace {

struct Slot {
  enum : int { empty, filling, used };
  std::atomic<int> state{empty};
  int directory = -1;
  char name[64] = {};
};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler reads it");

constexpr int kSlots = 64;
constinit Slot slots[kSlots];
constinit std::atomic<pid_t> owner{0}; // the process that called handle_signals; forked children leave its files alone

extern "C" void end_on_signal(int number) {
  if (getpid() == owner.load()) {
    for (Slot &slot : slots)
      if (slot.state.load() == Slot::used) unlinkat(slot.directory, slot.name, 0);
    if (number == SIGBUS) {
      static constexpr char message[] = "cameo: an input file was truncated while it was read\n";
      [[maybe_unused]] ssize_t ignored = write(STDERR_FILENO, message, sizeof message - 1);
    }
  }
  _exit(number == SIGBUS ? static_cast<int>(ExitCode::io) : 128 + number);
}

} // namespace

int note_temporary(int directory, const char *name) {
  if (std::strlen(name) >= sizeof Slot{}.name) return -1;
  for (int i = 0; i < kSlots; ++i) {
    int expected = Slot::empty;
    if (!slots[i].state.compare_exchange_strong(expected, Slot::filling)) continue;
    slots[i].directory = directory;
    std::strcpy(slots[i].name, name);
    slots[i].state.store(Slot::used);
    return i;
  }
  return -1;
}

void forget_temporary(int slot) {
  if (slot >= 0) slots[slot].state.store(Slot::empty);
}

SignalsHeld::SignalsHeld() {
  sigset_t held;
  sigemptyset(&held);
  sigaddset(&held, SIGINT);
  sigaddset(&held, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &held, &before_);
}

SignalsHeld::~SignalsHeld() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

void handle_signals() {
  owner.store(getpid());
  struct sigaction action = {};
  action.sa_handler = end_on_signal;
  sigemptyset(&action.sa_mask);
  for (int number : {SIGINT, SIGTERM}) sigaddset(&action.sa_mask, number);
  for (int number : {SIGINT, SIGTERM}) {
    struct sigaction old;
    sigaction(number, nullptr, &old);
    if (old.sa_handler != SIG_IGN)
      sigaction(number, &action, nullptr); // nohup, background jobs of a shell: stay ignored
  }
  sigaction(SIGBUS, &action, nullptr);
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
}

} // namespace cameo
