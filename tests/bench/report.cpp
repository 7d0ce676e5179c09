#include "harness.h"

#include <nlohmann/json.hpp>

#include <cstdio>

namespace cameo::bench {
namespace {

const char *unit_name(Unit unit) {
  switch (unit) {
  case Unit::f32_flops:
    return "GFLOP/s";
  case Unit::u8s8_ops:
    return "GOP/s";
  case Unit::l2_bytes:
  case Unit::dram_bytes:
    return "GB/s";
  case Unit::elements:
    return "Gel/s";
  }
  return "";
}

} // namespace

std::string table(const std::vector<Row> &rows) {
  std::string text, last;
  char line[512];
  for (const Row &row : rows) {
    if (row.probe != last) text += (last = row.probe) + "\n";
    if (!row.problem.empty()) {
      std::snprintf(line, sizeof line, "  %-28s WRONG: %s\n", row.contender.c_str(), row.problem.c_str());
    } else {
      char peak[32] = "";
      if (row.of_peak) std::snprintf(peak, sizeof peak, "%5.1f%% of peak", *row.of_peak * 100);
      std::snprintf(line, sizeof line, "  %-28s %10.2f us [%.2f, %.2f] %8.1f %s %8.2f/cycle %6.2fx %s\n",
                    row.contender.c_str(), row.nanoseconds / 1e3, row.lower / 1e3, row.upper / 1e3, row.rate,
                    unit_name(row.unit), row.per_cycle, row.speedup, peak);
    }
    text += line;
  }
  return text;
}

std::string json(const std::vector<Row> &rows, const loop::Target &target) {
  nlohmann::ordered_json all;
  all["target"] = {{"name", target.name}, {"cpu", target.cpu}, {"features", target.features}};
  all["rows"] = nlohmann::ordered_json::array();
  for (const Row &row : rows) {
    nlohmann::ordered_json out{{"probe", row.probe}, {"contender", row.contender}, {"unit", unit_name(row.unit)}};
    if (!row.problem.empty()) {
      out["problem"] = row.problem;
    } else {
      out["ns"] = row.nanoseconds;
      out["ns_quartiles"] = {row.lower, row.upper};
      out["rate"] = row.rate;
      out["per_cycle"] = row.per_cycle;
      out["speedup"] = row.speedup;
      if (row.of_peak) out["of_peak"] = *row.of_peak;
    }
    all["rows"].push_back(std::move(out));
  }
  return all.dump(2) + "\n";
}

} // namespace cameo::bench
