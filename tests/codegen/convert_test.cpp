// Conversions between stored elements and f32 as compiled code, bit for bit against support/half.h on every CPU level; and
// that no level calls a library for them.
#include "../loop/convert_cases.h"
#include "emit_cases.h"

#include "cameo/loop/legalize.h"

#include <elf.h>

#include <set>

namespace cameo::codegen {
namespace {

using loop::Module;

using Function = void(cameo_env *, const void *, void *, int64_t);

// Fails at the first difference. NaNs agree in any bits when decoded: hardware may quieten them.
void check_decoder(const Jit &code, DType dtype, int32_t lanes) {
  int64_t count = 0;
  std::vector<std::byte> in = loop::stored_inputs(dtype, count);
  std::vector<float> out(static_cast<size_t>(count));
  cameo_env env{};
  code.function<Function>(loop::decoder_name(dtype, lanes))(&env, in.data(), out.data(), count);
  for (int64_t i = 0; i < count; ++i) {
    uint64_t bits = load_element(in.data(), dtype, i);
    auto expected = static_cast<float>(decode(dtype, bits));
    if (dtype == DType::i64) expected = static_cast<float>(static_cast<int64_t>(bits)); // decode() rounds to f64 first
    if (dtype == DType::u64) expected = static_cast<float>(bits);
    float got = out[static_cast<size_t>(i)];
    if (std::isnan(expected) && std::isnan(got)) continue;
    ASSERT_EQ(std::bit_cast<uint32_t>(got), std::bit_cast<uint32_t>(expected))
        << loop::decoder_name(dtype, lanes) << " of code " << bits << ": got " << got << ", expected " << expected;
  }
}

void check_encoder(const Jit &code, DType dtype, int32_t lanes, Narrowing narrowing) {
  std::vector<float> in = loop::f32_inputs(dtype);
  auto count = static_cast<int64_t>(in.size()) - 1; // odd or not, a tail for some lane count
  std::vector<std::byte> out(static_cast<size_t>(*byte_size(dtype, count)) + 8, std::byte{0x55});
  cameo_env env{};
  code.function<Function>(loop::encoder_name(dtype, lanes, narrowing))(&env, in.data(), out.data(), count);
  for (int64_t i = 0; i < count; ++i) {
    float x = in[static_cast<size_t>(i)];
    uint64_t got = load_element(out.data(), dtype, i), expected = encode(dtype, x, narrowing);
    if (dtype == DType::f64 && std::isnan(x)) continue;
    if (dtype == DType::f32) expected = std::bit_cast<uint32_t>(x);
    ASSERT_EQ(got, expected) << loop::encoder_name(dtype, lanes, narrowing) << std::hexfloat << " of " << x << " ("
                             << std::hex << std::bit_cast<uint32_t>(x) << ")";
  }
  int64_t tail = count * bits(dtype) % 8;
  EXPECT_EQ(std::to_integer<int>(out[static_cast<size_t>(count * bits(dtype) / 8)]) >> tail, tail ? 0 : 0x55)
      << "padding";
  for (auto i = static_cast<size_t>(*byte_size(dtype, count)); i < out.size(); ++i)
    EXPECT_EQ(out[i], std::byte{0x55}) << "written past the end";
}

TEST(Convert, EveryCodeAndBoundaryOnEveryLevel) {
  for (const loop::Target &target : runnable_targets()) {
    SCOPED_TRACE(target.name);
    Module module;
    for (DType dtype : loop::kConvertible)
      for (int32_t lanes : loop::convert_lanes(dtype)) loop::add_conversions(module, dtype, lanes);
    loop::legalize(module, target);
    Jit code = jit(module, target);
    for (DType dtype : loop::kConvertible)
      for (int32_t lanes : loop::convert_lanes(dtype)) {
        check_decoder(code, dtype, lanes);
        for (Narrowing narrowing : loop::narrowings(dtype)) check_encoder(code, dtype, lanes, narrowing);
      }
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
    for (Scalar to : {Scalar::f16, Scalar::bf16}) {
      Builder b(module, std::string(loop::name(to)));
      b.function().exported = true;
      Value x = b.buffer_param("x", Scalar::f64, true), y = b.buffer_param("y", to, false), n = b.scalar_param("n");
      b.for_loop(b.index_constant(0), n, 8, {}, [&](Value i, std::span<const Value>) {
        b.store(b.cast(Opcode::fptrunc, b.load(x, i, 8), to), y, i);
        return std::vector<Value>();
      });
      b.finish();
    }
    loop::legalize(module, target);
    Jit code = jit(module, target);
    for (DType dtype : {DType::f16, DType::bf16}) {
      std::vector<uint16_t> out(in.size());
      cameo_env env{};
      code.function<Function>(name(dtype))(&env, in.data(), out.data(), static_cast<int64_t>(in.size()));
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
