"""The translator of PTX: what instructions compute, and that it refuses those it does not know."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from ptx.build import HERE, Build, link, missing_tool
from ptx.syntax import PtxError, parse
from ptx.translate import source_name, translate

HEAD = ".version 9.0\n.target sm_87\n.address_size 64\n"
REGISTERS = """
    .reg .pred %p<9>; .reg .b16 %rs<9>; .reg .b32 %r<9>; .reg .b64 %rd<9>;
    .reg .f32 %f<9>; .reg .f64 %fd<9>;
"""
NAN, INFINITY, TINY = "0f7FC00000", "0f7F800000", "0f00000001"


def f32(value: float) -> str:
    return f"0f{struct.pack('>f', value).hex()}"


def f64(value: float) -> str:
    return f"0d{struct.pack('>d', value).hex()}"


def bits32(value: float) -> int:
    return int(np.float32(value).view(np.uint32))


def bits64(value: float) -> int:
    return int(np.float64(value).view(np.uint64))


def chosen(comparison: str, *operands: str) -> str:
    """Return PTX that gives 1 where a comparison holds, and 0 elsewhere."""
    return f"setp.{comparison} %p1, {', '.join(operands)}; selp.u32 %r1, 1, 0, %p1;"


THIRD = np.float32(1 / 3)
# Instructions, the register that holds what they give, and its bits.
CASES: list[tuple[str, str, int]] = [
    ("add.s32 %r1, 0x7FFFFFFF, 1;", "%r1", 0x80000000),
    ("sub.s32 %r1, 3, 5;", "%r1", 0xFFFFFFFE),
    ("sub.s16 %rs1, 3, 5;", "%rs1", 0xFFFE),
    ("mul.lo.s32 %r1, -7, 3;", "%r1", 0xFFFFFFEB),
    ("mul.lo.s16 %rs1, 0xFFFF, 0xFFFF;", "%rs1", 1),
    ("mul.hi.u32 %r1, 0xFFFFFFFF, 0xFFFFFFFF;", "%r1", 0xFFFFFFFE),
    ("mul.hi.s32 %r1, -1, 5;", "%r1", 0xFFFFFFFF),
    ("mul.wide.u32 %rd1, 0xFFFFFFFF, 3;", "%rd1", 0x2FFFFFFFD),
    ("mul.wide.s32 %rd1, -1, 3;", "%rd1", 2**64 - 3),
    ("mul.wide.u16 %r1, 0xFFFF, 0xFFFF;", "%r1", 0xFFFE0001),
    ("mad.lo.s32 %r1, 6, 7, -2;", "%r1", 40),
    ("mad.wide.u32 %rd1, 0xFFFFFFFF, 2, 5;", "%rd1", 0x200000003),
    ("div.s32 %r1, -7, 2;", "%r1", 2**32 - 3),
    ("rem.s32 %r1, -7, 2;", "%r1", 2**32 - 1),
    ("div.u32 %r1, 0xFFFFFFF9, 2;", "%r1", 0x7FFFFFFC),
    ("shl.b32 %r2, 1, 0; mov.u32 %r3, 32; shl.b32 %r1, %r2, %r3;", "%r1", 0),
    ("mov.u32 %r2, -8; mov.u32 %r3, 40; shr.s32 %r1, %r2, %r3;", "%r1", 0xFFFFFFFF),
    ("mov.u32 %r2, -8; shr.u32 %r1, %r2, 1;", "%r1", 0x7FFFFFFC),
    ("min.s32 %r1, -1, 1;", "%r1", 0xFFFFFFFF),
    ("min.u32 %r1, -1, 1;", "%r1", 1),
    ("abs.s32 %r1, -5;", "%r1", 5),
    ("neg.s32 %r1, 5;", "%r1", 0xFFFFFFFB),
    ("not.b32 %r1, 0x0F0F0F0F;", "%r1", 0xF0F0F0F0),
    # Floats: one rounding, and what NaNs and zeros give.
    (f"add.rn.f32 %f1, {f32(1)}, {f32(2**-24)};", "%f1", bits32(1)),
    (f"add.rn.f32 %f1, {TINY}, {TINY};", "%f1", 2),
    (f"div.rn.f32 %f1, {f32(1)}, {f32(3)};", "%f1", bits32(THIRD)),
    (f"mul.rn.f64 %fd1, {f64(0.1)}, {f64(3)};", "%fd1", bits64(0.1 * 3)),
    (f"sqrt.rn.f32 %f1, {f32(2)};", "%f1", bits32(np.sqrt(np.float32(2)))),
    (f"fma.rn.f32 %f1, {f32(1 + 2**-12)}, {f32(1 + 2**-12)}, {f32(-1)};", "%f1",
     bits32(2**-11 + 2**-24)),
    (f"min.f32 %f1, {NAN}, {f32(2)};", "%f1", bits32(2)),
    (f"max.f32 %f1, {f32(-0.0)}, {f32(0)};", "%f1", 0),
    (f"min.f32 %f1, {f32(0)}, {f32(-0.0)};", "%f1", 0x80000000),
    (f"abs.f32 %f1, {f32(-0.0)};", "%f1", 0),
    (f"neg.f32 %f1, {f32(0)};", "%f1", 0x80000000),
    # Comparisons with a NaN: those with a u are true.
    *((chosen(f"{name}.f32", NAN, f32(1)), "%r1", 0) for name in ("lt", "ne", "eq", "num")),
    *((chosen(f"{name}.f32", NAN, f32(1)), "%r1", 1) for name in ("ltu", "neu", "equ", "nan")),
    (chosen("lt.s32", "-1", "1"), "%r1", 1),
    (chosen("lt.u32", "-1", "1"), "%r1", 0),
    (chosen("hi.u32", "-1", "1"), "%r1", 1),
    (f"setp.eq.u32 %p2, 1, 1; {chosen('lt.and.s32', '2', '1', '%p2')}", "%r1", 0),
    (f"setp.eq.u32 %p2, 1, 1; {chosen('lt.or.s32', '2', '1', '%p2')}", "%r1", 1),
    # Conversions.
    ("cvt.u16.u32 %rs1, 0x12345;", "%rs1", 0x2345),
    ("mov.u16 %rs2, 0x80; cvt.s32.s8 %r1, %rs2;", "%r1", 0xFFFFFF80),
    ("cvt.u64.u32 %rd1, -1;", "%rd1", 0xFFFFFFFF),
    ("cvt.s64.s32 %rd1, -1;", "%rd1", 2**64 - 1),
    ("cvt.rn.f32.u32 %f1, 0x1000001;", "%f1", bits32(2**24)),
    ("cvt.rn.f32.s32 %f1, -3;", "%f1", bits32(-3)),
    (f"cvt.rni.s32.f32 %r1, {f32(2.5)};", "%r1", 2),
    (f"cvt.rmi.s32.f32 %r1, {f32(-0.5)};", "%r1", 0xFFFFFFFF),
    (f"cvt.rpi.s32.f32 %r1, {f32(0.5)};", "%r1", 1),
    (f"cvt.rzi.u32.f32 %r1, {f32(-1)};", "%r1", 0),
    (f"cvt.rzi.u32.f64 %r1, {f64(5e9)};", "%r1", 0xFFFFFFFF),
    (f"cvt.rzi.s32.f32 %r1, {f32(-3e9)};", "%r1", 0x80000000),
    (f"cvt.rzi.s64.f64 %rd1, {f64(-1.9)};", "%rd1", 2**64 - 1),
    (f"cvt.rzi.s32.f32 %r1, {NAN};", "%r1", 0),
    (f"cvt.rn.f32.f64 %f1, {f64(0.1)};", "%f1", bits32(0.1)),
    (f"cvt.f64.f32 %fd1, {f32(0.1)};", "%fd1", bits64(float(np.float32(0.1)))),
    (f"cvt.rn.f16.f32 %rs1, {f32(65519)};", "%rs1", 0x7BFF),
    (f"cvt.rn.f16.f32 %rs1, {f32(65520)};", "%rs1", 0x7C00),
    ("mov.u16 %rs2, 0x3555; cvt.f32.f16 %f1, %rs2;", "%f1",
     bits32(np.uint16(0x3555).view(np.float16))),
    (f"cvt.rn.f16x2.f32 %r1, {f32(1)}, {f32(-2)};", "%r1", 0x3C00C000),
    # Bits.
    ("popc.b32 %r1, 0xF00F;", "%r1", 8),
    ("clz.b32 %r1, 0;", "%r1", 32),
    ("clz.b32 %r1, 0x00800000;", "%r1", 8),
    ("brev.b32 %r1, 0x1;", "%r1", 0x80000000),
    ("bfind.shiftamt.u32 %r1, 0x00800000;", "%r1", 8),
    ("bfind.shiftamt.u32 %r1, 0;", "%r1", 0xFFFFFFFF),
    ("bfe.u32 %r1, 0xABCD1234, 8, 12;", "%r1", 0xD12),
    ("bfi.b32 %r1, 0xFF, 0, 4, 8;", "%r1", 0xFF0),
    ("bfi.b64 %rd1, 0x12345678, 0x9ABCDEF0, 32, 32;", "%rd1", 0x123456789ABCDEF0),
    ("prmt.b32 %r1, 0x33221100, 0x77665544, 0x7410;", "%r1", 0x77441100),
    ("prmt.b32 %r1, 0x00008000, 0, 0x1119;", "%r1", 0x808080FF),
    ("lop3.b32 %r1, 0xFF00FF00, 0xF0F0F0F0, 0xCCCCCCCC, 0x96;", "%r1",
     0xFF00FF00 ^ 0xF0F0F0F0 ^ 0xCCCCCCCC),
    ("shf.l.wrap.b32 %r1, 0x80000001, 1, 4;", "%r1", 0x18),
    ("shf.r.clamp.b32 %r1, 5, 6, 40;", "%r1", 6),
    ("mov.b64 %rd1, {0x1, 0x2};", "%rd1", 0x200000001),
    ("mov.u64 %rd2, 0x500000004; mov.b64 {%r2, %r1}, %rd2;", "%r1", 5),
    ("mov.b32 %r1, 0f3F800000;", "%r1", 0x3F800000),
    # Predicates, branches and what lanes do together: all that counts is of lane 0.
    ("setp.eq.u32 %p1, 1, 2; mov.u32 %r1, 4; @%p1 mov.u32 %r1, 5;", "%r1", 4),
    ("setp.eq.u32 %p1, 1, 2; mov.u32 %r1, 4; @!%p1 mov.u32 %r1, 5;", "%r1", 5),
    ("mov.u32 %r1, 1; bra.uni $over; mov.u32 %r1, 2; $over:", "%r1", 1),
    ("mov.u32 %r2, %laneid; shfl.sync.bfly.b32 %r1|%p1, %r2, 5, 31, -1;", "%r1", 5),
    ("mov.u32 %r2, %laneid; shfl.sync.down.b32 %r1|%p1, %r2, 3, 31, -1;", "%r1", 3),
    ("mov.u32 %r2, %laneid; shfl.sync.up.b32 %r1|%p1, %r2, 3, 0, -1;", "%r1", 0),
    ("mov.u32 %r2, %laneid; shfl.sync.idx.b32 %r1|%p1, %r2, 9, 0x181F, -1;", "%r1", 1),
    ("mov.u32 %r2, %laneid; setp.gt.u32 %p1, %r2, 29; vote.sync.ballot.b32 %r1, %p1, -1;",
     "%r1", 0xC0000000),
    ("mov.u32 %r2, %laneid; redux.sync.add.u32 %r1, %r2, -1;", "%r1", 31 * 16),
    ("mov.u32 %r2, %laneid; setp.gt.u32 %p1, %r2, 29; bar.red.popc.u32 %r1, 0, %p1;", "%r1", 2),
    # Memory of a function's own, of the module and of the block, and a call.
    ("st.local.v2.u32 [own], {7, 8}; ld.local.u32 %r1, [own+4];", "%r1", 8),
    ("ld.global.u16 %rs1, [table+2];", "%rs1", 0xBEEF),
    (("st.shared.u32 [block], 6; atom.shared.and.b32 %r2, [block], 3;"
     " bar.sync 0; ld.shared.u32 %r1, [block];"), "%r1", 2),
    (("mov.u64 %rd2, block; cvta.shared.u64 %rd3, %rd2; st.u32 [%rd3], 9;"
     " bar.sync 0; ld.shared.u32 %r1, [block];"), "%r1", 9),
    ("mov.u64 %rd2, table; ld.u16 %rs1, [%rd2+2];", "%rs1", 0xBEEF),
    (("{ .param .b32 param0; st.param.b32 [param0], 5; .param .b32 retval0;"
     " call.uni (retval0), twice, (param0); ld.param.b32 %r1, [retval0]; }"), "%r1", 10),
]  # fmt: skip

MODULE = """
.global .align 4 .b8 table[4] = {0x01, 0x02, 0xEF, 0xBE};
.shared .align 4 .u32 block;
.func (.param .b32 func_retval0) twice(.param .b32 twice_param_0)
{
    .reg .b32 %r<3>;
    ld.param.u32 %r1, [twice_param_0];
    shl.b32 %r2, %r1, 1;
    st.param.b32 [func_retval0], %r2;
    ret;
}
"""


def kernel_of(cases: list[tuple[str, str, int]]) -> str:
    """Return a kernel that stores what each case leaves, in 8 bytes, from its first lane."""
    lines = [HEAD, MODULE, ".entry _Z9run_casesPm(.param .u64 out)", "{", REGISTERS]
    lines += [".local .align 8 .b8 own[8];", "ld.param.u64 %rd8, [out];"]
    for number, (text, result, _) in enumerate(cases):
        kind = "u" if result.startswith(("%r", "%rd", "%rs")) else "f"
        size = {"%rs": 16, "%rd": 64, "%fd": 64}.get(result.rstrip("0123456789"), 32)
        lines += [text.replace("$over", f"$over{number}")]
        lines += ["bar.sync 0;", "mov.u32 %r8, %tid.x;", "setp.eq.u32 %p8, %r8, 0;"]
        lines += [f"@%p8 st.global.{kind}{size} [%rd8+{8 * number}], {result};"]
    return "\n".join([*lines, "ret;", "}", ""])


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """Return what each of the cases leaves."""
    missing = missing_tool("g++", "c++filt")
    if missing:
        pytest.skip(missing)
    folder: Path = tmp_path_factory.mktemp("cases")
    for name, source in translate(kernel_of(CASES), "cases.h").items():
        (folder / name).write_text(source)
    sources = [*sorted(folder.glob("*.cpp")), HERE / "cases.cpp"]
    program = link(Build(folder).compile_all(sources, folder), folder / "program")
    done = subprocess.run([program, str(len(CASES))], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [int(line, 16) for line in done.stdout.splitlines()[: len(CASES)]]


def test_instructions_compute_what_ptx_says(results: list[int]) -> None:
    assert len(results) == len(CASES)
    # Memory that nothing was written to is filled with ones, and what is stored may be shorter.
    shorter = {"%rs": 0xFFFF, "%rd": 2**64 - 1, "%fd": 2**64 - 1}
    for (text, register, expected), got in zip(CASES, results, strict=True):
        kept = got & shorter.get(register.rstrip("0123456789"), 0xFFFFFFFF)
        assert hex(kept) == hex(expected), text


@pytest.mark.parametrize(
    "text",
    [
        "ex2.approx.f32 %f1, %f2;",
        "add.f32 %f1, %f2, %f3;",  # may be fused with a product
        "mul.rn.ftz.f32 %f1, %f2, %f3;",
        "cvt.rzi.ftz.u32.f32 %r1, %f1;",
        "cvt.u32.f32 %r1, %f1;",
        "shfl.up.b32 %r1, %r2, 1, 0;",
        "bar.sync 1;",
        "ld.tensor.u32 %r1, [%rd1];",
        "cvta.local.u64 %rd1, %rd2;",
        "atom.global.add.f32 %f1, [%rd1], %f2;",
        "mov.u32 %r1, %clock;",
        "add.s32 %r1, %r2;",
        "call.uni somewhere;",
    ],
)
def test_an_instruction_that_is_not_known_is_named(text: str) -> None:
    source = f"{HEAD}.entry k()\n{{\n{REGISTERS}{text}\nret;\n}}\n"
    with pytest.raises(PtxError, match=rf"unknown .*{text.split(maxsplit=1)[0].rstrip(';')}"):
        translate(source, "k.cu")


def test_a_module_that_is_not_known_is_shown() -> None:
    with pytest.raises(PtxError, match=r"expected a variable, got '\.texref \.u64 picture'"):
        parse(f"{HEAD}.texref .u64 picture;")
    with pytest.raises(PtxError, match="expected an array with its size"):
        parse(f"{HEAD}.extern .shared .align 16 .b8 room[];")


def test_a_kernel_is_found_under_the_name_that_its_source_has() -> None:
    told = "void edgecount::cuda::(anonymous namespace)::convert<true, __half>(edgecount::Plan)"
    assert source_name(told) == "edgecount::cuda::convert<true, __half>"
    assert source_name("edgecount::_GLOBAL__N__60_3::count(Plan, bool)") == "edgecount::count"
