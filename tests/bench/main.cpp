// cameo_probes [--json] [--list] [--asm] [--target-cpu CPU] [--rounds N] [--seconds S] [name...]
// Times the probes whose name contains one of the given texts. Exit code 1 when a contender computes something wrong.
#include "harness.h"

#include <cstdio>
#include <cstring>

using namespace cameo;

int main(int argc, char **argv) {
  bench::Settings settings;
  bool as_json = false;
  for (int i = 1; i < argc; ++i) {
    std::string arg = argv[i];
    auto next = [&]() -> std::string { return i + 1 < argc ? argv[++i] : ""; };
    if (arg == "--json")
      as_json = true;
    else if (arg == "--list")
      settings.list = true;
    else if (arg == "--asm")
      settings.assembly = true;
    else if (arg == "--target-cpu")
      settings.target_cpu = next();
    else if (arg == "--rounds")
      settings.rounds = std::atoi(next().c_str());
    else if (arg == "--seconds")
      settings.seconds = std::atof(next().c_str());
    else if (arg.starts_with("-")) {
      std::fprintf(
          stderr,
          "usage: cameo_probes [--json] [--list] [--asm] [--target-cpu CPU] [--rounds N] [--seconds S] [name...]\n");
      return 2;
    } else
      settings.names.push_back(arg);
  }
  auto targets = codegen::resolve_targets(settings.target_cpu);
  if (!targets.ok() || targets->size() != 1 || !codegen::host_can_run(targets->at(0))) {
    std::fprintf(stderr, "cameo_probes: --target-cpu must name one CPU whose code this machine can run\n");
    return 2;
  }
  bench::Bench bench(settings, targets->at(0));
  for (const bench::ProbeFile &file : bench::probe_files()) file.run(bench);
  std::fputs((as_json ? bench::json(bench.rows(), bench.target()) : bench::table(bench.rows())).c_str(), stdout);
  for (const bench::Row &row : bench.rows())
    if (!row.problem.empty()) return 1;
  return 0;
}
