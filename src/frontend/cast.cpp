// Conversions, and nodes that do nothing when a model only predicts.
#include "families.h"

#include <array>

namespace cameo::frontend {
namespace {

// Cast-1 names its target type by a word.
std::optional<DType> dtype_from_word(std::string_view word) {
  struct Row {
    std::string_view word;
    DType dtype;
  };
  static constexpr Row rows[] = {
      {"FLOAT", DType::f32},    {"UINT8", DType::u8},    {"INT8", DType::i8},    {"UINT16", DType::u16},
      {"INT16", DType::i16},    {"INT32", DType::i32},   {"INT64", DType::i64},  {"STRING", DType::string},
      {"BOOL", DType::boolean}, {"FLOAT16", DType::f16}, {"DOUBLE", DType::f64}, {"UINT32", DType::u32},
      {"UINT64", DType::u64},
  };
  for (const Row &row : rows)
    if (row.word == word) return row.dtype;
  return std::nullopt;
}

void convert(NodeImport &n, DType to) {
  Value *x = n.input(0);
  if (n.failed()) return;
  if (x->type().dtype() == to) return n.result(x);
  Attributes attributes = {{"saturate", n.integer("saturate", 1) != 0}};
  if (to == DType::f8e8m0 && n.version() >= 24)
    attributes.emplace_back("round", n.word("round_mode", {"up", "down", "nearest"}));
  n.result(n.make(Op::cast, {x}, std::move(attributes), to));
}

} // namespace

void import_cast(NodeImport &n) {
  if (n.version() >= 6) return convert(n, n.dtype("to", DType::f32));
  const std::optional<DType> to = dtype_from_word(n.text("to"));
  if (!to) return void(n.fail("cannot cast to '" + escape_name(n.text("to")) + "'"));
  convert(n, *to);
}

void import_cast_like(NodeImport &n) { convert(n, n.input(1)->type().dtype()); }

void import_bit_cast(NodeImport &n) {
  const DType to = n.dtype("to", DType::f32);
  if (to == DType::string) n.fail("strings have no bits to cast");
  if (!n.failed() && n.input(0)->type().dtype() == to) return n.result(n.input(0));
  n.result(n.make(Op::bitcast, {n.input(0)}, {}, to));
}

void import_identity(NodeImport &n) { n.result(n.input(0)); }

// Inference: the input, and a mask that keeps everything.
void import_dropout(NodeImport &n) {
  Value *x = n.input(0);
  if (n.has(2)) {
    const auto training = n.ints_of(n.input(2));
    const std::optional<double> ratio = n.has(1) ? n.real_of(n.input(1)) : std::optional(0.5);
    const bool certainly_off = (training && training->size() == 1 && (*training)[0] == 0) || (ratio && *ratio == 0);
    if (!certainly_off) return void(n.unsupported("dropout while training"));
  }
  n.result(x);
  if (!n.wants(1)) return;
  if (!n.ranked(x)) return;
  const DType dtype = n.version() < 10 ? x->type().dtype() : DType::boolean;
  n.result(1, n.broadcast(dtype == DType::boolean ? n.scalar_int(dtype, 1) : n.scalar(dtype, 1), x->type().shape()));
}

} // namespace cameo::frontend
