// cameo compile MODEL: a library, and the header beside it.
#include "command.h"

namespace cameo::tool {

namespace {

void declare(CLI::App &app, Words &words) {
  declare_model(app, words, "The ONNX model");
  app.add_option("-o,--output", words.options.output,
                 "Output file (default: the model's name with .so; - for stdout: text kinds only)")
      ->type_name("OUT");
  app.add_option("--emit", words.emit,
                 "Kind of output: so, a, obj, asm, llvm, graph, loops (default: as the output's suffix says)")
      ->type_name("KIND");
  app.add_option("--name", words.options.name, "Prefix of the exported C functions (default: from the output's name)")
      ->type_name("ID");
  declare_compilation(app, words);
  app.add_option("--depfile", words.options.depfile,
                 "Also write which files the output depends on, as a rule for make and ninja")
      ->type_name("FILE");
  app.add_option("--jobs", words.options.jobs, "Threads that compile (default: one per CPU)")
      ->type_name("N")
      ->check(CLI::Range(1, 1024));
  declare_json_flag(app, words);
}

Result<int> run(const Words &words) {
  if (words.json && words.options.output == "-")
    return Diagnostic{ExitCode::usage, "compile", "-o - and --json both write to stdout"};
  CAMEO_TRY(const driver::CompileOutput out, driver::compile(words.options));
  if (words.json) {
    Json phases = Json::object();
    for (const driver::Phase &phase : out.phases) phases[phase.name] = phase.seconds;
    CAMEO_TRY_STATUS(print_json(
        {{"files", out.files}, {"name", out.name}, {"bytes", out.bytes}, {"notes", out.notes}, {"seconds", phases}}));
    return 0;
  }
  say_notes(words, out.notes);
  CAMEO_TRY_STATUS(print(out.text));
  return 0;
}

} // namespace

Command compile_command() { return {"compile", "Compile a model to a library with a C header", declare, run}; }

} // namespace cameo::tool
