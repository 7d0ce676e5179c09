// Replaces operations that the target lacks by others that it has.
//
// Every replacement is a small function of its own: built once per (operation, types), legalized itself, and then
// copied to each place that needs it, with its values renamed. Constants are not copied along but shared: they stand at
// the start of the function, or of the parallel body, that uses them.
#include "cameo/loop/legalize.h"

#include "legalize_ops.h"

#include <bit>
#include <map>
#include <optional>
#include <tuple>

namespace cameo::loop {

namespace {

bool is_math(Opcode code) { return code >= Opcode::exp && code <= Opcode::pow; }

/// What identifies a replacement.
using Key = std::tuple<Opcode, std::string, std::vector<std::pair<Scalar, int32_t>>>;

/// Builds replacements and remembers them.
class Replacements {
public:
  explicit Replacements(const Target &target) : target_(target) {}

  /// The function to copy in place of `op`; nullptr when the target does `op` itself.
  const Function *find(const Function &function, const Op &op);

private:
  /// nullptr: native.
  Expansion expansion_of(const Function &function, const Op &op) const;

  const Target &target_;
  std::map<Key, Module> built_; // one function each
};

/// Rewrites one function.
class Rewriter {
public:
  Rewriter(Function &function, Replacements &replacements) : function_(function), replacements_(replacements) {}

  void run() { constant_scope(function_.body); }

private:
  /// Constants already placed at the start of a block: (scalar, lanes, bits).
  struct Scope {
    std::vector<Op> constants;
    std::map<std::tuple<Scalar, int32_t, uint64_t>, Value> known;
  };

  void constant_scope(Block &block) {
    scopes_.emplace_back();
    rewrite(block);
    std::vector<Op> &constants = scopes_.back().constants;
    block.ops.insert(block.ops.begin(), std::make_move_iterator(constants.begin()),
                     std::make_move_iterator(constants.end()));
    scopes_.pop_back();
  }

  void rewrite(Block &block) {
    std::vector<Op> ops;
    ops.reserve(block.ops.size());
    for (Op &op : block.ops) {
      for (Block &region : op.regions) op.code == Opcode::parallel ? constant_scope(region) : rewrite(region);
      if (const Function *replacement = replacements_.find(function_, op))
        copy(*replacement, op, ops);
      else
        ops.push_back(std::move(op));
    }
    block.ops = std::move(ops);
  }

  // The body of `from` with op's operands for its parameters and op's result for what it returns.
  void copy(const Function &from, const Op &op, std::vector<Op> &out) {
    std::vector<Value> map(from.values.size());
    for (size_t i = 0; i < from.params.size(); ++i) map[from.params[i].value.id] = op.operands[i];
    const Op &last = from.body.ops.back();
    CAMEO_CHECK(last.code == Opcode::ret && last.operands.size() == 1, "a replacement returns one value");
    CAMEO_CHECK(!map[last.operands[0].id].valid(), "a replacement returns something new");
    map[last.operands[0].id] = op.results[0];
    for (size_t i = 0; i + 1 < from.body.ops.size(); ++i) copy(from, from.body.ops[i], map, out);
  }

  void copy(const Function &from, const Op &op, std::vector<Value> &map, std::vector<Op> &out) {
    if (op.code == Opcode::constant) {
      map[op.results[0].id] = constant(from.type(op.results[0]), op);
      return;
    }
    Op copied = op;
    copied.regions.clear();
    for (Value &v : copied.operands) v = map[v.id];
    copied.address = Affine(op.address.constant);
    for (const auto &[value, coefficient] : op.address.terms) copied.address += Affine(map[value.id], coefficient);
    for (const Block &region : op.regions) {
      Block &block = copied.regions.emplace_back();
      for (Value v : region.args) block.args.push_back(map[v.id] = function_.new_value(from.type(v)));
      for (const Op &inner : region.ops) copy(from, inner, map, block.ops);
    }
    for (Value &v : copied.results) {
      if (!map[v.id].valid()) map[v.id] = function_.new_value(from.type(v));
      v = map[v.id];
    }
    out.push_back(std::move(copied));
  }

  Value constant(Type type, const Op &op) {
    uint64_t pattern = is_int(type.scalar) ? static_cast<uint64_t>(op.integer) : std::bit_cast<uint64_t>(op.real);
    Scope &scope = scopes_.back();
    auto [it, added] = scope.known.try_emplace({type.scalar, type.lanes, pattern});
    if (added) {
      it->second = function_.new_value(type);
      Op shared = op;
      shared.results = {it->second};
      scope.constants.push_back(std::move(shared));
    }
    return it->second;
  }

  Function &function_;
  Replacements &replacements_;
  std::vector<Scope> scopes_;
};

Value expand_math_op(Builder &builder, const Replaced &replaced) {
  return expand_math(builder, replaced.op.code, replaced.operands, replaced.target);
}

Expansion Replacements::expansion_of(const Function &function, const Op &op) const {
  if (is_math(op.code)) return expand_math_op;
  Scalar from = op.operands.empty() ? Scalar::i1 : function.type(op.operands[0]).scalar;
  switch (op.code) {
  case Opcode::fma:
    return target_.fma ? nullptr : expand_fma;
  case Opcode::rem:
    return is_float(from) ? expand_rem : nullptr;
  case Opcode::fpext:
    if (from == Scalar::f32) return nullptr;
    return from == Scalar::f16 && target_.f16_convert && function.type(op.results[0]).scalar == Scalar::f32
               ? nullptr
               : expand_fpext;
  case Opcode::fptrunc: {
    Scalar to = function.type(op.results[0]).scalar;
    if (to == Scalar::f32) return nullptr;
    return from == Scalar::f32 && to == Scalar::f16 && target_.f16_convert ? nullptr : expand_fptrunc;
  }
  case Opcode::target:
    return op.symbol == "vpdpbusd" && !has_dot_u8s8(target_, function.type(op.results[0]).lanes) ? expand_dot_u8s8
                                                                                                 : nullptr;
  default:
    return nullptr;
  }
}

const Function *Replacements::find(const Function &function, const Op &op) {
  Expansion expansion = expansion_of(function, op);
  if (!expansion) return nullptr;

  std::vector<std::pair<Scalar, int32_t>> types;
  for (Value v : op.operands) types.emplace_back(function.type(v).scalar, function.type(v).lanes);
  types.emplace_back(function.type(op.results[0]).scalar, function.type(op.results[0]).lanes);
  auto [it, added] = built_.try_emplace(Key{op.code, op.symbol, types});
  if (added) {
    Builder builder(it->second, std::string(name(op.code)));
    std::vector<Value> operands;
    for (Value v : op.operands) operands.push_back(builder.scalar_param({}, function.type(v)));
    builder.set_results({function.type(op.results[0])});
    builder.finish({expansion(builder, {op, operands, function.type(op.results[0]), target_})});
    Rewriter(it->second.functions[0], *this).run(); // map nodes stay where they are
  }
  return &it->second.functions[0];
}

} // namespace

void legalize(Module &module, const Target &target) {
  Replacements replacements(target);
  for (Function &function : module.functions)
    if (!function.declaration) Rewriter(function, replacements).run();
}

} // namespace cameo::loop
