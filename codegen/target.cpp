// Resolves the names of `--target-cpu` to Target records. What a family of CPUs is like stands in codegen/targets/.
#include "cameo/codegen/codegen.h"

#include "targets/targets.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <tuple>

namespace cameo::codegen {
namespace {

constexpr std::array<const TargetFamily *, 1> kFamilies = {&kX86};

// Levenshtein distance, with one row of state.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j)
      diagonal = std::exchange(row[j + 1], std::min({row[j + 1] + 1, row[j] + 1, diagonal + (a[i] != b[j])}));
  }
  return row.back();
}

// "; did you mean 'x', 'y'?" with at most three names near enough to be a slip of the hand.
std::string suggestion(std::string_view name) {
  std::vector<std::pair<size_t, std::string>> near;
  for (const std::string &known : target_names()) {
    size_t distance = edit_distance(name, known);
    bool prefix = name.size() >= 3 && known.starts_with(name);
    if (prefix || distance <= std::max<size_t>(2, name.size() / 4)) near.emplace_back(prefix ? 0 : distance, known);
  }
  std::stable_sort(near.begin(), near.end(), [](const auto &a, const auto &b) { return a.first < b.first; });
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(3, near.size()); ++i)
    text += (i ? ", '" : "; did you mean '") + near[i].second + "'";
  return text.empty() ? text : text + "?";
}

Result<loop::Target> resolve_one(std::string_view name) {
  bool too_old = false;
  for (const TargetFamily *family : kFamilies) {
    if (auto target = name == "native" ? family->native() : family->find(name)) return std::move(*target);
    too_old |= family->is_too_old(name);
  }
  std::string what = name == "native" ? "this machine is of no supported kind (x86-64-v2 or newer)"
                     : name.empty()   ? "empty name in the list of target CPUs"
                     : too_old        ? "CPU '" + std::string(name) + "' is older than x86-64-v2"
                                      : "unknown CPU '" + escape_name(std::string(name)) + "'" + suggestion(name);
  return Diagnostic{ExitCode::usage, "--target-cpu", std::move(what)};
}

} // namespace

std::span<const TargetFamily *const> target_families() { return kFamilies; }

const TargetFamily &family_of(const loop::Target &target) {
  for (const TargetFamily *family : kFamilies)
    if (family->triple == target.triple) return *family;
  CAMEO_UNREACHABLE("no CPU family has the triple '" + target.triple + "'");
}

std::vector<std::string> target_names() {
  std::vector<std::string> all = {"native", "portable"};
  for (const TargetFamily *family : kFamilies)
    for (std::string &name : family->names()) all.push_back(std::move(name));
  return all;
}

Result<std::vector<loop::Target>> resolve_targets(std::string_view flag) {
  std::vector<loop::Target> targets;
  Diagnostics problems;
  auto add = [&](std::string_view name) {
    auto target = resolve_one(name);
    if (!target) {
      problems.insert(problems.end(), target.errors().begin(), target.errors().end());
      return;
    }
    auto same = [&](const loop::Target &t) { return t.cpu == target->cpu && t.features == target->features; };
    if (std::none_of(targets.begin(), targets.end(), same)) targets.push_back(std::move(*target));
  };
  for (size_t begin = 0; begin <= flag.size();) {
    size_t end = std::min(flag.find(',', begin), flag.size());
    std::string_view name = flag.substr(begin, end - begin);
    if (name == "portable")
      for (std::string_view level : kX86.portable) add(level);
    else
      add(name);
    begin = end + 1;
  }
  if (!problems.empty()) return problems;
  // A machine that can do all that another can comes later; equals keep the order of the list.
  auto rank = [](const loop::Target &t) {
    return std::tuple(t.vector_bits, __builtin_popcountll(required_cpu_features(t)));
  };
  std::stable_sort(targets.begin(), targets.end(), [&](const auto &a, const auto &b) { return rank(a) < rank(b); });
  return targets;
}

uint64_t required_cpu_features(const loop::Target &target) { return family_of(target).required_features(target); }

uint64_t host_cpu_features() {
  for (const TargetFamily *family : kFamilies)
    if (uint64_t bits = family->host_features()) return bits;
  return 0;
}

bool host_can_run(const loop::Target &target) {
  uint64_t offered = family_of(target).host_features();
  return offered != 0 && (required_cpu_features(target) & ~offered) == 0;
}

} // namespace cameo::codegen
