// ONNX models byte by byte (the protobuf wire format and onnx.proto's field numbers), so that tests can also write what
// no library would.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cameo::testing {

inline std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}
inline std::string number(int field, uint64_t value) {
  return varint(static_cast<uint64_t>(field) << 3) + varint(value);
}
inline std::string bytes(int field, const std::string &value) {
  return varint(static_cast<uint64_t>(field) << 3 | 2) + varint(value.size()) + value;
}

/// ValueInfoProto of a tensor; dims >= 0.
inline std::string value_info(const std::string &name, std::vector<uint64_t> dims, uint64_t dtype = 1) {
  std::string shape;
  for (uint64_t dim : dims) shape += bytes(1, number(1, dim));
  return bytes(1, name) + bytes(2, bytes(1, number(1, dtype) + bytes(2, shape)));
}

inline std::string node(const std::string &op, const std::vector<std::string> &inputs,
                        const std::vector<std::string> &outputs, const std::string &name = "n",
                        const std::string &attributes = {}) {
  std::string out;
  for (const std::string &input : inputs) out += bytes(1, input);
  for (const std::string &output : outputs) out += bytes(2, output);
  return out + bytes(3, name) + bytes(4, op) + attributes;
}

/// TensorProto of f32 zeros.
inline std::string zeros(const std::string &name, std::vector<uint64_t> dims) {
  std::string out;
  uint64_t count = 1;
  for (uint64_t dim : dims) {
    out += number(1, dim);
    count *= dim;
  }
  return out + number(2, 1) + bytes(8, name) + bytes(9, std::string(4 * count, '\0'));
}

struct GraphBytes {
  std::vector<std::string> nodes, inputs, outputs, initializers;
  std::string graph() const {
    std::string out;
    for (const std::string &n : nodes) out += bytes(1, n);
    out += bytes(2, "g");
    for (const std::string &i : initializers) out += bytes(5, i);
    for (const std::string &i : inputs) out += bytes(11, i);
    for (const std::string &o : outputs) out += bytes(12, o);
    return out;
  }
  std::string model(uint64_t opset = 17) const {
    return number(1, 8) + bytes(7, graph()) + bytes(8, bytes(1, "") + number(2, opset));
  }
};

/// y = Relu(x), f32[2,3].
inline GraphBytes relu_graph() {
  return {{node("Relu", {"x"}, {"y"})}, {value_info("x", {2, 3})}, {value_info("y", {2, 3})}, {}};
}

} // namespace cameo::testing
