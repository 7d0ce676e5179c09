// Scaled dot-product attention as one kernel, by blocks of keys with an online softmax (Milakov and Gimelshein, arXiv:1805.02867;
// Dao et al., arXiv:2205.14135): the score matrix exists only as one block per tile of queries, in the first-level cache.
#pragma once

#include "cameo/loop/apply.h"

namespace cameo::ops {

struct AttentionShape {
  int64_t heads, queries, keys, size;
  double scale;       ///< of the scores, 1 / sqrt(size) as a rule
  bool mask = true;   ///< mask[queries, keys] is added to the scaled scores
  int64_t block = 64; ///< keys per block; divides `keys`
};

/// Buffers q[heads, queries, size], k[heads, keys, size], v[heads, keys, size], (mask), y[heads, queries, size]; f32. A row whose scores
/// are all minus infinity gives NaN, as softmax does.
/// Stages: kt, score, top, alpha, p, total, best, sum, y.
loop::Kernel attention(const AttentionShape &shape);

/// Tiles of queries against blocks of keys; the keys of a head are transposed once.
loop::Schedule attention_schedule(const loop::Kernel &kernel, const loop::Target &target);

} // namespace cameo::ops
