// Random programs, interpreted and compiled: for each CPU level the bytes agree. The interpreter shares no code with
// codegen. What the IR leaves open (the sign and payload of a NaN, conversions out of range) is kept out of the
// programs.
#include "emit_cases.h"

#include "cameo/loop/interp.h"
#include "cameo/loop/legalize.h"
#include "cameo/loop/print.h"

#include <algorithm>
#include <cstdlib>
#include <random>

namespace cameo::codegen {
namespace {

constexpr int64_t kInput = 4096, kOutput = 1 << 14;

class Program {
public:
  explicit Program(uint32_t seed) : random_(seed) {}

  /// f(in, out, n) with arithmetic, loops, branches and memory; everything computed is stored.
  loop::Module make() {
    loop::Module module;
    Builder b(module, "f");
    b.function().exported = true;
    b_ = &b;
    in_ = b.buffer_param("in", Scalar::i8, true, true, kInput, 64);
    out_ = b.buffer_param("out", Scalar::i8, false, true, kOutput, 64);
    n_ = b.scalar_param("n");
    std::vector<Value> pool;
    for (Scalar scalar : {Scalar::i8, Scalar::i16, Scalar::i32, Scalar::i64, Scalar::f32, Scalar::f64})
      for (int32_t lanes : {1, 4, 16}) pool.push_back(load({scalar, lanes}, {}));
    grow(pool, 25, 0);
    for (Value v : pool) store(v, Affine(0));
    b.finish();
    return module;
  }

private:
  int pick(int n) { return int(random_() % unsigned(n)); }
  Value any(const std::vector<Value> &pool) { return pool[size_t(pick(int(pool.size())))]; }
  Value like(const std::vector<Value> &pool, Type type) {
    std::vector<Value> fitting;
    for (Value v : pool)
      if (b_->type(v) == type) fitting.push_back(v);
    return fitting.empty() ? load(type, {}) : any(fitting);
  }
  Value flag(const std::vector<Value> &pool, int32_t lanes) {
    Value x = like(pool, {pick(2) ? Scalar::i32 : Scalar::f32, lanes});
    constexpr Opcode kCompare[] = {Opcode::eq, Opcode::ne, Opcode::lt, Opcode::le, Opcode::gt, Opcode::ge};
    return b_->compare(kCompare[pick(6)], x, like(pool, b_->type(x)));
  }

  // Somewhere in the input, aligned to the element; with a loop's variable, further on.
  Value load(Type type, const Affine &variable) {
    int64_t size = loop::bits(type.scalar) / 8, slots = (kInput - 1024) / size;
    Value typed = b_->view(in_, 0, type.scalar);
    Affine address = Affine(int64_t(random_() % unsigned(slots))) + variable;
    if (type.lanes > 1 && pick(4) == 0)
      return b_->load(typed, address, type.lanes, 0, pick(2) ? n_ : b_->index_constant(pick(type.lanes + 1)));
    if (type.lanes > 1 && pick(6) == 0) {
      Type kind{pick(2) ? Scalar::i32 : Scalar::i64, type.lanes};
      Value raw = b_->load(b_->view(in_, 0, kind.scalar), pick(64), type.lanes);
      return b_->gather(typed, address, b_->binary(Opcode::bit_and, raw, b_->constant_int(kind, 15)));
    }
    return b_->load(typed, address, type.lanes);
  }

  // Floats are stored with every NaN made the same.
  void store(Value v, const Affine &variable) {
    Type type = b_->type(v);
    if (loop::is_float(type.scalar)) v = b_->select(b_->compare(Opcode::eq, v, v), v, b_->constant(type, 12345));
    int64_t bytes = type.bytes(), size = loop::bits(type.scalar) / 8;
    next_ = (next_ + size - 1) / size * size;
    if (next_ + bytes + 256 > kOutput) return;
    Value typed = b_->view(out_, next_, type.scalar);
    if (type.lanes > 1 && pick(4) == 0)
      b_->store(v, typed, variable, 0, pick(2) ? n_ : b_->index_constant(pick(type.lanes + 1)));
    else
      b_->store(v, typed, variable);
    next_ +=
        bytes + (variable.is_constant() ? 0 : 7 * size); // a loop's iterations overwrite each other's ends, in order
  }

  void grow(std::vector<Value> &pool, int count, int depth) {
    for (int i = 0; i < count; ++i) {
      Value x = any(pool);
      Type type = b_->type(x);
      bool is_float = loop::is_float(type.scalar);
      switch (pick(depth < 2 ? 12 : 9)) {
      case 0:
      case 1:
      case 2: {
        constexpr Opcode kInt[] = {Opcode::add,  Opcode::sub,     Opcode::mul,    Opcode::div,     Opcode::rem,
                                   Opcode::udiv, Opcode::urem,    Opcode::min,    Opcode::max,     Opcode::umin,
                                   Opcode::umax, Opcode::bit_and, Opcode::bit_or, Opcode::bit_xor, Opcode::shl,
                                   Opcode::shr,  Opcode::sar};
        constexpr Opcode kFloat[] = {Opcode::add, Opcode::sub, Opcode::mul, Opcode::div, Opcode::min, Opcode::max};
        pool.push_back(b_->binary(is_float ? kFloat[pick(6)] : kInt[pick(17)], x, like(pool, type)));
        break;
      }
      case 3: {
        constexpr Opcode kInt[] = {Opcode::neg, Opcode::abs, Opcode::bit_not, Opcode::popcount, Opcode::clz};
        constexpr Opcode kFloat[] = {Opcode::neg,  Opcode::abs,    Opcode::floor, Opcode::ceil,
                                     Opcode::rint, Opcode::ftrunc, Opcode::sqrt};
        pool.push_back(b_->unary(is_float ? kFloat[pick(7)] : kInt[pick(5)], x));
        break;
      }
      case 4:
        pool.push_back(b_->select(flag(pool, pick(2) ? 1 : type.lanes), x, like(pool, type)));
        break;
      case 5:
        if (is_float && pick(2))
          pool.push_back(b_->ternary(Opcode::fma, x, like(pool, type), like(pool, type)));
        else if (is_float) {
          Value small = b_->min(
              b_->max(b_->select(b_->compare(Opcode::eq, x, x), x, b_->constant(type, 0)), b_->constant(type, -100)),
              b_->constant(type, 100));
          pool.push_back(b_->cast(Opcode::fptosi, small, pick(2) ? Scalar::i8 : Scalar::i32));
        } else if (pick(2))
          pool.push_back(b_->cast(pick(2) ? Opcode::sitofp : Opcode::uitofp, x, pick(2) ? Scalar::f32 : Scalar::f64));
        else if (type.scalar != Scalar::i64)
          pool.push_back(b_->cast(pick(2) ? Opcode::sext : Opcode::zext, x, Scalar::i64));
        else
          pool.push_back(b_->cast(Opcode::trunc, x, Scalar::i16));
        break;
      case 6:
        if (type.lanes == 1)
          pool.push_back(b_->broadcast(x, pick(2) ? 4 : 16));
        else if (pick(2))
          pool.push_back(b_->extract(x, pick(type.lanes)));
        else
          pool.push_back(b_->reduce(pick(2)   ? Opcode::reduce_add
                                    : pick(2) ? Opcode::reduce_min
                                              : Opcode::reduce_max,
                                    x));
        break;
      case 7:
        if (type.lanes > 1) {
          std::vector<int32_t> mask(pick(2) ? 4 : 16);
          for (int32_t &lane : mask) lane = pick(2 * type.lanes);
          pool.push_back(b_->shuffle(x, like(pool, type), mask));
        }
        break;
      case 8:
        pool.push_back(load(type, {}));
        break;
      case 9: { // a loop that carries three values and stores one
        std::vector<Value> inits = {x, any(pool), any(pool)};
        Value upper = pick(2) ? n_ : b_->index_constant(pick(4));
        auto ends = b_->for_loop(b_->index_constant(pick(3)), upper, 1 + pick(2), inits,
                                 [&](Value iv, std::span<const Value> iters) {
                                   std::vector<Value> inner = pool;
                                   inner.insert(inner.end(), iters.begin(), iters.end());
                                   inner.push_back(iv);
                                   inner.push_back(load({Scalar::f32, 16}, Affine(iv) * 3));
                                   grow(inner, 8, depth + 1);
                                   store(inner.back(), Affine(iv));
                                   std::vector<Value> next;
                                   for (Value v : iters) next.push_back(like(inner, b_->type(v)));
                                   return next;
                                 });
        pool.insert(pool.end(), ends.begin(), ends.end());
        break;
      }
      case 10: {
        auto side = [&] {
          std::vector<Value> inner = pool;
          grow(inner, 5, depth + 1);
          return std::vector<Value>{like(inner, type)};
        };
        pool.push_back(b_->if_else(flag(pool, 1), side, side)[0]);
        break;
      }
      default:
        if (parallel_) break;
        parallel_ = true;
        b_->parallel(b_->index_constant(1 + pick(3)), [&](Value task) {
          std::vector<Value> inner = pool;
          inner.push_back(task);
          grow(inner, 6, depth + 1);
          Value v = inner.back();
          if (loop::is_float(b_->type(v).scalar))
            v = b_->select(b_->compare(Opcode::eq, v, v), v, b_->constant(b_->type(v), 12345));
          next_ = (next_ + 63) / 64 * 64;
          if (next_ + 1024 > kOutput) return;
          b_->store(v, b_->view(out_, next_, b_->type(v).scalar), Affine(task) * b_->type(v).lanes);
          next_ += 3 * b_->type(v).bytes();
        });
        parallel_ = false;
      }
    }
  }

  std::mt19937 random_;
  Builder *b_ = nullptr;
  Value in_, out_, n_;
  int64_t next_ = 0;
  bool parallel_ = false;
};

// CAMEO_SEEDS=first,count tries others than the ones of each test run.
TEST(EmitRandom, CompiledAgreesWithInterpreted) {
  unsigned first = 1, count = 16;
  if (const char *seeds = std::getenv("CAMEO_SEEDS")) {
    ASSERT_EQ(std::sscanf(seeds, "%u,%u", &first, &count), 2) << "CAMEO_SEEDS=first,count";
  }
  alignas(64) static std::byte input[kInput], expected[2][kOutput], got[kOutput];
  constexpr int64_t kCounts[2] = {0, 3};
  auto targets = runnable_targets();
  for (unsigned seed = first; seed < first + count; ++seed) {
    loop::Module module = Program(seed).make();
    auto problems = loop::verify(module);
    ASSERT_TRUE(problems.empty()) << problems[0];
    std::mt19937 random(seed);
    for (int64_t i = 0; i < kInput; i += 4) { // any bits, or floats of moderate size
      uint32_t word = uint32_t(random());
      if (seed % 2) word = std::bit_cast<uint32_t>(float(int32_t(word)) * 0x1p-26f);
      std::memcpy(&input[i], &word, 4);
    }
    std::memset(expected, 0, sizeof expected);
    for (int k = 0; k < 2; ++k) {
      std::vector<loop::Argument> arguments = {loop::Argument::readonly(input, kInput),
                                               loop::Argument::buffer(expected[k], kOutput),
                                               loop::Argument::integer(kCounts[k])};
      auto run = loop::interpret(module, "f", arguments);
      ASSERT_TRUE(run.ok()) << "seed " << seed << ": " << to_string(run.errors()[0]) << "\n" << loop::print(module);
      EXPECT_LT(std::count(std::begin(expected[k]), std::end(expected[k]), std::byte{0}), kOutput - 200) << seed;
    }
    for (const loop::Target &target : targets) {
      loop::Module legal = module;
      loop::legalize(legal, target);
      Jit code = jit(legal, target);
      for (int k = 0; k < 2; ++k) {
        std::memset(got, 0, sizeof got);
        cameo_env env{};
        code.function<void(cameo_env *, const std::byte *, std::byte *, int64_t)>("f")(&env, input, got, kCounts[k]);
        auto [a, b] = std::mismatch(std::begin(got), std::end(got), std::begin(expected[k]));
        ASSERT_EQ(a, std::end(got)) << "seed " << seed << ", n " << kCounts[k] << ", " << target.name << ": byte "
                                    << a - got << "\n"
                                    << loop::print(module);
      }
    }
  }
}

} // namespace
} // namespace cameo::codegen
