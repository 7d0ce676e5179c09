// What the frontend accepts at most.
#pragma once

#include <cstdint>

namespace cameo::frontend {

/// Stated limits; crossing one is a diagnostic (65). The anchors are in RELIABILITY.md.
struct Limits {
  int64_t model_bytes = INT32_MAX; ///< of the .onnx file itself; larger models keep their weights in external data
  int64_t subgraph_nesting = 32;   ///< bodies inside bodies; the main graph does not count
  int64_t function_depth = 100;    ///< calls of model-local functions inside each other
  int64_t functions = 10'000;      ///< model-local functions
  int64_t nodes = 1'000'000;       ///< after inlining of functions, counted before they are expanded
  int64_t messages = 32'000'000;   ///< protobuf messages and strings: bounds the memory of the parsed form
  int64_t rank = 64;
  int64_t shape_elements = 1024; ///< of a constant or computed tensor that shape inference looks into
  int64_t name_bytes = 4096;
  int64_t diagnostics = 100; ///< reported per model; the rest is counted in one more line
};

} // namespace cameo::frontend
