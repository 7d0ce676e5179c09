// Runs passes, checks what they leave behind, and writes a reproducer when one fails. The table is in pipeline.cpp.
#include "cameo/passes/pass_manager.h"

#include "cameo/ir/print.h"
#include "cameo/ir/verify.h"
#include "cameo/support/files.h"
#include "cameo/support/nearest.h"

#include <algorithm>
#include <chrono>

namespace cameo::passes {

const Pass *find_pass(std::string_view name) {
  for (const Pass &pass : pipeline())
    if (pass.name == name) return &pass;
  return nullptr;
}

static Result<const Pass *> known_pass(std::string_view name) {
  if (const Pass *pass = find_pass(name)) return pass;
  std::vector<std::string_view> names;
  for (const Pass &pass : pipeline())
    if (std::find(names.begin(), names.end(), pass.name) == names.end()) names.push_back(pass.name);
  std::string text = "unknown pass '" + escape_name(std::string(name)) + "'" + did_you_mean(name, names) + "; passes:";
  for (std::string_view each : names) (text += ' ') += each;
  return Diagnostic{ExitCode::usage, "", text};
}

Result<std::vector<const Pass *>> parse_pass_list(std::string_view text) {
  auto trim = [](std::string_view word) {
    while (!word.empty() && word.front() == ' ') word.remove_prefix(1);
    while (!word.empty() && word.back() == ' ') word.remove_suffix(1);
    return word;
  };
  std::vector<const Pass *> passes;
  Diagnostics problems;
  if (trim(text).empty()) return passes;
  for (bool more = true; more;) {
    size_t comma = text.find(',');
    more = comma != std::string_view::npos;
    auto pass = known_pass(trim(text.substr(0, comma)));
    if (pass.ok())
      passes.push_back(*pass);
    else
      problems.insert(problems.end(), pass.errors().begin(), pass.errors().end());
    if (more) text.remove_prefix(comma + 1);
  }
  if (!problems.empty()) return problems;
  return passes;
}

std::optional<std::string> run_line(std::string_view text) {
  constexpr std::string_view kMark = "// run:";
  size_t at = text.starts_with(kMark) ? 0 : text.find("\n// run:");
  if (at == std::string_view::npos) return std::nullopt;
  text.remove_prefix(at + kMark.size() + (at > 0 ? 1 : 0));
  text = text.substr(0, text.find('\n'));
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  return std::string(text);
}

namespace {

class Runner {
public:
  Runner(graph::Graph &graph, std::span<const Pass *const> passes, const RunOptions &options,
         std::vector<PassTime> *times)
      : graph_(graph), passes_(passes), options_(options), times_(times) {}

  Result<bool> run() {
    for (const auto *names : {&options_.disabled, &options_.dump_after})
      for (const std::string &name : *names) {
        auto known = known_pass(name);
        if (!known.ok()) return known.errors();
      }
    const size_t count =
        options_.stop_after < 0 ? passes_.size() : std::min(passes_.size(), static_cast<size_t>(options_.stop_after));
    bool any = false;
    for (size_t i = 0; i < count; ++i) {
      CAMEO_TRY(bool changed, run(i));
      any |= changed;
    }
    if (options_.verify) graph::verify_or_die(graph_, "the last pass");
    return any;
  }

private:
  static bool contains(const std::vector<std::string> &names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  }

  Result<bool> run(size_t i) {
    const Pass &pass = *passes_[i];
    bool changed = false;
    if (contains(options_.disabled, pass.name)) {
      advance(pass);
    } else {
      // Constants are shared, so a copy costs nodes only. Without a reproducer nobody needs it.
      std::optional<graph::Graph> before;
      if (!options_.reproducer_path.empty()) before = graph_.copy();
      const std::string text = options_.verify_always ? graph::print(graph_) : "";
      const auto start = std::chrono::steady_clock::now();
      try {
        CAMEO_TRY(changed, pass.run(graph_, options_.pass));
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        if (times_) times_->push_back({std::string(pass.name), seconds, changed});
        advance(pass);
        check(changed, text);
      } catch (const InternalError &error) {
        // Caught to add what the failure needs to be replayed, and thrown on.
        throw InternalError("pass '" + std::string(pass.name) + "': " + error.what() +
                            reproducer(before, i, error.what()));
      }
    }
    if (options_.dump && ((options_.dump_all && changed) || contains(options_.dump_after, pass.name)))
      options_.dump("after " + std::string(pass.name), graph::print(graph_));
    return changed;
  }

  // A pass of an early stage may run again later, which does not take the graph back.
  void advance(const Pass &pass) {
    if (pass.after) graph_.set_stage(std::max(graph_.stage(), *pass.after));
  }

  void check(bool changed, const std::string &before) {
    if (options_.verify && (changed || options_.verify_always)) {
      std::string text;
      for (const std::string &problem : graph::verify(graph_)) text += "\n  " + problem;
      CAMEO_CHECK(text.empty(), "broke the graph:" + text);
    }
    if (!options_.verify_always || changed) return;
    // The same but for the stage, which is in the first line.
    const std::string after = graph::print(graph_);
    CAMEO_CHECK(before.substr(before.find('\n')) == after.substr(after.find('\n')),
                "changed the graph and did not say so");
  }

  // Writes the file; returns what to append to the message.
  std::string reproducer(const std::optional<graph::Graph> &before, size_t i, const std::string &problem) {
    if (!before) return "";
    std::string text = "// run: ";
    for (size_t j = i; j < passes_.size(); ++j) (text += j > i ? "," : "") += passes_[j]->name;
    text += "\n// reproducer: ";
    for (char c : problem) (text += c) += c == '\n' ? "//" : "";
    graph::PrintOptions print;
    if (options_.reproducer_data) print.data = graph::PrintOptions::Data::hex;
    Status written = write_file(options_.reproducer_path, text + "\n" + graph::print(*before, print));
    if (!written.ok()) return "\nno reproducer: " + to_string(written.errors()[0]);
    return "\nreproducer: " + options_.reproducer_path;
  }

  graph::Graph &graph_;
  std::span<const Pass *const> passes_;
  const RunOptions &options_;
  std::vector<PassTime> *times_;
};

} // namespace

Result<bool> run_passes(graph::Graph &graph, std::span<const Pass *const> passes, const RunOptions &options,
                        std::vector<PassTime> *times) {
  return Runner(graph, passes, options, times).run();
}

Result<bool> run_pipeline(graph::Graph &graph, const RunOptions &options, std::vector<PassTime> *times) {
  std::vector<const Pass *> passes;
  for (const Pass &pass : pipeline()) passes.push_back(&pass);
  return run_passes(graph, passes, options, times);
}

} // namespace cameo::passes
