/* The x86 features that generated code may need, and where cpuid reports each: one table for the compiler, which writes
 * the required mask of a target into the artefact, and for the runtime stub, which compares it with the machine before
 * it enters a variant. Plain C.
 *
 * A feature is usable when its cpuid bit is set and, for the state classes below, the operating system saves the
 * registers: ymm   cpuid(1).ecx bit 27 (OSXSAVE), and xgetbv(0) has bits 1 and 2 zmm   the same, and xgetbv(0) has bits
 * 5, 6 and 7 too
 */
#ifndef CAMEO_CODEGEN_CPU_H
#define CAMEO_CODEGEN_CPU_H

/* X(position in the mask, identifier, LLVM feature name, cpuid leaf, subleaf, register, bit, state class) */
#define CAMEO_X86_FEATURES(X)                                                                                          \
  X(0, sse3, "sse3", 1u, 0u, ecx, 0, none)                                                                             \
  X(1, ssse3, "ssse3", 1u, 0u, ecx, 9, none)                                                                           \
  X(2, sse41, "sse4.1", 1u, 0u, ecx, 19, none)                                                                         \
  X(3, sse42, "sse4.2", 1u, 0u, ecx, 20, none)                                                                         \
  X(4, popcnt, "popcnt", 1u, 0u, ecx, 23, none)                                                                        \
  X(5, cx16, "cx16", 1u, 0u, ecx, 13, none)                                                                            \
  X(6, sahf, "sahf", 0x80000001u, 0u, ecx, 0, none)                                                                    \
  X(7, lzcnt, "lzcnt", 0x80000001u, 0u, ecx, 5, none)                                                                  \
  X(8, bmi, "bmi", 7u, 0u, ebx, 3, none)                                                                               \
  X(9, bmi2, "bmi2", 7u, 0u, ebx, 8, none)                                                                             \
  X(10, movbe, "movbe", 1u, 0u, ecx, 22, none)                                                                         \
  X(11, prfchw, "prfchw", 0x80000001u, 0u, ecx, 8, none)                                                               \
  X(12, adx, "adx", 7u, 0u, ebx, 19, none)                                                                             \
  X(13, sse4a, "sse4a", 0x80000001u, 0u, ecx, 6, none)                                                                 \
  X(14, avx, "avx", 1u, 0u, ecx, 28, ymm)                                                                              \
  X(15, f16c, "f16c", 1u, 0u, ecx, 29, ymm)                                                                            \
  X(16, fma, "fma", 1u, 0u, ecx, 12, ymm)                                                                              \
  X(17, avx2, "avx2", 7u, 0u, ebx, 5, ymm)                                                                             \
  X(18, avxvnni, "avxvnni", 7u, 1u, eax, 4, ymm)                                                                       \
  X(19, avxvnniint8, "avxvnniint8", 7u, 1u, edx, 4, ymm)                                                               \
  X(20, avxneconvert, "avxneconvert", 7u, 1u, edx, 5, ymm)                                                             \
  X(21, avxifma, "avxifma", 7u, 1u, eax, 23, ymm)                                                                      \
  X(22, gfni, "gfni", 7u, 0u, ecx, 8, none)                                                                            \
  X(23, avx512f, "avx512f", 7u, 0u, ebx, 16, zmm)                                                                      \
  X(24, avx512cd, "avx512cd", 7u, 0u, ebx, 28, zmm)                                                                    \
  X(25, avx512bw, "avx512bw", 7u, 0u, ebx, 30, zmm)                                                                    \
  X(26, avx512dq, "avx512dq", 7u, 0u, ebx, 17, zmm)                                                                    \
  X(27, avx512vl, "avx512vl", 7u, 0u, ebx, 31, zmm)                                                                    \
  X(28, avx512vnni, "avx512vnni", 7u, 0u, ecx, 11, zmm)                                                                \
  X(29, avx512bf16, "avx512bf16", 7u, 1u, eax, 5, zmm)                                                                 \
  X(30, avx512fp16, "avx512fp16", 7u, 0u, edx, 23, zmm)                                                                \
  X(31, avx512vbmi, "avx512vbmi", 7u, 0u, ecx, 1, zmm)                                                                 \
  X(32, avx512vbmi2, "avx512vbmi2", 7u, 0u, ecx, 6, zmm)                                                               \
  X(33, avx512ifma, "avx512ifma", 7u, 0u, ebx, 21, zmm)                                                                \
  X(34, avx512bitalg, "avx512bitalg", 7u, 0u, ecx, 12, zmm)                                                            \
  X(35, avx512vpopcntdq, "avx512vpopcntdq", 7u, 0u, ecx, 14, zmm)

/* CAMEO_X86_fma, ...: one bit each of a uint64_t mask. */
#define CAMEO_X86_ENUM(position, id, llvm, leaf, subleaf, reg, bit, state)                                             \
  static const unsigned long long CAMEO_X86_##id = 1ull << position;
CAMEO_X86_FEATURES(CAMEO_X86_ENUM)
#undef CAMEO_X86_ENUM

#endif
