// Names from a model as C identifiers. A name that C, C++ or the C library has taken gets a suffix: a library that
// exported `read` would replace the process's own.
#include "artefact_internal.h"

#include <algorithm>
#include <iterator>

namespace cameo::codegen {
namespace {

// Keywords of C23 and C++20, and macros without an underscore that headers and compilers define.
constexpr std::string_view kReserved =
    " BUFSIZ EOF FILE I NULL alignas alignof alloca and and_eq asm assert auto bitand bitor bool break case "
    "catch char char16_t char32_t char8_t class co_await co_return co_yield compl complex concept const "
    "const_cast consteval constexpr constinit continue decltype default delete do double dynamic_cast else enum "
    "errno explicit export extern false far float for friend goto i386 if imaginary inline int interface linux "
    "long mutable namespace near new noexcept not not_eq nullptr offsetof operator or or_eq private protected "
    "public register reinterpret_cast requires restrict return short signed sizeof small static static_assert "
    "static_cast stderr stdin stdout struct switch template this thread_local throw true try typedef typeid "
    "typename typeof typeof_unqual union unix unsigned using virtual void volatile wchar_t while xor xor_eq ";

// Functions and objects of the C library and POSIX, and names that any program has.
constexpr std::string_view kLibrary =
    " abort abs accept access acos acosf acosh alarm aligned_alloc asctime asin asinf asinh atan atan2 atan2f "
    "atanf atanh atexit atof atoi atol atoll atomic basename bcmp bcopy bind brk bsearch bzero calloc cbrt ceil "
    "ceilf chdir chmod chown clearerr clock clone close connect copysign cos cosf cosh coshf creat crypt ctime "
    "daemon difftime dirname div dup dup2 environ erf erfc erff err error exec execl execle execlp execv execve "
    "execvp exit exp exp2 exp2f expf expm1 fabs fabsf fclose fcntl fdim fdopen feof ferror fflush ffs fgetc "
    "fgets fileno flock floor floorf fma fmaf fmax fmin fmod fmodf fopen fork fprintf fputc fputs fread free "
    "freopen frexp fscanf fseek fstat fsync ftell ftruncate fwrite gamma getc getchar getcwd getenv getopt "
    "getpid getppid gets gettimeofday getuid gmtime htonl htons hypot index ioctl isalnum isalpha isatty isblank "
    "iscntrl isdigit isgraph isinf islower isnan isprint ispunct isspace isupper isxdigit j0 j1 jn kill labs "
    "ldexp lgamma link listen llabs localeconv localtime log log10 log10f log1p log2 log2f logb logf longjmp "
    "lrint lround lseek lstat main mallinfo malloc malloc_trim mblen memccpy memchr memcmp memcpy memmem memmove "
    "mempcpy memrchr memset mkdir mkdtemp mkfifo mknod mkstemp mktemp mktime mlock mmap modf mount mprotect "
    "msync munmap nan nanosleep nearbyint nice ntohl ntohs open pause pclose perror personality pipe poll popen "
    "pow powf pread printf ptrace putc putchar putenv puts pwrite qsort quotactl raise rand random read readlink "
    "readv realloc realpath reboot recv recvfrom remainder remove remquo rename rewind rindex rint rmdir round "
    "roundf sbrk scalb scanf select send sendto setbuf setenv setjmp setlocale setuid setvbuf shmget shutdown "
    "sigaction signal signbit significand sin sincos sinf sinh sinhf sleep snprintf socket splice sprintf sqrt "
    "sqrtf srand srandom sscanf stat stime stpcpy strcat strchr strcmp strcoll strcpy strcspn strdup strerror "
    "strftime strlen strncat strncmp strncpy strndup strnlen strpbrk strrchr strsep strsignal strspn strstr "
    "strtod strtof strtok strtol strtold strtoll strtoul strtoull strxfrm swab symlink sync syscall sysconf "
    "syslog system tan tanf tanh tanhf tee tgamma time timegm times tmpfile tmpnam tolower toupper trunc "
    "truncate truncf ttyname tzset ualarm umask umount uname ungetc unlink unsetenv usleep ustat utime vfork "
    "vfprintf vprintf wait wait3 wait4 waitpid warn wcscmp wcscpy wcslen wmemcpy write writev y0 y1 yn ";
constexpr std::string_view kLibraryPrefixes[] = {"pthread_", "sem_", "sched_", "cameo_", "CAMEO_", "Cameo"};

bool has_word(std::string_view words, const std::string &name) {
  return words.find(" " + name + " ") != std::string_view::npos;
}

bool is_reserved(const std::string &name) { return has_word(kReserved, name) || name.ends_with("_t"); }

bool is_library(const std::string &name) {
  return has_word(kLibrary, name) || std::any_of(std::begin(kLibraryPrefixes), std::end(kLibraryPrefixes),
                                                 [&](std::string_view prefix) { return name.starts_with(prefix); });
}

// Letters, digits and single underscores between them: a leading underscore and "__" are reserved. Never empty.
std::string spell(std::string_view text, std::string_view otherwise) {
  constexpr size_t kLongest = 100;
  std::string out;
  for (char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'), digit = c >= '0' && c <= '9';
    if (out.size() == kLongest) break;
    if (letter || digit)
      out += c;
    else if (!out.empty() && out.back() != '_')
      out += '_';
  }
  while (!out.empty() && out.back() == '_') out.pop_back();
  if (out.empty()) return std::string(otherwise);
  return out[0] >= '0' && out[0] <= '9' ? otherwise[0] + out : out;
}

} // namespace

std::string c_identifier(std::string_view text) {
  std::string name = spell(text, "model");
  return is_reserved(name) || is_library(name) ? name + "_model" : name;
}

std::vector<std::string> parameter_names(const ArtefactSpec &spec) {
  std::vector<std::string> names;
  auto add = [&](const PortSpec &port) {
    std::string name = spell(port.name, "tensor");
    // `context` is a parameter of the call itself.
    if (is_reserved(name) || name == "context" || name == spec.prefix) name += "_tensor";
    std::string unique = name;
    for (int i = 2; std::find(names.begin(), names.end(), unique) != names.end(); ++i)
      unique = name + "_" + std::to_string(i);
    names.push_back(unique);
  };
  for (const PortSpec &port : spec.inputs) add(port);
  for (const PortSpec &port : spec.outputs) add(port);
  return names;
}

bool has_typed_call(const ArtefactSpec &spec) {
  size_t ports = 0;
  for (auto *list : {&spec.inputs, &spec.outputs})
    for (const PortSpec &port : *list) {
      ++ports;
      for (const DimSpec &dim : port.dims)
        if (dim.extent < 0) return false;
    }
  return ports > 0 && ports <= 127; // what C promises of parameters
}

bool has_stateless_call(const ArtefactSpec &spec) {
  return has_typed_call(spec) && std::none_of(spec.outputs.begin(), spec.outputs.end(),
                                              [](const PortSpec &port) { return port.dtype == DType::string; });
}

std::vector<std::string> exported_names(const ArtefactSpec &spec) {
  std::vector<std::string> names;
  for (const char *suffix :
       {"create", "describe", "destroy", "run", "run_once", "shape", "status_text", "workspace_size"})
    names.push_back(spec.prefix + "_" + suffix);
  if (has_typed_call(spec)) {
    if (has_stateless_call(spec)) names.push_back(spec.prefix);
    names.push_back(spec.prefix + "_call");
  }
  std::sort(names.begin(), names.end());
  return names;
}

} // namespace cameo::codegen
