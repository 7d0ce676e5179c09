// Private to codegen/: see lower_order.cpp.
#pragma once

namespace llvm {
class Pass;
}

namespace cameo::codegen {

/// A machine-function pass for SSA form, owned by the pass manager that it is added to.
llvm::Pass *create_sink_loads();

} // namespace cameo::codegen
