// A machine pass that keeps register pressure at what the Loop IR asks for: each load moves down to its first use.
//
// A schedule counts its registers: a tile of 14x2 accumulators, two vectors of weights and one broadcast are 31 of 32.
// Instruction selection glues up to four neighbouring loads together, which is two vectors too many, and an accumulator
// is spilled in the hot loop. From an order in which every load stands before its use, as in a hand-written kernel, the
// machine scheduler finds one that fits; the core hides the rest of the latency.
#include "lower_order.h"

#include "llvm/CodeGen/MachineFunctionPass.h"
#include "llvm/CodeGen/MachineRegisterInfo.h"

namespace cameo::codegen {
namespace {

class SinkLoads : public llvm::MachineFunctionPass {
public:
  SinkLoads() : llvm::MachineFunctionPass(id_) {}
  llvm::StringRef getPassName() const override { return "Cameo: loads next to their uses"; }
  void getAnalysisUsage(llvm::AnalysisUsage &usage) const override {
    usage.setPreservesCFG();
    MachineFunctionPass::getAnalysisUsage(usage);
  }

  bool runOnMachineFunction(llvm::MachineFunction &function) override {
    llvm::MachineRegisterInfo &registers = function.getRegInfo();
    bool changed = false;
    for (llvm::MachineBasicBlock &block : function) {
      // Bottom up, so that a load has its final place before an earlier one is put in front of the same use.
      for (auto it = block.rbegin(); it != block.rend();) {
        llvm::MachineInstr &load = *it++;
        changed |= is_plain_load(load, registers) && sink(load, registers);
      }
    }
    return changed;
  }

private:
  // Reads memory, defines one register and touches nothing else: no flags, no stack pointer. (MXCSR, an implicit
  // operand of float instructions, is reserved: nothing here writes it.)
  static bool is_plain_load(const llvm::MachineInstr &instruction, const llvm::MachineRegisterInfo &registers) {
    if (!instruction.mayLoad() || instruction.mayStore() || instruction.isCall() || instruction.isTerminator() ||
        instruction.isPHI() || instruction.hasUnmodeledSideEffects() || instruction.hasOrderedMemoryRef() ||
        instruction.getNumExplicitDefs() != 1)
      return false;
    for (const llvm::MachineOperand &operand : instruction.operands()) {
      if (!operand.isReg() || !operand.getReg().isPhysical()) continue;
      if (operand.isDef() || !operand.isImplicit() || !registers.isReserved(operand.getReg().asMCReg())) return false;
    }
    return true;
  }

  static bool is_barrier(const llvm::MachineInstr &instruction) {
    return instruction.mayStore() || instruction.isCall() || instruction.isTerminator() ||
           instruction.hasUnmodeledSideEffects() || instruction.hasOrderedMemoryRef();
  }

  // Moves the load in front of the first instruction after it that uses its result, or that memory may not be read
  // behind.
  static bool sink(llvm::MachineInstr &load, llvm::MachineRegisterInfo &registers) {
    llvm::Register result = load.getOperand(0).getReg();
    llvm::MachineBasicBlock &block = *load.getParent();
    auto next = std::next(load.getIterator()), place = next;
    while (place != block.end() && !is_barrier(*place) && !place->readsVirtualRegister(result)) ++place;
    // Without a use in the block it stays: its result lives on in any case.
    if (place == next || place == block.end() || !place->readsVirtualRegister(result)) return false;
    for (const llvm::MachineOperand &operand : load.uses())
      if (operand.isReg() && operand.getReg().isVirtual()) registers.clearKillFlags(operand.getReg());
    block.splice(place, &block, load.getIterator());
    return true;
  }

  static char id_;
};

char SinkLoads::id_ = 0; // LLVM identifies a pass by this address

} // namespace

llvm::Pass *create_sink_loads() { return new SinkLoads; }

} // namespace cameo::codegen
