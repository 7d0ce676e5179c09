#include "random_graph.h"

#include "cameo/ir/builder.h"

#include <algorithm>
#include <numeric>
#include <random>

namespace cameo::test {

namespace {

using namespace graph;

class Generator {
public:
  Generator(uint32_t seed, Graph &graph)
      : random_(seed), graph_(graph), builder_(Builder::at_end(graph, graph.main().body)) {}

  void run(int nodes) {
    Region *body = graph_.main().body;
    Dim n = Dim::symbol("n");
    graph_.set_symbol(n, {1, {}});
    pool_.push_back(graph_.add_argument(body, Type::tensor(DType::f32, {n, 3, 4}), "x"));
    pool_.push_back(graph_.add_argument(body, Type::tensor(DType::f32, {4, 6}), "y"));
    condition_ = graph_.add_argument(body, Type::scalar(DType::boolean), "c");
    for (int i = 0; i < nodes; ++i) step();
    std::vector<Value *> results;
    std::vector<std::string> names;
    for (int i = 0; i < 4; ++i) {
      results.push_back(any());
      names.push_back("out" + std::to_string(i));
    }
    graph_.set_results(graph_.main(), results, names);
  }

private:
  int pick(int n) { return static_cast<int>(random_() % static_cast<uint32_t>(n)); }
  // Recent values more often than old ones.
  Value *any() {
    const auto size = static_cast<int>(pool_.size());
    return pool_[static_cast<size_t>(std::max(pick(size), pick(size)))];
  }
  void add(Value *value) {
    // Keeps magnitudes and sizes small, so that doubles stay exact and evaluation fast.
    if (value->type().rank() <= 4) pool_.push_back(value);
  }
  Value *bounded(Value *x) {
    Value *low = builder_.scalar(DType::f32, -64), *high = builder_.scalar(DType::f32, 64);
    return builder_.elementwise(Fn::min, {builder_.elementwise(Fn::max, {x, low}), high});
  }
  bool fits(const Shape &shape) {
    auto most = product(shape).bounds([](const std::string &) { return Interval{0, 6}; }).upper;
    return most && *most <= 4096 && shape.size() <= 4;
  }

  void step() {
    Value *x = any();
    const Type type = x->type();
    const int rank = type.rank();
    switch (pick(17)) {
    case 0: { // a function, perhaps one that was there
      constexpr Fn kFns[] = {Fn::relu, Fn::neg, Fn::abs, Fn::floor};
      return add(builder_.elementwise(kFns[pick(4)], {x}));
    }
    case 1: { // with a constant, perhaps neutral, on either side
      Value *c = builder_.scalar(DType::f32, std::vector<double>{0, 1, 2, -0.0}[static_cast<size_t>(pick(4))]);
      constexpr Fn kFns[] = {Fn::add, Fn::sub, Fn::mul, Fn::max};
      Fn fn = kFns[pick(4)];
      return add(bounded(builder_.elementwise(fn, pick(2) ? std::vector<Value *>{x, c} : std::vector<Value *>{c, x})));
    }
    case 2: { // of two values that broadcast
      Value *z = any();
      auto shape = broadcast_shapes(type.shape(), z->type().shape());
      if (!shape || !fits(*shape) || !same_symbols(type.shape(), z->type().shape())) return;
      constexpr Fn kFns[] = {Fn::add, Fn::sub, Fn::min, Fn::max};
      return add(bounded(builder_.elementwise(kFns[pick(4)], {x, z})));
    }
    case 3: { // select, under a negation perhaps
      Value *c = builder_.elementwise(Fn::less, {x, builder_.scalar(DType::f32, 1)});
      if (pick(2)) c = builder_.elementwise(Fn::logical_not, {c});
      return add(builder_.elementwise(Fn::select, {c, x, pick(2) ? x : builder_.elementwise(Fn::neg, {x})}));
    }
    case 4:
    case 5: { // a permutation, often of a permutation
      std::vector<int64_t> perm(static_cast<size_t>(rank));
      std::iota(perm.begin(), perm.end(), 0);
      std::shuffle(perm.begin(), perm.end(), random_);
      return add(builder_.transpose(x, perm));
    }
    case 6: { // merge two axes, or split off a 1
      Shape shape = type.shape();
      if (rank >= 2 && pick(2)) {
        const auto at = static_cast<size_t>(pick(rank - 1));
        shape[at] = shape[at] * shape[at + 1];
        shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(at) + 1);
      } else if (rank < 4) {
        shape.insert(shape.begin() + pick(rank + 1), 1);
      }
      return add(builder_.value(Op::reshape, {x}, {}, type.with_shape(shape)));
    }
    case 7: { // a reshape whose extents are an operand
      if (rank < 1) return;
      Value *shape = builder_.value(Op::shape_of, {x}, {}, Type::tensor(DType::i64, {rank}));
      Shape fresh;
      for (int i = 0; i < rank; ++i) fresh.push_back(graph_.new_runtime_symbol());
      return add(builder_.value(Op::reshape, {x, shape}, {}, type.with_shape(fresh)));
    }
    case 8: { // a slice of a constant extent, forwards or backwards
      for (int axis = 0; axis < rank; ++axis) {
        auto extent = type.dim(axis).constant();
        if (!extent || *extent < 2) continue;
        const int64_t step = std::vector<int64_t>{1, 1, 2, -1}[static_cast<size_t>(pick(4))];
        const int64_t start = step < 0 ? *extent - 1 : pick(static_cast<int>(*extent) - 1);
        const int64_t size = step < 0 ? 1 + pick(static_cast<int>(*extent)) : 1 + (*extent - 1 - start) / step;
        Shape shape = type.shape();
        shape[static_cast<size_t>(axis)] = size;
        return add(builder_.value(Op::slice, {x},
                                  {{"axes", std::vector<int64_t>{axis}},
                                   {"starts", std::vector<Dim>{start}},
                                   {"steps", std::vector<int64_t>{step}}},
                                  type.with_shape(shape)));
      }
      return;
    }
    case 9: { // with itself, or with something empty
      if (rank < 1) return;
      const int axis = pick(rank);
      Shape shape = type.shape();
      shape[static_cast<size_t>(axis)] = 0;
      std::vector<Value *> parts = {x};
      if (pick(2)) parts.push_back(builder_.slice(x, axis, 0, 0));
      if (pick(2)) parts.push_back(x);
      Value *y = builder_.concat(parts, axis);
      return fits(y->type().shape()) ? add(y) : void();
    }
    case 10: { // padding, perhaps none
      std::vector<Dim> low(static_cast<size_t>(rank), 0), high = low;
      Shape shape = type.shape();
      if (rank > 0 && pick(2)) {
        const auto axis = static_cast<size_t>(pick(rank));
        high[axis] = 1;
        shape[axis] += 1;
      }
      if (!fits(shape)) return;
      return add(
          builder_.value(Op::pad, {x}, {{"mode", "constant"}, {"low", low}, {"high", high}}, type.with_shape(shape)));
    }
    case 11: { // one index, that fits or counts from the end
      if (rank < 1) return;
      const int axis = pick(rank);
      const Interval bounds = graph_.bounds(type.dim(axis));
      if (!bounds.lower || *bounds.lower < 1) return;
      const int64_t value = pick(2) ? 0 : -1;
      Value *index = pick(2) ? builder_.constant(ConstantData::scalar_int(DType::i64, value)) : builder_.ints({value});
      return add(builder_.gather(x, index, axis));
    }
    case 12: { // a reduction, also over nothing or over ones
      std::vector<int64_t> axes;
      for (int i = 0; i < rank; ++i)
        if (pick(3) == 0 || type.dim(i).is(1)) axes.push_back(i);
      Shape shape = type.shape();
      for (const Dim &dim : shape)
        if (graph_.bounds(dim).lower.value_or(0) < 1) return; // the maximum of nothing
      return add(bounded(builder_.reduce(pick(2) ? "sum" : "max", x, axes, pick(2))));
    }
    case 13: { // a product of matrices with transposed operands
      Value *a = any();
      if (a->type().rank() != 2 || rank != 2 || a->type().dim(1) != type.dim(0)) return;
      Value *p = builder_.transpose(a, {1, 0});
      Value *y = builder_.value(Op::contract, {p, x}, {{"equation", "km,kn->nm"}},
                                Type::tensor(DType::f32, {type.dim(1), a->type().dim(0)}));
      return add(bounded(builder_.transpose(y, {1, 0})));
    }
    case 14: { // casts there and back
      DType via = std::vector<DType>{DType::f64, DType::f32, DType::i64}[static_cast<size_t>(pick(3))];
      return add(builder_.cast(builder_.cast(x, via), DType::f32));
    }
    case 15:
      return branch(x);
    default:
      return pick(2) ? loop(x) : fresh(x);
    }
  }

  // Symbols that broadcast must be the same ones, or the run could fail.
  static bool same_symbols(const Shape &a, const Shape &b) {
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      const Dim &x = a[a.size() - 1 - i], &y = b[b.size() - 1 - i];
      if (x != y && !x.is(1) && !y.is(1)) return false;
    }
    return true;
  }

  // A branch that uses values from outside, on a constant or an input.
  void branch(Value *x) {
    if (depth_ >= 2) return;
    Value *condition = pick(2) ? condition_ : builder_.constant(ConstantData::scalar_int(DType::boolean, pick(2)));
    Node *node = builder_.node(Op::if_, {condition}, {}, {x->type(), x->type()});
    for (int r = 0; r < 2; ++r) {
      inside(graph_.add_region(node), [&] {
        for (int i = pick(5); i > 0; --i) step();
        Value *y = builder_.elementwise(r ? Fn::relu : Fn::neg, {x});
        return std::vector<Value *>{y, pick(2) ? x : y};
      });
    }
    add(node->result(0));
    add(node->result(1));
  }

  // Two carried values, one of them perhaps dead, and stacked slices.
  void loop(Value *x) {
    if (depth_ >= 2) return;
    Shape stacked = x->type().shape();
    stacked.insert(stacked.begin(), graph_.new_runtime_symbol());
    if (stacked.size() > 4) return;
    Value *trip = builder_.constant(ConstantData::scalar_int(DType::i64, 1 + pick(2)));
    Node *node =
        builder_.node(Op::loop, {trip, nullptr, x, x}, {}, {x->type(), x->type(), x->type().with_shape(stacked)});
    Region *body = graph_.add_region(node);
    graph_.add_argument(body, Type::scalar(DType::i64), "");
    Value *go = graph_.add_argument(body, Type::scalar(DType::boolean), "");
    Value *a = graph_.add_argument(body, x->type(), "a"), *b = graph_.add_argument(body, x->type(), "b");
    inside(body, [&] {
      pool_.push_back(a);
      for (int i = pick(4); i > 0; --i) step();
      Value *next = bounded(builder_.add(a, builder_.scalar(DType::f32, 1)));
      return std::vector<Value *>{go, next, pick(2) ? b : next, next};
    });
    add(node->result(0));
    if (pick(2)) add(node->result(1));
    if (pick(2)) add(node->result(2));
  }

  // Run-time extents, perhaps twice of the same value.
  void fresh(Value *x) {
    const int rank = x->type().rank();
    if (rank < 1) return;
    for (int i = 1 + pick(2); i > 0; --i) {
      Dim count = graph_.new_runtime_symbol(x->type().elements());
      Value *found = builder_.value(Op::nonzero, {x}, {}, Type::tensor(DType::i64, {rank, count}));
      Value *real = builder_.cast(found, DType::f32);
      if (fits(real->type().shape()) && pick(2)) add(real);
      add(builder_.cast(builder_.reshape(builder_.dims({count}), {}), DType::f32));
    }
  }

  template <class Body> void inside(Region *region, const Body &body) {
    const InsertPoint outer = builder_.point();
    const std::vector<Value *> pool = pool_;
    ++depth_;
    builder_.set_point(InsertPoint::end(region));
    graph_.set_results(region, body());
    --depth_;
    builder_.set_point(outer);
    pool_ = pool;
  }

  std::mt19937 random_;
  Graph &graph_;
  Builder builder_;
  std::vector<Value *> pool_;
  Value *condition_ = nullptr;
  int depth_ = 0;
};

} // namespace

Graph random_graph(uint32_t seed, int nodes) {
  Graph graph("random");
  graph.set_stage(Stage::canonical);
  Generator(seed, graph).run(nodes);
  return graph;
}

} // namespace cameo::test
