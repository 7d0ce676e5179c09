// cameo run MODEL|LIB: one run, outputs printed and written.
#include "command.h"

namespace cameo::tool {

namespace {

constexpr int64_t kShown = 8;

void declare(CLI::App &app, Words &words) {
  declare_model(app, words, "The ONNX model, or a library that cameo compiled");
  app.add_option("--input", words.inputs,
                 "Read an input from a file: NAME=FILE.npy or .pb (may be repeated; the others are random)")
      ->type_name("NAME=FILE")
      ->allow_extra_args(false);
  app.add_option("--output-dir", words.options.output_dir,
                 "Write each output as DIR/NAME.npy, sequences and optionals as .pb")
      ->type_name("DIR");
  app.add_option("--seed", words.options.seed, "Seed of the random inputs (default 0)")->type_name("N");
  declare_compilation(app, words);
  declare_threads(app, words);
  declare_json_flag(app, words);
}

std::vector<std::string> first_values(const Tensor &tensor) {
  std::vector<std::string> out;
  for (int64_t i = 0; i < std::min(*element_count(tensor.shape), kShown); ++i) out.push_back(element_text(tensor, i));
  return out;
}

std::string line(const std::string &name, const Tensor &tensor) {
  std::string out = name + ": " + type_text(tensor.dtype, tensor.shape) + " =";
  for (const std::string &element : first_values(tensor)) out += " " + element;
  if (*element_count(tensor.shape) > kShown) out += " ...";
  return out + "\n";
}

// A sequence: a line that counts, then one for each of its first elements.
std::string lines(const driver::RunReport::Value &value) {
  const std::string name = escape_name(value.port.name);
  if (value.port.kind == driver::PortInfo::Kind::tensor) return line(name, value.tensor);
  if (value.port.kind == driver::PortInfo::Kind::optional)
    return value.elements.empty() ? name + ": absent\n" : line(name, value.elements[0]);
  if (!value.present) return name + ": absent\n";
  std::string out = name + ": sequence of " + std::to_string(value.elements.size()) + "\n";
  for (size_t i = 0; i < value.elements.size() && static_cast<int64_t>(i) < kShown; ++i)
    out += line(name + "[" + std::to_string(i) + "]", value.elements[i]);
  if (static_cast<int64_t>(value.elements.size()) > kShown) out += name + "[...]\n";
  return out;
}

Json tensor_json(const Tensor &tensor) {
  return {{"dtype", name(tensor.dtype)}, {"shape", tensor.shape}, {"first", first_values(tensor)}};
}

Json to_json(const driver::RunReport::Value &value) {
  Json out = {{"name", value.port.name}};
  if (value.port.kind == driver::PortInfo::Kind::tensor) {
    out.update(tensor_json(value.tensor));
  } else {
    Json elements = Json::array();
    for (const Tensor &t : value.elements) elements.push_back(tensor_json(t));
    out.update({{"kind", tool::to_json(value.port)["kind"]}, {"present", value.present}, {"elements", elements}});
  }
  if (!value.file.empty()) out["file"] = value.file;
  return out;
}

Result<int> run(const Words &words) {
  CAMEO_TRY(const driver::RunReport report, driver::run(words.options));
  if (words.json) {
    Json inputs = Json::array(), outputs = Json::array();
    for (const auto &value : report.inputs) inputs.push_back(to_json(value));
    for (const auto &value : report.outputs) outputs.push_back(to_json(value));
    CAMEO_TRY_STATUS(print_json({{"inputs", inputs}, {"outputs", outputs}, {"notes", report.notes}}));
    return 0;
  }
  say_notes(words, report.notes);
  std::string text;
  for (const auto &value : report.outputs) text += lines(value);
  CAMEO_TRY_STATUS(print(text));
  return 0;
}

} // namespace

Command run_command() { return {"run", "Run a model or a compiled library once", declare, run}; }

} // namespace cameo::tool
