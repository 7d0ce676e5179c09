// The pipeline, top to bottom: model file, Graph IR, passes, program of Loop IR, artefact, output files.
#include "compile.h"
#include "containers.h"
#include "flops.h"
#include "output_names.h"

#include "cameo/codegen/codegen.h"
#include "cameo/codegen/digest.h"
#include "cameo/ir/print.h"
#include "cameo/loop/print.h"
#include "cameo/passes/containers.h"
#include "cameo/passes/labels.h"
#include "cameo/passes/pass_manager.h"
#include "cameo/passes/program.h"
#include "cameo/passes/strings.h"
#include "cameo/support/files.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <thread>

namespace cameo::driver {

namespace {

namespace fs = std::filesystem;

constexpr const char *kCompiler = "cameo " CAMEO_VERSION;

void explain(const Options &options, const std::string &line) {
  if (options.explain) options.explain(line);
}

// Adds a row to `phases` for each step of the pipeline.
class PhaseClock {
public:
  PhaseClock(std::vector<Phase> &phases, const Options &options) : phases_(phases), options_(options) {}
  void done(const char *name) {
    const auto now = std::chrono::steady_clock::now();
    phases_.push_back({name, std::chrono::duration<double>(now - last_).count()});
    explain(options_, std::string(name) + ": " + std::to_string(std::llround(phases_.back().seconds * 1e3)) + " ms");
    last_ = now;
  }
  void restart() { last_ = std::chrono::steady_clock::now(); }

private:
  std::vector<Phase> &phases_;
  const Options &options_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

std::string joined(const std::vector<std::string> &words) {
  std::string out;
  for (const std::string &word : words) out += (out.empty() ? "" : ",") + word;
  return out;
}

// Passes know nodes, not files.
Diagnostics in_file(Diagnostics problems, const std::string &path) {
  for (Diagnostic &problem : problems)
    problem.where = escape_name(path) + (problem.where.empty() ? "" : ": " + problem.where);
  return problems;
}

// A symbol as the model calls it: keys have a backslash before names that look like run-time symbols.
std::string symbol_name(const std::string &key) { return key.starts_with('\\') ? key.substr(1) : key; }

// A dim of the interface: fixed, a symbol that the caller chooses, computed from symbols, or known only by running.
codegen::DimSpec dim_spec(const graph::Dim &dim, const std::vector<passes::Symbol> &symbols) {
  if (const auto constant = dim.constant()) return codegen::DimSpec::fixed(*constant);
  bool at_run = false;
  dim.for_each_symbol([&](const std::string &key) {
    at_run |= std::none_of(symbols.begin(), symbols.end(), [&](const passes::Symbol &s) { return s.key == key; });
  });
  if (at_run) return codegen::DimSpec::unknown();
  if (dim.is_symbol())
    for (size_t i = 0; i < symbols.size(); ++i)
      if (symbols[i].key == dim.symbol_key()) return codegen::DimSpec::of_symbol(static_cast<int32_t>(i));
  return codegen::DimSpec::computed(dim.str());
}

std::vector<codegen::PortSpec> port_specs(const std::vector<passes::Port> &ports,
                                          const std::vector<passes::Symbol> &symbols) {
  std::vector<codegen::PortSpec> specs;
  for (const passes::Port &port : ports) {
    codegen::PortSpec spec{port.name, port.dtype, {}};
    for (const graph::Dim &dim : port.dims) spec.dims.push_back(dim_spec(dim, symbols));
    specs.push_back(std::move(spec));
  }
  return specs;
}

// Where it comes from. Nothing here depends on where files lie or when they were made.
Result<codegen::Provenance> provenance(const frontend::ModelInfo &info, const Options &options,
                                       const std::vector<loop::Target> &targets) {
  codegen::Provenance p;
  p.compiler_version = kCompiler;
  for (size_t i = 0; i < info.files.size(); ++i) {
    CAMEO_TRY(const MappedFile file, MappedFile::open(info.files[i].path));
    const std::string digest = codegen::sha256_hex(file.bytes());
    const std::string name = fs::path(info.files[i].path).filename().string();
    if (i == 0) {
      p.model_name = name;
      p.model_sha256 = digest;
    } else {
      p.files.emplace_back(name, digest);
    }
  }
  p.flags = "target-cpu=";
  for (size_t i = 0; i < targets.size(); ++i) p.flags += (i ? "," : "") + targets[i].name;
  if (options.winograd != "auto") p.flags += " winograd=" + options.winograd;
  std::vector<std::pair<std::string, int64_t>> dims = options.dims;
  std::sort(dims.begin(), dims.end());
  for (const auto &[name, value] : dims) p.flags += " dim=" + name + "=" + std::to_string(value);
  for (const frontend::OpsetImport &opset : info.opsets)
    p.facts.emplace_back(opset.domain.empty() ? "opset" : "opset " + opset.domain, std::to_string(opset.version));
  if (!info.producer_name.empty()) p.facts.emplace_back("producer", info.producer_name + " " + info.producer_version);
  p.facts.emplace_back("nodes", std::to_string(info.nodes));
  return p;
}

codegen::LabelSpec label_spec(const passes::OutputLabels &labels) {
  codegen::LabelSpec spec;
  if (labels.kind == passes::OutputLabels::Kind::none) return spec;
  const bool columns = labels.kind == passes::OutputLabels::Kind::columns;
  spec.kind = columns ? codegen::LabelSpec::Kind::columns : codegen::LabelSpec::Kind::elements;
  if (labels.labels->dtype() == DType::string)
    spec.strings = labels.labels->string_values();
  else
    spec.integers = labels.labels->as_ints();
  return spec;
}

codegen::ArtefactSpec artefact_spec(passes::Program &program, std::string prefix) {
  codegen::ArtefactSpec spec;
  spec.prefix = std::move(prefix);
  spec.inputs = port_specs(program.inputs, program.symbols);
  spec.outputs = port_specs(program.outputs, program.symbols);
  for (const passes::Symbol &symbol : program.symbols)
    spec.symbols.push_back({symbol_name(symbol.key), symbol.min, symbol.max});
  for (const passes::ConstantBlock::Piece &piece : program.constants.pieces()) {
    const int64_t offset = spec.weights.add(piece.bytes);
    CAMEO_CHECK(offset == piece.offset, "the artefact lays out constants in another way than the program");
  }
  for (passes::Variant &variant : program.variants)
    spec.variants.push_back({std::move(variant.target), std::move(variant.code)});
  return spec;
}

// The ports that are strings to the caller, and the model's own strings.
void add_strings(codegen::ArtefactSpec &spec, passes::StringTable table) {
  for (size_t i = 0; i < table.inputs.size(); ++i)
    if (table.inputs[i]) spec.inputs[i].dtype = DType::string;
  for (size_t i = 0; i < table.outputs.size(); ++i)
    if (table.outputs[i]) spec.outputs[i].dtype = DType::string;
  spec.strings = std::move(table.strings);
}

codegen::ArtefactKind artefact_kind(Emit emit) {
  switch (emit) {
  case Emit::so:
    return codegen::ArtefactKind::so;
  case Emit::a:
    return codegen::ArtefactKind::a;
  case Emit::obj:
    return codegen::ArtefactKind::obj;
  case Emit::assembly:
    return codegen::ArtefactKind::assembly;
  case Emit::llvm:
    return codegen::ArtefactKind::llvm_ir;
  case Emit::graph:
  case Emit::loops:
    break;
  }
  CAMEO_UNREACHABLE("text IR is no artefact");
}

int jobs_of(const Options &options) {
  return options.jobs > 0 ? options.jobs : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

codegen::ContainerSpec container_spec(const passes::ContainerPort &port) {
  using From = graph::ContainerForm::Kind;
  using To = codegen::ContainerSpec::Kind;
  codegen::ContainerSpec spec;
  spec.name = port.name;
  spec.kind = port.form.kind == From::sequence   ? To::sequence
              : port.form.kind == From::optional ? To::optional
                                                 : To::optional_sequence;
  spec.dtype = port.form.dtype;
  spec.rank = port.form.rank;
  for (const graph::Dim &dim : port.element)
    spec.dims.push_back(dim.is_constant() ? codegen::DimSpec::fixed(dim.value()) : codegen::DimSpec::unknown());
  spec.first = static_cast<int32_t>(port.first);
  spec.count = static_cast<int32_t>(port.form.part_count());
  return spec;
}

std::vector<codegen::ContainerSpec> container_specs(const std::vector<passes::ContainerPort> &ports) {
  std::vector<codegen::ContainerSpec> specs;
  for (const passes::ContainerPort &port : ports) specs.push_back(container_spec(port));
  return specs;
}

std::vector<PortInfo> port_infos_of(const std::vector<std::pair<std::string, graph::Type>> &values,
                                    Diagnostics &problems) {
  std::vector<PortInfo> ports;
  for (const auto &[name, type] : values) {
    if (const auto form = graph::container_form(type)) {
      const graph::Type &element = graph::container_element(type);
      const passes::ContainerPort port{name, *form, form->has_ranks() ? graph::Shape() : element.shape(), 0};
      ports.push_back(container_port(container_spec(port)));
      continue;
    }
    if (!type.is_tensor() || !type.is_ranked()) {
      problems.push_back({ExitCode::unsupported, "'" + escape_name(name) + "'",
                          "is " + type.str() + ": only tensors of known rank can be passed"});
      continue;
    }
    PortInfo port;
    port.name = name;
    port.dtype = type.dtype();
    for (const graph::Dim &dim : type.shape()) {
      port.dims.push_back(dim.constant().value_or(-1));
      port.symbols.push_back(dim.is_constant() ? "" : dim.is_symbol() ? symbol_name(dim.symbol_key()) : dim.str());
    }
    ports.push_back(std::move(port));
  }
  return ports;
}

Result<std::vector<PortInfo>> port_infos(const std::vector<std::pair<std::string, graph::Type>> &values,
                                         const std::string &path) {
  Diagnostics problems;
  std::vector<PortInfo> ports = port_infos_of(values, problems);
  if (!problems.empty()) return in_file(std::move(problems), path);
  return ports;
}

} // namespace

passes::ProgramOptions program_options(const Options &options) {
  passes::ProgramOptions program;
  program.plan.winograd = options.winograd == "off"  ? passes::Winograd::off
                          : options.winograd == "f2" ? passes::Winograd::f2
                                                     : passes::Winograd::automatic;
  return program;
}

Result<std::vector<PortInfo>> input_ports(const graph::Graph &graph, const std::string &path) {
  std::vector<std::pair<std::string, graph::Type>> values;
  for (const graph::Value *argument : graph.main().body->arguments())
    values.emplace_back(argument->name(), argument->type());
  return port_infos(values, path);
}

Result<std::vector<PortInfo>> output_ports(const graph::Graph &graph, const std::string &path) {
  std::vector<std::pair<std::string, graph::Type>> values;
  const std::vector<graph::Value *> results = graph.main().body->results();
  for (size_t i = 0; i < results.size(); ++i) values.emplace_back(graph.main().result_names[i], results[i]->type());
  return port_infos(values, path);
}

std::string run_time_memory(const passes::Variant &variant) {
  if (variant.grown == 0) return "none: the workspace holds everything";
  return std::to_string(variant.grown) + (variant.grown == 1 ? " tensor is" : " tensors are") +
         " allocated while running";
}

Result<std::unique_ptr<frontend::Model>> load_model(const Options &options) {
  frontend::LoadOptions load;
  load.dims = options.dims;
  if (!options.external_data_root.empty()) load.external_data_roots = {options.external_data_root};
  CAMEO_TRY(frontend::Model model, frontend::load_model(options.model, load));
  return std::make_unique<frontend::Model>(std::move(model));
}

Result<Compiled> compile_loaded(std::unique_ptr<frontend::Model> model, const Options &options, Emit emit,
                                const std::string &name, const std::string &soname) {
  Compiled out;
  out.model = std::move(model);
  PhaseClock clock(out.phases, options);
  for (const Diagnostic &warning : out.model->warnings) out.notes.push_back("warning: " + to_string(warning));
  graph::Graph &graph = out.model->graph;
  explain(options, "imported " + std::to_string(out.model->info.nodes) + " nodes");
  const std::string cpus = options.target_cpus.empty() ? "native" : joined(options.target_cpus);
  CAMEO_TRY(const std::vector<loop::Target> targets, codegen::resolve_targets(cpus));

  const passes::ContainerPorts containers = passes::expose_containers(graph);
  const std::vector<passes::OutputLabels> labels = passes::expose_labels(graph);
  auto strings = passes::number_strings(graph);
  if (!strings) return in_file(strings.errors(), out.model->info.path);
  passes::RunOptions run;
  run.pass.cache_bytes = targets.front().l2_bytes;
  for (const loop::Target &t : targets) run.pass.cache_bytes = std::min(run.pass.cache_bytes, t.l2_bytes);
  if (auto changed = passes::run_pipeline(graph, run); !changed) return in_file(changed.errors(), out.model->info.path);
  clock.done("passes");
  if (emit == Emit::graph) {
    out.artefact.append(graph::print(graph));
    return out;
  }

  // From here on the graph does not change.
  auto program = passes::build_program(graph, targets, program_options(options));
  if (!program) return in_file(program.errors(), out.model->info.path);
  clock.done("lower");
  for (const passes::Variant &v : program->variants)
    explain(options, v.target.name + ": " + std::to_string(v.kernels) + " kernels, " + std::to_string(v.calls) +
                         " calls, arena of " + v.plan.arena_bytes.str() + " bytes, weights of " +
                         std::to_string(program->constants.size()) + " bytes");
  if (emit == Emit::loops) {
    if (program->variants.size() != 1)
      return Diagnostic{ExitCode::usage, "",
                        "--emit loops: name one CPU with --target-cpu, not " +
                            std::to_string(program->variants.size())};
    out.artefact.append(loop::print(program->variants[0].code));
    return out;
  }

  out.program = std::make_unique<passes::Program>(std::move(*program));
  out.spec = artefact_spec(*out.program, name);
  out.spec.input_containers = container_specs(containers.inputs);
  out.spec.output_containers = container_specs(containers.outputs);
  for (size_t i = 0; i < labels.size(); ++i) out.spec.outputs[i].labels = label_spec(labels[i]);
  add_strings(out.spec, std::move(*strings));
  CAMEO_TRY(out.spec.provenance, provenance(out.model->info, options, targets));
  out.spec.provenance.facts.emplace_back("run-time memory", run_time_memory(out.program->variants[0]));
  if (const auto count = flops(graph))
    out.spec.provenance.facts.emplace_back("flops", std::to_string(std::llround(*count)));
  codegen::ArtefactOptions artefact;
  artefact.jobs = jobs_of(options);
  artefact.soname = soname;
  CAMEO_TRY(out.artefact, codegen::build_artefact(out.spec, artefact_kind(emit), artefact));
  if (is_linkable(emit)) out.header = codegen::c_header(out.spec);
  clock.done("codegen");
  return out;
}

Result<Compiled> compile_model(const Options &options, Emit emit, const std::string &name) {
  std::vector<Phase> phases;
  PhaseClock clock(phases, options);
  CAMEO_TRY(auto model, load_model(options));
  clock.done("load");
  CAMEO_TRY(Compiled out, compile_loaded(std::move(model), options, emit, name, {}));
  out.phases.insert(out.phases.begin(), phases.begin(), phases.end());
  return out;
}

Result<CompileOutput> compile(const Options &options) {
  CAMEO_TRY(const OutputNames names, output_names(options));
  CompileOutput result;
  PhaseClock clock(result.phases, options);
  CAMEO_TRY(auto model, load_model(options));
  clock.done("load");

  // The outputs exist (under temporary names) before the work is done, so that a folder that cannot be written to is
  // told at once.
  OutputSet files;
  std::vector<std::string> inputs;
  for (const frontend::InputFile &input : model->info.files) {
    CAMEO_TRY(const MappedFile file, MappedFile::open(input.path));
    files.forbid(file.id());
    inputs.push_back(input.path);
  }
  auto add = [&](const std::string &path) -> Result<size_t> {
    CAMEO_TRY(const size_t number, files.add(path));
    result.files.push_back(path);
    return number;
  };
  size_t artefact_file = 0, header_file = 0, dependency_file = 0;
  if (!names.to_stdout) {
    CAMEO_TRY(artefact_file, add(names.output));
  }
  if (!names.header.empty()) {
    CAMEO_TRY(header_file, add(names.header));
  }
  if (!options.depfile.empty()) {
    CAMEO_TRY(dependency_file, add(options.depfile));
  }

  result.name = codegen::c_identifier(options.name.empty() ? names.stem : options.name);
  if (!options.name.empty() && result.name != options.name)
    return Diagnostic{ExitCode::usage, "",
                      "--name: '" + escape_name(options.name) +
                          "' is not a C identifier that a library may export (try '" + result.name + "')"};
  CAMEO_TRY(Compiled compiled, compile_loaded(std::move(model), options, names.emit, result.name,
                                              fs::path(names.output).filename().string()));
  result.phases.insert(result.phases.end(), compiled.phases.begin(), compiled.phases.end());
  clock.restart();
  result.notes = std::move(compiled.notes);
  if (!names.header.empty() && hides_system_header(names.header))
    result.notes.push_back(
        "warning: " + escape_name(names.header) +
        " hides a system header of that name from programs that have its folder on their include path");
  result.bytes = compiled.artefact.size();

  for (std::span<const std::byte> piece : compiled.artefact.pieces()) {
    if (names.to_stdout)
      result.text.append(reinterpret_cast<const char *>(piece.data()), piece.size());
    else
      CAMEO_TRY_STATUS(files.write(artefact_file, piece));
  }
  if (!names.header.empty()) CAMEO_TRY_STATUS(files.write(header_file, compiled.header));
  if (!options.depfile.empty()) CAMEO_TRY_STATUS(files.write(dependency_file, dependency_rule(names.output, inputs)));
  CAMEO_TRY_STATUS(files.commit());
  clock.done("write");
  for (const std::string &file : result.files) explain(options, "wrote " + escape_name(file));
  return result;
}

} // namespace cameo::driver
