"""Arithmetic, comparisons and conversions as C++."""

from __future__ import annotations

from collections.abc import Callable

from ptx.scope import Scope, is_float, registers_in, unsigned
from ptx.syntax import Instruction, PtxError, size_of

Renderer = Callable[[Scope, Instruction], str]

SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "and": "&", "or": "|", "xor": "^"}
COMPARISONS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
# Comparisons of unsigned numbers have names of their own.
UNSIGNED = {"lo": "lt", "ls": "le", "hi": "gt", "hs": "ge"}
# Comparisons that are true if either is a NaN are the opposites of others.
UNORDERED = {"ltu": "ge", "leu": "gt", "gtu": "le", "geu": "lt", "neu": "eq"}


def refuse(instruction: Instruction) -> PtxError:
    return PtxError(f"unknown instruction {instruction.name} {', '.join(instruction.operands)}")


def require(instruction: Instruction, *qualifiers: tuple[str, ...]) -> None:
    """Refuse an instruction unless what is between its name and its type is one of these.

    Without .rn a sum may be fused with a product, and the bits are not those of the CPU.
    """
    if instruction.opcode[1:-1] not in qualifiers:
        raise refuse(instruction)


def sources(scope: Scope, instruction: Instruction, type_name: str) -> list[str]:
    return [scope.value(operand, type_name) for operand in instruction.operands[1:]]


def sum_or_bits(scope: Scope, instruction: Instruction) -> str:
    """Render add, sub, and, or, xor: integers wrap around, so that the sign plays no part."""
    kind = instruction.opcode[-1]
    require(instruction, ("rn",) if is_float(kind) else ())
    wrapped = kind if kind == "pred" else unsigned(kind)
    left, right = sources(scope, instruction, wrapped)
    text = f"{left} {SIGNS[instruction.opcode[0]]} {right}"
    return scope.assign(instruction.operands[0], wrapped, text)


def product(scope: Scope, instruction: Instruction) -> str:
    """Render mul and mad, the latter with a sum after it."""
    kind = instruction.opcode[-1]
    if is_float(kind):
        require(instruction, ("rn",))
        left, right = sources(scope, instruction, kind)
        return scope.assign(instruction.operands[0], kind, f"{left} * {right}")
    require(instruction, ("lo",), ("wide",), ("hi",))
    if instruction.opcode[1] == "hi":
        if instruction.opcode[0] != "mul":
            raise refuse(instruction)
        left, right = sources(scope, instruction, kind)
        return scope.assign(instruction.operands[0], kind, f"upper_half<{kind}>({left}, {right})")
    if instruction.opcode[1] == "wide":
        result = f"{kind[0]}{16 * size_of(kind)}"
    else:
        result = kind = unsigned(kind)
    left = scope.value(instruction.operands[1], kind)
    right = scope.value(instruction.operands[2], kind)
    # C++ would multiply shorter ones as signed integers of 32 bits.
    at_least = result if size_of(result) >= 4 else "u32"
    text = f"{at_least}({left}) * {at_least}({right})"
    if instruction.opcode[0] == "mad":
        text += f" + {scope.value(instruction.operands[3], result)}"
    return scope.assign(instruction.operands[0], result, f"{result}({text})")


def quotient(scope: Scope, instruction: Instruction) -> str:
    kind = instruction.opcode[-1]
    require(instruction, ("rn",) if is_float(kind) else ())
    left, right = sources(scope, instruction, kind)
    if is_float(kind):
        return scope.assign(instruction.operands[0], kind, f"{left} / {right}")
    name = "quotient" if instruction.opcode[0] == "div" else "remainder"
    return scope.assign(instruction.operands[0], kind, f"{name}<{kind}>({left}, {right})")


def shift(scope: Scope, instruction: Instruction) -> str:
    """Render shl and shr: amounts beyond the type's bits leave nothing, or the sign."""
    require(instruction, ())
    kind = instruction.opcode[-1]
    kind = kind if kind[0] == "s" else unsigned(kind)
    value = scope.value(instruction.operands[1], kind)
    amount = instruction.operands[2]
    if amount.isdigit() and int(amount) < 8 * size_of(kind):
        sign = "<<" if instruction.opcode[0] == "shl" else ">>"
        return scope.assign(instruction.operands[0], kind, f"{kind}({value} {sign} {amount})")
    name = "shifted_left" if instruction.opcode[0] == "shl" else "shifted_right"
    text = f"{name}<{kind}>({value}, {scope.value(amount, 'u32')})"
    return scope.assign(instruction.operands[0], kind, text)


def called(name: str, *qualifiers: tuple[str, ...]) -> Renderer:
    """Return a renderer of what run.h has a function for, a template of the type."""

    def render(scope: Scope, instruction: Instruction) -> str:
        require(instruction, *(qualifiers or ((),)))
        kind = instruction.opcode[-1]
        kind = kind if kind[0] == "s" else unsigned(kind)
        values = ", ".join(sources(scope, instruction, kind))
        return scope.assign(instruction.operands[0], kind, f"{name}<{kind}>({values})")

    return render


def negation(scope: Scope, instruction: Instruction) -> str:
    """Render neg and not."""
    require(instruction, ())
    kind = instruction.opcode[-1]
    kind = kind if kind == "pred" else unsigned(kind)
    (value,) = sources(scope, instruction, kind)
    if instruction.opcode[0] == "not":
        text = f"!{value}" if kind == "pred" else f"~{value}"
    else:
        text = f"-{value}" if is_float(kind) else f"{kind}(0) - {value}"
    return scope.assign(instruction.operands[0], kind, text)


def fused(scope: Scope, instruction: Instruction) -> str:
    require(instruction, ("rn",))
    kind = instruction.opcode[-1]
    values = ", ".join(sources(scope, instruction, kind))
    return scope.assign(instruction.operands[0], kind, f"std::fma({values})")


def square_root(scope: Scope, instruction: Instruction) -> str:
    require(instruction, ("rn",))
    kind = instruction.opcode[-1]
    (value,) = sources(scope, instruction, kind)
    return scope.assign(instruction.operands[0], kind, f"std::sqrt({value})")


def comparison(name: str, kind: str, left: str, right: str) -> str:
    """Return C++ for a comparison of two values that have names."""
    name = UNSIGNED.get(name, name)
    if name == "num":
        return f"({left} == {left} && {right} == {right})"
    if name == "nan":
        return f"({left} != {left} || {right} != {right})"
    if name == "equ":
        return f"!({left} < {right} || {left} > {right})"
    if name == "ne" and is_float(kind):  # false for a NaN, other than C++'s
        return f"({left} < {right} || {left} > {right})"
    if name in UNORDERED:
        return f"!({left} {COMPARISONS[UNORDERED[name]]} {right})"
    return f"{left} {COMPARISONS[name]} {right}"


def set_predicate(scope: Scope, instruction: Instruction) -> str:
    """Render setp, also with a predicate that the result is combined with."""
    kind = instruction.opcode[-1]
    name = instruction.opcode[1]
    known = {*COMPARISONS, *UNSIGNED, *UNORDERED, "num", "nan", "equ"}
    if name not in known or "|" in instruction.operands[0]:
        raise refuse(instruction)
    left, right = (scope.value(operand, kind) for operand in instruction.operands[1:3])
    text = comparison(name, kind, left, right)
    if len(instruction.opcode) == 4 and instruction.opcode[2] in {"and", "or", "xor"}:
        sign = SIGNS[instruction.opcode[2]]
        text = f"bool({text}) {sign} bool({scope.value(instruction.operands[3], 'pred')})"
    elif len(instruction.opcode) != 3:
        raise refuse(instruction)
    return scope.assign(instruction.operands[0], "pred", text)


def select(scope: Scope, instruction: Instruction) -> str:
    require(instruction, ())
    kind = instruction.opcode[-1]
    first, second = (scope.value(operand, kind) for operand in instruction.operands[1:3])
    chosen = scope.value(instruction.operands[3], "pred")
    return scope.assign(instruction.operands[0], kind, f"{chosen} ? {first} : {second}")


def move(scope: Scope, instruction: Instruction) -> str:
    """Render mov: of a value, or of the parts of a vector that are side by side in one."""
    require(instruction, ())
    kind = instruction.opcode[-1]
    to, value = instruction.operands
    if to.startswith("{"):
        parts = list(registers_in(to))
        part = f"u{8 * size_of(kind) // len(parts)}"
        whole = scope.value(value, unsigned(kind))
        assigned = [
            scope.assign(name, part, f"{part}(whole >> {8 * size_of(part) * i})")
            for i, name in enumerate(parts)
            if name != "_"
        ]
        return f"const {unsigned(kind)} whole = {whole}; {' '.join(assigned)}"
    if value.startswith("{"):
        parts = list(registers_in(value))
        part, kind = f"u{8 * size_of(kind) // len(parts)}", unsigned(kind)
        shifted = [
            f"{kind}({scope.value(name, part)}) << {8 * size_of(part) * i}"
            for i, name in enumerate(parts)
        ]
        return scope.assign(to, kind, " | ".join(shifted))
    return scope.assign(to, kind, scope.value(value, kind))


def convert(scope: Scope, instruction: Instruction) -> str:
    """Render cvt between two types. The device rounds to nearest even unless it is told else."""
    *qualifiers, to, from_ = instruction.opcode[1:]
    how = tuple(qualifiers)
    if from_ == "f16":
        if how or to != "f32":
            raise refuse(instruction)
        text = f"from_half({scope.value(instruction.operands[1], 'u16')})"
        return scope.assign(instruction.operands[0], to, text)
    values = sources(scope, instruction, from_)
    if to in {"f16", "f16x2"} and from_ == "f32" and how == ("rn",):
        bits = "u16" if to == "f16" else "u32"
        return scope.assign(instruction.operands[0], bits, f"to_half({', '.join(values)})")
    if len(values) != 1:
        raise refuse(instruction)
    text = converted_number(instruction, how, to, from_, values[0])
    return scope.assign(instruction.operands[0], to, text)


def converted_number(
    instruction: Instruction, how: tuple[str, ...], to: str, from_: str, value: str
) -> str:
    integral = {("rni",): "nearest", ("rzi",): "zero", ("rmi",): "down", ("rpi",): "up"}
    if is_float(from_) and not is_float(to) and how in integral:
        return f"to_integer<{to}>({value}, Rounding::{integral[how]})"
    if is_float(from_) and from_ == to and how in integral:
        return f"to_integral({value}, Rounding::{integral[how]})"
    exact = not is_float(to) or (from_ == "f32" and to == "f64")
    rounds = is_float(to) and not exact
    if is_float(from_) and not is_float(to):
        raise refuse(instruction)
    if how != (("rn",) if rounds else ()):
        raise refuse(instruction)
    return f"{to}({value})"


def of_bits(name: str, result: str, *qualifiers: tuple[str, ...]) -> Renderer:
    """Return a renderer of a function of run.h that looks at bits."""

    def render(scope: Scope, instruction: Instruction) -> str:
        require(instruction, *(qualifiers or ((),)))
        kind = instruction.opcode[-1]
        kind = kind if kind[0] == "s" else unsigned(kind)
        (value,) = sources(scope, instruction, kind)
        text = f"{name}<{kind}>({value})"
        return scope.assign(instruction.operands[0], result or kind, text)

    return render


def bit_field(scope: Scope, instruction: Instruction) -> str:
    """Render bfe and bfi, whose position and length are integers of 32 bits."""
    require(instruction, ())
    kind = instruction.opcode[-1]
    kind = kind if kind[0] == "s" else unsigned(kind)
    to, *operands = instruction.operands
    values = [scope.value(operand, kind) for operand in operands[:-2]]
    values += [scope.value(operand, "u32") for operand in operands[-2:]]
    name = "extracted" if instruction.opcode[0] == "bfe" else "inserted"
    return scope.assign(to, kind, f"{name}<{kind}>({', '.join(values)})")


def words(name: str, *modes: tuple[str, ...]) -> Renderer:
    """Return a renderer of a function of run.h on words; a mode becomes a part of its name."""

    def render(scope: Scope, instruction: Instruction) -> str:
        if instruction.opcode[1:] not in modes:
            raise refuse(instruction)
        values = ", ".join(sources(scope, instruction, "u32"))
        mode = "_".join((name, *instruction.opcode[1:-1]))
        return scope.assign(instruction.operands[0], "u32", f"{mode}({values})")

    return render


ARITHMETIC: dict[str, Renderer] = {
    **dict.fromkeys(("add", "sub", "and", "or", "xor"), sum_or_bits),
    **dict.fromkeys(("mul", "mad"), product),
    **dict.fromkeys(("div", "rem"), quotient),
    **dict.fromkeys(("shl", "shr"), shift),
    **dict.fromkeys(("neg", "not"), negation),
    "min": called("smaller"),
    "max": called("greater"),
    "abs": called("magnitude"),
    "fma": fused,
    "sqrt": square_root,
    "setp": set_predicate,
    "selp": select,
    "mov": move,
    "cvt": convert,
    "popc": of_bits("ones", "u32"),
    "clz": of_bits("leading_zeros", "u32"),
    "brev": of_bits("reversed", ""),
    "bfind": of_bits("leading_zeros_of_found", "u32", ("shiftamt",)),
    "bfe": bit_field,
    "bfi": bit_field,
    "prmt": words("permuted", ("b32",)),
    "lop3": words("looked_up", ("b32",)),
    "shf": words(
        "funnel",
        *((side, mode, "b32") for side in ("l", "r") for mode in ("wrap", "clamp")),
    ),
}
