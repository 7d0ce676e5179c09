// `cameo run`: one run, the outputs kept.
#include "prepare.h"

#include "cameo/support/files.h"
#include "cameo/support/npy.h"

#include <filesystem>
#include <set>

namespace cameo::driver {

namespace {

// Writes each output as DIR/<sanitised name>.npy, all or none; names that clash get a number.
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
    value.file = (std::filesystem::path(directory) / (name + ".npy")).string();
    CAMEO_TRY(const size_t number, set.add(value.file));
    CAMEO_TRY_STATUS(set.write(number, print_npy(value.tensor)));
  }
  return set.commit();
}

std::vector<RunReport::Value> values(const std::vector<PortInfo> &ports, std::vector<Tensor> tensors) {
  std::vector<RunReport::Value> out;
  for (size_t i = 0; i < ports.size(); ++i) out.push_back({ports[i], std::move(tensors[i]), {}});
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
  report.outputs = values(p.outputs, session.outputs());
  report.inputs = values(p.inputs, std::move(p.tensors));
  if (!options.output_dir.empty()) {
    CAMEO_TRY_STATUS(write_outputs(options.output_dir, report.outputs));
    for (const RunReport::Value &value : report.outputs)
      if (options.explain) options.explain("wrote " + escape_name(value.file));
  }
  return report;
}

} // namespace cameo::driver
