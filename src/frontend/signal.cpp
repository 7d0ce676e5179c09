// Fourier transforms, windows and mel filters.
#include "runtime_axes.h"

#include <cmath>

namespace cameo::frontend {
namespace {

// One integer that must be known; nullopt after failing.
std::optional<int64_t> known_scalar(NodeImport &n, Value *v, std::string_view what) {
  const std::vector<int64_t> values = n.need_ints(v, what);
  if (n.failed()) return std::nullopt;
  if (values.size() == 1) return values[0];
  n.fail(std::string(what) + " is not one number");
  return std::nullopt;
}

// Forward real or complex to complex; onesided: [0, length / 2]. Inverse onesided: complex to real.
Value *dft(NodeImport &n, Value *x, int64_t axis, bool inverse, bool onesided, const Dim &length) {
  if (n.failed()) return nullptr;
  const Dim &parts = x->type().dim(-1);
  if (!parts.is_constant()) return n.unsupported("a number of parts known only at run time");
  if (!parts.is(1) && !parts.is(2))
    return n.fail("the last axis has extent " + parts.str() + ", not 1 (real) or 2 (complex)");
  if (length.is_constant() && length.value() < 1) return n.fail("dft_length is " + length.str());
  if (onesided && !inverse && !parts.is(1)) return n.fail("a one-sided transform needs a real input");
  Shape shape = x->type().shape();
  shape[size_t(axis)] = onesided && !inverse ? floordiv(length, 2) + 1 : length;
  shape.back() = onesided && inverse ? 1 : 2;
  return n.make_typed(Op::dft, {x}, {{"axis", axis}, {"inverse", inverse}, {"onesided", onesided}, {"length", length}},
                      Type::tensor(x->type().dtype(), std::move(shape)));
}

// The transform changes the extent of an axis that only the run knows: x counts as [outer, extent, inner, parts].
void dft_along(NodeImport &n, Value *x, Value *axis, bool inverse, bool onesided) {
  const Shape &shape = x->type().shape();
  const auto count = int64_t(shape.size()) - 1;
  if (count < 1 || !product(axis->type().shape()).is(1))
    return void(n.fail("axis " + axis->type().str() + " of " + x->type().str()));
  auto numbers = [&](int64_t extent) {
    return n.make_typed(Op::iota, {}, {{"axis", int64_t{0}}}, Type::tensor(DType::i64, {extent}));
  };
  Value *at = n.gather(numbers(count + 1), n.cast(n.reshape(axis, {}), DType::i64), 0); // refuses what is out of range,
  at = n.gather(numbers(count), at, 0);                                                 // and the axis of the parts
  const Dim parts = shape.back(), all = x->type().elements();
  Value *extents = n.dims({shape.begin(), shape.end() - 1}), *one = n.scalar_int(DType::i64, 1);
  auto part = [&](Value *condition) {
    return n.reduce("product", n.map(Fn::select, {condition, extents, one}), {0}, true);
  };
  Value *here = n.map(Fn::equal, {numbers(count), at});
  Value *split = n.concat({part(n.map(Fn::less, {numbers(count), at})), part(here),
                           part(n.map(Fn::less, {at, numbers(count)})), n.dims({parts})},
                          0);
  const Dim outer = n.fresh_dim(all), extent = n.fresh_dim(all), inner = n.fresh_dim(all);
  Value *flat = n.reshape_to(x, split, {outer, extent, inner, parts});
  Dim length = inverse && onesided ? (extent - 1) * 2 : extent;
  if (n.has(1)) {
    const auto known = n.dims_of(n.input(1));
    if (!known || known->size() != 1) return void(n.unsupported("a length known only at run time"));
    length = (*known)[0];
  }
  Value *y = dft(n, flat, 1, inverse, onesided, length);
  if (n.failed()) return;
  Value *changed = n.map(Fn::select, {here, n.dims({y->type().dim(1)}), extents});
  Shape result;
  for (int64_t i = 0; i < count; ++i) result.push_back(n.fresh_dim());
  result.push_back(y->type().dim(3));
  Value *target = n.concat({changed, n.dims({result.back()})}, 0);
  n.result(n.reshape_to(y, target, std::move(result)));
}

// As import_stft, where step or length are known only at run time.
void stft_runtime(NodeImport &n, Value *x, Value *window) {
  auto scalar = [&](Value *v) {
    if (v->type().is_ranked() && v->type().rank() > 0) v = n.reshape(v, {});
    return n.cast(v, DType::i64);
  };
  auto numbers = [&](Value *count, const Dim &most) {
    return n.make_typed(Op::range, {n.scalar_int(DType::i64, 0), count, n.scalar_int(DType::i64, 1)}, {},
                        Type::tensor(DType::i64, {n.fresh_dim(most)}));
  };
  const Dim signal = x->type().dim(1);
  if (window && window->type().rank() != 1)
    return void(n.fail("the window has rank " + std::to_string(window->type().rank())));
  Value *whole = n.reshape(n.dims({signal}), {}), *step = scalar(n.input(1));
  Value *length = window ? n.reshape(n.dims({window->type().dim(0)}), {}) : n.has(3) ? scalar(n.input(3)) : whole;
  if (window && n.has(3))
    n.create(Op::check, {n.map(Fn::equal, {length, scalar(n.input(3))})},
             {{"message", std::string("a frame_length that is not that of the window")}}, {});
  Value *count = n.map(Fn::add, {n.map(Fn::div, {n.map(Fn::sub, {whole, length}), step}), n.scalar_int(DType::i64, 1)});
  Value *frames = numbers(count, signal), *places = window ? nullptr : numbers(length, signal);
  if (n.failed()) return;
  const Dim extent = window ? window->type().dim(0) : places->type().dim(0);
  if (window) places = n.make_typed(Op::iota, {}, {{"axis", int64_t{0}}}, Type::tensor(DType::i64, {extent}));
  Value *start = n.reshape(n.map(Fn::mul, {frames, step}), {frames->type().dim(0), 1});
  Value *framed = n.gather(x, n.map(Fn::add, {start, n.reshape(places, {1, extent})}), 1);
  if (window) framed = n.map(Fn::mul, {framed, n.reshape(window, {extent, 1})});
  if (n.failed()) return;
  n.result(dft(n, framed, 2, false, n.flag("onesided") && x->type().dim(2).is(1), extent));
}

} // namespace

void import_dft(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  const int64_t rank = x->type().rank();
  const bool inverse = n.flag("inverse"), onesided = n.flag("onesided");
  auto transform = [&](int64_t axis) -> Value * {
    if (axis == rank - 1) return n.fail("the axis is that of real and imaginary parts");
    const Dim &extent = x->type().dim(int(axis));
    Dim length = inverse && onesided ? (extent - 1) * 2 : extent;
    if (n.has(1)) {
      const auto known = n.dims_of(n.input(1));
      if (!known || known->size() != 1) return n.unsupported("a length known only at run time");
      length = (*known)[0];
    }
    return dft(n, x, axis, inverse, onesided, length);
  };
  if (n.version() >= 20 && n.has(2)) {
    if ((onesided || n.has(1)) && !n.ints_of(n.input(2))) return dft_along(n, x, n.input(2), inverse, onesided);
    return n.result(along_axis(n, n.input(2), rank, transform, rank - 1));
  }
  const int64_t axis = n.axis(n.version() < 20 ? n.integer("axis") : -2, rank);
  if (!n.failed()) n.result(transform(axis));
}

// frame i, sample j = signal[i * step + j] * window[j]
void import_stft(NodeImport &n) {
  Value *x = n.input(0), *window = n.input(2);
  if (!n.ranked(x) || (window && !n.ranked(window))) return;
  if (x->type().rank() == 2) x = n.reshape(x, {x->type().dim(0), x->type().dim(1), 1});
  if (x->type().rank() != 3) return void(n.fail("the signal has rank " + std::to_string(x->type().rank()) + ", not 3"));
  if (!n.ints_of(n.input(1)) || (n.has(3) && !n.ints_of(n.input(3)))) return stft_runtime(n, x, window);
  const std::optional<int64_t> step = known_scalar(n, n.input(1), "frame_step");
  if (!step) return;
  if (*step < 1) return void(n.fail("frame_step is " + std::to_string(*step)));
  Dim length = x->type().dim(1);
  if (window) {
    if (window->type().rank() != 1) return void(n.fail("the window has rank " + std::to_string(window->type().rank())));
    length = window->type().dim(0);
  }
  if (n.has(3)) {
    const std::optional<int64_t> given = known_scalar(n, n.input(3), "frame_length");
    if (!given) return;
    if (window && length.is_constant() && length.value() != *given)
      return void(n.fail("frame_length is " + std::to_string(*given) + ", the window has " + length.str()));
    length = *given;
  }
  const Dim room = x->type().dim(1) - length;
  if (room.is_constant() && room.value() < 0)
    return void(n.fail("frames of " + length.str() + " in a signal of " + x->type().dim(1).str()));
  const Dim frames = floordiv(room, *step) + 1;
  auto iota = [&](int64_t axis, Shape shape) {
    return n.make_typed(Op::iota, {}, {{"axis", axis}}, Type::tensor(DType::i64, std::move(shape)));
  };
  Value *start = n.map(Fn::mul, {iota(0, {frames, 1}), n.scalar_int(DType::i64, *step)});
  Value *index = n.map(Fn::add, {start, iota(1, {1, length})});
  Value *framed = n.gather(x, index, 1);
  if (window) framed = n.map(Fn::mul, {framed, n.reshape(window, {length, 1})});
  if (n.failed()) return;
  n.result(dft(n, framed, 2, false, n.flag("onesided") && x->type().dim(2).is(1), length));
}

// a0 - a1 cos(2 pi i / m) + a2 cos(4 pi i / m), m = size (periodic) or size - 1 (symmetric)
void import_window(NodeImport &n) {
  double a0 = 0.5, a1 = 0.5, a2 = 0;
  if (n.op() == "HammingWindow") a0 = 25.0 / 46.0, a1 = 1 - a0;
  if (n.op() == "BlackmanWindow") a0 = 0.42, a1 = 0.5, a2 = 0.08;
  const DType dtype = n.dtype("output_datatype", DType::f32);
  Value *size = n.input(0);
  if (size->type().is_ranked() && size->type().rank() > 0) size = n.reshape(size, {});
  size = n.cast(size, DType::i64);
  const DType compute = dtype == DType::f64 ? DType::f64 : DType::f32;
  Value *i = n.cast(n.make(Op::range, {n.scalar_int(DType::i64, 0), size, n.scalar_int(DType::i64, 1)}), compute);
  Value *m = n.flag("periodic")
                 ? size
                 : n.map(Fn::max, {n.map(Fn::sub, {size, n.scalar_int(DType::i64, 1)}), n.scalar_int(DType::i64, 1)});
  m = n.cast(m, compute);
  auto wave = [&](double factor, double weight) {
    Value *angle = n.map(Fn::div, {n.map(Fn::mul, {i, n.scalar(compute, factor * M_PI)}), m});
    return n.map(Fn::mul, {n.map(Fn::cos, {angle}), n.scalar(compute, weight)});
  };
  Value *y = n.map(Fn::sub, {n.scalar(compute, a0), wave(2, a1)});
  if (a2 != 0) y = n.map(Fn::add, {y, wave(4, a2)});
  n.result(n.cast(y, dtype));
}

// Triangles over the spectrogram's bins whose corners are equidistant in mel:
//   mel(f) = 2595 log10(1 + f / 700), bin(m) = floor((dft_length + 1) * 700 (10^(m / 2595) - 1) / sample_rate)
void import_mel_weight_matrix(NodeImport &n) {
  const DType dtype = n.dtype("output_datatype", DType::f32), compute = dtype == DType::f64 ? DType::f64 : DType::f32;
  auto scalar = [&](size_t i, DType type) {
    Value *v = n.input(i);
    if (v->type().is_ranked() && v->type().rank() > 0) v = n.reshape(v, {});
    return n.cast(v, type);
  };
  auto real = [&](double v) { return n.scalar(compute, v); };
  auto whole = [&](int64_t v) { return n.scalar_int(DType::i64, v); };
  auto add = [&](Value *a, Value *b) { return n.map(Fn::add, {a, b}); };
  auto sub = [&](Value *a, Value *b) { return n.map(Fn::sub, {a, b}); };
  auto mul = [&](Value *a, Value *b) { return n.map(Fn::mul, {a, b}); };
  auto div = [&](Value *a, Value *b) { return n.map(Fn::div, {a, b}); };
  Value *bins = scalar(0, DType::i64), *length = scalar(1, DType::i64);
  Value *rate = scalar(2, compute), *low = scalar(3, compute), *high = scalar(4, compute);
  auto mel = [&](Value *f) {
    return mul(n.map(Fn::log, {add(div(f, real(700)), real(1))}), real(2595 / std::log(10.0)));
  };
  low = mel(low), high = mel(high);
  Value *points = n.make(Op::range, {whole(0), add(bins, whole(2)), whole(1)});
  Value *step = div(sub(high, low), n.cast(add(bins, whole(2)), compute));
  Value *corner = add(mul(n.cast(points, compute), step), low);
  Value *hertz = mul(sub(n.map(Fn::exp, {mul(corner, real(std::log(10.0) / 2595))}), real(1)), real(700));
  Value *at = n.map(Fn::floor, {div(mul(n.cast(add(length, whole(1)), compute), hertz), rate)});
  if (n.failed()) return;
  // Corners of filter i: at[i], at[i + 1], at[i + 2].
  Value *filters = n.make(Op::range, {whole(0), bins, whole(1)});
  auto corner_of = [&](int64_t shift) { return n.gather(at, add(filters, whole(shift)), 0); };
  Value *left = corner_of(0), *middle = corner_of(1), *right = corner_of(2);
  Value *spectrum = n.make(Op::range, {whole(0), add(n.map(Fn::div, {length, whole(2)}), whole(1)), whole(1)});
  if (n.failed()) return;
  Value *j = n.reshape(n.cast(spectrum, compute), {spectrum->type().dim(0), 1});
  auto both = [&](Value *a, Value *b) { return n.map(Fn::logical_and, {a, b}); };
  auto up_to = [&](Value *a, Value *b) { return n.map(Fn::less_equal, {a, b}); };
  Value *rise = sub(middle, left), *fall = sub(right, middle), *zero = real(0), *one = real(1);
  Value *flat = n.map(Fn::equal, {rise, zero});
  Value *rising = n.map(Fn::select, {flat, one, div(sub(j, left), n.map(Fn::select, {flat, one, rise}))});
  Value *y = n.map(Fn::select, {both(up_to(left, j), up_to(j, middle)), rising, zero});
  Value *falling = div(sub(right, j), n.map(Fn::select, {n.map(Fn::equal, {fall, zero}), one, fall}));
  Value *behind = both(up_to(middle, j), n.map(Fn::less, {j, right}));
  n.result(n.cast(n.map(Fn::select, {behind, falling, y}), dtype));
}

} // namespace cameo::frontend
