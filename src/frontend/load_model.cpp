#include "importer.h"
#include "model_file.h"

#include <map>
#include <optional>

namespace cameo::frontend {
namespace {

void count_ops(const google::protobuf::RepeatedPtrField<onnx::NodeProto> &nodes,
               std::map<std::string, int64_t> &counts) {
  for (const onnx::NodeProto &node : nodes) {
    const std::string domain = normal_domain(node.domain());
    ++counts[domain.empty() ? node.op_type() : domain + "::" + node.op_type()];
    for (const onnx::AttributeProto &attribute : node.attribute()) {
      if (attribute.has_g()) count_ops(attribute.g().node(), counts);
      for (const onnx::GraphProto &g : attribute.graphs()) count_ops(g.node(), counts);
    }
  }
}

ModelInfo info_of(const std::string &path, const ModelFile &file, const ExternalData &external) {
  const onnx::ModelProto &model = *file.model;
  ModelInfo info;
  info.path = path;
  info.producer_name = model.producer_name();
  info.producer_version = model.producer_version();
  info.domain = model.domain();
  info.doc_string = model.doc_string();
  info.ir_version = model.ir_version();
  info.model_version = model.model_version();
  info.nodes = file.nodes;
  for (const auto &opset : model.opset_import())
    info.opsets.push_back({normal_domain(opset.domain()), opset.version()});
  for (const auto &entry : model.metadata_props()) info.metadata.emplace_back(entry.key(), entry.value());
  info.files.push_back({path, file.file->bytes().size()});
  for (ExternalData::Used &used : external.files()) info.files.push_back({std::move(used.path), used.bytes});
  std::map<std::string, int64_t> counts;
  count_ops(model.graph().node(), counts);
  for (const onnx::FunctionProto &function : model.functions()) count_ops(function.node(), counts);
  info.op_counts.assign(counts.begin(), counts.end());
  return info;
}

} // namespace

Result<ModelInfo> read_info(const std::string &path, const Limits &limits) {
  CAMEO_TRY(const ModelFile file, open_model(path, limits));
  return info_of(path, file, ExternalData(path, {}));
}

Result<Model> load_model(const std::string &path, const LoadOptions &options) {
  const std::string where = escape_name(path);
  CAMEO_TRY(ModelFile file, open_model(path, options.limits));
  ExternalData external(path, options.external_data_roots);
  const TensorSource source{file.file->bytes(), file.file, &external, options.limits};
  // Where the import had a choice and failed, it starts again, depth first; the problems are those of the first
  // attempt.
  constexpr int kAttempts = 8;
  std::optional<ModelImporter> last;
  Diagnostics problems, warnings, first;
  std::vector<bool> choices;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    problems.clear();
    warnings = file.warnings;
    last.emplace(*file.model, where, source, options, problems, warnings);
    last->choices = choices;
    last->run();
    if (problems.empty()) break;
    if (attempt == 0) first = problems;
    choices = last->choices;
    while (!choices.empty() && choices.back()) choices.pop_back();
    if (choices.empty()) break;
    choices.back() = true;
  }
  ModelImporter &importer = *last;
  if (!problems.empty()) problems = std::move(first);
  if (problems.empty())
    if (Status unchanged = external.check_unchanged(); !unchanged.ok()) problems = unchanged.errors();
  if (!problems.empty()) return problems;
  if (external.saw_checksum()) warnings.push_back({ExitCode::ok, where, "checksums of external data are not verified"});
  return Model{std::move(importer.graph), info_of(path, file, external), std::move(warnings)};
}

} // namespace cameo::frontend
