// Decodes a function: structured operations become flat code with relative jumps, values become slots of a frame.
//
// Slots. Constants (and what follows from them alone: iota, broadcasts of constants) lie at the start of every frame.
// The slots of a region are reused once it ends. Results of a loop share the slots of the values carried last. A value
// that a loop body computes in place of an iteration argument, which is not needed any more, shares the argument's
// slot: then the yield moves nothing.
#include "interp_machine.h"

#include <algorithm>
#include <array>
#include <map>

namespace cameo::loop::interp {

namespace {

class Decoder {
public:
  using CodeOf = std::function<const Code *(const Function &)>;
  using Find = std::function<const Function *(const std::string &)>;
  Decoder(const Function &function, Code &code, const CodeOf &code_of, const Find &find)
      : function_(function), code_(code), code_of_(code_of), find_(find), slots_(function.values.size(), kNone) {}

  void run() {
    code_.function = &function_;
    place_constants(function_.body);
    cursor_ = peak_ = round_up(static_cast<int64_t>(code_.constants.size()), 64);
    for (size_t i = 0; i < function_.params.size(); ++i) place_param(i);
    emit(charge).imm = cost_of(function_.body);
    decode_block(function_.body);
    code_.frame_bytes = round_up(peak_, 64);
    int64_t deepest = 0;
    for (const Call &call : code_.calls)
      if (call.code) deepest = std::max(deepest, call.code->stack_bytes);
    code_.stack_bytes = code_.frame_bytes + deepest;
  }

private:
  static constexpr uint32_t kNone = UINT32_MAX;
  static int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

  const Type &type(Value v) const { return function_.type(v); }
  uint32_t slot(Value v) const {
    CAMEO_CHECK(slots_[v.id] != kNone, "@" + function_.name + ": a value is used before its definition");
    return slots_[v.id];
  }

  // ---- slots

  // Offsets beyond 32 bits are cut: the frame is then larger than any memory cap and never runs.
  uint32_t allocate(int64_t bytes) {
    cursor_ = round_up(cursor_, bytes >= 32 ? 32 : 8);
    auto at = static_cast<uint32_t>(cursor_);
    cursor_ += bytes;
    peak_ = std::max(peak_, cursor_);
    return at;
  }
  uint32_t place(Value v) {
    if (slots_[v.id] == kNone) slots_[v.id] = allocate(slot_bytes(type(v)));
    return slots_[v.id];
  }

  // Constants have their slots before anything else has.
  bool is_constant(Value v) const { return slots_[v.id] < code_.constants.size(); }

  uint32_t add_constant(std::span<const std::byte> image) {
    size_t at =
        static_cast<size_t>(round_up(static_cast<int64_t>(code_.constants.size()), image.size() >= 32 ? 32 : 8));
    code_.constants.resize(at);
    code_.constants.insert(code_.constants.end(), image.begin(), image.end());
    return static_cast<uint32_t>(at);
  }

  static void append_lane(std::vector<std::byte> &image, Scalar scalar, int64_t integer, double real) {
    uint64_t pattern = scalar == Scalar::i1 ? (integer & 1) : static_cast<uint64_t>(integer);
    if (scalar == Scalar::f64) std::memcpy(&pattern, &real, sizeof real);
    if (scalar == Scalar::f32) {
      auto single = static_cast<float>(real);
      std::memcpy(&pattern, &single, sizeof single);
    }
    const auto *bytes = reinterpret_cast<const std::byte *>(&pattern);
    image.insert(image.end(), bytes, bytes + lane_bytes(scalar));
  }

  void place_constants(const Block &block) {
    for (const Op &op : block.ops) {
      for (const Block &region : op.regions) place_constants(region);
      std::vector<std::byte> image;
      if (op.code == Opcode::constant || op.code == Opcode::iota) {
        const Type &t = type(op.results[0]);
        for (int32_t k = 0; k < t.lanes; ++k)
          append_lane(image, t.scalar, op.code == Opcode::iota ? k : op.integer, op.real);
      } else if (op.code == Opcode::broadcast && slots_[op.operands[0].id] != kNone) {
        const Type &t = type(op.results[0]);
        const std::byte *lane = code_.constants.data() + slots_[op.operands[0].id];
        for (int32_t k = 0; k < t.lanes; ++k) image.insert(image.end(), lane, lane + lane_bytes(t.scalar));
      } else {
        continue;
      }
      slots_[op.results[0].id] = add_constant(image);
    }
  }

  void place_param(size_t index) {
    const Param &param = function_.params[index];
    const Type &t = type(param.value);
    code_.params.push_back(place(param.value));
    if (!t.buffer) return;
    BufferParam buffer;
    buffer.index = index;
    buffer.slot = slot(param.value);
    buffer.align = std::max<int64_t>(param.align, t.bytes());
    if (param.size < 0 || __builtin_mul_overflow(param.size, t.bytes(), &buffer.bytes)) buffer.bytes = -1;
    buffer.readonly = param.readonly;
    buffer.noalias = param.noalias;
    code_.buffers.push_back(buffer);
  }

  // ---- code

  Inst &emit(Handler handler) {
    code_.origins.emplace_back(number_, opcode_);
    code_.insts.emplace_back();
    code_.insts.back().run = handler;
    return code_.insts.back();
  }
  int32_t here() const { return static_cast<int32_t>(code_.insts.size()); }
  void jump_here(int32_t from) { code_.insts[static_cast<size_t>(from)].jump = here() - from; }

  void jump_back(int32_t to) {
    int32_t from = here();
    emit(jump).jump = to - from;
  }

  // Steps of the operations of a block, those of nested regions apart.
  int64_t cost_of(const Block &block) const {
    int64_t cost = 1;
    for (const Op &op : block.ops) {
      Value v = !op.results.empty() ? op.results[0] : !op.operands.empty() ? op.operands[0] : Value();
      cost += v.valid() ? type(v).lanes : 1;
      if (op.code == Opcode::alloca) cost += op.integer * type(v).bytes() / 64; // it is filled
    }
    return std::min<int64_t>(cost, UINT32_MAX);
  }

  const Address *add_address(const Op &op, int64_t element_bytes, bool aligned = false) {
    Address address;
    address.constant = op.address.constant;
    for (const auto &[value, coefficient] : op.address.terms) {
      if (slots_[value.id] < code_.constants.size()) { // a constant: fold it
        int64_t known;
        std::memcpy(&known, code_.constants.data() + slots_[value.id], sizeof known);
        address.constant = static_cast<int64_t>(static_cast<uint64_t>(address.constant) +
                                                static_cast<uint64_t>(known) * static_cast<uint64_t>(coefficient));
      } else {
        address.terms.push_back({slot(value), coefficient});
      }
    }
    address.element_bytes = element_bytes;
    address.align = !aligned ? 0 : op.align != 0 ? op.align : element_bytes;
    return &code_.addresses.emplace_back(std::move(address));
  }

  // Moves that happen as if at once: sources that another move overwrites are saved first.
  void emit_moves(std::span<const Value> from, std::span<const Value> to) {
    std::vector<Move> saves, moves;
    for (size_t i = 0; i < to.size(); ++i) {
      Move move{slot(to[i]), slot(from[i]), static_cast<uint32_t>(slot_bytes(type(to[i])))};
      if (move.dst == move.src) continue;
      bool overwritten = std::any_of(to.begin(), to.end(), [&](Value v) { return slot(v) == move.src; });
      if (overwritten) {
        uint32_t saved = allocate(move.bytes);
        saves.push_back({saved, move.src, move.bytes});
        move.src = saved;
      }
      moves.push_back(move);
    }
    saves.insert(saves.end(), moves.begin(), moves.end());
    if (!saves.empty()) emit(run_moves).side = &code_.moves.emplace_back(std::move(saves));
  }

  void decode_block(const Block &block) {
    for (const Op &op : block.ops) {
      ++count_;
      number_ = count_;
      opcode_ = op.code;
      if (op.code != Opcode::yield) decode_op(op);
    }
  }
  // Decodes a region, whose slots are free afterwards; `after` runs while they are not.
  template <class After> void decode_region(const Block &block, After after) {
    int64_t saved = cursor_;
    int64_t number = number_;
    Opcode opcode = opcode_;
    decode_block(block);
    number_ = number;
    opcode_ = opcode;
    after(std::span<const Value>(block.ops.back().operands));
    cursor_ = saved;
  }

  void decode_op(const Op &op) {
    switch (op_class(op.code)) {
    case OpClass::unary:
    case OpClass::binary:
    case OpClass::ternary:
    case OpClass::compare:
      return emit_lanes(op, element_wise_handler(op.code, type(op.operands[0])));
    case OpClass::cast:
      emit_lanes(op, cast_handler(op.code, type(op.operands[0]), type(op.results[0])));
      // Packing counts the lanes of the mask.
      if (op.code == Opcode::bitcast)
        code_.insts.back().lanes = std::max(type(op.operands[0]).lanes, type(op.results[0]).lanes);
      return;
    case OpClass::other:
      break;
    }
    decode_other(op);
  }

  // dst, a, b, c, lanes of the result, bytes of the result.
  void emit_lanes(const Op &op, Handler handler) {
    std::array<uint32_t, 3> operands = {};
    for (size_t i = 0; i < op.operands.size(); ++i) operands[i] = slot(op.operands[i]);
    Inst &inst = emit(handler);
    inst.dst = place(op.results[0]);
    inst.a = operands[0];
    inst.b = operands[1];
    inst.c = operands[2];
    inst.lanes = type(op.results[0]).lanes;
    inst.imm = slot_bytes(type(op.results[0]));
  }

  void decode_other(const Op &op) {
    auto operand = [&](size_t i) { return slot(op.operands[i]); };
    switch (op.code) {
    case Opcode::constant:
    case Opcode::iota:
    case Opcode::prefetch:
      return;
    case Opcode::broadcast:
      if (!is_constant(op.results[0])) emit_lanes(op, broadcast_handler(type(op.operands[0]).scalar));
      return;
    case Opcode::select:
      return emit_lanes(op, select_handler(type(op.operands[0]), type(op.results[0])));
    case Opcode::extract: {
      emit_lanes(op, copy_bits);
      code_.insts.back().a += static_cast<uint32_t>(op.integer * lane_bytes(type(op.results[0]).scalar));
      return;
    }
    case Opcode::shuffle: {
      emit_lanes(op, shuffle_handler(type(op.results[0]).scalar));
      code_.insts.back().imm = type(op.operands[0]).lanes;
      code_.insts.back().side = &op.mask;
      return;
    }
    case Opcode::reduce_add:
    case Opcode::reduce_min:
    case Opcode::reduce_max: {
      const Type &t = type(op.operands[0]);
      emit_lanes(op, reduce_handler(op.code, t));
      code_.insts.back().lanes = t.lanes;
      code_.insts.back().b = allocate(slot_bytes(t));
      return;
    }
    case Opcode::target: {
      TargetCall call{find_target_instruction(op.symbol), {}};
      for (Value v : op.operands) call.operands.push_back(slot(v));
      Inst &inst = emit(run_target);
      inst.dst = place(op.results[0]);
      inst.lanes = type(op.results[0]).lanes;
      inst.side = &code_.targets.emplace_back(std::move(call));
      return;
    }
    case Opcode::index:
    case Opcode::view:
    case Opcode::load:
    case Opcode::store:
    case Opcode::gather:
    case Opcode::scatter:
      return decode_memory(op);
    case Opcode::alloca: {
      const Type &t = type(op.results[0]);
      Inst &inst = emit(run_alloca);
      inst.dst = place(op.results[0]);
      inst.imm = op.integer * t.bytes();
      inst.c = static_cast<uint32_t>(std::max<int64_t>(op.align, t.bytes()));
      return;
    }
    case Opcode::for_loop:
      return decode_for(op);
    case Opcode::if_else:
      return decode_if(op);
    case Opcode::while_loop:
      return decode_while(op);
    case Opcode::parallel:
      return decode_parallel(op);
    case Opcode::call:
      return decode_call(op);
    case Opcode::ret:
      for (Value v : op.operands) code_.results.push_back(slot(v));
      emit(return_from);
      return;
    case Opcode::check: {
      Inst &inst = emit(run_check);
      inst.a = operand(0);
      inst.imm = op.integer;
      return;
    }
    default:
      CAMEO_UNREACHABLE("no decoding of " + std::string(name(op.code)));
    }
  }

  void decode_memory(const Op &op) {
    bool stores = op.code == Opcode::store || op.code == Opcode::scatter,
         plain = op.code == Opcode::load || op.code == Opcode::store;
    size_t first = stores ? 1 : 0; // the buffer's operand
    auto operand = [&](size_t i) { return i < op.operands.size() ? slot(op.operands[i]) : 0; };
    Type data = stores ? type(op.operands[0]) : type(op.results[0]);
    Type indices = !plain && op.operands.size() > first + 1 ? type(op.operands[first + 1]) : Type{};
    int64_t element = op.code == Opcode::index ? 1 : type(op.operands[first]).bytes();
    const Address *address = add_address(op, element, op.code != Opcode::index && op.code != Opcode::view);
    Inst inst;
    inst.run = memory_handler(op.code, data, indices, plain && op.operands.size() > first + 1);
    inst.a = operand(first);
    inst.lanes = data.lanes;
    inst.side = address;
    if (plain) {
      inst.b = stores ? operand(0) : 0;
      inst.c = operand(first + 1);
      inst.imm = slot_bytes(data);
    } else {
      inst.b = operand(first + 1);
      inst.c = operand(first + 2);
      inst.imm = op.operands.size() > first + 2;
    }
    inst.dst = op.code == Opcode::scatter ? operand(0) : stores ? 0 : place(op.results[0]);
    emit(inst.run) = inst;
  }

  // ---- control

  using LastUse = std::map<uint32_t, size_t>;
  // For each of `args`, the index of the last operation of the body that reads it, in a nested region or not.
  static void find_uses(const Block &block, size_t index, bool outer, LastUse &uses) {
    for (size_t i = 0; i < block.ops.size(); ++i) {
      const Op &op = block.ops[i];
      size_t at = outer ? i : index;
      auto use = [&](Value v) {
        if (auto it = uses.find(v.id); it != uses.end()) it->second = at;
      };
      for (Value v : op.operands) use(v);
      for (const auto &term : op.address.terms) use(term.first);
      for (const Block &region : op.regions) find_uses(region, at, false, uses);
    }
  }

  // Lets values that the body yields take the slots of the arguments that they replace, where nothing reads those any
  // more.
  void share_slots(const Block &body, std::span<const Value> args) {
    LastUse uses;
    for (Value v : args) uses[v.id] = 0;
    find_uses(body, 0, true, uses);
    std::map<uint32_t, size_t> definitions;
    for (size_t i = 0; i < body.ops.size(); ++i)
      if (body.ops[i].results.size() == 1 && body.ops[i].regions.empty()) definitions[body.ops[i].results[0].id] = i;
    const std::vector<Value> &yielded = body.ops.back().operands;
    for (size_t k = 0; k < yielded.size(); ++k) {
      auto definition = definitions.find(yielded[k].id);
      if (definition == definitions.end() || slots_[yielded[k].id] != kNone) continue;
      const Op &op = body.ops[definition->second];
      OpClass kind = op_class(op.code);
      bool lane_by_lane = kind == OpClass::unary || kind == OpClass::binary || kind == OpClass::ternary;
      size_t last = uses[args[k].id];
      if (last < definition->second || (last == definition->second && lane_by_lane))
        slots_[yielded[k].id] = slot(args[k]);
    }
  }

  void decode_for(const Op &op) {
    const Block &body = op.regions[0];
    auto args = std::span<const Value>(body.args).subspan(1);
    uint32_t iv = place(body.args[0]), upper = slot(op.operands[1]);
    for (Value v : args) place(v);
    auto cost = static_cast<uint32_t>(cost_of(body));
    std::vector<Value> inits = {op.operands[0]};
    inits.insert(inits.end(), op.operands.begin() + 2, op.operands.end());
    emit_moves(inits, body.args);
    share_slots(body, args);
    int32_t enter = here();
    Inst &head = emit(loop_enter);
    head.a = iv;
    head.b = upper;
    head.c = cost;
    decode_region(body, [&](std::span<const Value> yielded) { emit_moves(yielded, args); });
    Inst &next = emit(loop_next);
    next.a = iv;
    next.b = upper;
    next.c = cost;
    next.imm = op.integer;
    next.jump = enter + 1 - (here() - 1);
    jump_here(enter);
    for (size_t i = 0; i < args.size(); ++i) slots_[op.results[i].id] = slot(args[i]);
  }

  void decode_if(const Op &op) {
    for (Value v : op.results) place(v);
    auto branch = [&](const Block &block) {
      emit(charge).imm = cost_of(block);
      decode_region(block, [&](std::span<const Value> yielded) { emit_moves(yielded, op.results); });
    };
    int32_t unless = here();
    emit(branch_unless).a = slot(op.operands[0]);
    branch(op.regions[0]);
    if (op.regions[1].ops.empty()) return jump_here(unless);
    int32_t over = here();
    emit(jump);
    jump_here(unless);
    branch(op.regions[1]);
    jump_here(over);
  }

  void decode_while(const Op &op) {
    const Block &condition = op.regions[0], &body = op.regions[1];
    for (Value v : condition.args) place(v);
    for (Value v : body.args) place(v);
    emit_moves(op.operands, condition.args);
    int32_t top = here(), exit = 0;
    emit(charge).imm = cost_of(condition) + cost_of(body);
    decode_region(condition, [&](std::span<const Value> yielded) {
      emit_moves(yielded.subspan(1), body.args);
      exit = here();
      emit(branch_unless).a = slot(yielded[0]);
    });
    decode_region(body, [&](std::span<const Value> yielded) { emit_moves(yielded, condition.args); });
    jump_back(top);
    jump_here(exit);
    for (size_t i = 0; i < op.results.size(); ++i) slots_[op.results[i].id] = slot(body.args[i]);
  }

  void decode_parallel(const Op &op) {
    const Block &body = op.regions[0];
    uint32_t task = place(body.args[0]), counter = allocate(8), tasks = allocate(8);
    auto set = [&](uint32_t to, int64_t value) {
      Inst &inst = emit(set_integer);
      inst.dst = to;
      inst.imm = value;
    };
    set(counter, 0);
    if (op.operands.empty())
      set(tasks, op.integer);
    else
      tasks = slot(op.operands[0]);
    int32_t top = here();
    Inst &next = emit(task_next);
    next.dst = task;
    next.a = counter;
    next.b = tasks;
    next.c = static_cast<uint32_t>(cost_of(body));
    decode_region(body, [](std::span<const Value>) {});
    jump_back(top);
    jump_here(top);
  }

  void decode_call(const Op &op) {
    Call call;
    call.function = find_(op.symbol);
    CAMEO_CHECK(call.function, "unknown function @" + op.symbol);
    if (!call.function->declaration) call.code = code_of_(*call.function);
    for (size_t i = 0; i < op.operands.size(); ++i)
      call.arguments.push_back({call.code ? call.code->params[i] : 0, slot(op.operands[i]),
                                static_cast<uint32_t>(slot_bytes(type(op.operands[i])))});
    for (size_t i = 0; i < op.results.size(); ++i)
      call.results.push_back({place(op.results[i]), call.code ? call.code->results[i] : 0,
                              static_cast<uint32_t>(slot_bytes(type(op.results[i])))});
    emit(call.code ? call_function : call_native).side = &code_.calls.emplace_back(std::move(call));
  }

  const Function &function_;
  Code &code_;
  const CodeOf &code_of_;
  const Find &find_;
  std::vector<uint32_t> slots_; // by value
  int64_t cursor_ = 0, peak_ = 0;
  int64_t count_ = -1, number_ = 0; // operations met less one; the one being decoded
  Opcode opcode_ = Opcode::ret;
};

} // namespace

void decode(const Function &function, Code &code, const std::function<const Code *(const Function &)> &callee_code,
            const std::function<const Function *(const std::string &)> &find) {
  Decoder(function, code, callee_code, find).run();
}

} // namespace cameo::loop::interp
