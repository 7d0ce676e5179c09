// Random numbers: draw i is arithmetic on the seed and on i alone (SplitMix64: Steele, Lea, Flood, OOPSLA 2014, at its
// i-th state), so results depend neither on the order of computation nor on the number of threads. A uniform draw takes
// as many upper bits as its dtype holds, so that it stays below the end; a normal one is Box and Muller's of two draws.
// Without a seed in the model each node has one of its own, the same in each run.
#include "families.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace cameo::frontend {
namespace {

Value *word(NodeImport &n, uint64_t value) {
  std::vector<std::byte> bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return n.constant(ConstantData::own(DType::u64, {}, std::move(bytes)));
}

// Inside of a loop every iteration would draw the same.
bool in_loop(const Value *v) {
  for (const Region *r = v->producer()->region(); r->parent(); r = r->parent()->region())
    if (r->parent()->is(Op::loop) || r->parent()->is(Op::scan)) return true;
  return false;
}

// `count` numbers in [0, 1) of so many binary digits, as f64.
Value *uniform(NodeImport &n, const Dim &count, uint64_t seed, int digits) {
  Value *x = n.make_typed(Op::iota, {}, {{"axis", int64_t{0}}}, Type::tensor(DType::u64, {count}));
  if (n.failed()) return nullptr;
  if (in_loop(x)) return n.unsupported("random numbers inside of a loop");
  const uint64_t step = 0x9e3779b97f4a7c15;
  x = n.map(Fn::add, {n.map(Fn::mul, {x, word(n, step)}), word(n, seed + step)});
  auto folded = [&](int shift) {
    return n.map(Fn::bitwise_xor, {x, n.map(Fn::shift_right, {x, word(n, uint64_t(shift))})});
  };
  x = n.map(Fn::mul, {folded(30), word(n, 0xbf58476d1ce4e5b9)});
  x = n.map(Fn::mul, {folded(27), word(n, 0x94d049bb133111eb)});
  x = n.map(Fn::shift_right, {folded(31), word(n, uint64_t(64 - digits))});
  return n.map(Fn::mul, {n.cast(x, DType::f64), n.scalar(DType::f64, std::ldexp(1.0, -digits))});
}

// One draw for each element of the shape: uniform in [a, b), or normal with mean a and deviation b.
Value *draw(NodeImport &n, const char *distribution, double a, double b, DType dtype, const Shape &shape) {
  if (n.failed()) return nullptr;
  const uint64_t seed =
      n.has("seed") ? std::bit_cast<uint32_t>(float(n.real("seed", 0.0))) : uint64_t(n.graph().node_count()) << 32;
  const Dim count = product(shape);
  auto real = [&](double v) { return n.scalar(DType::f64, v); };
  Value *y = nullptr;
  if (std::string_view(distribution) == "normal") {
    Value *open = n.map(Fn::sub, {real(1), uniform(n, count, seed, 53)}); // in (0, 1]
    Value *radius = n.map(Fn::sqrt, {n.map(Fn::mul, {n.map(Fn::log, {open}), real(-2)})});
    Value *angle = n.map(Fn::mul, {uniform(n, count, ~seed, 53), real(2 * M_PI)});
    y = n.map(Fn::mul, {n.map(Fn::mul, {radius, n.map(Fn::cos, {angle})}), real(b)});
  } else {
    const int digits = dtype == DType::f64 ? 53 : dtype == DType::f32 ? 24 : dtype == DType::f16 ? 11 : 8;
    y = n.map(Fn::mul, {uniform(n, count, seed, digits), real(b - a)});
  }
  return n.reshape(n.cast(n.map(Fn::add, {y, real(a)}), dtype), shape);
}

void random(NodeImport &n, DType dtype, const Shape &shape) {
  if (n.failed()) return;
  const bool normal = n.op().substr(0, 12) == "RandomNormal";
  if (!is_float(dtype)) return void(n.fail("random numbers of type " + std::string(name(dtype))));
  n.result(normal ? draw(n, "normal", n.real("mean"), n.real("scale"), dtype, shape)
                  : draw(n, "uniform", n.real("low"), n.real("high"), dtype, shape));
}

} // namespace

void import_random(NodeImport &n) {
  Shape shape;
  for (int64_t d : n.ints("shape")) {
    if (d < 0) return void(n.fail("extent " + std::to_string(d) + " is negative"));
    shape.push_back(d);
  }
  random(n, n.dtype("dtype", DType::f32), shape);
}

void import_random_like(NodeImport &n) {
  if (!n.ranked(n.input(0))) return;
  random(n, n.dtype("dtype", n.input(0)->type().dtype()), n.input(0)->type().shape());
}

// y = (uniform < p)
void import_bernoulli(NodeImport &n) {
  Value *p = n.input(0);
  if (!n.ranked(p)) return;
  Value *u = draw(n, "uniform", 0, 1, p->type().dtype(), p->type().shape());
  n.result(n.cast(n.map(Fn::less, {u, p}), n.dtype("dtype", p->type().dtype())));
}

// Gumbel-max: argmax over classes of log p - log(-log u), one row of u per sample.
void import_multinomial(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  if (x->type().rank() != 2) return void(n.fail("the input has rank " + std::to_string(x->type().rank()) + ", not 2"));
  const int64_t samples = n.integer("sample_size");
  if (samples < 1) return void(n.fail("sample_size is " + std::to_string(samples)));
  const Dim batch = x->type().dim(0), classes = x->type().dim(1);
  Value *u = draw(n, "uniform", 0, 1, DType::f32, {batch, samples, classes});
  Value *gumbel = n.map(Fn::neg, {n.map(Fn::log, {n.map(Fn::neg, {n.map(Fn::log, {u})})})});
  Value *score = n.map(Fn::add, {n.reshape(n.cast(x, DType::f32), {batch, 1, classes}), gumbel});
  Value *pick = n.make(Op::arg_reduce, {score},
                       {{"fn", std::string("max")}, {"axis", int64_t{2}}, {"keepdims", false}, {"select_last", false}});
  n.result(n.cast(pick, n.dtype("dtype", DType::i32)));
}

} // namespace cameo::frontend
