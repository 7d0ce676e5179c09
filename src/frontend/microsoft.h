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

} // namespace cameo::frontend
