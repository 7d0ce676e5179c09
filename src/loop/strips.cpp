// Chains of windows and what strips of them are worth (see strips.h).
#include "cameo/loop/strips.h"

#include "cameo/loop/visit.h"
#include "scheduler.h"

#include <algorithm>
#include <set>

namespace cameo::loop {
namespace {

constexpr double kMemoryBytesPerCycle = 8; ///< behind the second-level cache, of one core
constexpr double kFmaPerCycle = 16;        ///< multiply-adds of f32
/// The third-level cache serves tensors of up to that many times the second-level cache nearly as fast: measured,
/// strips of smaller ones gain nothing.
constexpr double kServed = 4;

bool plain_stage(const Stage &s) {
  const bool f32 = s.types.size() == 1 && s.types[0] == Scalar::f32;
  return f32 && std::all_of(s.axes.begin(), s.axes.end(), [](const Axis &a) {
           return a.kind != AxisKind::sequential && a.extent.is_constant() && a.extent.value > 0;
         });
}

class Finder {
public:
  explicit Finder(const Kernel &kernel) : k_(kernel) {
    readers_.resize(k_.stages.size());
    for_each_expr(k_, [&](int32_t reader, const Expr &e) {
      if (e.kind == Expr::Kind::stage) readers_[static_cast<size_t>(e.source)].insert(reader);
    });
  }

  std::optional<StripChain> run() {
    const auto count = static_cast<int32_t>(k_.stages.size());
    if (count == 0) return std::nullopt;
    for (int32_t s = 0; s < count; ++s)
      if (!plain_stage(k_.stages[static_cast<size_t>(s)]) ||
          (s + 1 < count && !k_.stages[static_cast<size_t>(s)].stores.empty()))
        return std::nullopt;
    const Stage &last = k_.stages.back();
    if (last.stores.size() != 1 || last.stores[0].rule != OutOfRange::never || last.stores[0].accumulate)
      return std::nullopt;
    rank_ = last.outer_rank();
    StripChain chain;
    size_t seen = 0;
    for (int32_t s = count - 1; s >= 0;) {
      std::optional<StripLayer> layer = layer_of(s);
      if (!layer) return std::nullopt;
      seen += layer->between.size() + (layer->sum == layer->result ? 1 : 2);
      const std::optional<const Expr *> read = link_of(layer->sum);
      if (!read) return std::nullopt;
      s = *read ? (*read)->source : -1;
      if (*read && readers_[static_cast<size_t>(s)].size() != 1) return std::nullopt;
      reads_.push_back(*read);
      chain.layers.push_back(std::move(*layer));
    }
    std::reverse(chain.layers.begin(), chain.layers.end());
    std::reverse(reads_.begin(), reads_.end());
    if (chain.layers.size() < 2 || seen != k_.stages.size() || !find_axis(chain)) return std::nullopt;
    return chain;
  }

private:
  // The reduction that stage s is a function of, point by point.
  std::optional<StripLayer> layer_of(int32_t s) const {
    StripLayer layer;
    layer.result = s;
    std::set<int32_t> members{s};
    std::vector<int32_t> work{s};
    bool good = true;
    while (!work.empty() && good) {
      const int32_t at = work.back();
      work.pop_back();
      const Stage &stage = k_.stages[static_cast<size_t>(at)];
      good = stage.outer_rank() == rank_;
      if (stage.is_reduction()) {
        good = good && (layer.sum < 0 || layer.sum == at);
        layer.sum = at;
        continue;
      }
      for_each_stage_read(k_, at, [&](const Expr &e) {
        good = good && pointwise(e);
        if (members.insert(e.source).second) work.push_back(e.source);
      });
    }
    if (!good || layer.sum < 0) return std::nullopt;
    for (int32_t member : members) {
      if (member != s && member != layer.sum) layer.between.push_back(member);
      if (member == s) continue; // nobody else reads what is between
      const std::set<int32_t> &readers = readers_[static_cast<size_t>(member)];
      if (!std::all_of(readers.begin(), readers.end(), [&](int32_t r) { return members.count(r) > 0; }))
        return std::nullopt;
    }
    return layer;
  }

  // The one read of a stage by a reduction; null when it reads buffers only, nullopt when there are several.
  std::optional<const Expr *> link_of(int32_t sum) const {
    const Expr *read = nullptr;
    bool good = true;
    for_each_stage_read(k_, sum, [&](const Expr &e) {
      good = good && !read && (e.rule == OutOfRange::never || e.rule == OutOfRange::fill);
      read = &e;
    });
    if (!good) return std::nullopt;
    return read;
  }

  // Every coordinate of a read is the axis of its number, a reduction axis, or a window along the axis of its number.
  // The first axis with windows is that of the strips.
  bool find_axis(StripChain &chain) const {
    for (size_t i = 1; i < chain.layers.size(); ++i)
      for (int32_t d = 0; d < rank_; ++d) {
        const std::optional<Window> window = window_of(chain.layers[i].sum, *reads_[i], d);
        if (!window) return false;
        if (window->moves && (chain.axis < 0 || d < chain.axis)) chain.axis = d;
      }
    if (chain.axis < 0) return false;
    for (size_t i = 1; i < chain.layers.size(); ++i) {
      const Window window = *window_of(chain.layers[i].sum, *reads_[i], chain.axis);
      if (window.stride < 1 || window.span < window.stride) return false; // all rows for one, or rows that nobody needs
      chain.layers[i].stride = window.stride;
      chain.layers[i].span = window.span;
    }
    return true;
  }

  struct Window {
    int64_t stride = 0, span = 1; ///< stride 0: the coordinate does not depend on the axis, it is summed over
    bool moves = false;           ///< more than the axis itself
  };
  // How a read of the layer before moves along axis d.
  std::optional<Window> window_of(int32_t sum, const Expr &read, int32_t d) const {
    const Stage &s = k_.stages[static_cast<size_t>(sum)];
    const Index &index = read.indices[static_cast<size_t>(d)];
    if (const int32_t axis = axis_of(index); axis == d || axis >= rank_) return Window{axis == d ? 1 : 0, 1, false};
    if (index.indirect >= 0) return std::nullopt;
    Window window{0, 1, true};
    for (const auto &[axis, coefficient] : index.axes) {
      if (coefficient < 1 || (axis != d && axis < rank_)) return std::nullopt;
      if (axis == d)
        window.stride = coefficient;
      else
        window.span += coefficient * (s.axes[static_cast<size_t>(axis)].extent.value - 1);
    }
    if (window.stride == 0) return std::nullopt;
    return window;
  }

  const Kernel &k_;
  std::vector<std::set<int32_t>> readers_;
  std::vector<const Expr *> reads_; ///< per layer: of the one before
  int32_t rank_ = 0;
};

struct LayerSize {
  int64_t rows = 0;  ///< of the result of one image
  double bytes = 4;  ///< of a row
  double work = 1;   ///< multiply-adds of a row
  double images = 1; ///< of a batch: axes around the rows
};

LayerSize size_of(const Kernel &kernel, const StripLayer &layer, int32_t axis, int32_t inner) {
  LayerSize size;
  const Stage &sum = kernel.stages[static_cast<size_t>(layer.sum)];
  for (int32_t a = 0; a < static_cast<int32_t>(sum.axes.size()); ++a) {
    const int64_t extent = sum.axes[static_cast<size_t>(a)].extent.value;
    if (a == axis)
      size.rows = extent;
    else if (a < axis && a != inner)
      size.images *= double(extent);
    else
      size.work *= double(extent);
    if (a < sum.outer_rank() && (a > axis || a == inner)) size.bytes *= double(extent);
  }
  return size;
}

} // namespace

std::optional<StripChain> find_strips(const Kernel &kernel) { return Finder(kernel).run(); }

StripPlan plan_strips(const Kernel &kernel, const StripChain &chain, int32_t inner, int64_t cache_bytes) {
  const size_t count = chain.layers.size();
  std::vector<LayerSize> sizes;
  for (const StripLayer &layer : chain.layers) sizes.push_back(size_of(kernel, layer, chain.axis, inner));
  double constants = 0;
  for (const KernelBuffer &b : kernel.buffers) {
    double bytes = 4;
    for (const Extent &e : b.dims) bytes *= double(e.value);
    if (b.role == BufferRole::constant) constants += bytes;
  }
  StripPlan plan;
  auto with_rows = [&](int64_t rows) {
    plan.rows = rows;
    plan.window.assign(count, rows);
    plan.advance.assign(count, rows);
    double bytes = constants + double(rows) * sizes.back().bytes;
    for (size_t i = count - 1; i-- > 0;) {
      const StripLayer &reader = chain.layers[i + 1];
      plan.window[i] = reader.stride * (plan.window[i + 1] - 1) + reader.span;
      plan.advance[i] = reader.stride * plan.advance[i + 1];
      bytes += double(plan.window[i]) * sizes[i].bytes;
    }
    plan.fits = bytes <= 0.75 * double(cache_bytes);
  };
  // Each task has rings of its own, which it must use often. Longer strips would not save more: rows are wide.
  const int64_t height = sizes.back().rows;
  with_rows(2);
  if (!plan.fits || height % 2 != 0 || height < 2 * kTasks) with_rows(1);
  const double images = sizes.back().images;
  for (size_t i = 0; i + 1 < count; ++i) {
    const double tensor = images * double(sizes[i].rows) * sizes[i].bytes;
    if (tensor > kServed * double(cache_bytes)) plan.saved += 2 * tensor / kMemoryBytesPerCycle;
  }
  plan.by_image = images >= double(kTasks);
  if (plan.by_image) {
    plan.tasks = kTasks;
    return plan;
  }
  auto repeated = [&](int64_t tasks) {
    double cycles = 0;
    for (size_t i = 0; i + 1 < count; ++i)
      cycles += images * double((tasks - 1) * (plan.window[i] - plan.advance[i])) * sizes[i].work / kFmaPerCycle;
    return cycles;
  };
  plan.tasks = static_cast<int32_t>(std::min<int64_t>(kTasks, height / plan.rows));
  // Fewer tasks where rows that two of them compute would cost much of what strips save.
  if (repeated(plan.tasks) > plan.saved / 2) plan.tasks = std::min(plan.tasks, kTasks / 2);
  plan.spent = repeated(plan.tasks);
  return plan;
}

} // namespace cameo::loop
