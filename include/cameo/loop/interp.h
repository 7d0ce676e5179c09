// Runs explicit Loop IR without compiling it: the oracle for codegen and schedules, and the evaluator for constant
// folding.
//
// Every function is decoded once into flat code over typed register slots; vectors run in tight loops. Nothing that the
// IR does can harm the caller: accesses are checked against the bytes of their buffer, operations are counted, memory
// is capped. Results do not depend on the host: muladd is one fma, min and max treat NaN and zeros as codegen does,
// mathematical functions (exp, ...) must have been expanded before (legalize.h), conversions are exact. Where the IR
// leaves a value open (fptosi out of range, shuffle lane -1) the interpreter picks one: saturation with NaN to 0, and
// 0.
#pragma once

#include "cameo/loop/ir.h"

#include <cstddef>
#include <functional>
#include <map>
#include <memory>

namespace cameo::loop {

/// A buffer or a scalar handed to a function. Buffers are borrowed for the run.
struct Argument {
  bool is_buffer = false;
  bool writable = false;
  std::byte *data = nullptr; ///< of a buffer
  int64_t bytes = 0;
  uint64_t bits = 0; ///< of a scalar: its bit pattern, zero-extended; i1: 0 or 1

  static Argument buffer(void *data, int64_t bytes) { return {true, true, static_cast<std::byte *>(data), bytes, 0}; }
  /// May only be passed as a readonly parameter.
  static Argument readonly(const void *data, int64_t bytes) {
    return {true, false, static_cast<std::byte *>(const_cast<void *>(data)), bytes, 0};
  }
  static Argument pattern(uint64_t bits) { return {false, false, nullptr, 0, bits}; }
  static Argument integer(int64_t value) { return pattern(static_cast<uint64_t>(value)); } ///< i8 to i64
  static Argument f32(float value);
  static Argument f64(double value);
};

/// A C function behind a `declare`: arguments as declared (buffers from their address on), results as bit patterns. A
/// status other than 0 becomes the run's, as that of a failed check would.
using NativeFunction = std::function<int32_t(std::span<const Argument> arguments, std::span<uint64_t> results)>;

struct InterpreterOptions {
  uint64_t fuel = uint64_t{1} << 40; ///< steps; a step is one operation on one lane
  int64_t memory = int64_t{1} << 30; ///< bytes of register frames and allocas at a time
  bool reverse_tasks = false;  ///< runs the tasks of `parallel` from last to first: finds dependence on their order
  bool check_alignment = true; ///< faults where an access or a parameter is less aligned than the IR claims
  const std::map<std::string, NativeFunction, std::less<>> *natives = nullptr; ///< by the name of the declaration
};

struct RunInfo {
  int32_t status = 0;            ///< of the first failed check, or 0
  uint64_t steps = 0;            ///< rounded up to whole blocks
  std::vector<uint64_t> results; ///< bit patterns of the scalar results, zero-extended
};

class Interpreter {
public:
  /// The module must be valid (verify.h), must not change, and must outlive the interpreter.
  explicit Interpreter(const Module &module);
  ~Interpreter();
  Interpreter(const Interpreter &) = delete;
  Interpreter &operator=(const Interpreter &) = delete;

  /// Runs one function, whose parameters and results are buffers and scalars. Errors: `unsupported` when fuel or memory
  /// runs out, `internal` for a fault of the IR or of the arguments (an access out of range, a misaligned address, an
  /// argument smaller than the parameter's size), as `function @f: op N (name): what`. Buffers hold what was stored
  /// until then.
  Result<RunInfo> run(std::string_view function, std::span<const Argument> arguments,
                      const InterpreterOptions &options = {});

private:
  struct State;
  std::unique_ptr<State> state_;
};

/// One run of one function.
Result<RunInfo> interpret(const Module &module, std::string_view function, std::span<const Argument> arguments,
                          const InterpreterOptions &options = {});

} // namespace cameo::loop
