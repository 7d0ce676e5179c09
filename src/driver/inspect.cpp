// `cameo inspect`: what a model or a library is. A library is parsed, never loaded, so it may come from anywhere.
#include "compile.h"
#include "containers.h"
#include "flops.h"
#include "library.h"
#include "prepare.h"

#include "cameo/codegen/codegen.h"
#include "cameo/passes/containers.h"
#include "cameo/passes/labels.h"
#include "cameo/passes/pass_manager.h"
#include "cameo/passes/strings.h"
#include "cameo/support/files.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace cameo::driver {

namespace {

PortInfo port(const codegen::PortSpec &spec, const std::vector<codegen::SymbolSpec> &symbols) {
  PortInfo info;
  info.name = spec.name;
  info.dtype = spec.dtype;
  for (const codegen::DimSpec &dim : spec.dims) {
    info.dims.push_back(dim.extent >= 0 ? dim.extent : -1);
    info.symbols.push_back(dim.extent >= 0   ? ""
                           : dim.symbol >= 0 ? symbols[static_cast<size_t>(dim.symbol)].name
                           : dim.at_run      ? "?"
                                             : dim.text);
  }
  return info;
}

// The tensors, and in the place of those of a container the container.
std::vector<PortInfo> ports(const std::vector<codegen::PortSpec> &specs,
                            const std::vector<codegen::ContainerSpec> &containers,
                            const std::vector<codegen::SymbolSpec> &symbols) {
  std::vector<PortInfo> out;
  auto container = containers.begin();
  for (size_t i = 0; i < specs.size();) {
    if (container == containers.end() || static_cast<size_t>(container->first) != i) {
      out.push_back(port(specs[i++], symbols));
      continue;
    }
    out.push_back(container_port(*container));
    i += static_cast<size_t>(container++->count);
  }
  return out;
}

// `columns: 0, 1, 2`; what an output's numbers stand for.
std::string label_text(bool columns, const std::vector<std::string> &strings, const std::vector<int64_t> &integers) {
  std::string text = columns ? "columns:" : "elements:";
  bool first = true;
  auto add = [&](const std::string &label) {
    text += (first ? " " : ", ") + label;
    first = false;
  };
  for (const std::string &label : strings) add("'" + escape_name(label) + "'");
  for (int64_t label : integers) add(std::to_string(label));
  return text;
}

Result<InspectReport> inspect_library(std::span<const std::byte> bytes, const std::string &where) {
  CAMEO_TRY(const codegen::Manifest m, codegen::read_manifest(bytes, where));
  InspectReport report;
  report.kind = "library";
  report.inputs = ports(m.inputs, m.input_containers, m.symbols);
  report.outputs = ports(m.outputs, m.output_containers, m.symbols);
  auto fact = [&](const std::string &name, const std::string &value) {
    if (!value.empty()) report.facts.emplace_back(name, value);
  };
  fact("prefix", m.prefix);
  fact("abi version", std::to_string(m.abi_version));
  fact("model", m.provenance.model_name);
  fact("model sha256", m.provenance.model_sha256);
  for (const auto &[name, digest] : m.provenance.files) fact("data sha256 " + name, digest);
  fact("compiler", m.provenance.compiler_version);
  fact("flags", m.provenance.flags);
  for (const auto &[name, detail] : m.variants) fact("variant " + name, detail);
  for (const codegen::SymbolSpec &symbol : m.symbols)
    fact("symbol " + symbol.name, std::to_string(symbol.min) + " to " + std::to_string(symbol.max));
  for (const codegen::PortSpec &spec : m.outputs)
    if (spec.labels.kind != codegen::LabelSpec::Kind::none)
      fact("labels of " + spec.name, label_text(spec.labels.kind == codegen::LabelSpec::Kind::columns,
                                                spec.labels.strings, spec.labels.integers));
  fact("weights bytes", std::to_string(m.weights_bytes) + (m.weights_embedded ? "" : " (not embedded)"));
  fact("weights sha256", m.weights_sha256);
  for (const auto &[name, value] : m.provenance.facts) fact(name, value);
  return report;
}

// What the file says of itself.
void describe(InspectReport &report, const frontend::ModelInfo &info) {
  auto fact = [&](const std::string &name, const std::string &value) { report.facts.emplace_back(name, value); };
  for (const frontend::OpsetImport &opset : info.opsets)
    fact(opset.domain.empty() ? "opset" : "opset " + opset.domain, std::to_string(opset.version));
  fact("ir version", std::to_string(info.ir_version));
  if (!info.producer_name.empty()) fact("producer", info.producer_name + " " + info.producer_version);
  uint64_t bytes = 0;
  for (const frontend::InputFile &file : info.files) bytes += file.bytes;
  fact("bytes", std::to_string(bytes));
  fact("nodes", std::to_string(info.nodes));
  report.ops = info.op_counts;
}

// A model that is well formed but not supported is reported, not refused: that is what people inspect for.
Result<InspectReport> inspect_model(const Options &options) {
  InspectReport report;
  report.kind = "model";
  std::set<std::string> places; // a node may have several problems
  auto unsupported = [&](const Diagnostics &problems) {
    for (const Diagnostic &problem : problems) {
      report.unsupported.emplace_back(problem.where, problem.what);
      places.insert(problem.where);
    }
  };
  auto coverage = [&](const frontend::ModelInfo &info) {
    const int64_t nodes = std::max<int64_t>(info.nodes - static_cast<int64_t>(places.size()), 0);
    report.facts.emplace_back("supported nodes", std::to_string(nodes) + " of " + std::to_string(info.nodes));
  };
  auto model = load_model(options);
  if (!model) {
    if (exit_code(model.errors()) != ExitCode::unsupported) return model.errors();
    CAMEO_TRY(const frontend::ModelInfo info, frontend::read_info(options.model));
    describe(report, info);
    unsupported(model.errors());
    coverage(info);
    return report;
  }
  const frontend::ModelInfo &info = (*model)->info;
  graph::Graph &graph = (*model)->graph;
  describe(report, info);
  const std::vector<passes::OutputLabels> labels = passes::expose_labels(graph);
  for (size_t i = 0; i < labels.size(); ++i) {
    if (!labels[i].labels) continue;
    const bool strings = labels[i].labels->dtype() == DType::string;
    report.facts.emplace_back("labels of " + graph.main().result_names[i],
                              label_text(labels[i].kind == passes::OutputLabels::Kind::columns,
                                         strings ? labels[i].labels->string_values() : std::vector<std::string>(),
                                         strings ? std::vector<int64_t>() : labels[i].labels->as_ints()));
  }
  if (auto ports = input_ports(graph, (*model)->info.path))
    report.inputs = std::move(*ports);
  else
    unsupported(ports.errors());
  if (auto ports = output_ports(graph, (*model)->info.path))
    report.outputs = std::move(*ports);
  else
    unsupported(ports.errors());

  // What compiling would make of it, on this machine.
  passes::expose_containers(graph);
  CAMEO_TRY(const std::vector<loop::Target> targets, codegen::resolve_targets("native"));
  if (const auto strings = passes::number_strings(graph); !strings) {
    unsupported(strings.errors());
    coverage(info);
    return report;
  }
  if (auto changed = passes::run_pipeline(graph); !changed) return changed.errors();
  auto program = passes::build_program(graph, targets, program_options(options));
  if (!program && exit_code(program.errors()) != ExitCode::unsupported) return program.errors();
  if (!program) unsupported(program.errors());
  coverage(info);
  if (!program) return report;
  auto fact = [&](const std::string &name, const std::string &value) { report.facts.emplace_back(name, value); };
  if (const auto count = flops(graph)) fact("flops", std::to_string(std::llround(*count)));
  const passes::Variant &variant = program->variants[0];
  fact("weights bytes", std::to_string(program->constants.size()));
  fact("arena bytes", variant.plan.arena_bytes.str());
  fact("run-time memory", run_time_memory(variant));
  fact("kernels", std::to_string(variant.kernels) + " distinct, " + std::to_string(variant.calls) + " calls");
  return report;
}

} // namespace

Result<InspectReport> inspect(const Options &options) {
  CAMEO_TRY(const MappedFile file, MappedFile::open(options.model));
  constexpr std::string_view archive = "!<arch>\n";
  if (is_library(file.bytes()) || file.text().starts_with(archive)) {
    CAMEO_TRY_STATUS(check_library_options(options));
    if (!options.dims.empty()) return compiled_already(options, "--dim");
    return inspect_library(file.bytes(), escape_name(options.model));
  }
  return inspect_model(options);
}

} // namespace cameo::driver
