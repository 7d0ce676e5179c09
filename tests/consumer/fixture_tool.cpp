// Stands in for the tool where the consumers' test must not depend on the whole compiler:
//
//   cameo_fixture compile MODEL -o OUT --name ID [--depfile FILE] [...]
//
// writes the artefact that OUT's suffix asks for, and its header, of the hand-built model y = a*x + b
// (artefact_models.h), whatever MODEL says.
//
//   cameo_fixture hostile-header OUT
//
// writes a header of a model whose names try to leave their comments and to collide.
#include "../codegen/artefact_models.h"

#include <cstdio>
#include <string_view>

using namespace cameo::codegen;

static bool write(const std::string &path, const std::string &bytes) {
  std::FILE *file = std::fopen(path.c_str(), "wb");
  if (!file) return false;
  const bool whole = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  return std::fclose(file) == 0 && whole;
}

static bool write_hostile_header(const std::string &path) {
  ArtefactSpec spec = axpb_spec("hostile");
  spec.inputs.clear();
  for (const char *name :
       {"*/ int x; /*", "*/",           "a\\\nb",      "?\?/", "?\?/\nb", "int",   "class", "x",        "X", "x.",
        "context",      "hostile",      "hostile_run", "I",    "NULL",    "linux", "",      "\xff\xfe", "9", "//",
        "/*",           "\r\n#error no"})
    spec.inputs.push_back(PortSpec{name, cameo::DType::f32, {DimSpec::fixed(2)}});
  spec.provenance.model_name = "*/\n#error no\n/*\\";
  return write(path, c_header(spec));
}

int main(int argc, char **argv) {
  if (argc == 3 && std::string_view(argv[1]) == "hostile-header") return write_hostile_header(argv[2]) ? 0 : 74;
  std::string out, name = "model", depfile;
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::string_view(argv[i]) == "-o") out = argv[i + 1];
    if (std::string_view(argv[i]) == "--name") name = argv[i + 1];
    if (std::string_view(argv[i]) == "--depfile") depfile = argv[i + 1];
  }
  const size_t dot = out.rfind('.');
  if (dot == std::string::npos) return 2;
  const std::string suffix = out.substr(dot);
  const ArtefactKind kind = suffix == ".a" ? ArtefactKind::a : suffix == ".o" ? ArtefactKind::obj : ArtefactKind::so;
  const ArtefactSpec spec = axpb_spec(name, "portable");
  ArtefactOptions options;
  options.soname = out.substr(out.rfind('/') + 1);
  auto artefact = build_artefact(spec, kind, options);
  if (!artefact) return 1;
  if (!depfile.empty() && !write(depfile, out + ":\n")) return 74;
  return write(out, artefact->bytes()) && write(out.substr(0, dot) + ".h", c_header(spec)) ? 0 : 74;
}
