// What a series of run times says, and how far it can be trusted.
#pragma once

#include <vector>

namespace cameo::driver {

struct Statistics {
  double min = 0, mean = 0, p50 = 0, p90 = 0, p99 = 0;
  /// Relative noise of p50, in percent: three times the standard deviation of the medians of ten consecutive parts of
  /// the series, over p50. 0 for fewer than 20 samples, where nothing can be said.
  double noise_percent = 0;
};
/// `samples` in the order they were taken, not empty.
Statistics statistics(const std::vector<double> &samples);

/// Whether the best and the third-best of the medians of the ten parts agree within 3%: the machine has calmed down.
bool is_stable(const std::vector<double> &samples);

} // namespace cameo::driver
