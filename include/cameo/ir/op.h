// The op table (ops.def) and the table of elementwise functions (functions.def) as data: what a node of each op must
// look like. The verifier, the parser and the constructors of nodes all read the same rows.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace cameo::graph {

enum class Op : uint8_t {
#define GRAPH_OP(id, text, operands, results, regions, traits, attributes) id,
#include "cameo/ir/ops.def"
};

/// Properties that passes rely on.
enum Trait : uint32_t {
  kPure = 1 << 0,        ///< result depends on operands and attributes alone; may be merged, moved and dropped
  kElementwise = 1 << 1, ///< y[i] depends on x[i] alone (after broadcasting)
  kMovement = 1 << 2,    ///< moves bits, computes nothing: any dtype, bit-exact
  kFresh = 1 << 3,       ///< result types may define run-time symbols
  kEffect = 1 << 4,      ///< must stay, in order
  kTerminator = 1 << 5,
  kIsolated = 1 << 6, ///< regions use no value from outside
};

inline constexpr int kAnyRegions = -1;
inline constexpr int kMaxAttributes = 20; ///< per op

/// The kind of an attribute's value. `word` is a string out of a fixed list.
enum class AttrKind : uint8_t {
  integer,
  real,
  boolean,
  string,
  word,
  dtype,
  dim,
  fn,
  integers,
  reals,
  strings,
  dims,
  tensor
};
std::string_view name(AttrKind kind);

struct AttrSchema {
  std::string_view name;
  AttrKind kind = AttrKind::integer;
  bool optional = false;
  std::string_view words; ///< of kind word: `a|b|c`
  bool allows(std::string_view word) const;
};

struct OpInfo {
  std::string_view text;                        ///< as in text IR
  std::string_view operand_names, result_names; ///< as in ops.def
  int min_operands = 0, max_operands = 0;       ///< max -1: any number
  int min_results = 0, max_results = 0;
  int regions = 0; ///< kAnyRegions
  uint32_t traits = 0;
  int attribute_count = 0;
  AttrSchema attribute_rows[kMaxAttributes] = {};

  bool has(Trait trait) const { return traits & trait; }
  std::span<const AttrSchema> attributes() const { return {attribute_rows, static_cast<size_t>(attribute_count)}; }
  const AttrSchema *attribute(std::string_view name) const; ///< nullptr when the op has none of that name
  bool operand_optional(size_t index) const;                ///< may be absent (null)
  std::string_view operand_name(size_t index) const;        ///< for messages: `bias`
};

const OpInfo &info(Op op);
inline std::string_view name(Op op) { return info(op).text; }
std::optional<Op> op_from_name(std::string_view text);

/// Scalar functions of Op::elementwise.
enum class Fn : uint8_t {
#define GRAPH_FN(id, text, arity, result, params, traits) id,
#include "cameo/ir/functions.def"
};

enum FnTrait : uint32_t {
  kNone = 0,
  kCommutative = 1 << 0,
  kIdempotent = 1 << 1,
  kInvolution = 1 << 2,
  kExact = 1 << 3
};
enum class FnResult : uint8_t { same, boolean };

struct FnInfo {
  std::string_view text;
  int arity = 1;
  FnResult result = FnResult::same;
  uint32_t traits = 0;
  std::string_view params; ///< which of the attributes alpha, beta it needs: "", "a", "ab"
  bool has(FnTrait trait) const { return traits & trait; }
};

const FnInfo &info(Fn fn);
inline std::string_view name(Fn fn) { return info(fn).text; }
std::optional<Fn> fn_from_name(std::string_view text);

} // namespace cameo::graph
