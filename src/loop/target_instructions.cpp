// The table of target instructions: typing rule and meaning of each row.
#include "cameo/loop/target_instructions.h"

#include <algorithm>
#include <cstring>

namespace cameo::loop {

namespace {

std::string vpdpbusd_type_error(const Type &result, std::span<const Type> operands) {
  bool good = result.scalar == Scalar::i32 && !result.buffer && operands.size() == 3 &&
              std::all_of(operands.begin(), operands.end(), [&](const Type &t) { return t == result; });
  return good ? "" : "vpdpbusd is i32xN(i32xN, i32xN, i32xN)";
}

void vpdpbusd(std::byte *result, std::span<const std::byte *const> operands, int32_t lanes) {
  for (int32_t lane = 0; lane < lanes; ++lane) {
    uint32_t sum;
    std::memcpy(&sum, operands[0] + lane * 4, 4);
    for (int32_t k = 0; k < 4; ++k) {
      int32_t a = std::to_integer<uint8_t>(operands[1][lane * 4 + k]);
      int32_t b = static_cast<int8_t>(std::to_integer<uint8_t>(operands[2][lane * 4 + k]));
      sum += static_cast<uint32_t>(a * b);
    }
    std::memcpy(result + lane * 4, &sum, 4);
  }
}

std::string lookup256_type_error(const Type &result, std::span<const Type> operands) {
  const Type quarter{Scalar::i8, 64, false}, bytes{Scalar::i8, 16, false};
  bool good = result == bytes && operands.size() == 5 && operands[4] == bytes &&
              std::all_of(operands.begin(), operands.end() - 1, [&](const Type &t) { return t == quarter; });
  return good ? "" : "lookup256 is i8x16(i8x64, i8x64, i8x64, i8x64, i8x16)";
}

void lookup256(std::byte *result, std::span<const std::byte *const> operands, int32_t lanes) {
  for (int32_t lane = 0; lane < lanes; ++lane) {
    const auto at = std::to_integer<size_t>(operands[4][lane]);
    result[lane] = operands[at / 64][at % 64];
  }
}

constexpr TargetInstruction kInstructions[] = {
    {"vpdpbusd", vpdpbusd_type_error, vpdpbusd},
    {"lookup256", lookup256_type_error, lookup256},
};

} // namespace

std::span<const TargetInstruction> target_instructions() { return kInstructions; }

const TargetInstruction *find_target_instruction(std::string_view name) {
  const auto *end = std::end(kInstructions);
  const auto *it =
      std::find_if(std::begin(kInstructions), end, [&](const TargetInstruction &i) { return i.name == name; });
  return it == end ? nullptr : it;
}

} // namespace cameo::loop
