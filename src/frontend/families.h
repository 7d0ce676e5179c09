// Every importer function, by family; one file each. importers.cpp has the table.
#pragma once

#include "node_import.h"

namespace cameo::frontend {

// elementwise.cpp
void import_unary(NodeImport &n);
void import_activation(NodeImport &n);
void import_binary(NodeImport &n);
void import_variadic(NodeImport &n);
void import_compare(NodeImport &n);
void import_mod(NodeImport &n);
void import_bit_shift(NodeImport &n);
void import_prelu(NodeImport &n);
void import_clip(NodeImport &n);
void import_where(NodeImport &n);
void import_is_inf(NodeImport &n);
void import_swiglu(NodeImport &n);
// cast.cpp
void import_cast(NodeImport &n);
void import_cast_like(NodeImport &n);
void import_bit_cast(NodeImport &n);
void import_identity(NodeImport &n);
void import_dropout(NodeImport &n);
// sources.cpp
void import_constant(NodeImport &n);
void import_constant_of_shape(NodeImport &n);
void import_range(NodeImport &n);
void import_eye_like(NodeImport &n);
void import_one_hot(NodeImport &n);
void import_random(NodeImport &n);
void import_random_like(NodeImport &n);
void import_bernoulli(NodeImport &n);
void import_multinomial(NodeImport &n);
// shape.cpp
void import_shape(NodeImport &n);
void import_size(NodeImport &n);
void import_reshape(NodeImport &n);
void import_flatten(NodeImport &n);
void import_squeeze(NodeImport &n);
void import_unsqueeze(NodeImport &n);
void import_transpose(NodeImport &n);
void import_concat(NodeImport &n);
void import_split(NodeImport &n);
void import_expand(NodeImport &n);
void import_tile(NodeImport &n);
void import_depth_to_space(NodeImport &n);
void import_space_to_depth(NodeImport &n);
// slice.cpp
void import_slice(NodeImport &n);
void import_pad(NodeImport &n);
void import_center_crop_pad(NodeImport &n);
// gather.cpp
void import_gather(NodeImport &n);
void import_gather_elements(NodeImport &n);
void import_gather_nd(NodeImport &n);
void import_scatter_elements(NodeImport &n);
void import_scatter_nd(NodeImport &n);
void import_tensor_scatter(NodeImport &n);
void import_compress(NodeImport &n);
void import_reverse_sequence(NodeImport &n);
void import_trilu(NodeImport &n);
// conv_pool.cpp
void import_conv(NodeImport &n);
void import_conv_integer(NodeImport &n);
void import_conv_integer_with(NodeImport &n, Value *x, Value *weights, Value *x_zero, Value *w_zero,
                              const std::function<Value *(Value *)> &finish);
void import_conv_transpose(NodeImport &n);
void import_deform_conv(NodeImport &n);
void import_pool(NodeImport &n);
void import_global_pool(NodeImport &n);
void import_max_unpool(NodeImport &n);
void import_col2im(NodeImport &n);
void import_causal_conv(NodeImport &n);
// matmul.cpp
void import_matmul(NodeImport &n);
void import_gemm(NodeImport &n);
void import_matmul_integer(NodeImport &n);
void import_einsum(NodeImport &n);
void import_det(NodeImport &n);
// normalization.cpp
void import_batch_normalization(NodeImport &n);
void import_instance_normalization(NodeImport &n);
void import_layer_normalization(NodeImport &n);
void import_rms_normalization(NodeImport &n);
void import_group_normalization(NodeImport &n);
void import_lp_normalization(NodeImport &n);
void import_mean_variance_normalization(NodeImport &n);
void import_lrn(NodeImport &n);
// reduce.cpp
void import_reduce(NodeImport &n);
void import_arg_reduce(NodeImport &n);
void import_cumulative(NodeImport &n);
void import_softmax(NodeImport &n);
void import_hardmax(NodeImport &n);
// search.cpp
void import_topk(NodeImport &n);
void import_nonzero(NodeImport &n);
void import_unique(NodeImport &n);
void import_nms(NodeImport &n);
// quantize.cpp
void import_quantize(NodeImport &n);
void import_dequantize(NodeImport &n);
void import_dynamic_quantize(NodeImport &n);
void import_qlinear_matmul(NodeImport &n);
void import_qlinear_conv(NodeImport &n);
// recurrent.cpp
void import_rnn(NodeImport &n);
// attention.cpp
void import_attention(NodeImport &n);
void import_flex_attention(NodeImport &n);
void import_linear_attention(NodeImport &n);
void import_rotary_embedding(NodeImport &n);
// control_flow.cpp
void import_if(NodeImport &n);
void import_loop(NodeImport &n);
void import_scan(NodeImport &n);
// image.cpp
void import_resize(NodeImport &n);
void import_upsample(NodeImport &n);
void import_grid_sample(NodeImport &n);
void import_affine_grid(NodeImport &n);
void import_roi_align(NodeImport &n);
void import_max_roi_pool(NodeImport &n);
void import_image_decoder(NodeImport &n);
// loss.cpp
void import_nll_loss(NodeImport &n);
void import_softmax_cross_entropy(NodeImport &n);
// signal.cpp
void import_dft(NodeImport &n);
void import_stft(NodeImport &n);
void import_window(NodeImport &n);
void import_mel_weight_matrix(NodeImport &n);
// sequence.cpp
void import_sequence_construct(NodeImport &n);
void import_sequence_empty(NodeImport &n);
void import_sequence_at(NodeImport &n);
void import_sequence_insert(NodeImport &n);
void import_sequence_erase(NodeImport &n);
void import_sequence_length(NodeImport &n);
void import_split_to_sequence(NodeImport &n);
void import_concat_from_sequence(NodeImport &n);
void import_optional(NodeImport &n);
void import_sequence_map(NodeImport &n);
void import_optional_has_element(NodeImport &n);
void import_optional_get_element(NodeImport &n);
// strings.cpp
void import_string_concat(NodeImport &n);
void import_string_normalizer(NodeImport &n);
void import_string_split(NodeImport &n);
void import_regex_full_match(NodeImport &n);
void import_tfidf(NodeImport &n);
// training.cpp
void import_optimizer(NodeImport &n);
// feature.cpp, labels.cpp, linear_models.cpp, svm.cpp, trees.cpp: ai.onnx.ml
void import_array_feature_extractor(NodeImport &n);
void import_binarizer(NodeImport &n);
void import_cast_map(NodeImport &n);
void import_category_mapper(NodeImport &n);
void import_dict_vectorizer(NodeImport &n);
void import_feature_vectorizer(NodeImport &n);
void import_imputer(NodeImport &n);
void import_label_encoder(NodeImport &n);
void import_normalizer(NodeImport &n);
void import_one_hot_encoder(NodeImport &n);
void import_scaler(NodeImport &n);
void import_zip_map(NodeImport &n);
void import_linear_classifier(NodeImport &n);
void import_linear_regressor(NodeImport &n);
void import_svm_classifier(NodeImport &n);
void import_svm_regressor(NodeImport &n);
void import_tree_ensemble(NodeImport &n);
void import_tree_ensemble_classifier(NodeImport &n);
void import_tree_ensemble_regressor(NodeImport &n);

} // namespace cameo::frontend
