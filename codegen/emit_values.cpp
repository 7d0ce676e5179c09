// Arithmetic and vectors: each operation exactly as opcodes.def and ir.h state it, without undefined behaviour, and
// without cost where a constant operand rules the odd cases out. No fast-math flag but `contract`.
#include "emit.h"
#include "targets/targets.h"

#include "llvm/ADT/APFloat.h"
#include "llvm/IR/Intrinsics.h"

namespace cameo::codegen {

using llvm::Intrinsic::ID;
using loop::Opcode;
using loop::Scalar;

namespace {

// The constant that every lane of a value holds, or nullptr.
llvm::Constant *splat_constant(llvm::Value *v) {
  auto *constant = llvm::dyn_cast<llvm::Constant>(v);
  if (constant && constant->getType()->isVectorTy()) constant = constant->getSplatValue();
  return constant;
}

const llvm::ConstantFP *float_constant(llvm::Value *v) {
  return llvm::dyn_cast_or_null<llvm::ConstantFP>(splat_constant(v));
}

const llvm::ConstantInt *int_constant(llvm::Value *v) {
  return llvm::dyn_cast_or_null<llvm::ConstantInt>(splat_constant(v));
}

} // namespace

llvm::Value *FunctionEmitter::emit_constant(const loop::Op &op) {
  loop::Type type = in_.type(op.results[0]);
  llvm::Type *element = module_.scalar_type(type.scalar);
  llvm::Constant *constant;
  if (loop::is_int(type.scalar)) {
    constant = llvm::ConstantInt::get(element, uint64_t(op.integer), /*isSigned=*/true);
  } else {
    llvm::APFloat real(op.real);
    bool inexact;
    const llvm::fltSemantics &kind = type.scalar == Scalar::f16    ? llvm::APFloat::IEEEhalf()
                                     : type.scalar == Scalar::bf16 ? llvm::APFloat::BFloat()
                                     : type.scalar == Scalar::f32  ? llvm::APFloat::IEEEsingle()
                                                                   : llvm::APFloat::IEEEdouble();
    real.convert(kind, llvm::APFloat::rmNearestTiesToEven, &inexact);
    if (element->isIntegerTy())
      constant = llvm::ConstantInt::get(module_.context(), real.bitcastToAPInt());
    else
      constant = llvm::ConstantFP::get(module_.context(), real);
  }
  return type.lanes > 1 ? llvm::ConstantVector::getSplat(llvm::ElementCount::getFixed(unsigned(type.lanes)), constant)
                        : constant;
}

llvm::Value *FunctionEmitter::emit_value(const loop::Op &op) {
  auto arg = [&](size_t i) { return value(op.operands.at(i)); };
  loop::Type result = in_.type(op.results.at(0));
  switch (loop::op_class(op.code)) {
  case loop::OpClass::unary:
    return emit_unary(op, arg(0));
  case loop::OpClass::binary:
    return emit_binary(op.code, result, arg(0), arg(1));
  case loop::OpClass::ternary:
    return emit_ternary(op, arg(0), arg(1), arg(2));
  case loop::OpClass::compare:
    return emit_compare(op, arg(0), arg(1));
  case loop::OpClass::cast:
    return emit_cast(op, arg(0));
  case loop::OpClass::other:
    break;
  }
  switch (op.code) {
  case Opcode::select:
    return builder_.CreateSelect(arg(0), arg(1), arg(2));
  case Opcode::broadcast:
    return result.lanes > 1 ? builder_.CreateVectorSplat(unsigned(result.lanes), arg(0)) : arg(0);
  case Opcode::iota: {
    std::vector<llvm::Constant *> lanes;
    for (int32_t i = 0; i < result.lanes; ++i)
      lanes.push_back(llvm::ConstantInt::get(module_.scalar_type(result.scalar), uint64_t(i)));
    return result.lanes > 1 ? llvm::ConstantVector::get(lanes) : lanes[0];
  }
  case Opcode::extract:
    return builder_.CreateExtractElement(arg(0), uint64_t(op.integer));
  case Opcode::shuffle:
    return builder_.CreateShuffleVector(arg(0), arg(1), op.mask);
  case Opcode::reduce_add:
  case Opcode::reduce_min:
  case Opcode::reduce_max:
    return emit_reduce(op, arg(0));
  case Opcode::target: {
    std::vector<llvm::Value *> args;
    for (size_t i = 0; i < op.operands.size(); ++i) args.push_back(arg(i));
    llvm::Value *v = family_of(module_.target).emit_instruction(builder_, module_.target, op.symbol, args);
    CAMEO_CHECK(v, "@" + in_.name + ": " + module_.target.name + " has no " + op.symbol + " of " +
                       loop::to_string(result));
    return v;
  }
  default:
    CAMEO_UNREACHABLE("@" + in_.name + ": " + std::string(loop::name(op.code)) + " in codegen");
  }
}

llvm::Value *FunctionEmitter::emit_unary(const loop::Op &op, llvm::Value *a) {
  bool is_float = a->getType()->isFPOrFPVectorTy();
  auto intrinsic = [&](ID id) { return builder_.CreateUnaryIntrinsic(id, a); };
  switch (op.code) {
  case Opcode::neg:
    return is_float ? builder_.CreateFNeg(a) : builder_.CreateNeg(a);
  case Opcode::abs:
    return is_float ? intrinsic(llvm::Intrinsic::fabs)
                    : builder_.CreateBinaryIntrinsic(llvm::Intrinsic::abs, a, builder_.getFalse());
  case Opcode::bit_not:
    return builder_.CreateNot(a);
  case Opcode::popcount:
    return intrinsic(llvm::Intrinsic::ctpop);
  case Opcode::clz:
    return builder_.CreateBinaryIntrinsic(llvm::Intrinsic::ctlz, a, builder_.getFalse());
  case Opcode::floor:
    return intrinsic(llvm::Intrinsic::floor);
  case Opcode::ceil:
    return intrinsic(llvm::Intrinsic::ceil);
  case Opcode::rint:
    return intrinsic(llvm::Intrinsic::roundeven);
  case Opcode::ftrunc:
    return intrinsic(llvm::Intrinsic::trunc);
  case Opcode::sqrt:
    return intrinsic(llvm::Intrinsic::sqrt);
  default:
    CAMEO_UNREACHABLE("@" + in_.name + ": " + std::string(loop::name(op.code)) + " must be expanded before codegen");
  }
}

// max: b when b > a or b is NaN, else a. x86's maxps(x, y) is `x > y ? x : y`, so maxps(b, a) is all but the NaN of b;
// with a constant on either side one instruction is the whole of it. min alike.
llvm::Value *FunctionEmitter::emit_float_extremum(bool maximum, llvm::Value *a, llvm::Value *b) {
  auto wins = [&](llvm::Value *x, llvm::Value *y) {
    return maximum ? builder_.CreateFCmpOGT(x, y) : builder_.CreateFCmpOLT(x, y);
  };
  if (auto *known = float_constant(a); known && !known->isNaN() && !known->isZero())
    return builder_.CreateSelect(wins(a, b), a, b); // equal operands are the same bits, and a NaN of b passes
  llvm::Value *ordered = builder_.CreateSelect(wins(b, a), b, a);
  if (auto *known = float_constant(b); known && !known->isNaN()) return ordered;
  return builder_.CreateSelect(builder_.CreateFCmpUNO(b, b), b, ordered);
}

// x/0 = 0, x%0 = 0, INT_MIN/-1 = INT_MIN, INT_MIN%-1 = 0: the divisor of those is replaced by 1 (by 1, 0 is the
// remainder).
llvm::Value *FunctionEmitter::emit_division(Opcode code, llvm::Value *a, llvm::Value *b) {
  bool is_signed = code == Opcode::div || code == Opcode::rem, quotient = code == Opcode::div || code == Opcode::udiv;
  auto divide = [&](llvm::Value *divisor) {
    return is_signed ? (quotient ? builder_.CreateSDiv(a, divisor) : builder_.CreateSRem(a, divisor))
                     : (quotient ? builder_.CreateUDiv(a, divisor) : builder_.CreateURem(a, divisor));
  };
  llvm::Type *type = a->getType();
  llvm::Constant *zero = llvm::ConstantInt::get(type, 0), *one = llvm::ConstantInt::get(type, 1);
  if (auto *known = int_constant(b)) {
    if (known->isZero()) return zero;
    if (!is_signed || !known->isMinusOne()) return divide(b);
    return quotient ? builder_.CreateNeg(a) : zero;
  }
  llvm::Value *by_zero = builder_.CreateICmpEQ(b, zero), *odd = by_zero;
  if (is_signed) {
    auto lowest = llvm::ConstantInt::get(type, llvm::APInt::getSignedMinValue(type->getScalarSizeInBits()));
    odd = builder_.CreateOr(odd, builder_.CreateAnd(builder_.CreateICmpEQ(b, llvm::Constant::getAllOnesValue(type)),
                                                    builder_.CreateICmpEQ(a, lowest)));
  }
  llvm::Value *result = divide(builder_.CreateSelect(odd, one, b));
  return quotient ? builder_.CreateSelect(by_zero, zero, result) : result;
}

// A count of the width or more gives 0, or the sign for sar.
llvm::Value *FunctionEmitter::emit_shift(Opcode code, llvm::Value *a, llvm::Value *b) {
  llvm::Type *type = a->getType();
  unsigned width = type->getScalarSizeInBits();
  if (code == Opcode::sar) {
    llvm::Value *count =
        builder_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, b, llvm::ConstantInt::get(type, width - 1));
    return builder_.CreateAShr(a, count);
  }
  auto shift = [&] { return code == Opcode::shl ? builder_.CreateShl(a, b) : builder_.CreateLShr(a, b); };
  llvm::Constant *zero = llvm::ConstantInt::get(type, 0);
  if (auto *known = int_constant(b)) return known->getValue().ult(width) ? shift() : zero;
  llvm::Value *in_range = builder_.CreateICmpULT(b, llvm::ConstantInt::get(type, width));
  return builder_.CreateSelect(in_range, shift(), zero);
}

llvm::Value *FunctionEmitter::emit_binary(Opcode code, loop::Type type, llvm::Value *a, llvm::Value *b) {
  bool is_float = loop::is_float(type.scalar);
  auto intrinsic = [&](ID id) { return builder_.CreateBinaryIntrinsic(id, a, b); };
  switch (code) {
  case Opcode::add:
    return is_float ? builder_.CreateFAdd(a, b) : builder_.CreateAdd(a, b);
  case Opcode::sub:
    return is_float ? builder_.CreateFSub(a, b) : builder_.CreateSub(a, b);
  case Opcode::mul:
    return is_float ? builder_.CreateFMul(a, b) : builder_.CreateMul(a, b);
  case Opcode::div:
    if (is_float) return builder_.CreateFDiv(a, b);
    [[fallthrough]];
  case Opcode::rem:
    CAMEO_CHECK(!is_float, "@" + in_.name + ": rem of floats must be expanded before codegen");
    [[fallthrough]];
  case Opcode::udiv:
  case Opcode::urem:
    return emit_division(code, a, b);
  case Opcode::min:
    return is_float ? emit_float_extremum(false, a, b) : intrinsic(llvm::Intrinsic::smin);
  case Opcode::max:
    return is_float ? emit_float_extremum(true, a, b) : intrinsic(llvm::Intrinsic::smax);
  case Opcode::umin:
    return intrinsic(llvm::Intrinsic::umin);
  case Opcode::umax:
    return intrinsic(llvm::Intrinsic::umax);
  case Opcode::bit_and:
    return builder_.CreateAnd(a, b);
  case Opcode::bit_or:
    return builder_.CreateOr(a, b);
  case Opcode::bit_xor:
    return builder_.CreateXor(a, b);
  case Opcode::shl:
  case Opcode::shr:
  case Opcode::sar:
    return emit_shift(code, a, b);
  case Opcode::copysign:
    return intrinsic(llvm::Intrinsic::copysign);
  default:
    CAMEO_UNREACHABLE("@" + in_.name + ": " + std::string(loop::name(code)) + " must be expanded before codegen");
  }
}

llvm::Value *FunctionEmitter::emit_ternary(const loop::Op &op, llvm::Value *a, llvm::Value *b, llvm::Value *c) {
  if (module_.target.fma) return builder_.CreateIntrinsic(llvm::Intrinsic::fma, {a->getType()}, {a, b, c});
  CAMEO_CHECK(op.code == Opcode::muladd, "@" + in_.name + ": fma must be expanded for " + module_.target.name);
  return builder_.CreateFAdd(builder_.CreateFMul(a, b), c);
}

llvm::Value *FunctionEmitter::emit_compare(const loop::Op &op, llvm::Value *a, llvm::Value *b) {
  using P = llvm::CmpInst::Predicate;
  bool is_float = a->getType()->isFPOrFPVectorTy();
  auto pick = [&](P on_float, P on_int) { return builder_.CreateCmp(is_float ? on_float : on_int, a, b); };
  switch (op.code) {
  case Opcode::eq:
    return pick(P::FCMP_OEQ, P::ICMP_EQ);
  case Opcode::ne:
    return pick(P::FCMP_UNE, P::ICMP_NE);
  case Opcode::lt:
    return pick(P::FCMP_OLT, P::ICMP_SLT);
  case Opcode::le:
    return pick(P::FCMP_OLE, P::ICMP_SLE);
  case Opcode::gt:
    return pick(P::FCMP_OGT, P::ICMP_SGT);
  case Opcode::ge:
    return pick(P::FCMP_OGE, P::ICMP_SGE);
  case Opcode::ult:
    return builder_.CreateICmpULT(a, b);
  case Opcode::ule:
    return builder_.CreateICmpULE(a, b);
  case Opcode::ugt:
    return builder_.CreateICmpUGT(a, b);
  case Opcode::uge:
    return builder_.CreateICmpUGE(a, b);
  default:
    CAMEO_UNREACHABLE("comparison");
  }
}

llvm::Value *FunctionEmitter::emit_cast(const loop::Op &op, llvm::Value *a) {
  loop::Type from = in_.type(op.operands[0]), to = in_.type(op.results[0]);
  llvm::Type *type = module_.type(to);
  auto refuse = [&] {
    CAMEO_UNREACHABLE("@" + in_.name + ": " + std::string(loop::name(op.code)) + " from " + loop::to_string(from) +
                      " to " + loop::to_string(to) + " must be expanded for " + module_.target.name);
  };
  auto with = [&](llvm::Type *scalar) { return a->getType()->getWithNewType(scalar); };
  switch (op.code) {
  case Opcode::sext:
    return builder_.CreateSExt(a, type);
  case Opcode::zext:
    return builder_.CreateZExt(a, type);
  case Opcode::trunc:
    return builder_.CreateTrunc(a, type);
  case Opcode::sitofp:
    return builder_.CreateSIToFP(a, type);
  case Opcode::uitofp:
    return builder_.CreateUIToFP(a, type);
  // Out of range these are poison; frozen, they are some value.
  case Opcode::fptosi:
    return builder_.CreateFreeze(builder_.CreateFPToSI(a, type));
  case Opcode::fptoui:
    return builder_.CreateFreeze(builder_.CreateFPToUI(a, type));
  case Opcode::bitcast:
    return builder_.CreateBitCast(a, type);
  case Opcode::fpext:
    if (from.scalar == Scalar::bf16) { // the upper half of an f32
      a = builder_.CreateShl(builder_.CreateZExt(a, with(builder_.getInt32Ty())), 16);
      a = builder_.CreateBitCast(a, with(builder_.getFloatTy()));
    } else if (from.scalar == Scalar::f16) {
      if (!module_.target.f16_convert) refuse();
      a = builder_.CreateFPExt(builder_.CreateBitCast(a, with(builder_.getHalfTy())), with(builder_.getFloatTy()));
    }
    return builder_.CreateFPExt(a, type);
  case Opcode::fptrunc:
    if (from.scalar == Scalar::f64 && to.scalar == Scalar::f32) return builder_.CreateFPTrunc(a, type);
    if (from.scalar != Scalar::f32 || to.scalar != Scalar::f16 || !module_.target.f16_convert) refuse();
    return builder_.CreateBitCast(builder_.CreateFPTrunc(a, with(builder_.getHalfTy())), type);
  default:
    CAMEO_UNREACHABLE("cast");
  }
}

// A tree over halves: lane i with lane i + N/2, then N/4, ... For the extrema of floats the steps leave NaN aside,
// which is tested once, beside the tree: half the latency.
llvm::Value *FunctionEmitter::emit_reduce(const loop::Op &op, llvm::Value *a) {
  loop::Type type = in_.type(op.results[0]);
  bool extremum = op.code != Opcode::reduce_add && loop::is_float(type.scalar);
  auto combine = [&](llvm::Value *low, llvm::Value *high) {
    if (op.code == Opcode::reduce_add) return emit_binary(Opcode::add, type, low, high);
    bool maximum = op.code == Opcode::reduce_max;
    if (!extremum) return emit_binary(maximum ? Opcode::max : Opcode::min, type, low, high);
    llvm::Value *wins = maximum ? builder_.CreateFCmpOGT(high, low) : builder_.CreateFCmpOLT(high, low);
    return builder_.CreateSelect(wins, high, low);
  };
  llvm::Value *all = a;
  int lanes = in_.type(op.operands[0]).lanes;
  if (lanes == 1) return a;
  for (; lanes > 2; lanes /= 2) {
    std::vector<int> low(size_t(lanes / 2)), high(size_t(lanes / 2));
    for (int i = 0; i < lanes / 2; ++i) {
      low[size_t(i)] = i;
      high[size_t(i)] = i + lanes / 2;
    }
    a = combine(builder_.CreateShuffleVector(a, low), builder_.CreateShuffleVector(a, high));
  }
  a = combine(builder_.CreateExtractElement(a, uint64_t{0}), builder_.CreateExtractElement(a, 1));
  if (!extremum) return a;
  llvm::Value *any_nan = builder_.CreateOrReduce(builder_.CreateFCmpUNO(all, all));
  return builder_.CreateSelect(any_nan, llvm::ConstantFP::getNaN(a->getType()), a);
}

} // namespace cameo::codegen
