// Placements and bindings (see placement.h). Views are in views.cpp.
#include "placement.h"

#include "cameo/ir/dim_terms.h"

#include <algorithm>
#include <numeric>

namespace cameo::passes {

using graph::Dim;
using graph::Type;

Dim bytes_of(DType dtype, const Dim &elements) {
  const int width = bits(dtype);
  return width >= 8 ? elements * (width / 8) : ceildiv(elements * width, 8);
}

int64_t rows_apart(const Type &type, const Halo &halo) {
  constexpr int64_t kAliasing = 1024, kLine = 64; // bytes
  if (halo.empty() || !type.layout().blocks.empty() || bits(type.dtype()) < 8) return 0;
  const size_t last = type.layout().order.empty() ? halo.size() - 1 : static_cast<size_t>(type.layout().order.back());
  const int64_t element = bits(type.dtype()) / 8;
  if (!type.shape()[last].is_constant() || halo[last] != std::pair<int64_t, int64_t>{0, 0}) return 0;
  const int64_t row = type.shape()[last].value() * element;
  return row > 0 && row % kAliasing == 0 ? kLine / element : 0;
}

Placement dense(const Type &type, int32_t buffer, Dim &bytes, const Halo &halo, double fill) {
  Placement place;
  place.buffer = buffer;
  place.halo = halo;
  place.fill = halo.empty() ? 0 : fill;
  const graph::Layout &layout = type.layout();
  const size_t rank = static_cast<size_t>(type.rank());
  std::vector<int64_t> below(rank, 1); // size of the blocks inside each axis
  Dim stride = 1;
  for (size_t b = layout.blocks.size(); b-- > 0;) {
    const auto [axis, size] = layout.blocks[b];
    place.terms.push_back({axis, below[static_cast<size_t>(axis)], size, stride});
    below[static_cast<size_t>(axis)] *= size;
    stride = stride * size;
  }
  for (size_t i = rank; i-- > 0;) {
    const size_t axis = layout.order.empty() ? i : static_cast<size_t>(layout.order[i]);
    const auto [before, after] = halo.empty() ? std::pair<int64_t, int64_t>{0, 0} : halo[axis];
    CAMEO_CHECK(before + after == 0 || below[axis] == 1, "a border of a blocked axis");
    const Dim extent = ceildiv(type.shape()[axis], below[axis]) + (before + after);
    if (extent.is(1)) continue;
    place.terms.push_back({static_cast<int32_t>(axis), below[axis], 0, stride});
    place.offset += stride * before;
    stride = stride * extent;
    if (i + 1 == rank) stride += rows_apart(type, halo);
  }
  std::reverse(place.terms.begin(), place.terms.end());
  bytes = bytes_of(type.dtype(), stride);
  return place;
}

std::optional<std::vector<Dim>> strides(const Placement &place, size_t rank) {
  std::vector<Dim> out(rank);
  for (const PlacedTerm &term : place.terms) {
    if (term.divide != 1 || term.modulo != 0) return std::nullopt;
    out[static_cast<size_t>(term.dim)] += term.stride;
  }
  return out;
}

bool is_row_major(const Placement &place, const Type &type, const Dim &buffer_bytes) {
  if (!place.offset.is(0)) return false;
  const auto own = strides(place, static_cast<size_t>(type.rank()));
  if (!own) return false;
  Dim stride = 1;
  for (int d = type.rank() - 1; d >= 0; --d) {
    const Dim &extent = type.dim(d);
    if (extent.is(1)) continue;
    if ((*own)[static_cast<size_t>(d)] != stride) return false;
    stride = stride * extent;
  }
  return bytes_of(type.dtype(), stride) == buffer_bytes;
}

Bound bind(const Placement &place, const Type &type, int64_t align, ops::Lowered &lowered) {
  Bound bound;
  loop::Binding &b = bound.binding;
  b.halo = place.halo;
  b.halo_value = place.fill;
  // Addresses reach from `low` (negative: a border in front, or a stride backwards) to `high` around element 0.
  Dim low = 0, high = 0;
  for (const PlacedTerm &term : place.terms) {
    const size_t d = static_cast<size_t>(term.dim);
    const Dim &extent = type.shape()[d];
    const auto [before, after] = place.halo.empty() ? std::pair<int64_t, int64_t>{0, 0} : place.halo[d];
    const Dim last = term.modulo != 0 ? Dim(term.modulo - 1) : ceildiv(extent, term.divide) - 1;
    const bool backwards = term.stride.is_constant() && term.stride.value() < 0;
    low += (backwards ? last + after : Dim(-before)) * term.stride;
    high += (backwards ? Dim(-before) : last + after) * term.stride;
    if (term.stride.is_constant()) {
      b.terms.push_back({term.dim, term.divide, term.modulo, term.stride.value(), -1});
    } else {
      const int64_t c = graph::content(term.stride);
      const std::optional<Dim> rest = term.stride.exact_quotient(c);
      CAMEO_CHECK(rest, "a stride is a multiple of its content");
      b.terms.push_back({term.dim, term.divide, term.modulo, c, lowered.extent(*rest).symbol});
    }
  }
  CAMEO_CHECK(low.is_constant(), "a border or a backward stride of symbolic size");
  b.offset = -low.value();
  bound.start = place.offset + low;
  const Dim size = high - low + 1;
  const bool empty = std::any_of(type.shape().begin(), type.shape().end(), [](const Dim &d) { return d.is(0); });
  b.size = empty ? 0 : size.is_constant() ? size.value() : -1;
  const int64_t element = std::max(1, bits(type.dtype()) / 8);
  const int64_t step = bound.start.is(0) ? 0 : graph::content(bound.start) * element;
  b.align = static_cast<int32_t>(std::gcd(align, step));
  return bound;
}

Placement unbind(const loop::Binding &binding, int32_t buffer) {
  Placement place;
  place.buffer = buffer;
  place.offset = binding.offset;
  for (const loop::LayoutTerm &term : binding.terms) {
    CAMEO_CHECK(term.stride_symbol < 0, "a constant with symbolic strides");
    place.terms.push_back({term.dim, term.divide, term.modulo, term.stride});
  }
  return place;
}

} // namespace cameo::passes
