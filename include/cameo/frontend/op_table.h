// Every operator of ai.onnx and ai.onnx.ml in every version: what the standard says (arity, types, attributes) and
// whether Cameo imports it. One table; validation of nodes, the importers' dispatch and `cameo ops` read it.
#pragma once

#include "cameo/support/dtype.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cameo::frontend {

/// One version of one operator, as compact text; `decode` makes it readable.
struct OpRow {
  std::string_view domain; ///< "" is ai.onnx
  std::string_view name;
  int since = 1;
  bool deprecated = false; ///< from this version on the operator does not exist any more
  std::string_view inputs, outputs, types, attributes;
};

/// All rows, sorted by domain (ai.onnx first), name, version.
std::span<const OpRow> op_table();

/// The row that `opset` of the domain means: the newest with since <= opset. nullptr when the operator is unknown or
/// newer. `domain` may be "" or "ai.onnx".
const OpRow *find_op(std::string_view domain, std::string_view name, int64_t opset);

/// The newest opset that the table knows of a domain; 0 for an unknown domain.
int newest_opset(std::string_view domain);

/// A set of value types. Masks have bit `onnx_number(dtype)` set.
struct TypeSet {
  uint32_t tensor = 0, sequence = 0, optional = 0, optional_sequence = 0;
  std::string_view maps; ///< other types, separated by spaces: `map(string,float)`
  bool allows_tensor(DType dtype) const { return tensor >> onnx_number(dtype) & 1; }
};

struct OpParameter {
  enum class Arity : uint8_t { single, optional, variadic, heterogeneous };
  std::string_view name;
  Arity arity = Arity::single;
  int minimum = 1;         ///< of a variadic one
  int type_parameter = -1; ///< index into OpSignature::type_parameters; -1: `types` says it alone
  TypeSet types;
  bool variadic() const { return arity >= Arity::variadic; }
};

enum class AttributeKind : uint8_t { real, integer, string, tensor, graph, sparse, type, reals, integers, strings };
std::string_view name(AttributeKind kind); ///< as in messages: "a float", "a list of ints"

struct OpAttribute {
  std::string_view name;
  AttributeKind kind = AttributeKind::integer;
  bool required = false;
  std::optional<std::string_view> default_text;
};

struct OpSignature {
  std::vector<OpParameter> inputs, outputs;
  std::vector<std::string_view> type_parameters; ///< `T`, `T1`, ...
  std::vector<OpAttribute> attributes;           ///< sorted by name
  int min_inputs = 0, max_inputs = 0;            ///< max: INT_MAX when variadic
  int min_outputs = 0, max_outputs = 0;
};

/// Decodes a row of op_table().
OpSignature decode(const OpRow &row);

/// Whether the importer accepts the row at all.
bool is_supported(const OpRow &row);

/// For `cameo ops`: one line per operator version range with equal status.
struct OpSupport {
  std::string_view domain, name;
  int since = 1;
  int until = 0; ///< last version of the range; 0: still current
  bool supported = false;
  std::string limits; ///< in words: what of the operator is not accepted; empty: all of it (or nothing, if unsupported)
};
std::vector<OpSupport> op_support();

} // namespace cameo::frontend
