// Builds programs: the interface of the model, then for each target a plan and its code.
#include "cameo/passes/program.h"

#include "emit_program.h"
#include "placement.h"

#include "cameo/ir/dim_terms.h"

#include <algorithm>
#include <set>

namespace cameo::passes {

using graph::Dim;
using graph::Value;

namespace {

uint64_t hash_bytes(std::span<const std::byte> bytes) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (std::byte b : bytes) hash = (hash ^ static_cast<uint64_t>(b)) * 0x100000001b3ull;
  return hash;
}

Diagnostic unsupported(const std::string &where, const std::string &what) {
  return {ExitCode::unsupported, where, what};
}

} // namespace

bool Interface::at_run(const Dim &dim) const {
  bool unknown = false;
  dim.for_each_symbol([&](const std::string &key) {
    unknown |= std::none_of(symbols.begin(), symbols.end(), [&](const Symbol &s) { return s.key == key; });
  });
  return unknown;
}

bool Interface::at_run(int32_t output) const {
  const graph::Shape &dims = outputs[static_cast<size_t>(output)].dims;
  return std::any_of(dims.begin(), dims.end(), [&](const Dim &d) { return at_run(d); });
}

bool Interface::any_at_run() const {
  for (size_t i = 0; i < outputs.size(); ++i)
    if (at_run(static_cast<int32_t>(i))) return true;
  return false;
}

namespace {

// Inputs, outputs and the symbols among the inputs' dims.
Result<Interface> interface_of(const graph::Graph &graph) {
  Interface out;
  Diagnostics problems;
  const graph::Function &main = graph.main();
  auto port = [&](const Value *v, const std::string &name, std::string_view role) {
    const graph::Type &type = v->type();
    const std::string where = std::string(role) + " '" + escape_name(name) + "'";
    Port p{name, DType::f32, {}};
    if (!type.is_tensor() || !type.is_ranked()) {
      problems.push_back(unsupported(where, "a value of type " + type.str() + " cannot be passed to a compiled model"));
    } else if (type.dtype() == DType::string) {
      problems.push_back(unsupported(where, "a tensor of strings cannot be passed to a compiled model"));
    } else {
      p.dtype = type.dtype();
      p.dims = type.shape();
    }
    return p;
  };
  for (const Value *v : main.body->arguments()) out.inputs.push_back(port(v, v->name(), "input"));
  const std::vector<Value *> results = main.body->results();
  for (size_t i = 0; i < results.size(); ++i) out.outputs.push_back(port(results[i], main.result_names[i], "output"));
  auto known = [&](const std::string &key) {
    return std::any_of(out.symbols.begin(), out.symbols.end(), [&](const Symbol &s) { return s.key == key; });
  };
  for (const Port &p : out.inputs)
    for (const Dim &d : p.dims)
      if (d.is_symbol() && !known(d.symbol_key())) {
        const graph::SymbolInfo info = graph.symbol(d.symbol_key());
        Symbol s{d.symbol_key(), std::max<int64_t>(0, info.lower), INT32_MAX};
        if (info.upper && info.upper->is_constant()) s.max = std::min(s.max, info.upper->value());
        out.symbols.push_back(std::move(s));
      }
  auto check = [&](const Port &p, std::string_view role) {
    for (const Dim &d : p.dims)
      d.for_each_symbol([&](const std::string &key) {
        if (!known(key))
          problems.push_back(unsupported(std::string(role) + " '" + escape_name(p.name) + "'",
                                         "extent " + d.str() + " is known only while running"));
      });
  };
  for (const Port &p : out.inputs) check(p, "input");
  for (const Port &p : out.outputs)
    for (const Dim &d : p.dims) out.computed_outputs |= !d.is_constant() && !d.is_symbol() && !out.at_run(d);
  if (!problems.empty()) return problems;
  return out;
}

// Whether the expression never falls while symbols rise.
bool rises(const Dim &dim) {
  const std::vector<graph::DimTerm> terms = graph::dim_terms(dim);
  return std::all_of(terms.begin(), terms.end(), [](const graph::DimTerm &term) {
    return (term.coefficient > 0 || term.factors.empty()) &&
           std::all_of(term.factors.begin(), term.factors.end(), [](const graph::DimFactor &f) {
             if (f.kind == graph::DimFactor::Kind::mod) return false;
             if (f.kind == graph::DimFactor::Kind::floordiv && !f.args[1].is_constant()) return false;
             return std::all_of(f.args.begin(), f.args.end(), rises);
           });
  });
}

// Sizes of the tensors inside that depend on the caller's symbols alone, in memory or not: none may overflow.
void add_inner_sizes(const graph::Graph &graph, const Interface &interface, std::vector<Dim> &sizes) {
  std::set<Dim> found;
  for (const graph::Node *node : graph::Graph::all_nodes(graph.main().body))
    for (const Value *v : node->results()) {
      const graph::Type &type = v->type();
      if (!type.is_tensor() || !type.is_ranked() || type.dtype() == DType::string) continue;
      const Dim elements = type.elements();
      if (elements.valid() && !elements.is_constant() && !interface.at_run(elements))
        found.insert(bytes_of(type.dtype(), elements));
    }
  sizes.insert(sizes.end(), found.begin(), found.end());
}

// Lowers the largest values of symbols until no size overflows: what `run` accepts.
void limit_symbols(std::vector<Symbol> &symbols, const std::vector<Dim> &sizes) {
  constexpr int64_t kMost = int64_t{1} << 60;
  std::vector<bool> monotone;
  for (const Dim &size : sizes) monotone.push_back(rises(size));
  auto bounds = [&](const std::string &key) -> std::optional<graph::Interval> {
    for (const Symbol &s : symbols)
      if (s.key == key) return graph::Interval{s.min, s.max};
    return std::nullopt;
  };
  auto fits = [&] {
    return std::all_of(sizes.begin(), sizes.end(), [&](const Dim &size) {
      // Else its largest value is not that of the largest symbols.
      if (!monotone[static_cast<size_t>(&size - sizes.data())])
        if (const graph::Interval range = size.bounds(bounds); !range.upper || *range.upper > kMost) return false;
      const std::optional<int64_t> n = size.evaluate([&](const std::string &key) -> std::optional<int64_t> {
        for (const Symbol &s : symbols)
          if (s.key == key) return s.max;
        return std::nullopt;
      });
      return n && *n <= kMost;
    });
  };
  while (!fits()) {
    bool shrank = false;
    for (Symbol &s : symbols)
      if (s.max / 2 >= std::max<int64_t>(s.min, 1)) {
        s.max /= 2;
        shrank = true;
      }
    if (!shrank) return;
  }
}

} // namespace

int64_t ConstantBlock::add(std::span<const std::byte> bytes, std::shared_ptr<const void> owner) {
  const uint64_t hash = hash_bytes(bytes);
  const auto [first, last] = by_hash_.equal_range(hash);
  for (auto it = first; it != last; ++it) {
    const Piece &piece = pieces_[it->second];
    if (std::equal(piece.bytes.begin(), piece.bytes.end(), bytes.begin(), bytes.end())) return piece.offset;
  }
  const int64_t offset = (size_ + 63) / 64 * 64;
  by_hash_.emplace(hash, pieces_.size());
  pieces_.push_back({offset, bytes, std::move(owner)});
  size_ = offset + static_cast<int64_t>(bytes.size());
  return offset;
}

Result<Variant> build_variant(const graph::Graph &graph, const Plan &plan, const loop::Target &target,
                              ConstantBlock &constants, const ProgramOptions &options) {
  CAMEO_TRY(Interface interface, interface_of(graph));
  return emit_program(graph, plan, target, constants, interface, options);
}

Result<Program> build_program(const graph::Graph &graph, std::span<const loop::Target> targets,
                              const ProgramOptions &options) {
  CAMEO_TRY(Interface interface, interface_of(graph));
  Program program;
  std::vector<Dim> sizes;
  for (const loop::Target &target : targets) {
    CAMEO_TRY(Plan plan, make_plan(graph, target, options.plan));
    CAMEO_TRY(Variant variant, emit_program(graph, plan, target, program.constants, interface, options));
    for (const BufferPlan &b : plan.buffers)
      if (!interface.at_run(b.bytes)) sizes.push_back(b.bytes);
    sizes.push_back(plan.arena_bytes);
    program.variants.push_back(std::move(variant));
  }
  add_inner_sizes(graph, interface, sizes);
  limit_symbols(interface.symbols, sizes);
  program.inputs = std::move(interface.inputs);
  program.outputs = std::move(interface.outputs);
  program.symbols = std::move(interface.symbols);
  return program;
}

} // namespace cameo::passes
