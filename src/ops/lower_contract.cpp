// Einsum of one or two operands: y[out] = sum over the other labels of (a - a_zero) * (b - b_zero).
//
// One axis per label: those of the result first, the others are reduced. A label of extent 1 in an operand broadcasts.
#include "lowering.h"

namespace cameo::ops {
namespace {

struct Equation {
  std::vector<std::string> operands;
  std::string result;
};

Equation parse_equation(const std::string &text) {
  Equation e;
  const size_t arrow = text.find("->");
  CAMEO_CHECK(arrow != std::string::npos, "equation '" + text + "'");
  e.result = text.substr(arrow + 2);
  std::string left = text.substr(0, arrow);
  for (size_t start = 0;;) {
    const size_t comma = left.find(',', start);
    e.operands.push_back(left.substr(start, comma == std::string::npos ? comma : comma - start));
    if (comma == std::string::npos) break;
    start = comma + 1;
  }
  return e;
}

} // namespace

Problem lower_contract(Lowering &l, const graph::Node &node) {
  const Equation equation = parse_equation(node.string("equation"));
  const graph::Value *y = node.result();
  const DType stored = node.operand(0)->type().dtype();
  const DType compute = node.has_attribute("compute") ? node.dtype("compute") : y->type().dtype();
  for (DType d : {stored, compute, y->type().dtype()})
    if (d == DType::string || kind(d) == DTypeKind::complex)
      return "contract of " + std::string(name(d)) + " has no kernel";
  const Scalar t = loop::compute_type(compute);

  // Extents of labels: of the operand that does not broadcast.
  std::map<char, graph::Dim> extents;
  for (size_t i = 0; i < equation.operands.size(); ++i)
    for (size_t d = 0; d < equation.operands[i].size(); ++d) {
      const graph::Dim &dim = node.operand(i)->type().shape()[d];
      auto [it, added] = extents.emplace(equation.operands[i][d], dim);
      if (!added && it->second.is(1)) it->second = dim;
    }
  const Space space = l.space(y->type().shape());
  loop::Stage stage = l.stage(space, "sum");
  std::map<char, int32_t> axis;
  for (size_t d = 0; d < equation.result.size(); ++d) axis.emplace(equation.result[d], static_cast<int32_t>(d));
  for (const std::string &labels : equation.operands)
    for (char label : labels)
      if (!axis.count(label))
        axis[label] = Lowering::add_reduction(stage, std::string("r") + label, l.extent(extents.at(label)));

  // What each operand contributes: (x - zero) in the compute type.
  auto factor = [&](size_t i) {
    const graph::Value *v = node.operand(i);
    std::vector<Index> indices;
    for (size_t d = 0; d < equation.operands[i].size(); ++d) {
      const char label = equation.operands[i][d];
      const graph::Dim &own = v->type().shape()[d];
      const size_t place = equation.result.find(label);
      Index index = own.is(1) ? Index{} : loop::axis_index(axis.at(label));
      if (!own.is_constant() && place != std::string::npos &&
          y->type().shape()[place] != own) // 1, or that of the result
        index =
            Lowering::at(l.op(Opcode::min, l.index_value(index), l.op(Opcode::sub, l.dim_value(own), l.integer(1))));
      indices.push_back(std::move(index));
    }
    ExprId x = convert(l, l.read(v, indices), v->type().dtype(), t);
    const graph::Value *zero = node.operand(2 + i);
    if (!zero) return x;
    // A zero point per row of a or per column of b has the last label of a (but one) or of b that the result keeps.
    std::vector<Index> at;
    const graph::Shape &shape = zero->type().shape();
    if (shape.size() == 1 && !shape[0].is(1)) {
      const std::string &labels = equation.operands[i];
      at.push_back(loop::axis_index(axis.at(i == 0 ? labels[labels.size() - 2] : labels.back())));
    } else {
      for (size_t d = 0; d < shape.size(); ++d) { // one per row of each matrix: the operand's shape with a dim of 1
        const size_t skip = equation.operands[i].size() - shape.size();
        at.push_back(shape[d].is(1) ? Index{} : loop::axis_index(axis.at(equation.operands[i][skip + d])));
      }
    }
    // A symbolic extent may be 1: then all rows have the one that there is.
    return l.op(Opcode::sub, x, convert(l, l.read(zero, at, OutOfRange::clamp), zero->type().dtype(), t));
  };
  const bool two = equation.operands.size() == 2;
  ExprId body = factor(0);
  const bool reduces = stage.axes.size() > space.axes.size();
  stage.types = {t};
  if (reduces) {
    const ExprId acc = l.kernel().carried(t);
    if (two && loop::is_float(t))
      body = l.op(Opcode::muladd, body, factor(1), acc);
    else
      body = l.op(Opcode::add, acc, two ? l.op(Opcode::mul, body, factor(1)) : body);
    stage.init = {l.number(t, 0)};
    stage.combine = Opcode::add;
  } else if (two) {
    body = l.op(Opcode::mul, body, factor(1));
  }
  stage.next = {body};
  const int32_t sum = l.add_stage(std::move(stage));
  const DType to = y->type().dtype();
  if (compute == to) {
    l.define(y, sum, 0, space);
  } else {
    l.define_pointwise(y, space, cast_value(l, l.read_stage(sum), compute, to), "cast");
  }
  return {};
}

} // namespace cameo::ops
