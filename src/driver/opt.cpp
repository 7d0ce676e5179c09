// `cameo opt`: text IR in, passes, text IR out. The kind of IR follows the file's suffix.
#include "cameo/driver/driver.h"

#include "cameo/ir/print.h"
#include "cameo/ir/verify.h"
#include "cameo/loop/print.h"
#include "cameo/loop/verify.h"
#include "cameo/ops/infer.h"
#include "cameo/passes/pass_manager.h"
#include "cameo/support/files.h"

namespace cameo::driver {

namespace {

constexpr int64_t kMaxText = int64_t{1} << 30;

std::string joined(const std::vector<std::string> &words) {
  std::string out;
  for (const std::string &word : words) out += (out.empty() ? "" : ",") + word;
  return out;
}

// Nodes that the rules of their operators forbid: the verifier knows what holds for all nodes, the rules what each op
// means.
std::vector<std::string> broken_rules(graph::Graph &graph) {
  std::vector<std::string> findings;
  for (const graph::Function &function : graph.functions())
    for (const graph::Node *node : graph::Graph::all_nodes(function.body))
      if (const std::optional<std::string> problem = ops::check_types(graph, *node))
        findings.push_back(node->str() + ": " + *problem);
  return findings;
}

// The verifier's findings as problems of the file: what it holds was written by a person or an earlier compiler.
Diagnostics as_problems(const std::vector<std::string> &findings, const std::string &where) {
  Diagnostics out;
  for (const std::string &finding : findings) out.push_back({ExitCode::bad_model, where, finding});
  return out;
}

Result<std::string> opt_graph(const std::string &text, const std::string &where,
                              const std::vector<std::string> &passes) {
  CAMEO_TRY(const std::vector<const passes::Pass *> list, passes::parse_pass_list(joined(passes)));
  CAMEO_TRY(graph::Graph graph, graph::parse(text, where));
  if (Diagnostics problems = as_problems(graph::verify(graph), where); !problems.empty()) return problems;
  if (Diagnostics problems = as_problems(broken_rules(graph), where); !problems.empty()) return problems;
  CAMEO_TRY([[maybe_unused]] const bool changed, passes::run_passes(graph, list));
  return graph::print(graph);
}

Result<std::string> opt_loops(const std::string &text, const std::string &where,
                              const std::vector<std::string> &passes) {
  if (!passes.empty()) return Diagnostic{ExitCode::usage, where, "there are no passes of Loop IR: leave out --passes"};
  CAMEO_TRY(const loop::Module module, loop::parse(text, where));
  if (Diagnostics problems = as_problems(loop::verify(module), where); !problems.empty()) return problems;
  return loop::print(module);
}

} // namespace

Result<std::string> opt(const std::string &path, const std::vector<std::string> &passes) {
  const std::optional<Emit> kind = emit_from_path(path);
  const std::string where = escape_name(path);
  if (kind != Emit::graph && kind != Emit::loops)
    return Diagnostic{ExitCode::usage, where, "is neither a .graph nor a .loops file"};
  CAMEO_TRY(const std::string text, read_file(path, kMaxText));
  return kind == Emit::graph ? opt_graph(text, where, passes) : opt_loops(text, where, passes);
}

} // namespace cameo::driver
