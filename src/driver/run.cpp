// `cameo run`: one run, the outputs kept.
#include "containers.h"
#include "prepare.h"

#include "cameo/support/files.h"
#include "cameo/support/npy.h"

#include <filesystem>
#include <set>

namespace cameo::driver {

namespace {

// What a .npy file cannot hold: the value as ONNX writes it.
std::string container_pb(const RunReport::Value &value) {
  frontend::PbValue list;
  const bool sequence = value.port.kind == PortInfo::Kind::sequence;
  list.kind = value.port.kind == PortInfo::Kind::optional ? graph::TypeKind::optional : graph::TypeKind::sequence;
  for (const Tensor &t : value.elements) list.elements.push_back({graph::TypeKind::tensor, t, {}, {}});
  if (sequence || value.port.kind == PortInfo::Kind::optional) return frontend::print_value_pb(list, value.port.name);
  frontend::PbValue optional;
  optional.kind = graph::TypeKind::optional;
  if (value.present) optional.elements.push_back(std::move(list));
  return frontend::print_value_pb(optional, value.port.name);
}

// Writes each output as DIR/<sanitised name>.npy, a sequence or optional as .pb, all or none; names that clash get a
// number.
Status write_outputs(const std::string &directory, std::vector<RunReport::Value> &outputs) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return Diagnostic{ExitCode::cannot_create, escape_name(directory), error.message()};
  OutputSet set;
  std::set<std::string> taken;
  for (RunReport::Value &value : outputs) {
    const std::string stem = file_name(value.port.name);
    std::string name = stem;
    for (int n = 2; !taken.insert(name).second; ++n) name = stem + "_" + std::to_string(n);
    const bool tensor = value.port.kind == PortInfo::Kind::tensor;
    value.file = (std::filesystem::path(directory) / (name + (tensor ? ".npy" : ".pb"))).string();
    CAMEO_TRY(const size_t number, set.add(value.file));
    if (tensor) {
      CAMEO_TRY_STATUS(set.write(number, print_npy(value.tensor)));
    } else {
      CAMEO_TRY_STATUS(set.write(number, container_pb(value)));
    }
  }
  return set.commit();
}

Result<std::vector<RunReport::Value>> values(const std::vector<PortInfo> &ports, std::vector<Tensor> tensors) {
  std::vector<RunReport::Value> out;
  size_t at = 0;
  for (const PortInfo &port : ports) {
    RunReport::Value &value = out.emplace_back();
    value.port = port;
    if (port.kind == PortInfo::Kind::tensor) {
      value.tensor = std::move(tensors[at++]);
      continue;
    }
    CAMEO_TRY(const frontend::PbValue made, from_parts(port, std::span(tensors).subspan(at, part_count(port))));
    value.present = is_present(made);
    value.elements = elements_of(made);
    at += part_count(port);
  }
  return out;
}

} // namespace

Result<RunReport> run(const Options &options) {
  CAMEO_TRY(Prepared p, prepare(options));
  CAMEO_TRY(Session session, Session::create(p.library, options.threads));
  CAMEO_TRY_STATUS(session.bind(p.tensors));
  CAMEO_TRY_STATUS(session.run_checked());
  RunReport report;
  report.notes = std::move(p.notes);
  CAMEO_TRY(report.outputs, values(p.outputs, session.outputs()));
  CAMEO_TRY(report.inputs, values(p.inputs, std::move(p.tensors)));
  if (!options.output_dir.empty()) {
    CAMEO_TRY_STATUS(write_outputs(options.output_dir, report.outputs));
    for (const RunReport::Value &value : report.outputs)
      if (options.explain) options.explain("wrote " + escape_name(value.file));
  }
  return report;
}

} // namespace cameo::driver
