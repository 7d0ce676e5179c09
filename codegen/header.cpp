// The generated C header. It contains the text of include/cameo/abi.h behind that file's own guard, so that it needs
// nothing else and headers of several models go together. Names come from an untrusted model: in a comment they are
// reduced to printable ASCII in which no comment can end or begin.
#include "artefact_internal.h"

#include "cameo/abi.h"

#include <sstream>

// include/cameo/abi.h (cmake/CameoRuntime.cmake).
extern const unsigned char embedded_abi_h[];
extern const unsigned long embedded_abi_h_size;

namespace cameo::codegen {
namespace {

std::string hex_escape(unsigned char c) {
  constexpr char kDigits[] = "0123456789abcdef";
  return {'\\', 'x', kDigits[c >> 4], kDigits[c & 15]};
}

std::string in_comment(const std::string &text) {
  constexpr size_t kLongest = 200;
  std::string out;
  char before = 0;
  for (char c : text) {
    if (out.size() >= kLongest) return out + "...";
    const bool printable = c >= 0x20 && c < 0x7f;
    // No "*/", "/*", "??" (trigraphs), and no backslash but our own, which a letter always follows.
    const bool joins = (before == '*' && c == '/') || (before == '/' && c == '*') || (before == '?' && c == '?');
    const bool plain = printable && c != '\\' && !joins;
    out += plain ? std::string(1, c) : hex_escape(static_cast<unsigned char>(c));
    before = plain ? c : 0;
  }
  if (!out.empty() && (out[0] == '*' || out[0] == '/'))
    out = hex_escape(static_cast<unsigned char>(out[0])) + out.substr(1);
  if (!out.empty() && (out.back() == '*' || out.back() == '/' || out.back() == '?'))
    out = out.substr(0, out.size() - 1) + hex_escape(static_cast<unsigned char>(out.back()));
  return out;
}

struct CType {
  const char *element;
  const char *last_dims; ///< of complex numbers
};

CType c_type(DType dtype) {
  switch (dtype) {
  case DType::f32:
    return {"float", ""};
  case DType::f64:
    return {"double", ""};
  case DType::i8:
    return {"int8_t", ""};
  case DType::i16:
    return {"int16_t", ""};
  case DType::i32:
    return {"int32_t", ""};
  case DType::i64:
    return {"int64_t", ""};
  case DType::u16:
  case DType::f16:
  case DType::bf16:
    return {"uint16_t", ""};
  case DType::u32:
    return {"uint32_t", ""};
  case DType::u64:
    return {"uint64_t", ""};
  case DType::string:
    return {"CameoString", ""};
  case DType::c64:
    return {"float", "[2]"};
  case DType::c128:
    return {"double", "[2]"};
  default:
    return {"uint8_t", ""};
  }
}

// `f32[batch][3][224][224]`.
std::string shape_text(const ArtefactSpec &spec, const PortSpec &port) {
  std::string text(name(port.dtype));
  for (const DimSpec &dim : port.dims) text += "[" + in_comment(dim_text(spec, dim)) + "]";
  return text;
}

std::string port_comment(const ArtefactSpec &spec, const PortSpec &port) {
  std::string text = "'" + in_comment(port.name) + "': " + shape_text(spec, port);
  if (const int64_t bytes = fixed_bytes(port); bytes >= 0) text += ", " + std::to_string(bytes) + " bytes";
  if (bits(port.dtype) < 8 && port.dtype != DType::string) text += ", packed, low bits first";
  if (port.dtype == DType::f16 || port.dtype == DType::bf16) text += ", as bits";
  if (port.labels.kind == LabelSpec::Kind::none) return text;
  text += port.labels.kind == LabelSpec::Kind::columns
              ? "; in the model a map per row, here its values; the columns' keys:"
              : "; in the model strings, here positions in:";
  constexpr size_t kMost = 32;
  for (size_t i = 0; i < std::min(kMost, port.labels.count()); ++i) {
    const bool strings = !port.labels.strings.empty();
    text += (i ? ", " : " ") +
            (strings ? "'" + in_comment(port.labels.strings[i]) + "'" : std::to_string(port.labels.integers[i]));
  }
  if (port.labels.count() > kMost) text += ", ... (output_labels has all " + std::to_string(port.labels.count()) + ")";
  return text;
}

// `sequence of f32[?][4]`.
std::string container_text(const ArtefactSpec &spec, const ContainerSpec &c) {
  std::string text = c.kind == ContainerSpec::Kind::sequence   ? "sequence of "
                     : c.kind == ContainerSpec::Kind::optional ? "optional "
                                                               : "optional sequence of ";
  text += name(c.dtype);
  if (c.rank < 0) return text + " of any ranks";
  for (const DimSpec &dim : c.dims) text += "[" + (dim.at_run ? "?" : in_comment(dim_text(spec, dim))) + "]";
  return text;
}

// The ports, and ahead of the tensors of a container what they are together.
void list_ports(std::ostream &out, const ArtefactSpec &spec, const std::vector<PortSpec> &ports,
                const std::vector<ContainerSpec> &containers, const char *role) {
  auto container = containers.begin();
  for (size_t i = 0; i < ports.size(); ++i) {
    if (container != containers.end() && size_t(container->first) == i) {
      out << " *   " << role << "'" << in_comment(container->name) << "': " << container_text(spec, *container)
          << ", as " << container->count << " tensors (CameoContainer):\n";
      ++container;
    }
    out << " *   " << role << port_comment(spec, ports[i]) << "\n";
  }
}

// `const float data[1][3][224][224]`.
std::string parameter(const PortSpec &port, const std::string &name, bool is_const) {
  const CType type = c_type(port.dtype);
  const std::string start = std::string(is_const ? "const " : "") + type.element + " ";
  const int64_t bytes = fixed_bytes(port);
  if (bytes == 0) return start + "*" + name;
  if (bits(port.dtype) < 8 && port.dtype != DType::string) return start + name + "[" + std::to_string(bytes) + "]";
  std::string dims;
  for (const DimSpec &dim : port.dims) dims += "[" + std::to_string(dim.extent) + "]";
  return start + name + (dims.empty() ? "[1]" : dims) + type.last_dims;
}

void typed_calls(std::ostream &out, const ArtefactSpec &spec) {
  const std::vector<std::string> names = parameter_names(spec);
  std::string parameters;
  size_t number = 0;
  for (auto *list : {&spec.inputs, &spec.outputs})
    for (const PortSpec &port : *list) {
      parameters += (number ? ",\n    " : "\n    ") + parameter(port, names[number], list == &spec.inputs);
      ++number;
    }
  out << "\n/* Runs the model: 0 (CAMEO_OK) or a CameoStatus. Rows are contiguous, the last dim runs fastest; data is "
         "aligned to\n"
         " * its element type; inputs and outputs do not overlap. ";
  if (has_stateless_call(spec)) {
    out << "May be called from any threads at once. Takes its scratch\n"
           " * memory from the system in every call: for many calls, create a context once and use "
        << spec.prefix << "_call. */\n";
    out << "int " << spec.prefix << "(" << parameters << ");\n";
    out << "\n/* The same with a context, one call at a time"
        << (spec.strings.empty() ? ": allocates nothing after the first call. */\n" : ". */\n");
  } else {
    out << "One call at a time with a context, which keeps the text of\n"
           " * the outputs' strings until its next call or its end. */\n";
  }
  out << "int " << spec.prefix << "_call(CameoContext *context," << parameters << ");\n";
}

} // namespace

std::string c_header(const ArtefactSpec &spec) {
  const std::string &p = spec.prefix;
  std::ostringstream out;
  out << "/* " << p << ".h: the model '" << in_comment(spec.provenance.model_name) << "', compiled by "
      << in_comment(spec.provenance.compiler_version) << ". Generated: do not edit.\n *\n";
  list_ports(out, spec, spec.inputs, spec.input_containers, "input  ");
  list_ports(out, spec, spec.outputs, spec.output_containers, "output ");
  for (const SymbolSpec &symbol : spec.symbols)
    out << " *   symbol '" << in_comment(symbol.name) << "': " << symbol.min << " to " << symbol.max << "\n";
  out << " *\n * Runs on: ";
  for (size_t i = 0; i < spec.variants.size(); ++i) out << (i ? ", " : "") << in_comment(spec.variants[i].target.name);
  out << ". Weights: " << spec.weights.size() << " bytes, "
      << (spec.embed_weights ? "in the library" : "to be given to create") << ".\n */\n";
  out << "#ifndef CAMEO_MODEL_" << p << "_H\n#define CAMEO_MODEL_" << p << "_H\n\n";
  out.write(reinterpret_cast<const char *>(embedded_abi_h), std::streamsize(embedded_abi_h_size));
  out << "\n#if CAMEO_ABI_VERSION != " << CAMEO_ABI_VERSION << "\n#error \"" << p
      << ".h and a header included before it are of different versions of Cameo's C interface\"\n#endif\n\n"
      << "#ifdef __cplusplus\nextern \"C\" {\n#endif\n";
  if (has_typed_call(spec)) typed_calls(out, spec);
  out << "\n/* The functions that CameoModel describes. */\n"
      << "const CameoModel *" << p << "_describe(void);\n"
      << "int32_t " << p << "_create(const CameoOptions *options, CameoContext **context);\n"
      << "int32_t " << p << "_run(CameoContext *context, const CameoInput *inputs, int32_t input_count,\n"
      << "    CameoOutput *outputs, int32_t output_count, const CameoRunOptions *options);\n"
      << "int32_t " << p << "_destroy(CameoContext *context);\n"
      << "int32_t " << p << "_shape(const CameoInput *inputs, int32_t input_count, CameoOutput *outputs,\n"
      << "    int32_t output_count);\n"
      << "int32_t " << p
      << "_workspace_size(const int64_t *symbols, int32_t symbol_count, int32_t threads, int64_t *bytes);\n"
      << "int32_t " << p << "_run_once(const CameoInput *inputs, int32_t input_count, CameoOutput *outputs,\n"
      << "    int32_t output_count, const CameoOptions *options, const CameoRunOptions *run_options);\n"
      << "const char *" << p << "_status_text(int32_t status);\n\n"
      << "#ifdef __cplusplus\n}\n#endif\n#endif\n";
  return out.str();
}

} // namespace cameo::codegen
