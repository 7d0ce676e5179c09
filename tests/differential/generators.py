"""All generators by operator; `Chain` makes graphs of many nodes."""
import chains
import contract
import dynamic
import elementwise
import movement
import recurrent
import reduce

FAMILIES = (elementwise, movement, reduce, contract, recurrent, chains, dynamic)
ALL = {op: generate for family in FAMILIES for op, generate in family.GENERATORS.items()}
