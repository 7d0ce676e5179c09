// cameo opt FILE: passes over text IR.
#include "command.h"

#include "cameo/support/files.h"

namespace cameo::tool {

namespace {

void declare(CLI::App &app, Words &words) {
  app.add_option("file", words.options.model, "A .graph or .loops file")->required()->type_name("");
  app.add_option("--passes", words.passes, "Passes to run, in order: a,b,c (none: parse, verify and print)")
      ->type_name("LIST");
  app.add_option("-o,--output", words.options.output, "Write there instead of stdout")->type_name("FILE");
  declare_json_flag(app, words);
}

Result<int> run(const Words &words) {
  std::vector<std::string> passes;
  for (size_t at = 0; at < words.passes.size();) {
    const size_t comma = std::min(words.passes.find(',', at), words.passes.size());
    passes.push_back(words.passes.substr(at, comma - at));
    at = comma + 1;
  }
  CAMEO_TRY(std::string text, driver::opt(words.options.model, passes));
  if (words.json) text = Json{{"file", words.options.model}, {"passes", passes}, {"text", text}}.dump(2) + "\n";
  if (words.options.output.empty() || words.options.output == "-") {
    CAMEO_TRY_STATUS(print(text));
  } else {
    CAMEO_TRY_STATUS(write_file(words.options.output, text));
  }
  return 0;
}

} // namespace

Command opt_command() { return {"opt", "Run passes over text IR", declare, run}; }

} // namespace cameo::tool
