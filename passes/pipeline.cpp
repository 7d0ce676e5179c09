// The ordered pipeline of graph passes: read it top to bottom. After a pass with a stage, the graph keeps the
// invariants of that stage (src/ir/verify.cpp).
#include "cameo/passes/passes.h"

namespace cameo::passes {

namespace {

using graph::Stage;

constexpr Pass kPipeline[] = {
    // What nobody reads need not be canonical.
    {"dead_code", dead_code, std::nullopt, "drop nodes, results and functions that nothing uses"},
    // Ranks and extents of what comes out of a sequence are those of what went in.
    {"dissolve_sequences", dissolve_sequences, std::nullopt, "replace sequences of known elements by these"},
    // The others are dead nodes now, or tensors from here on.
    {"dead_code", dead_code, std::nullopt, "drop nodes, results and functions that nothing uses"},
    {"flatten_sequences", flatten_sequences, std::nullopt, "replace sequences and optionals by tensors"},
    {"expand_nms", expand_nms, std::nullopt, "rewrite non-max suppression as a loop"},
    {"expand_unique", expand_unique, std::nullopt, "rewrite unique in terms of sorting and counting"},
    // From here on there are no scans.
    {"scan_to_loop", scan_to_loop, std::nullopt, "rewrite scans as loops"},
    // From here on there are no calls and every tensor has a rank.
    {"canonicalize", canonicalize, Stage::canonical,
     "rewrite nodes by local laws: identities, compositions, normal forms"},
    {"expand_dft", expand_dft, std::nullopt, "rewrite Fourier transforms as products with constant matrices"},
    {"common_subexpressions", common_subexpressions, std::nullopt, "compute equal values once"},
    // Constants are still quantised: these passes see what reals stand for.
    {"move_quantized", move_quantized, std::nullopt, "move quantised tensors, not the reals that they stand for"},
    {"integer_arithmetic", integer_arithmetic, std::nullopt, "recover integer sums of products from dequantised ones"},
    {"dead_code", dead_code, std::nullopt, "drop nodes, results and functions that nothing uses"},
    {"fold_constants", fold_constants, std::nullopt, "compute what depends on constants alone"},
    // Merged nodes meet in new pairs, constants make identities, and rewriting leaves producers unused.
    {"canonicalize", canonicalize, std::nullopt, "rewrite nodes by local laws: identities, compositions, normal forms"},
    {"requantize", requantize, std::nullopt, "quantise integer sums with one multiplication"},
    {"tabulate", tabulate, std::nullopt, "make tables of functions of one quantised tensor"},
    // What exporters took apart has kernels of its own. A step that a dead node reads as well could not be told from
    // one that matters;
    // the steps that are left over go with the dead code below.
    {"dead_code", dead_code, std::nullopt, "drop nodes, results and functions that nothing uses"},
    {"recover_normalization", recover_normalization, std::nullopt, "find layer normalisations in their steps"},
    {"recover_activation", recover_activation, std::nullopt, "find GELU and Swish in products"},
    {"recover_attention", recover_attention, std::nullopt, "find attention in contractions and softmax"},
    {"fold_batch_norm", fold_batch_norm, std::nullopt, "fold affine maps of channels into filters"},
    {"tree_masks", tree_masks, std::nullopt, "test all nodes of small trees instead of walking"},
    {"dead_code", dead_code, std::nullopt, "drop nodes, results and functions that nothing uses"},
    // From here on a node is a kernel.
    {"fuse", fuse, Stage::fused, "collect nodes into groups of one kernel each"},
    {"choose_layouts", choose_layouts, Stage::laid_out, "put the channels of images last in memory"},
    {"fuse_strips", fuse_strips, std::nullopt, "join windows whose tensors no cache holds, to run in strips of rows"},
    {"dead_code", dead_code, std::nullopt, "drop nodes, results and functions that nothing uses"},
    {"order_nodes", order_nodes, std::nullopt, "order nodes so that less memory lives at once"},
};

} // namespace

std::span<const Pass> pipeline() { return kPipeline; }

} // namespace cameo::passes
