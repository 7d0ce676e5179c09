// Memory planning (see memory.h).
//
// Offsets are 2-dimensional packing with fixed positions in time. Greedy by size with best fit ("Efficient Memory
// Management for Deep Neural Net Inference", Pisarchyk and Lee, 2020) is within a few percent of the lower bound on
// usual models; several orders are tried and the smallest arena is taken.
#include "memory.h"

#include "cameo/ir/dim_terms.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace cameo::passes {
namespace {

using graph::Dim;

constexpr int64_t kAlign = 64;
/// Below this factor a symbolic size is rounded up as a whole, above it the factor is: fewer classes, little waste.
constexpr int64_t kCoarse = 1024;

int64_t round_up(int64_t n) { return (n + kAlign - 1) / kAlign * kAlign; }

struct Item {
  size_t buffer;
  int64_t size; ///< in units of the class
  int32_t first, last;
  int64_t offset = -1;
};

// Places the items in the given order, each where the gap between those that live at the same time is smallest. Returns
// the extent of all.
int64_t place(std::vector<Item> &items, const std::vector<size_t> &order) {
  int64_t total = 0;
  std::vector<size_t> placed; // by offset
  for (size_t index : order) {
    Item &item = items[index];
    int64_t best = -1, best_gap = INT64_MAX, end = 0;
    for (size_t other : placed) {
      const Item &o = items[other];
      if (o.last < item.first || item.last < o.first) continue;
      const int64_t gap = o.offset - end;
      if (gap >= item.size && gap < best_gap) {
        best = end;
        best_gap = gap;
      }
      end = std::max(end, o.offset + o.size);
    }
    item.offset = best < 0 ? end : best;
    total = std::max(total, item.offset + item.size);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), index,
                                   [&](size_t a, size_t b) { return items[a].offset < items[b].offset; }),
                  index);
  }
  return total;
}

// The best of several orders; offsets of the best stay in the items.
int64_t place_best(std::vector<Item> &items) {
  std::vector<size_t> order(items.size());
  std::iota(order.begin(), order.end(), size_t{0});
  auto area = [&](size_t i) { return items[i].size * (items[i].last - items[i].first + 1); };
  std::vector<std::vector<size_t>> orders(3, order);
  std::stable_sort(orders[0].begin(), orders[0].end(),
                   [&](size_t a, size_t b) { return items[a].size > items[b].size; });
  std::stable_sort(orders[1].begin(), orders[1].end(), [&](size_t a, size_t b) { return area(a) > area(b); });
  std::stable_sort(orders[2].begin(), orders[2].end(),
                   [&](size_t a, size_t b) { return items[a].first < items[b].first; });
  int64_t best = INT64_MAX;
  std::vector<Item> kept;
  for (const std::vector<size_t> &o : orders) {
    std::vector<Item> trial = items;
    if (const int64_t total = place(trial, o); total < best) {
      best = total;
      kept = std::move(trial);
    }
  }
  items = std::move(kept);
  return best;
}

// min(c, n) where no memory holds c of them: n, which it never exceeds. What is sliced up to such a c (exporters write
// the largest integer that they know) then shares memory with the rest.
Dim without_far_limits(const Dim &bytes) {
  constexpr int64_t kFar = int64_t{1} << 24;
  using Kind = graph::DimFactor::Kind;
  if (bytes.is_constant()) return bytes;
  Dim out = bytes;
  for (const graph::DimTerm &term : graph::dim_terms(bytes)) {
    Dim exact = term.coefficient, bound = term.coefficient;
    bool known = term.coefficient > 0;
    for (const graph::DimFactor &factor : term.factors) {
      if (factor.kind == Kind::symbol) {
        exact = exact * Dim::from_key(factor.key);
        bound = bound * Dim::from_key(factor.key);
      } else if (factor.kind == Kind::min && factor.args.size() == 2) {
        const Dim &a = factor.args[0], &b = factor.args[1];
        auto far = [](const Dim &d) { return d.is_constant() && d.value() >= kFar; };
        exact = exact * min(a, b);
        bound = bound * (far(a) ? b : far(b) ? a : min(a, b));
      } else {
        known = false;
      }
    }
    if (known) out = out - exact + bound;
  }
  return out;
}

} // namespace

int64_t head_bytes(const Plan &plan) {
  const bool needed = std::any_of(plan.steps.begin(), plan.steps.end(), [](const Step &s) {
    return s.kind == Step::Kind::rules || s.kind == Step::Kind::grow || s.kind == Step::Kind::loop ||
           s.kind == Step::Kind::check || !s.rules.empty();
  });
  return needed ? 8 * (1 + static_cast<int64_t>(plan.slots.size()) + 2 * grown_buffers(plan)) : 0;
}

int64_t grown_buffers(const Plan &plan) {
  return std::count_if(plan.buffers.begin(), plan.buffers.end(),
                       [](const BufferPlan &b) { return b.space == BufferPlan::Space::grown; });
}

void extend_over_loops(Plan &plan) {
  std::vector<int32_t> open; // loops and branches
  for (size_t s = 0; s < plan.steps.size(); ++s) {
    const Step::Kind kind = plan.steps[s].kind;
    if (kind == Step::Kind::loop || kind == Step::Kind::branch) open.push_back(static_cast<int32_t>(s));
    if (kind != Step::Kind::end) continue;
    const int32_t begin = open.back(), end = static_cast<int32_t>(s);
    open.pop_back();
    if (plan.steps[static_cast<size_t>(begin)].kind != Step::Kind::loop) continue;
    for (BufferPlan &b : plan.buffers) {
      if (b.last < begin || b.first > end || (b.first > begin && b.last < end)) continue;
      b.first = std::min(b.first, begin);
      b.last = std::max(b.last, end);
    }
  }
}

void assign_arena(Plan &plan) {
  std::map<Dim, std::vector<Item>> classes; // by unit, in the order of Dim
  for (size_t b = 0; b < plan.buffers.size(); ++b) {
    const BufferPlan &buffer = plan.buffers[b];
    if (buffer.space != BufferPlan::Space::arena) continue;
    const Dim bytes = without_far_limits(buffer.bytes);
    Dim unit = 1;
    int64_t size = 0;
    if (bytes.is_constant()) {
      size = round_up(bytes.value());
    } else if (const int64_t c = graph::content(bytes); c >= kCoarse) {
      unit = *bytes.exact_quotient(c);
      size = round_up(c);
    } else {
      unit = ceildiv(bytes, kAlign);
      size = kAlign;
    }
    classes[unit].push_back({b, size, buffer.first, buffer.last});
  }
  plan.arena_bytes = round_up(head_bytes(plan));
  for (auto &[unit, items] : classes) {
    const int64_t total = place_best(items);
    for (const Item &item : items) plan.buffers[item.buffer].offset = plan.arena_bytes + unit * item.offset;
    plan.arena_bytes += unit * total;
  }
}

std::vector<int64_t> live_bytes(const Plan &plan, int64_t symbol_value) {
  std::vector<int64_t> live(plan.steps.size() + 1); // first what changes from step to step
  for (const BufferPlan &buffer : plan.buffers) {
    if (buffer.space != BufferPlan::Space::arena || buffer.first > buffer.last) continue;
    const int64_t bytes = buffer.bytes.evaluate([&](const std::string &) { return symbol_value; }).value_or(0);
    live[static_cast<size_t>(buffer.first)] += bytes;
    live[static_cast<size_t>(buffer.last) + 1] -= bytes;
  }
  std::partial_sum(live.begin(), live.end(), live.begin());
  live.pop_back();
  return live;
}

} // namespace cameo::passes
