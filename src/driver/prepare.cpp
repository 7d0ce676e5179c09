#include "prepare.h"

#include "cameo/support/files.h"

namespace cameo::driver {

Diagnostic compiled_already(const Options &options, const char *option) {
  return {ExitCode::usage, option, escape_name(options.model) + " is compiled already"};
}

Status check_library_options(const Options &options) {
  Diagnostics problems;
  const Options defaults;
  auto refuse = [&](bool given, const char *option) {
    if (given) problems.push_back(compiled_already(options, option));
  };
  refuse(!options.target_cpus.empty(), "--target-cpu");
  refuse(options.winograd != defaults.winograd, "--winograd");
  refuse(!options.external_data_root.empty(), "--external-data-root");
  if (!problems.empty()) return problems;
  return Ok{};
}

Result<Prepared> prepare(const Options &options) {
  Prepared p;
  bool library = false;
  {
    CAMEO_TRY(const MappedFile file, MappedFile::open(options.model));
    library = is_library(file.bytes());
    if (file.text().starts_with("!<arch>\n"))
      return Diagnostic{ExitCode::usage, escape_name(options.model), "is a static library: only a .so can be run"};
  }
  Given given;
  if (library) {
    CAMEO_TRY_STATUS(check_library_options(options));
    CAMEO_TRY(p.library, Library::open(options.model));
    CAMEO_TRY(given, read_inputs(p.library.inputs(), options));
  } else {
    Options fixed = options;
    fixed.dims.clear(); // read_inputs checks the names
    CAMEO_TRY(const auto model, load_model(fixed));
    CAMEO_TRY(const std::vector<PortInfo> ports, input_ports(model->graph, model->info.path));
    CAMEO_TRY(given, read_inputs(ports, options));
    fixed.dims.assign(given.symbols.begin(), given.symbols.end());
    CAMEO_TRY(Compiled compiled, compile_model(fixed, Emit::so, codegen::c_identifier(file_stem(options.model))));
    p.compiled = std::make_unique<Compiled>(std::move(compiled));
    CAMEO_TRY(p.library, Library::load(p.compiled->artefact.pieces(), escape_name(options.model)));
    p.notes = p.compiled->notes;
  }
  p.notes.insert(p.notes.end(), given.notes.begin(), given.notes.end());
  p.inputs = p.library.inputs();
  p.outputs = p.library.outputs();
  CAMEO_TRY(p.tensors, make_inputs(p.inputs, std::move(given), options.seed, &p.notes));
  return p;
}

} // namespace cameo::driver
