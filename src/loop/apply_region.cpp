// Bounds inference: which region of a stage its readers need at the point where it is computed, and the storage that
// holds it.
#include "cameo/loop/kernel_text.h"
#include "lowerer.h"

#include <algorithm>

namespace cameo::loop {

int32_t Lowerer::sequential_axis(int32_t stage) const {
  const Stage &s = kernel_.stages[stage];
  for (size_t a = 0; a < s.axes.size(); ++a)
    if (s.axes[a].kind == AxisKind::sequential) return static_cast<int32_t>(a);
  return -1;
}

Frame *Lowerer::active_frame(int32_t stage) const {
  for (auto it = frames_.rbegin(); it != frames_.rend(); ++it)
    if ((*it)->stage == stage) return *it;
  return nullptr;
}

Box Lowerer::full_box(int32_t stage) const {
  Box box;
  for (const Axis &axis : kernel_.stages[stage].axes) {
    Range range;
    if (axis.extent.is_constant())
      range.extent = axis.extent.value;
    else
      range.symbolic = symbols_[axis.extent.symbol];
    box.push_back(range);
  }
  return box;
}

std::optional<std::pair<int64_t, int64_t>> Lowerer::bounds(const Affine &affine) const {
  int64_t low = affine.constant, high = affine.constant;
  for (const auto &[value, coefficient] : affine.terms) {
    auto it = ranges_.find(value.id);
    if (it == ranges_.end()) return std::nullopt;
    const auto [from, to] = it->second;
    low += coefficient * (coefficient > 0 ? from : to);
    high += coefficient * (coefficient > 0 ? to : from);
  }
  return std::pair(low, high);
}

Range Lowerer::index_range(const Index &index, const Box &ranges) const {
  Range out;
  out.base = index.constant;
  out.extent = 1;
  for (const auto &[axis, coefficient] : index.axes) {
    const Range &r = ranges[axis];
    if (r.symbolic.valid()) {
      CAMEO_CHECK(coefficient == 1 && index.axes.size() == 1, "a region of symbolic size needs the identity index");
      out.symbolic = r.symbolic;
      out.extent = 0;
      out.base += r.base;
      return out;
    }
    if (coefficient == 1 && index.axes.size() == 1 && index.constant == 0)
      out.limit = r.limit; // rows end where the reader's do
    out.base += (coefficient > 0 ? r.base : r.base + Affine(r.extent - 1)) * coefficient;
    out.extent += (coefficient > 0 ? coefficient : -coefficient) * (r.extent - 1);
  }
  return out;
}

void Lowerer::join(Range &into, const Range &other) const {
  if (into.symbolic.valid() || other.symbolic.valid()) {
    CAMEO_CHECK(into.symbolic == other.symbolic && into.base == other.base, "regions of different symbolic sizes");
    return;
  }
  if (into.limit != other.limit) into.limit = {};
  const Affine distance = other.base - into.base;
  CAMEO_CHECK(distance.is_constant(), "regions at unrelated places");
  const int64_t low = std::min<int64_t>(0, distance.constant);
  const int64_t high = std::max(into.extent, distance.constant + other.extent);
  into.base += low;
  into.extent = high - low;
}

// Calls `visit` for each read of `stage` in the bodies of `reader`.
void Lowerer::visit_reads(int32_t reader, int32_t stage, const std::function<void(const Expr &)> &visit) const {
  std::vector<bool> seen(kernel_.exprs.size(), false);
  std::vector<ExprId> stack;
  auto push = [&](ExprId e) {
    if (e >= 0 && !seen[e]) {
      seen[e] = true;
      stack.push_back(e);
    }
  };
  const Stage &s = kernel_.stages[reader];
  for (const auto *list : {&s.init, &s.next, &s.before})
    for (ExprId e : *list) push(e);
  for (const StageStore &store : s.stores)
    for (const Index &i : store.indices) push(i.indirect);
  while (!stack.empty()) {
    const Expr &e = kernel_.exprs[stack.back()];
    stack.pop_back();
    for (ExprId a : e.args) push(a);
    for (const Index &i : e.indices) push(i.indirect);
    if (e.kind == Expr::Kind::stage && e.source == stage) visit(e);
  }
}

bool Lowerer::is_read(int32_t stage) const {
  bool read = false;
  for (int32_t reader = 0; reader < static_cast<int32_t>(kernel_.stages.size()); ++reader)
    visit_reads(reader, stage, [&](const Expr &) { read = true; });
  return read;
}

// The region of `stage` that its readers need, given the current ranges of the stages whose loops are open.
Box Lowerer::required(int32_t stage) {
  const Stage &s = kernel_.stages[stage];
  const int32_t rank = s.outer_rank();
  Box box(rank);
  std::vector<bool> known(rank, false);
  resolving_.push_back(stage);
  auto need = [&](int32_t d, const Range &range) {
    if (known[d])
      join(box[d], range);
    else
      box[d] = range;
    known[d] = true;
  };
  // A step reads the state before it (from a stage listed earlier) where the step itself is, and all of it along what
  // it sums over.
  auto read_by_next_step = [&](int32_t reader) {
    const Box full = full_box(reader);
    visit_reads(reader, stage, [&](const Expr &e) {
      for (int32_t d = 0; d < rank; ++d) {
        const Index &index = e.indices[d];
        const bool summed =
            index.indirect < 0 &&
            std::all_of(
                index.axes.begin(), index.axes.end(),
                [&](const auto &term) { return kernel_.stages[reader].axes[term.first].kind == AxisKind::reduction; });
        if (summed && s.axes[d].kind != AxisKind::sequential) need(d, index_range(index, full));
      }
    });
  };
  auto read_by = [&](int32_t reader) {
    std::optional<Box> ranges;
    visit_reads(reader, stage, [&](const Expr &e) {
      if (!ranges) {
        if (const Frame *frame = active_frame(reader)) {
          ranges = frame->ranges;
        } else if (schedule_.stages[reader].place == Place::root) {
          ranges = full_box(reader);
        } else {
          ranges = required(reader);
          const Box full = full_box(reader);
          ranges->insert(ranges->end(), full.begin() + static_cast<std::ptrdiff_t>(ranges->size()), full.end());
        }
      }
      for (int32_t d = 0; d < rank; ++d) {
        const Index &index = e.indices[d];
        if (s.axes[d].kind == AxisKind::sequential && index.axes.size() == 1 && index.constant < 0) continue;
        need(d, index.indirect >= 0 ? full_box(stage)[d] : index_range(index, *ranges));
      }
    });
  };
  auto resolvable = [&](int32_t reader) {
    return reader != stage &&
           (active_frame(reader) || std::find(resolving_.begin(), resolving_.end(), reader) == resolving_.end());
  };
  const auto count = static_cast<int32_t>(kernel_.stages.size());
  for (int32_t reader = 0; reader < count; ++reader) {
    if (!resolvable(reader)) continue;
    if (reader < stage && !active_frame(reader))
      read_by_next_step(reader);
    else
      read_by(reader);
  }
  // A state that nothing but the next step reads is needed where that is computed.
  auto settled = [&](int32_t d) { return known[d] || s.axes[d].kind == AxisKind::sequential; };
  for (int32_t reader = 0; reader < stage; ++reader) {
    bool all = true;
    for (int32_t d = 0; d < rank; ++d) all &= settled(d);
    if (!all && resolvable(reader) && !active_frame(reader)) read_by(reader);
  }
  resolving_.pop_back();
  for (int32_t d = 0; d < rank; ++d) {
    if (s.axes[d].kind == AxisKind::sequential) {
      // The step that is being computed: that of the loop which the stage is placed at.
      const StageSchedule &plan = schedule_.stages[stage];
      if (plan.at_stage >= 0) {
        const Frame *owner = active_frame(plan.at_stage);
        const int32_t axis = sequential_axis(plan.at_stage);
        if (owner && axis >= 0) {
          box[d] = owner->ranges[axis];
          continue;
        }
      }
      box[d] = full_box(stage)[d]; // every step leads to the one that is read
      continue;
    }
    CAMEO_CHECK(known[d], "stage " + s.name + " is never read");
    // A read that can never leave the index space needs no more than the index space.
    const Axis &axis = s.axes[d];
    if (axis.extent.is_constant() && !box[d].symbolic.valid() && box[d].extent > axis.extent.value) {
      bool may_leave = false;
      for (int32_t reader = 0; reader < static_cast<int32_t>(kernel_.stages.size()); ++reader)
        visit_reads(reader, stage, [&](const Expr &e) { may_leave |= e.rule == OutOfRange::fill; });
      if (!may_leave) box[d] = full_box(stage)[d];
    }
  }
  return box;
}

Value Lowerer::scratch(Scalar type, int64_t elements) {
  const int64_t bytes =
      std::max<int64_t>((elements * bits(type) / 8 + 63) / 64, 1) * 64; // an empty stage has an address too
  const int64_t offset = scratch_used_;
  scratch_used_ += bytes;
  scratch_peak_ = std::max(scratch_peak_, scratch_used_);
  return shared({-6, offset, static_cast<int64_t>(type)}, {scratch_base_},
                [&] { return b_.view(scratch_base_, Affine(offset), type); });
}

void Lowerer::allocate(int32_t stage, const Box &box) {
  const Stage &s = kernel_.stages[stage];
  const StageSchedule &plan = schedule_.stages[stage];
  Storage &storage = storage_[stage];
  storage = {};
  storage.box.assign(box.begin(), box.begin() + s.outer_rank());
  if (plan.place == Place::registers) {
    storage.kind = Storage::Kind::registers;
    return;
  }
  storage.kind = Storage::Kind::memory;
  storage.strides.assign(storage.box.size(), 0);
  storage.rolling_axis = plan.rolling_axis;
  storage.rolling = plan.rolling;
  // Row-major, the vector axis innermost and padded to whole vectors; sequential axes are folded to one step.
  std::vector<int32_t> order;
  for (int32_t d = 0; d < s.outer_rank(); ++d)
    if (d != plan.vector_axis && s.axes[d].kind != AxisKind::sequential) order.push_back(d);
  if (plan.vector_axis >= 0 && plan.vector_axis < s.outer_rank()) order.push_back(plan.vector_axis);
  int64_t stride = 1;
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    const Range &range = storage.box[*it];
    CAMEO_CHECK(!range.symbolic.valid(),
                "stage " + s.name + ": a local buffer of symbolic size\n" + print(schedule_, kernel_) + print(kernel_));
    int64_t extent = *it == storage.rolling_axis ? storage.rolling : range.extent;
    if (*it == plan.vector_axis && plan.lanes > 1) extent = (extent + plan.lanes - 1) / plan.lanes * plan.lanes;
    storage.strides[*it] = stride;
    stride *= extent;
  }
  for (Scalar type : s.types) storage.buffers.push_back(scratch(type == Scalar::i1 ? Scalar::i8 : type, stride));
}

} // namespace cameo::loop
