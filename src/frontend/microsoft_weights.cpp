// Weights of com.microsoft that are stored in few bits, in blocks with a scale and a zero point each.
#include "microsoft.h"
#include "parts.h"

#include <algorithm>

namespace cameo::frontend {
namespace {

constexpr int64_t kMost = INT32_MAX; ///< of each attribute that is an extent

// The u8 that hold `bits` bits each, low ones first, as numbers: the last axis grows by 8 / bits.
Value *unpacked(NodeImport &n, Value *x, int64_t bits) {
  if (bits == 8 || n.failed()) return n.failed() ? nullptr : x;
  const int64_t parts = 8 / bits;
  Shape wide = x->type().shape(), one = wide;
  one.push_back(1);
  std::vector<Value *> pieces;
  for (int64_t i = 0; i < parts; ++i) {
    Value *piece = i == 0 ? x : n.map(Fn::shift_right, {x, n.scalar_int(DType::u8, i * bits)});
    piece = n.map(Fn::bitwise_and, {piece, n.scalar_int(DType::u8, (1 << bits) - 1)});
    pieces.push_back(n.reshape(piece, one));
  }
  wide.back() = wide.back() * parts;
  return n.reshape(n.concat(std::move(pieces), x->type().rank()), std::move(wide));
}

DType unsigned_of(int64_t bits) { return bits == 2 ? DType::u2 : bits == 4 ? DType::u4 : DType::u8; }

// Constant bytes seen as numbers of `bits` bits, of these dims: the same memory. Null where they are no constant.
Value *seen_as(NodeImport &n, Value *x, int64_t bits, std::vector<int64_t> dims) {
  const graph::ConstantData *data = n.failed() ? nullptr : x->constant();
  if (!data || !data->available()) return nullptr;
  const Constant owner = x->producer()->tensor("value");
  return n.constant(ConstantData::view(unsigned_of(bits), std::move(dims), owner->bytes(), owner));
}

// Rows of packed numbers, the first `columns` of each, as a constant; null where they are no constant.
Value *row_constant(NodeImport &n, Value *x, int64_t bits, int64_t rows, int64_t columns) {
  const graph::ConstantData *data = n.failed() ? nullptr : x->constant();
  if (!data || !data->available()) return nullptr;
  const int64_t bytes = (columns * bits + 7) / 8;
  std::vector<int64_t> values;
  values.reserve(size_t(rows * columns));
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) {
      const auto byte = int64_t(data->bits_at(r * bytes + c * bits / 8));
      values.push_back(byte >> (c * bits % 8) & ((1 << bits) - 1));
    }
  return n.constant(ConstantData::of_ints(unsigned_of(bits), {rows, columns}, values));
}

bool is_block(int64_t size) { return size >= 16 && size <= kMost && (size & (size - 1)) == 0; }

} // namespace

// A, B [n, blocks, block bytes], scales [n, blocks], zero points, g_idx, bias:
// y = A W^T + bias with W[j, i] = (B[j, i] - zero[j, i / block]) * scale[j, i / block], computed in f32.
void import_matmul_nbits(NodeImport &n) {
  const int64_t bits = n.integer("bits"), block = n.integer("block_size", 0), k = n.integer("K", 0),
                rows = n.integer("N", 0);
  Value *a = n.input(0), *b = n.input(1), *scales = n.input(2), *zero = n.input(3), *bias = n.input(5);
  if (!is_block(block)) return void(n.fail("block_size is " + std::to_string(block) + ", not a power of 2 from 16 on"));
  if (bits < 2 || bits > 8) return void(n.fail("bits is " + std::to_string(bits)));
  if (bits != 2 && bits != 4 && bits != 8) return void(n.unsupported(std::to_string(bits) + " bits"));
  if (k < 1 || rows < 1 || k > kMost || rows > kMost)
    return void(n.fail("K is " + std::to_string(k) + ", N is " + std::to_string(rows)));
  if (n.has(4)) return void(n.unsupported("g_idx"));
  if (n.integer("weight_prepacked", 0) != 0) return void(n.unsupported("weights packed for a device"));
  if (!n.ranked(a) || !n.ranked(b) || !n.ranked(scales)) return;
  if (a->type().rank() < 1) return void(n.fail("A is a scalar"));
  const Dim last = a->type().dim(-1);
  if (last.is_constant() && !last.is(k)) return void(n.fail("A " + a->type().str() + " for K " + std::to_string(k)));
  const int64_t blocks = (k + block - 1) / block, bytes = block * bits / 8;
  int64_t elements = 0;
  if (__builtin_mul_overflow(rows, blocks * block, &elements)) return void(n.fail("weights of too many elements"));
  b = n.with_shape(b, "B", {rows, blocks, bytes});
  if (scales->type().rank() == 1) scales = n.reshape(scales, {rows, blocks});
  scales = n.cast(n.with_shape(scales, "scales", {rows, blocks}), DType::f32);
  const bool real_zero = zero && is_float(zero->type().dtype());
  const int64_t zero_bytes = (blocks * bits + 7) / 8;
  if (zero && n.ranked(zero) && zero->type().rank() == 1)
    zero = n.reshape(zero, {rows, real_zero ? blocks : zero_bytes});
  zero = n.with_shape(zero, "zero_points", {rows, real_zero ? blocks : zero_bytes});
  if (n.failed()) return;

  Value *w = nullptr, *numbers = seen_as(n, b, bits, {rows, blocks * block});
  Value *known_zero = !zero       ? n.scalar_int(unsigned_of(bits), int64_t{1} << (bits - 1))
                      : real_zero ? nullptr
                                  : row_constant(n, zero, bits, rows, blocks);
  if (numbers && known_zero) {
    w = n.make(Op::dequantize, {numbers, scales, known_zero}, {{"axis", int64_t{1}}, {"block", block}}, DType::f32);
  } else {
    Value *q = n.cast(unpacked(n, b, bits), DType::f32), *z = n.scalar(DType::f32, double(int64_t{1} << (bits - 1)));
    if (real_zero) z = n.reshape(n.cast(zero, DType::f32), {rows, blocks, 1});
    if (zero && !real_zero) {
      z = unpacked(n, zero, bits);
      z = n.failed() ? nullptr : n.reshape(n.cast(n.slice(z, 1, 0, blocks), DType::f32), {rows, blocks, 1});
    }
    w = n.map(Fn::mul, {n.map(Fn::sub, {q, z}), n.failed() ? nullptr : n.reshape(scales, {rows, blocks, 1})});
    w = n.failed() ? nullptr : n.reshape(w, {rows, blocks * block});
  }
  if (n.failed()) return;
  w = n.slice(w, 1, 0, k);
  const DType dtype = a->type().dtype();
  const Shape outer(a->type().shape().begin(), a->type().shape().end() - 1);
  Value *flat = n.reshape(n.cast(a, DType::f32), {product(outer), k});
  Value *y = n.make(Op::contract, {flat, w}, {{"equation", std::string("mk,nk->mn")}});
  if (bias) y = n.map(Fn::add, {y, n.cast(n.with_shape(bias, "bias", {rows}), DType::f32)});
  if (n.failed()) return;
  Shape shape = outer;
  shape.push_back(rows);
  n.result(n.cast(n.reshape(y, std::move(shape)), dtype));
}

// data, indices, scales, zero points: rows are gathered as they are stored, with their scales, then dequantised.
void import_gather_block_quantized(NodeImport &n) {
  Value *data = n.input(0), *indices = n.input(1), *scales = n.input(2), *zero = n.input(3);
  if (!n.ranked(data) || !n.ranked(indices) || !n.ranked(scales) || (zero && !n.ranked(zero))) return;
  const int64_t rank = data->type().rank(), block = n.integer("block_size"), bits = n.integer("bits");
  const int64_t gathered = n.axis(n.integer("gather_axis"), rank, "gather_axis"),
                blocked = n.axis(n.integer("quantize_axis"), rank, "quantize_axis");
  if (!is_block(block)) n.fail("block_size is " + std::to_string(block) + ", not a power of 2 from 16 on");
  if (bits != 2 && bits != 4 && bits != 8) n.fail("bits is " + std::to_string(bits));
  if (gathered == blocked) n.fail("gather_axis and quantize_axis are both " + std::to_string(blocked));
  if (scales->type().rank() != rank || (zero && zero->type().rank() != rank))
    n.fail("scales " + scales->type().str() + " and zero points are not of the rank of " + data->type().str());
  const bool packed = data->type().dtype() == DType::u8;
  if (packed && (gathered != 0 || blocked != rank - 1))
    n.unsupported("packed data that is not gathered along the first axis and quantised along the last");
  if (n.failed()) return;
  auto rows = [&](Value *x) { return x ? n.gather(x, indices, gathered) : nullptr; };
  data = rows(data), scales = rows(scales), zero = rows(zero);
  if (n.failed()) return;
  const int64_t axis = blocked + (blocked > gathered ? indices->type().rank() - 1 : 0);
  if (packed) {
    data = unpacked(n, data, bits);
    const Dim blocks = scales->type().dim(-1);
    if (zero) zero = n.slice(unpacked(n, zero, bits), zero->type().rank() - 1, 0, blocks);
    if (zero) zero = n.with_shape(zero, "zero_points", scales->type().shape());
    if (!zero) zero = n.scalar_int(DType::u8, int64_t{1} << (bits - 1));
  }
  const DType dtype = scales->type().dtype();
  n.result(n.make(Op::dequantize, {data, scales, zero}, {{"axis", axis}, {"block", block}}, dtype));
}

} // namespace cameo::frontend
