// What the runtime does with strings (codegen/runtime/string_*.c): calls of C functions with whole tensors. Strings are
// i64 numbers here.
#include "lowering.h"

namespace cameo::ops {
namespace {

using graph::Dim;
using graph::Node;
using graph::Value;

// The function for text in numbers of that dtype, or back: those that number_strings makes.
std::string number_function(std::string_view verb, DType dtype) {
  CAMEO_CHECK(dtype == DType::f32 || dtype == DType::f64 || dtype == DType::i64 || dtype == DType::u64,
              "strings as " + std::string(name(dtype)));
  return "cameo_string_number_" + std::string(verb) + "_" + std::string(name(dtype));
}

std::string function_of(const Node &node) {
  const std::string &fn = node.string("fn");
  if (fn == "concat") return "cameo_string_concat_pairs";
  if (fn == "lower" || fn == "upper") return "cameo_string_case_" + fn;
  if (fn == "counts" || fn == "parts") return "cameo_string_split_" + fn;
  if (fn == "match") return "cameo_string_match_full";
  if (fn == "parse") return number_function(fn, node.result()->type().dtype());
  return number_function(fn, node.operand(1)->type().dtype());
}

} // namespace

Lowered lower_string_call(const Node &node) {
  Lowered l;
  l.runtime = function_of(node);
  l.kernel.name = node.string("fn");
  auto add = [&](const Value *v, std::string buffer, loop::BufferRole role) {
    std::vector<loop::Extent> dims;
    for (const Dim &d : v->type().shape()) dims.push_back(l.extent(d));
    l.kernel.add_buffer(std::move(buffer), v->type().dtype(), std::move(dims), role);
  };
  for (size_t i = 1; i < node.operand_count(); ++i) {
    const Value *v = node.operand(i);
    add(v, "a" + std::to_string(i), v->constant() ? loop::BufferRole::constant : loop::BufferRole::input);
    l.arguments.push_back({Argument::Kind::operand, i, 0, nullptr});
  }
  add(node.result(), "y", loop::BufferRole::output);
  l.arguments.push_back({Argument::Kind::result, 0, 0, nullptr});
  const Value *x = node.operand(1), *y = node.result();
  l.sizes.push_back(x->type().elements());
  if (l.kernel.name == "match") l.sizes.push_back(node.operand(2)->type().dim(0));
  if (l.kernel.name == "parts") l.sizes.push_back(y->type().dim(-1));
  if (l.kernel.name == "counts" || l.kernel.name == "parts") l.sizes.push_back(node.integer_or("limit", INT64_MAX));
  return l;
}

} // namespace cameo::ops
