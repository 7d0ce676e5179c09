// The `cameo` command line: one subcommand per file beside this one, one row each below. Exit codes:
// cameo/support/result.h.
#include "command.h"

#include "cameo/support/files.h"
#include "cameo/support/nearest.h"

#include <fcntl.h>
#include <unistd.h>

namespace cameo::tool {
namespace {

constexpr const char *kSummary = "Compiles ONNX models to native CPU libraries.";
constexpr const char *kFooter =
    "Exit codes: 0 done; 1 a check failed; 2 usage; 65 bad model; 66 file missing; 69 not supported;\n"
    "70 internal error; 73 cannot create; 74 I/O or memory; 130, 143 interrupted.";

std::vector<Command> commands() {
  return {compile_command(), run_command(), test_command(), bench_command(),
          inspect_command(), opt_command(), ops_command()};
}

// A closed standard descriptor would be given to the next file that is opened, and what is meant for the terminal would
// end up in it. The stand-in refuses to be written.
void reserve_standard_descriptors() {
  for (int fd = 0; fd <= 2; ++fd)
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) < 0)
      _exit(static_cast<int>(ExitCode::io));
}

// The first word that no option or positional took, with the nearest option of the verb.
Diagnostic unexpected(const CLI::App &app, int argc, char **argv) {
  const std::vector<std::string> left = app.remaining();
  std::vector<std::string> names;
  for (const CLI::Option *option : app.get_options())
    for (const std::string &name : option->get_lnames()) names.push_back("--" + name);
  for (int i = 1; i < argc; ++i) {
    if (std::find(left.begin(), left.end(), argv[i]) == left.end()) continue;
    const bool option = argv[i][0] == '-';
    return {ExitCode::usage, app.get_name(),
            (option ? "unknown option '" : "unexpected word '") + escape_name(argv[i]) + "'" +
                (option ? did_you_mean(argv[i], std::vector<std::string_view>(names.begin(), names.end())) : "")};
  }
  return {ExitCode::usage, app.get_name(), "unexpected words"};
}

// One line of CLI11's complaint.
std::string reason(const CLI::ParseError &error) {
  std::string text = error.what();
  text = text.substr(0, text.find('\n'));
  if (!text.empty() && text.back() == '.') text.pop_back();
  return escape_name(text, 400);
}

Result<int> run_tool(int argc, char **argv) {
  CLI::App app(kSummary, "cameo");
  app.footer(kFooter);
  app.set_version_flag("--version", "cameo " CAMEO_VERSION);
  app.require_subcommand(1);
  Words words;
  const std::vector<Command> table = commands();
  std::vector<std::string_view> names;
  for (const Command &command : table) {
    CLI::App *sub = app.add_subcommand(command.name, command.summary);
    command.declare(*sub, words);
    sub->add_flag("-v,--verbose", words.verbose, "Explain what happens, on stderr");
    names.push_back(command.name);
  }
  if (argc < 2) { // no words: the help, but as an error, since nothing was done
    CAMEO_TRY_STATUS(print(app.help()));
    return static_cast<int>(ExitCode::usage);
  }
  if (argv[1][0] != '-' && std::find(names.begin(), names.end(), argv[1]) == names.end())
    return Diagnostic{ExitCode::usage, "",
                      "unknown command '" + escape_name(argv[1]) + "'" + did_you_mean(argv[1], names) +
                          " (see cameo --help)"};
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForVersion &) {
    CAMEO_TRY_STATUS(print("cameo " CAMEO_VERSION "\n"));
    return 0;
  } catch (const CLI::CallForHelp &) {
    const auto chosen = app.get_subcommands();
    CAMEO_TRY_STATUS(print(chosen.empty() ? app.help() : chosen[0]->help("cameo")));
    return 0;
  } catch (const CLI::ExtrasError &) {
    const auto chosen = app.get_subcommands();
    return unexpected(chosen.empty() ? app : *chosen[0], argc, argv);
  } catch (const CLI::ParseError &error) {
    const auto chosen = app.get_subcommands();
    return Diagnostic{ExitCode::usage, chosen.empty() ? "" : chosen[0]->get_name(), reason(error)};
  }
  CAMEO_TRY_STATUS(parse_words(words));
  for (const Command &command : table)
    if (app.got_subcommand(command.name)) return command.run(words);
  CAMEO_UNREACHABLE("a subcommand without a row");
}

} // namespace
} // namespace cameo::tool

int main(int argc, char **argv) {
  cameo::tool::reserve_standard_descriptors();
  cameo::handle_signals();
  return cameo::driver::guarded([&] { return cameo::tool::run_tool(argc, argv); });
}
