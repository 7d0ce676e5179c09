// Sequences and optionals as people and files know them, a list of tensors, and as a library takes and gives them: the
// tensors dims, data, ranks and present (ir/container.h, CameoContainer in abi.h).
#pragma once

#include "cameo/codegen/artefact.h"
#include "cameo/driver/driver.h"
#include "cameo/frontend/tensor_pb.h"

#include <span>

namespace cameo::driver {

/// How many tensors of the C interface the port is: 1 for a tensor.
size_t part_count(const PortInfo &port);

/// Reads the kind of value that the port is. Errors: 66, 65 (a value of another kind included).
Result<frontend::PbValue> read_port_pb(const std::string &path, const PortInfo &port);

/// The value's parts in order. Errors: bad_model, for elements that the port does not take.
Result<std::vector<Tensor>> to_parts(const PortInfo &port, const frontend::PbValue &value, const std::string &where);
/// The value that parts of a run stand for. Errors: check_failed, when they do not fit together.
Result<frontend::PbValue> from_parts(const PortInfo &port, std::span<const Tensor> parts);

/// The elements of a container: none where it is absent.
std::vector<Tensor> elements_of(const frontend::PbValue &value);
/// False for an optional without a value.
bool is_present(const frontend::PbValue &value);

PortInfo container_port(const codegen::ContainerSpec &container);

} // namespace cameo::driver
