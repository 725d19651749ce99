"""The machine code that nvcc makes of the kernels: no GPU is needed, only the compiler."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from ptx.build import CPP, NVCC_FLAGS, PROGRAMS, Compiler, run
from ptx.resources import (
    Resources,
    architectures,
    compile_for,
    nvcc_version,
    read_table,
    resources_in,
)
from ptx.translate import source_names

ORIN = 87
KERNELS = {name: kernels for name, (kernels, _) in PROGRAMS.items()}
# ptxas takes half a minute for the kernels of maps.
SLOW_MAPS = [
    pytest.param(name, marks=pytest.mark.slow) if name == "maps" else name for name in KERNELS
]
ARITHMETIC = re.compile(r"\s(?:add|sub|mul|div|mad|fma|sqrt)\.[\w.]*f(?:32|64)\s")
FENCE = r"(?:membar\.gl|fence\.(?:sc|acq_rel)\.gpu)"
# Of each image the last block counts: the one that takes the last ticket.
TICKET = re.compile(rf"{FENCE};\s+(?:\S[^\n]*\n\s*){{0,12}}?atom\.\S*inc\.u32 [^\n]*\n(.*)", re.S)


def ptxas() -> str:
    nvcc = shutil.which("nvcc")
    beside = Path(nvcc).resolve().with_name("ptxas") if nvcc else Path("none")
    return str(beside) if beside.exists() else shutil.which("ptxas") or pytest.skip("no ptxas")


def assert_in_registers(found: list[Resources]) -> None:
    """Check that no thread needs memory of its own, and no kernel more than the table says."""
    assert found
    assert [each for each in found if (each.stack, each.spilled) != (0, 0)] == []
    version, rows = read_table()
    if version != nvcc_version():
        pytest.skip(f"the table is of nvcc {version}, not of {nvcc_version()}")
    table = {(row.architecture, row.kernel): row for row in rows}
    for got in found:
        kept = table[got.architecture, got.kernel]
        assert got.shared == kept.shared, f"{kept}: python tests/cpp_ext/ptx/resources.py"
        assert got.registers <= kept.registers, f"{kept}, got {got}"


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_round_each_step(compiler: Compiler, name: str) -> None:
    steps = ARITHMETIC.findall(compiler.ptx(name, ORIN))
    assert steps
    # Without .rn the next compiler may fuse a product and a sum, and the CPU's bits are lost.
    assert [step for step in steps if ".rn" not in step] == []
    assert not any(".ftz" in step for step in steps)


def test_the_build_rounds_as_these_tests_do() -> None:
    text = (CPP / "cmake" / "CudaSources.cmake").read_text()
    flags = re.findall(r"\$<\$<COMPILE_LANGUAGE:CUDA>:([^>]+)>", text)
    assert "--fmad=false" in flags
    assert "--fmad=false" in NVCC_FLAGS


@pytest.mark.parametrize("name", KERNELS)
def test_threads_have_no_memory_of_their_own(compiler: Compiler, name: str) -> None:
    assert ".local" not in compiler.ptx(name, ORIN)


def test_blocks_hand_over_between_fences(compiler: Compiler) -> None:
    found = TICKET.search(compiler.ptx("maps", ORIN))
    assert found is not None
    # After the ticket, too, before anything of the other blocks is read.
    after = re.search(rf"{FENCE};|(?<=\s)(?:ld|atom)\.global", found[1])
    assert after is not None
    assert re.fullmatch(f"{FENCE};", after[0])


@pytest.mark.parametrize("name", SLOW_MAPS)
def test_kernels_need_no_more_than_the_table_says(
    compiler: Compiler, name: str, tmp_path: Path
) -> None:
    source = tmp_path / "kernel.ptx"
    source.write_text(compiler.ptx(name, ORIN))
    said = run(ptxas(), "-v", f"-arch=sm_{ORIN}", source, "-o", tmp_path / "kernel.cubin")
    assert_in_registers(resources_in(said))


def test_the_table_has_all_kernels_and_no_others(compiler: Compiler) -> None:
    texts = [compiler.ptx(name, ORIN) for name in KERNELS]
    names = source_names([name for text in texts for name in re.findall(r"\.entry (\w+)", text)])
    version, rows = read_table()
    if version != nvcc_version():
        pytest.skip(f"the table is of nvcc {version}, not of {nvcc_version()}")
    by_architecture = {number: set[str]() for number in architectures()}
    for row in rows:
        by_architecture.setdefault(row.architecture, set()).add(row.kernel)
    kernels = {name.removeprefix("edgecount::cuda::") for name in names}
    assert set(map(frozenset, by_architecture.values())) == {frozenset(kernels)}


@pytest.mark.slow
@pytest.mark.parametrize("name", KERNELS)
def test_nor_on_any_architecture(compiler: Compiler, name: str, tmp_path: Path) -> None:
    numbers = architectures()
    said = compile_for(CPP / "cuda" / KERNELS[name], numbers, tmp_path / "kernel.o")
    found = resources_in(said)
    assert {each.architecture for each in found} == set(numbers)
    assert_in_registers(found)


@pytest.mark.parametrize(
    "architecture",
    [ORIN, *(pytest.param(other, marks=pytest.mark.slow) for other in (75, 90, 110))],
)
def test_machine_code_has_the_fences(compiler: Compiler, architecture: int, tmp_path: Path) -> None:
    disassembler = shutil.which("cuobjdump") or pytest.skip("cuobjdump is not installed")
    source, machine_code = tmp_path / "kernel.ptx", tmp_path / "kernel.cubin"
    source.write_text(count_images_alone(compiler.ptx("maps", architecture)))
    run(ptxas(), f"-arch=sm_{architecture}", source, "-o", machine_code)
    said = run(disassembler, "-sass", machine_code)
    steps = re.findall(r"\s(MEMBAR|CCTL\.IVALL|ATOMG\S*\.INC|LDG?|STG?)\b", said)
    (ticket,) = (at for at, step in enumerate(steps) if step.startswith("ATOMG"))
    # All writes are out before the ticket; what the cache has is dropped before reads after it.
    assert "MEMBAR" in steps[max(ticket - 2, 0) : ticket]
    assert steps[ticket + 1 : ticket + 3] == ["MEMBAR", "CCTL.IVALL"]


def count_images_alone(text: str) -> str:
    """Return a PTX module with no kernel but the one that counts: ptxas takes a second for it."""
    head = text[: text.index(".entry")]
    kernels = re.findall(r"^\.entry .*?^}$", text, re.DOTALL | re.MULTILINE)
    (kept,) = (kernel for kernel in kernels if "count_images" in kernel.split("(", 1)[0])
    functions = re.findall(r"^\.func [^;]*?^{.*?^}$", text, re.DOTALL | re.MULTILINE)
    return "\n".join([head, kept, *functions, ""])
