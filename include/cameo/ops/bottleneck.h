// Inverted bottleneck (MobileNetV2, arXiv:1801.04381): expand 1x1, depthwise 3x3, project 1x1, each but the last
// followed by a clip to [0, 6], as one kernel. Fused over strips of output rows, the wide tensors between the layers
// never leave the second-level cache: the expanded rows live in a ring, each computed once.
#pragma once

#include "cameo/loop/apply.h"

namespace cameo::ops {

struct BottleneckShape {
  int64_t height, width;     ///< of the input, without padding
  int64_t in, expanded, out; ///< channels
  int64_t stride;            ///< of the depthwise layer; padding is 1
  int64_t out_height() const { return (height - 1) / stride + 1; }
  int64_t out_width() const { return (width - 1) / stride + 1; }
};

/// Buffers: x[h, w, in], we[in, expanded], be[expanded], wd[3, 3, expanded], bd[expanded], wp[expanded, out], bp[out],
/// y[oh, ow, out]; all f32, NHWC. Stages: expand_sum, expand, depth_sum, depth, project_sum, project.
loop::Kernel bottleneck(const BottleneckShape &shape);

/// All three layers fused over strips of `rows` output rows.
loop::Schedule bottleneck_strips(const loop::Kernel &kernel, std::vector<loop::Binding> &bindings,
                                 const loop::Target &target, int64_t rows);

/// The same tiles, layer by layer, with the wide tensors in memory: what fusion is compared with.
loop::Schedule bottleneck_layers(const loop::Kernel &kernel, std::vector<loop::Binding> &bindings,
                                 const loop::Target &target);

} // namespace cameo::ops
