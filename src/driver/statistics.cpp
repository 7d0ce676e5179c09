#include "statistics.h"

#include "cameo/support/check.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace cameo::driver {

namespace {

constexpr size_t kParts = 10, kPerPart = 2;

// The value below which a fraction q of the sorted samples lies (nearest rank).
double quantile(const std::vector<double> &sorted, double q) {
  const auto rank = static_cast<size_t>(std::ceil(q * static_cast<double>(sorted.size())));
  return sorted[std::clamp<size_t>(rank, 1, sorted.size()) - 1];
}

std::vector<double> part_medians(const std::vector<double> &samples) {
  std::vector<double> medians;
  if (samples.size() < kParts * kPerPart) return medians;
  for (size_t i = 0; i < kParts; ++i) {
    std::vector<double> part(samples.begin() + static_cast<std::ptrdiff_t>(i * samples.size() / kParts),
                             samples.begin() + static_cast<std::ptrdiff_t>((i + 1) * samples.size() / kParts));
    std::sort(part.begin(), part.end());
    medians.push_back(quantile(part, 0.5));
  }
  return medians;
}

} // namespace

Statistics statistics(const std::vector<double> &samples) {
  CAMEO_CHECK(!samples.empty(), "statistics of nothing");
  std::vector<double> sorted = samples;
  std::sort(sorted.begin(), sorted.end());
  Statistics s;
  s.min = sorted.front();
  s.mean = std::accumulate(sorted.begin(), sorted.end(), 0.0) / static_cast<double>(sorted.size());
  s.p50 = quantile(sorted, 0.5);
  s.p90 = quantile(sorted, 0.9);
  s.p99 = quantile(sorted, 0.99);
  const std::vector<double> medians = part_medians(samples);
  if (!medians.empty() && s.p50 > 0) {
    const double mean = std::accumulate(medians.begin(), medians.end(), 0.0) / static_cast<double>(medians.size());
    double squares = 0;
    for (double m : medians) squares += (m - mean) * (m - mean);
    s.noise_percent = 100 * 3 * std::sqrt(squares / static_cast<double>(medians.size() - 1)) / s.p50;
  }
  return s;
}

bool is_stable(const std::vector<double> &samples) {
  std::vector<double> medians = part_medians(samples);
  if (medians.empty()) return false;
  std::nth_element(medians.begin(), medians.begin() + 2, medians.end());
  return medians[2] <= 1.03 * *std::min_element(medians.begin(), medians.begin() + 2);
}

} // namespace cameo::driver
