// Whole files: what symbols they have, that they do not vary, pieces compiled side by side, debug information.
#include "emit_cases.h"

#include "cameo/loop/legalize.h"
#include "cameo/loop/print.h"

#include <algorithm>
#include <elf.h>
#include <fstream>
#include <set>
#include <sstream>

namespace cameo::codegen {
namespace {

struct Symbol {
  std::string name;
  bool undefined, global, hidden, function;
};

/// The named symbols of a relocatable ELF file.
std::vector<Symbol> symbols(const std::string &object) {
  std::vector<Symbol> result;
  EXPECT_TRUE(object.starts_with("\177ELF"));
  const auto *header = reinterpret_cast<const Elf64_Ehdr *>(object.data());
  const auto *sections = reinterpret_cast<const Elf64_Shdr *>(object.data() + header->e_shoff);
  for (int i = 0; i < header->e_shnum; ++i) {
    if (sections[i].sh_type != SHT_SYMTAB) continue;
    const char *names = object.data() + sections[sections[i].sh_link].sh_offset;
    const auto *table = reinterpret_cast<const Elf64_Sym *>(object.data() + sections[i].sh_offset);
    for (size_t k = 1; k < sections[i].sh_size / sizeof(Elf64_Sym); ++k) {
      unsigned type = ELF64_ST_TYPE(table[k].st_info);
      if (type == STT_SECTION || type == STT_FILE) continue;
      result.push_back({names + table[k].st_name, table[k].st_shndx == SHN_UNDEF,
                        ELF64_ST_BIND(table[k].st_info) == STB_GLOBAL,
                        ELF64_ST_VISIBILITY(table[k].st_other) == STV_HIDDEN, type == STT_FUNC});
    }
  }
  return result;
}

std::set<std::string> names(const std::string &object, bool (*which)(const Symbol &)) {
  std::set<std::string> result;
  for (const Symbol &symbol : symbols(object))
    if (which(symbol)) result.insert(symbol.name);
  return result;
}

bool is_undefined(const Symbol &s) { return s.undefined; }
bool is_exported(const Symbol &s) { return s.global && !s.undefined && !s.hidden; }
bool is_hidden(const Symbol &s) { return s.global && !s.undefined && s.hidden; }

/// A function per (opcode, kind, lanes): everything that could tempt LLVM into a library call.
loop::Module everything() {
  loop::Module module;
  auto function = [&](const std::string &name, Type type, const Suite::Build &build) {
    Builder b(module, name + "." + loop::to_string(type));
    b.function().exported = true;
    Value x = b.buffer_param("x", type.scalar, true);
    std::vector<Value> args;
    for (int k = 0; k < 3; ++k) args.push_back(b.load(x, k * type.lanes, type.lanes));
    Value result = build(b, args);
    b.set_results({b.type(result)});
    b.finish({result});
  };
  const std::vector<Scalar> ints = {Scalar::i8, Scalar::i16, Scalar::i32, Scalar::i64},
                            floats = {Scalar::f32, Scalar::f64};
  auto kinds = [&](Opcode code) {
    bool only_floats = (code >= Opcode::floor && code <= Opcode::pow) || code == Opcode::fma || code == Opcode::muladd;
    bool only_ints = code == Opcode::udiv || code == Opcode::urem || code == Opcode::umin || code == Opcode::umax ||
                     (code >= Opcode::bit_and && code <= Opcode::clz) || (code >= Opcode::ult && code <= Opcode::uge);
    std::vector<Scalar> result;
    if (!only_floats) result.insert(result.end(), ints.begin(), ints.end());
    if (!only_ints) result.insert(result.end(), floats.begin(), floats.end());
    return result;
  };
  for (int32_t lanes : {1, 16}) {
    for (int i = 0; i <= int(Opcode::check); ++i) {
      auto code = Opcode(i);
      std::string name(loop::name(code));
      for (Scalar kind : kinds(code)) {
        Type type{kind, lanes};
        switch (loop::op_class(code)) {
        case loop::OpClass::unary:
          function(name, type, [=](Builder &b, auto x) { return b.unary(code, x[0]); });
          break;
        case loop::OpClass::binary:
          function(name, type, [=](Builder &b, auto x) { return b.binary(code, x[0], x[1]); });
          break;
        case loop::OpClass::ternary:
          function(name, type, [=](Builder &b, auto x) { return b.ternary(code, x[0], x[1], x[2]); });
          break;
        case loop::OpClass::compare:
          function(name, type, [=](Builder &b, auto x) { return b.compare(code, x[0], x[1]); });
          break;
        default:
          break;
        }
      }
    }
    auto cast = [&](Opcode code, Scalar from, Scalar to) {
      function(std::string(loop::name(code)) + "." + std::string(loop::name(to)), {from, lanes},
               [=](Builder &b, auto x) { return b.cast(code, x[0], to); });
    };
    for (Scalar f : floats)
      for (Scalar i : ints) {
        cast(Opcode::sitofp, i, f);
        cast(Opcode::uitofp, i, f);
        cast(Opcode::fptosi, f, i);
        cast(Opcode::fptoui, f, i);
      }
    for (Scalar half : {Scalar::f16, Scalar::bf16})
      for (Scalar f : floats) {
        cast(Opcode::fpext, half, f);
        cast(Opcode::fptrunc, f, half);
      }
    cast(Opcode::fpext, Scalar::f32, Scalar::f64);
    cast(Opcode::fptrunc, Scalar::f64, Scalar::f32);
  }
  for (Scalar kind : {Scalar::i8, Scalar::f32, Scalar::f64}) // large enough that a copy could become memcpy
    for (int32_t lanes : {8, 64}) {
      Builder b(module, "copy." + loop::to_string(Type{kind, lanes}));
      b.function().exported = true;
      Value x = b.buffer_param("x", kind, true), y = b.buffer_param("y", kind, false), n = b.scalar_param("n");
      b.for_range(0, 1024, lanes, [&](Value i) { b.store(b.load(x, i, lanes), y, i); });
      b.store(b.load(x, 0, lanes, 0, n), y, 0, 0, n);
      b.for_range(0, 4096, lanes, [&](Value i) {
        b.store(b.bitcast(b.constant_int({Scalar::i8, lanes * loop::bits(kind) / 8}, 0), {kind, lanes}), y, i);
      });
      b.finish();
    }
  return module;
}

TEST(Objects, NothingIsUndefined) {
  loop::Module plain = everything();
  for (const char *cpu : {"x86-64-v2", "x86-64-v3", "x86-64-v4", "sapphirerapids"}) {
    loop::Target target = resolve_targets(cpu)->at(0);
    loop::Module module = plain;
    loop::legalize(module, target);
    Options options;
    options.jobs = 2;
    auto chunks = compile_chunks(module, target, Emit::object, options);
    ASSERT_TRUE(chunks.ok());
    std::set<std::string> undefined, exported;
    for (const std::string &chunk : *chunks) {
      undefined.merge(names(chunk, is_undefined));
      exported.merge(names(chunk, is_exported));
    }
    EXPECT_EQ(undefined, std::set<std::string>()) << cpu;
    EXPECT_EQ(exported.size(), module.functions.size()) << cpu;
  }
}

const char *const kCalls = R"(
func @inline(%x: f32) -> f32 {
  %y = add %x, %x : f32
  return %y
}
func @tile(%x: buf<f32> noalias) noinline {
  %v = load %x[0] : f32
  %w = call @inline(%v) -> f32
  store %w, %x[1] : f32
  return
}
func @other(%x: buf<f32> noalias) exported {
  call @tile(%x)
  return
}
func @main(%x: buf<f32> noalias) exported {
  call @tile(%x)
  call @other(%x)
  call @outside(%x)
  return
}
declare @outside(%x: buf<f32>)
)";

loop::Module parse(const std::string &text) {
  auto module = loop::parse(text, "test");
  EXPECT_TRUE(module.ok()) << to_string(module.errors()[0]);
  return std::move(*module);
}

// The examples of Loop IR's own tests, each for each level: nothing that verifies makes codegen fail.
TEST(Objects, EveryTextExampleCompiles) {
  int compiled = 0;
  for (const char *file : {"arithmetic", "control", "memory", "vectors"}) {
    std::ifstream in(std::string(CAMEO_SOURCE_DIR) + "/tests/loop/" + file + ".loops");
    ASSERT_TRUE(in) << file;
    std::stringstream text;
    text << in.rdbuf();
    std::string all = text.str();
    for (size_t begin = 0; begin < all.size();) {
      size_t end = std::min(all.find("// ----", begin), all.size());
      std::string section = all.substr(begin, end - begin);
      begin = std::min(end + 8, all.size());
      auto module = loop::parse(section, file);
      if (section.find("// error:") != std::string::npos || !module.ok() || !loop::verify(*module).empty()) continue;
      for (loop::Function &function : module->functions) function.exported = !function.declaration;
      for (const char *cpu : {"x86-64-v2", "x86-64-v3", "x86-64-v4"}) {
        loop::Module legal = *module;
        loop::Target target = resolve_targets(cpu)->at(0);
        loop::legalize(legal, target);
        SCOPED_TRACE(cpu + std::string(" ") + section);
        EXPECT_NO_THROW(EXPECT_TRUE(compile(legal, target, Emit::object).ok()));
        ++compiled;
      }
    }
  }
  EXPECT_GT(compiled, 30);
}

TEST(Objects, SymbolsOfOnePiece) {
  loop::Target target = resolve_targets("x86-64-v3")->at(0);
  std::string object = *compile(parse(kCalls), target, Emit::object);
  EXPECT_EQ(names(object, is_exported), (std::set<std::string>{"main", "other"}));
  EXPECT_EQ(names(object, is_hidden), std::set<std::string>());
  EXPECT_EQ(names(object, is_undefined), std::set<std::string>{"outside"});
}

TEST(Objects, PiecesShareHiddenSymbols) {
  loop::Target target = resolve_targets("x86-64-v3")->at(0);
  Options options;
  options.chunk_ops = 1;
  auto chunks = compile_chunks(parse(kCalls), target, Emit::object, options);
  ASSERT_TRUE(chunks.ok());
  ASSERT_EQ(chunks->size(), 3u);
  EXPECT_EQ(names(chunks->at(0), is_hidden), std::set<std::string>{"tile"});
  EXPECT_EQ(names(chunks->at(0), is_undefined), std::set<std::string>()); // @inline came along
  EXPECT_EQ(names(chunks->at(1), is_exported), std::set<std::string>{"other"});
  EXPECT_EQ(names(chunks->at(1), is_undefined), std::set<std::string>{"tile"});
  EXPECT_EQ(names(chunks->at(2), is_undefined), (std::set<std::string>{"other", "outside", "tile"}));
}

TEST(Objects, OutputDoesNotVary) {
  loop::Target target = resolve_targets("x86-64-v4")->at(0);
  loop::Module module = everything();
  loop::legalize(module, target);
  Options one, two;
  one.chunk_ops = two.chunk_ops = 500;
  two.jobs = 2;
  auto first = compile_chunks(module, target, Emit::object, one),
       second = compile_chunks(module, target, Emit::object, two);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_GT(first->size(), 3u);
  EXPECT_EQ(*first, *second);
}

TEST(Objects, EveryKindOfOutput) {
  loop::Target target = resolve_targets("x86-64-v3")->at(0);
  loop::Module module = parse(kCalls);
  std::string ir = *compile(module, target, Emit::llvm_ir);
  EXPECT_NE(ir.find("define"), std::string::npos);
  EXPECT_NE(ir.find("noalias"), std::string::npos);
  EXPECT_NE(ir.find("\"target-cpu\"=\"x86-64-v3\""), std::string::npos);
  EXPECT_EQ(ir.find("min-legal-vector-width"), std::string::npos);
  EXPECT_TRUE(compile(module, target, Emit::bitcode)->starts_with("BC\xc0\xde"));
  EXPECT_NE(compile(module, target, Emit::assembly)->find(".globl\tmain"), std::string::npos);
}

TEST(Objects, DebugInformationNamesTheModelsNodes) {
  loop::Target target = resolve_targets("x86-64-v3")->at(0);
  loop::Module module = parse(kCalls);
  module.find("tile")->origin = "conv1, relu1";
  Options options;
  options.debug_info = true;
  options.source = "resnet.onnx";
  std::string object = *compile(module, target, Emit::object, options);
  EXPECT_NE(object.find("conv1, relu1"), std::string::npos);
  EXPECT_NE(object.find("resnet.onnx"), std::string::npos);
  EXPECT_NE(object.find(".debug_line"), std::string::npos);
  EXPECT_NE(object.find(".eh_frame"), std::string::npos);
  EXPECT_EQ(object.find(CAMEO_SOURCE_DIR), std::string::npos);
  std::string plain = *compile(module, target, Emit::object);
  EXPECT_EQ(plain.find(".debug"), std::string::npos);
  EXPECT_EQ(plain.find("conv1"), std::string::npos);
  loop::Module parallel =
      parse("func @f(%x: buf<f32>, %n: i64) exported {\n  parallel %t of %n {\n    %v = load %x[%t] "
            ": f32\n    store %v, %x[%t] : f32\n  }\n  return\n}\n");
  EXPECT_NE(compile(parallel, target, Emit::object, options)->find("f.task"), std::string::npos);
}

TEST(Objects, AFaultInOnePieceIsThrownHere) {
  loop::Target target = resolve_targets("x86-64-v2")->at(0);
  loop::Module module = parse(
      "func @a() exported {\n  return\n}\nfunc @b(%x: f32) -> f32 exported {\n  %y = exp %x : f32\n  return %y\n}\n");
  Options options;
  options.chunk_ops = 1;
  options.jobs = 2;
  EXPECT_THROW((void)compile_chunks(module, target, Emit::object, options), InternalError);
}

// LLVM meets an instruction that the CPU does not have: its fatal error arrives as ours, in whichever thread, and the
// next compilation works.
TEST(Objects, FatalErrorsOfLlvmAreInternalErrors) {
  loop::Target target = resolve_targets("x86-64-v3")->at(0);
  target.dot_u8s8 = true; // a lie
  loop::Module module = parse("func @a() exported {\n  return\n}\nfunc @b(%x: i32x8) -> i32x8 exported {\n"
                              "  %y = target \"vpdpbusd\"(%x, %x, %x) : i32x8\n  return %y\n}\n");
  Options options;
  options.chunk_ops = 1;
  options.jobs = 2;
  for (int attempt = 0; attempt < 2; ++attempt) {
    EXPECT_THROW((void)compile(module, target, Emit::object), InternalError);
    EXPECT_THROW((void)compile_chunks(module, target, Emit::object, options), InternalError);
    EXPECT_TRUE(compile(parse(kCalls), target, Emit::object).ok());
  }
}

TEST(Loading, RefusesWhatThisMachineCannotRun) {
  loop::Target target = resolve_targets("knl")->at(0);
  target.features = "+avx512fp16,+avxvnniint8,+avxneconvert,+sse4a"; // no machine has them all
  auto code = Jit::create(parse("func @f() exported {\n  return\n}\n"), target);
  ASSERT_FALSE(code.ok());
  EXPECT_EQ(exit_code(code.errors()), ExitCode::unsupported);
}

TEST(Loading, OnlyExportedFunctionsAreFound) {
  loop::Target target = resolve_targets("x86-64-v2")->at(0);
  auto code = Jit::create(parse(kCalls), target, {},
                          {{"outside", reinterpret_cast<void *>(+[](cameo_env *, float *x) { x[2] = 5; })}});
  ASSERT_TRUE(code.ok());
  EXPECT_EQ(code->symbol("tile"), nullptr);
  EXPECT_EQ(code->symbol("nothing"), nullptr);
  Jit moved = std::move(*code);
  float x[3] = {1.5, 0, 0};
  cameo_env env{};
  moved.function<void(cameo_env *, float *)>("main")(&env, x);
  EXPECT_EQ(x[1], 3.0f);
  EXPECT_EQ(x[2], 5.0f);
}

} // namespace
} // namespace cameo::codegen
