// Links with lld as a library, in a forked child: lld keeps global state and may end the process. The child reads the
// object from a memory file and writes its output to another one, so that no path appears anywhere and a full disk
// cannot hurt it.
//
// Symbols of libc. An artefact calls a handful of libc functions and nothing else. merge_objects has checked every
// undefined name against that list, which is what `-z defs` is for, and stricter; so here they may stay undefined.
// There is no DT_NEEDED and no symbol version: neither libc's files nor its version matter when a model is compiled,
// the same library loads on glibc and musl, and whoever loads it has a libc.
//
// Weights. lld sees them as address space only: a read-only NOBITS section, which -z lrodata-after-bss puts into a
// segment of its own behind all others. finish() turns that segment into one that is read from the end of the file,
// where the caller appends the bytes. So weights of any size are written once, from where they are, and no
// displacement in the code can overflow: the only reference to them is a 64-bit address. The build id, a hash of the
// linked bytes, covers them through their digest in the manifest note.
#include "link.h"

#include "elf_merge.h"

#include "cameo/support/child.h"

#include "lld/Common/Driver.h"

#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Support/raw_ostream.h"

#include <cerrno>
#include <cstring>
#include <optional>
#include <sys/mman.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <vector>

LLD_HAS_DRIVER(elf)

namespace cameo::codegen {
namespace {

namespace ELF = llvm::ELF;

// An unnamed file in memory, known to this process and its children as /proc/self/fd/N.
class MemoryFile {
public:
  explicit MemoryFile(const char *name) : fd_(memfd_create(name, MFD_CLOEXEC)) {}
  MemoryFile(const MemoryFile &) = delete;
  ~MemoryFile() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

  bool write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      bytes.remove_prefix(size_t(n));
    }
    return true;
  }

  std::optional<std::string> read() const {
    struct stat info;
    if (fstat(fd_, &info) != 0) return std::nullopt;
    std::string bytes(size_t(info.st_size), '\0');
    for (size_t done = 0; done < bytes.size();) {
      const ssize_t n = pread(fd_, bytes.data() + done, bytes.size() - done, off_t(done));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return std::nullopt;
      done += size_t(n);
    }
    return bytes;
  }

private:
  int fd_;
};

constexpr std::string_view kWriteError = "write error: ";

// In the child. Returns lld's complaints, or "" when the output is complete. What comes after kWriteError is the
// system's fault: a limit of file sizes holds for files in memory too.
std::string run_lld(const std::string &input, int output, const std::string &soname) {
  // lld writes the output "-" to stdout, and first removes a file of that name in the current folder: there is none
  // here.
  if (chdir("/proc") != 0 || dup2(output, STDOUT_FILENO) < 0) return "cannot prepare the linker's output";
  const std::string soname_option = "--soname=" + soname;
  const std::vector<const char *> arguments = {"ld.lld",
                                               "-shared",
                                               "-Bsymbolic",
                                               soname_option.c_str(),
                                               "--hash-style=gnu",
                                               "--build-id=sha1",
                                               "--eh-frame-hdr",
                                               "--threads=1",
                                               "--no-dependent-libraries",
                                               "-z",
                                               "relro",
                                               "-z",
                                               "now",
                                               "-z",
                                               "noexecstack",
                                               "-z",
                                               "text",
                                               "-z",
                                               "separate-code",
                                               "-z",
                                               "lrodata-after-bss",
                                               "-z",
                                               "undefs",
                                               input.c_str(),
                                               "-o",
                                               "-"};
  std::string complaints;
  llvm::raw_string_ostream stream(complaints);
  const bool linked = lld::elf::link(arguments, stream, stream, /*exitEarly=*/false, /*disableOutput=*/false);
  stream.flush();
  llvm::outs().flush();
  if (const std::error_code error = llvm::outs().error()) {
    llvm::outs().clear_error();
    return std::string(kWriteError) + error.message();
  }
  if (linked && complaints.empty()) return "";
  return complaints.empty() ? "lld failed without a word" : complaints;
}

template <class T> T *at(std::string &bytes, uint64_t offset, uint64_t count = 1) {
  CAMEO_CHECK(offset <= bytes.size() && count <= (bytes.size() - offset) / sizeof(T), "lld's output is cut");
  return reinterpret_cast<T *>(bytes.data() + offset);
}

// Removes the section that names the linker's version: it says nothing about the artefact. No symbol refers to it.
void drop_comment(std::string &bytes) {
  auto *header = at<ELF::Elf64_Ehdr>(bytes, 0);
  auto *sections = at<ELF::Elf64_Shdr>(bytes, header->e_shoff, header->e_shnum);
  const std::string_view names(bytes.data() + sections[header->e_shstrndx].sh_offset,
                               sections[header->e_shstrndx].sh_size);
  for (unsigned i = 1; i < header->e_shnum; ++i) {
    if (std::strcmp(names.data() + sections[i].sh_name, ".comment") != 0) continue;
    std::memset(at<char>(bytes, sections[i].sh_offset, sections[i].sh_size), 0, sections[i].sh_size);
    std::memmove(&sections[i], &sections[i + 1], (header->e_shnum - i - 1) * sizeof *sections);
    --header->e_shnum;
    std::memset(&sections[header->e_shnum], 0, sizeof *sections);
    if (header->e_shstrndx > i) --header->e_shstrndx;
    for (unsigned k = 1; k < header->e_shnum; ++k) {
      if (sections[k].sh_link > i) --sections[k].sh_link;
      if ((sections[k].sh_flags & ELF::SHF_INFO_LINK) && sections[k].sh_info > i) --sections[k].sh_info;
    }
    return;
  }
}

// Lets the weights' segment and section be read from the end of the file.
void place_weights(std::string &bytes, int64_t weights_size) {
  bytes.resize((bytes.size() + kWeightsAlign - 1) / kWeightsAlign * kWeightsAlign);
  auto *header = at<ELF::Elf64_Ehdr>(bytes, 0);
  auto *sections = at<ELF::Elf64_Shdr>(bytes, header->e_shoff, header->e_shnum);
  ELF::Elf64_Shdr *weights = nullptr;
  for (unsigned i = 1; i < header->e_shnum; ++i)
    if (sections[i].sh_flags & ELF::SHF_X86_64_LARGE) weights = &sections[i];
  CAMEO_CHECK(weights && weights->sh_type == ELF::SHT_NOBITS && weights->sh_size == uint64_t(weights_size),
              "lld moved the weights");
  auto *segments = at<ELF::Elf64_Phdr>(bytes, header->e_phoff, header->e_phnum);
  for (unsigned i = 0; i < header->e_phnum; ++i) {
    ELF::Elf64_Phdr &segment = segments[i];
    if (segment.p_type != ELF::PT_LOAD || segment.p_vaddr != weights->sh_addr) continue;
    CAMEO_CHECK(segment.p_filesz == 0 && segment.p_memsz == weights->sh_size && segment.p_flags == ELF::PF_R &&
                    segment.p_vaddr % kWeightsAlign == 0,
                "the weights' segment is not what it should be");
    segment.p_offset = bytes.size();
    segment.p_filesz = segment.p_memsz;
    weights->sh_type = ELF::SHT_PROGBITS;
    weights->sh_offset = bytes.size();
    return;
  }
  CAMEO_UNREACHABLE("the weights have no segment");
}

} // namespace

Result<std::string> link_shared(const std::string &object, const std::string &soname, int64_t weights_size) {
  const Diagnostic no_memory_file{ExitCode::io, "", "cannot hold the object to be linked in memory"};
  MemoryFile input("object"), output("library");
  if (input.fd() < 0 || output.fd() < 0 || !input.write(object)) return no_memory_file;
  ChildLimits limits;
  limits.seconds = 600;
  CAMEO_TRY(ChildResult child, run_in_child([&] { return run_lld(input.path(), output.fd(), soname); }, limits));
  if (child.end != ChildResult::End::exited) return Diagnostic{ExitCode::io, "", "linking: " + describe(child, limits)};
  if (child.result.starts_with(kWriteError))
    return Diagnostic{ExitCode::io, "", "linking: " + child.result.substr(kWriteError.size())};
  CAMEO_CHECK(child.code == 0 && child.result.empty(), "lld: " + child.result + child.errors);
  auto bytes = output.read();
  if (!bytes || bytes->size() < sizeof(ELF::Elf64_Ehdr)) return no_memory_file;
  drop_comment(*bytes);
  if (weights_size > 0) place_weights(*bytes, weights_size);
  return std::move(*bytes);
}

} // namespace cameo::codegen
