// The temporary files that exist right now, for the signal handlers: a fixed table of (directory descriptor, name),
// because a handler may neither allocate nor lock. The one piece of process-wide mutable state in Cameo, since signals
// are process-wide.
#pragma once

#include <csignal>

namespace cameo {

/// Notes a temporary file `name` (copied; at most 63 bytes) in the directory open as `directory`. Returns its slot, or
/// -1 when the table is full: then only the next command's cleaning removes it.
int note_temporary(int directory, const char *name);
/// The file is gone or renamed.
void forget_temporary(int slot);

/// Blocks SIGINT and SIGTERM in this thread for its lifetime.
class SignalsHeld {
public:
  SignalsHeld();
  ~SignalsHeld();
  SignalsHeld(const SignalsHeld &) = delete;
  SignalsHeld &operator=(const SignalsHeld &) = delete;

private:
  sigset_t before_;
};

} // namespace cameo
