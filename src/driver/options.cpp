// The kinds of output, their names and suffixes: one table.
#include "cameo/driver/driver.h"

namespace cameo::driver {

namespace {

struct EmitRow {
  Emit emit;
  std::string_view name, suffix;
};
constexpr EmitRow kEmits[] = {
    {Emit::so, "so", ".so"},          {Emit::a, "a", ".a"},        {Emit::obj, "obj", ".o"},
    {Emit::assembly, "asm", ".s"},    {Emit::llvm, "llvm", ".ll"}, {Emit::graph, "graph", ".graph"},
    {Emit::loops, "loops", ".loops"},
};

} // namespace

std::string_view name(Emit emit) { return kEmits[static_cast<size_t>(emit)].name; }

std::string_view suffix(Emit emit) { return kEmits[static_cast<size_t>(emit)].suffix; }

std::optional<Emit> emit_from_name(std::string_view text) {
  for (const EmitRow &row : kEmits)
    if (row.name == text) return row.emit;
  return std::nullopt;
}

std::optional<Emit> emit_from_path(std::string_view path) {
  for (const EmitRow &row : kEmits)
    if (path.size() > row.suffix.size() && path.ends_with(row.suffix)) return row.emit;
  return std::nullopt;
}

} // namespace cameo::driver
