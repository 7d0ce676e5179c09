// Names of scalar kinds and opcodes, affine arithmetic, and the few member functions of the IR's containers.
#include "cameo/loop/ir.h"

#include <algorithm>
#include <array>

namespace cameo::loop {

std::string_view name(Scalar scalar) {
  constexpr std::array<std::string_view, 9> kNames = {"i1", "i8", "i16", "i32", "i64", "f16", "bf16", "f32", "f64"};
  return kNames.at(static_cast<size_t>(scalar));
}

int bits(Scalar scalar) {
  constexpr std::array<int, 9> kBits = {1, 8, 16, 32, 64, 16, 16, 32, 64};
  return kBits.at(static_cast<size_t>(scalar));
}

std::string to_string(const Type &type) {
  std::string text(name(type.scalar));
  if (type.buffer) return "buf<" + text + ">";
  return type.lanes == 1 ? text : text + "x" + std::to_string(type.lanes);
}

namespace {

struct OpcodeRow {
  std::string_view text;
  OpClass op_class;
};
constexpr OpcodeRow kOpcodes[] = {
#define LOOP_OP(id, text, class_) {text, OpClass::class_},
#include "cameo/loop/opcodes.def"
};

// Two's complement arithmetic: index values wrap, as i64 operations do.
int64_t wrap_add(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
int64_t wrap_mul(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}

} // namespace

std::string_view name(Opcode opcode) { return kOpcodes[static_cast<size_t>(opcode)].text; }
OpClass op_class(Opcode opcode) { return kOpcodes[static_cast<size_t>(opcode)].op_class; }

std::optional<Opcode> opcode_from_name(std::string_view text) {
  for (size_t i = 0; i < std::size(kOpcodes); ++i)
    if (kOpcodes[i].text == text) return static_cast<Opcode>(i);
  return std::nullopt;
}

Affine::Affine(Value v, int64_t coefficient) {
  if (coefficient != 0) terms.emplace_back(v, coefficient);
}

Affine &Affine::operator+=(const Affine &other) {
  std::vector<std::pair<Value, int64_t>> sum;
  sum.reserve(terms.size() + other.terms.size());
  auto a = terms.begin(), a_end = terms.end();
  auto b = other.terms.begin(), b_end = other.terms.end();
  while (a != a_end || b != b_end) {
    if (b == b_end || (a != a_end && a->first < b->first)) {
      sum.push_back(*a++);
    } else if (a == a_end || b->first < a->first) {
      sum.push_back(*b++);
    } else {
      if (int64_t c = wrap_add(a->second, b->second)) sum.emplace_back(a->first, c);
      ++a, ++b;
    }
  }
  constant = wrap_add(constant, other.constant);
  terms = std::move(sum);
  return *this;
}

Affine &Affine::operator*=(int64_t factor) {
  constant = wrap_mul(constant, factor);
  for (auto &[value, coefficient] : terms) coefficient = wrap_mul(coefficient, factor);
  std::erase_if(terms, [](const auto &term) { return term.second == 0; });
  return *this;
}

Value Function::new_value(Type type, std::string name) {
  CAMEO_CHECK(values.size() < UINT32_MAX, "too many values");
  values.push_back({type, std::move(name)});
  return Value{static_cast<uint32_t>(values.size() - 1)};
}

const Function *Module::find(std::string_view name) const {
  auto it = std::find_if(functions.begin(), functions.end(), [&](const Function &f) { return f.name == name; });
  return it == functions.end() ? nullptr : &*it;
}

Function *Module::find(std::string_view name) { return const_cast<Function *>(std::as_const(*this).find(name)); }

} // namespace cameo::loop
