// One direction of an LSTM layer (Hochreiter and Schmidhuber 1997, as ONNX LSTM-14 states it) after its input
// projection, as one kernel: the loop over time is a sequential axis, the state is a folded buffer.
#pragma once

#include "cameo/loop/apply.h"

namespace cameo::ops {

struct LstmShape {
  int64_t steps, hidden;
};

/// Buffers xw[steps, 4 hidden] (input projection with both biases), r[hidden, 4 hidden] (recurrent weights, gates i, o,
/// f, c), h0[hidden], c0[hidden], y[steps, hidden]. Stages: gates, state (components c and h).
loop::Kernel lstm(const LstmShape &shape);

/// Panels of recurrent weights walked in alternating direction (zigzag) so that the panels used last in a step, which
/// are still in the cache, are the first of the next step. Packs r.
loop::Schedule lstm_schedule(const loop::Kernel &kernel, std::vector<loop::Binding> &bindings,
                             const loop::Target &target, bool zigzag);

} // namespace cameo::ops
