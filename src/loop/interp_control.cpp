// Moves, loops, calls and the other handlers that do not compute on lanes.
#include "interp_machine.h"

#include <algorithm>

namespace cameo::loop::interp {

// ---- lanes

const Inst *run_moves(Machine &m, const Inst *i) {
  for (const Move &move : *static_cast<const std::vector<Move> *>(i->side)) {
    if (move.bytes == 8)
      std::memcpy(m.at<std::byte>(move.dst), m.at<std::byte>(move.src), 8);
    else
      std::memcpy(m.at<std::byte>(move.dst), m.at<std::byte>(move.src), move.bytes);
  }
  return i + 1;
}

const Inst *copy_bits(Machine &m, const Inst *i) {
  std::memmove(m.at<std::byte>(i->dst), m.at<std::byte>(i->a), static_cast<size_t>(i->imm));
  return i + 1;
}

const Inst *set_integer(Machine &m, const Inst *i) {
  *m.at<int64_t>(i->dst) = i->imm;
  return i + 1;
}

namespace {

template <class Bits> const Inst *broadcast(Machine &m, const Inst *i) {
  std::fill_n(m.at<Bits>(i->dst), i->lanes, *m.at<Bits>(i->a));
  return i + 1;
}

template <class Bits> const Inst *shuffle(Machine &m, const Inst *i) {
  const auto &mask = *static_cast<const std::vector<int32_t> *>(i->side);
  Bits *d = m.at<Bits>(i->dst);
  const Bits *a = m.at<Bits>(i->a), *b = m.at<Bits>(i->b);
  for (size_t k = 0; k < mask.size(); ++k)
    d[k] = mask[k] < 0 ? Bits{0} : mask[k] < i->imm ? a[mask[k]] : b[mask[k] - i->imm];
  return i + 1;
}

} // namespace

Handler broadcast_handler(Scalar scalar) {
  switch (lane_bytes(scalar)) {
  case 1:
    return broadcast<uint8_t>;
  case 2:
    return broadcast<uint16_t>;
  case 4:
    return broadcast<uint32_t>;
  default:
    return broadcast<uint64_t>;
  }
}

Handler shuffle_handler(Scalar scalar) {
  switch (lane_bytes(scalar)) {
  case 1:
    return shuffle<uint8_t>;
  case 2:
    return shuffle<uint16_t>;
  case 4:
    return shuffle<uint32_t>;
  default:
    return shuffle<uint64_t>;
  }
}

const Inst *run_target(Machine &m, const Inst *i) {
  const auto &call = *static_cast<const TargetCall *>(i->side);
  std::vector<const std::byte *> operands;
  for (uint32_t slot : call.operands) operands.push_back(m.at<std::byte>(slot));
  call.instruction->evaluate(m.at<std::byte>(i->dst), operands, i->lanes);
  return i + 1;
}

// ---- control

const Inst *Machine::fault(const Inst *inst, const std::string &what, ExitCode exit) {
  std::string where = "function @" + escape_name(code->function->name);
  if (inst) {
    const auto &[number, opcode] = code->origins[static_cast<size_t>(inst - code->insts.data())];
    where += ": op " + std::to_string(number) + " (" + std::string(name(opcode)) + ")";
  }
  error = Diagnostic{exit, where, what};
  return nullptr;
}

void Machine::release(size_t keep) {
  for (; allocas.size() > keep; allocas.pop_back()) {
    ::operator delete(allocas.back().data, allocas.back().align);
    memory -= allocas.back().bytes;
  }
}

bool Machine::admit(const Inst *inst, const Code &callee) {
  auto parameter = [&](const BufferParam &p) {
    return "parameter " + std::to_string(p.index) + " of @" + escape_name(callee.function->name);
  };
  for (const BufferParam &p : callee.buffers) {
    auto &buffer = *at<BufferRef>(p.slot);
    if (p.bytes >= 0) {
      if (buffer.offset < 0 || buffer.offset > buffer.bytes || p.bytes > buffer.bytes - buffer.offset) {
        fault(inst, parameter(p) + " needs " + std::to_string(p.bytes) + " bytes, given are " +
                        std::to_string(buffer.bytes - buffer.offset));
        return false;
      }
      buffer = {buffer.root + buffer.offset, p.bytes, 0};
    }
    uintptr_t address = reinterpret_cast<uintptr_t>(buffer.root) + static_cast<uintptr_t>(buffer.offset);
    if (options->check_alignment && address % static_cast<uintptr_t>(p.align) != 0) {
      fault(inst, parameter(p) + " is not aligned to " + std::to_string(p.align) + " bytes");
      return false;
    }
  }
  // Only extents that parameters state can tell whether two of them overlap.
  for (const BufferParam &p : callee.buffers)
    for (const BufferParam &q : callee.buffers) {
      if (&p == &q || !p.noalias || (p.readonly && q.readonly) || p.bytes <= 0 || q.bytes <= 0) continue;
      const std::byte *a = at<BufferRef>(p.slot)->root, *b = at<BufferRef>(q.slot)->root;
      if (a < b + q.bytes && b < a + p.bytes) {
        fault(inst, parameter(p) + " overlaps parameter " + std::to_string(q.index) + " in spite of noalias");
        return false;
      }
    }
  return true;
}

const Inst *charge(Machine &m, const Inst *i) {
  return m.charge(static_cast<uint64_t>(i->imm)) ? i + 1 : m.out_of_fuel(i);
}

const Inst *jump(Machine &, const Inst *i) { return i + i->jump; }

const Inst *branch_unless(Machine &m, const Inst *i) { return *m.at<uint8_t>(i->a) ? i + 1 : i + i->jump; }

const Inst *loop_enter(Machine &m, const Inst *i) {
  if (*m.at<int64_t>(i->a) >= *m.at<int64_t>(i->b)) return i + i->jump;
  return m.charge(i->c) ? i + 1 : m.out_of_fuel(i);
}

const Inst *loop_next(Machine &m, const Inst *i) {
  auto &iv = *m.at<int64_t>(i->a);
  if (__builtin_add_overflow(iv, i->imm, &iv) || iv >= *m.at<int64_t>(i->b)) return i + 1;
  return m.charge(i->c) ? i + i->jump : m.out_of_fuel(i);
}

const Inst *task_next(Machine &m, const Inst *i) {
  auto &counter = *m.at<int64_t>(i->a);
  int64_t tasks = *m.at<int64_t>(i->b);
  if (counter >= tasks) return i + i->jump;
  *m.at<int64_t>(i->dst) = m.options->reverse_tasks ? tasks - 1 - counter : counter;
  ++counter;
  return m.charge(i->c) ? i + 1 : m.out_of_fuel(i);
}

const Inst *call_function(Machine &m, const Inst *i) {
  const auto &call = *static_cast<const Call *>(i->side);
  const Code &callee = *call.code;
  std::byte *frame = m.frame + m.code->frame_bytes;
  std::copy(callee.constants.begin(), callee.constants.end(), frame);
  for (const Move &move : call.arguments) std::memcpy(frame + move.dst, m.frame + move.src, move.bytes);
  m.calls.push_back({i, m.code, m.frame, m.allocas.size()});
  m.frame = frame;
  if (!callee.buffers.empty() && !m.admit(i, callee)) return nullptr;
  m.code = &callee;
  return callee.insts.data();
}

const Inst *return_from(Machine &m, const Inst *) {
  if (m.calls.empty()) return nullptr;
  CallRecord record = m.calls.back();
  m.calls.pop_back();
  const auto &call = *static_cast<const Call *>(record.inst->side);
  for (const Move &move : call.results) std::memcpy(record.frame + move.dst, m.frame + move.src, move.bytes);
  m.release(record.allocas);
  m.frame = record.frame;
  m.code = record.code;
  return record.inst + 1;
}

const Inst *call_native(Machine &m, const Inst *i) {
  const auto &call = *static_cast<const Call *>(i->side);
  const Function &function = *call.function;
  const auto *natives = m.options->natives;
  auto native = natives ? natives->find(function.name) : decltype(natives->find(""))();
  if (!natives || native == natives->end())
    return m.fault(i, "no native function @" + escape_name(function.name), ExitCode::unsupported);
  std::vector<Argument> arguments;
  for (size_t k = 0; k < call.arguments.size(); ++k) {
    const Move &move = call.arguments[k];
    const Param &param = function.params[k];
    Argument argument;
    if (function.type(param.value).buffer) {
      const BufferRef &buffer = *m.at<BufferRef>(move.src);
      int64_t need = param.size < 0 ? -1 : param.size * function.type(param.value).bytes(),
              left = buffer.bytes - buffer.offset;
      if (buffer.offset < 0 || left < std::max<int64_t>(need, 0))
        return m.fault(i, "argument " + std::to_string(k) + " of @" + escape_name(function.name) +
                              " lies outside of its buffer");
      argument = {true, !param.readonly, buffer.root + buffer.offset, need < 0 ? left : need, 0};
    } else {
      std::memcpy(&argument.bits, m.at<std::byte>(move.src), std::min<size_t>(move.bytes, 8));
    }
    arguments.push_back(argument);
  }
  std::vector<uint64_t> results(call.results.size());
  int32_t status = native->second(arguments, results);
  if (m.status == 0) m.status = status;
  for (size_t k = 0; k < results.size(); ++k)
    std::memcpy(m.at<std::byte>(call.results[k].dst), &results[k], std::min<size_t>(call.results[k].bytes, 8));
  return i + 1;
}

const Inst *run_alloca(Machine &m, const Inst *i) {
  if (i->imm > m.options->memory - m.memory) return m.fault(i, "out of memory", ExitCode::unsupported);
  auto align = static_cast<std::align_val_t>(std::max<uint32_t>(i->c, 16));
  auto *data = static_cast<std::byte *>(::operator new(static_cast<size_t>(i->imm), align, std::nothrow));
  if (!data) return m.fault(i, "out of memory", ExitCode::unsupported);
  std::memset(data, 0xff,
              static_cast<size_t>(i->imm)); // NaNs: a read before the first write shows, the same way each time
  m.allocas.push_back({data, i->imm, align});
  m.memory += i->imm;
  *m.at<BufferRef>(i->dst) = {data, i->imm, 0};
  return i + 1;
}

const Inst *run_check(Machine &m, const Inst *i) {
  if (!*m.at<uint8_t>(i->a) && m.status == 0) m.status = static_cast<int32_t>(i->imm);
  return i + 1;
}

} // namespace cameo::loop::interp
