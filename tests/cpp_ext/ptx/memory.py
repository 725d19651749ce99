"""Loads, stores, atomics and fences as C++."""

from __future__ import annotations

from ptx.arithmetic import Renderer, refuse
from ptx.scope import Scope, is_float, plain, registers_in, unsigned
from ptx.syntax import Instruction, size_of

SPACES = ("param", "shared", "global", "local", "const")
# How caches treat an access, and who may see it: the emulation has neither caches nor a weak order
# of plain accesses.
CACHES = {"ca", "cg", "cs", "cv", "lu", "nc", "wb", "wt", "volatile", "weak", "relaxed"}
SCOPES = {"cta", "cluster", "gpu", "sys"}
VECTORS = {"v2": 2, "v4": 4}


def space_of(instruction: Instruction) -> str:
    return next((part for part in instruction.opcode if part in SPACES), "generic")


def check_qualifiers(instruction: Instruction, *others: str) -> None:
    known = {*SPACES, *CACHES, *SCOPES, *VECTORS, *others}
    for part in instruction.opcode[1:-1]:
        if part not in known and not part.startswith(("L1::", "L2::")):
            raise refuse(instruction)


def located(scope: Scope, instruction: Instruction, operand: str, size: int) -> str:
    """Return C++ for the place of an access of so many bytes, which is checked as it runs."""
    space = space_of(instruction)
    address = scope.address(operand, space)
    if space == "shared":
        return f"shared.at({address}, {size})"
    return f"at_{space}({address}, {size})"


def load(scope: Scope, instruction: Instruction) -> str:
    check_qualifiers(instruction)
    kind = plain(instruction.opcode[-1])
    names = list(registers_in(instruction.operands[0]))
    size = size_of(kind)
    at = located(scope, instruction, instruction.operands[1], size * len(names))
    if len(names) == 1:
        return scope.assign(names[0], kind, f"loaded<{kind}>({at})")
    loads = [
        scope.assign(name, kind, f"loaded<{kind}>(from + {size * i})")
        for i, name in enumerate(names)
        if name != "_"
    ]
    return f"const char* const from = {at}; {' '.join(loads)}"


def store(scope: Scope, instruction: Instruction) -> str:
    check_qualifiers(instruction)
    kind = plain(instruction.opcode[-1])
    names = list(registers_in(instruction.operands[1]))
    size = size_of(kind)
    at = located(scope, instruction, instruction.operands[0], size * len(names))
    stores = [
        f"stored<{kind}>(to + {size * i}, {scope.value(name, kind)});"
        for i, name in enumerate(names)
    ]
    return f"char* const to = {at}; {' '.join(stores)}"


ATOMICS = {
    "add": "atomicAdd",
    "and": "atomicAnd",
    "or": "atomicOr",
    "exch": "atomicExch",
    "min": "atomicMin",
    "max": "atomicMax",
    "inc": "atomicInc",
    "cas": "atomicCAS",
}


def atomic(scope: Scope, instruction: Instruction) -> str:
    """Render atom and red.

    Where nothing reads the old value, the emulation may put the change off until a fence.
    """
    name = next((part for part in instruction.opcode[1:] if part in ATOMICS), "")
    check_qualifiers(instruction, name)
    kind = instruction.opcode[-1]
    if not name or is_float(kind):
        raise refuse(instruction)
    kind = kind if kind[0] == "s" else unsigned(kind)
    operands = list(instruction.operands)
    to = operands.pop(0) if instruction.opcode[0] == "atom" else "_"
    at = located(scope, instruction, operands[0], size_of(kind))
    values = ", ".join(scope.value(operand, kind) for operand in operands[1:])
    text = f"{ATOMICS[name]}(reinterpret_cast<{kind}*>({at}), {values})"
    if to == "_" or to not in scope.used:
        return f"{text};"
    return scope.assign(to, kind, f"{kind}({text})")


def fence(scope: Scope, instruction: Instruction) -> str:
    """Render membar and fence. What is for the own block alone needs nothing here."""
    parts = set(instruction.opcode[1:])
    if not parts or parts - {"gl", "acq_rel", "sc", *SCOPES}:
        raise refuse(instruction)
    return "" if "cta" in parts else "Block::current->fence();"


def change_space(scope: Scope, instruction: Instruction) -> str:
    """Render cvta: shared memory alone has addresses of its own, all others are the host's."""
    space = space_of(instruction)
    to, value = instruction.operands
    back = "to" in instruction.opcode
    # Parameters and local memory lie on the host's stack, where at_generic looks for nothing.
    known = space in {"global", "shared", "const"} and instruction.opcode[-1] == "u64"
    if not known or len(instruction.opcode) != (4 if back else 3):
        raise refuse(instruction)
    address = scope.value(value, "u64")
    if space == "shared":
        address = f"shared.{'offset' if back else 'address'}({address})"
    return scope.assign(to, "u64", address)


MEMORY: dict[str, Renderer] = {
    "ld": load,
    "ldu": load,
    "st": store,
    "atom": atomic,
    "red": atomic,
    "membar": fence,
    "fence": fence,
    "cvta": change_space,
}
