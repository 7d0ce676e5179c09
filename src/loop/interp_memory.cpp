// Memory: every access goes through Machine::access, which knows the bytes of the buffer's root.
#include "interp_machine.h"

#include <algorithm>
#include <bit>

namespace cameo::loop::interp {

std::byte *Machine::access(const Inst *inst, const BufferRef &buffer, int64_t element, int64_t bytes) {
  const auto &address = *static_cast<const Address *>(inst->side);
  int64_t offset;
  bool overflow = __builtin_mul_overflow(element, address.element_bytes, &offset) ||
                  __builtin_add_overflow(offset, buffer.offset, &offset);
  if (overflow || offset < 0 || offset > buffer.bytes || bytes > buffer.bytes - offset) [[unlikely]] {
    std::string where = overflow ? "element " + std::to_string(element) : "bytes " + std::to_string(offset);
    fault(inst, "reaches " + std::to_string(bytes) + " bytes at " + where + " of a buffer of " +
                    std::to_string(buffer.bytes) + " bytes");
    return nullptr;
  }
  std::byte *data = buffer.root + offset;
  if (address.align > 1 && options->check_alignment &&
      reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(address.align) != 0) [[unlikely]] {
    fault(inst, "address is not aligned to " + std::to_string(address.align) + " bytes");
    return nullptr;
  }
  return data;
}

bool Machine::moved(const Inst *inst, BufferRef &buffer, const Address &address) {
  int64_t distance;
  bool overflow = __builtin_mul_overflow(evaluate(address), address.element_bytes, &distance) ||
                  __builtin_add_overflow(buffer.offset, distance, &buffer.offset);
  if (overflow) fault(inst, "address overflows");
  return !overflow;
}

namespace {

const Address &address_of(const Inst *i) { return *static_cast<const Address *>(i->side); }

// dst = address as an i64
const Inst *index(Machine &m, const Inst *i) {
  *m.at<int64_t>(i->dst) = m.evaluate(address_of(i));
  return i + 1;
}

// dst = buffer a, moved
const Inst *view(Machine &m, const Inst *i) {
  BufferRef buffer = *m.at<BufferRef>(i->a);
  if (!m.moved(i, buffer, address_of(i))) return nullptr;
  *m.at<BufferRef>(i->dst) = buffer;
  return i + 1;
}

// dst = lanes at buffer a; Bits: one lane of that width, or void: imm bytes
template <class Bits> const Inst *load(Machine &m, const Inst *i) {
  constexpr bool kScalar = !std::is_void_v<Bits>;
  int64_t bytes = i->imm;
  if constexpr (kScalar) bytes = sizeof(Bits);
  const std::byte *data = m.access(i, *m.at<BufferRef>(i->a), m.evaluate(address_of(i)), bytes);
  if (!data) return nullptr;
  if constexpr (kScalar)
    std::memcpy(m.at<Bits>(i->dst), data, sizeof(Bits));
  else
    std::memcpy(m.at<std::byte>(i->dst), data, static_cast<size_t>(bytes));
  return i + 1;
}

// lanes of value b to buffer a
template <class Bits> const Inst *store(Machine &m, const Inst *i) {
  constexpr bool kScalar = !std::is_void_v<Bits>;
  int64_t bytes = i->imm;
  if constexpr (kScalar) bytes = sizeof(Bits);
  std::byte *data = m.access(i, *m.at<BufferRef>(i->a), m.evaluate(address_of(i)), bytes);
  if (!data) return nullptr;
  if constexpr (kScalar)
    std::memcpy(data, m.at<Bits>(i->b), sizeof(Bits));
  else
    std::memcpy(data, m.at<std::byte>(i->b), static_cast<size_t>(bytes));
  return i + 1;
}

// Bytes of the lanes that an i64 in slot c makes active.
int64_t active_bytes(const Machine &m, const Inst *i) {
  return std::clamp<int64_t>(*m.at<int64_t>(i->c), 0, i->lanes) * address_of(i).element_bytes;
}

const Inst *load_active(Machine &m, const Inst *i) {
  auto *d = m.at<std::byte>(i->dst);
  int64_t bytes = active_bytes(m, i);
  if (bytes > 0) {
    const std::byte *data = m.access(i, *m.at<BufferRef>(i->a), m.evaluate(address_of(i)), bytes);
    if (!data) return nullptr;
    std::memcpy(d, data, static_cast<size_t>(bytes));
  }
  std::memset(d + bytes, 0, static_cast<size_t>(i->imm - bytes));
  return i + 1;
}

const Inst *store_active(Machine &m, const Inst *i) {
  int64_t bytes = active_bytes(m, i);
  if (bytes == 0) return i + 1;
  std::byte *data = m.access(i, *m.at<BufferRef>(i->a), m.evaluate(address_of(i)), bytes);
  if (!data) return nullptr;
  std::memcpy(data, m.at<std::byte>(i->b), static_cast<size_t>(bytes));
  return i + 1;
}

// buffer a, indices b, mask c when imm is 1; dst or, for scatter, dst is the slot of the stored value
template <class Bits, class Index, bool kGather> const Inst *indexed(Machine &m, const Inst *i) {
  const BufferRef buffer = *m.at<BufferRef>(i->a);
  const Index *indices = m.at<Index>(i->b);
  const uint8_t *mask = i->imm ? m.at<uint8_t>(i->c) : nullptr;
  auto *lanes = m.at<Bits>(i->dst);
  auto base = static_cast<uint64_t>(m.evaluate(address_of(i)));
  for (int32_t k = 0; k < i->lanes; ++k) {
    if (mask && !mask[k]) {
      if constexpr (kGather) lanes[k] = 0;
      continue;
    }
    auto element = static_cast<int64_t>(base + static_cast<uint64_t>(static_cast<int64_t>(indices[k])));
    std::byte *data = m.access(i, buffer, element, sizeof(Bits));
    if (!data) return nullptr;
    if constexpr (kGather)
      std::memcpy(lanes + k, data, sizeof(Bits));
    else
      std::memcpy(data, lanes + k, sizeof(Bits));
  }
  return i + 1;
}

template <bool kGather> Handler pick_indexed(int64_t bytes, bool wide_index) {
  switch (bytes) {
  case 1:
    return wide_index ? indexed<uint8_t, int64_t, kGather> : indexed<uint8_t, int32_t, kGather>;
  case 2:
    return wide_index ? indexed<uint16_t, int64_t, kGather> : indexed<uint16_t, int32_t, kGather>;
  case 4:
    return wide_index ? indexed<uint32_t, int64_t, kGather> : indexed<uint32_t, int32_t, kGather>;
  default:
    return wide_index ? indexed<uint64_t, int64_t, kGather> : indexed<uint64_t, int32_t, kGather>;
  }
}

template <bool kLoad> Handler pick_plain(const Type &data) {
  if (data.lanes > 1) return kLoad ? load<void> : store<void>;
  switch (lane_bytes(data.scalar)) {
  case 1:
    return kLoad ? load<uint8_t> : store<uint8_t>;
  case 2:
    return kLoad ? load<uint16_t> : store<uint16_t>;
  case 4:
    return kLoad ? load<uint32_t> : store<uint32_t>;
  default:
    return kLoad ? load<uint64_t> : store<uint64_t>;
  }
}

} // namespace

Handler memory_handler(Opcode code, const Type &data, const Type &indices, bool active) {
  switch (code) {
  case Opcode::index:
    return index;
  case Opcode::view:
    return view;
  case Opcode::load:
    return active ? load_active : pick_plain<true>(data);
  case Opcode::store:
    return active ? store_active : pick_plain<false>(data);
  case Opcode::gather:
    return pick_indexed<true>(lane_bytes(data.scalar), indices.scalar == Scalar::i64);
  case Opcode::scatter:
    return pick_indexed<false>(lane_bytes(data.scalar), indices.scalar == Scalar::i64);
  default:
    CAMEO_UNREACHABLE("not a memory operation: " + std::string(name(code)));
  }
}

} // namespace cameo::loop::interp
