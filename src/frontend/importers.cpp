#include "importers.h"

#include "families.h"

namespace cameo::frontend {
namespace {

constexpr std::string_view kAi = "", kMl = "ai.onnx.ml", kTraining = "ai.onnx.preview.training";

// Sorted by domain and name.
constexpr Importer kImporters[] = {
    {kAi, "Abs", 1, import_unary, ""},
    {kAi, "Acos", 1, import_unary, ""},
    {kAi, "Acosh", 1, import_unary, ""},
    {kAi, "Add", 1, import_binary, ""},
    {kAi, "And", 1, import_binary, ""},
    {kAi, "ArgMax", 1, import_arg_reduce, ""},
    {kAi, "ArgMin", 1, import_arg_reduce, ""},
    {kAi, "Asin", 1, import_unary, ""},
    {kAi, "Asinh", 1, import_unary, ""},
    {kAi, "Atan", 1, import_unary, ""},
    {kAi, "Atanh", 1, import_unary, ""},
    {kAi, "AveragePool", 1, import_pool, ""},
    {kAi, "BatchNormalization", 1, import_batch_normalization, "rank 1; spatial 0; training before opset 14"},
    {kAi, "Bernoulli", 1, import_bernoulli, ""},
    {kAi, "BitCast", 1, import_bit_cast, ""},
    {kAi, "BitShift", 1, import_bit_shift, ""},
    {kAi, "BitwiseAnd", 1, import_binary, ""},
    {kAi, "BitwiseNot", 1, import_unary, ""},
    {kAi, "BitwiseOr", 1, import_binary, ""},
    {kAi, "BitwiseXor", 1, import_binary, ""},
    {kAi, "Cast", 1, import_cast, ""},
    {kAi, "CastLike", 1, import_cast_like, ""},
    {kAi, "CausalConvWithState", 1, import_causal_conv, "channels and kernel known"},
    {kAi, "Ceil", 1, import_unary, ""},
    {kAi, "Celu", 1, import_activation, ""},
    {kAi, "CenterCropPad", 1, import_center_crop_pad, "extents and shape known"},
    {kAi, "Clip", 1, import_clip, ""},
    {kAi, "Col2Im", 1, import_col2im, "shapes known; floats"},
    {kAi, "Compress", 1, import_compress, ""},
    {kAi, "Concat", 1, import_concat, ""},
    {kAi, "Constant", 1, import_constant, ""},
    {kAi, "ConstantOfShape", 1, import_constant_of_shape, ""},
    {kAi, "Conv", 1, import_conv, "kernel extents known"},
    {kAi, "ConvInteger", 1, import_conv_integer, "kernel extents known"},
    {kAi, "ConvTranspose", 1, import_conv_transpose, "kernel extents known"},
    {kAi, "Cos", 1, import_unary, ""},
    {kAi, "Cosh", 1, import_unary, ""},
    {kAi, "CumProd", 1, import_cumulative, "axis known"},
    {kAi, "CumSum", 1, import_cumulative, "axis known"},
    {kAi, "DeformConv", 1, import_deform_conv, "kernel extents known"},
    {kAi, "DepthToSpace", 1, import_depth_to_space, ""},
    {kAi, "DequantizeLinear", 1, import_dequantize, ""},
    {kAi, "Det", 1, import_det, ""},
    {kAi, "Div", 1, import_binary, ""},
    {kAi, "Dropout", 1, import_dropout, "inference"},
    {kAi, "DynamicQuantizeLinear", 1, import_dynamic_quantize, ""},
    {kAi, "Einsum", 1, import_einsum, ""},
    {kAi, "Elu", 1, import_activation, ""},
    {kAi, "Equal", 1, import_compare, ""},
    {kAi, "Erf", 1, import_unary, ""},
    {kAi, "Exp", 1, import_unary, ""},
    {kAi, "Expand", 1, import_expand, ""},
    {kAi, "EyeLike", 1, import_eye_like, ""},
    {kAi, "Flatten", 1, import_flatten, ""},
    {kAi, "Floor", 1, import_unary, ""},
    {kAi, "GRU", 1, import_rnn, ""},
    {kAi, "Gather", 1, import_gather, ""},
    {kAi, "GatherElements", 1, import_gather_elements, ""},
    {kAi, "GatherND", 1, import_gather_nd, "length of index tuples known"},
    {kAi, "Gelu", 1, import_activation, ""},
    {kAi, "Gemm", 1, import_gemm, ""},
    {kAi, "GlobalAveragePool", 1, import_global_pool, ""},
    {kAi, "GlobalLpPool", 1, import_global_pool, ""},
    {kAi, "GlobalMaxPool", 1, import_global_pool, ""},
    {kAi, "Greater", 1, import_compare, ""},
    {kAi, "GreaterOrEqual", 1, import_compare, ""},
    {kAi, "GroupNormalization", 1, import_group_normalization, ""},
    {kAi, "HardSigmoid", 1, import_activation, ""},
    {kAi, "HardSwish", 1, import_unary, ""},
    {kAi, "Hardmax", 1, import_hardmax, ""},
    {kAi, "Identity", 1, import_identity, ""},
    {kAi, "If", 1, import_if, "branches of equal rank, or a condition known at compile time"},
    {kAi, "InstanceNormalization", 1, import_instance_normalization, ""},
    {kAi, "IsInf", 1, import_is_inf, ""},
    {kAi, "IsNaN", 1, import_unary, ""},
    {kAi, "LRN", 1, import_lrn, ""},
    {kAi, "LSTM", 1, import_rnn, ""},
    {kAi, "LayerNormalization", 1, import_layer_normalization, ""},
    {kAi, "LeakyRelu", 1, import_activation, ""},
    {kAi, "Less", 1, import_compare, ""},
    {kAi, "LessOrEqual", 1, import_compare, ""},
    {kAi, "Log", 1, import_unary, ""},
    {kAi, "LogSoftmax", 1, import_softmax, ""},
    {kAi, "Loop", 1, import_loop, "carried values keep their rank"},
    {kAi, "LpNormalization", 1, import_lp_normalization, ""},
    {kAi, "LpPool", 1, import_pool, ""},
    {kAi, "MatMul", 1, import_matmul, ""},
    {kAi, "MatMulInteger", 1, import_matmul_integer, ""},
    {kAi, "Max", 1, import_variadic, ""},
    {kAi, "MaxPool", 1, import_pool, ""},
    {kAi, "MaxUnpool", 1, import_max_unpool, "output shape known"},
    {kAi, "Mean", 1, import_variadic, ""},
    {kAi, "MeanVarianceNormalization", 1, import_mean_variance_normalization, ""},
    {kAi, "Min", 1, import_variadic, ""},
    {kAi, "Mish", 1, import_unary, ""},
    {kAi, "Mod", 1, import_mod, ""},
    {kAi, "Mul", 1, import_binary, ""},
    {kAi, "Multinomial", 1, import_multinomial, ""},
    {kAi, "Neg", 1, import_unary, ""},
    {kAi, "NonMaxSuppression", 1, import_nms, ""},
    {kAi, "NonZero", 1, import_nonzero, ""},
    {kAi, "Not", 1, import_unary, ""},
    {kAi, "OneHot", 1, import_one_hot, ""},
    {kAi, "Or", 1, import_binary, ""},
    {kAi, "PRelu", 1, import_prelu, ""},
    {kAi, "Pad", 1, import_pad, ""},
    {kAi, "Pow", 1, import_binary, ""},
    {kAi, "QLinearConv", 1, import_qlinear_conv, "kernel extents known"},
    {kAi, "QLinearMatMul", 1, import_qlinear_matmul, ""},
    {kAi, "QuantizeLinear", 1, import_quantize, ""},
    {kAi, "RMSNormalization", 1, import_rms_normalization, ""},
    {kAi, "RNN", 1, import_rnn, ""},
    {kAi, "RandomNormal", 1, import_random, ""},
    {kAi, "RandomNormalLike", 1, import_random_like, ""},
    {kAi, "RandomUniform", 1, import_random, ""},
    {kAi, "RandomUniformLike", 1, import_random_like, ""},
    {kAi, "Range", 1, import_range, ""},
    {kAi, "Reciprocal", 1, import_unary, ""},
    {kAi, "ReduceL1", 1, import_reduce, "axes known"},
    {kAi, "ReduceL2", 1, import_reduce, "axes known"},
    {kAi, "ReduceLogSum", 1, import_reduce, "axes known"},
    {kAi, "ReduceLogSumExp", 1, import_reduce, "axes known"},
    {kAi, "ReduceMax", 1, import_reduce, "axes known"},
    {kAi, "ReduceMean", 1, import_reduce, "axes known"},
    {kAi, "ReduceMin", 1, import_reduce, "axes known"},
    {kAi, "ReduceProd", 1, import_reduce, "axes known"},
    {kAi, "ReduceSum", 1, import_reduce, "axes known"},
    {kAi, "ReduceSumSquare", 1, import_reduce, "axes known"},
    {kAi, "Relu", 1, import_unary, ""},
    {kAi, "Reshape", 1, import_reshape, ""},
    {kAi, "ReverseSequence", 1, import_reverse_sequence, ""},
    {kAi, "Round", 1, import_unary, ""},
    {kAi, "Scan", 9, import_scan, ""},
    {kAi, "Scatter", 1, import_scatter_elements, ""},
    {kAi, "ScatterElements", 1, import_scatter_elements, ""},
    {kAi, "ScatterND", 1, import_scatter_nd, "length of index tuples known"},
    {kAi, "Selu", 1, import_activation, ""},
    {kAi, "Shape", 1, import_shape, ""},
    {kAi, "Shrink", 1, import_activation, ""},
    {kAi, "Sigmoid", 1, import_unary, ""},
    {kAi, "Sign", 1, import_unary, ""},
    {kAi, "Sin", 1, import_unary, ""},
    {kAi, "Sinh", 1, import_unary, ""},
    {kAi, "Size", 1, import_size, ""},
    {kAi, "Slice", 1, import_slice, "axes known"},
    {kAi, "Softmax", 1, import_softmax, ""},
    {kAi, "Softplus", 1, import_unary, ""},
    {kAi, "Softsign", 1, import_unary, ""},
    {kAi, "SpaceToDepth", 1, import_space_to_depth, ""},
    {kAi, "Split", 1, import_split, "sizes known"},
    {kAi, "Sqrt", 1, import_unary, ""},
    {kAi, "Squeeze", 1, import_squeeze, "axes known"},
    {kAi, "Sub", 1, import_binary, ""},
    {kAi, "Sum", 1, import_variadic, ""},
    {kAi, "SwiGLU", 1, import_swiglu, ""},
    {kAi, "Swish", 1, import_activation, ""},
    {kAi, "Tan", 1, import_unary, ""},
    {kAi, "Tanh", 1, import_unary, ""},
    {kAi, "TensorScatter", 1, import_tensor_scatter, ""},
    {kAi, "ThresholdedRelu", 1, import_activation, ""},
    {kAi, "Tile", 1, import_tile, ""},
    {kAi, "TopK", 1, import_topk, ""},
    {kAi, "Transpose", 1, import_transpose, ""},
    {kAi, "Trilu", 1, import_trilu, ""},
    {kAi, "Unique", 1, import_unique, ""},
    {kAi, "Unsqueeze", 1, import_unsqueeze, "axes known"},
    {kAi, "Where", 1, import_where, ""},
    {kAi, "Xor", 1, import_binary, ""},
};

constexpr bool is_sorted() {
  for (size_t i = 1; i < std::size(kImporters); ++i) {
    const Importer &a = kImporters[i - 1], &b = kImporters[i];
    if (a.domain > b.domain || (a.domain == b.domain && a.name >= b.name)) return false;
  }
  return true;
}
static_assert(is_sorted(), "the table of importers is searched by name");

} // namespace

const Importer *find_importer(const OpRow &row) {
  if (row.deprecated) return nullptr;
  size_t low = 0, high = std::size(kImporters);
  while (low < high) {
    const size_t middle = (low + high) / 2;
    const Importer &at = kImporters[middle];
    if (at.domain < row.domain || (at.domain == row.domain && at.name < row.name))
      low = middle + 1;
    else
      high = middle;
  }
  if (low == std::size(kImporters)) return nullptr;
  const Importer &found = kImporters[low];
  return found.domain == row.domain && found.name == row.name && row.since >= found.since ? &found : nullptr;
}

} // namespace cameo::frontend
