// Importers of ai.onnx.preview.training.
#pragma once

#include "node_import.h"

namespace cameo::frontend {

void import_adagrad(NodeImport &n);
void import_adam(NodeImport &n);
void import_momentum(NodeImport &n);

} // namespace cameo::frontend
