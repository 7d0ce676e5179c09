// Sequences and optionals of tensors as tensors. A sequence of n elements of rank r is
//
//   dims     i64[n, r]    the extents of each element
//   data     [total]      the elements one behind the other, each row-major
//
// Elements without a common rank have rows of 8 extents, of which each uses as many as its rank and the rest is 1; then
// there is a third tensor, `ranks: i64[n]`. An optional tensor is a sequence of at most one element. An optional
// sequence is the sequence (empty when it is absent) and, last, `present: bool[]`.
//
// So do they pass the C interface of a compiled model (CameoContainer in abi.h), and so they are inside of it.
#pragma once

#include "cameo/ir/type.h"

#include <optional>
#include <string>
#include <vector>

namespace cameo::graph {

/// The largest rank of an element in a sequence whose elements have no common rank.
inline constexpr int kMostElementRank = 8;

struct ContainerForm {
  enum class Kind : uint8_t { sequence, optional, optional_sequence };
  Kind kind = Kind::sequence;
  DType dtype = DType::f32;
  int rank = -1; ///< of every element; -1: each its own
  friend bool operator==(const ContainerForm &, const ContainerForm &) = default;

  bool has_ranks() const { return rank < 0; }
  bool has_present() const { return kind == Kind::optional_sequence; }
  size_t part_count() const { return 2u + has_ranks() + has_present(); }
  /// dims, data, ranks, present: the last two only where there are such.
  std::vector<std::string> part_names() const;
  std::vector<Type> part_types(const Dim &count, const Dim &total) const;
};

/// Nullopt for what is no sequence, optional or optional sequence of tensors, and for elements that are strings.
std::optional<ContainerForm> container_form(const Type &type);
/// The type of an element; CAMEO_CHECKs that there is a form.
const Type &container_element(const Type &type);

} // namespace cameo::graph
