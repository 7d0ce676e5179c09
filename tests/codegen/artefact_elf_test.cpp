// What the bytes of a produced library look like (RELIABILITY.md, H01 to H19): read with the system's ELF definitions,
// not with the code that wrote them.
#include "artefact_models.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <elf.h>
#include <map>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

namespace cameo::codegen {
namespace {

struct Section {
  std::string name;
  Elf64_Shdr header;
};
struct Symbol {
  std::string name;
  Elf64_Sym entry;
};

class Elf {
public:
  explicit Elf(std::string bytes) : bytes_(std::move(bytes)), header_(at<Elf64_Ehdr>(0)) {
    EXPECT_EQ(std::memcmp(bytes_.data(), ELFMAG, SELFMAG), 0);
    for (int i = 0; i < header_.e_phnum; ++i)
      segments.push_back(at<Elf64_Phdr>(header_.e_phoff + size_t(i) * sizeof(Elf64_Phdr)));
    const auto names = section(header_.e_shstrndx);
    for (int i = 0; i < header_.e_shnum; ++i)
      sections.push_back({bytes_.c_str() + names.sh_offset + section(i).sh_name, section(i)});
  }
  template <class T> T at(size_t offset) const {
    EXPECT_LE(offset + sizeof(T), bytes_.size());
    T value{};
    if (offset + sizeof(T) <= bytes_.size()) std::memcpy(&value, bytes_.data() + offset, sizeof value);
    return value;
  }
  Elf64_Shdr section(int i) const { return at<Elf64_Shdr>(header_.e_shoff + size_t(i) * sizeof(Elf64_Shdr)); }
  const Section *find(const std::string &name) const {
    for (const Section &s : sections)
      if (s.name == name) return &s;
    return nullptr;
  }
  std::string content(const Section &s) const { return bytes_.substr(s.header.sh_offset, s.header.sh_size); }
  std::vector<Symbol> symbols(const std::string &table) const {
    const Section *s = find(table);
    std::vector<Symbol> symbols;
    if (!s) return symbols;
    const Elf64_Shdr names = section(int(s->header.sh_link));
    for (size_t i = 1; i < s->header.sh_size / sizeof(Elf64_Sym); ++i) {
      const auto entry = at<Elf64_Sym>(s->header.sh_offset + i * sizeof(Elf64_Sym));
      symbols.push_back({bytes_.c_str() + names.sh_offset + entry.st_name, entry});
    }
    return symbols;
  }
  std::multimap<int64_t, uint64_t> dynamic() const {
    std::multimap<int64_t, uint64_t> entries;
    const Section *s = find(".dynamic");
    for (size_t i = 0; s && i < s->header.sh_size / sizeof(Elf64_Dyn); ++i) {
      const auto entry = at<Elf64_Dyn>(s->header.sh_offset + i * sizeof(Elf64_Dyn));
      if (entry.d_tag != DT_NULL) entries.emplace(entry.d_tag, entry.d_un.d_val);
    }
    return entries;
  }
  std::vector<Elf64_Phdr> of_type(uint32_t type) const {
    std::vector<Elf64_Phdr> found;
    for (const Elf64_Phdr &segment : segments)
      if (segment.p_type == type) found.push_back(segment);
    return found;
  }
  const std::string &bytes() const { return bytes_; }

  std::vector<Elf64_Phdr> segments;
  std::vector<Section> sections;

private:
  std::string bytes_;
  Elf64_Ehdr header_;
};

// Everything that an artefact may need from outside.
const std::set<std::string> kAllowed = {"malloc",
                                        "free",
                                        "mmap",
                                        "munmap",
                                        "madvise",
                                        "memcpy",
                                        "memmove",
                                        "memset",
                                        "memcmp",
                                        "pthread_create",
                                        "pthread_join",
                                        "pthread_attr_init",
                                        "pthread_attr_setstacksize",
                                        "pthread_attr_destroy",
                                        "pthread_mutex_init",
                                        "pthread_mutex_lock",
                                        "pthread_mutex_unlock",
                                        "pthread_mutex_destroy",
                                        "sem_init",
                                        "sem_wait",
                                        "sem_post",
                                        "sem_destroy",
                                        "getpid"};

class ArtefactElf : public ::testing::TestWithParam<const char *> {
protected:
  ArtefactSpec spec() const {
    const std::string name = GetParam();
    return name == "rows"    ? rows_spec()
           : name == "where" ? where_spec()
                             : axpb_spec(name, name == "portable" ? name : "native");
  }
};
INSTANTIATE_TEST_SUITE_P(Models, ArtefactElf, ::testing::Values("axpb", "rows", "where", "portable"));

TEST_P(ArtefactElf, SegmentsAreHardened) {
  const Elf elf(build(spec(), ArtefactKind::so));
  EXPECT_EQ(elf.at<Elf64_Ehdr>(0).e_type, ET_DYN);
  uint64_t last = 0;
  for (const Elf64_Phdr &load : elf.of_type(PT_LOAD)) {
    EXPECT_FALSE((load.p_flags & PF_W) && (load.p_flags & PF_X)); // H04
    EXPECT_TRUE(!(load.p_flags & PF_X) || load.p_flags == (PF_R | PF_X));
    EXPECT_GE(load.p_vaddr, last);
    EXPECT_EQ(load.p_offset % 4096, load.p_vaddr % 4096);
    EXPECT_LE(load.p_offset + load.p_filesz, elf.bytes().size());
    last = load.p_vaddr + load.p_memsz;
  }
  const auto executable = std::count_if(elf.segments.begin(), elf.segments.end(),
                                        [](const Elf64_Phdr &p) { return p.p_type == PT_LOAD && (p.p_flags & PF_X); });
  EXPECT_EQ(executable, 1); // and nothing but code in it: -z separate-code
  for (const Section &s : elf.sections)
    EXPECT_TRUE(!(s.header.sh_flags & SHF_EXECINSTR) || s.name == ".text" || s.name.starts_with(".plt")) << s.name;
  ASSERT_EQ(elf.of_type(PT_GNU_STACK).size(), 1u); // H02
  EXPECT_EQ(elf.of_type(PT_GNU_STACK)[0].p_flags, uint32_t(PF_R | PF_W));
  EXPECT_EQ(elf.of_type(PT_GNU_RELRO).size(), 1u); // H03
  EXPECT_TRUE(elf.of_type(PT_TLS).empty());
  EXPECT_TRUE(elf.of_type(PT_INTERP).empty());
}

TEST_P(ArtefactElf, DynamicSection) {
  const ArtefactSpec model = spec();
  const Elf elf(build(model, ArtefactKind::so));
  const auto dynamic = elf.dynamic();
  auto flag = [&](int64_t tag) { return dynamic.contains(tag) ? dynamic.find(tag)->second : 0; };
  EXPECT_FALSE(dynamic.contains(DT_TEXTREL)); // H01
  EXPECT_FALSE(flag(DT_FLAGS) & DF_TEXTREL);
  EXPECT_TRUE(flag(DT_FLAGS) & DF_BIND_NOW); // H03
  EXPECT_TRUE(flag(DT_FLAGS_1) & DF_1_NOW);
  EXPECT_FALSE(flag(DT_FLAGS_1) & (DF_1_NODELETE | DF_1_NOOPEN));
  EXPECT_FALSE(dynamic.contains(DT_NEEDED)); // H11
  EXPECT_FALSE(dynamic.contains(DT_RPATH));  // H12
  EXPECT_FALSE(dynamic.contains(DT_RUNPATH));
  ASSERT_TRUE(dynamic.contains(DT_SONAME)); // H13
  EXPECT_STREQ(elf.content(*elf.find(".dynstr")).c_str() + flag(DT_SONAME), ("lib" + model.prefix + ".so").c_str());
  for (int64_t tag : {DT_INIT, DT_FINI, DT_INIT_ARRAY, DT_FINI_ARRAY, DT_PREINIT_ARRAY}) // H14
    EXPECT_FALSE(dynamic.contains(tag)) << tag;
  // Only relocations by the load address, and of the imported functions: no IFUNC, no interposable address.
  const Section *relocations = elf.find(".rela.dyn");
  ASSERT_NE(relocations, nullptr);
  for (size_t i = 0; i < relocations->header.sh_size / sizeof(Elf64_Rela); ++i) {
    const uint64_t type =
        ELF64_R_TYPE(elf.at<Elf64_Rela>(relocations->header.sh_offset + i * sizeof(Elf64_Rela)).r_info);
    EXPECT_TRUE(type == R_X86_64_RELATIVE || type == R_X86_64_GLOB_DAT) << type;
  }
}

TEST_P(ArtefactElf, ExportsExactlyTheInterfaceAndImportsTheAllowed) {
  const ArtefactSpec model = spec();
  const Elf elf(build(model, ArtefactKind::so));
  std::vector<std::string> exported;
  for (const Symbol &symbol : elf.symbols(".dynsym")) {
    if (symbol.entry.st_shndx == SHN_UNDEF) {
      EXPECT_TRUE(kAllowed.contains(symbol.name)) << symbol.name;
      EXPECT_EQ(ELF64_ST_BIND(symbol.entry.st_info), STB_GLOBAL);
    } else {
      exported.push_back(symbol.name);
      EXPECT_EQ(ELF64_ST_TYPE(symbol.entry.st_info), STT_FUNC) << symbol.name;
    }
  }
  std::sort(exported.begin(), exported.end());
  EXPECT_EQ(exported, exported_names(model)); // H09
}

// H05: every object that went in was compiled for indirect-branch tracking and the shadow stack. H06: so each entry
// begins with endbr64.
TEST_P(ArtefactElf, ControlFlowProtection) {
  const Elf elf(build(spec(), ArtefactKind::so));
  const Section *property = elf.find(".note.gnu.property");
  ASSERT_NE(property, nullptr);
  const std::string note = elf.content(*property);
  // header (12), "GNU\0", then type, size, features
  ASSERT_GE(note.size(), 28u);
  uint32_t type, features;
  std::memcpy(&type, note.data() + 16, 4);
  std::memcpy(&features, note.data() + 24, 4);
  EXPECT_EQ(type, 0xc0000002u); // GNU_PROPERTY_X86_FEATURE_1_AND
  EXPECT_EQ(features & 3, 3u);  // IBT and SHSTK
  for (const Symbol &symbol : elf.symbols(".dynsym")) {
    if (symbol.entry.st_shndx == SHN_UNDEF) continue;
    const Elf64_Shdr text = elf.section(symbol.entry.st_shndx);
    const size_t offset = text.sh_offset + (symbol.entry.st_value - text.sh_addr);
    EXPECT_EQ(elf.bytes().substr(offset, 4), "\xf3\x0f\x1e\xfa") << symbol.name;
  }
}

TEST_P(ArtefactElf, ReadOnlyWeightsAndNoWritableDataButOneWord) {
  const ArtefactSpec model = spec();
  const Elf elf(build(model, ArtefactKind::so));
  const Elf64_Phdr relro = elf.of_type(PT_GNU_RELRO)[0];
  uint64_t writable = 0;
  for (const Section &s : elf.sections) {
    if (!(s.header.sh_flags & SHF_WRITE) || s.name == ".relro_padding") continue;
    const bool protected_ =
        s.header.sh_addr >= relro.p_vaddr && s.header.sh_addr + s.header.sh_size <= relro.p_vaddr + relro.p_memsz;
    if (!protected_) writable += s.header.sh_size;
  }
  EXPECT_EQ(writable, 8u); // the CPU's features, so that create asks the CPU once
  if (model.weights.size() == 0) return;
  // H10: the weights are the end of the file, mapped read-only.
  std::string weights;
  for (auto piece : model.weights.pieces()) weights.append(reinterpret_cast<const char *>(piece.data()), piece.size());
  EXPECT_EQ(elf.bytes().substr(elf.bytes().size() - weights.size()), weights);
  const Elf64_Phdr last = elf.of_type(PT_LOAD).back();
  EXPECT_EQ(last.p_flags, uint32_t(PF_R));
  EXPECT_EQ(last.p_filesz, weights.size());
  EXPECT_EQ(last.p_offset + last.p_filesz, elf.bytes().size());
}

TEST_P(ArtefactElf, NothingOfTheBuildMachine) {
  for (ArtefactKind kind : {ArtefactKind::so, ArtefactKind::obj, ArtefactKind::a}) {
    const std::string bytes = build(spec(), kind);
    for (const char *trace : {"/usr/", "/tmp/", "/home/", "/proc", "clang version", "LLD", "Debian", "GCC: "}) // H17
      EXPECT_EQ(bytes.find(trace), std::string::npos) << trace;
    EXPECT_EQ(bytes.find(CAMEO_SOURCE_DIR), std::string::npos);
    EXPECT_TRUE(kind == ArtefactKind::a || Elf(bytes).find(".comment") == nullptr);
  }
}

TEST_P(ArtefactElf, ObjectsDefineTheInterfaceAndHideTheRest) {
  const ArtefactSpec model = spec();
  const Elf elf(build(model, ArtefactKind::obj));
  EXPECT_EQ(elf.at<Elf64_Ehdr>(0).e_type, ET_REL);
  std::vector<std::string> defined;
  for (const Symbol &symbol : elf.symbols(".symtab")) {
    if (ELF64_ST_BIND(symbol.entry.st_info) == STB_LOCAL) continue;
    if (symbol.entry.st_shndx == SHN_UNDEF)
      EXPECT_TRUE(kAllowed.contains(symbol.name)) << symbol.name;
    else
      defined.push_back(symbol.name);
  }
  std::sort(defined.begin(), defined.end());
  EXPECT_EQ(defined, exported_names(model));
  ASSERT_NE(elf.find(".note.GNU-stack"), nullptr); // or the user's program gets an executable stack
  EXPECT_FALSE(elf.find(".note.GNU-stack")->header.sh_flags & SHF_EXECINSTR);
  ASSERT_NE(elf.find(".note.gnu.property"), nullptr);
  const auto stack_notes = std::count_if(elf.sections.begin(), elf.sections.end(),
                                         [](const Section &s) { return s.name == ".note.GNU-stack"; });
  EXPECT_EQ(stack_notes, 1);
}

// H18. The linked bytes depend on the spec alone.
TEST_P(ArtefactElf, ByteIdenticalWhenBuiltAgain) {
  for (ArtefactKind kind :
       {ArtefactKind::so, ArtefactKind::a, ArtefactKind::obj, ArtefactKind::assembly, ArtefactKind::llvm_ir}) {
    const std::string first = build(spec(), kind);
    Folder folder;
    char before[4096];
    ASSERT_NE(getcwd(before, sizeof before), nullptr);
    ASSERT_EQ(chdir(folder.path("").c_str()), 0);
    for (const char *name : {"TMPDIR", "HOME", "TZ", "LANG", "LC_ALL"}) setenv(name, folder.path("x").c_str(), 1);
    const mode_t mask = umask(0);
    ArtefactOptions options;
    options.jobs = 4;
    const std::string second = build(spec(), kind, options);
    umask(mask);
    for (const char *name : {"TMPDIR", "HOME", "TZ", "LANG", "LC_ALL"}) unsetenv(name);
    ASSERT_EQ(chdir(before), 0);
    EXPECT_TRUE(first == second) << int(kind);
  }
}

// H08: the build id follows the content: of code, of weights, of the manifest.
TEST(ArtefactBuildId, FollowsTheContent) {
  auto id = [](const ArtefactSpec &spec) {
    const Elf elf(build(spec, ArtefactKind::so));
    const Section *note = elf.find(".note.gnu.build-id");
    EXPECT_NE(note, nullptr);
    const std::string content = note ? elf.content(*note) : "";
    EXPECT_EQ(content.size(), 36u); // 16 of header, 20 of SHA-1
    return content;
  };
  const std::string plain = id(axpb_spec());
  EXPECT_EQ(id(axpb_spec()), plain);
  ArtefactSpec other = axpb_spec();
  other.weights = Weights();
  std::vector<std::byte> zeros(96);
  other.weights.add(zeros);
  EXPECT_NE(id(other), plain); // other weights of the same size
  other = axpb_spec();
  other.provenance.facts[0].second = "18";
  EXPECT_NE(id(other), plain);
  EXPECT_NE(id(axpb_spec("axpb", "x86-64-v3")), plain);
}

// H22: weights beyond what a 32-bit displacement reaches, in the object as in the library. The bytes are not written:
// the pieces refer to one block of zeros many times.
TEST(ArtefactWeights, BeyondTwoGigabytes) {
  ArtefactSpec spec = axpb_spec();
  const int64_t small = spec.weights.size();
  std::vector<std::byte> block(64 << 20);
  for (int i = 0; i < 40; ++i) {
    block[0] = std::byte(i); // another content for Weights, which compares only equal hashes
    spec.weights.add(std::span<const std::byte>(block));
  }
  EXPECT_GT(spec.weights.size(), int64_t(1) << 31);
  spec.embed_weights = true;
  auto artefact = build_artefact(spec, ArtefactKind::so);
  ASSERT_TRUE(artefact.ok());
  EXPECT_GT(artefact->size(), spec.weights.size());
  std::string front(reinterpret_cast<const char *>(artefact->pieces()[0].data()), artefact->pieces()[0].size());
  EXPECT_LT(front.size(), size_t(1) << 20); // what is in memory does not grow with the weights
  Folder folder;
  // Sparse: only what is not zero takes space.
  const std::string file = folder.write("libaxpb.so", front);
  std::string weights;
  const ArtefactSpec small_spec = axpb_spec();
  for (auto piece : small_spec.weights.pieces())
    weights.append(reinterpret_cast<const char *>(piece.data()), piece.size());
  ASSERT_EQ(int64_t(weights.size()), small);
  folder.write("libaxpb.so", front + weights);
  ASSERT_EQ(truncate(file.c_str(), artefact->size()), 0);
  folder.run("libaxpb.so", [](const CameoModel &model) {
    F32 x{{1, 2, 3, 4, 5, 6, 7, 8}, {2, 4}}, y{std::vector<float>(8), {2, 4}};
    const CameoInput input = x.input();
    CameoOutput output = y.output();
    ASSERT_EQ(model.run_once(&input, 1, &output, 1, nullptr, nullptr), CAMEO_OK);
    const auto expected = axpb_expected(x.data.data());
    for (size_t i = 0; i < kCells; ++i) EXPECT_EQ(y.data[i], expected[i]);
  });
}

TEST(ArtefactWeights, EqualBytesAreStoredOnce) {
  Weights weights;
  const std::vector<std::byte> a(100, std::byte{1}), b(100, std::byte{2});
  EXPECT_EQ(weights.add(std::span<const std::byte>(a)), 0);
  EXPECT_EQ(weights.add(std::span<const std::byte>(b)), 128);
  EXPECT_EQ(weights.add(std::vector<std::byte>(100, std::byte{1})), 0);
  EXPECT_EQ(weights.add(std::span<const std::byte>(b), 1), 128);
  EXPECT_EQ(weights.add(std::vector<std::byte>(100, std::byte{2}), 4096), 4096); // the first is not aligned enough
  EXPECT_EQ(weights.add(std::span<const std::byte>()), 0);
  EXPECT_EQ(weights.size(), 4196);
  int64_t size = 0;
  for (auto piece : weights.pieces()) size += int64_t(piece.size());
  EXPECT_EQ(size, 4196);
}

TEST(ArtefactSpecRules, BrokenOnesAreOurFault) {
  auto broken = [](const std::function<void(ArtefactSpec &)> &change) {
    ArtefactSpec spec = rows_spec();
    change(spec);
    EXPECT_THROW((void)build_artefact(spec, ArtefactKind::obj), InternalError);
  };
  broken([](ArtefactSpec &s) { s.prefix = "not an identifier"; });
  broken([](ArtefactSpec &s) { s.prefix = "read"; });
  broken([](ArtefactSpec &s) { s.variants.clear(); });
  broken([](ArtefactSpec &s) { s.symbols.push_back({"unbound", 0, 1}); });
  broken([](ArtefactSpec &s) { s.inputs[0].dims[0] = DimSpec::computed("n"); });
  broken([](ArtefactSpec &s) { s.inputs.pop_back(); });
  broken([](ArtefactSpec &s) { s.symbols[0].min = -1; });
  broken([](ArtefactSpec &s) { s.inputs[0].dtype = DType::string; });
  broken([](ArtefactSpec &s) { s.variants.push_back({s.variants[0].target, s.variants[0].code, 0}); });
  broken([](ArtefactSpec &s) { s.variants[0].code.find("output_dims")->exported = false; });
}

TEST(ArtefactSpecRules, TooManyDimsAreUnsupported) {
  ArtefactSpec spec = rows_spec();
  spec.outputs[1].dims.resize(3000, DimSpec::fixed(1));
  auto artefact = build_artefact(spec, ArtefactKind::obj);
  ASSERT_FALSE(artefact.ok());
  EXPECT_EQ(exit_code(artefact.errors()), ExitCode::unsupported);
}

} // namespace
} // namespace cameo::codegen
