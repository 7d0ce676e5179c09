"""All generators by operator; `Chain` makes graphs of many nodes."""
import chains
import contract
import dynamic
import elementwise
import microsoft_attention
import microsoft_fused
import microsoft_quantized
import microsoft_weights
import movement
import recurrent
import reduce

FAMILIES = (elementwise, movement, reduce, contract, recurrent, chains, dynamic, microsoft_attention, microsoft_fused, microsoft_quantized, microsoft_weights)
ALL = {op: generate for family in FAMILIES for op, generate in family.GENERATORS.items()}
