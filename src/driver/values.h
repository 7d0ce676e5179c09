// The tensors that a model is run on: from files, or random ones that any model can digest.
#pragma once

#include "cameo/driver/driver.h"
#include "cameo/frontend/tensor_pb.h"

#include <map>

namespace cameo::driver {

/// Symbol to value.
using Symbols = std::map<std::string, int64_t>;

/// A .npy or ONNX .pb file, told apart by content. `wanted`: the dtype of the input that it is for. Errors: 66, 65.
Result<Tensor> read_tensor_file(const std::string &path, std::optional<DType> wanted);

/// Random elements, the same for the same seed and port name on every machine. Floats are multiples of a power of two
/// in
/// [-1, 1), so that every float dtype holds them exactly; 8-bit integers and smaller take all values; wider integers
/// are 0 or 1, which is in range for whatever they may index; strings are short words. Errors: usage (too large).
Result<Tensor> random_tensor(const PortInfo &port, const std::vector<int64_t> &shape, uint64_t seed);

/// What the user said about the inputs: the tensors of options.inputs by name, and a value for every symbol of the
/// ports: from options.dims, from the files, else 1 with a note. Errors: usage (an unknown name), bad_model (a file
/// that does not fit).
struct Given {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::vector<Tensor>> containers; ///< their parts
  Symbols symbols;
  std::vector<std::string> notes;
};
Result<Given> read_inputs(const std::vector<PortInfo> &ports, const Options &options);

/// A random sequence, or optional that is there: of one to three elements, and open extents from 1 to 4, which are the
/// same for all ports, so that what a model combines fits together. The parts, and a note on them.
Result<std::pair<std::vector<Tensor>, std::string>> random_container(const PortInfo &port, uint64_t seed);

/// The input tensors of a run, in the order of `ports`, those of containers as their parts: the given ones, random ones
/// for the rest, which `notes` tell of where they are containers.
Result<std::vector<Tensor>> make_inputs(const std::vector<PortInfo> &ports, Given given, uint64_t seed,
                                        std::vector<std::string> *notes = nullptr);

/// A name as a file name: everything but letters, digits, '_', '-' and '.' becomes '_'; never empty, hidden, or longer
/// than 100 bytes.
std::string file_name(const std::string &name);

} // namespace cameo::driver
