// The builder of explicit Loop IR. A block is built in a local variable and moved into its operation once it is
// complete, so that growing operation lists never invalidate the insertion stack.
#include "cameo/loop/builder.h"

#include "typing.h"

#include <algorithm>
#include <bit>

namespace cameo::loop {

namespace {

Op make(Opcode code, std::vector<Value> operands = {}) {
  Op op{};
  op.code = code;
  op.operands = std::move(operands);
  return op;
}

int64_t sign_extend(int64_t value, int width) {
  return static_cast<int64_t>(static_cast<uint64_t>(value) << (64 - width)) >> (64 - width);
}

} // namespace

Builder::Builder(Module &module, std::string name) : module_(module) {
  function_.name = std::move(name);
  stack_.push_back({&function_.body, {}});
}

Value Builder::buffer_param(std::string name, Scalar element, bool readonly, bool noalias, int64_t size,
                            int32_t align) {
  CAMEO_CHECK(element != Scalar::i1, "a buffer cannot hold i1");
  CAMEO_CHECK(align == 0 || is_power_of_two(align), "alignment " + std::to_string(align));
  Value value = function_.new_value(buffer_of(element), std::move(name));
  function_.params.push_back({value, readonly, noalias, align, size});
  return value;
}

Value Builder::scalar_param(std::string name, Type type) {
  CAMEO_CHECK(!type.buffer && type_error(type).empty(), "parameter of type " + to_string(type));
  Value value = function_.new_value(type, std::move(name));
  function_.params.push_back({value});
  return value;
}

// Every operation comes through here: the one place that checks typing.
void Builder::append(Op op, Scope &scope) {
  std::string error = type_error(function_, op, op.code == Opcode::call ? callee(op.symbol) : nullptr);
  CAMEO_CHECK(error.empty(), "@" + function_.name + ": " + std::string(name(op.code)) + " " + error);
  scope.block->ops.push_back(std::move(op));
}

void Builder::emit(Op op) { append(std::move(op), stack_.back()); }

Value Builder::emit(Op op, Type type, std::string name) {
  Value result = function_.new_value(type, std::move(name));
  op.results = {result};
  emit(std::move(op));
  return result;
}

const Function *Builder::callee(const std::string &name) {
  const auto &functions = module_.functions;
  if (auto it = callees_.find(name);
      it != callees_.end() && it->second < functions.size() && functions[it->second].name == name)
    return &functions[it->second];
  const Function *found = module_.find(name);
  if (found) callees_[name] = static_cast<size_t>(found - functions.data());
  return found;
}

// ---- values

Value Builder::constant_value(Op op, Type type, uint64_t pattern) {
  std::tuple key{type.scalar, type.lanes, pattern};
  for (const Scope &scope : stack_)
    if (auto it = scope.constants.find(key); it != scope.constants.end()) return it->second;
  int64_t integer = op.integer;
  Value value = emit(std::move(op), type);
  stack_.back().constants.emplace(key, value);
  if (is_int(type.scalar) && type.lanes == 1) known_.emplace(value.id, integer);
  return value;
}

Value Builder::constant(Type type, double value) {
  CAMEO_CHECK(is_arithmetic_float(type.scalar), "float constant of type " + to_string(type));
  Op op = make(Opcode::constant);
  op.real = type.scalar == Scalar::f32 ? static_cast<double>(static_cast<float>(value)) : value;
  return constant_value(std::move(op), type, std::bit_cast<uint64_t>(op.real));
}

Value Builder::constant_int(Type type, int64_t value) {
  CAMEO_CHECK(is_int(type.scalar), "integer constant of type " + to_string(type));
  Op op = make(Opcode::constant);
  op.integer = sign_extend(value, bits(type.scalar));
  return constant_value(std::move(op), type, static_cast<uint64_t>(op.integer));
}

void Builder::at_depth(size_t depth, const std::function<void()> &body) {
  CAMEO_CHECK(depth >= 1 && depth <= stack_.size(), "no enclosing block of depth " + std::to_string(depth));
  std::vector<Scope> inner(std::make_move_iterator(stack_.begin() + static_cast<std::ptrdiff_t>(depth)),
                           std::make_move_iterator(stack_.end()));
  stack_.resize(depth);
  body();
  CAMEO_CHECK(stack_.size() == depth, "unbalanced insertion points");
  for (Scope &scope : inner) stack_.push_back(std::move(scope));
}

std::optional<int64_t> Builder::known_constant(Value v) const {
  auto it = known_.find(v.id);
  return it == known_.end() ? std::nullopt : std::optional(it->second);
}

Affine Builder::simplify(const Affine &address) const {
  Affine out(address.constant);
  for (const auto &[value, coefficient] : address.terms)
    out += known_.contains(value.id) ? Affine(known_.at(value.id)) * coefficient : Affine(value, coefficient);
  return out;
}

Value Builder::index(const Affine &affine) {
  Op op = make(Opcode::index);
  op.address = simplify(affine);
  if (op.address.is_constant()) return index_constant(op.address.constant);
  if (op.address.terms.size() == 1 && op.address.terms[0].second == 1 && op.address.constant == 0) {
    Value value = op.address.terms[0].first;
    CAMEO_CHECK(type(value) == kIndex, "index of a value of type " + to_string(type(value)));
    return value;
  }
  return emit(std::move(op), kIndex);
}

// The i64 (or, for comparisons, i1) result of an operation on two known i64 values.
std::optional<int64_t> Builder::fold(Opcode code, Value a, Value b) const {
  auto ka = known_constant(a), kb = known_constant(b);
  if (!ka || !kb || type(a) != kIndex || type(b) != kIndex) return std::nullopt;
  int64_t x = *ka, y = *kb;
  auto ux = static_cast<uint64_t>(x), uy = static_cast<uint64_t>(y);
  switch (code) {
  case Opcode::add:
    return static_cast<int64_t>(ux + uy);
  case Opcode::sub:
    return static_cast<int64_t>(ux - uy);
  case Opcode::mul:
    return static_cast<int64_t>(ux * uy);
  case Opcode::div:
    return y == 0 ? 0 : y == -1 ? static_cast<int64_t>(0 - ux) : x / y;
  case Opcode::rem:
    return y == 0 || y == -1 ? 0 : x % y;
  case Opcode::min:
    return std::min(x, y);
  case Opcode::max:
    return std::max(x, y);
  case Opcode::eq:
    return -int64_t{x == y};
  case Opcode::ne:
    return -int64_t{x != y};
  case Opcode::lt:
    return -int64_t{x < y};
  case Opcode::le:
    return -int64_t{x <= y};
  case Opcode::gt:
    return -int64_t{x > y};
  case Opcode::ge:
    return -int64_t{x >= y};
  case Opcode::ult:
    return -int64_t{ux < uy};
  case Opcode::ule:
    return -int64_t{ux <= uy};
  case Opcode::ugt:
    return -int64_t{ux > uy};
  case Opcode::uge:
    return -int64_t{ux >= uy};
  default:
    return std::nullopt;
  }
}

Value Builder::unary(Opcode code, Value a) {
  CAMEO_CHECK(op_class(code) == OpClass::unary, "not a unary operation: " + std::string(name(code)));
  return emit(make(code, {a}), type(a));
}

Value Builder::binary(Opcode code, Value a, Value b) {
  CAMEO_CHECK(op_class(code) == OpClass::binary, "not a binary operation: " + std::string(name(code)));
  if (auto folded = fold(code, a, b)) return index_constant(*folded);
  if (type(a) == kIndex && type(b) == kIndex) {
    auto ka = known_constant(a), kb = known_constant(b);
    if (code == Opcode::add && ka == 0) return b; // 0 + x = x
    if (code == Opcode::mul && ka == 1) return b; // 1 * x = x
    if (code == Opcode::mul && (ka == 0 || kb == 0)) return index_constant(0);
    if ((code == Opcode::add || code == Opcode::sub) && kb == 0) return a; // x + 0 = x - 0 = x
    if ((code == Opcode::mul || code == Opcode::div) && kb == 1) return a; // x * 1 = x / 1 = x
  }
  return emit(make(code, {a, b}), type(a));
}

Value Builder::ternary(Opcode code, Value a, Value b, Value c) {
  CAMEO_CHECK(op_class(code) == OpClass::ternary, "not a ternary operation: " + std::string(name(code)));
  return emit(make(code, {a, b, c}), type(a));
}

Value Builder::compare(Opcode code, Value a, Value b) {
  CAMEO_CHECK(op_class(code) == OpClass::compare, "not a comparison: " + std::string(name(code)));
  if (auto folded = fold(code, a, b)) return constant_int(kBool, *folded);
  return emit(make(code, {a, b}), type(a).with_scalar(Scalar::i1));
}

Value Builder::select(Value condition, Value a, Value b) {
  if (auto known = known_constant(condition); known && type(condition) == kBool && type(a) == type(b))
    return *known ? a : b;
  return emit(make(Opcode::select, {condition, a, b}), type(a));
}

Value Builder::cast(Opcode code, Value a, Scalar to) {
  CAMEO_CHECK(op_class(code) == OpClass::cast, "not a cast: " + std::string(name(code)));
  return emit(make(code, {a}), type(a).with_scalar(to));
}

Value Builder::bitcast(Value a, Type to) { return type(a) == to ? a : emit(make(Opcode::bitcast, {a}), to); }

Value Builder::broadcast(Value a, int32_t lanes) {
  return lanes == 1 ? a : emit(make(Opcode::broadcast, {a}), type(a).with_lanes(lanes));
}

Value Builder::iota(Type type) { return type.lanes == 1 ? constant_int(type, 0) : emit(make(Opcode::iota), type); }

Value Builder::extract(Value a, int64_t lane) {
  if (type(a).lanes == 1 && lane == 0) return a;
  Op op = make(Opcode::extract, {a});
  op.integer = lane;
  return emit(std::move(op), type(a).with_lanes(1));
}

Value Builder::shuffle(Value a, Value b, std::vector<int32_t> mask) {
  Op op = make(Opcode::shuffle, {a, b});
  op.mask = std::move(mask);
  auto lanes = static_cast<int32_t>(op.mask.size());
  return emit(std::move(op), type(a).with_lanes(lanes));
}

Value Builder::reduce(Opcode code, Value a) {
  CAMEO_CHECK(code == Opcode::reduce_add || code == Opcode::reduce_min || code == Opcode::reduce_max,
              "not a reduction: " + std::string(name(code)));
  return type(a).lanes == 1 ? a : emit(make(code, {a}), type(a).with_lanes(1));
}

Value Builder::target(std::string instruction, Type result, std::vector<Value> operands) {
  Op op = make(Opcode::target, std::move(operands));
  op.symbol = std::move(instruction);
  return emit(std::move(op), result);
}

// ---- memory

Value Builder::alloca_buffer(Scalar element, int64_t count, int32_t align, std::string name) {
  CAMEO_CHECK(parallel_depth_ == 0, "@" + function_.name + ": alloca inside parallel would be shared by the tasks");
  Op op = make(Opcode::alloca);
  op.integer = count;
  op.align = align;
  Value result = function_.new_value(buffer_of(element), std::move(name));
  op.results = {result};
  append(std::move(op), stack_.front());
  return result;
}

Value Builder::view(Value buffer, const Affine &address, std::optional<Scalar> element) {
  Op op = make(Opcode::view, {buffer});
  op.address = simplify(address);
  Type result = element ? buffer_of(*element) : type(buffer);
  if (op.address == Affine() && result == type(buffer)) return buffer;
  return emit(std::move(op), result);
}

Value Builder::load(Value buffer, const Affine &address, int32_t lanes, int32_t align, Value active) {
  Op op = make(Opcode::load, {buffer});
  if (active.valid()) op.operands.push_back(active);
  op.address = simplify(address);
  op.align = align;
  return emit(std::move(op), type(buffer).with_lanes(lanes));
}

void Builder::store(Value value, Value buffer, const Affine &address, int32_t align, Value active) {
  Op op = make(Opcode::store, {value, buffer});
  if (active.valid()) op.operands.push_back(active);
  op.address = simplify(address);
  op.align = align;
  emit(std::move(op));
}

namespace {
// One lane of an index vector as an i64, and of a mask as a count of active lanes.
Value scalar_index(Builder &b, Value index) {
  return b.type(index) == kIndex ? index : b.cast(Opcode::sext, index, Scalar::i64);
}
Value scalar_active(Builder &b, Value mask) { return mask.valid() ? b.cast(Opcode::zext, mask, Scalar::i64) : mask; }
} // namespace

Value Builder::gather(Value buffer, const Affine &address, Value indices, Value mask) {
  if (type(indices).lanes == 1)
    return load(buffer, address + scalar_index(*this, indices), 1, 0, scalar_active(*this, mask));
  Op op = make(Opcode::gather, {buffer, indices});
  if (mask.valid()) op.operands.push_back(mask);
  op.address = simplify(address);
  return emit(std::move(op), type(buffer).with_lanes(type(indices).lanes));
}

void Builder::scatter(Value value, Value buffer, const Affine &address, Value indices, Value mask) {
  if (type(indices).lanes == 1)
    return store(value, buffer, address + scalar_index(*this, indices), 0, scalar_active(*this, mask));
  Op op = make(Opcode::scatter, {value, buffer, indices});
  if (mask.valid()) op.operands.push_back(mask);
  op.address = simplify(address);
  emit(std::move(op));
}

void Builder::prefetch(Value buffer, const Affine &address, int locality, bool for_write) {
  Op op = make(Opcode::prefetch, {buffer});
  op.address = simplify(address);
  op.integer = locality;
  op.flag = for_write;
  emit(std::move(op));
}

// ---- control

Block Builder::run(const std::vector<Type> &arg_types, const std::vector<std::string> &arg_names,
                   const RegionBody &body) {
  Block block;
  for (size_t i = 0; i < arg_types.size(); ++i)
    block.args.push_back(function_.new_value(arg_types[i], i < arg_names.size() ? arg_names[i] : std::string()));
  std::vector<Value> args = block.args;
  stack_.push_back({&block, {}});
  std::vector<Value> yielded = body(args);
  emit(make(Opcode::yield, std::move(yielded)));
  stack_.pop_back();
  return block;
}

namespace {
std::vector<Type> types_of(const Function &function, std::span<const Value> values) {
  std::vector<Type> types;
  for (Value v : values) types.push_back(function.type(v));
  return types;
}
} // namespace

void Builder::check_types(const std::vector<Value> &values, const std::vector<Type> &types, const char *what) const {
  CAMEO_CHECK(types_of(function_, values) == types, "@" + function_.name + ": types of " + what + " do not match");
}

std::vector<Value> Builder::for_loop(Value lower, Value upper, int64_t step, std::vector<Value> inits,
                                     const LoopBody &body, std::string iv_name) {
  CAMEO_CHECK(step > 0, "step " + std::to_string(step) + " is not positive");
  CAMEO_CHECK(type(lower) == kIndex && type(upper) == kIndex, "loop bounds must be i64");
  std::vector<Type> types = types_of(function_, inits);
  auto from = known_constant(lower), to = known_constant(upper);
  if (from && to && *from >= *to) return inits;
  // The distance of two int64 fits in uint64.
  if (from && to && static_cast<uint64_t>(*to) - static_cast<uint64_t>(*from) <= static_cast<uint64_t>(step)) {
    std::vector<Value> yielded = body(lower, inits);
    check_types(yielded, types, "the values that a loop body yields");
    return yielded;
  }
  std::vector<Type> arg_types = {kIndex};
  arg_types.insert(arg_types.end(), types.begin(), types.end());
  Op op = make(Opcode::for_loop, {lower, upper});
  op.operands.insert(op.operands.end(), inits.begin(), inits.end());
  op.integer = step;
  op.flag = from && to;
  op.regions.push_back(run(arg_types, {std::move(iv_name)}, [&](std::span<const Value> args) {
    std::vector<Value> yielded = body(args[0], args.subspan(1));
    check_types(yielded, types, "the values that a loop body yields");
    return yielded;
  }));
  std::vector<Value> results;
  for (const Type &type : types) results.push_back(function_.new_value(type));
  op.results = results;
  emit(std::move(op));
  return results;
}

void Builder::for_range(int64_t lower, int64_t upper, int64_t step, const std::function<void(Value iv)> &body,
                        std::string iv_name) {
  auto loop_body = [&](Value iv, std::span<const Value>) -> std::vector<Value> {
    body(iv);
    return {};
  };
  if (lower < upper) for_loop(index_constant(lower), index_constant(upper), step, {}, loop_body, std::move(iv_name));
}

std::vector<Value> Builder::if_else(Value condition, const std::function<std::vector<Value>()> &then,
                                    const std::function<std::vector<Value>()> &otherwise) {
  CAMEO_CHECK(type(condition) == kBool, "condition must be i1, is " + to_string(type(condition)));
  if (auto known = known_constant(condition)) return *known ? then() : otherwise ? otherwise() : std::vector<Value>();
  Op op = make(Opcode::if_else, {condition});
  std::vector<Type> types;
  op.regions.push_back(run({}, {}, [&](std::span<const Value>) {
    std::vector<Value> yielded = then();
    types = types_of(function_, yielded);
    return yielded;
  }));
  CAMEO_CHECK(otherwise || types.empty(), "if with results needs an else");
  op.regions.push_back(!otherwise ? Block{} : run({}, {}, [&](std::span<const Value>) {
    std::vector<Value> yielded = otherwise();
    check_types(yielded, types, "the values that the branches yield");
    return yielded;
  }));
  std::vector<Value> results;
  for (const Type &type : types) results.push_back(function_.new_value(type));
  op.results = results;
  emit(std::move(op));
  return results;
}

std::vector<Value> Builder::while_loop(std::vector<Value> inits,
                                       const std::function<std::vector<Value>(std::span<const Value>)> &condition,
                                       const std::function<std::vector<Value>(std::span<const Value>)> &body) {
  std::vector<Type> types = types_of(function_, inits), carried;
  Op op = make(Opcode::while_loop, std::move(inits));
  op.regions.push_back(run(types, {}, [&](std::span<const Value> args) {
    std::vector<Value> yielded = condition(args);
    CAMEO_CHECK(!yielded.empty() && type(yielded[0]) == kBool, "a while condition yields an i1 first");
    carried = types_of(function_, std::span<const Value>(yielded).subspan(1));
    return yielded;
  }));
  op.regions.push_back(run(carried, {}, [&](std::span<const Value> args) {
    std::vector<Value> yielded = body(args);
    check_types(yielded, types, "the values that a while body yields");
    return yielded;
  }));
  std::vector<Value> results;
  for (const Type &type : carried) results.push_back(function_.new_value(type));
  op.results = results;
  emit(std::move(op));
  return results;
}

void Builder::parallel(Value tasks, const std::function<void(Value task)> &body) {
  Op op = make(Opcode::parallel);
  if (auto known = known_constant(tasks))
    op.integer = std::max<int64_t>(*known, 0);
  else
    op.operands = {tasks};
  ++parallel_depth_;
  op.regions.push_back(run({kIndex}, {"task"}, [&](std::span<const Value> args) {
    body(args[0]);
    return std::vector<Value>();
  }));
  --parallel_depth_;
  emit(std::move(op));
}

std::vector<Value> Builder::call(const std::string &name, std::vector<Value> operands, std::vector<Type> results) {
  if (const Function *known = callee(name); known && results.empty()) results = known->results;
  Op op = make(Opcode::call, std::move(operands));
  op.symbol = name;
  std::vector<Value> values;
  for (const Type &type : results) values.push_back(function_.new_value(type));
  op.results = values;
  emit(std::move(op));
  return values;
}

void Builder::check(Value condition, int64_t status) {
  if (known_constant(condition).value_or(0) != 0) return; // check(true) = nothing
  Op op = make(Opcode::check, {condition});
  op.integer = status;
  emit(std::move(op));
}

void Builder::finish(std::vector<Value> results) {
  CAMEO_CHECK(stack_.size() == 1, "finish() inside a region");
  check_types(results, function_.results, "the results");
  emit(make(Opcode::ret, std::move(results)));
  stack_.clear();
  module_.functions.push_back(std::move(function_));
}

} // namespace cameo::loop
