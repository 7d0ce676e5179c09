// Operators that look at or change the shape: views, concatenation, splitting, repetition.
#include "runtime_axes.h"

#include <algorithm>
#include <numeric>

namespace cameo::frontend {
namespace {

// Extents of the run, when even their number is only the length of a vector; empty after failing. `rank`: what the
// model declares, and the run checks.
std::optional<int64_t> length_of(NodeImport &n, Value *&vector, std::string_view what, std::optional<int64_t> rank) {
  if (rank && vector->type().is_ranked() && vector->type().rank() == 1 && !vector->type().dim(0).is_constant())
    vector = n.with_shape(vector, what, {*rank});
  if (n.failed()) return std::nullopt;
  const Type &type = vector->type();
  if (type.is_ranked() && type.rank() == 1 && type.dim(0).is_constant() && type.dim(0).value() <= n.limits().rank)
    return type.dim(0).value();
  n.unsupported(std::string(what) + " of unknown length");
  return std::nullopt;
}

// The axes of squeeze, unsqueeze: an attribute before opset 13, an input since.
std::optional<std::vector<int64_t>> axes_of(NodeImport &n) {
  if (n.version() < 13) return n.has("axes") ? std::optional(n.ints("axes")) : std::nullopt;
  if (!n.has(1)) return std::nullopt;
  return n.need_ints(n.input(1), "axes");
}

// Extents that the run computes from a shape operand in which 0 copies (unless allow_zero) and -1 stands for what is
// left:
//   s = select(s == 0, shape_of(x), s);  s = select(s == -1, size(x) / -product(s), s)
Value *resolve_extents(NodeImport &n, Value *x, Value *target, int64_t rank, bool allow_zero) {
  auto number = [&](int64_t v) { return n.scalar_int(DType::i64, v); };
  Value *s = target;
  if (!allow_zero) {
    Shape own = x->type().shape();
    own.resize(size_t(rank), Dim(1));
    s = n.map(Fn::select, {n.map(Fn::equal, {s, number(0)}), n.dims(own), s});
  }
  Value *product = n.reduce("product", s, {0}, true);
  Value *divisor = n.map(Fn::select, {n.map(Fn::less, {product, number(0)}), n.map(Fn::neg, {product}), number(1)});
  Value *left = n.map(Fn::div, {n.dims({x->type().elements()}), divisor});
  return n.map(Fn::select, {n.map(Fn::equal, {s, number(-1)}), left, s});
}

} // namespace

void import_shape(NodeImport &n) {
  Value *x = n.input(0);
  if (n.version() < 15 || (!n.has("start") && !n.has("end"))) return n.result(n.shape_of(x));
  if (!n.ranked(x)) return;
  const int64_t rank = x->type().rank();
  auto clamp = [&](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + rank : i, 0, rank); };
  const int64_t start = clamp(n.integer("start")), end = n.has("end") ? clamp(n.integer("end", 0)) : rank;
  const Shape &shape = x->type().shape();
  n.result(n.dims(start < end ? Shape(shape.begin() + start, shape.begin() + end) : Shape()));
}

void import_size(NodeImport &n) {
  if (!n.input(0)->type().is_ranked()) return n.result(n.reduce("product", n.shape_of(n.input(0)), {0}, false));
  n.result(n.reshape(n.dims({n.input(0)->type().elements()}), {}));
}

// 0 copies the extent of the same axis (unless allowzero), -1 is what is left.
void import_reshape(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  const Shape &own = x->type().shape();
  const bool allow_zero = n.version() >= 14 && n.flag("allowzero");
  std::optional<std::vector<Dim>> target;
  if (n.version() < 5) {
    const std::vector<int64_t> shape = n.ints("shape");
    target.emplace(shape.begin(), shape.end());
  } else {
    target = n.dims_of(n.input(1));
  }
  if (!target) {
    Value *wanted = n.input(1);
    const std::optional<int64_t> rank = length_of(n, wanted, "the shape", n.declared_rank(0));
    if (!rank) return;
    // An extent is at most the number of elements, unless there are none.
    const Dim most = x->type().elements();
    const bool bounded = most.is_constant() ? !most.is(0) : !allow_zero;
    Shape shape;
    for (int64_t i = 0; i < *rank; ++i) shape.push_back(n.fresh_dim(bounded ? std::optional(most) : std::nullopt));
    return n.result(n.reshape_to(x, resolve_extents(n, x, wanted, *rank, allow_zero), std::move(shape)));
  }
  if (int64_t(target->size()) > n.limits().rank)
    return void(n.fail("a shape of rank " + std::to_string(target->size()) + " (limit " +
                       std::to_string(n.limits().rank) + ")"));

  Shape shape;
  std::optional<size_t> open;
  Dim known = 1;
  for (size_t i = 0; i < target->size(); ++i) {
    Dim d = (*target)[i];
    if (d.is(0) && !allow_zero) {
      if (i >= own.size())
        return void(n.fail("axis " + std::to_string(i) + " is to be copied from an input of rank " +
                           std::to_string(own.size())));
      d = own[i];
    } else if (d.is(-1)) {
      if (open) return void(n.fail("the shape has -1 twice"));
      open = i;
      d = 1;
    } else if (d.is_constant() && d.value() < 0) {
      return void(n.fail("the shape has the extent " + d.str()));
    }
    known *= d;
    shape.push_back(std::move(d));
  }
  const Dim all = x->type().elements();
  if (!known.valid()) return void(n.fail("the product of the extents " + std::string(known.fault_text())));
  if (open) {
    if (known.is(0)) {
      if (allow_zero || !all.is(0)) return void(n.fail("-1 beside an extent of 0"));
      shape[*open] = 0;
    } else if (std::optional<Dim> exact = all.exact_quotient(known)) {
      shape[*open] = *exact;
    } else if (all.is_constant() && known.is_constant()) {
      return void(n.fail(all.str() + " elements cannot be divided by " + known.str()));
    } else {
      shape[*open] = floordiv(all, known);
    }
  } else if (known.is_constant() && all.is_constant() && known != all) {
    return void(n.fail("the input has " + all.str() + " elements, the shape " + known.str()));
  }
  n.result(n.reshape(x, std::move(shape)));
}

// [d0 * ... , d_axis * ...]
void import_flatten(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  const int64_t rank = x->type().rank();
  int64_t axis = n.integer("axis");
  if (n.version() < 11 && axis < 0) n.fail("axis " + std::to_string(axis) + " is negative");
  if (axis < -rank || axis > rank) n.fail("axis " + std::to_string(axis) + " is outside rank " + std::to_string(rank));
  if (n.failed()) return;
  if (axis < 0) axis += rank;
  Dim outer = 1, inner = 1;
  for (int64_t i = 0; i < rank; ++i) (i < axis ? outer : inner) *= x->type().dim(int(i));
  n.result(n.reshape(x, {outer, inner}));
}

void import_squeeze(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  if (n.version() >= 13 && RuntimeAxes::needed(n, n.input(1))) return squeeze_runtime_axes(n, x, n.input(1));
  const Shape &own = x->type().shape();
  std::vector<bool> drop(own.size(), false);
  const std::optional<std::vector<int64_t>> given = axes_of(n);
  if (given) {
    for (int64_t axis : n.axes(*given, int64_t(own.size()))) {
      if (own[size_t(axis)].is_constant() && !own[size_t(axis)].is(1))
        return void(n.fail("axis " + std::to_string(axis) + " has extent " + own[size_t(axis)].str() + ", not 1"));
      drop[size_t(axis)] = true;
    }
  } else {
    // Symbols are all 1 or all stay, as the declared rank says; that they are 1 is checked by the run. Where nothing is
    // declared they stay, and the run ends when one of them is 1.
    const auto ones = std::count_if(own.begin(), own.end(), [](const Dim &d) { return d.is(1); });
    const auto symbols = std::count_if(own.begin(), own.end(), [](const Dim &d) { return !d.is_constant(); });
    const int64_t stays = int64_t(own.size()) - ones;
    const std::optional<int64_t> rank = n.declared_rank(0);
    if (symbols > 0 && rank && *rank != stays && *rank != stays - symbols)
      return void(n.unsupported("squeezing whatever extents are 1, of " + x->type().str()));
    for (size_t i = 0; i < own.size(); ++i) {
      drop[i] = own[i].is(1) || (!own[i].is_constant() && rank && *rank < stays);
      if (rank || own[i].is_constant()) continue;
      Value *single = n.map(Fn::equal, {n.reshape(n.dims({own[i]}), {}), n.scalar_int(DType::i64, 1)});
      Value *stays_so = n.map(Fn::logical_not, {single});
      if (n.failed()) return;
      n.create(Op::check, {stays_so}, {{"message", std::string("an extent that is 1 only in this run is squeezed")}},
               {});
    }
  }
  if (n.failed()) return;
  Shape shape;
  for (size_t i = 0; i < own.size(); ++i)
    if (!drop[i]) shape.push_back(own[i]);
  n.result(n.reshape(x, std::move(shape)));
}

void import_unsqueeze(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  if (n.version() >= 13 && RuntimeAxes::needed(n, n.input(1))) return unsqueeze_runtime_axes(n, x, n.input(1));
  const std::optional<std::vector<int64_t>> given = axes_of(n);
  if (!given) return void(n.fail("has no axes"));
  const int64_t rank = x->type().rank() + int64_t(given->size());
  if (rank > n.limits().rank)
    return void(
        n.fail("a result of rank " + std::to_string(rank) + " (limit " + std::to_string(n.limits().rank) + ")"));
  std::vector<int64_t> axes = n.axes(*given, rank);
  if (n.failed()) return;
  std::sort(axes.begin(), axes.end());
  Shape shape = x->type().shape();
  for (int64_t axis : axes) shape.insert(shape.begin() + axis, Dim(1));
  n.result(n.reshape(x, std::move(shape)));
}

void import_transpose(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  std::vector<int64_t> perm = n.ints("perm");
  if (!n.has("perm")) {
    perm.resize(size_t(x->type().rank()));
    std::iota(perm.rbegin(), perm.rend(), 0);
  }
  for (int64_t &axis : perm) // the standard has no negative axes here, but they are unambiguous
    if (axis < 0 && axis >= -x->type().rank()) axis += x->type().rank();
  n.result(n.transpose(x, std::move(perm)));
}

void import_concat(NodeImport &n) {
  std::vector<Value *> xs = n.inputs();
  if (!n.ranked(xs[0])) return;
  const int64_t axis = n.axis(n.integer("axis", 1), xs[0]->type().rank());
  // Empty vectors without meaning come from exporters that concatenate nothing; they change nothing.
  n.result(n.concat(std::move(xs), axis));
}

namespace {

// Parts whose sizes only the run knows: slices between the sums of the sizes before and with them.
void split_by(NodeImport &n, Value *x, int64_t axis, Value *sizes) {
  const auto parts = int64_t(n.output_count());
  if (sizes->type().is_ranked() && sizes->type().rank() == 1 && !sizes->type().dim(0).is_constant())
    sizes = n.with_shape(sizes, "split", {parts});
  if (n.failed()) return;
  if (!sizes->type().is_ranked() || sizes->type().rank() != 1 || !sizes->type().dim(0).is_constant() ||
      sizes->type().dim(0).value() < parts)
    return void(n.fail("has " + std::to_string(parts) + " outputs for sizes " + sizes->type().str()));
  sizes = n.cast(sizes, DType::i64);
  Value *sum = n.reduce("sum", sizes, {0}, false);
  n.create(Op::check, {n.map(Fn::equal, {sum, n.reshape(n.dims({x->type().dim(int(axis))}), {})})},
           {{"message", std::string("sizes of a split that do not sum to the extent of its axis")}}, {});
  Value *ends = n.make(Op::cumulative, {sizes},
                       {{"fn", std::string("sum")}, {"axis", int64_t{0}}, {"exclusive", false}, {"reverse", false}});
  Value *starts = n.map(Fn::sub, {ends, sizes});
  for (int64_t i = 0; i < parts; ++i)
    if (n.wants(size_t(i)))
      n.result(size_t(i), n.make(Op::slice, {x, n.slice(starts, 0, i, 1), n.slice(ends, 0, i, 1), n.ints_constant({1})},
                                 {{"axes", std::vector<int64_t>{axis}}}));
}

} // namespace

void import_split(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  const int64_t axis = n.axis(n.integer("axis", 0), x->type().rank());
  if (n.failed()) return;
  const Dim extent = x->type().dim(int(axis));
  const auto parts = int64_t(n.output_count());
  std::vector<Dim> sizes;
  if (n.version() < 13 && n.has("split")) {
    const std::vector<int64_t> split = n.ints("split");
    sizes.assign(split.begin(), split.end());
  } else if (n.has(1)) {
    auto split = n.dims_of(n.input(1));
    if (!split) return split_by(n, x, axis, n.input(1));
    sizes = std::move(*split);
    if (n.has("num_outputs")) return void(n.fail("has both split and num_outputs"));
  } else {
    int64_t count = parts;
    if (n.version() >= 18) {
      if (!n.has("num_outputs")) return void(n.fail("needs split or num_outputs"));
      count = n.integer("num_outputs", 0);
      if (count < 1) return void(n.fail("num_outputs is " + std::to_string(count)));
    }
    if (n.version() < 18 && extent.is_constant() && extent.value() % count != 0)
      return void(n.fail("extent " + extent.str() + " of axis " + std::to_string(axis) + " cannot be split into " +
                         std::to_string(count) + " equal parts"));
    if (count < parts || count > 1'000'000)
      return void(n.fail("num_outputs is " + std::to_string(count) + " for " + std::to_string(parts) + " outputs"));
    // Equal parts, the last one smaller.
    const Dim size = n.version() < 18 ? floordiv(extent, count) : ceildiv(extent, count);
    for (int64_t i = 0; i + 1 < count; ++i) sizes.push_back(size);
    sizes.push_back(extent - size * (count - 1));
    if (sizes.back().is_constant() && sizes.back().value() < 0) // 1 into 3: 1, 0, 0
      for (int64_t i = 0; i < count; ++i)
        sizes[size_t(i)] = std::clamp<int64_t>(extent.value() - i * size.value(), 0, size.value());
  }
  if (int64_t(sizes.size()) < parts)
    return void(n.fail("has " + std::to_string(parts) + " outputs for " + std::to_string(sizes.size()) + " sizes"));
  Dim sum = 0;
  for (const Dim &size : sizes) {
    if (size.is_constant() && size.value() < 0) return void(n.fail("a size is " + size.str()));
    sum += size;
  }
  if (!sum.valid() || (sum.is_constant() && extent.is_constant() && sum != extent))
    return void(n.fail("the sizes sum to " + sum.str() + ", the axis has " + extent.str()));
  Dim start = 0;
  for (int64_t i = 0; i < parts; ++i) {
    if (n.wants(size_t(i))) n.result(size_t(i), n.slice(x, axis, start, sizes[size_t(i)]));
    start += sizes[size_t(i)];
  }
}

// numpy broadcasting of x and a shape.
void import_expand(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  const Shape &own = x->type().shape();
  if (auto target = n.dims_of(n.input(1))) {
    for (const Dim &d : *target)
      if (d.is_constant() && d.value() < 0) return void(n.fail("the shape has the extent " + d.str()));
    if (int64_t(target->size()) > n.limits().rank)
      return void(n.fail("a shape of rank " + std::to_string(target->size())));
    std::optional<Shape> shape = graph::broadcast_shapes(own, *target);
    if (!shape)
      return void(n.fail("shapes " + x->type().str() + " and " + Type::tensor(x->type().dtype(), *target).str() +
                         " do not broadcast"));
    return n.result(n.broadcast(x, std::move(*shape)));
  }
  Value *wanted = n.input(1);
  const std::optional<int64_t> length = length_of(n, wanted, "the shape", n.declared_rank(0));
  if (!length) return;
  const int64_t rank = std::max<int64_t>(*length, int64_t(own.size()));
  Shape from(size_t(rank) - own.size(), Dim(1));
  from.insert(from.end(), own.begin(), own.end());
  Value *one = n.scalar_int(DType::i64, 1);
  if (rank > *length) wanted = n.concat({n.ints_constant(std::vector<int64_t>(size_t(rank - *length), 1)), wanted}, 0);
  Value *extents = n.map(Fn::select, {n.map(Fn::equal, {wanted, one}), n.dims(from), wanted});
  Shape shape;
  for (int64_t i = 0; i < rank; ++i) // an extent above 1 stays
    shape.push_back(from[size_t(i)].is_constant() && from[size_t(i)].value() != 1 ? from[size_t(i)] : n.fresh_dim());
  n.result(n.make_typed(Op::broadcast, {x, extents}, {}, Type::tensor(x->type().dtype(), std::move(shape))));
}

// [d0, d1] -> [1, d0, 1, d1] -> [r0, d0, r1, d1] -> [r0 * d0, r1 * d1]
void import_tile(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  const Shape &own = x->type().shape();
  std::vector<Dim> repeats;
  if (n.version() < 6) { // `tiles` along one `axis`
    const auto tiles = n.ints_of(n.input(1)), axis = n.ints_of(n.input(2));
    if (!tiles || !axis || tiles->size() != 1 || axis->size() != 1)
      return void(n.unsupported("repeats known only at run time"));
    repeats.assign(own.size(), Dim(1));
    const int64_t at = n.axis((*axis)[0], int64_t(own.size()));
    if (n.failed()) return;
    repeats[size_t(at)] = (*tiles)[0];
  } else if (auto known = n.dims_of(n.input(1))) {
    repeats = std::move(*known);
  } else {
    for (size_t i = 0; i < own.size(); ++i) repeats.push_back(n.fresh_dim());
  }
  if (repeats.size() != own.size())
    return void(n.fail(std::to_string(repeats.size()) + " repeats for rank " + std::to_string(own.size())));
  Shape split, wide, merged;
  for (size_t i = 0; i < own.size(); ++i) {
    if (repeats[i].is_constant() && repeats[i].value() < 0) return void(n.fail("a repeat is " + repeats[i].str()));
    split.insert(split.end(), {Dim(1), own[i]});
    wide.insert(wide.end(), {repeats[i], own[i]});
    merged.push_back(repeats[i] * own[i]);
  }
  if (int64_t(wide.size()) > n.limits().rank) return void(n.unsupported("rank " + std::to_string(own.size())));
  Value *y = n.reshape(x, std::move(split));
  if (n.version() >= 6 && !n.dims_of(n.input(1)) && !n.failed()) {
    // The repeats define the run-time symbols: interleave them with the extents.
    const auto rank = int64_t(own.size());
    Value *pairs = n.concat({n.reshape(n.input(1), {rank, 1}), n.reshape(n.dims(own), {rank, 1})}, 1);
    y = n.make_typed(Op::broadcast, {y, n.reshape(pairs, {2 * rank})}, {},
                     Type::tensor(x->type().dtype(), std::move(wide)));
  } else {
    y = n.broadcast(y, std::move(wide));
  }
  n.result(n.reshape(y, std::move(merged)));
}

namespace {

// Reads blocksize and checks [n, c, h, w].
int64_t block_size(NodeImport &n, Value *x) {
  if (!n.ranked(x)) return 0;
  const int64_t b = n.integer("blocksize");
  if (x->type().rank() != 4) n.fail("the input has rank " + std::to_string(x->type().rank()) + ", not 4");
  if (b < 1 || b > 1 << 15) n.fail("blocksize is " + std::to_string(b));
  return n.failed() ? 0 : b;
}

} // namespace

// DCR: c = (row, column, depth); CRD: c = (depth, row, column).
void import_depth_to_space(NodeImport &n) {
  Value *x = n.input(0);
  const int64_t b = block_size(n, x);
  if (!b) return;
  const Shape &s = x->type().shape();
  const bool dcr = n.version() < 11 || n.word("mode", {"DCR", "CRD"}) == "DCR";
  if (s[1].is_constant() && s[1].value() % (b * b) != 0)
    return void(n.fail(s[1].str() + " channels cannot be divided by blocksize " + std::to_string(b) + " squared"));
  const Dim depth = floordiv(s[1], b * b);
  Value *y = n.reshape(x, dcr ? Shape{s[0], b, b, depth, s[2], s[3]} : Shape{s[0], depth, b, b, s[2], s[3]});
  y = n.transpose(y, dcr ? std::vector<int64_t>{0, 3, 4, 1, 5, 2} : std::vector<int64_t>{0, 1, 4, 2, 5, 3});
  n.result(n.reshape(y, {s[0], depth, s[2] * b, s[3] * b}));
}

void import_space_to_depth(NodeImport &n) {
  Value *x = n.input(0);
  const int64_t b = block_size(n, x);
  if (!b) return;
  const Shape &s = x->type().shape();
  for (int i : {2, 3})
    if (s[size_t(i)].is_constant() && s[size_t(i)].value() % b != 0)
      return void(n.fail("extent " + s[size_t(i)].str() + " cannot be divided by blocksize " + std::to_string(b)));
  const bool crd = n.version() >= 28 && n.word("mode", {"DCR", "CRD"}) == "CRD";
  const Dim h = floordiv(s[2], b), w = floordiv(s[3], b);
  Value *y = n.reshape(x, {s[0], s[1], h, b, w, b});
  y = n.transpose(y, crd ? std::vector<int64_t>{0, 1, 3, 5, 2, 4} : std::vector<int64_t>{0, 3, 5, 1, 2, 4});
  n.result(n.reshape(y, {s[0], s[1] * (b * b), h, w}));
}

} // namespace cameo::frontend
