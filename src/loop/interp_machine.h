// The interpreter's machine: flat code, a frame of register slots, and handlers. A handler executes one instruction and
// returns the next one to execute, or nullptr when the run is over (finished or faulted).
//
// A slot is a byte offset into the frame of the running call. It holds lanes without gaps: i1 as bytes 0 or 1, other
// scalars in their own width, a buffer as a BufferRef. Constants are part of the frame: each call copies their image to
// its start.
#pragma once

#include "cameo/loop/interp.h"

#include "cameo/loop/target_instructions.h"

#include <cstring>
#include <deque>
#include <new>

namespace cameo::loop::interp {

struct Machine;
struct Inst;
using Handler = const Inst *(*)(Machine &, const Inst *);

/// What the fields mean is said beside each handler; for element-wise ones dst = op(a, b, c) on `lanes` lanes.
struct Inst {
  Handler run = nullptr;
  uint32_t dst = 0, a = 0, b = 0, c = 0;
  int32_t lanes = 1;
  int32_t jump = 0; ///< distance in instructions
  int64_t imm = 0;
  const void *side = nullptr; ///< what does not fit here
};

/// A pointer that knows its bounds.
struct BufferRef {
  std::byte *root = nullptr;
  int64_t bytes = 0;  ///< from root on
  int64_t offset = 0; ///< of this reference, may lie outside until it is used
};

/// The affine address of an access and the access's shape.
struct Address {
  struct Term {
    uint32_t slot;
    int64_t coefficient;
  };
  std::vector<Term> terms;
  int64_t constant = 0;
  int64_t element_bytes = 1;
  int64_t align = 0;
};

struct Move {
  uint32_t dst, src, bytes;
};

struct Code;
struct Call {
  const Function *function = nullptr; ///< the callee
  const Code *code = nullptr;         ///< nullptr: a declaration, run by the native function of its name
  std::vector<Move> arguments;        ///< caller's slot to callee's slot (unused for a declaration)
  std::vector<Move> results;          ///< callee's slot (unused for a declaration) to caller's slot
};

/// What a function may do with a buffer parameter.
struct BufferParam {
  size_t index = 0; ///< among the parameters
  uint32_t slot = 0;
  int64_t bytes = -1; ///< that may be accessed; -1: unknown
  int64_t align = 1;
  bool readonly = false, noalias = false;
};

struct TargetCall {
  const TargetInstruction *instruction = nullptr;
  std::vector<uint32_t> operands;
};

/// A decoded function.
struct Code {
  const Function *function = nullptr;
  std::vector<Inst> insts;
  std::vector<std::pair<int64_t, Opcode>> origins; ///< per instruction: the operation, numbered as the verifier does
  std::vector<std::byte> constants;                ///< image of the start of a frame
  int64_t frame_bytes = 0;
  int64_t stack_bytes = 0; ///< with the deepest chain of calls
  std::vector<uint32_t> params, results;
  std::vector<BufferParam> buffers;
  // What instructions point to as `side`.
  std::deque<Address> addresses;
  std::deque<std::vector<Move>> moves;
  std::deque<Call> calls;
  std::deque<TargetCall> targets;
};

struct CallRecord {
  const Inst *inst = nullptr; ///< the call instruction
  const Code *code = nullptr; ///< the caller
  std::byte *frame = nullptr;
  size_t allocas = 0; ///< live before the call
};

struct Allocation {
  std::byte *data = nullptr;
  int64_t bytes = 0;
  std::align_val_t align{};
};

struct Machine {
  std::byte *frame = nullptr;
  uint64_t steps = 0, fuel = 0;
  int32_t status = 0;
  const Code *code = nullptr;
  const InterpreterOptions *options = nullptr;
  int64_t memory = 0; ///< in use
  std::vector<CallRecord> calls;
  std::vector<Allocation> allocas;
  std::optional<Diagnostic> error;

  Machine() = default;
  Machine(const Machine &) = delete;
  Machine &operator=(const Machine &) = delete;
  ~Machine() { release(0); }

  template <class T> T *at(uint32_t slot) const { return reinterpret_cast<T *>(frame + slot); }

  /// Bounds the buffers that a call just put into the frame of `callee` by what its parameters say; false after a
  /// fault.
  bool admit(const Inst *inst, const Code &callee);
  /// Frees the allocas beyond the first `keep`.
  void release(size_t keep);
  /// Ends the run; returns nullptr for the handler to return.
  const Inst *fault(const Inst *inst, const std::string &what, ExitCode code = ExitCode::internal);
  /// Counts steps; false when the fuel is gone.
  bool charge(uint64_t cost) { return (steps += cost) <= fuel; }
  const Inst *out_of_fuel(const Inst *inst) { return fault(inst, "out of fuel", ExitCode::unsupported); }

  /// The bytes of an access of `bytes` bytes, or nullptr after a fault.
  std::byte *access(const Inst *inst, const BufferRef &buffer, int64_t element, int64_t bytes);
  /// The address in elements, wrapping.
  int64_t evaluate(const Address &address) const {
    auto sum = static_cast<uint64_t>(address.constant);
    for (const Address::Term &term : address.terms)
      sum += static_cast<uint64_t>(term.coefficient) * *at<uint64_t>(term.slot);
    return static_cast<int64_t>(sum);
  }
  /// `buffer`, moved by an address; false after a fault.
  bool moved(const Inst *inst, BufferRef &buffer, const Address &address);
};

/// Bytes that one lane takes in a slot.
inline int64_t lane_bytes(Scalar s) { return (bits(s) + 7) / 8; }
inline int64_t slot_bytes(const Type &type) {
  return type.buffer ? static_cast<int64_t>(sizeof(BufferRef)) : lane_bytes(type.scalar) * type.lanes;
}

// Handlers by operation and type; the operation is typed correctly.
Handler element_wise_handler(Opcode code, const Type &operand);      // unary, binary, ternary, compare
Handler cast_handler(Opcode code, const Type &from, const Type &to); // dst = cast a
Handler select_handler(const Type &condition, const Type &type);     // dst = a ? b : c
Handler reduce_handler(Opcode code, const Type &operand);            // dst = tree over a; b: scratch as large as a
/// index: dst = address. view: dst = buffer a, moved. load: dst from buffer a; store: b to buffer a; imm = bytes, c =
/// active lanes. gather: dst from buffer a at indices b; scatter: dst to buffer a at indices b; mask c when imm is 1.
/// `side` is the Address; `data` the type of what moves.
Handler memory_handler(Opcode code, const Type &data, const Type &indices, bool active);

/// Decodes one function; `callee_code` yields the code of a callee with a body (decoding it first).
void decode(const Function &function, Code &code, const std::function<const Code *(const Function &)> &callee_code,
            const std::function<const Function *(const std::string &)> &find);

// Moves between slots and lanes.
const Inst *run_moves(Machine &, const Inst *); // side: the moves, in an order that is safe
const Inst *copy_bits(Machine &, const Inst *); // dst = a, imm bytes
Handler broadcast_handler(Scalar scalar);       // every lane of dst = a
Handler shuffle_handler(Scalar scalar); // dst = lanes of a and b (imm lanes each) picked by side, a vector<int32_t>
const Inst *set_integer(Machine &, const Inst *); // dst = imm, an i64
const Inst *run_target(Machine &, const Inst *);  // dst on `lanes` lanes; side: TargetCall

// Control.
const Inst *charge(Machine &, const Inst *);        // imm steps
const Inst *jump(Machine &, const Inst *);          // by jump
const Inst *branch_unless(Machine &, const Inst *); // by jump, unless a
const Inst *loop_enter(Machine &, const Inst *);    // by jump unless a < b; c steps
const Inst *loop_next(Machine &, const Inst *);     // a += imm; by jump if a < b; c steps
const Inst *
task_next(Machine &, const Inst *); // dst = the next task, a = counter, b = number of tasks; by jump when done; c steps
const Inst *call_function(Machine &, const Inst *); // side: Call
const Inst *call_native(Machine &, const Inst *);   // side: Call
const Inst *return_from(Machine &, const Inst *);
const Inst *run_alloca(Machine &, const Inst *); // dst = imm new bytes, aligned to c
const Inst *run_check(Machine &, const Inst *);  // status imm unless a

} // namespace cameo::loop::interp
