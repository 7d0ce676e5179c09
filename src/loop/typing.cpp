// One function per kind of rule; each returns what is wrong in words, or an empty string.
#include "typing.h"

#include "cameo/loop/target_instructions.h"

#include <algorithm>

namespace cameo::loop {

std::string type_error(const Type &type) {
  if (type.lanes < 1 || type.lanes > kMaxLanes)
    return "lane count " + std::to_string(type.lanes) + " is not in 1.." + std::to_string(kMaxLanes);
  if (type.buffer && type.lanes != 1) return "a buffer has scalar elements";
  if (type.buffer && type.scalar == Scalar::i1) return "a buffer cannot hold i1";
  return {};
}

namespace {

constexpr int64_t kMaxAllocaBytes = int64_t{1} << 40;

struct Typing {
  const Function &function;
  const Op &op;
  const Function *callee;

  const Type &operand(size_t i) const { return function.type(op.operands[i]); }
  const Type &result() const { return function.type(op.results[0]); }
  static std::string quoted(const Type &type) { return std::string("'").append(to_string(type)).append("'"); }

  std::string counts(size_t operands, size_t results) const { return counts(operands, operands, results); }
  std::string counts(size_t least, size_t most, size_t results) const {
    if (op.operands.size() < least || op.operands.size() > most)
      return "takes " + std::to_string(least) + (least == most ? "" : " to " + std::to_string(most)) +
             " operands, has " + std::to_string(op.operands.size());
    if (op.results.size() != results)
      return "has " + std::to_string(op.results.size()) + " results instead of " + std::to_string(results);
    return {};
  }

  // Element kinds that an element-wise opcode computes on.
  std::string element_kind(Scalar s) const {
    bool good = false;
    switch (op.code) {
    case Opcode::neg:
    case Opcode::abs:
    case Opcode::add:
    case Opcode::sub:
    case Opcode::mul:
    case Opcode::div:
    case Opcode::rem:
    case Opcode::min:
    case Opcode::max:
    case Opcode::lt:
    case Opcode::le:
    case Opcode::gt:
    case Opcode::ge:
      good = is_arithmetic_float(s) || is_arithmetic_int(s);
      break;
    case Opcode::udiv:
    case Opcode::urem:
    case Opcode::umin:
    case Opcode::umax:
    case Opcode::shl:
    case Opcode::shr:
    case Opcode::sar:
    case Opcode::popcount:
    case Opcode::clz:
    case Opcode::ult:
    case Opcode::ule:
    case Opcode::ugt:
    case Opcode::uge:
      good = is_arithmetic_int(s);
      break;
    case Opcode::bit_and:
    case Opcode::bit_or:
    case Opcode::bit_xor:
    case Opcode::bit_not:
      good = is_int(s);
      break;
    case Opcode::eq:
    case Opcode::ne:
      good = is_int(s) || is_arithmetic_float(s);
      break;
    default:
      good = is_arithmetic_float(s);
      break; // fma, muladd, roundings, mathematical functions
    }
    return good ? "" : "is not defined on " + std::string(name(s));
  }

  std::string element_wise(size_t arity) const {
    if (auto error = counts(arity, 1); !error.empty()) return error;
    const Type &type = operand(0);
    if (type.buffer) return "does not take a buffer";
    for (size_t i = 1; i < arity; ++i)
      if (operand(i) != type) return "operands differ in type: " + quoted(type) + " and " + quoted(operand(i));
    if (auto error = element_kind(type.scalar); !error.empty()) return error;
    Type expected = op_class(op.code) == OpClass::compare ? type.with_scalar(Scalar::i1) : type;
    if (result() != expected) return "result is " + quoted(result()) + " instead of " + quoted(expected);
    return {};
  }

  std::string cast() const {
    if (auto error = counts(1, 1); !error.empty()) return error;
    const Type &from = operand(0), &to = result();
    std::string pair = quoted(from) + " to " + quoted(to);
    if (from.buffer || to.buffer) return "does not convert buffers: " + pair;
    if (op.code == Opcode::bitcast)
      return int64_t{from.lanes} * bits(from.scalar) == int64_t{to.lanes} * bits(to.scalar)
                 ? ""
                 : "changes the number of bits: " + pair;
    if (from.lanes != to.lanes) return "changes the lanes: " + pair;
    bool wider = bits(to.scalar) > bits(from.scalar), narrower = bits(to.scalar) < bits(from.scalar);
    bool ints = is_int(from.scalar) && is_int(to.scalar), floats = is_float(from.scalar) && is_float(to.scalar);
    bool good = false;
    switch (op.code) {
    case Opcode::sext:
    case Opcode::zext:
      good = ints && wider;
      break;
    case Opcode::trunc:
      good = ints && narrower;
      break;
    case Opcode::sitofp:
    case Opcode::uitofp:
      good = is_int(from.scalar) && is_arithmetic_float(to.scalar);
      break;
    case Opcode::fptosi:
    case Opcode::fptoui:
      good = is_arithmetic_float(from.scalar) && is_arithmetic_int(to.scalar);
      break;
    case Opcode::fpext:
      good = floats && wider;
      break;
    case Opcode::fptrunc:
      good = floats && narrower;
      break;
    default:
      CAMEO_UNREACHABLE("not a cast: " + std::string(name(op.code)));
    }
    return good ? "" : "cannot convert " + pair;
  }

  // Kinds that vectors other than memory may be made of: f16 and bf16 are for memory and conversions only.
  std::string computable(const Type &type) const {
    if (type.buffer) return "does not take a buffer";
    if (is_float(type.scalar) && !is_arithmetic_float(type.scalar))
      return "is not defined on " + std::string(name(type.scalar));
    return {};
  }

  std::string vectors() const {
    switch (op.code) {
    case Opcode::constant: {
      if (auto error = counts(0, 1); !error.empty()) return error;
      if (auto error = computable(result()); !error.empty()) return error;
      int width = bits(result().scalar);
      if (is_int(result().scalar) && width < 64 &&
          (op.integer < -(int64_t{1} << (width - 1)) || op.integer >= int64_t{1} << (width - 1)))
        return "value " + std::to_string(op.integer) + " is not a sign-extended " + std::string(name(result().scalar));
      if (result().scalar == Scalar::f32 && op.real == op.real &&
          static_cast<double>(static_cast<float>(op.real)) != op.real)
        return "value is not an f32";
      return {};
    }
    case Opcode::broadcast:
      if (auto error = counts(1, 1); !error.empty()) return error;
      if (auto error = computable(operand(0)); !error.empty()) return error;
      if (operand(0).lanes != 1 || !result().is_vector() || result().scalar != operand(0).scalar)
        return "cannot broadcast " + quoted(operand(0)) + " to " + quoted(result());
      return {};
    case Opcode::iota:
      if (auto error = counts(0, 1); !error.empty()) return error;
      return result().is_vector() && is_arithmetic_int(result().scalar) ? "" : "result must be a vector of integers";
    case Opcode::extract:
      if (auto error = counts(1, 1); !error.empty()) return error;
      if (auto error = computable(operand(0)); !error.empty()) return error;
      if (!operand(0).is_vector() || result() != operand(0).with_lanes(1))
        return "cannot extract " + quoted(result()) + " from " + quoted(operand(0));
      return op.integer >= 0 && op.integer < operand(0).lanes
                 ? ""
                 : "lane " + std::to_string(op.integer) + " of " + quoted(operand(0));
    case Opcode::shuffle: {
      if (auto error = counts(2, 1); !error.empty()) return error;
      if (auto error = computable(operand(0)); !error.empty()) return error;
      if (!operand(0).is_vector() || operand(1) != operand(0)) return "operands must be vectors of one type";
      if (!result().is_vector() || result().scalar != operand(0).scalar ||
          static_cast<size_t>(result().lanes) != op.mask.size())
        return "result " + quoted(result()) + " does not fit a mask of " + std::to_string(op.mask.size()) +
               " lanes of " + quoted(operand(0));
      for (int32_t lane : op.mask)
        if (lane < -1 || lane >= 2 * operand(0).lanes) return "mask lane " + std::to_string(lane) + " is out of range";
      return {};
    }
    case Opcode::reduce_add:
    case Opcode::reduce_min:
    case Opcode::reduce_max:
      if (auto error = counts(1, 1); !error.empty()) return error;
      if (auto error = computable(operand(0)); !error.empty()) return error;
      if (!operand(0).is_vector() || !is_power_of_two(operand(0).lanes) || operand(0).scalar == Scalar::i1)
        return "operand must be a vector with a power of two of lanes, is " + quoted(operand(0));
      return result() == operand(0).with_lanes(1) ? "" : "result is " + quoted(result());
    case Opcode::select: {
      if (auto error = counts(3, 1); !error.empty()) return error;
      const Type &condition = operand(0), &type = operand(1);
      if (auto error = computable(type); !error.empty()) return error;
      if (operand(2) != type || result() != type)
        return "operands and result differ in type: " + quoted(type) + ", " + quoted(operand(2)) + ", " +
               quoted(result());
      if (condition != kBool && condition != type.with_scalar(Scalar::i1))
        return "condition " + quoted(condition) + " does not fit " + quoted(type);
      return {};
    }
    default: {
      if (op.results.size() != 1) return "has " + std::to_string(op.results.size()) + " results instead of 1";
      const TargetInstruction *instruction = find_target_instruction(op.symbol);
      if (!instruction) return "unknown target instruction '" + escape_name(op.symbol) + "'";
      std::vector<Type> types;
      for (Value v : op.operands) types.push_back(function.type(v));
      return instruction->type_error(result(), types);
    }
    }
  }

  std::string buffer_operand(size_t i, const Type *element) const {
    if (!operand(i).buffer) return "operand " + std::to_string(i) + " must be a buffer, is " + quoted(operand(i));
    if (element && (element->buffer || element->scalar != operand(i).scalar))
      return quoted(*element) + " does not fit elements of " + quoted(operand(i));
    return {};
  }

  std::string active_operand(size_t i) const {
    return op.operands.size() <= i || operand(i) == kIndex
               ? ""
               : "the count of active lanes must be i64, is " + quoted(operand(i));
  }

  // gather and scatter: `first` is the operand index of the lane indices, an optional mask follows.
  std::string indexed(const Type &data, size_t first) const {
    if (!data.is_vector()) return "moves a vector, not " + quoted(data);
    if (operand(first) != data.with_scalar(Scalar::i64) && operand(first) != data.with_scalar(Scalar::i32))
      return "indices " + quoted(operand(first)) + " do not fit " + quoted(data);
    if (op.operands.size() > first + 1 && operand(first + 1) != data.with_scalar(Scalar::i1))
      return "mask " + quoted(operand(first + 1)) + " does not fit " + quoted(data);
    return {};
  }

  std::string memory() const {
    switch (op.code) {
    case Opcode::index:
      if (auto error = counts(0, 1); !error.empty()) return error;
      return result() == kIndex ? "" : "result must be i64";
    case Opcode::alloca: {
      if (auto error = counts(0, 1); !error.empty()) return error;
      if (!result().buffer) return "result must be a buffer";
      int64_t most = kMaxAllocaBytes / ((bits(result().scalar) + 7) / 8);
      if (op.integer < 1 || op.integer > most)
        return "size " + std::to_string(op.integer) + " is not in 1.." + std::to_string(most);
      return {};
    }
    case Opcode::view:
      if (auto error = counts(1, 1); !error.empty()) return error;
      if (!result().buffer) return "result must be a buffer";
      return buffer_operand(0, nullptr);
    case Opcode::load:
      if (auto error = counts(1, 2, 1); !error.empty()) return error;
      if (auto error = buffer_operand(0, &result()); !error.empty()) return error;
      return active_operand(1);
    case Opcode::store:
      if (auto error = counts(2, 3, 0); !error.empty()) return error;
      if (auto error = buffer_operand(1, &operand(0)); !error.empty()) return error;
      return active_operand(2);
    case Opcode::gather:
      if (auto error = counts(2, 3, 1); !error.empty()) return error;
      if (auto error = buffer_operand(0, &result()); !error.empty()) return error;
      return indexed(result(), 1);
    case Opcode::scatter:
      if (auto error = counts(3, 4, 0); !error.empty()) return error;
      if (auto error = buffer_operand(1, &operand(0)); !error.empty()) return error;
      return indexed(operand(0), 2);
    default: // prefetch
      if (auto error = counts(1, 0); !error.empty()) return error;
      if (op.integer < 1 || op.integer > 3) return "locality " + std::to_string(op.integer) + " is not in 1..3";
      return buffer_operand(0, nullptr);
    }
  }

  // Values `from` of op's operands on, against the types of `args`.
  std::string carried(const std::vector<Value> &args, size_t from, const char *what) const {
    for (size_t i = 0; i < args.size(); ++i)
      if (function.type(args[i]) != operand(from + i))
        return std::string(what) + " " + std::to_string(i) + " is " + quoted(function.type(args[i])) +
               ", its initial value " + quoted(operand(from + i));
    return {};
  }

  std::string control() const {
    constexpr size_t kAny = SIZE_MAX;
    switch (op.code) {
    case Opcode::for_loop: {
      if (op.operands.size() < 2 || operand(0) != kIndex || operand(1) != kIndex) return "bounds must be i64";
      if (op.integer <= 0) return "step " + std::to_string(op.integer) + " is not positive";
      size_t iters = op.operands.size() - 2;
      if (auto error = counts(2, kAny, iters); !error.empty()) return error;
      const std::vector<Value> &args = op.regions[0].args;
      if (args.size() != iters + 1)
        return "body has " + std::to_string(args.size()) + " arguments instead of " + std::to_string(iters + 1);
      if (function.type(args[0]) != kIndex) return "induction variable must be i64";
      if (auto error = carried({args.begin() + 1, args.end()}, 2, "iteration argument"); !error.empty()) return error;
      return carried(op.results, 2, "result");
    }
    case Opcode::if_else:
      if (auto error = counts(1, op.results.size()); !error.empty()) return error;
      if (operand(0) != kBool) return "condition must be i1, is " + quoted(operand(0));
      return op.regions[0].args.empty() && op.regions[1].args.empty() ? "" : "branches take no arguments";
    case Opcode::while_loop: {
      const std::vector<Value> &args = op.regions[0].args;
      if (args.size() != op.operands.size())
        return "condition block has " + std::to_string(args.size()) + " arguments instead of " +
               std::to_string(op.operands.size());
      if (op.regions[1].args.size() != op.results.size())
        return "body has " + std::to_string(op.regions[1].args.size()) + " arguments and the loop " +
               std::to_string(op.results.size()) + " results";
      for (size_t i = 0; i < op.results.size(); ++i)
        if (function.type(op.regions[1].args[i]) != function.type(op.results[i]))
          return "result " + std::to_string(i) + " is " + quoted(function.type(op.results[i])) +
                 ", the body's argument " + quoted(function.type(op.regions[1].args[i]));
      return carried(args, 0, "iteration argument");
    }
    case Opcode::parallel:
      if (auto error = counts(0, 1, 0); !error.empty()) return error;
      if (op.operands.size() == 1 && operand(0) != kIndex)
        return "the number of tasks must be i64, is " + quoted(operand(0));
      if (op.operands.empty() && op.integer < 0) return "the number of tasks is negative";
      if (op.regions[0].args.size() != 1 || function.type(op.regions[0].args[0]) != kIndex)
        return "body takes one i64, the task";
      return {};
    case Opcode::check:
      if (auto error = counts(1, 0); !error.empty()) return error;
      if (operand(0) != kBool) return "condition must be i1, is " + quoted(operand(0));
      return op.integer >= 1 && op.integer <= INT32_MAX
                 ? ""
                 : "status " + std::to_string(op.integer) + " is not in 1..2^31-1";
    case Opcode::yield:
    case Opcode::ret:
      return counts(0, kAny, 0);
    default:
      return call();
    }
  }

  std::string call() const {
    if (!callee) return {};
    std::string who = "@" + escape_name(callee->name);
    if (callee->params.size() != op.operands.size())
      return who + " takes " + std::to_string(callee->params.size()) + " arguments, " +
             std::to_string(op.operands.size()) + " given";
    for (size_t i = 0; i < op.operands.size(); ++i)
      if (callee->type(callee->params[i].value) != operand(i))
        return "argument " + std::to_string(i) + " of " + who + " is " + quoted(callee->type(callee->params[i].value)) +
               ", given " + quoted(operand(i));
    if (callee->results.size() != op.results.size())
      return who + " has " + std::to_string(callee->results.size()) + " results, " + std::to_string(op.results.size()) +
             " taken";
    for (size_t i = 0; i < op.results.size(); ++i)
      if (function.type(op.results[i]) != callee->results[i])
        return "result " + std::to_string(i) + " of " + who + " is " + quoted(callee->results[i]);
    return {};
  }

  // Attributes that only some opcodes use, ids in range, and then the rule of the opcode.
  std::string run() const {
    auto in_range = [&](Value v) { return v.id < function.values.size(); };
    bool ids = std::all_of(op.operands.begin(), op.operands.end(), in_range) &&
               std::all_of(op.results.begin(), op.results.end(), in_range);
    for (const Block &block : op.regions) ids = ids && std::all_of(block.args.begin(), block.args.end(), in_range);
    for (const auto &term : op.address.terms) ids = ids && in_range(term.first);
    if (!ids) return "refers to a value that the function does not have";
    for (Value v : op.results)
      if (auto error = type_error(function.type(v)); !error.empty()) return error;
    for (const Block &block : op.regions)
      for (Value v : block.args)
        if (auto error = type_error(function.type(v)); !error.empty()) return error;

    bool addressed = op.code >= Opcode::index && op.code <= Opcode::prefetch && op.code != Opcode::alloca;
    if (!addressed && op.address != Affine()) return "has no address";
    for (size_t i = 0; i < op.address.terms.size(); ++i) {
      const auto &[value, coefficient] = op.address.terms[i];
      if (function.type(value) != kIndex)
        return "address term is " + quoted(function.type(value)) + " instead of 'i64'";
      if (coefficient == 0) return "address term with coefficient 0";
      if (i > 0 && !(op.address.terms[i - 1].first < value)) return "address terms are not sorted by value";
    }
    bool aligned = op.code == Opcode::alloca || op.code == Opcode::load || op.code == Opcode::store;
    if (op.align != 0 && (!aligned || !is_power_of_two(op.align))) return "alignment " + std::to_string(op.align);
    if (op.code != Opcode::shuffle && !op.mask.empty()) return "has no lane mask";
    size_t regions = op.code == Opcode::if_else || op.code == Opcode::while_loop  ? 2
                     : op.code == Opcode::for_loop || op.code == Opcode::parallel ? 1
                                                                                  : 0;
    if (op.regions.size() != regions)
      return "has " + std::to_string(op.regions.size()) + " regions instead of " + std::to_string(regions);

    switch (op_class(op.code)) {
    case OpClass::unary:
      return element_wise(1);
    case OpClass::binary:
      return element_wise(2);
    case OpClass::ternary:
      return element_wise(3);
    case OpClass::compare:
      return element_wise(2);
    case OpClass::cast:
      return cast();
    case OpClass::other:
      break;
    }
    if (op.code >= Opcode::for_loop) return control();
    return addressed || op.code == Opcode::alloca ? memory() : vectors();
  }
};

} // namespace

std::string type_error(const Function &function, const Op &op, const Function *callee) {
  return Typing{function, op, callee}.run();
}

} // namespace cameo::loop
