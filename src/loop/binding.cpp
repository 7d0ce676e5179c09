// Where elements lie: dense and packed layouts (see Binding in cameo/loop/schedule.h).
#include "cameo/loop/schedule.h"

#include <algorithm>

namespace cameo::loop {

Binding row_major(const KernelBuffer &buffer, int32_t align) {
  std::vector<std::pair<int32_t, int64_t>> order;
  for (size_t d = 0; d < buffer.dims.size(); ++d) order.emplace_back(static_cast<int32_t>(d), 1);
  return packed(buffer, order, align);
}

Binding packed(const KernelBuffer &buffer, const std::vector<std::pair<int32_t, int64_t>> &order, int32_t align) {
  // The first entry of a dim counts the blocks that all its later entries make up; a later entry {d, b} counts to b.
  Binding binding;
  binding.align = align;
  int64_t stride = 1;
  for (size_t i = order.size(); i-- > 0;) {
    const auto [dim, block] = order[i];
    const Extent &extent = buffer.dims[dim];
    CAMEO_CHECK(extent.is_constant(), "a dense binding needs constant dims: " + buffer.name);
    int64_t below = 1;
    for (size_t j = i + 1; j < order.size(); ++j)
      if (order[j].first == dim) below *= order[j].second;
    const bool first = std::none_of(order.begin(), order.begin() + static_cast<int64_t>(i),
                                    [&](const auto &entry) { return entry.first == dim; });
    binding.terms.push_back({dim, below, first ? 0 : block, stride, -1});
    stride *= first ? (extent.value + below - 1) / below : block;
  }
  std::reverse(binding.terms.begin(), binding.terms.end());
  binding.size = stride;
  return binding;
}

} // namespace cameo::loop
