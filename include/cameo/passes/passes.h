// The graph passes, one function each; what it does stands at the top of its file in passes/. The pipeline
// (passes/pipeline.cpp) says in which order they run.
#pragma once

#include "cameo/passes/pass_manager.h"

namespace cameo::passes {

Result<bool> canonicalize(graph::Graph &graph, const PassOptions &options);
Result<bool> choose_layouts(graph::Graph &graph, const PassOptions &options);
Result<bool> common_subexpressions(graph::Graph &graph, const PassOptions &options);
Result<bool> dead_code(graph::Graph &graph, const PassOptions &options);
Result<bool> dissolve_sequences(graph::Graph &graph, const PassOptions &options);
Result<bool> expand_dft(graph::Graph &graph, const PassOptions &options);
Result<bool> expand_nms(graph::Graph &graph, const PassOptions &options);
Result<bool> expand_unique(graph::Graph &graph, const PassOptions &options);
Result<bool> flatten_sequences(graph::Graph &graph, const PassOptions &options);
Result<bool> fold_batch_norm(graph::Graph &graph, const PassOptions &options);
Result<bool> fold_constants(graph::Graph &graph, const PassOptions &options);
Result<bool> fuse(graph::Graph &graph, const PassOptions &options);
Result<bool> fuse_strips(graph::Graph &graph, const PassOptions &options);
Result<bool> integer_arithmetic(graph::Graph &graph, const PassOptions &options);
Result<bool> move_quantized(graph::Graph &graph, const PassOptions &options);
Result<bool> order_nodes(graph::Graph &graph, const PassOptions &options);
Result<bool> recover_activation(graph::Graph &graph, const PassOptions &options);
Result<bool> recover_attention(graph::Graph &graph, const PassOptions &options);
Result<bool> recover_normalization(graph::Graph &graph, const PassOptions &options);
Result<bool> requantize(graph::Graph &graph, const PassOptions &options);
Result<bool> scan_to_loop(graph::Graph &graph, const PassOptions &options);
Result<bool> tabulate(graph::Graph &graph, const PassOptions &options);
Result<bool> tree_masks(graph::Graph &graph, const PassOptions &options);

} // namespace cameo::passes
