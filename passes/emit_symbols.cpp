// The head of the arena: whether the run has failed, the values of run-time symbols, where grown buffers lie.
//
// A number that a rule refuses fails the run: the status is set, and no step after it runs (Emitter::emit_items).
#include "emitter.h"

#include "memory.h"

#include "cameo/abi.h"

#include <algorithm>

namespace cameo::passes {

using graph::Dim;
using loop::Affine;
using loop::Opcode;

namespace {

/// Elements and bytes of anything that a run makes.
constexpr int64_t kMostBytes = int64_t{1} << 47;
constexpr int64_t kMostExtent = INT32_MAX;
/// Of the numbers on the way to an extent: far from where 64 bits end, whatever the rounding.
constexpr double kMostMagnitude = 0x1p62;

} // namespace

loop::Value Emitter::head(Site &site) { return site.b.view(site.frame.workspace, Affine(0), loop::Scalar::i64); }

int64_t Emitter::slot(const std::string &key) const {
  const auto it = std::find(plan_.slots.begin(), plan_.slots.end(), key);
  CAMEO_CHECK(it != plan_.slots.end(), "run-time symbol " + key + " has no slot");
  return 1 + (it - plan_.slots.begin());
}

int64_t Emitter::grown_slot(const BufferPlan &buffer) const {
  return 1 + static_cast<int64_t>(plan_.slots.size()) + 2 * int64_t{buffer.port};
}

loop::Value Emitter::succeeded(Site &site) {
  return site.b.compare(Opcode::eq, site.b.load(head(site), Affine(0)), site.b.index_constant(0));
}

void Emitter::fail_unless(Site &site, loop::Value good, int64_t status) {
  loop::Builder &b = site.b;
  b.check(good, status);
  const loop::Value before = b.load(head(site), Affine(0));
  b.store(b.select(good, before, b.index_constant(1)), head(site), Affine(0));
}

// The product, and whether it and its parts are numbers that memory may have.
std::pair<loop::Value, loop::Value> Emitter::product(Site &site, const std::vector<Dim> &factors) {
  loop::Builder &b = site.b;
  loop::Value good = b.constant_int(loop::kBool, -1);
  Dim known = 1;
  std::vector<loop::Value> values;
  for (const Dim &f : factors) {
    if (f.is_constant())
      known = known * f;
    else
      values.push_back(site.code.value(f));
  }
  if (values.size() == 1 && known.is(1)) return {values[0], good};
  loop::Value total = b.index_constant(known.value());
  const loop::Value zero = b.index_constant(0), one = b.index_constant(1), most = b.index_constant(kMostBytes);
  for (const Dim &f : factors)
    if (!f.is_constant()) good = b.binary(Opcode::bit_and, good, exact(site, f));
  for (loop::Value v : values) {
    const loop::Value small = b.compare(Opcode::le, v, b.binary(Opcode::div, most, b.max(total, one)));
    const loop::Value fine = b.binary(Opcode::bit_and, small, b.compare(Opcode::ge, v, zero));
    good = b.binary(Opcode::bit_and, good, fine);
    total = b.mul(total, b.select(fine, v, zero));
  }
  return {total, good};
}

// Whether the code of `dim` gives its value: a product of several symbols may leave 64 bits.
loop::Value Emitter::exact(Site &site, const Dim &dim) {
  loop::Builder &b = site.b;
  if (dim.is_constant() || dim.is_symbol()) return b.constant_int(loop::kBool, -1);
  const loop::Value most = b.constant({loop::Scalar::f64}, kMostMagnitude);
  return b.compare(Opcode::le, site.code.magnitude(dim), most);
}

void Emitter::check_size(Site &site, const std::vector<Dim> &extents) {
  loop::Builder &b = site.b;
  for (const Dim &d : extents) {
    if (d.is_constant() || d.is_symbol()) continue;
    const loop::Value small = b.compare(Opcode::le, site.code.value(d), b.index_constant(kMostBytes));
    fail_unless(site, b.binary(Opcode::bit_and, exact(site, d), small), CAMEO_LIMIT_EXCEEDED);
    fail_unless(site, b.compare(Opcode::ge, site.code.value(d), b.index_constant(0)),
                interface_.at_run(d) ? CAMEO_SHAPE_MISMATCH : CAMEO_DIM_OUT_OF_RANGE);
  }
  if (const loop::Value good = product(site, extents).second; b.known_constant(good) != -1)
    fail_unless(site, good, CAMEO_LIMIT_EXCEEDED);
}

// All numbers first, then what becomes of them: rules may exchange symbols.
void Emitter::emit_rules(Site &site, const std::vector<Rule> &rules, const Placement &from) {
  loop::Builder &b = site.b;
  const loop::Value zero = b.index_constant(0), one = b.index_constant(1);
  const bool stores = std::any_of(rules.begin(), rules.end(), [](const Rule &r) {
    return r.kind == Rule::Kind::define || r.kind == Rule::Kind::once;
  });
  std::vector<loop::Value> numbers;
  for (const Rule &rule : rules) {
    if (rule.kind == Rule::Kind::size) {
      numbers.push_back(zero);
      continue;
    }
    if (rule.element < 0) {
      const auto [number, good] = product(site, rule.factors);
      if (b.known_constant(good) != -1) fail_unless(site, good, CAMEO_LIMIT_EXCEEDED);
      numbers.push_back(number);
      continue;
    }
    Dim at = from.offset;
    for (const PlacedTerm &term : from.terms) at += term.stride * rule.element;
    numbers.push_back(b.load(address(site, from.buffer, DType::i64, at), Affine(0)));
  }
  // In order: the bound of a symbol may be one that was defined before it.
  for (size_t i = 0; i < rules.size(); ++i) {
    const Rule &rule = rules[i];
    const loop::Value number = numbers[i];
    const bool once = rule.kind == Rule::Kind::once;
    loop::Value again; // not the first iteration
    if (once) {
      again = b.compare(Opcode::gt, site.code.value(counters_.back()), zero);
      const loop::Value same = b.compare(Opcode::eq, number, site.code.value(rule.dim));
      fail_unless(site, b.select(again, same, b.constant_int(loop::kBool, -1)), CAMEO_SHAPE_MISMATCH);
    }
    switch (rule.kind) {
    case Rule::Kind::define:
    case Rule::Kind::once: {
      fail_unless(site, b.compare(Opcode::ge, number, zero), CAMEO_SHAPE_MISMATCH);
      const loop::Value most = rule.most ? site.code.value(*rule.most) : b.index_constant(kMostExtent);
      const loop::Value fits = b.compare(Opcode::le, number, most);
      fail_unless(site, fits, CAMEO_LIMIT_EXCEEDED);
      const loop::Value safe = b.max(zero, b.min(number, most));
      b.store(safe, head(site), Affine(slot(rule.dim.symbol_key())));
      site.code.set(rule.dim.symbol_key(), safe);
      break;
    }
    case Rule::Kind::equal:
      fail_unless(site, b.compare(Opcode::eq, number, site.code.value(rule.dim)), CAMEO_SHAPE_MISMATCH);
      break;
    case Rule::Kind::spread: {
      const loop::Value same = b.compare(Opcode::eq, number, site.code.value(rule.dim));
      const loop::Value single = b.compare(Opcode::eq, number, one);
      fail_unless(site, b.binary(Opcode::bit_or, same, single), CAMEO_SHAPE_MISMATCH);
      break;
    }
    case Rule::Kind::size:
      check_size(site, rule.factors);
      break;
    }
  }
  if (stores) site.code.forget_runtime();
}

// ---- memory

void Emitter::declare_memory() {
  for (const bool grow : {true, false}) {
    loop::Function f;
    f.name = grow ? "cameo_grow" : "cameo_release";
    f.declaration = true;
    f.params.push_back({f.new_value(loop::buffer_of(loop::Scalar::i8), "workspace"), false, false, 64, -1});
    f.params.push_back({f.new_value(loop::buffer_of(loop::Scalar::i64), "slots"), false, false, 8, -1});
    if (grow) {
      f.params.push_back({f.new_value(loop::kIndex, "bytes"), false, false, 0, -1});
      f.params.push_back({f.new_value(loop::kIndex, "keep"), false, false, 0, -1});
      f.results = {loop::kIndex};
    }
    variant_.code.functions.push_back(std::move(f));
  }
}

void Emitter::emit_grow(Site &site, int32_t buffer, const std::vector<Dim> &factors, bool keep) {
  loop::Builder &b = site.b;
  const auto [bytes, good] = product(site, factors);
  if (b.known_constant(good) != -1) fail_unless(site, good, CAMEO_LIMIT_EXCEEDED);
  const int64_t slots = grown_slot(plan_.buffers[static_cast<size_t>(buffer)]);
  // The runtime sets the status when there is no memory.
  const loop::Value done = b.call("cameo_grow",
                                  {site.frame.workspace, b.view(head(site), Affine(slots)),
                                   b.select(good, bytes, b.index_constant(0)), b.index_constant(keep)},
                                  {loop::kIndex})[0];
  fail_unless(site, b.compare(Opcode::ne, done, b.index_constant(0)), CAMEO_OUT_OF_MEMORY);
}

// ---- outputs whose extents only the run knows

// Bytes of the output against the room that the caller gave.
loop::Value Emitter::fits(Site &site, int32_t port) {
  int64_t position = 0;
  for (int32_t p = 0; p < port; ++p) position += interface_.at_run(p);
  const Port &output = interface_.outputs[static_cast<size_t>(port)];
  const Dim bytes = bytes_of(output.dtype, graph::product(output.dims));
  const loop::Value room = site.b.load(site.frame.capacity, Affine(position));
  return site.b.compare(Opcode::le, site.code.value(bytes), room);
}

void Emitter::emit_run_dims(Site &site) {
  int64_t at = 0;
  for (const Port &port : interface_.outputs)
    for (const Dim &d : port.dims)
      if (interface_.at_run(d)) site.b.store(site.code.value(d), site.frame.run_dims, Affine(at++));
}

} // namespace cameo::passes
