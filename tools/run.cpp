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
  app.add_option("--output-dir", words.options.output_dir, "Write each output as DIR/NAME.npy")->type_name("DIR");
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

std::string line(const driver::RunReport::Value &value) {
  std::string out = escape_name(value.port.name) + ": " + type_text(value.tensor.dtype, value.tensor.shape) + " =";
  for (const std::string &element : first_values(value.tensor)) out += " " + element;
  if (*element_count(value.tensor.shape) > kShown) out += " ...";
  return out + "\n";
}

Json to_json(const driver::RunReport::Value &value) {
  Json out = {{"name", value.port.name},
              {"dtype", name(value.tensor.dtype)},
              {"shape", value.tensor.shape},
              {"first", first_values(value.tensor)}};
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
  for (const auto &value : report.outputs) text += line(value);
  CAMEO_TRY_STATUS(print(text));
  return 0;
}

} // namespace

Command run_command() { return {"run", "Run a model or a compiled library once", declare, run}; }

} // namespace cameo::tool
