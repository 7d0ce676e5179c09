// x86-64: which instructions a CPU has is LLVM's knowledge; what this file adds is what schedules reason with:
// full-rate vector width, FMA rate and caches of each microarchitecture (vendors' optimisation manuals; uops.info for
// the FMA ports).
//
// The baseline is x86-64-v2: SSE4.1 is needed to round without a library call.
#include "targets.h"

#include "../lower.h"
#include "cameo/codegen/cpu.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/IntrinsicsX86.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/TargetParser/Host.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <map>

namespace cameo::codegen {
namespace {

using loop::Target;

constexpr std::string_view kTriple = "x86_64-unknown-linux-gnu";
constexpr std::array<std::string_view, 4> kLevels = {"x86-64-v2", "x86-64-v3", "x86-64-v4", "x86-64-v4-vnni"};

struct Feature {
  uint64_t bit;
  const char *llvm;
};
constexpr Feature kFeatures[] = {
#define CAMEO_ROW(position, id, llvm, leaf, subleaf, reg, bit, state) {uint64_t{1} << position, llvm},
    CAMEO_X86_FEATURES(CAMEO_ROW)
#undef CAMEO_ROW
};

// Instructions that LLVM may choose by itself, that few machines have, and that the runtime does not test for: never
// used.
constexpr const char *kNeverUsed[] = {"fma4", "xop", "tbm",  "lwp", "cmpccxadd", "raoint",    "egpr",
                                      "ndd",  "nf",  "ccmp", "cf",  "ppx",       "push2pop2", "zu"};

std::unique_ptr<llvm::MCSubtargetInfo> subtarget(const std::string &cpu, const std::string &features) {
  initialize_llvm();
  std::string error;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(std::string(kTriple), error);
  CAMEO_CHECK(target, error);
  return std::unique_ptr<llvm::MCSubtargetInfo>(target->createMCSubtargetInfo(std::string(kTriple), cpu, features));
}

bool has(const llvm::MCSubtargetInfo &info, const char *feature) {
  return info.checkFeatures(std::string("+") + feature);
}

// Numbers of a microarchitecture. Rows are searched in order; the last is the generic guess.
struct Numbers {
  std::initializer_list<std::string_view> cpus;
  double fma_per_cycle; ///< of the widest vectors
  int64_t l1_kb, l2_kb, l3_kb;
};
const Numbers kNumbers[] = {
    {{"znver5"}, 2, 48, 1024, 32768},
    {{"znver4"}, 1, 32, 1024, 32768}, // 512-bit operations take two passes through 256-bit pipes
    {{"znver3", "znver2"}, 2, 32, 512, 16384},
    {{"znver1"}, 1, 32, 512, 8192}, // 128-bit pipes
    {{"skylake-avx512", "skx", "cascadelake", "cooperlake"}, 2, 32, 1024, 16384},
    {{"icelake-server"}, 2, 48, 1280, 32768},
    {{"sapphirerapids", "emeraldrapids", "graniterapids", "graniterapids-d"}, 2, 48, 2048, 65536},
    {{"icelake-client", "tigerlake", "rocketlake", "cannonlake"}, 1, 48, 512, 8192},
    {{"alderlake", "raptorlake", "meteorlake", "arrowlake", "arrowlake-s", "lunarlake", "pantherlake"},
     2,
     48,
     1280,
     16384},
    {{"haswell", "core-avx2", "broadwell", "skylake"}, 2, 32, 256, 8192},
    {{"gracemont", "sierraforest", "grandridge", "clearwaterforest"}, 1, 32, 1024, 8192},
    {{"x86-64-v4", "x86-64-v4-vnni"}, 2, 32, 1024, 16384},
    {{"x86-64-v3"}, 2, 32, 512, 8192},
};
const Numbers kGeneric = {{}, 1, 32, 256, 8192};

const Numbers &numbers(std::string_view cpu) {
  for (const Numbers &row : kNumbers)
    if (std::find(row.cpus.begin(), row.cpus.end(), cpu) != row.cpus.end()) return row;
  return kGeneric;
}

bool has_baseline(const llvm::MCSubtargetInfo &info) {
  constexpr const char *kBaseline[] = {"64bit", "sse4.2", "popcnt", "cx16", "sahf"};
  return std::all_of(std::begin(kBaseline), std::end(kBaseline),
                     [&](const char *feature) { return has(info, feature); });
}

// Completes a target whose name, cpu and features are set; nullopt when it lacks x86-64-v2.
std::optional<Target> describe(Target target) {
  auto info = subtarget(target.cpu, target.features);
  if (!has_baseline(*info)) return std::nullopt;

  auto remove = [&](const char *feature) { (target.features += target.features.empty() ? "-" : ",-") += feature; };
  for (const char *feature : kNeverUsed)
    if (has(*info, feature)) remove(feature);
  // Knights Landing has 512-bit arithmetic without the byte, word and short-vector forms: taken as an AVX2 machine.
  if (has(*info, "avx512f") && !(has(*info, "avx512bw") && has(*info, "avx512vl") && has(*info, "avx512dq")))
    remove("avx512f");
  info = subtarget(target.cpu, target.features);

  bool avx = has(*info, "avx2"), avx512 = has(*info, "avx512f");
  const Numbers &row = numbers(target.name == "x86-64-v4-vnni" ? target.name : target.cpu);
  target.triple = kTriple;
  target.vector_bits = avx512 ? 512 : avx ? 256 : 128;
  target.vector_registers = avx512 ? 32 : 16;
  target.fma = has(*info, "fma");
  target.f16_convert = has(*info, "f16c");
  target.bf16_convert = false; // vcvtneps2bf16 flushes subnormals: results would depend on the machine
  target.masked_memory = avx512;
  target.dot_u8s8 = avx512 ? has(*info, "avx512vnni") : has(*info, "avxvnni");
  target.fma_per_cycle = row.fma_per_cycle;
  target.l1_bytes = row.l1_kb << 10;
  target.l2_bytes = row.l2_kb << 10;
  target.l3_bytes = row.l3_kb << 10;
  return target;
}

bool is_known(std::string_view cpu) {
  auto info = subtarget("", "");
  auto known = info->getAllProcessorDescriptions();
  return std::any_of(known.begin(), known.end(), [&](const auto &row) { return cpu == row.Key; });
}

bool is_too_old(std::string_view name) { return is_known(name) && !has_baseline(*subtarget(std::string(name), "")); }

std::optional<Target> find(std::string_view name) {
  Target target;
  target.name = name;
  if (name == "x86-64-v4-vnni") {
    target.cpu = "x86-64-v4";
    target.features = "+avx512vnni";
    return describe(std::move(target));
  }
  target.cpu = name;
  if (!is_known(name)) return std::nullopt;
  return describe(std::move(target));
}

std::vector<std::string> names() {
  std::vector<std::string> result(kLevels.begin(), kLevels.end());
  auto info = subtarget("", "");
  std::vector<std::string> cpus;
  for (const auto &row : info->getAllProcessorDescriptions()) {
    std::string_view name = row.Key;
    if (name.starts_with("x86-64") || name.find('_') != name.npos) continue; // spellings for other compilers' dispatch
    if (has_baseline(*subtarget(row.Key, ""))) cpus.emplace_back(name);
  }
  std::sort(cpus.begin(), cpus.end());
  result.insert(result.end(), cpus.begin(), cpus.end());
  return result;
}

// "48K" or "32M" of a file under /sys/devices/system/cpu; nullopt when it is absent or odd.
std::optional<int64_t> cache_size(const std::string &file) {
  std::ifstream in(file);
  int64_t size = 0;
  char unit = 0;
  if (!(in >> size >> unit) || size <= 0 || size > (1 << 24)) return std::nullopt;
  return unit == 'K' ? size << 10 : unit == 'M' ? size << 20 : std::optional<int64_t>();
}

std::string first_word(const std::string &file) {
  std::ifstream in(file);
  std::string word;
  in >> word;
  return word;
}

std::optional<Target> native() {
#if defined(__x86_64__)
  Target target;
  target.cpu = llvm::sys::getHostCPUName().str();
  target.name = target.cpu;
  // The CPU's own features, corrected by what this machine reports: hypervisors hide some.
  auto info = subtarget(target.cpu, "");
  uint64_t offered = host_cpu_features();
  for (const Feature &feature : kFeatures)
    if (has(*info, feature.llvm) != ((offered & feature.bit) != 0)) {
      if (!target.features.empty()) target.features += ",";
      target.features += (offered & feature.bit ? "+" : "-") + std::string(feature.llvm);
    }
  auto described = describe(std::move(target));
  if (!described) return described;
  for (int index = 0; index < 8; ++index) {
    std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/";
    auto size = cache_size(folder + "size");
    if (!size || first_word(folder + "type") == "Instruction") continue;
    std::string level = first_word(folder + "level");
    if (level == "1") described->l1_bytes = *size;
    if (level == "2") described->l2_bytes = *size;
    if (level == "3") described->l3_bytes = *size;
  }
  return described;
#else
  return std::nullopt;
#endif
}

uint64_t required_features(const Target &target) {
  auto info = subtarget(target.cpu, target.features);
  uint64_t bits = 0;
  for (const Feature &feature : kFeatures)
    if (has(*info, feature.llvm)) bits |= feature.bit;
  return bits;
}

uint64_t host_features() {
  uint64_t bits = 0;
#if defined(__x86_64__)
  const auto host = llvm::sys::getHostCPUFeatures(); // knows which registers the operating system saves
  for (const Feature &feature : kFeatures)
    if (host.lookup(feature.llvm)) bits |= feature.bit;
#endif
  return bits;
}

// --- target instructions --------------------------------------------------------------------------------------------

struct Instruction {
  std::string_view name;
  unsigned result_bits;
  llvm::Intrinsic::ID intrinsic;
};
constexpr Instruction kInstructions[] = {
    {"vpdpbusd", 128, llvm::Intrinsic::x86_avx512_vpdpbusd_128},
    {"vpdpbusd", 256, llvm::Intrinsic::x86_avx512_vpdpbusd_256},
    {"vpdpbusd", 512, llvm::Intrinsic::x86_avx512_vpdpbusd_512},
};

// Bytes of a table in four registers: 128 of them by one permutation of bytes where the CPU has that, else the words
// around them, and the byte by a shift.
llvm::Value *emit_lookup256(llvm::IRBuilderBase &builder, const Target &target,
                            std::span<llvm::Value *const> operands) {
  if (target.vector_bits < 512 || operands.size() != 5) return nullptr;
  llvm::Value *at = operands[4];
  auto *bytes = llvm::FixedVectorType::get(builder.getInt8Ty(), 64);
  auto *words = llvm::FixedVectorType::get(builder.getInt32Ty(), 16);
  if (has(*subtarget(target.cpu, target.features), "avx512vbmi")) {
    llvm::SmallVector<int> wide(64, -1), narrow(16);
    for (int i = 0; i < 16; ++i) wide[size_t(i)] = narrow[size_t(i)] = i;
    at = builder.CreateShuffleVector(at, wide);
    auto permute = [&](size_t first) {
      return builder.CreateIntrinsic(llvm::Intrinsic::x86_avx512_vpermi2var_qi_512, {},
                                     {operands[first], at, operands[first + 1]});
    };
    llvm::Value *high = builder.CreateICmpSLT(at, llvm::Constant::getNullValue(bytes));
    return builder.CreateShuffleVector(builder.CreateSelect(high, permute(2), permute(0)), narrow);
  }
  at = builder.CreateZExt(at, words);
  auto number = [&](uint64_t n) { return llvm::ConstantInt::get(words, n); };
  llvm::Value *word = builder.CreateLShr(at, number(2));
  auto permute = [&](size_t first) {
    return builder.CreateIntrinsic(
        llvm::Intrinsic::x86_avx512_vpermi2var_d_512, {},
        {builder.CreateBitCast(operands[first], words), word, builder.CreateBitCast(operands[first + 1], words)});
  };
  llvm::Value *high = builder.CreateICmpUGE(at, number(128));
  llvm::Value *found = builder.CreateSelect(high, permute(2), permute(0));
  found = builder.CreateLShr(found, builder.CreateShl(builder.CreateAnd(at, number(3)), number(3)));
  return builder.CreateTrunc(found, llvm::FixedVectorType::get(builder.getInt8Ty(), 16));
}

llvm::Value *emit_instruction(llvm::IRBuilderBase &builder, const Target &target, std::string_view instruction,
                              std::span<llvm::Value *const> operands) {
  if (instruction == "lookup256") return emit_lookup256(builder, target, operands);
  if (!target.dot_u8s8 || operands.size() != 3) return nullptr;
  llvm::Type *type = operands[0]->getType();
  for (const Instruction &row : kInstructions)
    if (row.name == instruction && row.result_bits == type->getPrimitiveSizeInBits() &&
        int(row.result_bits) <= target.vector_bits)
      // acc + u8 x s8 products, four to a lane; the intrinsic takes the bytes as i32 lanes.
      return builder.CreateIntrinsic(
          row.intrinsic, {},
          {operands[0], builder.CreateBitCast(operands[1], type), builder.CreateBitCast(operands[2], type)});
  return nullptr;
}

} // namespace

const TargetFamily kX86 = {kTriple,           find,          is_too_old,      names, kLevels, native,
                           required_features, host_features, emit_instruction};

} // namespace cameo::codegen
