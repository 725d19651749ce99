"""The names that instructions may use, and operands as C++ expressions.

Types in the C++ text are called as in PTX: run.h has an alias for each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ptx.syntax import Function, Instruction, PtxError, Registers, Variable, size_of

SPECIAL = {
    f"%{name}.{axis}": f"{variable}.{axis}"
    for name, variable in (
        ("tid", "threadIdx"),
        ("ntid", "blockDim"),
        ("ctaid", "blockIdx"),
        ("nctaid", "gridDim"),
    )
    for axis in "xyz"
} | {
    "%laneid": "Block::current->lane()",
    "%lanemask_lt": "lanes_below()",
    "WARP_SZ": "32",
}
INTEGER = re.compile(r"-?(?:0[xX][0-9a-fA-F]+|\d+)U?")
FLOAT = re.compile(r"0([fF][0-9a-fA-F]{8}|[dD][0-9a-fA-F]{16})")
ADDRESS = re.compile(r"\[\s*([%\w$.]+)\s*(?:\+\s*(-?\d+))?\s*\]")


def plain(type_name: str) -> str:
    """Return the unsigned type for one that is only a number of bits, and others as they are."""
    return f"u{type_name[1:]}" if type_name[0] == "b" else type_name


def unsigned(type_name: str) -> str:
    """Return the unsigned type of the same size: what wraps around, does so in either."""
    return type_name if type_name[0] == "f" else f"u{type_name[1:]}"


def is_float(type_name: str) -> bool:
    return type_name[0] == "f"


def converted(text: str, have: str, want: str) -> str:
    """Return C++ that gives a register's bits, of type `have`, as a value of type `want`."""
    have, want = plain(have), plain(want)
    if have == want:
        return text
    if "pred" in {have, want}:
        raise PtxError(f"expected a .{want}, got a .{have}")
    if not is_float(have) and not is_float(want):
        return f"{want}({text})"
    if size_of(have) != size_of(want):
        raise PtxError(f"expected the {8 * size_of(want)} bits of a .{want}, got a .{have}")
    return f"bits<{want}>({text})"


class Scope:
    """Registers and memory of one function, as its instructions see them.

    Args:
        function: its parameters are what `param` addresses name.
        memory: variables of the module and C++ that gives where they are: for shared memory an
            offset, for others an address.
    """

    def __init__(self, function: Function, memory: dict[str, str]) -> None:
        self.function = function
        self.types: dict[str, str] = {}
        self.memory = dict(memory)
        self.functions: dict[str, str] = {}
        self.used = used_registers(function)
        for number, parameter in enumerate(function.parameters):
            self.memory[parameter.name] = f"u64(p{number})"
        if function.result is not None:
            self.memory[function.result.name] = "u64(result)"

    def declare(self, registers: Registers) -> None:
        for name in registers.names():
            self.types[name] = registers.type_name

    def place(self, variable: Variable) -> str:
        """Declare a variable in this function, and return its C++ name."""
        name = f"m_{identifier(variable.name)}"
        self.memory[variable.name] = f"u64({name})"
        return name

    def type_of(self, register: str) -> str:
        if register not in self.types:
            raise PtxError(f"expected a register, got {register!r}")
        return self.types[register]

    def value(self, operand: str, type_name: str) -> str:
        """Return C++ that gives an operand as a value of a type."""
        if operand in SPECIAL:
            return f"{plain(type_name)}({SPECIAL[operand]})"
        if operand.startswith("!"):
            return f"!{self.value(operand[1:], type_name)}"
        if operand in self.types:
            return converted(register(operand), self.types[operand], type_name)
        if FLOAT.fullmatch(operand):
            have = "u32" if operand[1] in "fF" else "u64"
            return converted(f"0x{operand[2:]}{suffix(have)}", have, type_name)
        if INTEGER.fullmatch(operand):
            return literal(int(operand.rstrip("U"), 0), type_name)
        if operand in self.memory:
            return f"{plain(type_name)}({self.memory[operand]})"
        raise PtxError(f"expected a register, a number or a variable, got {operand!r}")

    def assign(self, register_name: str, type_name: str, text: str) -> str:
        """Return the statement that puts a value of a type into a register."""
        if register_name == "_":
            return f"{text};"
        have, want = plain(type_name), plain(self.type_of(register_name))
        if have != want and (is_float(have) or is_float(want)):
            text = converted(f"{have}({text})", have, want)
        return f"{register(register_name)} = {text};"

    def address(self, operand: str, space: str) -> str:
        """Return C++ for an address of 64 bits, or for an offset in shared memory."""
        found = ADDRESS.fullmatch(operand)
        if found is None:
            raise PtxError(f"expected an address, got {operand!r}")
        width = "u32" if space == "shared" else "u64"
        base = self.value(found[1], width)
        offset = int(found[2] or 0)
        return base if offset == 0 else f"{base} + {literal(offset, width)}"


def used_registers(function: Function) -> set[str]:
    """Return the registers that appear more than once: those whose values something reads."""
    seen: set[str] = set()
    again: set[str] = set()
    for statement in function.body:
        if not isinstance(statement, Instruction):
            continue
        for name in re.findall(r"%[\w$]+", " ".join((statement.guard, *statement.operands))):
            (again if name in seen else seen).add(name)
    return again


def registers_in(operand: str) -> Iterable[str]:
    """Return the parts of a vector {a, b}, or the operand alone."""
    return [part.strip() for part in operand.strip("{}").split(",")]


def identifier(name: str) -> str:
    return re.sub(r"\W", "_", name.replace("$", "_"))


def register(name: str) -> str:
    return f"r_{identifier(name.lstrip('%'))}"


def suffix(type_name: str) -> str:
    return "ull" if size_of(type_name) == SIZE_OF_LONG else "u"


SIZE_OF_LONG = 8


def literal(value: int, type_name: str) -> str:
    """Return a number as C++, wrapped to the type's bits."""
    type_name = plain(type_name)
    if type_name == "pred":
        return "true" if value else "false"
    kept = value & ((1 << 8 * size_of(type_name)) - 1)
    if is_float(type_name):
        return converted(literal(kept, unsigned_of(type_name)), unsigned_of(type_name), type_name)
    text = f"{kept}{suffix(type_name)}" if kept < 10 else f"{kept:#x}{suffix(type_name)}"
    return text if type_name in {"u32", "u64"} else f"{type_name}({text})"


def unsigned_of(type_name: str) -> str:
    return f"u{type_name[1:]}"
