// cameo inspect MODEL|LIB: what it is, without running it.
#include "command.h"

namespace cameo::tool {

namespace {

void declare(CLI::App &app, Words &words) {
  declare_model(app, words, "The ONNX model, or a library that cameo compiled (which is read, not loaded)");
  declare_compilation(app, words);
  declare_json_flag(app, words);
}

Json report_json(const driver::InspectReport &r) {
  Json inputs = Json::array(), outputs = Json::array(), ops = Json::object(), unsupported = Json::array(),
       facts = Json::object();
  for (const auto &port : r.inputs) inputs.push_back(to_json(port));
  for (const auto &port : r.outputs) outputs.push_back(to_json(port));
  for (const auto &[op, count] : r.ops) ops[op] = count;
  for (const auto &[node, why] : r.unsupported) unsupported.push_back({{"node", node}, {"reason", why}});
  for (const auto &[fact, value] : r.facts) facts[fact] = value;
  return {{"kind", r.kind}, {"inputs", inputs},           {"outputs", outputs},
          {"ops", ops},     {"unsupported", unsupported}, {"facts", facts}};
}

std::string to_text(const driver::InspectReport &r) {
  std::string out;
  for (const auto &port : r.inputs) out += "input   " + text(port) + "\n";
  for (const auto &port : r.outputs) out += "output  " + text(port) + "\n";
  if (!r.ops.empty()) {
    out += "ops    ";
    for (const auto &[op, count] : r.ops) out += " " + escape_name(op) + ":" + std::to_string(count);
    out += "\n";
  }
  for (const auto &[node, why] : r.unsupported) out += "unsupported  " + node + ": " + why + "\n";
  for (const auto &[fact, value] : r.facts) out += fact + ": " + escape_name(value, 1000) + "\n";
  return out;
}

Result<int> run(const Words &words) {
  CAMEO_TRY(const driver::InspectReport report, driver::inspect(words.options));
  if (words.json) {
    CAMEO_TRY_STATUS(print_json(report_json(report)));
  } else {
    CAMEO_TRY_STATUS(print(to_text(report)));
  }
  return 0;
}

} // namespace

Command inspect_command() { return {"inspect", "Show what a model or a compiled library is", declare, run}; }

} // namespace cameo::tool
