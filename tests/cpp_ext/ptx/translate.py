"""A PTX module as C++: a source for each of its functions, and one that gives them to launches."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass

from ptx.arithmetic import ARITHMETIC, Renderer
from ptx.flow import FLOW, label
from ptx.memory import MEMORY
from ptx.scope import Scope, identifier, plain, register
from ptx.syntax import (
    Brace,
    Function,
    Instruction,
    Label,
    Module,
    PtxError,
    Registers,
    Statement,
    Variable,
    parse,
)

RENDERERS: dict[str, Renderer] = {**ARITHMETIC, **MEMORY, **FLOW}
REGISTERS_A_LINE = 32
# Compilers take more than twice the time for a file of twice the length.
LINES_A_FILE = 3000
CLOSING = "}  // namespace ptx\n"


@dataclass(frozen=True)
class Layout:
    """Variables one after the other, as far apart as they are aligned."""

    offsets: dict[str, int]
    size: int


def lay_out(variables: list[Variable]) -> Layout:
    offsets, at = {}, 0
    for variable in variables:
        at = -(-at // variable.alignment) * variable.alignment
        offsets[variable.name] = at
        at += variable.size
    return Layout(offsets, at)


def translate(text: str, source: str) -> dict[str, str]:
    """Translate a PTX file.

    Args:
        text: what nvcc made.
        source: name of the .cu file that it was made of.

    Returns:
        C++ sources by their names.

    Raises:
        PtxError: there is something in it that this translator does not know.
    """
    module = parse(text)
    names = {
        function.name: f"{'kernel' if function.is_kernel else 'function'}_{number}"
        for number, function in enumerate(module.functions)
    }
    translated = [Translation(module, each, names).source() for each in module.functions]
    files = {
        f"kernels_{number}.cpp": "\n".join([*declarations(module, names), *group, CLOSING])
        for number, group in enumerate(grouped(translated))
    }
    files["launches.cpp"] = launches(module, names, source)
    return files


def grouped(texts: list[str]) -> list[list[str]]:
    """Put short texts together, as each file has the headers to read as well."""
    groups: list[list[str]] = [[]]
    size = 0
    for text in texts:
        if groups[-1] and size + text.count("\n") > LINES_A_FILE:
            groups.append([])
            size = 0
        groups[-1].append(text)
        size += text.count("\n")
    return groups


def declarations(module: Module, names: dict[str, str]) -> list[str]:
    """Return the begin of a file: what its functions may call, and variables of the module."""
    called = [each for each in module.functions if not each.is_kernel]
    variables = [each for each in module.variables if each.space != "shared"]
    return [
        '#include "run.h"',
        "namespace ptx {",
        *(f"{signature(each, names[each.name])};" for each in called),
        *(f"extern char m_{identifier(each.name)}[{each.size}];" for each in variables),
    ]


def signature(function: Function, name: str) -> str:
    if function.is_kernel:
        return f"void {name}(const char* parameters)"
    places = [f"const char* p{number}" for number in range(len(function.parameters))]
    return f"void {name}({', '.join(['char* result', *places])})"


class Translation:
    """The C++ of one function.

    Args:
        module: what it is part of.
        function: the one to translate.
        names: C++ names of the module's functions.
    """

    def __init__(self, module: Module, function: Function, names: dict[str, str]) -> None:
        self.module, self.function, self.names = module, function, names
        self.shared = [each for each in module.variables if each.space == "shared"]
        others = [each for each in module.variables if each.space != "shared"]
        addresses = {each.name: f"u64(m_{identifier(each.name)})" for each in others}
        self.scope = Scope(function, addresses)
        self.scope.functions = names

    def source(self) -> str:
        """Return the definition of the function."""
        own = [each for each in self.function.body if isinstance(each, Variable)]
        layout = lay_out([*self.shared, *(each for each in own if each.space == "shared")])
        self.scope.memory |= {name: str(offset) for name, offset in layout.offsets.items()}
        body = [self.line(each) for each in self.function.body if not is_shared(each)]
        head = signature(self.function, self.names[self.function.name])
        return "\n".join(
            [f"// {self.function.name}", f"{head} {{", *self.begin(layout), *body, "}"]
        )

    def begin(self, shared: Layout) -> list[str]:
        """Return where the block's shared memory and the kernel's parameters are."""
        if not self.function.is_kernel:
            return ["  const Shared shared = Shared::of_function();"]
        parameters = lay_out(self.function.parameters)
        return [
            f"  const Shared shared = Shared::of_kernel({shared.size});",
            *(
                f"  const char* const p{number} = parameters + {offset};"
                for number, offset in enumerate(parameters.offsets.values())
            ),
        ]

    def line(self, statement: Statement) -> str:
        """Translate one statement to a line of its own, whose number tells places apart."""
        if isinstance(statement, Label):
            return f" {label(statement.name)}:;"
        if isinstance(statement, Brace):
            return "  {" if statement.opens else "  }"
        if isinstance(statement, Registers):
            return self.declare(statement)
        if isinstance(statement, Variable):
            name = self.scope.place(statement)
            text = f"  alignas({max(statement.alignment, 16)}) char {name}[{statement.size}];"
            return f"{text} std::memset({name}, 0xff, sizeof {name});"
        return f"  {self.instruction(statement)}"

    def instruction(self, instruction: Instruction) -> str:
        render = RENDERERS.get(instruction.opcode[0])
        shown = f"{instruction.name} {', '.join(instruction.operands)}"
        if render is None:
            raise PtxError(f"unknown instruction {shown}")
        try:
            text = render(self.scope, instruction)
        except (PtxError, IndexError, ValueError) as error:
            raise PtxError(f"unknown form of an instruction, {shown}: {error}") from error
        guard = instruction.guard
        return f"if ({self.scope.value(guard, 'pred')}) {{ {text} }}" if guard else f"{{ {text} }}"

    def declare(self, registers: Registers) -> str:
        """Declare registers, filled with a value that nothing should read."""
        self.scope.declare(registers)
        kind = plain(registers.type_name)
        if kind == "pred":
            kind = "bool"
        unset = f"unset<{kind}>"
        names = [f"{register(name)} = {unset}" for name in registers.names()]
        lines = [
            f"  {kind} {', '.join(names[at : at + REGISTERS_A_LINE])};"
            for at in range(0, len(names), REGISTERS_A_LINE)
        ]
        return "\n".join(lines)


def is_shared(statement: Statement) -> bool:
    return isinstance(statement, Variable) and statement.space == "shared"


def launches(module: Module, names: dict[str, str], source: str) -> str:
    """Return the source of the kernels' host side, whose launches then run the translation.

    It includes the .cu file itself: kernels there have internal linkage.
    """
    kernels = [each for each in module.functions if each.is_kernel]
    lines = [f'#include "{source}"', '#include "run.h"', "", "namespace ptx {"]
    lines += [f"{signature(each, names[each.name])};" for each in kernels]
    for variable in module.variables:
        if variable.space != "shared":
            lines += define(variable)
    lines += ["namespace {", "const Registered registered[] = {"]
    for kernel, name in zip(kernels, source_names([each.name for each in kernels]), strict=True):
        size = lay_out(kernel.parameters).size
        lines.append(f'  {{&{name}, "{name}", &{names[kernel.name]}, {size}}},')
    return "\n".join([*lines, "};", "}  // namespace", CLOSING])


def define(variable: Variable) -> list[str]:
    """Define a variable in device memory."""
    name = f"m_{identifier(variable.name)}"
    values = ", ".join(f"char({value})" for value in variable.values)
    return [
        f"extern char {name}[{variable.size}];",
        f"alignas({max(variable.alignment, 16)}) char {name}[{variable.size}] = {{{values}}};",
        f'const ModuleMemory place_of_{name}{{"{variable.name}", {name}, {variable.size}}};',
    ]


def source_names(mangled: list[str]) -> list[str]:
    """Return the names of kernels as their source may write them, such as a::b<1u>."""
    told = subprocess.run(
        ["c++filt", *mangled], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [source_name(each) for each in told]


def source_name(told: str) -> str:
    """Return a function's name without its type, its parameters and nameless namespaces."""
    text = re.sub(r"\(anonymous namespace\)::|_GLOBAL__N__\w+::", "", told)
    depth = 0
    for at, letter in enumerate(text):
        depth += {"<": 1, ">": -1}.get(letter, 0)
        if letter == "(" and depth == 0:
            text = text[:at]
            break
    head = text.partition("<")[0]
    return text[head.rfind(" ") + 1 :]
