// Memory: loads and stores of whole and of partial vectors, gathers, scatters, prefetches.
//
// A partial access (`active` lanes) never touches a byte beyond them. Where the target has masked moves it is one;
// elsewhere a constant count becomes accesses of power-of-two size, and a count known at run time becomes log2(lanes)
// branches, each copying one power of two through a stack slot.
#include "emit.h"

#include <bit>

namespace cameo::codegen {

using loop::Value;

bool FunctionEmitter::masks_natively(loop::Type type, bool store) const {
  if (type.lanes < 2) return false;
  if (module_.target.masked_memory) return true;
  int bits = loop::bits(type.scalar);
  // AVX2's vmaskmov: good as a load, slow as a store on AMD.
  return !store && module_.target.vector_bits == 256 && bits >= 32 && bits * type.lanes % 128 == 0;
}

// min(max(active, 0), lanes)
llvm::Value *FunctionEmitter::clamp_active(Value active, int64_t lanes) {
  if (auto known = constant(active)) return builder_.getInt64(uint64_t(std::clamp<int64_t>(*known, 0, lanes)));
  llvm::Value *n = builder_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, value(active), builder_.getInt64(0));
  return builder_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, n, builder_.getInt64(uint64_t(lanes)));
}

// i1xN whose first `active` lanes are set, placed where `active` is known.
llvm::Value *FunctionEmitter::lane_mask(Value active, int64_t lanes) {
  size_t level = depth(active);
  llvm::Value *&mask = scopes_[level].masks[{active, lanes}];
  if (mask) return mask;
  value(active);
  Place place(*this, level);
  llvm::Value *n = clamp_active(active, lanes);
  if (module_.target.masked_memory && lanes < 64) { // (1 << n) - 1 as a mask register
    llvm::Value *bits = builder_.CreateSub(builder_.CreateShl(builder_.getInt64(1), n), builder_.getInt64(1));
    bits = builder_.CreateTrunc(bits, builder_.getIntNTy(unsigned(lanes)));
    mask = builder_.CreateBitCast(bits, llvm::FixedVectorType::get(builder_.getInt1Ty(), unsigned(lanes)));
    return mask;
  }
  std::vector<llvm::Constant *> lane;
  for (int64_t i = 0; i < lanes; ++i) lane.push_back(builder_.getInt32(uint32_t(i)));
  llvm::Value *limit = builder_.CreateVectorSplat(unsigned(lanes), builder_.CreateTrunc(n, builder_.getInt32Ty()));
  mask = builder_.CreateICmpULT(llvm::ConstantVector::get(lane), limit);
  return mask;
}

llvm::Value *FunctionEmitter::load_pieces(llvm::Type *element, int64_t lanes, int64_t count, llvm::Value *pointer,
                                          llvm::Align align) {
  llvm::Value *result = llvm::Constant::getNullValue(llvm::FixedVectorType::get(element, unsigned(lanes)));
  uint64_t bytes = element->getPrimitiveSizeInBits() / 8;
  for (int64_t offset = 0; offset < count;) {
    int64_t piece = int64_t(std::bit_floor(uint64_t(count - offset)));
    llvm::Value *at = builder_.CreateConstGEP1_64(builder_.getInt8Ty(), pointer, uint64_t(offset) * bytes);
    llvm::Align known = llvm::commonAlignment(align, uint64_t(offset) * bytes);
    if (piece == 1) {
      result = builder_.CreateInsertElement(result, builder_.CreateAlignedLoad(element, at, known), uint64_t(offset));
    } else {
      llvm::Value *part = builder_.CreateAlignedLoad(llvm::FixedVectorType::get(element, unsigned(piece)), at, known);
      std::vector<int> widen(size_t(lanes), -1), merge(static_cast<size_t>(lanes));
      for (int64_t i = 0; i < lanes; ++i) {
        if (i < piece) widen[size_t(i)] = int(i);
        merge[size_t(i)] = int(i >= offset && i < offset + piece ? lanes + i - offset : i);
      }
      result = builder_.CreateShuffleVector(result, builder_.CreateShuffleVector(part, widen), merge);
    }
    offset += piece;
  }
  return result;
}

void FunctionEmitter::store_pieces(llvm::Value *vector, int64_t count, llvm::Value *pointer, llvm::Align align) {
  uint64_t bytes = vector->getType()->getScalarSizeInBits() / 8;
  for (int64_t offset = 0; offset < count;) {
    int64_t piece = int64_t(std::bit_floor(uint64_t(count - offset)));
    llvm::Value *at = builder_.CreateConstGEP1_64(builder_.getInt8Ty(), pointer, uint64_t(offset) * bytes);
    std::vector<int> lanes;
    for (int64_t i = 0; i < piece; ++i) lanes.push_back(int(offset + i));
    llvm::Value *part = piece == 1 ? builder_.CreateExtractElement(vector, uint64_t(offset))
                                   : builder_.CreateShuffleVector(vector, lanes);
    builder_.CreateAlignedStore(part, at, llvm::commonAlignment(align, uint64_t(offset) * bytes));
    offset += piece;
  }
}

// Copies the first `active` (at most `lanes`) elements: one branch per bit of the count. The piece of bit p lies behind
// those of the higher bits.
void FunctionEmitter::copy_active(llvm::Value *to, llvm::Value *from, llvm::Value *active, llvm::Type *element,
                                  int64_t lanes) {
  for (uint64_t piece = std::bit_floor(uint64_t(lanes)); piece > 0; piece /= 2) {
    llvm::BasicBlock *copy = block("copy"), *after = block("next");
    builder_.CreateCondBr(builder_.CreateIsNotNull(builder_.CreateAnd(active, builder_.getInt64(piece))), copy, after);
    builder_.SetInsertPoint(copy);
    llvm::Type *type = piece > 1 ? llvm::FixedVectorType::get(element, unsigned(piece)) : element;
    llvm::Value *offset = builder_.CreateAnd(active, builder_.getInt64(~(2 * piece - 1)));
    llvm::Align align(element->getPrimitiveSizeInBits() / 8);
    llvm::Value *part = builder_.CreateAlignedLoad(type, builder_.CreateGEP(element, from, offset), align);
    builder_.CreateAlignedStore(part, builder_.CreateGEP(element, to, offset), align);
    builder_.CreateBr(after);
    builder_.SetInsertPoint(after);
  }
}

llvm::Value *FunctionEmitter::emit_load(const loop::Op &op) {
  loop::Type result = type(op.results[0]);
  llvm::Type *llvm_type = module_.type(result), *element = llvm_type->getScalarType();
  Address address = address_of(op.operands[0], op.address);
  llvm::Value *pointer = sum(address);
  llvm::Align align(uint64_t(std::max<int64_t>({op.align, known_alignment(address), loop::bits(result.scalar) / 8})));
  if (op.operands.size() < 2) return builder_.CreateAlignedLoad(llvm_type, pointer, align);

  Value active = op.operands[1];
  llvm::Constant *zero = llvm::Constant::getNullValue(llvm_type);
  auto known = constant(active);
  if (known && *known <= 0) return zero;
  if (known && *known >= result.lanes) return builder_.CreateAlignedLoad(llvm_type, pointer, align);
  if (masks_natively(result, false))
    return builder_.CreateMaskedLoad(llvm_type, pointer, align, lane_mask(active, result.lanes), zero);
  if (known) return load_pieces(element, result.lanes, *known, pointer, align);
  llvm::AllocaInst *slot = stack_slot(llvm_type, "partial");
  builder_.CreateStore(zero, slot);
  copy_active(slot, pointer, clamp_active(active, result.lanes), element, result.lanes);
  return builder_.CreateLoad(llvm_type, slot);
}

void FunctionEmitter::emit_store(const loop::Op &op) {
  loop::Type stored = type(op.operands[0]);
  llvm::Value *v = value(op.operands[0]);
  Address address = address_of(op.operands[1], op.address);
  llvm::Value *pointer = sum(address);
  llvm::Align align(uint64_t(std::max<int64_t>({op.align, known_alignment(address), loop::bits(stored.scalar) / 8})));
  if (op.operands.size() < 3) {
    builder_.CreateAlignedStore(v, pointer, align);
    return;
  }
  Value active = op.operands[2];
  auto known = constant(active);
  if (known && *known <= 0) return;
  if (known && *known >= stored.lanes) {
    builder_.CreateAlignedStore(v, pointer, align);
  } else if (masks_natively(stored, true)) {
    builder_.CreateMaskedStore(v, pointer, align, lane_mask(active, stored.lanes));
  } else if (known) {
    store_pieces(v, *known, pointer, align);
  } else {
    llvm::AllocaInst *slot = stack_slot(v->getType(), "partial");
    builder_.CreateStore(v, slot);
    copy_active(pointer, slot, clamp_active(active, stored.lanes), v->getType()->getScalarType(), stored.lanes);
  }
}

llvm::Value *FunctionEmitter::emit_gather(const loop::Op &op) {
  loop::Type result = type(op.results[0]);
  llvm::Type *llvm_type = module_.type(result);
  Address address = address_of(op.operands[0], op.address);
  llvm::Value *pointers = builder_.CreateGEP(llvm_type->getScalarType(), sum(address), value(op.operands[1]));
  llvm::Align align(uint64_t(loop::bits(result.scalar) / 8));
  llvm::Value *mask = op.operands.size() > 2 ? value(op.operands[2])
                                             : builder_.CreateVectorSplat(unsigned(result.lanes), builder_.getTrue());
  return builder_.CreateMaskedGather(llvm_type, pointers, align, mask, llvm::Constant::getNullValue(llvm_type));
}

void FunctionEmitter::emit_scatter(const loop::Op &op) {
  loop::Type stored = type(op.operands[0]);
  llvm::Value *v = value(op.operands[0]);
  Address address = address_of(op.operands[1], op.address);
  llvm::Value *pointers = builder_.CreateGEP(v->getType()->getScalarType(), sum(address), value(op.operands[2]));
  llvm::Align align(uint64_t(loop::bits(stored.scalar) / 8));
  llvm::Value *mask = op.operands.size() > 3 ? value(op.operands[3])
                                             : builder_.CreateVectorSplat(unsigned(stored.lanes), builder_.getTrue());
  builder_.CreateMaskedScatter(v, pointers, align, mask);
}

void FunctionEmitter::emit_prefetch(const loop::Op &op) {
  llvm::Value *pointer = sum(address_of(op.operands[0], op.address));
  auto locality = uint32_t(std::clamp<int64_t>(op.integer, 1, 3));
  builder_.CreateIntrinsic(llvm::Intrinsic::prefetch, {pointer->getType()},
                           {pointer, builder_.getInt32(op.flag), builder_.getInt32(locality), builder_.getInt32(1)});
}

llvm::Value *FunctionEmitter::emit_alloca(const loop::Op &op) {
  llvm::Type *element = module_.scalar_type(type(op.results[0]).scalar);
  llvm::AllocaInst *slot = stack_slot(llvm::ArrayType::get(element, uint64_t(std::max<int64_t>(op.integer, 1))), "");
  slot->setAlignment(llvm::Align(uint64_t(std::max<int64_t>(op.align, loop::bits(type(op.results[0]).scalar) / 8))));
  return slot;
}

} // namespace cameo::codegen
