"""Branches, calls, and what the threads of a warp or a block do together, as C++."""

from __future__ import annotations

from ptx.arithmetic import Renderer, refuse
from ptx.scope import Scope, identifier
from ptx.syntax import Instruction, split_list


def label(name: str) -> str:
    return f"to_{identifier(name)}"


def branch(scope: Scope, instruction: Instruction) -> str:
    if instruction.opcode[1:] not in {(), ("uni",)}:
        raise refuse(instruction)
    return f"goto {label(instruction.operands[0])};"


def leave(scope: Scope, instruction: Instruction) -> str:
    """Render ret and exit; the latter ends the kernel, and so is known in kernels alone."""
    if instruction.opcode[0] == "exit" and not scope.function.is_kernel:
        raise refuse(instruction)
    return "return;"


def trap(scope: Scope, instruction: Instruction) -> str:
    return 'emulate::fail("a trap", Place::current());'


def call(scope: Scope, instruction: Instruction) -> str:
    """Render a call of a function whose arguments lie in variables of the scope around it."""
    operands = list(instruction.operands)
    results = split_list(operands.pop(0).strip("()")) if operands[0].startswith("(") else []
    name = operands.pop(0)
    if name not in scope.functions or len(results) > 1 or len(operands) > 1:
        raise refuse(instruction)
    arguments = split_list(operands[0].strip("()\n\t ")) if operands else []
    places = [f"reinterpret_cast<char*>({scope.value(each, 'u64')})" for each in results]
    places = places or ["nullptr"]
    places += [f"reinterpret_cast<const char*>({scope.value(each, 'u64')})" for each in arguments]
    return f"{scope.functions[name]}({', '.join(places)});"


def barrier(scope: Scope, instruction: Instruction) -> str:
    """Render bar and barrier, of all threads of a block or of lanes of a warp."""
    parts = tuple(part for part in instruction.opcode[1:] if part not in {"cta", "aligned"})
    operands = instruction.operands
    if parts == ("warp", "sync"):
        mask = scope.value(operands[0], "u32")
        return f"Block::current->meet(Meeting::sync, {mask}, 0, 0, Place::current());"
    if parts == ("sync",) and operands == ("0",):
        return "Block::current->sync(false, Place::current());"
    if parts[:1] == ("red",) and operands[1] == "0" and len(operands) == 3:
        return reduction(scope, instruction, parts[1:])
    raise refuse(instruction)


def reduction(scope: Scope, instruction: Instruction, parts: tuple[str, ...]) -> str:
    """Render a barrier that tells how many predicates are true, whether any is, or all are."""
    to, _, value = instruction.operands
    predicate = scope.value(value, "pred")
    if parts == ("popc", "u32"):
        return scope.assign(to, "u32", f"Block::current->sync({predicate}, Place::current())")
    if parts == ("or", "pred"):
        return scope.assign(to, "pred", f"Block::current->sync({predicate}, Place::current()) != 0")
    if parts == ("and", "pred"):
        count = f"Block::current->sync(!({predicate}), Place::current())"
        return scope.assign(to, "pred", f"{count} == 0")
    raise refuse(instruction)


def shuffle(scope: Scope, instruction: Instruction) -> str:
    if instruction.opcode[1] != "sync" or instruction.opcode[-1] != "b32":
        raise refuse(instruction)
    mode = instruction.opcode[2]
    if mode not in {"up", "down", "bfly", "idx"}:
        raise refuse(instruction)
    to, _, inside = instruction.operands[0].partition("|")
    values = ", ".join(scope.value(operand, "u32") for operand in instruction.operands[1:])
    text = f"const Shuffled got = shuffle_{mode}({values}, Place::current()); "
    text += scope.assign(to, "u32", "got.value")
    return f"{text} {scope.assign(inside, 'pred', 'got.inside')}" if inside else text


def vote(scope: Scope, instruction: Instruction) -> str:
    parts = instruction.opcode[1:]
    predicate = scope.value(instruction.operands[1], "pred")
    mask = scope.value(instruction.operands[2], "u32")
    ballot = f"voted({predicate}, {mask}, Place::current())"
    if parts == ("sync", "ballot", "b32"):
        return scope.assign(instruction.operands[0], "u32", ballot)
    if parts == ("sync", "any", "pred"):
        return scope.assign(instruction.operands[0], "pred", f"{ballot} != 0")
    if parts == ("sync", "all", "pred"):
        return scope.assign(instruction.operands[0], "pred", f"{ballot} == {mask}")
    raise refuse(instruction)


MEETINGS = {"add": "add", "min": "smallest", "max": "largest"}


def warp_reduction(scope: Scope, instruction: Instruction) -> str:
    """Render redux of unsigned numbers."""
    parts = instruction.opcode[1:]
    if len(parts) != 3 or parts[0] != "sync" or parts[1] not in MEETINGS or parts[2] != "u32":
        raise refuse(instruction)
    value, mask = (scope.value(operand, "u32") for operand in instruction.operands[1:])
    meeting = f"Meeting::{MEETINGS[parts[1]]}"
    text = f"u32(Block::current->meet({meeting}, {mask}, {value}, 0, Place::current()))"
    return scope.assign(instruction.operands[0], "u32", text)


FLOW: dict[str, Renderer] = {
    "bra": branch,
    "ret": leave,
    "exit": leave,
    "trap": trap,
    "call": call,
    "bar": barrier,
    "barrier": barrier,
    "shfl": shuffle,
    "vote": vote,
    "redux": warp_reduction,
}
