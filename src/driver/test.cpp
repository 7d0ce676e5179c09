// `cameo test`: each directory is a case and runs in a child of its own, so that a crash or a hang is one failed case.
// The child compiles the model, runs it on every data set, compares, and sends its verdict back as JSON.
#include "compile.h"
#include "containers.h"
#include "expected.h"
#include "library.h"
#include "tolerance.h"
#include "values.h"

#include "cameo/frontend/tensor_pb.h"
#include "cameo/support/child.h"
#include "cameo/support/files.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

namespace cameo::driver {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Outcome = TestReport::Outcome;

constexpr std::string_view kOutcomes[] = {"passed", "failed", "unsupported"};

struct Verdict {
  Outcome outcome = Outcome::failed;
  std::string reason, tolerance;
};

// DIR/model.onnx, or the only .onnx file in DIR.
Result<std::string> find_model(const std::string &directory) {
  std::error_code error;
  const fs::path usual = fs::path(directory) / "model.onnx";
  if (fs::exists(usual, error)) return usual.string();
  std::vector<std::string> found;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error))
    if (it->path().extension() == ".onnx") found.push_back(it->path().string());
  if (found.size() == 1) return found[0];
  return Diagnostic{ExitCode::missing, escape_name(directory),
                    error           ? error.message()
                    : found.empty() ? "has no model.onnx"
                                    : "has no model.onnx but several .onnx files"};
}

// Numbered files or directories `<prefix>N<suffix>` in order of N.
std::vector<fs::path> numbered(const fs::path &directory, std::string_view prefix, std::string_view suffix) {
  std::vector<std::pair<int64_t, fs::path>> found;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(prefix) || !name.ends_with(suffix)) continue;
    int64_t number = 0;
    const char *last = name.data() + name.size() - suffix.size();
    const auto [stop, problem] = std::from_chars(name.data() + prefix.size(), last, number);
    if (problem == std::errc() && stop == last) found.emplace_back(number, it->path());
  }
  std::sort(found.begin(), found.end());
  std::vector<fs::path> paths;
  for (auto &[number, path] : found) paths.push_back(std::move(path));
  return paths;
}

// An output of the model, and the number of its first tensor in the library.
struct Output {
  frontend::PbValue value;
  size_t first = 0;
};

Result<std::vector<Output>> outputs_of(const Library &library, std::vector<Tensor> tensors) {
  std::vector<Output> out;
  size_t at = 0;
  for (const PortInfo &port : library.outputs()) {
    Output &output = out.emplace_back();
    output.first = at;
    if (port.kind == PortInfo::Kind::tensor) {
      output.value.tensor = std::move(tensors[at]);
    } else {
      CAMEO_TRY(output.value, from_parts(port, std::span(tensors).subspan(at, part_count(port))));
    }
    at += part_count(port);
  }
  return out;
}

// The first difference of two sequences or optionals, ready to follow the output's name.
std::optional<std::string> difference(const frontend::PbValue &actual, const frontend::PbValue &expected,
                                      const Tolerance &allowed) {
  if (is_present(actual) != is_present(expected))
    return is_present(actual) ? ": is present, should be absent" : ": is absent, should be present";
  const std::vector<Tensor> a = elements_of(actual), b = elements_of(expected);
  if (a.size() != b.size())
    return ": has " + std::to_string(a.size()) + " elements, should have " + std::to_string(b.size());
  for (size_t i = 0; i < a.size(); ++i)
    if (const auto problem = difference(a[i], b[i], allowed)) return "[" + std::to_string(i) + "]: " + *problem;
  return std::nullopt;
}

// One data set: the problem that it shows, if any.
Result<std::optional<std::string>> run_set(const fs::path &set, const Library &library, Session &session,
                                           const ModelTraits &traits, const fs::path &keep, std::string &tolerance) {
  const std::vector<PortInfo> wanted = library.inputs(), ports = library.outputs();
  const std::vector<fs::path> files = numbered(set, "input_", ".pb");
  if (files.size() != wanted.size())
    return Diagnostic{ExitCode::bad_model, library.model().name,
                      "has " + std::to_string(wanted.size()) + " inputs, not " + std::to_string(files.size())};
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < files.size(); ++i) {
    const std::string path = files[i].string();
    if (wanted[i].kind == PortInfo::Kind::tensor) {
      CAMEO_TRY(Tensor tensor, frontend::read_tensor_pb(path));
      inputs.push_back(std::move(tensor));
      continue;
    }
    CAMEO_TRY(const frontend::PbValue value, read_port_pb(path, wanted[i]));
    CAMEO_TRY(const std::vector<Tensor> parts, to_parts(wanted[i], value, escape_name(path)));
    inputs.insert(inputs.end(), parts.begin(), parts.end());
  }
  CAMEO_TRY_STATUS(session.bind(inputs));
  CAMEO_TRY_STATUS(session.run_checked());
  CAMEO_TRY(const std::vector<Output> outputs, outputs_of(library, session.outputs()));
  if (!keep.empty()) {
    std::error_code error;
    fs::create_directories(keep, error);
    if (error) return Diagnostic{ExitCode::cannot_create, escape_name(keep.string()), error.message()};
    for (size_t i = 0; i < outputs.size(); ++i)
      CAMEO_TRY_STATUS(write_file((keep / ("output_" + std::to_string(i) + ".pb")).string(),
                                  frontend::print_value_pb(outputs[i].value, ports[i].name), false));
  }
  const std::map<int64_t, fs::path> expected = expected_files(set);
  if (expected.empty()) return std::optional<std::string>("has no output_0.pb");
  if (expected.rbegin()->first >= static_cast<int64_t>(outputs.size()))
    return std::optional<std::string>("expects output " + std::to_string(expected.rbegin()->first) +
                                      ", the model has " + std::to_string(outputs.size()));
  for (const auto &[number, path] : expected) {
    const auto i = static_cast<size_t>(number);
    if (ports[i].kind != PortInfo::Kind::tensor) {
      CAMEO_TRY(const frontend::PbValue value, read_port_pb(path.string(), ports[i]));
      const Tolerance &allowed = tolerance_for(traits, ports[i].dtype);
      if (tolerance.empty() || !allowed.exact()) tolerance = text(allowed);
      if (auto problem = difference(outputs[i].value, value, allowed))
        return std::optional<std::string>("output '" + escape_name(ports[i].name) + "'" + *problem);
      continue;
    }
    const codegen::LabelSpec &labels = library.manifest().outputs[outputs[i].first].labels;
    CAMEO_TRY(const Tensor tensor, read_expected(path, labels));
    CAMEO_TRY(const Tensor actual, as_expected(outputs[i].value.tensor, labels, escape_name(ports[i].name)));
    const Tolerance &allowed = tolerance_for(traits, tensor.dtype);
    if (tolerance.empty() || !allowed.exact()) tolerance = text(allowed);
    if (auto problem = difference(actual, tensor, allowed))
      return std::optional<std::string>("output '" + escape_name(ports[i].name) + "': " + *problem);
  }
  return std::optional<std::string>();
}

// The whole case, in the child.
Verdict run_case(const std::string &directory, const std::string &name, const Options &options) {
  Verdict verdict;
  auto from = [&](const Diagnostics &problems) {
    verdict.outcome = exit_code(problems) == ExitCode::unsupported ? Outcome::unsupported : Outcome::failed;
    for (const Diagnostic &problem : problems)
      verdict.reason += (verdict.reason.empty() ? "" : "; ") + to_string(problem);
    return verdict;
  };
  auto model = find_model(directory);
  if (!model) return from(model.errors());
  Options mine = options;
  mine.model = *model;
  mine.jobs = 1; // the cases run side by side
  auto compiled = compile_model(mine, Emit::so, codegen::c_identifier(name));
  if (!compiled) return from(compiled.errors());
  const ModelTraits traits = traits_of(*compiled->model);
  auto library = Library::load(compiled->artefact.pieces(), escape_name(*model));
  if (!library) return from(library.errors());
  auto session = Session::create(*library, options.threads);
  if (!session) return from(session.errors());

  const std::vector<fs::path> sets = numbered(directory, "test_data_set_", "");
  if (sets.empty()) {
    verdict.reason = "has no test_data_set_0";
    return verdict;
  }
  for (const fs::path &set : sets) {
    const fs::path keep =
        options.output_dir.empty() ? fs::path() : fs::path(options.output_dir) / name / set.filename();
    auto problem = run_set(set, *library, *session, traits, keep, verdict.tolerance);
    const std::string where = sets.size() > 1 ? set.filename().string() + ": " : "";
    if (!problem) {
      from(problem.errors());
      verdict.reason = where + verdict.reason;
      return verdict;
    }
    if (*problem) {
      verdict.reason = where + **problem;
      return verdict;
    }
  }
  verdict.outcome = Outcome::passed;
  return verdict;
}

// What the child's end means: its verdict, if it lived to send one.
Verdict read_verdict(const ChildResult &child, const ChildLimits &limits) {
  Verdict verdict;
  const Json json = Json::parse(child.result, nullptr, false);
  if (child.end == ChildResult::End::exited && child.code == 0 && json.is_object()) {
    verdict.outcome = static_cast<Outcome>(json["outcome"].get<int>());
    verdict.reason = json["reason"];
    verdict.tolerance = json["tolerance"];
    return verdict;
  }
  verdict.reason = describe(child, limits);
  const size_t end = child.errors.find_last_not_of('\n');
  if (end != std::string::npos) { // its last words
    const size_t start = child.errors.find_last_of('\n', end);
    verdict.reason +=
        ": " + escape_name(child.errors.substr(start == std::string::npos ? 0 : start + 1, end - start), 400);
  }
  return verdict;
}

// Names of the cases: the last component of each directory, with those before it where that is not unique.
std::vector<std::string> case_names(const std::vector<std::string> &directories) {
  std::vector<fs::path> paths;
  for (const std::string &directory : directories) {
    fs::path path = fs::path(directory).lexically_normal();
    if (path.filename().empty()) path = path.parent_path();
    paths.push_back(path);
  }
  std::vector<std::string> names;
  std::map<std::string, int> seen;
  for (const fs::path &path : paths) ++seen[path.filename().string()];
  for (const fs::path &path : paths) {
    std::string name = path.filename().string();
    if (seen[name] > 1 && path.has_parent_path()) name = path.parent_path().filename().string() + "_" + name;
    names.push_back(name);
  }
  return names;
}

} // namespace

std::string_view name(Outcome outcome) { return kOutcomes[static_cast<size_t>(outcome)]; }

int64_t TestReport::count(Outcome outcome) const {
  return std::count_if(cases.begin(), cases.end(), [&](const Case &c) { return c.outcome == outcome; });
}

Result<TestReport> test(const std::vector<std::string> &directories, const Options &options,
                        const std::function<void(const TestReport::Case &)> &progress) {
  const std::vector<std::string> names = case_names(directories);
  TestReport report;
  report.cases.resize(directories.size());
  ChildLimits limits;
  limits.seconds = options.time_limit;
  const size_t jobs =
      options.jobs > 0 ? static_cast<size_t>(options.jobs) : std::max(1u, std::thread::hardware_concurrency());
  CAMEO_TRY_STATUS(run_in_children(
      directories.size(), jobs, limits,
      [&](size_t i) {
        const Verdict v = run_case(directories[i], names[i], options);
        return Json{{"outcome", static_cast<int>(v.outcome)}, {"reason", v.reason}, {"tolerance", v.tolerance}}.dump(
            -1, ' ', true, Json::error_handler_t::replace);
      },
      [&](size_t i, ChildResult child) {
        Verdict v = read_verdict(child, limits);
        report.cases[i] = {names[i], v.outcome, std::move(v.reason), std::move(v.tolerance), child.seconds};
        if (progress) progress(report.cases[i]);
      }));
  return report;
}

} // namespace cameo::driver
