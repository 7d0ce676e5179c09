// Conversions between stored elements and f32 as compiled code, bit for bit against support/half.h on every CPU level;
// and that no level calls a library for them.
#include "../loop/convert_cases.h"
#include "compiled.h"

#include "cameo/loop/legalize.h"

#include <elf.h>

#include <set>

namespace cameo::codegen {
namespace {

using loop::Module;

TEST(Convert, EveryCodeAndBoundaryOnEveryLevel) {
  for (const loop::Target &target : runnable_targets()) {
    SCOPED_TRACE(target.name);
    Module module;
    loop::add_all_conversions(module);
    loop::legalize(module, target);
    Jit code = jit(module, target);
    loop::check_all_conversions(compiled(code));
  }
}

constexpr DType kStorage[] = {DType::f16,        DType::bf16,   DType::f8e4m3fn, DType::f8e4m3fnuz, DType::f8e5m2,
                              DType::f8e5m2fnuz, DType::f4e2m1, DType::i4,       DType::u4,         DType::i8};

TEST(Convert, SmallStorageComputesInF32) {
  for (const loop::Target &target : runnable_targets()) {
    SCOPED_TRACE(target.name);
    Module module;
    for (DType dtype : kStorage) loop::add_multiply(module, dtype);
    loop::legalize(module, target);
    Jit code = jit(module, target);
    for (DType dtype : kStorage) loop::check_multiply(compiled(code), dtype);
  }
}

// f64 to f16 and bf16 is rounded once, not by way of f32.
TEST(Convert, DoublesRoundOnce) {
  std::vector<double> in;
  loop::RandomBits random(4);
  for (DType dtype : {DType::f16, DType::bf16})
    for (uint64_t code = 0; code < 0x7f80; code += 1 + random() % 5) {
      double middle = (decode(dtype, code) + decode(dtype, code + 1)) / 2;
      for (double scale : {1.0, 1 + 0x1p-40, 1 - 0x1p-40, 1 + 0x1p-52})
        in.push_back((code % 2 ? -middle : middle) * scale);
    }
  for (double x : loop::math_inputs<double>(8)) in.push_back(x);
  while (in.size() % 8) in.push_back(0);
  for (const loop::Target &target : runnable_targets()) {
    SCOPED_TRACE(target.name);
    Module module;
    for (Scalar to : {Scalar::f16, Scalar::bf16})
      loop::add_elementwise(module, std::string(loop::name(to)), {Scalar::f64}, to, 8,
                            [&](Builder &b, std::span<const Value> x) { return b.cast(Opcode::fptrunc, x[0], to); });
    loop::legalize(module, target);
    Jit code = jit(module, target);
    for (DType dtype : {DType::f16, DType::bf16}) {
      std::vector<uint16_t> out(in.size());
      compiled(code)(std::string(name(dtype)), {loop::bytes_of(in)}, loop::writable_bytes_of(out),
                     static_cast<int64_t>(in.size()));
      for (size_t i = 0; i < in.size(); ++i)
        ASSERT_EQ(out[i], encode(dtype, in[i])) << name(dtype) << std::hexfloat << " of " << in[i];
    }
  }
}

// The names that an ELF object needs from elsewhere.
std::set<std::string> undefined_symbols(const std::string &object) {
  std::set<std::string> names;
  Elf64_Ehdr header;
  std::memcpy(&header, object.data(), sizeof header);
  auto section = [&](size_t i) {
    Elf64_Shdr s;
    std::memcpy(&s, object.data() + header.e_shoff + i * sizeof s, sizeof s);
    return s;
  };
  for (size_t i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr table = section(i);
    if (table.sh_type != SHT_SYMTAB) continue;
    const char *strings = object.data() + section(table.sh_link).sh_offset;
    for (size_t at = sizeof(Elf64_Sym); at < table.sh_size; at += sizeof(Elf64_Sym)) {
      Elf64_Sym symbol;
      std::memcpy(&symbol, object.data() + table.sh_offset + at, sizeof symbol);
      if (symbol.st_shndx == SHN_UNDEF) names.insert(strings + symbol.st_name);
    }
  }
  return names;
}

// Every operation that legalize replaces, for every level whether or not this machine has it: nothing is called.
TEST(Convert, NeedsNoLibrary) {
  for (const char *cpu : {"x86-64-v2", "x86-64-v3", "x86-64-v4", "x86-64-v4-vnni"}) {
    loop::Target target = resolve_targets(cpu)->at(0);
    Module module;
    for (DType dtype : loop::kConvertible) loop::add_conversions(module, dtype, 16);
    for (DType dtype : kStorage) loop::add_multiply(module, dtype);
    for (Scalar scalar : {Scalar::f32, Scalar::f64})
      for (int32_t lanes : {1, 16}) {
        Builder b(module, "math_" + std::string(loop::name(scalar)) + std::to_string(lanes));
        b.function().exported = true;
        Value x = b.buffer_param("x", scalar, false);
        Value v = b.load(x, 0, lanes);
        for (auto code = static_cast<int>(Opcode::exp); code < static_cast<int>(Opcode::pow); ++code)
          v = b.unary(static_cast<Opcode>(code), v);
        v = b.ternary(Opcode::fma, b.binary(Opcode::pow, v, v), b.binary(Opcode::rem, v, v), v);
        for (Opcode code : {Opcode::floor, Opcode::ceil, Opcode::rint, Opcode::ftrunc, Opcode::sqrt})
          v = b.unary(code, v);
        b.store(v, x, 0);
        b.finish();
      }
    loop::legalize(module, target);
    auto object = compile(module, target, Emit::object);
    ASSERT_TRUE(object.ok());
    EXPECT_EQ(undefined_symbols(*object), std::set<std::string>()) << cpu;
  }
}

} // namespace
} // namespace cameo::codegen
