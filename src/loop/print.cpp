// Prints explicit Loop IR in the grammar that parse.cpp states. Values are named once, in order of definition, before
// anything is printed: a value keeps its own name (with #k from the second bearer on), an unnamed one gets the next
// free number.
#include "cameo/loop/print.h"

#include "cameo/support/text_lexer.h"

#include <algorithm>
#include <bit>
#include <map>

namespace cameo::loop {

namespace {

class Printer {
public:
  explicit Printer(const Function &function)
      : function_(function), order_(function.values.size(), UINT32_MAX), names_(function.values.size()) {}

  std::string run() {
    for (const Param &param : function_.params) name_value(param.value);
    name_block(function_.body);

    out_ =
        std::string(function_.declaration ? "declare " : "func ").append(sigil_name('@', function_.name)).append("(");
    for (size_t i = 0; i < function_.params.size(); ++i) print_param(function_.params[i], i == 0 ? "" : ", ");
    out_ += ")";
    if (!function_.results.empty()) out_.append(" -> ").append(types(function_.results));
    if (function_.exported) out_ += " exported";
    if (function_.noinline) out_ += " noinline";
    if (!function_.origin.empty()) out_.append(" origin ").append(quote(function_.origin));
    if (!function_.declaration) print_block(function_.body, 0);
    return out_ += "\n";
  }

private:
  void name_value(Value v) {
    if (v.id >= names_.size() || !names_[v.id].empty()) return;
    order_[v.id] = next_order_++;
    const std::string &own = function_.values[v.id].name;
    if (own.empty()) {
      names_[v.id] = "%" + std::to_string(next_number_++);
      return;
    }
    size_t bearers = bearers_[own]++;
    names_[v.id] = sigil_name('%', own);
    if (bearers > 0) names_[v.id] += "#" + std::to_string(bearers);
  }

  void name_block(const Block &block) {
    for (Value v : block.args) name_value(v);
    for (const Op &op : block.ops) {
      for (Value v : op.results) name_value(v);
      for (const Block &region : op.regions) name_block(region);
    }
  }

  // A value that is defined nowhere (the verifier will say so) shows its id.
  std::string value(Value v) const {
    return v.id < names_.size() && !names_[v.id].empty() ? names_[v.id] : "%undefined." + std::to_string(v.id);
  }
  std::string values(std::span<const Value> list) const {
    std::string text;
    for (Value v : list) text.append(text.empty() ? "" : ", ").append(value(v));
    return text;
  }
  std::string type(Value v) const { return v.id < names_.size() ? to_string(function_.type(v)) : "?"; }

  static std::string types(const std::vector<Type> &list) {
    if (list.size() == 1) return to_string(list[0]);
    std::string text = "(";
    for (size_t i = 0; i < list.size(); ++i) text.append(i == 0 ? "" : ", ").append(to_string(list[i]));
    return text + ")";
  }
  std::string types(std::span<const Value> list) const {
    std::vector<Type> out;
    for (Value v : list) out.push_back(v.id < names_.size() ? function_.type(v) : Type{});
    return types(out);
  }

  // [%i*4 + %j - 3], terms in order of definition.
  std::string address(const Affine &affine) const {
    auto terms = affine.terms;
    std::sort(terms.begin(), terms.end(), [&](const auto &a, const auto &b) {
      uint32_t x = a.first.id < order_.size() ? order_[a.first.id] : UINT32_MAX;
      uint32_t y = b.first.id < order_.size() ? order_[b.first.id] : UINT32_MAX;
      return x != y ? x < y : a.first < b.first;
    });
    std::string text = "[";
    auto sign = [&](bool negative) { text += text.size() == 1 ? (negative ? "-" : "") : negative ? " - " : " + "; };
    auto magnitude = [](int64_t c) {
      return std::to_string(c < 0 ? 0 - static_cast<uint64_t>(c) : static_cast<uint64_t>(c));
    };
    for (const auto &[v, coefficient] : terms) {
      sign(coefficient < 0);
      text += value(v);
      if (coefficient != 1 && coefficient != -1) text.append("*").append(magnitude(coefficient));
    }
    if (affine.constant != 0 || terms.empty()) {
      sign(affine.constant < 0);
      text += magnitude(affine.constant);
    }
    return text + "]";
  }

  std::string literal(const Op &op) const {
    const Type &type = function_.type(op.results[0]);
    if (type.scalar == Scalar::i1) return op.integer ? "true" : "false";
    if (is_int(type.scalar)) return std::to_string(op.integer);
    constexpr uint64_t kQuiet = 0x7ff8000000000000, kSign = uint64_t{1} << 63;
    auto pattern = std::bit_cast<uint64_t>(op.real);
    if (op.real == op.real || (pattern & ~kSign) == kQuiet) return real_text(op.real);
    return "bits " + std::to_string(pattern); // a NaN with a payload
  }

  void print_param(const Param &param, const char *separator) {
    out_.append(separator).append(value(param.value)).append(": ").append(type(param.value));
    if (param.readonly) out_ += " readonly";
    if (param.noalias) out_ += " noalias";
    if (param.align != 0) out_.append(" align ").append(std::to_string(param.align));
    if (param.size != -1) out_.append(" size ").append(std::to_string(param.size));
  }

  // " { ... }" of a function, or of an operation that stands at `depth`. A region's yield of nothing goes without
  // saying.
  void print_block(const Block &block, int depth) {
    out_ += " {\n";
    auto is_yield = [](const Op &op) { return op.code == Opcode::yield; };
    std::span<const Op> ops = block.ops;
    bool implied = depth > 0 && !ops.empty() && is_yield(ops.back()) && ops.back().operands.empty() &&
                   (ops.size() == 1 || !is_yield(ops[ops.size() - 2]));
    for (const Op &op : implied ? ops.first(ops.size() - 1) : ops) print_op(op, depth + 1);
    out_.append(static_cast<size_t>(depth) * 2, ' ').append("}");
  }

  // ` iter (%a = %x, %b = %y)`
  std::string iters(std::span<const Value> args, std::span<const Value> inits) const {
    if (args.empty() && inits.empty()) return "";
    std::string text = " iter (";
    for (size_t i = 0; i < std::min(args.size(), inits.size()); ++i)
      text.append(i == 0 ? "" : ", ").append(value(args[i])).append(" = ").append(value(inits[i]));
    return text + ")";
  }

  void print_op(const Op &op, int depth) {
    out_.append(static_cast<size_t>(depth) * 2, ' ');
    if (!op.results.empty()) out_.append(values(op.results)).append(" = ");
    out_ += name(op.code);
    if (op_class(op.code) != OpClass::other)
      out_.append(" ").append(values(op.operands)).append(" : ").append(type(op.results[0]));
    else
      print_other(op, depth);
    out_ += "\n";
  }

  // ` %x[%i]`, with the buffer as operand `i`, and what may follow.
  std::string place(const Op &op, size_t i) const {
    std::string text = " " + value(op.operands[i]) + address(op.address);
    if (op.align != 0) text.append(" align ").append(std::to_string(op.align));
    return text;
  }
  std::string optional_operand(const Op &op, size_t i, const char *keyword) const {
    return op.operands.size() > i ? std::string(" ").append(keyword).append(" ").append(value(op.operands[i])) : "";
  }

  void print_other(const Op &op, int depth) {
    auto operand = [&](size_t i) { return value(op.operands[i]); };
    std::string colon = op.results.empty() ? "" : " : " + type(op.results[0]);
    switch (op.code) {
    case Opcode::constant:
      out_.append(" ").append(literal(op)).append(colon);
      break;
    case Opcode::iota:
      out_ += colon;
      break;
    case Opcode::broadcast:
    case Opcode::reduce_add:
    case Opcode::reduce_min:
    case Opcode::reduce_max:
    case Opcode::select:
      out_.append(" ").append(values(op.operands)).append(colon);
      break;
    case Opcode::extract:
      out_.append(" ").append(operand(0)).append("[").append(std::to_string(op.integer)).append("]").append(colon);
      break;
    case Opcode::shuffle:
      out_.append(" ").append(values(op.operands)).append(" [");
      for (size_t i = 0; i < op.mask.size(); ++i) out_.append(i == 0 ? "" : ", ").append(std::to_string(op.mask[i]));
      out_.append("]").append(colon);
      break;
    case Opcode::target:
      out_.append(" ").append(quote(op.symbol)).append("(").append(values(op.operands)).append(")").append(colon);
      break;
    case Opcode::index:
      out_.append(" ").append(address(op.address)).append(colon);
      break;
    case Opcode::alloca:
      out_.append(" ").append(std::to_string(op.integer));
      if (op.align != 0) out_.append(" align ").append(std::to_string(op.align));
      out_ += colon;
      break;
    case Opcode::view:
      out_.append(place(op, 0)).append(colon);
      break;
    case Opcode::load:
      out_.append(place(op, 0)).append(optional_operand(op, 1, "active")).append(colon);
      break;
    case Opcode::store:
      out_.append(" ").append(operand(0)).append(",").append(place(op, 1)).append(optional_operand(op, 2, "active"));
      out_.append(" : ").append(type(op.operands[0]));
      break;
    case Opcode::gather:
      out_.append(place(op, 0)).append(" at ").append(operand(1)).append(optional_operand(op, 2, "mask")).append(colon);
      break;
    case Opcode::scatter:
      out_.append(" ").append(operand(0)).append(",").append(place(op, 1)).append(" at ").append(operand(2));
      out_.append(optional_operand(op, 3, "mask")).append(" : ").append(type(op.operands[0]));
      break;
    case Opcode::prefetch:
      out_.append(place(op, 0)).append(" locality ").append(std::to_string(op.integer)).append(op.flag ? " write" : "");
      break;
    case Opcode::for_loop: {
      std::span<const Value> args = op.regions[0].args, operands = op.operands;
      out_.append(" ").append(value(args[0])).append(" = ").append(operand(0)).append(" to ").append(operand(1));
      if (op.integer != 1) out_.append(" step ").append(std::to_string(op.integer));
      out_.append(op.flag ? " certain" : "").append(iters(args.subspan(1), operands.subspan(2)));
      print_block(op.regions[0], depth);
      break;
    }
    case Opcode::if_else:
      out_.append(" ").append(operand(0));
      if (!op.results.empty()) out_.append(" -> ").append(types(op.results));
      print_block(op.regions[0], depth);
      if (op.regions[1].ops.empty()) break;
      out_ += " else";
      print_block(op.regions[1], depth);
      break;
    case Opcode::while_loop: {
      out_ += iters(op.regions[0].args, op.operands);
      print_block(op.regions[0], depth);
      out_ += " do (";
      const std::vector<Value> &args = op.regions[1].args;
      for (size_t i = 0; i < args.size(); ++i)
        out_.append(i == 0 ? "" : ", ").append(value(args[i])).append(": ").append(type(args[i]));
      out_ += ")";
      print_block(op.regions[1], depth);
      break;
    }
    case Opcode::parallel:
      out_.append(" ")
          .append(values(op.regions[0].args))
          .append(" of ")
          .append(op.operands.empty() ? std::to_string(op.integer) : operand(0));
      print_block(op.regions[0], depth);
      break;
    case Opcode::call:
      out_.append(" ").append(sigil_name('@', op.symbol)).append("(").append(values(op.operands)).append(")");
      if (!op.results.empty()) out_.append(" -> ").append(types(op.results));
      break;
    case Opcode::yield:
    case Opcode::ret:
      out_.append(op.operands.empty() ? "" : " ").append(values(op.operands));
      break;
    case Opcode::check:
      out_.append(" ").append(operand(0)).append(" status ").append(std::to_string(op.integer));
      break;
    default:
      CAMEO_UNREACHABLE("no text form for " + std::string(name(op.code)));
    }
  }

  const Function &function_;
  std::vector<uint32_t> order_;    // of definition, by value id
  std::vector<std::string> names_; // as printed, by value id
  std::map<std::string, size_t> bearers_;
  uint32_t next_order_ = 0, next_number_ = 0;
  std::string out_;
};

// Structural comparison; values correspond by where they are defined.
class Comparison {
public:
  Comparison(const Function &a, const Function &b) : a_(a), b_(b), map_(a.values.size()) {}

  bool run() {
    if (a_.name != b_.name || a_.results != b_.results || a_.declaration != b_.declaration ||
        a_.exported != b_.exported || a_.noinline != b_.noinline || a_.origin != b_.origin ||
        a_.params.size() != b_.params.size())
      return false;
    for (size_t i = 0; i < a_.params.size(); ++i) {
      const Param &p = a_.params[i], &q = b_.params[i];
      if (!define(p.value, q.value) || p.readonly != q.readonly || p.noalias != q.noalias || p.align != q.align ||
          p.size != q.size)
        return false;
    }
    return same_block(a_.body, b_.body);
  }

private:
  bool define(Value a, Value b) {
    if (a.id >= a_.values.size() || b.id >= b_.values.size()) return false;
    map_[a.id] = b;
    return a_.values[a.id].type == b_.values[b.id].type && a_.values[a.id].name == b_.values[b.id].name;
  }
  bool define(const std::vector<Value> &a, const std::vector<Value> &b) {
    bool good = a.size() == b.size();
    for (size_t i = 0; good && i < a.size(); ++i) good = define(a[i], b[i]);
    return good;
  }
  Value mapped(Value a) const { return a.id < map_.size() ? map_[a.id] : Value{}; }

  bool same_address(const Affine &a, const Affine &b) const {
    Affine image(a.constant);
    for (const auto &[v, coefficient] : a.terms) image.terms.emplace_back(mapped(v), coefficient);
    std::sort(image.terms.begin(), image.terms.end());
    return image == b;
  }

  bool same_block(const Block &a, const Block &b) {
    if (!define(a.args, b.args) || a.ops.size() != b.ops.size()) return false;
    for (size_t i = 0; i < a.ops.size(); ++i)
      if (!same_op(a.ops[i], b.ops[i])) return false;
    return true;
  }

  bool same_op(const Op &a, const Op &b) {
    if (a.code != b.code || a.integer != b.integer ||
        std::bit_cast<uint64_t>(a.real) != std::bit_cast<uint64_t>(b.real) || a.align != b.align || a.flag != b.flag ||
        a.symbol != b.symbol || a.mask != b.mask || a.operands.size() != b.operands.size() ||
        a.regions.size() != b.regions.size())
      return false;
    for (size_t i = 0; i < a.operands.size(); ++i)
      if (mapped(a.operands[i]) != b.operands[i]) return false;
    if (!same_address(a.address, b.address)) return false;
    for (size_t i = 0; i < a.regions.size(); ++i)
      if (!same_block(a.regions[i], b.regions[i])) return false;
    return define(a.results, b.results);
  }

  const Function &a_, &b_;
  std::vector<Value> map_;
};

} // namespace

std::string print(const Function &function) { return Printer(function).run(); }

std::string print(const Module &module) {
  std::string out;
  for (const Function &function : module.functions) out.append(out.empty() ? "" : "\n").append(print(function));
  return out;
}

bool same(const Module &a, const Module &b) {
  return std::equal(a.functions.begin(), a.functions.end(), b.functions.begin(), b.functions.end(),
                    [](const Function &x, const Function &y) { return Comparison(x, y).run(); });
}

} // namespace cameo::loop
