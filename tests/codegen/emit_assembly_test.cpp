// What the machine code looks like where it matters: hot loops as one would write them by hand. Each test names the CPU
// that it compiles for, so that it runs on any machine.
#include "emit_cases.h"

#include "cameo/loop/print.h"

#include <algorithm>
#include <regex>
#include <set>
#include <sstream>

namespace cameo::codegen {
namespace {

using Lines = std::vector<std::string>;

std::string assembly(const loop::Module &module, const std::string &cpu, const Options &options = {}) {
  auto problems = loop::verify(module);
  EXPECT_TRUE(problems.empty()) << problems[0];
  auto targets = resolve_targets(cpu);
  EXPECT_TRUE(targets.ok()) << cpu;
  return *compile(module, targets->at(0), Emit::assembly, options);
}

loop::Module parse(const std::string &text) {
  auto module = loop::parse(text, "test");
  EXPECT_TRUE(module.ok()) << to_string(module.errors()[0]);
  return std::move(*module);
}

/// The instructions and labels of one function.
Lines function_lines(const std::string &text, const std::string &name) {
  std::istringstream in(text);
  Lines lines;
  bool inside = false;
  for (std::string line; std::getline(in, line);) {
    if (line == name + ":")
      inside = true;
    else if (line.starts_with(".Lfunc_end"))
      inside = false;
    else if (inside && (!line.starts_with("\t.") && !line.empty()))
      lines.push_back(line);
  }
  EXPECT_FALSE(lines.empty()) << "no function " << name;
  return lines;
}

/// The loops that contain no other: from a label to the jump back to it.
std::vector<Lines> innermost_loops(const Lines &lines) {
  std::vector<std::pair<size_t, size_t>> loops;
  std::map<std::string, size_t> labels;
  std::smatch match;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].ends_with(":"))
      labels[lines[i].substr(0, lines[i].size() - 1)] = i;
    else if (std::regex_match(lines[i], match, std::regex("\tj[a-z]+\t(\\.\\S+)")) && labels.contains(match[1]))
      loops.emplace_back(labels[match[1]], i);
  }
  std::vector<Lines> result;
  for (auto [begin, end] : loops) {
    bool innermost = std::none_of(loops.begin(), loops.end(), [b = begin, e = end](auto other) {
      return other.first >= b && other.second <= e && (other.first != b || other.second != e);
    });
    if (innermost)
      result.emplace_back(lines.begin() + std::ptrdiff_t(begin) + 1, lines.begin() + std::ptrdiff_t(end) + 1);
  }
  return result;
}

int count(const Lines &lines, const std::string &pattern) {
  std::regex regex(pattern);
  return int(std::count_if(lines.begin(), lines.end(),
                           [&](const std::string &line) { return std::regex_search(line, regex); }));
}

std::string text(const Lines &lines) {
  std::string all;
  for (const std::string &line : lines) all += line + "\n";
  return all;
}

/// C[rows][vectors] += A * packed panel, K = 768, unrolled by 4, the next panel prefetched; row strides of 768 and
/// 3072.
loop::Module micro_kernel(int rows, int vectors, int lanes) {
  loop::Module module;
  Builder b(module, "tile");
  b.function().exported = true;
  Value a = b.buffer_param("a", Scalar::f32, true), panel = b.buffer_param("panel", Scalar::f32, true, true, -1, 64);
  Value c = b.buffer_param("c", Scalar::f32, false), bias = b.buffer_param("bias", Scalar::f32, true);
  Value next = b.buffer_param("next", Scalar::f32, true, false);
  std::vector<Value> inits;
  for (int i = 0; i < rows; ++i)
    for (int v = 0; v < vectors; ++v) inits.push_back(b.load(bias, v * lanes, lanes));
  auto sums =
      b.for_loop(b.index_constant(0), b.index_constant(768), 4, inits, [&](Value k, std::span<const Value> values) {
        std::vector<Value> acc(values.begin(), values.end());
        b.prefetch(next, Affine(k) * 4, 2);
        for (int u = 0; u < 4; ++u) {
          std::vector<Value> w;
          for (int v = 0; v < vectors; ++v)
            w.push_back(b.load(panel, (Affine(k) + u) * (vectors * lanes) + v * lanes, lanes));
          for (int i = 0; i < rows; ++i) {
            Value x = b.broadcast(b.load(a, Affine(k) + (i * 768 + u)), lanes);
            for (int v = 0; v < vectors; ++v)
              acc[size_t(i * vectors + v)] = b.muladd(x, w[size_t(v)], acc[size_t(i * vectors + v)]);
          }
        }
        return acc;
      });
  for (int i = 0; i < rows; ++i)
    for (int v = 0; v < vectors; ++v) b.store(sums[size_t(i * vectors + v)], c, i * 3072 + v * lanes);
  b.finish();
  return module;
}

struct TileCase {
  const char *cpu;
  int rows, vectors, lanes;
  const char *reg;
};

class MicroKernel : public testing::TestWithParam<TileCase> {};

TEST_P(MicroKernel, LoopIsFmasOnOneBase) {
  auto [cpu, rows, vectors, lanes, reg] = GetParam();
  Lines lines = function_lines(assembly(micro_kernel(rows, vectors, lanes), cpu), "tile");
  auto loops = innermost_loops(lines);
  ASSERT_EQ(loops.size(), 1u) << text(lines);
  const Lines &body = loops[0];
  SCOPED_TRACE(text(body));
  EXPECT_EQ(count(body, "\\(%r[sb]p"), 0) << "spills in the loop";
  EXPECT_EQ(count(lines, std::string("%") + reg + ".*\\(%r[sb]p|\\(%r[sb]p.*%" + reg), 0) << "spills of vectors";
  EXPECT_EQ(count(body, std::string("vfmadd231ps\t.*%") + reg), 4 * rows * vectors);
  EXPECT_EQ(count(body, "vbroadcastss"), 4 * rows);
  EXPECT_EQ(count(body, std::string("vmov[ua]ps\t.*\\(.*%") + reg), 4 * vectors);
  EXPECT_EQ(count(body, "prefetcht1"), 1);
  // All elements of A through one base and index, all of the panel through another.
  for (const char *instruction : {"vbroadcastss", "vmov[ua]ps"}) {
    std::set<std::string> addresses;
    std::smatch match;
    for (const std::string &line : body)
      if (std::regex_search(line, match, std::regex(std::string(instruction) + "\t[-0-9]*(\\([^)]*\\))")))
        addresses.insert(match[1]);
    EXPECT_EQ(addresses.size(), 1u) << instruction;
  }
  // Nothing else: two inductions at most, the comparison and the jump.
  EXPECT_LE(int(body.size()), 4 * rows * vectors + 4 * rows + 4 * vectors + 1 + 5);
}

INSTANTIATE_TEST_SUITE_P(
    Tiles, MicroKernel,
    testing::Values(TileCase{"skylake-avx512", 14, 2, 16, "zmm"}, TileCase{"x86-64-v4", 14, 2, 16, "zmm"},
                    TileCase{"icelake-server", 14, 2, 16, "zmm"}, TileCase{"sapphirerapids", 14, 2, 16, "zmm"},
                    TileCase{"znver4", 14, 2, 16, "zmm"}, TileCase{"znver5", 14, 2, 16, "zmm"},
                    TileCase{"skylake-avx512", 12, 2, 16, "zmm"}, TileCase{"skylake-avx512", 8, 3, 16, "zmm"},
                    TileCase{"znver5", 9, 3, 16, "zmm"}, TileCase{"skylake-avx512", 6, 4, 16, "zmm"},
                    TileCase{"znver5", 6, 4, 16, "zmm"}, TileCase{"haswell", 6, 2, 8, "ymm"},
                    TileCase{"znver3", 6, 2, 8, "ymm"}, TileCase{"x86-64-v3", 4, 3, 8, "ymm"}),
    [](const auto &info) {
      std::string name = std::string(info.param.cpu) + "_" + std::to_string(info.param.rows) + "x" +
                         std::to_string(info.param.vectors * info.param.lanes);
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

/// The same of u8 x s8 products: four to an i32 lane, weights packed [K/4][width][4].
loop::Module dot_kernel(int rows, int vectors, int lanes) {
  loop::Module module;
  Builder b(module, "tile");
  b.function().exported = true;
  Value a = b.buffer_param("a", Scalar::i8, true), panel = b.buffer_param("panel", Scalar::i8, true, true, -1, 64);
  Value c = b.buffer_param("c", Scalar::i32, false);
  Type vector{Scalar::i32, lanes};
  Value words = b.view(a, 0, Scalar::i32), weights = b.view(panel, 0, Scalar::i32);
  std::vector<Value> inits(size_t(rows * vectors), b.constant_int(vector, 0));
  auto sums =
      b.for_loop(b.index_constant(0), b.index_constant(192), 4, inits, [&](Value k, std::span<const Value> values) {
        std::vector<Value> acc(values.begin(), values.end());
        for (int u = 0; u < 4; ++u) {
          std::vector<Value> w;
          for (int v = 0; v < vectors; ++v)
            w.push_back(b.load(weights, (Affine(k) + u) * (vectors * lanes) + v * lanes, lanes));
          for (int i = 0; i < rows; ++i) {
            Value x = b.broadcast(b.load(words, Affine(k) + (i * 192 + u)), lanes);
            for (int v = 0; v < vectors; ++v)
              acc[size_t(i * vectors + v)] =
                  b.target("vpdpbusd", vector, {acc[size_t(i * vectors + v)], x, w[size_t(v)]});
          }
        }
        return acc;
      });
  for (int i = 0; i < rows; ++i)
    for (int v = 0; v < vectors; ++v) b.store(sums[size_t(i * vectors + v)], c, i * 3072 + v * lanes);
  b.finish();
  return module;
}

TEST(Assembly, DotTilesDoNotSpill) {
  for (auto [cpu, rows, vectors, lanes, reg] :
       {TileCase{"x86-64-v4-vnni", 14, 2, 16, "zmm"}, TileCase{"sapphirerapids", 12, 2, 16, "zmm"},
        TileCase{"znver5", 14, 2, 16, "zmm"}, TileCase{"znver5", 8, 3, 16, "zmm"},
        TileCase{"cascadelake", 6, 4, 16, "zmm"}, TileCase{"alderlake", 6, 2, 8, "ymm"}}) {
    Lines lines = function_lines(assembly(dot_kernel(rows, vectors, lanes), cpu), "tile");
    SCOPED_TRACE(cpu + text(lines));
    auto loops = innermost_loops(lines);
    ASSERT_EQ(loops.size(), 1u);
    EXPECT_EQ(count(lines, std::string("%") + reg + ".*\\(%r[sb]p|\\(%r[sb]p.*%" + reg), 0);
    EXPECT_EQ(count(loops[0], std::string("vpdpbusd\t.*%") + reg), 4 * rows * vectors);
    EXPECT_EQ(count(loops[0], "vpbroadcastd\t"), 4 * rows);
  }
}

// Accumulators carried through three nested loops, as in a convolution: they never leave their registers.
TEST(Assembly, AccumulatorsOfNestedLoopsStayInRegisters) {
  for (const char *cpu : {"skylake-avx512", "znver5"}) {
    constexpr int kPixels = 14, kVectors = 2, kLanes = 16, kChannels = 64, kWidth = 58;
    loop::Module module;
    Builder b(module, "conv");
    b.function().exported = true;
    Value x = b.buffer_param("x", Scalar::f32, true), w = b.buffer_param("w", Scalar::f32, true, true, -1, 64),
          y = b.buffer_param("y", Scalar::f32, false);
    std::vector<Value> inits(kPixels * kVectors, b.constant({Scalar::f32, kLanes}, 0));
    auto nest = [&](int64_t extent, int64_t step, std::span<const Value> values, const Builder::LoopBody &body) {
      return b.for_loop(b.index_constant(0), b.index_constant(extent), step, {values.begin(), values.end()}, body);
    };
    auto sums = nest(3, 1, inits, [&](Value ky, std::span<const Value> rows) {
      return nest(3, 1, rows, [&](Value kx, std::span<const Value> columns) {
        return nest(kChannels, 2, columns, [&](Value c, std::span<const Value> values) {
          std::vector<Value> acc(values.begin(), values.end());
          for (int u = 0; u < 2; ++u) {
            Affine tap = (Affine(ky) * 3 + kx) * kChannels + c + u;
            Value weights[kVectors] = {b.load(w, tap * (kVectors * kLanes), kLanes),
                                       b.load(w, tap * (kVectors * kLanes) + kLanes, kLanes)};
            for (int i = 0; i < kPixels; ++i) {
              Value pixel = b.broadcast(
                  b.load(x, Affine(ky) * (kWidth * kChannels) + (Affine(kx) + i) * kChannels + c + u), kLanes);
              for (int v = 0; v < kVectors; ++v)
                acc[size_t(i * kVectors + v)] = b.muladd(pixel, weights[v], acc[size_t(i * kVectors + v)]);
            }
          }
          return acc;
        });
      });
    });
    for (int i = 0; i < kPixels * kVectors; ++i) b.store(sums[size_t(i)], y, i * kLanes);
    b.finish();
    Lines lines = function_lines(assembly(module, cpu), "conv");
    SCOPED_TRACE(cpu + text(lines));
    EXPECT_EQ(count(lines, "zmm.*\\(%r[sb]p|\\(%r[sb]p.*zmm"), 0);
    EXPECT_EQ(count(lines, "vmov[ua]ps\t%zmm[0-9]+, %zmm[0-9]+"), 0) << "copies of accumulators";
    EXPECT_EQ(count(lines, "vfmadd"), 2 * kPixels * kVectors);
  }
}

// Terms of outer loops are added outside: the inner loop has its load, its store and one induction.
TEST(Assembly, InnerLoopsComputeNoAddresses) {
  loop::Module module = parse(R"(
func @f(%x: buf<f32> readonly noalias, %y: buf<f32> noalias, %n: i64, %m: i64) exported {
  %zero = const 0 : i64
  for %i = %zero to %n {
    for %j = %zero to %m {
      %row = view %x[%i*1000 + %j*100] : buf<f32>
      for %k = %zero to %m step 16 {
        %v = load %row[%k] : f32x16
        %w = load %row[%k + 50] : f32x16
        %s = add %v, %w : f32x16
        store %s, %y[%i*3000 + %j*300 + %k] : f32x16
      }
    }
  }
  return
}
)");
  Lines lines = function_lines(assembly(module, "skylake-avx512"), "f");
  bool found = false;
  for (const Lines &body : innermost_loops(lines)) { // outer loops appear too, where a jump leads back into them
    if (count(body, "zmm") == 0) continue;
    found = true;
    EXPECT_EQ(body.size(), 6u) << text(body); // load, add with memory, store, add, cmp, jump
  }
  EXPECT_TRUE(found) << text(lines);
}

TEST(Assembly, ReluAndClipAreSingleInstructions) {
  loop::Module module = parse(R"(
func @f(%x: buf<f32> noalias, %n: i64) exported {
  %zero = const 0 : i64
  %low = const 0.0 : f32x16
  %high = const 6.0 : f32x16
  for %i = %zero to %n step 16 {
    %v = load %x[%i] : f32x16
    %r = max %v, %low : f32x16
    %c = min %r, %high : f32x16
    store %c, %x[%i] : f32x16
  }
  return
}
)");
  for (const char *cpu : {"skylake-avx512", "haswell", "x86-64-v2"}) {
    auto loops = innermost_loops(function_lines(assembly(module, cpu), "f"));
    ASSERT_EQ(loops.size(), 1u);
    EXPECT_EQ(count(loops[0], "cmp.*ps|blend|\\tv?(and|andn|or)ps"), 0) << cpu << "\n" << text(loops[0]);
    int vectors = std::string(cpu) == "haswell" ? 2 : std::string(cpu) == "x86-64-v2" ? 4 : 1;
    EXPECT_EQ(count(loops[0], "\tv?maxps"), vectors) << cpu;
    EXPECT_EQ(count(loops[0], "\tv?minps"), vectors) << cpu;
  }
}

TEST(Assembly, PartialVectorsAreMaskedMovesWithTheMaskOutside) {
  loop::Module module = parse(R"(
func @f(%x: buf<f32> noalias, %y: buf<f32> noalias, %n: i64, %k: i64) exported {
  %zero = const 0 : i64
  for %i = %zero to %n {
    %v = load %x[%i*20] active %k : f32x16
    store %v, %y[%i*20] active %k : f32x16
  }
  return
}
)");
  auto loops = innermost_loops(function_lines(assembly(module, "x86-64-v4"), "f"));
  ASSERT_EQ(loops.size(), 1u);
  EXPECT_EQ(count(loops[0], "vmov[ua]ps.*\\{%k[1-7]\\}"), 2) << text(loops[0]);
  EXPECT_EQ(count(loops[0], "kmov|bzhi|vpcmp"), 0) << text(loops[0]);
}

TEST(Assembly, ChecksStayOutOfTheWay) {
  loop::Module module = parse(R"(
func @f(%x: buf<f32> readonly noalias, %at: buf<i64> readonly noalias, %n: i64, %m: i64) -> f32x16 exported {
  %zero = const 0 : i64
  %none = const 0.0 : f32x16
  %sum = for %i = %zero to %n iter (%s = %none) {
    %j = load %at[%i] : i64
    %fine = ult %j, %m : i1
    check %fine status 3
    %safe = select %fine, %j, %zero : i64
    %v = load %x[%safe*16] : f32x16
    %t = add %s, %v : f32x16
    yield %t
  }
  return %sum
}
)");
  Lines lines = function_lines(assembly(module, "skylake-avx512"), "f");
  EXPECT_EQ(count(lines, "\tcall"), 0);
  EXPECT_EQ(count(lines, "cmpxchg"), 1);
  EXPECT_EQ(count(lines, "zmm.*\\(%rsp|\\(%rsp.*zmm"), 0) << text(lines);
  // The failing side lies behind the loop.
  size_t back = 0, failed = 0;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (std::regex_match(lines[i], std::regex("\tjl\t.*"))) back = i;
    if (lines[i].find("cmpxchg") != std::string::npos) failed = i;
  }
  EXPECT_GT(failed, back) << text(lines);
}

TEST(Assembly, EachLevelUsesItsOwnInstructions) {
  loop::Module module = parse(R"(
func @f(%x: buf<f32> noalias, %n: i64) exported {
  %zero = const 0 : i64
  for %i = %zero to %n step 16 {
    %v = load %x[%i] : f32x16
    %w = muladd %v, %v, %v : f32x16
    %r = rint %w : f32x16
    store %r, %x[%i] : f32x16
  }
  return
}
)");
  Lines v2 = function_lines(assembly(module, "x86-64-v2"), "f"),
        v3 = function_lines(assembly(module, "x86-64-v3"), "f");
  Lines v4 = function_lines(assembly(module, "x86-64-v4"), "f");
  EXPECT_EQ(count(v2, "\tmulps"), 4);
  EXPECT_EQ(count(v2, "\taddps"), 4);
  EXPECT_EQ(count(v2, "\troundps"), 4);
  EXPECT_EQ(count(v2, "\tv"), 0);
  EXPECT_EQ(count(v3, "\tvfmadd.*ymm"), 2);
  EXPECT_EQ(count(v3, "\tvroundps.*ymm"), 2);
  EXPECT_EQ(count(v4, "\tvfmadd.*zmm"), 1);
  EXPECT_EQ(count(v4, "\tvrndscaleps.*zmm"), 1);
  EXPECT_EQ(count(v4, "ymm"), 0); // LLVM would split vectors here if it were not asked for 512 bits
}

TEST(Assembly, AlignmentFoldsLoadsOnSse) {
  // Offsets are multiples of the parameter's alignment: mulps takes its operand from memory.
  loop::Module module = parse(R"(
func @f(%x: buf<f32> noalias align 64, %n: i64) exported {
  %zero = const 0 : i64
  for %i = %zero to %n {
    %v = load %x[%i*16] : f32x4
    %w = load %x[%i*16 + 4] : f32x4
    %p = mul %v, %w : f32x4
    store %p, %x[%i*16 + 8] : f32x4
  }
  return
}
)");
  Lines lines = function_lines(assembly(module, "x86-64-v2"), "f");
  EXPECT_EQ(count(lines, "mulps\t.*\\(%"), 1) << text(lines);
  EXPECT_EQ(count(lines, "movups"), 0) << text(lines);
}

TEST(Assembly, CallsPassPointersAndInlineSmallFunctions) {
  loop::Module module = parse(R"(
func @small(%x: buf<f32> noalias) {
  %v = load %x[0] : f32
  %w = add %v, %v : f32
  store %w, %x[0] : f32
  return
}
func @kept(%x: buf<f32> noalias) noinline {
  %v = load %x[0] : f32
  store %v, %x[1] : f32
  return
}
func @unused(%x: buf<f32>) noinline {
  return
}
func @f(%x: buf<f32> noalias, %i: i64) exported {
  %p = view %x[%i*8] : buf<f32>
  call @small(%p)
  call @kept(%p)
  return
}
)");
  std::string all = assembly(module, "x86-64-v3");
  Lines lines = function_lines(all, "f");
  EXPECT_EQ(count(lines, "call|jmp\tkept"), 1) << text(lines);
  EXPECT_EQ(count(lines, "vaddss"), 1);
  EXPECT_EQ(all.find("small:"), std::string::npos);
  EXPECT_EQ(all.find("unused:"), std::string::npos);
  EXPECT_EQ(all.find(".globl\tkept"), std::string::npos);
  EXPECT_NE(all.find(".globl\tf"), std::string::npos);
}

TEST(Assembly, LargeFramesAreProbed) {
  loop::Module module = parse(R"(
func @f(%x: buf<f32>) exported {
  %local = alloca 8192 align 64 : buf<f32>
  %v = load %x[0] : f32
  store %v, %local[0] : f32
  %w = load %local[8191] : f32
  store %w, %x[0] : f32
  return
}
)");
  EXPECT_GE(count(function_lines(assembly(module, "x86-64-v3"), "f"), "movq\t\\$0, \\(%rsp\\)"), 1);
}

TEST(Assembly, ControlFlowProtection) {
  loop::Module module = parse("func @f() exported {\n  return\n}\n");
  EXPECT_EQ(count(function_lines(assembly(module, "x86-64-v2"), "f"), "endbr64"), 1);
  Options plain;
  plain.cf_protection = false;
  EXPECT_EQ(count(function_lines(assembly(module, "x86-64-v2", plain), "f"), "endbr64"), 0);
}

} // namespace
} // namespace cameo::codegen
