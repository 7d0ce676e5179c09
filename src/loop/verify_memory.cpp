// Where buffers come from, and whether accesses stay inside them.
//
// Origins. Each buffer value is derived from parameters, allocas and calls: directly by view, or through iteration
// values and branches. Two facts are propagated along these edges to a fixed point: "may be read-only" and "may be an
// alloca".
//
// Bounds. An access is checked when it is certain to happen and its address is an affine form of induction variables
// whose ranges are constants: induction variables of a rectangular nest are independent, so the extremes of the form
// are attained, and what is reported is wrong for sure. Anything else (branches, run-time bounds, gathers) is left to
// the interpreter.
#include "verify_memory.h"

#include <algorithm>

namespace cameo::loop {

namespace {

struct Range {
  int64_t first = 0, last = 0;
};

// A buffer as an offset in bytes from a root of known size.
struct Place {
  int64_t root_bytes;
  Affine offset;
};

class MemoryVerifier {
public:
  using Report = std::function<void(int64_t, const Op &, const std::string &)>;
  MemoryVerifier(const FunctionTable &functions, const Function &function, const Report &report)
      : functions_(functions), function_(function), report_(report), may_be_readonly_(function.values.size()),
        may_be_alloca_(function.values.size()), ranges_(function.values.size()), linear_(function.values.size()),
        places_(function.values.size()) {}

  void run() {
    for (const Param &param : function_.params) {
      if (!function_.type(param.value).buffer) continue;
      may_be_readonly_[param.value.id] = param.readonly;
      int64_t element = function_.type(param.value).bytes(), bytes = 0;
      if (param.size >= 0 && !__builtin_mul_overflow(param.size, element, &bytes))
        places_[param.value.id] = Place{bytes, Affine()};
    }
    collect(function_.body);
    for (bool changed = true; changed;) {
      changed = false;
      for (auto [from, to] : edges_)
        for (auto *fact : {&may_be_readonly_, &may_be_alloca_})
          if ((*fact)[from.id] && !(*fact)[to.id]) changed = (*fact)[to.id] = true;
    }
    check(function_.body, true);
  }

private:
  void edge(Value from, Value to) {
    if (function_.type(to).buffer) edges_.emplace_back(from, to);
  }
  void edges(std::span<const Value> from, std::span<const Value> to) {
    for (size_t i = 0; i < to.size(); ++i) edge(from[i], to[i]);
  }
  static std::span<const Value> yielded(const Block &block) { return block.ops.back().operands; }

  void collect(const Block &block) {
    for (const Op &op : block.ops) {
      for (const Block &region : op.regions) collect(region);
      std::span<const Value> operands = op.operands;
      switch (op.code) {
      case Opcode::alloca:
        may_be_alloca_[op.results[0].id] = true;
        break;
      case Opcode::view:
        edge(operands[0], op.results[0]);
        break;
      case Opcode::for_loop: {
        auto args = std::span<const Value>(op.regions[0].args).subspan(1);
        for (std::span<const Value> to : {args, std::span<const Value>(op.results)}) {
          edges(operands.subspan(2), to);
          edges(yielded(op.regions[0]), to);
        }
        break;
      }
      case Opcode::if_else:
        if (op.results.empty()) break;
        edges(yielded(op.regions[0]), op.results);
        edges(yielded(op.regions[1]), op.results);
        break;
      case Opcode::while_loop:
        edges(operands, op.regions[0].args);
        edges(yielded(op.regions[0]).subspan(1), op.regions[1].args);
        edges(yielded(op.regions[0]).subspan(1), op.results);
        edges(yielded(op.regions[1]), op.regions[0].args);
        break;
      default:
        break;
      }
    }
  }

  // ---- affine forms of induction variables

  // Coefficients and constants stay below 2^56, so that sums and products by one element size cannot overflow.
  static std::optional<Affine> bounded(Affine a) {
    constexpr int64_t kLimit = int64_t{1} << 56;
    auto small = [](int64_t v) { return v > -kLimit && v < kLimit; };
    bool good =
        small(a.constant) && std::all_of(a.terms.begin(), a.terms.end(), [&](auto &t) { return small(t.second); });
    return good ? std::optional(std::move(a)) : std::nullopt;
  }

  static std::optional<Affine> scaled(const std::optional<Affine> &a, int64_t factor) {
    if (!a) return std::nullopt;
    int64_t unused;
    bool overflow = __builtin_mul_overflow(a->constant, factor, &unused);
    for (const auto &term : a->terms) overflow |= __builtin_mul_overflow(term.second, factor, &unused);
    return overflow ? std::nullopt : bounded(*a * factor);
  }

  static std::optional<Affine> sum(const std::optional<Affine> &a, const std::optional<Affine> &b) {
    return a && b ? bounded(*a + *b) : std::nullopt;
  }

  std::optional<Affine> expand(const Affine &address) const {
    std::optional<Affine> out = bounded(Affine(address.constant));
    for (const auto &[value, coefficient] : address.terms) out = sum(out, scaled(linear_[value.id], coefficient));
    return out;
  }

  std::optional<int64_t> constant(Value v) const {
    const auto &form = linear_[v.id];
    return form && form->is_constant() ? std::optional(form->constant) : std::nullopt;
  }

  void define_linear(const Op &op) {
    if (op.results.size() != 1 || function_.type(op.results[0]) != kIndex) return;
    std::optional<Affine> &form = linear_[op.results[0].id];
    auto operand = [&](size_t i) -> const std::optional<Affine> & { return linear_[op.operands[i].id]; };
    switch (op.code) {
    case Opcode::constant:
      form = bounded(Affine(op.integer));
      break;
    case Opcode::index:
      form = expand(op.address);
      break;
    case Opcode::add:
      form = sum(operand(0), operand(1));
      break;
    case Opcode::sub:
      form = sum(operand(0), scaled(operand(1), -1));
      break;
    case Opcode::mul:
      if (auto b = constant(op.operands[1]))
        form = scaled(operand(0), *b);
      else if (auto a = constant(op.operands[0]))
        form = scaled(operand(1), *a);
      break;
    default:
      break;
    }
  }

  // ---- accesses

  void access(const Op &op, Value buffer, int64_t lanes) const {
    const std::optional<Place> &place = places_[buffer.id];
    if (!place) return;
    int64_t element = function_.type(buffer).bytes();
    auto offset = sum(place->offset, scaled(expand(op.address), element));
    if (!offset) return;
    __int128 low = offset->constant, high = offset->constant + __int128(lanes) * element;
    for (const auto &[value, coefficient] : offset->terms) {
      const Range &range = *ranges_[value.id];
      __int128 a = __int128(coefficient) * range.first, b = __int128(coefficient) * range.last;
      low += std::min(a, b);
      high += std::max(a, b);
    }
    if (low >= 0 && high <= place->root_bytes) return;
    auto text = [](__int128 v) {
      return std::to_string(static_cast<int64_t>(std::clamp<__int128>(v, INT64_MIN, INT64_MAX)));
    };
    report_(number_, op,
            "reaches bytes " + text(low) + ".." + text(high) + " of a buffer of " + std::to_string(place->root_bytes) +
                " bytes");
  }

  std::optional<int64_t> lanes_accessed(const Op &op, const Type &data, size_t active_operand) const {
    if (op.operands.size() <= active_operand) return data.lanes;
    auto active = constant(op.operands[active_operand]);
    if (!active || *active <= 0) return std::nullopt;
    return std::min<int64_t>(*active, data.lanes);
  }

  void check_op(const Op &op, bool certain) {
    auto written = [&](Value buffer) {
      if (may_be_readonly_[buffer.id]) report_(number_, op, "writes to a readonly parameter");
    };
    switch (op.code) {
    case Opcode::alloca:
      places_[op.results[0].id] = Place{op.integer * function_.type(op.results[0]).bytes(), Affine()};
      break;
    case Opcode::view:
      if (const auto &base = places_[op.operands[0].id])
        if (auto offset = sum(base->offset, scaled(expand(op.address), function_.type(op.operands[0]).bytes())))
          places_[op.results[0].id] = Place{base->root_bytes, std::move(*offset)};
      break;
    case Opcode::load:
      if (auto lanes = lanes_accessed(op, function_.type(op.results[0]), 1); lanes && certain)
        access(op, op.operands[0], *lanes);
      break;
    case Opcode::store:
      written(op.operands[1]);
      if (auto lanes = lanes_accessed(op, function_.type(op.operands[0]), 2); lanes && certain)
        access(op, op.operands[1], *lanes);
      break;
    case Opcode::scatter:
      written(op.operands[1]);
      break;
    case Opcode::call: {
      const Function *callee = functions_.at(op.symbol);
      for (size_t i = 0; i < op.operands.size(); ++i)
        if (function_.type(op.operands[i]).buffer && may_be_readonly_[op.operands[i].id] && !callee->params[i].readonly)
          report_(number_, op,
                  "passes a readonly parameter as argument " + std::to_string(i) + ", which the callee may write");
      break;
    }
    case Opcode::ret:
      for (Value v : op.operands)
        if (may_be_alloca_[v.id]) report_(number_, op, "returns a buffer that ends with this call");
      break;
    default:
      break;
    }
  }

  // `certain`: the block runs at least once whenever the function runs.
  void check(const Block &block, bool certain) {
    for (const Op &op : block.ops) {
      ++number_;
      define_linear(op);
      check_op(op, certain);
      if (op.code == Opcode::for_loop) {
        Value iv = op.regions[0].args[0];
        auto from = constant(op.operands[0]), to = constant(op.operands[1]);
        bool runs = from && to && *from < *to;
        if (op.flag && from && to && !runs) report_(number_, op, "promises an iteration but has none");
        if (runs) {
          auto trips =
              (static_cast<uint64_t>(*to) - static_cast<uint64_t>(*from) - 1) / static_cast<uint64_t>(op.integer);
          ranges_[iv.id] = Range{
              *from, static_cast<int64_t>(static_cast<uint64_t>(*from) + trips * static_cast<uint64_t>(op.integer))};
          linear_[iv.id] = Affine(iv);
        }
        check(op.regions[0], certain && (runs || op.flag));
      } else if (op.code == Opcode::parallel) {
        Value task = op.regions[0].args[0];
        auto tasks = op.operands.empty() ? std::optional(op.integer) : constant(op.operands[0]);
        bool runs = tasks && *tasks > 0;
        if (runs) {
          ranges_[task.id] = Range{0, *tasks - 1};
          linear_[task.id] = Affine(task);
        }
        check(op.regions[0], certain && runs);
      } else {
        for (const Block &region : op.regions) check(region, false);
      }
    }
  }

  const FunctionTable &functions_;
  const Function &function_;
  const Report &report_;
  int64_t number_ = -1;
  std::vector<std::pair<Value, Value>> edges_;
  std::vector<bool> may_be_readonly_, may_be_alloca_;
  std::vector<std::optional<Range>> ranges_;  // of induction variables and tasks
  std::vector<std::optional<Affine>> linear_; // i64 values as forms of those
  std::vector<std::optional<Place>> places_;  // buffers with a known root
};

} // namespace

void verify_memory(const FunctionTable &functions, const Function &function,
                   const std::function<void(int64_t, const Op &, const std::string &)> &report) {
  MemoryVerifier(functions, function, report).run();
}

} // namespace cameo::loop
