// The control rows themselves: every unit's bound on this machine, so that a run without other probes shows them.
#include "harness.h"

#include "controls.h"

namespace cameo::bench {

void probes_peaks(Bench &bench) {
  auto only_control = [&](const char *name, Unit unit) { bench.probe(name, unit, [](Probe &) {}); };
  only_control("peak.f32", Unit::f32_flops);
  if (bench.target().dot_u8s8) only_control("peak.u8s8", Unit::u8s8_ops);
  only_control("peak.l2", Unit::l2_bytes);
  only_control("peak.dram", Unit::dram_bytes);
}

} // namespace cameo::bench
