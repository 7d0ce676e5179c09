// Attention: y = softmax(scale q k^T, capped, masked) v for each head, where `each` query heads share a head of keys
// and values.
//
// By blocks of keys with an online softmax (Milakov and Gimelshein, arXiv:1805.02867; Dao et al., arXiv:2205.14135):
// block b leaves
//
//   best_b  = max(best_b-1, scores of the block)       alpha = exp(best_b-1 - best_b)      p = exp(score - best_b)
//   total_b = alpha total_b-1 + sum p                  sum_b = alpha sum_b-1 + p v         y = sum / total of the last
//   block
//
// so the scores exist for one block and a few queries at a time. A query all of whose keys are forbidden gives 0. The
// axes of queries stand last: they are the lanes. Where the scores or the present keys are results as well, or heads
// have no fixed number and size, it is computed step by step (lower_attention_plain.cpp).
#include "lowering.h"

#include "cameo/ops/stage_builder.h"

#include <limits>

namespace cameo::ops {
namespace {

using graph::Dim;
using graph::Value;

constexpr int64_t kBlock = 64;         ///< keys: scores of two vectors of queries stay in the first-level cache
constexpr int64_t kSymbolicBlock = 32; ///< smaller, as half a block is computed in vain on average

// Keys of a block: a divisor of their number where there is a good one, so that none is cut, else blocks as equal as
// possible.
int64_t block_of(const Dim &keys) {
  if (!keys.is_constant()) return kSymbolicBlock;
  const int64_t n = std::max<int64_t>(keys.value(), 1);
  for (int64_t b = std::min(n, kBlock); b > kBlock / 2; --b)
    if (n % b == 0) return b;
  const int64_t count = (n + kBlock - 1) / kBlock;
  return (n + count - 1) / count;
}

class Attention {
public:
  Attention(Lowering &l, const graph::Node &node)
      : l_(l), node_(node), q_(node.operand(0)), k_(node.operand(1)), v_(node.operand(2)), mask_(node.operand(3)),
        past_key_(node.operand(4)), past_value_(node.operand(5)), lengths_(node.operand(6)),
        t_(value_type(node.has_attribute("compute") ? node.dtype("compute") : q_->type().dtype())) {}

  static bool fits(const graph::Node &node) {
    const DType dtype = node.operand()->type().dtype();
    const DType compute = node.has_attribute("compute") ? node.dtype("compute") : dtype;
    if (node.region_count() > 0 || node.result_count() > 1 || !is_float(dtype) || value_type(compute) != Scalar::f32)
      return false;
    for (size_t i = 0; i < 3; ++i) {
      const graph::Type &type = node.operand(i)->type();
      if (!is_float(type.dtype()) || type.dtype() == DType::f64 || !type.dim(1).is_constant() ||
          !type.dim(3).is_constant() || type.dim(1).is(0))
        return false;
    }
    return true;
  }

  Problem run() {
    groups_ = k_->type().dim(1).value();
    each_ = q_->type().dim(1).value() / groups_;
    past_ = past_key_ ? past_key_->type().dim(2) : Dim(0);
    keys_ = past_ + k_->type().dim(2);
    batch_ = l_.extent(q_->type().dim(0));
    queries_ = l_.extent(q_->type().dim(2));
    online();
    return {};
  }

private:
  ExprId carried() { return l_.kernel().carried(t_); }
  // x / total, but 0 where every key is forbidden, or there is none.
  ExprId share(ExprId x, ExprId total) {
    const ExprId none = l_.op(Opcode::eq, total, l_.number(t_, 0));
    return l_.select(none, l_.number(t_, 0), l_.op(Opcode::div, x, total));
  }
  // Less than every score but minus infinity, and finite: the difference of two is a number.
  ExprId lowest() { return l_.kernel().constant(t_, std::numeric_limits<float>::lowest()); }
  ExprId infinite() { return l_.kernel().constant(t_, -std::numeric_limits<double>::infinity()); }

  // Where a key stands: its index over the axes of a stage, and whether it may lie behind the last one.
  struct Key {
    Index index;
    bool cut = false;
  };
  struct Point { ///< axes of the stage
    int32_t n, g, r, i;
  };

  // Element of what lies in `past` up to its end and in `x` from there on.
  ExprId joined(const Value *past, const Value *x, int32_t n, int32_t g, const Key &key, const Index &element) {
    // Extents that only the run can compare may differ: then nothing outside is read.
    const bool same =
        x->type().dim(0) == q_->type().dim(0) && x->type().dim(1).is(groups_) && (past || x->type().dim(2) == keys_);
    const OutOfRange rule = key.cut || !same ? OutOfRange::clamp : OutOfRange::never;
    if (!past) return l_.read(x, {loop::axis_index(n), loop::axis_index(g), key.index, element}, rule);
    const ExprId at = l_.index_value(key.index), start = l_.dim_value(past_);
    const ExprId old = l_.read(past, {loop::axis_index(n), loop::axis_index(g), key.index, element}, OutOfRange::clamp);
    const ExprId now =
        l_.read(x, {loop::axis_index(n), loop::axis_index(g), Lowering::at(l_.op(Opcode::sub, at, start)), element},
                OutOfRange::clamp);
    return l_.select(l_.op(Opcode::lt, at, start), old, now);
  }
  ExprId element(const Value *past, const Value *x, int32_t n, int32_t g, const Key &key, const Index &e) {
    return convert(l_, joined(past, x, n, g, key, e), x->type().dtype(), t_);
  }
  Index head(const Point &p) const {
    Index h = loop::axis_index(p.g, each_);
    h.axes.emplace_back(p.r, 1);
    return h;
  }
  ExprId query(const Point &p, const Index &e) {
    return convert(l_, l_.read(q_, {loop::axis_index(p.n), head(p), loop::axis_index(p.i), e}), q_->type().dtype(), t_);
  }

  ExprId capped(ExprId score) {
    if (!node_.has_attribute("softcap")) return score;
    const ExprId cap = l_.number(t_, node_.real("softcap"));
    return l_.op(Opcode::mul, l_.op(Opcode::tanh, l_.op(Opcode::div, score, cap)), cap);
  }
  ExprId scaled(ExprId product) { return l_.op(Opcode::mul, product, l_.number(t_, node_.real("scale"))); }

  // The score with what the mask adds, minus infinity where it forbids the key.
  ExprId masked(ExprId score, const Point &p, const Key &key) {
    ExprId allowed = -1;
    auto also = [&](ExprId condition) {
      allowed = allowed < 0 ? condition : l_.op(Opcode::bit_and, allowed, condition);
    };
    if (mask_) {
      const graph::Shape &shape = mask_->type().shape();
      const graph::Shape whole = {q_->type().dim(0), q_->type().dim(1), q_->type().dim(2), keys_};
      bool same = true; // or to be found out by the run: then nothing outside is read
      const std::vector<Index> full = {loop::axis_index(p.n), head(p), loop::axis_index(p.i), key.index};
      std::vector<Index> at;
      for (size_t d = 0; d < shape.size(); ++d) {
        const size_t axis = full.size() - shape.size() + d;
        at.push_back(shape[d].is(1) ? Index{} : full[axis]);
        same &= shape[d].is(1) || shape[d] == whole[axis];
      }
      const ExprId m = l_.read(mask_, at, key.cut || !same ? OutOfRange::clamp : OutOfRange::never);
      if (mask_->type().dtype() == DType::boolean)
        also(m);
      else
        score = l_.op(Opcode::add, score, convert(l_, m, mask_->type().dtype(), t_));
    }
    const ExprId at = l_.index_value(key.index);
    if (node_.flag("causal")) also(l_.op(Opcode::le, at, l_.op(Opcode::add, l_.kernel().axis_value(p.i), offset(p))));
    if (lengths_) also(l_.op(Opcode::lt, at, length(p)));
    if (key.cut) also(l_.op(Opcode::lt, at, l_.dim_value(keys_)));
    return allowed < 0 ? score : l_.select(allowed, score, infinite());
  }
  ExprId length(const Point &p) {
    return convert(l_,
                   l_.read(lengths_, {loop::axis_index(p.n)},
                           lengths_->type().dim(0) == q_->type().dim(0) ? OutOfRange::never : OutOfRange::clamp),
                   lengths_->type().dtype(), Scalar::i64);
  }
  // The key that the first query stands at.
  ExprId offset(const Point &p) {
    if (!lengths_) return l_.dim_value(past_);
    return l_.op(Opcode::sub, length(p), l_.dim_value(q_->type().dim(2)));
  }

  Space result_space() const {
    Space space;
    space.axes = {{"n", batch_}, {"g", groups_}, {"r", each_}, {"i", queries_}, {"u", v_->type().dim(3).value()}};
    const Point p{0, 1, 2, 3};
    space.dims = {loop::axis_index(0), head(p), loop::axis_index(3), loop::axis_index(4)};
    return space;
  }
  void finish(const Space &space, ExprId value) { l_.define_pointwise(node_.result(), space, value, "y"); }

  ExprId back(int32_t stage_id, std::vector<Index> at) { // a stage that is added below
    loop::Expr e;
    e.kind = loop::Expr::Kind::stage;
    e.type = t_;
    e.source = stage_id;
    e.indices = std::move(at);
    l_.kernel().exprs.push_back(std::move(e));
    return static_cast<ExprId>(l_.kernel().exprs.size()) - 1;
  }
  static std::vector<Index> axes(std::vector<int32_t> list) {
    std::vector<Index> out;
    for (int32_t a : list) out.push_back(loop::axis_index(a));
    return out;
  }

  void online() {
    loop::Kernel &k = l_.kernel();
    const int64_t block = block_of(keys_), size = q_->type().dim(3).value();
    const Dim count = ceildiv(keys_, block);
    const bool cut = !keys_.is_constant() || keys_.value() % block != 0;
    // The last block, and the one before.
    const Index last = count.is_constant() ? loop::axis_index(-1, 0, std::max<int64_t>(count.value(), 1) - 1)
                                           : Lowering::at(l_.op(Opcode::sub, l_.dim_value(count), l_.integer(1)));
    const loop::Extent blocks =
        count.is_constant() ? loop::Extent(std::max<int64_t>(count.value(), 1)) : l_.extent(count);
    const loop::Axis step{"b", blocks, AxisKind::sequential}, b{"b", blocks}, n{"n", batch_}, g{"g", groups_},
        r{"r", each_}, i{"i", queries_}, j{"j", block}, u{"u", v_->type().dim(3).value()};
    const Index previous = loop::axis_index(0, 1, -1);
    auto key = [&](int32_t j_axis) { return Key{window_index(0, block, j_axis, 1, 0), cut}; };
    const int32_t first = static_cast<int32_t>(k.stages.size()), total = first + 6, best = first + 7, sum = first + 8;
    auto before = [&](int32_t s, bool element) {
      return back(s, element ? std::vector<Index>{previous, loop::axis_index(1), loop::axis_index(2),
                                                  loop::axis_index(3), loop::axis_index(4), loop::axis_index(5)}
                             : std::vector<Index>{previous, loop::axis_index(1), loop::axis_index(2),
                                                  loop::axis_index(3), loop::axis_index(4)});
    };
    const ExprId zero = l_.number(t_, 0);
    const int32_t qt =
        k.add_stage(stage("qt", {n, g, r, {"d", size}, i}, t_, query({0, 1, 2, 4}, loop::axis_index(3))));
    const ExprId product = l_.op(Opcode::muladd, element(past_key_, k_, 1, 2, key(4), loop::axis_index(6)),
                                 k.read_stage(qt, axes({1, 2, 3, 6, 5})), carried());
    const int32_t score =
        k.add_stage(stage("score", {b, n, g, r, j, i, reduction("d", size)}, t_, product, zero, Opcode::add));
    const ExprId value = masked(capped(scaled(k.read_stage(score, identity(6)))), {1, 2, 3, 5}, key(4));
    const int32_t m = k.add_stage(stage("masked", {b, n, g, r, j, i}, t_, value));
    const std::vector<Index> row = axes({0, 1, 2, 3, 5, 4}); // of (b, n, g, r, j, i), read from (b, n, g, r, i, j)
    const int32_t top =
        k.add_stage(stage("top", {b, n, g, r, i, reduction("j", block)}, t_,
                          l_.op(Opcode::max, carried(), k.read_stage(m, row)), before(best, false), Opcode::max));
    const int32_t alpha =
        k.add_stage(stage("alpha", {b, n, g, r, i}, t_,
                          l_.op(Opcode::exp, l_.op(Opcode::sub, before(best, false), k.read_stage(top, identity(5))))));
    const int32_t p = k.add_stage(stage("p", {b, n, g, r, j, i}, t_,
                                        l_.op(Opcode::exp, l_.op(Opcode::sub, k.read_stage(m, identity(6)),
                                                                 k.read_stage(top, axes({0, 1, 2, 3, 5}))))));
    loop::Stage totals = stage("total", {step, n, g, r, i, reduction("j", block)}, t_,
                               l_.op(Opcode::add, carried(), k.read_stage(p, row)),
                               l_.op(Opcode::mul, k.read_stage(alpha, identity(5)), before(total, false)), Opcode::add);
    totals.before = {zero};
    CAMEO_CHECK(k.add_stage(std::move(totals)) == total, "stage order");
    loop::Stage maxima = stage("best", {step, n, g, r, i}, t_, k.read_stage(top, identity(5)));
    maxima.before = {lowest()};
    CAMEO_CHECK(k.add_stage(std::move(maxima)) == best, "stage order");
    loop::Stage sums =
        stage("sum", {step, n, g, r, u, i, reduction("j", block)}, t_,
              l_.op(Opcode::muladd, element(past_value_, v_, 1, 2, key(6), loop::axis_index(4)),
                    k.read_stage(p, axes({0, 1, 2, 3, 6, 5})), carried()),
              l_.op(Opcode::mul, k.read_stage(alpha, axes({0, 1, 2, 3, 5})), before(sum, true)), Opcode::add);
    sums.before = {zero};
    CAMEO_CHECK(k.add_stage(std::move(sums)) == sum, "stage order");
    const ExprId all =
        k.read_stage(total, {last, loop::axis_index(0), loop::axis_index(1), loop::axis_index(2), loop::axis_index(3)});
    const int32_t inverse = k.add_stage(stage("inverse", {n, g, r, i}, t_, share(l_.number(t_, 1), all)));
    const ExprId out = l_.op(Opcode::mul,
                             k.read_stage(sum, {last, loop::axis_index(0), loop::axis_index(1), loop::axis_index(2),
                                                loop::axis_index(3), loop::axis_index(4)}),
                             k.read_stage(inverse, axes({0, 1, 2, 4})));
    const int32_t yt = k.add_stage(stage("yt", {n, g, r, u, i}, t_, out));
    finish(result_space(), k.read_stage(yt, axes({0, 1, 2, 4, 3})));
  }

  Lowering &l_;
  const graph::Node &node_;
  const Value *q_, *k_, *v_, *mask_, *past_key_, *past_value_, *lengths_;
  Scalar t_;
  int64_t groups_ = 1, each_ = 1; ///< key heads, and query heads of each
  Dim past_, keys_;
  loop::Extent batch_, queries_;
};

} // namespace

Problem lower_attention(Lowering &l, const graph::Node &node) {
  return Attention::fits(node) ? Attention(l, node).run() : lower_plain_attention(l, node);
}

} // namespace cameo::ops
