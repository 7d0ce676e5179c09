// The code of the control rows: what the machine can do at best, as Loop IR.
#pragma once

#include "cameo/loop/ir.h"
#include "cameo/loop/target.h"

namespace cameo::bench {

inline constexpr int kChains = 12; ///< independent dependency chains: more than latency x throughput of any core so far
inline constexpr int kUnroll = 4;

/// fma(io, n): n times kChains * kUnroll vector FMAs on values of io[0..].
loop::Module fma_chains(const loop::Target &target);
/// dot(io, n): the same with vpdpbusd; target.dot_u8s8 must hold.
loop::Module dot_chains(const loop::Target &target);
/// read(x, n, out): reads n vectors (a multiple of kReads) of f32 in their order and stores a digest. ahead > 0: asks
/// for what lies that many bytes ahead.
inline constexpr int kReads = 16;
loop::Module read_stream(const loop::Target &target, int64_t ahead);
/// clock(x, n) -> i64: n steps of a chain of multiply and add, 4 cycles each on every x86-64 core so far.
loop::Module clock_chain();

} // namespace cameo::bench
