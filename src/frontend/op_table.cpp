#include "cameo/frontend/op_table.h"

#include "cameo/support/check.h"
#include "importers.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <climits>
#include <tuple>

namespace cameo::frontend {
namespace {

constexpr OpRow kRows[] = {
#define OP(domain, name, since, deprecated, inputs, outputs, types, attributes)                                        \
  {domain, name, since, deprecated, inputs, outputs, types, attributes},
#include "op_table/onnx_a_l.def"
#include "op_table/onnx_m_z.def"
#include "op_table/onnx_ml.def"
#include "op_table/onnxruntime.def"
#undef OP
};

constexpr TypeSet kTypeSets[] = {
#define TYPES(id, tensor, sequence, optional, optional_sequence, maps)                                                 \
  {tensor, sequence, optional, optional_sequence, maps},
#include "op_table/types.def"
#undef TYPES
};

std::string_view normal_domain(std::string_view domain) { return domain == "ai.onnx" ? std::string_view() : domain; }

struct Domain {
  std::string_view name;
  int newest;
};
// In the order of the table.
constexpr Domain kDomains[] = {
#define DOMAIN(name, newest) {name, newest},
#include "op_table/types.def"
#undef DOMAIN
};
constexpr int domain_rank(std::string_view domain) {
  return int(std::find_if(std::begin(kDomains), std::end(kDomains), [&](const Domain &d) { return d.name == domain; }) -
             std::begin(kDomains));
}
constexpr auto key(const OpRow &row) { return std::tuple(domain_rank(row.domain), row.name, row.since); }
static_assert(std::is_sorted(std::begin(kRows), std::end(kRows),
                             [](const OpRow &a, const OpRow &b) { return key(a) < key(b); }),
              "the table is searched by key");

// Splits off the text before the next `separator` (all of it when there is none).
std::string_view take(std::string_view &text, char separator) {
  size_t at = std::min(text.find(separator), text.size());
  std::string_view head = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return head;
}

int to_int(std::string_view text) {
  int value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  CAMEO_CHECK(error == std::errc() && end == text.data() + text.size(), "op_table: bad number");
  return value;
}

const TypeSet &type_set(std::string_view id) {
  int i = to_int(id);
  CAMEO_CHECK(i >= 0 && i < int(std::size(kTypeSets)), "op_table: type set out of range");
  return kTypeSets[i];
}

struct TypeParameters {
  std::vector<std::string_view> names;
  std::vector<TypeSet> sets;
};

std::vector<OpParameter> parameters(std::string_view text, const TypeParameters &types) {
  std::vector<OpParameter> result;
  while (!text.empty()) {
    std::string_view rest = take(text, ' ');
    std::string_view head = take(rest, ':');
    OpParameter p;
    size_t mark = head.find_first_of("?*~");
    p.name = head.substr(0, mark);
    if (mark != std::string_view::npos) {
      p.arity = head[mark] == '?'   ? OpParameter::Arity::optional
                : head[mark] == '*' ? OpParameter::Arity::variadic
                                    : OpParameter::Arity::heterogeneous;
      p.minimum = head[mark] == '?' ? 0 : to_int(head.substr(mark + 1));
    }
    CAMEO_CHECK(!rest.empty(), "op_table: a parameter without type");
    if (rest[0] == '#') {
      p.types = type_set(rest.substr(1));
    } else {
      auto at = std::find(types.names.begin(), types.names.end(), rest);
      CAMEO_CHECK(at != types.names.end(), "op_table: unknown type parameter " + std::string(rest));
      p.type_parameter = int(at - types.names.begin());
      p.types = types.sets[size_t(p.type_parameter)];
    }
    result.push_back(p);
  }
  return result;
}

// The least number of values: all up to the last one that must be present; the most: INT_MAX when the last is variadic.
std::pair<int, int> arity(const std::vector<OpParameter> &list) {
  int least = 0, most = int(list.size());
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i].arity == OpParameter::Arity::single) least = int(i) + 1;
    if (list[i].variadic()) {
      if (list[i].minimum > 0) least = int(i) + list[i].minimum;
      most = INT_MAX;
    }
  }
  return {least, most};
}

AttributeKind attribute_kind(char c) {
  constexpr std::string_view letters = "fistgxpFIS";
  size_t i = letters.find(c);
  CAMEO_CHECK(i != std::string_view::npos, "op_table: unknown attribute kind");
  return AttributeKind(i);
}

} // namespace

std::span<const OpRow> op_table() { return kRows; }

const OpRow *find_op(std::string_view domain, std::string_view name, int64_t opset) {
  OpRow wanted;
  wanted.domain = normal_domain(domain);
  wanted.name = name;
  wanted.since = int(std::min<int64_t>(opset, INT_MAX));
  auto after = std::upper_bound(std::begin(kRows), std::end(kRows), key(wanted),
                                [](const auto &k, const OpRow &row) { return k < key(row); });
  if (after == std::begin(kRows)) return nullptr;
  const OpRow &row = *std::prev(after);
  return row.domain == wanted.domain && row.name == name ? &row : nullptr;
}

int newest_opset(std::string_view domain) {
  const int rank = domain_rank(normal_domain(domain));
  return rank < int(std::size(kDomains)) ? kDomains[rank].newest : 0;
}

std::string_view name(AttributeKind kind) {
  constexpr std::array<std::string_view, 10> names = {
      "a float",         "an int", "a string",         "a tensor",       "a graph",
      "a sparse tensor", "a type", "a list of floats", "a list of ints", "a list of strings"};
  return names[size_t(kind)];
}

OpSignature decode(const OpRow &row) {
  OpSignature s;
  TypeParameters types;
  for (std::string_view text = row.types; !text.empty();) {
    std::string_view id = take(text, ' ');
    types.names.push_back(take(id, '='));
    types.sets.push_back(type_set(id));
  }
  s.inputs = parameters(row.inputs, types);
  s.outputs = parameters(row.outputs, types);
  s.type_parameters = std::move(types.names);
  std::tie(s.min_inputs, s.max_inputs) = arity(s.inputs);
  std::tie(s.min_outputs, s.max_outputs) = arity(s.outputs);
  for (std::string_view text = row.attributes; !text.empty();) {
    std::string_view rest = take(text, ' ');
    OpAttribute a;
    a.name = take(rest, ':');
    CAMEO_CHECK(!rest.empty(), "op_table: an attribute without kind");
    a.kind = attribute_kind(rest[0]);
    a.required = rest.size() > 1 && rest[1] == '!';
    if (rest.size() > 1 && rest[1] == '=') a.default_text = rest.substr(2);
    s.attributes.push_back(a);
  }
  return s;
}

bool is_supported(const OpRow &row) { return find_importer(row) != nullptr; }

std::vector<OpSupport> op_support() {
  std::vector<OpSupport> result;
  for (size_t i = 0; i < std::size(kRows); ++i) {
    const OpRow &row = kRows[i];
    const bool continues = !result.empty() && result.back().domain == row.domain && result.back().name == row.name;
    if (continues && result.back().until == 0) result.back().until = row.since - 1;
    if (row.deprecated) continue;
    const Importer *importer = find_importer(row);
    const std::string_view limits = importer ? importer->limits : std::string_view();
    if (continues && result.back().supported == (importer != nullptr) && result.back().limits == limits &&
        result.back().until == row.since - 1) {
      result.back().until = 0;
      continue;
    }
    result.push_back({row.domain, row.name, row.since, 0, importer != nullptr, std::string(limits)});
  }
  return result;
}

} // namespace cameo::frontend
