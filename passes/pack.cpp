// Packing of constants (see pack.h). Each term of a placement depends on one dim, so the offset of an element is a sum
// of one table entry per dim.
#include "pack.h"

#include <cstring>

namespace cameo::passes {
namespace {

template <class T> void copy_row(const std::byte *from, std::byte *to, const std::vector<int64_t> &table) {
  const T *source = reinterpret_cast<const T *>(from);
  T *target = reinterpret_cast<T *>(to);
  for (size_t i = 0; i < table.size(); ++i) std::memcpy(target + table[i], source + i, sizeof(T));
}

} // namespace

std::vector<std::byte> pack(const graph::ConstantData &data, const Placement &place, int64_t elements) {
  const int64_t width = bits(data.dtype()) / 8;
  CAMEO_CHECK(width >= 1, "packing of " + std::string(name(data.dtype())));
  const std::vector<int64_t> &dims = data.dims();
  std::vector<std::vector<int64_t>> tables;
  for (size_t d = 0; d < dims.size(); ++d) {
    std::vector<int64_t> table(static_cast<size_t>(dims[d]), 0);
    for (const PlacedTerm &term : place.terms)
      if (term.dim == static_cast<int32_t>(d))
        for (int64_t i = 0; i < dims[d]; ++i) {
          const int64_t digit = i / term.divide;
          table[static_cast<size_t>(i)] += (term.modulo == 0 ? digit : digit % term.modulo) * term.stride.value();
        }
    tables.push_back(std::move(table));
  }
  std::vector<std::byte> out(static_cast<size_t>(elements * width), std::byte{0});
  if (data.count() == 0) return out;
  if (tables.empty()) tables.push_back({0});
  const std::vector<int64_t> &row = tables.back();
  const int64_t rows = data.count() / static_cast<int64_t>(row.size());
  std::vector<int64_t> at(tables.size() - 1, 0);
  const std::byte *from = data.bytes().data();
  for (int64_t r = 0; r < rows; ++r) {
    int64_t base = place.offset.value();
    for (size_t d = 0; d < at.size(); ++d) base += tables[d][static_cast<size_t>(at[d])];
    std::byte *to = out.data() + base * width;
    switch (width) {
    case 1:
      copy_row<uint8_t>(from, to, row);
      break;
    case 2:
      copy_row<uint16_t>(from, to, row);
      break;
    case 4:
      copy_row<uint32_t>(from, to, row);
      break;
    default:
      copy_row<uint64_t>(from, to, row);
      break;
    }
    from += static_cast<int64_t>(row.size()) * width;
    for (size_t d = at.size(); d-- > 0;) {
      if (++at[d] < static_cast<int64_t>(tables[d].size())) break;
      at[d] = 0;
    }
  }
  return out;
}

} // namespace cameo::passes
