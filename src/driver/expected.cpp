// Reads expected outputs (see expected.h).
#include "expected.h"

#include "cameo/frontend/tensor_pb.h"
#include "cameo/support/files.h"

#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

namespace cameo::driver {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Row = std::map<std::string, double>; ///< of a map: keys in decimal, or as they are

std::string label(const codegen::LabelSpec &labels, size_t i) {
  return labels.strings.empty() ? std::to_string(labels.integers[i]) : labels.strings[i];
}

// [rows, labels] in the dtype f32, which is that of every map that ONNX defines.
Result<Tensor> table(const std::vector<Row> &rows, const codegen::LabelSpec &labels, const std::string &where) {
  Tensor t;
  t.shape = {static_cast<int64_t>(rows.size()), static_cast<int64_t>(labels.count())};
  t.data.resize(rows.size() * labels.count() * sizeof(float));
  size_t at = 0;
  for (const Row &row : rows) {
    for (size_t i = 0; i < labels.count(); ++i) {
      const auto found = row.find(label(labels, i));
      if (found == row.end() || row.size() != labels.count())
        return Diagnostic{ExitCode::bad_model, where, "a map whose keys are not the labels of the output"};
      t.as<float>()[at++] = static_cast<float>(found->second);
    }
  }
  return t;
}

Result<std::vector<Row>> rows_of_json(std::string_view text, const std::string &where) {
  const Json json = Json::parse(text, nullptr, false);
  auto bad = [&] { return Diagnostic{ExitCode::bad_model, where, "is not a JSON list of objects of numbers"}; };
  std::vector<Row> rows;
  if (!json.is_array()) return bad();
  for (const Json &item : json) {
    if (!item.is_object()) return bad();
    Row row;
    for (const auto &[key, value] : item.items()) {
      if (!value.is_number()) return bad();
      row[key] = value.get<double>();
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

Result<std::vector<Row>> rows_of_sequence(const frontend::PbValue &sequence, const std::string &where) {
  std::vector<Row> rows;
  for (const frontend::PbValue &map : sequence.elements) {
    Row row;
    if (map.kind != graph::TypeKind::map) return Diagnostic{ExitCode::bad_model, where, "is not a sequence of maps"};
    for (size_t i = 0; i < map.elements.size(); ++i) {
      const Tensor &value = map.elements[i].tensor;
      if (value.dtype == DType::string || element_count(value.shape) != 1)
        return Diagnostic{ExitCode::bad_model, where, "a map with a value that is no number"};
      const std::string key =
          map.keys.dtype == DType::string ? map.keys.strings[i] : element_text(map.keys, static_cast<int64_t>(i));
      row[key] = element_value(value, 0);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

} // namespace

std::map<int64_t, fs::path> expected_files(const fs::path &set) {
  std::map<int64_t, fs::path> files;
  std::error_code error;
  for (fs::directory_iterator it(set, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    constexpr std::string_view kPrefix = "output_";
    if (!name.starts_with(kPrefix)) continue;
    int64_t number = 0;
    const auto [stop, problem] = std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), number);
    const std::string_view suffix(stop, static_cast<size_t>(name.data() + name.size() - stop));
    if (problem == std::errc() && number >= 0 && (suffix == ".pb" || suffix == "_seqmap.json"))
      files[number] = it->path();
  }
  return files;
}

Result<Tensor> read_expected(const fs::path &path, const codegen::LabelSpec &labels) {
  const std::string where = escape_name(path.string());
  if (path.extension() == ".json") {
    if (labels.kind != codegen::LabelSpec::Kind::columns)
      return Diagnostic{ExitCode::bad_model, where, "expects maps of an output that is a tensor"};
    CAMEO_TRY(const MappedFile file, MappedFile::open(path.string()));
    CAMEO_TRY(const std::vector<Row> rows, rows_of_json(file.text(), where));
    return table(rows, labels, where);
  }
  if (labels.kind != codegen::LabelSpec::Kind::columns) return frontend::read_tensor_pb(path.string());
  const DType key = labels.strings.empty() ? DType::i64 : DType::string;
  CAMEO_TRY(const frontend::PbValue value,
            frontend::read_value_pb(path.string(),
                                    graph::Type::sequence(graph::Type::map(key, graph::Type::scalar(DType::f32)))));
  CAMEO_TRY(const std::vector<Row> rows, rows_of_sequence(value, where));
  return table(rows, labels, where);
}

Result<Tensor> as_expected(Tensor output, const codegen::LabelSpec &labels, const std::string &where) {
  if (labels.kind != codegen::LabelSpec::Kind::elements || output.dtype != DType::i64) return output;
  Tensor strings{DType::string, output.shape, {}, {}};
  const int64_t count = *element_count(output.shape);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t at = output.as<int64_t>()[i];
    if (at < 0 || at >= static_cast<int64_t>(labels.strings.size()))
      return Diagnostic{ExitCode::check_failed, where,
                        "position " + std::to_string(at) + " of " + std::to_string(labels.strings.size()) + " labels"};
    strings.strings.push_back(labels.strings[static_cast<size_t>(at)]);
  }
  return strings;
}

} // namespace cameo::driver
