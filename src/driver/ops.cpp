// `cameo ops`: the frontend's operator table as rows for people and programs.
#include "cameo/driver/driver.h"

#include "cameo/frontend/op_table.h"

namespace cameo::driver {

namespace {

std::vector<std::string> dtypes_of(const frontend::OpSupport &op) {
  // The newest version of the range says the most.
  const int opset = op.until == 0 ? frontend::newest_opset(op.domain) : op.until;
  const frontend::OpRow *row = frontend::find_op(op.domain, op.name, opset);
  if (!row || row->deprecated) return {};
  const frontend::OpSignature signature = frontend::decode(*row);
  const auto &ports = signature.inputs.empty() ? signature.outputs : signature.inputs;
  std::vector<std::string> names;
  for (int number = 1; !ports.empty() && number < 32; ++number)
    if (const auto dtype = dtype_from_onnx(number); dtype && ports[0].types.allows_tensor(*dtype))
      names.emplace_back(name(*dtype));
  return names;
}

} // namespace

std::vector<OpRow> ops() {
  std::vector<OpRow> rows;
  for (const frontend::OpSupport &op : frontend::op_support())
    rows.push_back(
        {std::string(op.domain), std::string(op.name), op.since, op.until, op.supported, dtypes_of(op), op.limits});
  return rows;
}

} // namespace cameo::driver
