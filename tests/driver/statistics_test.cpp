// Times: quantiles, noise, stability, on made-up series.
#include "../../src/driver/statistics.h"

#include <gtest/gtest.h>

namespace cameo::driver {
namespace {

TEST(Statistics, QuantilesAreNearestRanks) {
  std::vector<double> samples;
  for (int i = 100; i >= 1; --i) samples.push_back(i);
  const Statistics s = statistics(samples);
  EXPECT_EQ(s.min, 1);
  EXPECT_EQ(s.mean, 50.5);
  EXPECT_EQ(s.p50, 50);
  EXPECT_EQ(s.p90, 90);
  EXPECT_EQ(s.p99, 99);
  const Statistics one = statistics({7});
  EXPECT_EQ(one.p50, 7);
  EXPECT_EQ(one.p99, 7);
  EXPECT_EQ(one.noise_percent, 0);
}

TEST(Statistics, NoiseIsThatOfTheMedianNotOfTheSamples) {
  std::vector<double> jitter, drift;
  for (int i = 0; i < 1000; ++i) {
    jitter.push_back(i % 2 ? 1 : 2); // every part has the same median
    drift.push_back(1 + 0.001 * i);
  }
  EXPECT_EQ(statistics(jitter).noise_percent, 0);
  EXPECT_GT(statistics(drift).noise_percent, 30);
}

TEST(Statistics, StableWhenTheThirdBestPartAgreesWithTheBest) {
  std::vector<double> samples(1000, 1.0);
  for (int i = 0; i < 700; ++i) samples[static_cast<size_t>(i)] = 5; // seven of ten parts disturbed
  EXPECT_TRUE(is_stable(samples));
  for (int i = 700; i < 800; ++i) samples[static_cast<size_t>(i)] = 5; // eight
  EXPECT_FALSE(is_stable(samples));
  EXPECT_FALSE(is_stable({1, 1, 1}));
}

} // namespace
} // namespace cameo::driver
