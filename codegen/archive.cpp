// A static library with one member, in the common System V / GNU form: magic, a symbol index, the member.
// Deterministic: no dates, owners or modes of the machine. The member is the caller's to place between the two parts,
// so that an archive of many gigabytes needs no memory.
//
//   !<arch>\n
//   header "/"      big-endian: number of symbols, the member's offset for each, their names
//   header "name/"  the member, padded to an even size
#include "artefact_internal.h"

namespace cameo::codegen {
namespace {

std::string member_header(const std::string &name, int64_t size) {
  CAMEO_CHECK(name.size() <= 16, "archive member name " + name);
  CAMEO_CHECK(size <= 9'999'999'999, "an archive member holds at most 10^10 - 1 bytes");
  std::string text;
  auto field = [&](const std::string &value, size_t width) { text += value + std::string(width - value.size(), ' '); };
  field(name, 16);
  field("0", 12); // date
  field("0", 6);  // owner
  field("0", 6);  // group
  field("644", 8);
  field(std::to_string(size), 10);
  return text + "`\n";
}

void append_big_endian(std::string &bytes, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes += char(value >> shift);
}

} // namespace

std::pair<std::string, std::string> archive_around(const std::string &member_name, int64_t member_size,
                                                   const std::vector<std::string> &symbols) {
  const std::string magic = "!<arch>\n";
  std::string names;
  for (const std::string &symbol : symbols) names.append(symbol).push_back('\0');
  if (names.size() % 2) names.push_back('\0');
  const size_t index_size = 4 + 4 * symbols.size() + names.size();
  const size_t member_offset = magic.size() + 60 + index_size;
  std::string before = magic + member_header("/", int64_t(index_size));
  append_big_endian(before, uint32_t(symbols.size()));
  for (size_t i = 0; i < symbols.size(); ++i) append_big_endian(before, uint32_t(member_offset));
  before += names;
  before += member_header(member_name.substr(0, 15) + "/", member_size);
  return {before, member_size % 2 ? "\n" : ""};
}

} // namespace cameo::codegen
