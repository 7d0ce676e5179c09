// Names of CPUs, the numbers behind them, and what the runtime must find before it enters their code.
#include "cameo/codegen/codegen.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace cameo::codegen {
namespace {

loop::Target target(const std::string &name) {
  auto targets = resolve_targets(name);
  EXPECT_TRUE(targets.ok() && targets->size() == 1) << name;
  return targets->at(0);
}

TEST(Targets, Levels) {
  loop::Target v2 = target("x86-64-v2"), v3 = target("x86-64-v3"), v4 = target("x86-64-v4"),
               vnni = target("x86-64-v4-vnni");
  EXPECT_EQ(v2.vector_bits, 128);
  EXPECT_EQ(v2.vector_registers, 16);
  EXPECT_FALSE(v2.fma);
  EXPECT_FALSE(v2.f16_convert);
  EXPECT_EQ(v3.vector_bits, 256);
  EXPECT_TRUE(v3.fma && v3.f16_convert);
  EXPECT_FALSE(v3.masked_memory);
  EXPECT_EQ(v4.vector_bits, 512);
  EXPECT_EQ(v4.vector_registers, 32);
  EXPECT_TRUE(v4.masked_memory);
  EXPECT_FALSE(v4.dot_u8s8);
  EXPECT_TRUE(vnni.dot_u8s8);
  EXPECT_EQ(vnni.cpu, "x86-64-v4");
  EXPECT_EQ(vnni.features, "+avx512vnni");
}

TEST(Targets, NamedCpus) {
  EXPECT_EQ(target("znver5").vector_bits, 512);
  EXPECT_EQ(target("znver5").l2_bytes, 1 << 20);
  EXPECT_EQ(target("znver4").fma_per_cycle, 1);
  EXPECT_TRUE(target("sapphirerapids").dot_u8s8);
  EXPECT_FALSE(target("skylake-avx512").dot_u8s8);
  EXPECT_EQ(target("haswell").vector_bits, 256);
  EXPECT_EQ(target("nehalem").vector_bits, 128);
  EXPECT_TRUE(target("alderlake").dot_u8s8); // AVX-VNNI at 256 bits
  EXPECT_EQ(target("alderlake").vector_bits, 256);
  EXPECT_EQ(target("knl").vector_bits, 256);         // lacks the byte, word and short-vector forms
  EXPECT_EQ(target("sandybridge").vector_bits, 128); // AVX without integer vectors of 256 bits
  EXPECT_EQ(target("bdver4").features, "-fma4,-xop,-tbm,-lwp");
}

TEST(Targets, EveryOfferedNameResolves) {
  auto names = target_names();
  EXPECT_GT(names.size(), 40u);
  for (const std::string &name : names) {
    auto targets = resolve_targets(name);
    ASSERT_TRUE(targets.ok()) << name;
    for (const loop::Target &t : *targets) {
      EXPECT_EQ(t.triple, "x86_64-unknown-linux-gnu");
      EXPECT_TRUE(t.vector_bits >= 128 && t.l1_bytes > 0 && t.l2_bytes > t.l1_bytes && t.fma_per_cycle > 0) << name;
      EXPECT_TRUE(required_cpu_features(t) & CAMEO_X86_sse42) << name;
    }
  }
}

TEST(Targets, ListsAreOrderedAndWithoutDuplicates) {
  auto list = resolve_targets("x86-64-v4,haswell,x86-64-v2,haswell");
  ASSERT_TRUE(list.ok());
  ASSERT_EQ(list->size(), 3u);
  EXPECT_EQ(list->at(0).name, "x86-64-v2");
  EXPECT_EQ(list->at(1).name, "haswell");
  EXPECT_EQ(list->at(2).name, "x86-64-v4");
  auto portable = resolve_targets("portable");
  ASSERT_TRUE(portable.ok());
  std::vector<std::string> names;
  for (const loop::Target &t : *portable) names.push_back(t.name);
  EXPECT_EQ(names, (std::vector<std::string>{"x86-64-v2", "x86-64-v3", "x86-64-v4", "x86-64-v4-vnni"}));
}

TEST(Targets, UnknownNamesAreUsageErrorsWithSuggestions) {
  auto wrong = resolve_targets("x86-64-v2,znver55,,pentium4,haswel\n");
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(exit_code(wrong.errors()), ExitCode::usage);
  ASSERT_EQ(wrong.errors().size(), 4u);
  EXPECT_EQ(wrong.errors()[0].what, "unknown CPU 'znver55'; did you mean 'znver5', 'znver1', 'znver2'?");
  EXPECT_EQ(wrong.errors()[1].what, "empty name in the list of target CPUs");
  EXPECT_EQ(wrong.errors()[2].what, "CPU 'pentium4' is older than x86-64-v2");
  EXPECT_EQ(wrong.errors()[3].what, "unknown CPU 'haswel\\x0a'; did you mean 'haswell'?");
  auto nothing_near = resolve_targets("qwertyuiop");
  EXPECT_EQ(nothing_near.errors()[0].what, "unknown CPU 'qwertyuiop'");
}

TEST(Targets, RequiredFeatures) {
  uint64_t v2 = required_cpu_features(target("x86-64-v2")), v3 = required_cpu_features(target("x86-64-v3"));
  uint64_t v4 = required_cpu_features(target("x86-64-v4"));
  EXPECT_EQ(v2, CAMEO_X86_sse3 | CAMEO_X86_ssse3 | CAMEO_X86_sse41 | CAMEO_X86_sse42 | CAMEO_X86_popcnt |
                    CAMEO_X86_cx16 | CAMEO_X86_sahf);
  EXPECT_EQ(v3 & ~v2, CAMEO_X86_avx | CAMEO_X86_avx2 | CAMEO_X86_fma | CAMEO_X86_f16c | CAMEO_X86_bmi | CAMEO_X86_bmi2 |
                          CAMEO_X86_lzcnt | CAMEO_X86_movbe);
  EXPECT_EQ(v4 & ~v3,
            CAMEO_X86_avx512f | CAMEO_X86_avx512bw | CAMEO_X86_avx512cd | CAMEO_X86_avx512dq | CAMEO_X86_avx512vl);
  EXPECT_EQ(required_cpu_features(target("x86-64-v4-vnni")), v4 | CAMEO_X86_avx512vnni);
  EXPECT_FALSE(required_cpu_features(target("knl")) & CAMEO_X86_avx512f);
}

TEST(Targets, NativeRunsHere) {
  loop::Target native = target("native");
  EXPECT_TRUE(host_can_run(native));
  EXPECT_EQ(required_cpu_features(native) & ~host_cpu_features(), 0u);
  EXPECT_NE(native.name, "native");
  // With its features written out, the name compiles the same code on any machine.
  auto names = target_names();
  EXPECT_NE(std::find(names.begin(), names.end(), native.cpu), names.end());
}

} // namespace
} // namespace cameo::codegen
