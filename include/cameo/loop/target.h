// What the compiler knows of a machine: numbers that schedules reason with, and names that LLVM needs. One file per CPU
// family fills records of this type (codegen/targets/); nothing else in the compiler asks which CPU it is.
#pragma once

#include "cameo/support/result.h"

#include <cstdint>
#include <string>
#include <vector>

namespace cameo::loop {

struct Target {
  std::string name;     ///< as the user says it: "x86-64-v3", "znver4", "native" is resolved before
  std::string triple;   ///< LLVM triple, e.g. "x86_64-unknown-linux-gnu"
  std::string cpu;      ///< LLVM CPU name
  std::string features; ///< LLVM feature string, "+avx2,+fma,..."; empty: the CPU's own

  int32_t vector_bits = 128;     ///< widest vector that runs at full rate
  int32_t vector_registers = 16; ///< of that width
  bool fma = false;              ///< fused multiply-add of f32 and f64 vectors
  bool f16_convert = false;      ///< f16 <-> f32 in hardware
  bool bf16_convert = false;     ///< f32 -> bf16 in hardware
  bool masked_memory = false;    ///< cheap masked vector loads and stores
  bool dot_u8s8 = false;         ///< 4-way u8 x s8 -> i32 dot product (vpdpbusd) at vector_bits
  int64_t l1_bytes = 32 << 10;   ///< data cache of one core
  int64_t l2_bytes = 512 << 10;  ///< of one core
  int64_t l3_bytes = 8 << 20;    ///< shared
  double fma_per_cycle = 2;      ///< vector FMAs that one core starts in a cycle

  int32_t lanes(int32_t element_bits) const { return vector_bits / element_bits; }
};

} // namespace cameo::loop
