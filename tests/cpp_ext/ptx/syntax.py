"""The parts of a PTX module, and a parser for them.

PTX is described in NVIDIA's "Parallel Thread Execution ISA". Only what nvcc writes for the kernels
is understood; anything else is an error that shows the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

SIZES = {"8": 1, "16": 2, "32": 4, "64": 8}


class PtxError(ValueError):
    """PTX that this translator does not understand, with the text in question."""


def size_of(type_name: str) -> int:
    """Return the bytes of a PTX type such as u32."""
    digits = re.sub(r"\D", "", type_name)
    if digits not in SIZES:
        raise PtxError(f"expected a type of 8 to 64 bits, got .{type_name}")
    return SIZES[digits]


@dataclass(frozen=True)
class Variable:
    """A variable or parameter in memory.

    Attributes:
        space: shared, global, const, local or param.
        alignment: bytes, a power of two.
        size: bytes.
        values: bytes that a variable in global memory begins with; zeros where there are none.
    """

    name: str
    space: str
    alignment: int
    size: int
    values: tuple[int, ...] = ()


@dataclass(frozen=True)
class Instruction:
    """An instruction such as `@%p1 add.s32 %r1, %r2, 7;`.

    Attributes:
        guard: the predicate that it depends on, such as %p1 or !%p1; empty without one.
        opcode: what comes between dots: ("add", "s32").
        operands: their texts; a vector or an address is one operand.
    """

    guard: str
    opcode: tuple[str, ...]
    operands: tuple[str, ...]

    @property
    def name(self) -> str:
        return ".".join(self.opcode)


@dataclass(frozen=True)
class Label:
    """A place that branches lead to."""

    name: str


@dataclass(frozen=True)
class Registers:
    """Registers of one type: `count` numbered ones, or one without a number if it is None."""

    type_name: str
    prefix: str
    count: int | None

    def names(self) -> list[str]:
        if self.count is None:
            return [self.prefix]
        return [f"{self.prefix}{number}" for number in range(self.count)]


@dataclass(frozen=True)
class Brace:
    """The begin or the end of a scope."""

    opens: bool


Statement = Instruction | Label | Registers | Brace | Variable


@dataclass
class Function:
    """A kernel, or a function that kernels call.

    Attributes:
        result: what the function returns; None for a kernel.
        body: empty for a declaration.
    """

    name: str
    is_kernel: bool
    parameters: list[Variable]
    result: Variable | None = None
    body: list[Statement] = field(default_factory=list)


@dataclass
class Module:
    """All of a PTX file."""

    variables: list[Variable]
    functions: list[Function]


VARIABLE = re.compile(
    r"(?:\.(?:visible|extern|weak)\s+)*\.(?P<space>shared|global|const|local|param)"
    r"(?:\s+\.align\s+(?P<align>\d+))?\s+\.(?P<type>\w+)"
    r"(?:\s+\.ptr(?:\s+\.(?:global|shared|const|local))?(?:\s+\.align\s+\d+)?)?"
    r"\s+(?P<name>[\w$.]+)(?P<array>\[(?P<count>\d*)\])?(?:\s*=\s*(?P<values>.*))?"
)
REGISTERS = re.compile(r"\.reg\s+\.(\w+)\s+(%?[\w$]+)(?:<(\d+)>)?")
FUNCTION = re.compile(
    r"(?:\.(?:visible|extern|weak)\s+)*\.(?P<kind>entry|func)\s*"
    r"(?:\((?P<result>[^()]*)\)\s*)?(?P<name>[\w$]+)\s*(?:\((?P<parameters>[^()]*)\))?"
)
GUARDED = re.compile(r"(?:@(?P<guard>!?%[\w$]+)\s+)?(?P<opcode>[a-z][\w.:]*)\s*(?P<rest>.*)", re.S)
# Directives that say nothing of what a kernel computes.
IGNORED = re.compile(r"\.(?:version|target|address_size|loc|file|pragma|section)\b[^\n]*")
LIMITS = re.compile(r"\.(?:maxntid|minnctapersm|reqntid|maxnreg|noreturn|maxclusterrank)\b[^\n{]*")


def parse(text: str) -> Module:
    """Parse a PTX file.

    Raises:
        PtxError: something in it is not understood.
    """
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL if "/*" in text else 0)
    text = LIMITS.sub("", IGNORED.sub("", text))
    module = Module([], [])
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        end = min((found for mark in ";{" if (found := text.find(mark, at)) >= 0), default=-1)
        if end < 0:
            raise PtxError(f"expected a declaration, got {text[at:].strip()[:80]!r}")
        at = parse_declaration(module, text, at, end)
    return module


def parse_declaration(module: Module, text: str, at: int, end: int) -> int:
    """Parse a declaration whose first ; or { is at `end`, and return where the next one begins."""
    head = text[at:end].strip()
    function = FUNCTION.fullmatch(head)
    if function is None:
        end = text.index(";", at)  # the values of an array are in braces
        module.variables.append(parse_variable(text[at:end].strip()))
        return end + 1
    parsed = Function(
        name=function["name"],
        is_kernel=function["kind"] == "entry",
        parameters=[parse_variable(each) for each in split_list(function["parameters"] or "")],
        result=parse_variable(function["result"].strip()) if function["result"] else None,
    )
    if text[end] == "{":
        body, end = cut_body(text, end)
        parsed.body = list(parse_body(body))
        module.functions.append(parsed)
    return end + 1


def cut_body(text: str, begin: int) -> tuple[str, int]:
    """Return what is between the brace at `begin` and its partner, and where the partner is."""
    depth = 0
    for brace in re.compile(r"[{}]").finditer(text, begin):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return text[begin + 1 : brace.start()], brace.start()
    raise PtxError(f"expected the end of a function, got none after {text[begin : begin + 80]!r}")


def parse_variable(text: str) -> Variable:
    found = VARIABLE.fullmatch(text.strip())
    if found is None:
        raise PtxError(f"expected a variable, got {text.strip()[:120]!r}")
    if found["array"] == "[]":
        raise PtxError(f"expected an array with its size, got {text.strip()[:120]!r}")
    one = size_of(found["type"])
    size = one * int(found["count"] or 1)
    return Variable(
        name=found["name"],
        space=found["space"],
        alignment=int(found["align"] or one),
        size=size,
        values=parse_values(found["values"] or "", one, size),
    )


def parse_values(text: str, one: int, size: int) -> tuple[int, ...]:
    """Return the bytes of a variable of which `text` gives the first values, of `one` byte each."""
    values: list[int] = []
    for value in text.strip("{} \n").split(",") if text else []:
        values += int(value, 0).to_bytes(one, "little", signed=int(value, 0) < 0)
    return tuple(values + [0] * (size - len(values))) if values else ()


def parse_body(text: str) -> Iterator[Statement]:
    """Parse the statements of a function, in order."""
    at = 0
    while True:
        while at < len(text) and (text[at].isspace() or text[at] == ";"):
            at += 1
        if at == len(text):
            return
        label = re.compile(r"(\$?[\w$]+):(?!:)").match(text, at)
        if text[at] in "{}":
            yield Brace(text[at] == "{")
            at += 1
        elif label is not None:
            yield Label(label[1])
            at = label.end()
        else:
            end = text.find(";", at)
            if end < 0:
                raise PtxError(f"expected a statement, got {text[at:].strip()[:80]!r}")
            yield parse_statement(text[at:end].strip())
            at = end + 1


def parse_statement(text: str) -> Statement:
    registers = REGISTERS.fullmatch(text)
    if registers is not None:
        count = None if registers[3] is None else int(registers[3])
        return Registers(registers[1], registers[2], count)
    if text.startswith("."):
        return parse_variable(text)
    found = GUARDED.fullmatch(text)
    if found is None:
        raise PtxError(f"expected an instruction, got {text[:120]!r}")
    opcode = tuple(found["opcode"].split("."))
    return Instruction(found["guard"] or "", opcode, tuple(split_list(found["rest"])))


def split_list(text: str) -> list[str]:
    """Split at the commas that are in no brackets."""
    parts, depth, begin = [], 0, 0
    for at, letter in enumerate(text):
        if letter in "{[(":
            depth += 1
        elif letter in "}])":
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(text[begin:at].strip())
            begin = at + 1
    parts.append(text[begin:].strip())
    return [part for part in parts if part]
