// The importer functions of com.microsoft, by family. importers.cpp has the table.
#pragma once

#include "node_import.h"

namespace cameo::frontend {

// microsoft_quantized.cpp
void import_qlinear_binary(NodeImport &n);
void import_qlinear_unary(NodeImport &n);
void import_qlinear_softmax(NodeImport &n);
void import_qlinear_concat(NodeImport &n);
void import_qlinear_pool(NodeImport &n);
void import_qlinear_global_pool(NodeImport &n);
void import_qlinear_reduce_mean(NodeImport &n);
void import_qlinear_where(NodeImport &n);
void import_qgemm(NodeImport &n);
void import_matmul_integer_to_float(NodeImport &n);
void import_dynamic_quantize_matmul(NodeImport &n);
void import_mul_integer(NodeImport &n);
void import_matmul_integer16(NodeImport &n);
void import_nhwc_max_pool(NodeImport &n);
// microsoft_fused.cpp
void import_fused_conv(NodeImport &n);
void import_fused_gemm(NodeImport &n);
void import_fused_matmul(NodeImport &n);
void import_fused_matmul_activation(NodeImport &n);
void import_gemm_fast_gelu(NodeImport &n);
void import_microsoft_gelu(NodeImport &n);
void import_bias_split_gelu(NodeImport &n);
void import_bias_add(NodeImport &n);
void import_bias_softmax(NodeImport &n);
void import_bias_dropout(NodeImport &n);
// microsoft_normalization.cpp
void import_skip_normalization(NodeImport &n);
void import_embed_normalization(NodeImport &n);
void import_microsoft_group_norm(NodeImport &n);
// microsoft_attention.cpp
void import_microsoft_attention(NodeImport &n);
void import_qattention(NodeImport &n);
void import_multi_head_attention(NodeImport &n);
void import_decoder_masked_attention(NodeImport &n);
void import_microsoft_rotary(NodeImport &n);
void import_group_query_attention(NodeImport &n);
// microsoft_weights.cpp
void import_matmul_nbits(NodeImport &n);
void import_gather_block_quantized(NodeImport &n);
// microsoft_misc.cpp
void import_expand_dims(NodeImport &n);
void import_cdist(NodeImport &n);
void import_microsoft_unique(NodeImport &n);

} // namespace cameo::frontend
