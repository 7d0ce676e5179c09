// A model compiled in memory: what compile() writes, and what run, bench and test load.
#pragma once

#include "cameo/codegen/artefact.h"
#include "cameo/driver/driver.h"
#include "cameo/frontend/frontend.h"
#include "cameo/passes/program.h"

#include <memory>

namespace cameo::driver {

struct Compiled {
  std::unique_ptr<frontend::Model> model;   ///< the artefact's weights are its constants
  std::unique_ptr<passes::Program> program; ///< keeps packed constants alive; its code has moved into `spec`
  codegen::ArtefactSpec spec;               ///< empty when `emit` is a text of an earlier stage
  codegen::Artefact artefact;
  std::string header; ///< empty unless there is something to link
  std::vector<std::string> notes;
  std::vector<Phase> phases;
};

/// How programs are built as the options say.
passes::ProgramOptions program_options(const Options &options);

/// Loads, lowers and generates code; touches no file but the model's. `name` is the C prefix. Link rule of
/// codegen/artefact.h: no other thread may exist for Emit::so.
Result<Compiled> compile_model(const Options &options, Emit emit, const std::string &name);

/// The same of a model that load_model() gave. `soname` is what programs that link the library look for; empty:
/// lib<name>.so.
Result<Compiled> compile_loaded(std::unique_ptr<frontend::Model> model, const Options &options, Emit emit,
                                const std::string &name, const std::string &soname);

/// The model with its dims fixed as options.dims says; nothing is compiled.
Result<std::unique_ptr<frontend::Model>> load_model(const Options &options);

/// Whether a run asks the allocator for memory besides the workspace, in words.
std::string run_time_memory(const passes::Variant &variant);

/// Inputs or outputs of a model as it stands in Graph IR. Errors: unsupported, when one is not a tensor.
Result<std::vector<PortInfo>> input_ports(const graph::Graph &graph, const std::string &path);
Result<std::vector<PortInfo>> output_ports(const graph::Graph &graph, const std::string &path);

} // namespace cameo::driver
