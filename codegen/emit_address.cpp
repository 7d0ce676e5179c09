// Addresses: affine forms to pointers, term by term from the outermost scope inwards (see emit.h).
#include "emit.h"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace cameo::codegen {

using loop::Affine;
using loop::Opcode;
using loop::Value;

void FunctionEmitter::flatten(const Affine &affine, int64_t scale, Address &into) {
  // Everything wraps, as the code would.
  auto times = [](int64_t a, int64_t b) { return int64_t(uint64_t(a) * uint64_t(b)); };
  auto add = [&](int64_t a) { into.constant = int64_t(uint64_t(into.constant) + uint64_t(a)); };
  add(times(affine.constant, scale));
  for (auto [v, coefficient] : affine.terms) {
    const loop::Op *definition = definitions_[v.id];
    if (auto known = constant(v))
      add(times(*known, times(coefficient, scale)));
    else if (definition && definition->code == Opcode::index)
      flatten(definition->address, times(coefficient, scale), into);
    else
      into.terms.emplace_back(v, times(coefficient, scale));
  }
}

FunctionEmitter::Address FunctionEmitter::address_of(Value buffer, const Affine &affine) {
  Address address;
  const Affine *part = &affine;
  for (;;) {
    flatten(*part, loop::bits(type(buffer).scalar) / 8, address);
    const loop::Op *definition = definitions_[buffer.id];
    if (!definition || definition->code != Opcode::view) break;
    buffer = definition->operands[0];
    part = &definition->address;
  }
  address.root = buffer;
  return address;
}

// The pointer root + terms + constant, or the i64 sum when there is no root.
llvm::Value *FunctionEmitter::sum(const Address &address) {
  std::vector<std::pair<Value, int64_t>> terms;
  for (auto [v, coefficient] : address.terms) {
    auto same = std::find_if(terms.begin(), terms.end(), [v = v](const auto &t) { return t.first == v; });
    if (same != terms.end())
      same->second = int64_t(uint64_t(same->second) + uint64_t(coefficient));
    else
      terms.emplace_back(v, coefficient);
  }
  std::erase_if(terms, [](const auto &t) { return t.second == 0; });
  // Outermost variable first. Within a scope the earlier definition first: partial sums are then available as early as
  // can be.
  std::sort(terms.begin(), terms.end(), [&](const auto &a, const auto &b) {
    return std::tuple(depth(a.first), a.first.id) < std::tuple(depth(b.first), b.first.id);
  });

  bool pointer = address.root.valid();
  llvm::Value *result = pointer ? value(address.root) : nullptr;
  size_t level = pointer ? depth(address.root) : 0;
  std::vector<std::pair<Value, int64_t>> prefix;
  for (auto [v, coefficient] : terms) {
    level = std::max(level, depth(v));
    prefix.emplace_back(v, coefficient);
    llvm::Value *&partial = scopes_[level].partial[{address.root, prefix}];
    if (!partial) {
      llvm::Value *term = value(v);
      Place place(*this, level);
      if (coefficient != 1) term = builder_.CreateMul(term, builder_.getInt64(uint64_t(coefficient)));
      // Plain wrapping arithmetic: a partial sum may lie outside the buffer when the constant brings it back.
      partial = pointer  ? builder_.CreateGEP(builder_.getInt8Ty(), result, term)
                : result ? builder_.CreateAdd(result, term)
                         : term;
    }
    result = partial;
  }
  if (!pointer && !result) return builder_.getInt64(uint64_t(address.constant));
  if (address.constant == 0) return result;
  llvm::Value *displacement = builder_.getInt64(uint64_t(address.constant));
  return pointer ? builder_.CreateGEP(builder_.getInt8Ty(), result, displacement)
                 : builder_.CreateAdd(result, displacement);
}

// What divides the address in bytes, as far as the root's alignment and the coefficients tell; a power of two.
int64_t FunctionEmitter::known_alignment(const Address &address) {
  int64_t align = 1;
  const loop::Op *definition = definitions_[address.root.id];
  if (definition && definition->code == Opcode::alloca) align = std::max(definition->align, 1);
  for (const loop::Param &param : in_.params)
    if (param.value == address.root) align = std::max(param.align, 1);
  uint64_t all = uint64_t(align) | uint64_t(address.constant);
  for (auto [v, coefficient] : address.terms) all |= uint64_t(coefficient);
  return int64_t(all & -all);
}

} // namespace cameo::codegen
