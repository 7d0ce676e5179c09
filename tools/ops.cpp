// cameo ops: which operators of the standard are supported.
#include "command.h"

namespace cameo::tool {

namespace {

void declare(CLI::App &app, Words &words) {
  declare_json_flag(app, words);
  app.add_flag("--markdown", words.markdown, "Print a Markdown table");
}

std::string versions(const driver::OpRow &row) {
  return std::to_string(row.since) + (row.until == 0           ? "+"
                                      : row.until == row.since ? ""
                                                               : "-" + std::to_string(row.until));
}

Result<int> run(const Words &words) {
  const std::vector<driver::OpRow> rows = driver::ops();
  if (words.json) {
    Json out = Json::array();
    for (const driver::OpRow &row : rows) {
      Json entry = {{"domain", row.domain},       {"op", row.name},       {"since", row.since},  {"until", nullptr},
                    {"supported", row.supported}, {"dtypes", row.dtypes}, {"limits", row.limits}};
      if (row.until != 0) entry["until"] = row.until;
      out.push_back(entry);
    }
    CAMEO_TRY_STATUS(print_json(out));
    return 0;
  }
  std::string text =
      words.markdown ? "| operator | opset | supported | dtypes | limits |\n| --- | --- | --- | --- | --- |\n" : "";
  for (const driver::OpRow &row : rows) {
    const std::string op = row.domain.empty() ? row.name : row.domain + "::" + row.name;
    std::string dtypes;
    for (const std::string &dtype : row.dtypes) dtypes += (dtypes.empty() ? "" : " ") + dtype;
    const char *supported = row.supported ? "yes" : "no";
    if (words.markdown)
      text += "| " + op + " | " + versions(row) + " | " + supported + " | " + dtypes + " | " + row.limits + " |\n";
    else
      text += op + " " + versions(row) + " " + supported + (dtypes.empty() ? "" : " (" + dtypes + ")") +
              (row.limits.empty() ? "" : ": " + row.limits) + "\n";
  }
  CAMEO_TRY_STATUS(print(text));
  return 0;
}

} // namespace

Command ops_command() { return {"ops", "List the operators and what of them is supported", declare, run}; }

} // namespace cameo::tool
