// Merges relocatable files without a linker: every input section stays a section of its own, so that nothing moves and
// no relocation is resolved; sections and symbols are only renumbered. A later link (lld for our shared library, the
// user's linker for an archive) does the rest. What this adds to `ld -r`: scopes, so that two variants may both define
// @run; everything but the exports becomes local, so that two models link together; and room for weights that are never
// in memory.
#include "elf_merge.h"

#include "cameo/support/check.h"

#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Object/ELF.h"
#include "llvm/Support/Error.h"

#include <cstring>
#include <map>
#include <optional>

namespace cameo::codegen {
namespace {

namespace ELF = llvm::ELF;
using Elf = llvm::object::ELF64LE;
using Input = llvm::object::ELFFile<Elf>;

template <class T> T get(llvm::Expected<T> value) {
  if (!value) CAMEO_UNREACHABLE("LLVM wrote an object that cannot be read: " + llvm::toString(value.takeError()));
  return std::move(*value);
}

struct Section {
  std::string name;
  ELF::Elf64_Shdr header = {};
  std::string_view content;      // of an input
  std::vector<Elf::Rela> relocs; // of a relocation section, renumbered
};

struct Symbol {
  std::string name;
  ELF::Elf64_Sym entry = {};
  uint32_t section = 0; // index of the output's section; SHN_ABS stays in entry.st_shndx
};

// A string table without duplicates.
class Strings {
public:
  uint32_t add(const std::string &text) {
    if (text.empty()) return 0;
    auto [at, added] = offsets_.try_emplace(text, uint32_t(bytes_.size()));
    if (added) bytes_.append(text).push_back('\0');
    return at->second;
  }
  const std::string &bytes() const { return bytes_; }

private:
  std::string bytes_ = std::string(1, '\0');
  std::map<std::string, uint32_t> offsets_;
};

class Merger {
public:
  explicit Merger(const MergeSpec &spec) : spec_(spec) {}
  std::string run();

private:
  void add_sections(const Input &input, size_t number);
  void add_weights();
  void collect_symbols(const Input &input, size_t number);
  void resolve(const Input &input, size_t number);
  void renumber_relocations(const Input &input, size_t number);
  std::string write();
  std::string qualified(size_t number, const std::string &name) const {
    const std::string &scope = spec_.inputs[number].scope;
    if (!scope.empty()) return scope + "." + name;
    auto renamed = spec_.renames.find(name);
    return renamed == spec_.renames.end() ? name : renamed->second;
  }

  const MergeSpec &spec_;
  std::vector<Section> sections_{1};                         // [0] is the null section
  std::vector<Symbol> locals_, globals_;                     // without the null symbol
  std::map<std::string, size_t> defined_;                    // qualified name of a global -> index in locals_
  std::map<std::string, size_t> outside_;                    // exports and externals -> index in globals_
  std::vector<std::vector<uint32_t>> section_numbers_;       // per input: its section -> ours
  std::vector<std::vector<std::optional<size_t>>> local_of_; // per input: its symbol -> index in locals_
  std::vector<std::vector<uint32_t>> symbol_numbers_;        // per input: its symbol -> the output's
  bool has_stack_note_ = false, has_property_note_ = false;
};

std::string Merger::run() {
  std::vector<Input> inputs;
  for (const MergeInput &input : spec_.inputs)
    inputs.push_back(get(Input::create(llvm::StringRef(input.bytes.data(), input.bytes.size()))));
  Symbol file;
  file.name = spec_.file_name;
  file.entry.setBindingAndType(ELF::STB_LOCAL, ELF::STT_FILE);
  file.entry.st_shndx = ELF::SHN_ABS;
  locals_.push_back(file);

  for (size_t i = 0; i < inputs.size(); ++i) add_sections(inputs[i], i);
  if (spec_.weights != WeightsSection::none) add_weights();
  for (size_t i = 0; i < inputs.size(); ++i) collect_symbols(inputs[i], i);
  for (const std::string &name : spec_.exports) CAMEO_CHECK(outside_.contains(name), "nothing defines " + name);
  // From here on no new locals appear: the globals' numbers are known as soon as all externals are.
  for (size_t i = 0; i < inputs.size(); ++i) resolve(inputs[i], i);
  for (size_t i = 0; i < inputs.size(); ++i) renumber_relocations(inputs[i], i);
  return write();
}

void Merger::add_sections(const Input &input, size_t number) {
  auto headers = get(input.sections());
  std::vector<uint32_t> numbers(headers.size(), 0);
  for (size_t i = 1; i < headers.size(); ++i) {
    const auto &in = headers[i];
    const std::string name = get(input.getSectionName(in)).str();
    switch (in.sh_type) {
    case ELF::SHT_NULL:
    case ELF::SHT_SYMTAB:
    case ELF::SHT_STRTAB:
    case ELF::SHT_LLVM_ADDRSIG:
      continue;
    case ELF::SHT_PROGBITS:
    case ELF::SHT_NOBITS:
    case ELF::SHT_NOTE:
    case ELF::SHT_RELA:
    case ELF::SHT_X86_64_UNWIND:
      break;
    default:
      CAMEO_UNREACHABLE("section " + name + " of type " + std::to_string(in.sh_type));
    }
    if (name == ".comment") continue;
    if (name == ".note.GNU-stack" && std::exchange(has_stack_note_, true)) continue;
    if (name == ".note.gnu.property" && std::exchange(has_property_note_, true)) continue;
    Section out;
    out.name = name;
    out.header.sh_type = in.sh_type;
    out.header.sh_flags = in.sh_flags;
    out.header.sh_size = in.sh_size;
    out.header.sh_entsize = in.sh_entsize;
    out.header.sh_addralign = in.sh_addralign;
    CAMEO_CHECK((in.sh_flags & (ELF::SHF_LINK_ORDER | ELF::SHF_GROUP)) == 0, "section " + name + " is in a group");
    if (in.sh_type == ELF::SHT_RELA) {
      out.header.sh_info = numbers.at(in.sh_info); // LLVM writes them after what they relocate
      if (out.header.sh_info == 0) continue;
    } else if (in.sh_type != ELF::SHT_NOBITS) {
      auto content = get(input.getSectionContents(in));
      out.content = {reinterpret_cast<const char *>(content.data()), content.size()};
    }
    numbers[i] = uint32_t(sections_.size());
    sections_.push_back(std::move(out));
  }
  CAMEO_CHECK(section_numbers_.size() == number, "inputs in order");
  section_numbers_.push_back(std::move(numbers));
}

void Merger::add_weights() {
  Section weights;
  weights.name = kWeightsSectionName;
  weights.header.sh_type = spec_.weights == WeightsSection::nobits ? ELF::SHT_NOBITS : ELF::SHT_PROGBITS;
  weights.header.sh_flags = ELF::SHF_ALLOC | ELF::SHF_X86_64_LARGE; // may be larger than what code reaches
  weights.header.sh_size = uint64_t(spec_.weights_size);
  weights.header.sh_addralign = kWeightsAlign;
  Symbol symbol;
  symbol.name = kWeightsSymbol;
  symbol.entry.st_size = uint64_t(spec_.weights_size);
  symbol.entry.setBindingAndType(ELF::STB_LOCAL, ELF::STT_OBJECT);
  symbol.section = uint32_t(sections_.size());
  sections_.push_back(std::move(weights));
  defined_[kWeightsSymbol] = locals_.size();
  locals_.push_back(std::move(symbol));
}

const Elf::Shdr *symbol_table(const Input &input) {
  for (const auto &section : get(input.sections()))
    if (section.sh_type == ELF::SHT_SYMTAB) return &section;
  return nullptr;
}

void Merger::collect_symbols(const Input &input, size_t number) {
  const Elf::Shdr *table = symbol_table(input);
  auto symbols = get(input.symbols(table));
  const llvm::StringRef names = table ? get(input.getStringTableForSymtab(*table)) : llvm::StringRef();
  std::vector<std::optional<size_t>> local_of(symbols.size());
  for (size_t i = 1; i < symbols.size(); ++i) {
    const auto &in = symbols[i];
    if (in.getType() == ELF::STT_FILE || in.st_shndx == ELF::SHN_UNDEF) continue;
    Symbol out;
    out.name = get(in.getName(names)).str();
    out.entry.st_value = in.st_value;
    out.entry.st_size = in.st_size;
    CAMEO_CHECK(in.st_shndx < ELF::SHN_LORESERVE || in.st_shndx == ELF::SHN_ABS, "symbol in a special section");
    if (in.st_shndx == ELF::SHN_ABS)
      out.entry.st_shndx = ELF::SHN_ABS;
    else
      out.section = section_numbers_[number].at(in.st_shndx);
    if (in.st_shndx != ELF::SHN_ABS && out.section == 0) continue; // in a section that was dropped
    const bool global = in.getBinding() != ELF::STB_LOCAL;
    const std::string name = global ? qualified(number, out.name) : out.name;
    if (global) out.name = name;
    if (global && spec_.exports.contains(name)) {
      out.entry.setBindingAndType(ELF::STB_GLOBAL, in.getType());
      if (spec_.hidden) out.entry.st_other = ELF::STV_HIDDEN;
      CAMEO_CHECK(outside_.try_emplace(name, globals_.size()).second, "two definitions of " + name);
      globals_.push_back(std::move(out));
      continue;
    }
    out.entry.setBindingAndType(ELF::STB_LOCAL, in.getType());
    if (global) CAMEO_CHECK(defined_.try_emplace(name, locals_.size()).second, "two definitions of " + name);
    local_of[i] = locals_.size();
    locals_.push_back(std::move(out));
  }
  local_of_.push_back(std::move(local_of));
}

void Merger::resolve(const Input &input, size_t number) {
  const Elf::Shdr *table = symbol_table(input);
  auto symbols = get(input.symbols(table));
  const llvm::StringRef names = table ? get(input.getStringTableForSymtab(*table)) : llvm::StringRef();
  std::vector<uint32_t> numbers(symbols.size(), 0);
  auto local = [](size_t index) { return uint32_t(1 + index); };
  auto global = [&](size_t index) { return uint32_t(1 + locals_.size() + index); };
  for (size_t i = 1; i < symbols.size(); ++i) {
    if (local_of_[number][i]) {
      numbers[i] = local(*local_of_[number][i]);
      continue;
    }
    if (symbols[i].getType() == ELF::STT_FILE || symbols[i].getBinding() == ELF::STB_LOCAL) continue;
    const std::string name = get(symbols[i].getName(names)).str();
    for (const std::string &candidate : {qualified(number, name), name}) {
      if (numbers[i]) break;
      if (auto at = defined_.find(candidate); at != defined_.end()) numbers[i] = local(at->second);
      if (auto at = outside_.find(candidate); at != outside_.end()) numbers[i] = global(at->second);
    }
    if (numbers[i]) continue;
    CAMEO_CHECK(spec_.externals.contains(name), "the code calls " + name + ", which an artefact must not need");
    Symbol out;
    out.name = name;
    out.entry.setBindingAndType(ELF::STB_GLOBAL, ELF::STT_NOTYPE);
    outside_[name] = globals_.size();
    numbers[i] = global(globals_.size());
    globals_.push_back(std::move(out));
  }
  symbol_numbers_.push_back(std::move(numbers));
}

void Merger::renumber_relocations(const Input &input, size_t number) {
  auto headers = get(input.sections());
  for (size_t i = 1; i < headers.size(); ++i) {
    if (headers[i].sh_type != ELF::SHT_RELA || section_numbers_[number][i] == 0) continue;
    Section &out = sections_[section_numbers_[number][i]];
    for (Elf::Rela rela : get(input.relas(headers[i]))) {
      const uint32_t symbol = rela.getSymbol(false);
      const uint32_t renumbered = symbol ? symbol_numbers_[number].at(symbol) : 0;
      CAMEO_CHECK(symbol == 0 || renumbered != 0, "relocation against a symbol of a dropped section");
      rela.setSymbolAndType(renumbered, rela.getType(false), false);
      out.relocs.push_back(rela);
    }
  }
}

void align(std::string &bytes, uint64_t to) { bytes.resize((bytes.size() + to - 1) / to * to); }

template <class T> void append(std::string &bytes, const T &record) {
  bytes.append(reinterpret_cast<const char *>(&record), sizeof record);
}

std::string Merger::write() {
  // Symbols: null, locals, globals.
  Strings names;
  std::string symbol_bytes(sizeof(ELF::Elf64_Sym), '\0');
  for (auto *list : {&locals_, &globals_})
    for (Symbol &symbol : *list) {
      symbol.entry.st_name = names.add(symbol.name);
      if (symbol.section) symbol.entry.st_shndx = uint16_t(symbol.section);
      append(symbol_bytes, symbol.entry);
    }
  const uint32_t symtab = uint32_t(sections_.size()), strtab = symtab + 1, shstrtab = symtab + 2;
  CAMEO_CHECK(shstrtab < ELF::SHN_LORESERVE, "too many sections in one object");
  auto table = [&](const char *name, uint32_t type, std::string_view content) -> Section & {
    Section section;
    section.name = name;
    section.header.sh_type = type;
    section.header.sh_size = content.size();
    section.header.sh_addralign = 1;
    section.content = content;
    return sections_.emplace_back(std::move(section));
  };
  {
    Section &section = table(".symtab", ELF::SHT_SYMTAB, symbol_bytes);
    section.header.sh_link = strtab;
    section.header.sh_info = uint32_t(1 + locals_.size());
    section.header.sh_entsize = sizeof(ELF::Elf64_Sym);
    section.header.sh_addralign = 8;
  }
  table(".strtab", ELF::SHT_STRTAB, names.bytes());
  Strings section_names;
  for (const Section &section : sections_) section_names.add(section.name);
  section_names.add(".shstrtab");
  table(".shstrtab", ELF::SHT_STRTAB, section_names.bytes());

  std::string out(sizeof(ELF::Elf64_Ehdr), '\0');
  Section *following = nullptr;
  for (size_t i = 1; i < sections_.size(); ++i) {
    Section &section = sections_[i];
    section.header.sh_name = section_names.add(section.name);
    if (section.header.sh_type == ELF::SHT_PROGBITS && section.name == kWeightsSectionName) {
      following = &section; // last in the file, after the headers
      continue;
    }
    align(out, std::max<uint64_t>(section.header.sh_addralign, 1));
    section.header.sh_offset = out.size();
    if (section.header.sh_type == ELF::SHT_RELA) {
      section.header.sh_link = symtab;
      for (const Elf::Rela &rela : section.relocs) append(out, rela);
    } else if (section.header.sh_type != ELF::SHT_NOBITS) {
      out += section.content;
    }
  }
  align(out, 8);
  ELF::Elf64_Ehdr header = {};
  std::memcpy(header.e_ident, ELF::ElfMagic, 4);
  header.e_ident[ELF::EI_CLASS] = ELF::ELFCLASS64;
  header.e_ident[ELF::EI_DATA] = ELF::ELFDATA2LSB;
  header.e_ident[ELF::EI_VERSION] = ELF::EV_CURRENT;
  header.e_type = ELF::ET_REL;
  header.e_machine = ELF::EM_X86_64;
  header.e_version = ELF::EV_CURRENT;
  header.e_shoff = out.size();
  header.e_ehsize = sizeof(ELF::Elf64_Ehdr);
  header.e_shentsize = sizeof(ELF::Elf64_Shdr);
  header.e_shnum = uint16_t(sections_.size());
  header.e_shstrndx = uint16_t(shstrtab);
  std::memcpy(out.data(), &header, sizeof header);
  const size_t end = out.size() + sections_.size() * sizeof(ELF::Elf64_Shdr);
  if (following) following->header.sh_offset = (end + kWeightsAlign - 1) / kWeightsAlign * kWeightsAlign;
  for (const Section &section : sections_) append(out, section.header);
  if (following) align(out, kWeightsAlign);
  return out;
}

} // namespace

std::string merge_objects(const MergeSpec &spec) { return Merger(spec).run(); }

} // namespace cameo::codegen
