/* Which instructions this process may use. cpuid is slow on virtual machines (it leaves the guest), so the answer is
 * kept: one word, the same whoever computes it. */
#include "runtime.h"

#include "cameo/codegen/cpu.h"

#if defined(__x86_64__)

#define KNOWN (1ull << 63)
static _Atomic uint64_t known_features;

struct registers {
  uint32_t eax, ebx, ecx, edx;
};

static struct registers cpuid(uint32_t leaf, uint32_t subleaf) {
  struct registers r;
  __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
  return r;
}

/* A leaf that the CPU does not have reads as zero. */
static struct registers leaf_of(uint32_t leaf, uint32_t subleaf) {
  struct registers none = {0, 0, 0, 0};
  if (leaf > cpuid(leaf & 0x80000000u, 0).eax) return none;
  if (leaf == 7 && subleaf > cpuid(7, 0).eax) return none;
  return cpuid(leaf, subleaf);
}

static uint64_t detect(void) {
  const struct registers r_1_0 = leaf_of(1, 0), r_7_0 = leaf_of(7, 0), r_7_1 = leaf_of(7, 1),
                         r_ext = leaf_of(0x80000001u, 0);
  uint32_t xcr0 = 0;
  if (r_1_0.ecx >> 27 & 1) { /* OSXSAVE */
    uint32_t high;
    __asm__ volatile("xgetbv" : "=a"(xcr0), "=d"(high) : "c"(0));
  }
  const bool none = true, ymm = (xcr0 & 0x06) == 0x06, zmm = (xcr0 & 0xe6) == 0xe6;
  uint64_t features = 0;
#define DETECT(position, id, llvm, leaf, subleaf, reg, bit, state)                                                     \
  {                                                                                                                    \
    const struct registers *r = leaf == 1u ? &r_1_0 : leaf == 0x80000001u ? &r_ext : subleaf ? &r_7_1 : &r_7_0;        \
    if (state && (r->reg >> bit & 1)) features |= 1ull << position;                                                    \
  }
  CAMEO_X86_FEATURES(DETECT)
#undef DETECT
  return features;
}

uint64_t cpu_features(void) {
  uint64_t features = atomic_load_explicit(&known_features, memory_order_relaxed);
  if (!features) {
    features = detect() | KNOWN;
    atomic_store_explicit(&known_features, features, memory_order_relaxed);
  }
  return features & ~KNOWN;
}

#else
uint64_t cpu_features(void) { return 0; }
#endif
