// Graph IR to text. The grammar stands beside the parser.
#include "cameo/ir/print.h"

#include "cameo/support/half.h"
#include "cameo/support/text_lexer.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace cameo::graph {

namespace {

std::string hex64(uint64_t value) {
  char buffer[24];
  std::snprintf(buffer, sizeof buffer, "0x%016llx", static_cast<unsigned long long>(value));
  return buffer;
}

std::string bits_text(DType dtype, uint64_t pattern) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "bits 0x%0*llx", (bits(dtype) + 3) / 4,
                static_cast<unsigned long long>(pattern));
  return buffer;
}

// Shortest text that reads back as the element's bits; patterns that no number stands for (payloads of NaN) as bits.
std::string float_text(DType dtype, uint64_t pattern) {
  const double value = decode(dtype, pattern);
  const uint64_t back =
      encode(dtype, std::isnan(value) ? std::copysign(std::nan(""), value) : value, {false, ScaleRounding::nearest});
  if (back != pattern) return bits_text(dtype, pattern);
  if (bits(dtype) > 32 || !std::isfinite(value)) return real_text(value);
  char buffer[40];
  std::string text(buffer, std::to_chars(buffer, buffer + sizeof buffer, static_cast<float>(value)).ptr);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  double read = 0;
  std::from_chars(text.data(), text.data() + text.size(), read);
  return encode(dtype, read, {false, ScaleRounding::nearest}) == pattern ? text : real_text(value);
}

std::string element(const ConstantData &data, int64_t i) {
  const DType dtype = data.dtype();
  if (dtype == DType::string) return quote(data.string_values()[static_cast<size_t>(i)]);
  if (dtype == DType::c64 || dtype == DType::c128) {
    // Two floats: seen as a vector of twice the count.
    const DType part = dtype == DType::c64 ? DType::f32 : DType::f64;
    Constant parts = ConstantData::view(part, {2 * data.count()}, data.bytes(), nullptr);
    return "(" + element(*parts, 2 * i) + ", " + element(*parts, 2 * i + 1) + ")";
  }
  if (is_float(dtype)) return float_text(dtype, data.bits_at(i));
  if (dtype == DType::boolean)
    return data.bits_at(i) > 1 ? bits_text(dtype, data.bits_at(i)) : data.bits_at(i) ? "true" : "false";
  if (dtype == DType::u64) return std::to_string(data.bits_at(i));
  return std::to_string(data.as_int(i));
}

template <class T, class Text> std::string list(const std::vector<T> &values, const Text &text) {
  std::string out = "[";
  for (size_t i = 0; i < values.size(); ++i) out += (i ? ", " : "") + text(values[i]);
  return out + "]";
}

std::string plain_type(const ConstantData &data) {
  return std::string(name(data.dtype())) + list(data.dims(), [](int64_t d) { return std::to_string(d); });
}

class Printer {
public:
  explicit Printer(const PrintOptions &options) : options_(options) {}

  std::string graph(const Graph &graph) {
    out_ = "graph " + sigil_name('@', graph.name()) + " stage " + std::string(name(graph.stage())) + " {\n";
    for (const auto &[key, info] : graph.symbols())
      out_ += "  symbol " + Dim::from_key(key).str() + " in [" + std::to_string(info.lower) + ", " +
              (info.upper ? info.upper->str() : "any") + "]\n";
    for (const Function &function : graph.functions()) {
      spellings_.clear();
      taken_.clear();
      next_number_ = 0;
      out_ += &function == &graph.main() ? "  main" : "  func " + sigil_name('@', function.name);
      region(*function.body, 1, &function.result_names);
      out_ += "\n";
    }
    data_section();
    return out_ + "}\n";
  }

  void node(const Node &node, int depth) {
    out_.append(2 * static_cast<size_t>(depth), ' ');
    for (size_t i = 0; i < node.result_count(); ++i) out_ += (i ? ", " : "") + spelling(node.result(i));
    if (node.result_count() > 0) out_ += " = ";
    out_ += node.is(Op::elementwise) ? name(node.fn()) : name(node.op());
    if (node.is(Op::constant)) {
      out_ += " " + node.result()->type().str() + " " + content(node.tensor("value"));
    } else {
      for (size_t i = 0; i < node.operand_count(); ++i) {
        out_ += i ? ", " : " ";
        out_ += node.operand(i) ? spelling(node.operand(i)) : "_";
      }
      attributes(node);
      for (size_t i = 0; i < node.result_count(); ++i) out_ += (i ? ", " : " : ") + node.result(i)->type().str();
    }
    for (size_t i = 0; i < node.region_count(); ++i) {
      out_ += " ";
      region(*node.body(i), depth, nullptr);
    }
    if (options_.origins)
      for (size_t i = 0; i < node.origin().size(); ++i) out_ += (i ? ", " : " from ") + quote(node.origin()[i]);
    out_ += "\n";
  }

  std::string take() { return std::move(out_); }

  // Constants that were printed by reference, by the hash they were given, in order of first mention.
  struct Blob {
    uint64_t hash;
    Constant data;
  };
  const std::vector<Blob> &blobs() const { return blobs_; }

private:
  void region(const Region &region, int depth, const std::vector<std::string> *result_names) {
    out_ += "(";
    for (size_t i = 0; i < region.arguments().size(); ++i)
      out_ += (i ? ", " : "") + spelling(region.argument(i)) + ": " + region.argument(i)->type().str();
    out_ += ") {\n";
    for (const Node *node : region.nodes()) this->node(*node, depth + 1);
    out_.append(2 * static_cast<size_t>(depth) + 2, ' ');
    out_ += "yield";
    for (size_t i = 0; i < region.yield()->operand_count(); ++i) {
      out_ += (i ? ", " : " ") + spelling(region.yield()->operand(i));
      if (result_names && i < result_names->size()) out_ += " as " + quote((*result_names)[i]);
    }
    out_ += "\n";
    out_.append(2 * static_cast<size_t>(depth), ' ');
    out_ += "}";
  }

  std::string spelling(const Value *value) {
    auto it = spellings_.find(value);
    if (it != spellings_.end()) return it->second;
    std::string text;
    if (value->name().empty()) {
      text = "%" + std::to_string(next_number_++);
    } else {
      text = sigil_name('%', value->name());
      if (int count = ++taken_[text]; count > 1) text += "#" + std::to_string(count);
    }
    return spellings_.emplace(value, std::move(text)).first->second;
  }

  void attributes(const Node &node) {
    bool first = true;
    for (const auto &[name, value] : node.attributes()) {
      if (std::holds_alternative<Fn>(value)) continue; // it is the op's name
      out_ += (first ? " {" : ", ") + name + " = " + attribute(node.info().attribute(name)->kind, value);
      first = false;
    }
    if (!first) out_ += "}";
  }

  std::string attribute(AttrKind kind, const Attribute &value) {
    switch (kind) {
    case AttrKind::integer:
      return std::to_string(std::get<int64_t>(value));
    case AttrKind::real:
      return real_text(std::get<double>(value));
    case AttrKind::boolean:
      return std::get<bool>(value) ? "true" : "false";
    case AttrKind::string:
      return quote(std::get<std::string>(value));
    case AttrKind::word:
      return std::get<std::string>(value);
    case AttrKind::dtype:
      return std::string(name(std::get<DType>(value)));
    case AttrKind::dim:
      return std::get<Dim>(value).str();
    case AttrKind::fn:
      return std::string(name(std::get<Fn>(value)));
    case AttrKind::integers:
      return list(std::get<std::vector<int64_t>>(value), [](int64_t i) { return std::to_string(i); });
    case AttrKind::reals:
      return list(std::get<std::vector<double>>(value), real_text);
    case AttrKind::strings:
      return list(std::get<std::vector<std::string>>(value), [](const std::string &s) { return quote(s); });
    case AttrKind::dims:
      return list(std::get<std::vector<Dim>>(value), [](const Dim &d) { return d.str(); });
    case AttrKind::tensor: {
      const Constant &data = std::get<Constant>(value);
      return plain_type(*data) + " " + content(data);
    }
    }
    CAMEO_UNREACHABLE("kind of attribute");
  }

  std::string content(const Constant &data) {
    if (!data->available() || data->count() > options_.inline_limit) return "data " + hex64(reference(data));
    std::string out = "[";
    for (int64_t i = 0; i < data->count(); ++i) out += (i ? ", " : "") + element(*data, i);
    return out + "]";
  }

  // The content hash, or the next free number where two contents share a hash.
  uint64_t reference(const Constant &data) {
    uint64_t hash = data->content_hash();
    for (;; ++hash) {
      auto [it, fresh] = blob_index_.emplace(hash, blobs_.size());
      if (fresh) blobs_.push_back({hash, data});
      if (fresh || same_content(*blobs_[it->second].data, *data)) return hash;
    }
  }

  void data_section() {
    if (options_.data == PrintOptions::Data::reference) return;
    int64_t offset = 0;
    for (const auto &[hash, data] : blobs_) {
      if (!data->available()) continue;
      out_ += "  data " + hex64(hash) + " = ";
      if (data->dtype() == DType::string) {
        out_ += "strings " + list(data->string_values(), [](const std::string &s) { return quote(s); });
      } else if (options_.data == PrintOptions::Data::hex) {
        constexpr char kDigits[] = "0123456789abcdef";
        out_ += "hex \"";
        for (std::byte byte : data->bytes())
          out_ += {kDigits[std::to_integer<int>(byte) >> 4], kDigits[std::to_integer<int>(byte) & 15]};
        out_ += '"';
      } else {
        const auto length = static_cast<int64_t>(data->bytes().size());
        out_ += "external " + quote(options_.external_file) + " offset " + std::to_string(offset) + " length " +
                std::to_string(length);
        offset += length;
      }
      out_ += "\n";
    }
  }

  const PrintOptions &options_;
  std::string out_;
  std::unordered_map<const Value *, std::string> spellings_;
  std::unordered_map<std::string, int> taken_;
  int64_t next_number_ = 0;
  std::vector<Blob> blobs_;
  std::unordered_map<uint64_t, size_t> blob_index_;
};

} // namespace

std::string print(const Graph &graph, const PrintOptions &options) { return Printer(options).graph(graph); }

std::string print(const Node &node) {
  PrintOptions options;
  Printer printer(options);
  if (node.is(Op::yield)) return "yield";
  printer.node(node, 0);
  std::string text = printer.take();
  text.pop_back(); // the newline
  return text;
}

std::string Node::str() const {
  std::string text = erased_ ? "an erased node" : print(*this);
  return text.substr(0, std::min<size_t>(text.find('\n'), 400));
}

std::string external_data(const Graph &graph, const PrintOptions &options) {
  Printer printer(options);
  printer.graph(graph);
  std::string bytes;
  for (const auto &[hash, data] : printer.blobs())
    if (data->available() && data->dtype() != DType::string)
      bytes.append(reinterpret_cast<const char *>(data->bytes().data()), data->bytes().size());
  return bytes;
}

bool same(const Graph &a, const Graph &b) { return print(a) == print(b); }

} // namespace cameo::graph
