// The transforms of Winograd's minimal filtering, filters in advance, and the schedule of its kernels (see winograd.h).
#include "winograd.h"

#include "cameo/ops/conv_kernels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace cameo::ops {

using namespace loop;

namespace {

ExprId sub(Kernel &k, ExprId a, ExprId b) { return k.op(Opcode::sub, {a, b}); }
ExprId add(Kernel &k, ExprId a, ExprId b) { return k.op(Opcode::add, {a, b}); }
// factor * a + b
ExprId scaled(Kernel &k, double factor, ExprId a, ExprId b) {
  return k.op(Opcode::muladd, {k.constant(Scalar::f32, factor), a, b});
}

} // namespace

// Factored so that common parts are computed once.
std::vector<ExprId> winograd_input(Kernel &k, int64_t m, const Element &element) {
  std::array<ExprId, 6> d{};
  for (int64_t i = 0; i < m + 2; ++i) d[static_cast<size_t>(i)] = element(i);
  if (m == 2) return {sub(k, d[0], d[2]), add(k, d[1], d[2]), sub(k, d[2], d[1]), sub(k, d[1], d[3])};
  const ExprId a = scaled(k, -4, d[2], d[4]), b = scaled(k, -4, d[1], d[3]);
  const ExprId c = sub(k, d[4], d[2]), e = sub(k, d[3], d[1]);
  return {scaled(k, 4, d[0], scaled(k, -5, d[2], d[4])),
          add(k, a, b),
          sub(k, a, b),
          scaled(k, 2, e, c),
          scaled(k, -2, e, c),
          scaled(k, 4, d[1], scaled(k, -5, d[3], d[5]))};
}

std::vector<ExprId> winograd_output(Kernel &k, int64_t m, const Element &element) {
  std::array<ExprId, 6> x{};
  for (int64_t i = 0; i < m + 2; ++i) x[static_cast<size_t>(i)] = element(i);
  if (m == 2) return {add(k, add(k, x[0], x[1]), x[2]), sub(k, sub(k, x[1], x[2]), x[3])};
  const ExprId a = add(k, x[1], x[2]), b = sub(k, x[1], x[2]), c = add(k, x[3], x[4]), d = sub(k, x[3], x[4]);
  return {add(k, add(k, x[0], a), c), scaled(k, 2, d, b), scaled(k, 4, c, a), add(k, scaled(k, 8, d, b), x[5])};
}

double winograd_filter(int64_t m, int64_t i, int64_t a) {
  static constexpr double kG2[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
  static constexpr double kG4[6][3] = {{1.0 / 4, 0, 0},
                                       {-1.0 / 6, -1.0 / 6, -1.0 / 6},
                                       {-1.0 / 6, 1.0 / 6, -1.0 / 6},
                                       {1.0 / 24, 1.0 / 12, 1.0 / 6},
                                       {1.0 / 24, -1.0 / 12, 1.0 / 6},
                                       {0, 0, 1}};
  return m == 2 ? kG2[i][a] : kG4[i][a];
}

std::vector<float> winograd_weights(const float *w, int64_t in, int64_t out, int64_t m) {
  const int64_t n = m + 2;
  std::vector<float> u(static_cast<size_t>(n * n * in * out));
  for (int64_t c = 0; c < in; ++c)
    for (int64_t o = 0; o < out; ++o)
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < n; ++j) {
          double sum = 0;
          for (int64_t a = 0; a < 3; ++a)
            for (int64_t e = 0; e < 3; ++e)
              sum += winograd_filter(m, i, a) * winograd_filter(m, j, e) * w[((a * 3 + e) * in + c) * out + o];
          u[static_cast<size_t>(((i * n + j) * in + c) * out + o)] = static_cast<float>(sum);
        }
  return u;
}

namespace {

int32_t axis_of(const Stage &stage, std::string_view name) {
  for (size_t a = 0; a < stage.axes.size(); ++a)
    if (stage.axes[a].name == name) return static_cast<int32_t>(a);
  return -1;
}

LoopSpec loop_of(int32_t axis, int64_t tile, bool balanced = false, int32_t tasks = 0) {
  LoopSpec l;
  l.axis = axis;
  l.tile = tile;
  l.balanced = balanced;
  l.parallel_tasks = tasks;
  return l;
}

// How the tiles of an image and the channels of the result are cut: blocks of tile rows with all channels, or all tiles
// with chunks of channels.
struct Blocking {
  int64_t rows = 1;  ///< tile rows per block
  int64_t chunk = 0; ///< channels per chunk; 0: blocks of rows
  int32_t tasks = 2; ///< that share the blocks or chunks
};

// Least traffic between the second-level cache and what is behind it. Filters are read once per block of rows;
// transformed inputs and products are written and read, which costs half when a block of them stays in that cache. Each
// task has a block in memory: together they get a tenth of what the layer reads and writes, or twice the cache, half of
// it where memory is scarce. There are two tasks at least. Chunks of channels keep all tiles: their memory has no fixed
// size where the number of images is a symbol.
Blocking choose_blocking(int64_t images, int64_t th, int64_t tw, int64_t m, int64_t in, int64_t out, int64_t panel,
                         bool by_chunks, const Target &target, bool scarce) {
  const double tiles = double(images * th * tw), points = double((m + 2) * (m + 2));
  const double filters = points * double(in * out), inputs = tiles * points * double(in),
               products = tiles * points * double(out);
  const double cache = double(target.l2_bytes) / 4 / 2; // elements
  const double room = std::max((scarce ? 1 : 4) * cache, tiles * double(m * m) * double(in + out) / 10);
  auto tasks = [&](double shared, double part, int64_t parts) {
    return static_cast<int32_t>(std::min({8.0, (room - shared) / part, double(parts)}));
  };
  Blocking best;
  double least = std::numeric_limits<double>::infinity();
  for (int64_t rows = 1; rows <= th; ++rows) {
    const int64_t blocks = (th + rows - 1) / rows * images;
    const double part = (inputs + products) * double(rows) / double(th * images);
    const int32_t shared_by = tasks(0, part, blocks);
    if (shared_by < 2 && rows > 1) continue;
    double cost = filters * double(blocks) + (part <= cache ? 1 : 2) * (inputs + products);
    if (th % rows != 0) cost *= 1.03; // a block of another size is code of its own
    if (cost >= least) continue;
    least = cost;
    best = {rows, 0, std::max(shared_by, 2)};
  }
  for (int64_t chunk = panel; by_chunks && chunk < out; chunk += panel) {
    const double chunks = std::ceil(double(out) / double(chunk)), part = products / chunks;
    const int32_t shared_by = tasks(inputs, part, static_cast<int64_t>(chunks));
    if (shared_by < 2) continue;
    const double cost =
        filters + (inputs <= cache ? 0.5 : 1) * (1 + chunks) * inputs + (part <= cache ? 1 : 2) * products;
    if (cost >= least) continue;
    least = cost;
    best = {th, chunk, shared_by};
  }
  return best;
}

} // namespace

Schedule winograd_schedule(const Kernel &k, std::vector<Binding> &bindings, const Target &target, bool scarce) {
  const int32_t rows = k.find_stage("rows"), v = k.find_stage("v"), products = k.find_stage("m"),
                columns = k.find_stage("columns"), last = static_cast<int32_t>(k.stages.size()) - 1;
  const int32_t u = k.find_buffer("u");
  CAMEO_CHECK(rows >= 0 && v >= 0 && products >= 0 && columns >= 0 && u >= 0, "not a kernel of minimal filtering");
  const Stage &sums = k.stages[products];
  auto extent = [&](std::string_view name) {
    const int32_t a = axis_of(sums, name);
    return a < 0 ? int64_t{1} : sums.axes[a].extent.is_constant() ? sums.axes[a].extent.value : 1;
  };
  const int32_t image_axis = axis_of(sums, "n");
  const bool any_number =
      image_axis >= 0 && !sums.axes[image_axis].extent.is_constant(); // of images, one after the other
  const int64_t n = extent("i"), images = extent("n"), th = extent("ty"), tw = extent("tx"), out = extent("o"),
                in = extent("c");
  const int32_t lanes = target.lanes(32);
  const int64_t vectors = out >= 2 * lanes ? 2 : 1, panel = vectors * lanes;
  const Blocking blocking = choose_blocking(images, th, tw, n - 2, in, out, panel, !any_number, target, scarce);
  const bool large = images * th * tw * n * n * in * out > int64_t{1} << 20;
  const int32_t tasks = large ? blocking.tasks : 0;

  Schedule s;
  s.stages.resize(k.stages.size());
  auto vector = [&](int32_t stage, std::string_view axis) {
    s.stages[stage].vector_axis = axis_of(k.stages[stage], axis);
    s.stages[stage].lanes = lanes;
  };
  auto place = [&](int32_t stage, Place where, int32_t at_stage, int32_t at_loop) {
    s.stages[stage].place = where;
    s.stages[stage].at_stage = at_stage;
    s.stages[stage].at_loop = at_loop;
  };
  auto add = [&](int32_t stage, std::string_view axis, int64_t tile, bool balanced = false, int32_t parallel = 0) {
    const int32_t a = axis_of(k.stages[stage], axis);
    if (a >= 0) s.stages[stage].loops.push_back(loop_of(a, tile, balanced, parallel));
  };
  // What is computed point by point, from the tiles' sums or beside them, is computed where it is stored.
  for (int32_t p = 0; p < last; ++p)
    if (p != rows && p != v && p != products && p != columns) s.stages[p].place = Place::inlined;
  const bool by_rows = blocking.chunk == 0;
  if (by_rows) {
    if (images > 1) add(last, "n", 1, false, tasks);
    add(last, "ty", blocking.rows, true, images > 1 ? 0 : tasks);
    if (any_number) add(last, "n", 1);
  } else {
    add(last, "o", blocking.chunk, false, tasks);
    if (images > 1) add(last, "n", 1);
  }
  const int32_t block = by_rows ? static_cast<int32_t>(s.stages[last].loops.size()) - 1 : 0;
  add(last, "ty", 1);
  add(last, "tx", 1);
  add(last, "o", lanes);
  vector(last, "o");
  place(columns, Place::registers, last, static_cast<int32_t>(s.stages[last].loops.size()) - 1);
  vector(columns, "o");

  // Products, one of the n^2 matrix products after the other. Register tile: whole tile rows when they are short.
  place(products, Place::local, last, block);
  const int64_t most = std::min<int64_t>(14, (target.vector_registers - 1 - vectors) / vectors);
  const int64_t tile_rows = std::clamp<int64_t>(most / tw, 1, blocking.rows),
                tile_columns = tile_rows > 1 ? tw : std::min(tw, most);
  add(products, "i", 1);
  add(products, "j", 1);
  add(products, "o", panel);
  if (images > 1 || any_number) add(products, "n", 1);
  add(products, "ty", tile_rows, true);
  add(products, "tx", tile_columns, true);
  add(products, "c", in % 4 == 0 ? 4 : 1);
  vector(products, "o");
  bindings[u] = packed(k.buffers[u], {{0, 1}, {2, 1}, {1, 1}, {2, panel}});
  if (bindings[u].size * 4 > target.l2_bytes / 2) {
    StageSchedule &m = s.stages[products];
    m.prefetch_buffer = u;
    m.prefetch_loop_stage = products;
    m.prefetch_loop = 2;
    m.prefetch_panel = in * panel;
  }
  if (by_rows) {
    place(v, Place::local, last, block);
    if (any_number) add(v, "n", 1);
    add(v, "ty", 1);
  } else {
    if (images > 1) add(v, "n", 1, false, tasks);
    add(v, "ty", 1, false, images > 1 ? 0 : tasks);
  }
  add(v, "tx", 1);
  add(v, "c", lanes);
  vector(v, "c");
  place(rows, Place::registers, v, static_cast<int32_t>(s.stages[v].loops.size()) - 1);
  vector(rows, "c");
  return s;
}

} // namespace cameo::ops
