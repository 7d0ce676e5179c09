// Where the lanes of a point lie: coordinates, bounds checks of those that may leave their domain, and places in a
// buffer by its binding.
#include "lowerer.h"

#include <algorithm>

namespace cameo::loop {
namespace {

int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a % b < 0) != (b < 0)); }

// a / d for an affine form whose coefficients and constant are multiples of d.
Affine divide_exact(const Affine &a, int64_t d) {
  Affine out(a.constant / d);
  for (const auto &[value, coefficient] : a.terms) out += Affine(value, coefficient / d);
  return out;
}

// a = multiple + rest, where `multiple` is made of multiples of d and the rest's constant is in [0, d).
std::pair<Affine, Affine> split(const Affine &a, int64_t d) {
  Affine multiple(floor_div(a.constant, d) * d), rest(a.constant - multiple.constant);
  for (const auto &[value, coefficient] : a.terms)
    (coefficient % d == 0 ? multiple : rest) += Affine(value, coefficient);
  return {multiple, rest};
}

} // namespace

Lowerer::LaneIndex Lowerer::lane_index(const Index &index, Context &context) {
  LaneIndex out;
  out.base = index.constant;
  for (const auto &[axis, coefficient] : index.axes) {
    out.base += context.point.index[axis] * coefficient;
    if (axis == context.point.vector_axis && context.point.lanes > 1) out.step += coefficient;
  }
  if (index.indirect >= 0) {
    Value v = eval(index.indirect, context);
    if (b_.type(v).lanes == 1)
      out.base += Affine(v);
    else
      out.extra = v;
  }
  return out;
}

// The coordinate of each lane as a vector (or a scalar when all lanes agree).
std::vector<Value> Lowerer::lane_vector(const LaneIndex &c, int32_t lanes) {
  Value v = index_value(c.base);
  if (c.step == 0 && !c.extra.valid()) return {v};
  const Type type = kIndex.with_lanes(lanes);
  Value sum = splat(v, lanes);
  if (c.step != 0) {
    Value steps = shared({-4, lanes}, {}, [&] { return b_.iota(type); });
    if (c.step != 1) steps = apply_op(Opcode::mul, {steps, integer(type, c.step)}, Scalar::i64);
    sum = apply_op(Opcode::add, {sum, steps}, Scalar::i64);
  }
  if (c.extra.valid()) sum = apply_op(Opcode::add, {sum, c.extra}, Scalar::i64);
  return {sum};
}

// Bounds checks of the coordinates that may leave their domain. Such a coordinate is replaced by a safe one inside the
// domain; the result is true where all of them were inside (an invalid value when that is certain).
Value Lowerer::guard(const Expr &e, std::vector<LaneIndex> &coordinates, const std::vector<Range> &domain,
                     const Point &point) {
  const int32_t lanes = point.lanes;
  // Lanes that do not exist need no check; how many exist is a constant, or the last ones are cut off at the domain's
  // end.
  const int64_t existing = point.active.valid() ? b_.known_constant(point.active).value_or(1) : lanes;
  Value inside;
  for (size_t d = 0; d < coordinates.size(); ++d) {
    LaneIndex &c = coordinates[d];
    const Range &range = domain[d];
    if (!c.extra.valid() && !range.symbolic.valid()) {
      Affine last = c.base + Affine(c.step * (existing - 1));
      auto low = bounds(c.step < 0 ? last : c.base), high = bounds(c.step < 0 ? c.base : last);
      if (low && high && low->first >= range.base.constant && high->second < range.base.constant + range.extent)
        continue;
    }
    Value v = lane_vector(c, lanes)[0];
    const int32_t n = b_.type(v).lanes;
    const Type type = kIndex.with_lanes(n);
    Value low = integer(type, range.base.constant);
    Value high = range.symbolic.valid()
                     ? splat(apply_op(Opcode::sub, {range.symbolic, integer(kIndex, 1)}, Scalar::i64), n)
                     : integer(type, range.base.constant + range.extent - 1);
    Value safe = apply_op(Opcode::max, {apply_op(Opcode::min, {v, high}, Scalar::i64), low}, Scalar::i64);
    // Nothing is inside of an empty range.
    const bool maybe_empty = range.symbolic.valid() || range.extent == 0;
    Value ok;
    if (range.symbolic.valid())
      ok = apply_op(Opcode::ult, {v, splat(range.symbolic, n)}, Scalar::i1);
    else if (range.extent == 0)
      ok = integer({Scalar::i1, n, false}, 0);
    else
      ok = apply_op(Opcode::eq, {safe, v}, Scalar::i1);
    if (e.rule == OutOfRange::clamp && maybe_empty)
      ok = range.symbolic.valid() ? splat(apply_op(Opcode::lt, {integer(kIndex, 0), range.symbolic}, Scalar::i1), n)
                                  : ok;
    if (e.rule != OutOfRange::clamp || maybe_empty)
      inside = inside.valid() ? apply_op(Opcode::bit_and, {inside, ok}, Scalar::i1) : ok;
    c = {};
    if (n == 1) {
      c.base = Affine(safe);
      if (!range.symbolic.valid()) ranges_[safe.id] = {range.base.constant, range.base.constant + range.extent - 1};
    } else {
      c.extra = safe;
    }
  }
  return inside;
}

Value Lowerer::any_inside(const std::vector<Range> &domain) {
  Value some;
  for (const Range &range : domain) {
    if (!range.symbolic.valid() && range.extent > 0) continue;
    const Value one = range.symbolic.valid() ? apply_op(Opcode::lt, {integer(kIndex, 0), range.symbolic}, Scalar::i1)
                                             : integer({Scalar::i1, 1, false}, 0);
    some = some.valid() ? apply_op(Opcode::bit_and, {some, one}, Scalar::i1) : one;
  }
  return some;
}

// An empty tensor may have no memory but for a first element, and whole vectors of that size; see run.c and
// Emitter::workspace().
Lowerer::Place_ Lowerer::or_first(Place_ at, Value some, int32_t lanes) {
  if (!some.valid()) return at;
  if (at.step != 0 && at.step != 1) {
    const Value steps = lane_vector({Affine(0), at.step, {}}, lanes)[0];
    at.extra = at.extra.valid() ? apply_op(Opcode::add, {at.extra, steps}, Scalar::i64) : steps;
    at.step = 0;
  }
  at.address = Affine(apply_op(Opcode::select, {some, index_value(at.address), integer(kIndex, 0)}, Scalar::i64));
  if (at.extra.valid())
    at.extra = apply_op(Opcode::select, {some, at.extra, integer(b_.type(at.extra), 0)}, Scalar::i64);
  return at;
}

Lowerer::Place_ Lowerer::place(const std::vector<LaneIndex> &coordinates, const Binding &binding, int32_t lanes,
                               int64_t existing) {
  const int64_t last = (existing < 0 ? lanes : existing) - 1; // lane
  Place_ out;
  out.address = binding.offset;
  auto add_extra = [&](Value v) {
    out.extra = out.extra.valid() ? apply_op(Opcode::add, {out.extra, v}, Scalar::i64) : v;
  };
  // Whether rest + lane * step lies in [0, limit) for all lanes.
  auto within = [&](const Affine &rest, int64_t step, int64_t limit) {
    const auto range = bounds(rest);
    return range && range->first >= 0 && step >= 0 && range->second + step * last < limit;
  };
  for (const LayoutTerm &term : binding.terms) {
    LaneIndex part = coordinates[term.dim];
    if (term.divide != 1 || term.modulo != 0) {
      bool done = false;
      if (!part.extra.valid()) {
        const auto [multiple, rest] = split(part.base, term.divide);
        const bool stays = within(rest, part.step, term.divide);
        if (stays || (rest.is_constant() && part.step % term.divide == 0)) {
          LaneIndex q{divide_exact(multiple, term.divide), stays && term.divide != 1 ? 0 : part.step / term.divide, {}};
          if (term.modulo == 0) {
            part = q;
            done = true;
          } else if (Affine digit = split(q.base, term.modulo).second; within(digit, q.step, term.modulo)) {
            part = {digit, q.step, {}};
            done = true;
          }
        }
      }
      if (!done) {
        Value v = lane_vector(part, lanes)[0];
        const Type type = b_.type(v);
        if (term.divide != 1) v = apply_op(Opcode::udiv, {v, integer(type, term.divide)}, Scalar::i64);
        if (term.modulo != 0) v = apply_op(Opcode::urem, {v, integer(type, term.modulo)}, Scalar::i64);
        part = {};
        if (type.lanes == 1)
          part.base = Affine(v);
        else
          part.extra = v;
      }
    }
    if (term.stride_symbol >= 0) {
      Value stride = symbols_[term.stride_symbol];
      if (term.stride != 1) stride = apply_op(Opcode::mul, {stride, integer(kIndex, term.stride)}, Scalar::i64);
      Value v = lane_vector(part, lanes)[0];
      Value product = apply_op(Opcode::mul, {v, stride}, Scalar::i64);
      if (b_.type(product).lanes == 1)
        out.address += Affine(product);
      else
        add_extra(product);
      continue;
    }
    out.address += part.base * term.stride;
    out.step += part.step * term.stride;
    if (part.extra.valid() && term.stride == 1)
      add_extra(part.extra);
    else if (part.extra.valid())
      add_extra(apply_op(Opcode::mul, {part.extra, integer(kIndex.with_lanes(lanes), term.stride)}, Scalar::i64));
  }
  return out;
}

} // namespace cameo::loop
