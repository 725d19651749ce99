"""`doctor` on memory and swap, from files of Linux that tests lay out under a root."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecount.cli._doctor.check import Check
from edgecount.cli._doctor.memory import memory

NO_DISK = "swap on a disk helps builds of engines{} (docs/jetson.md, Memory)"
BOTH = (
    "zram is filled before the disk, and lies in the memory that is short:  "
    "sudo systemctl disable nvzramconfig  and a reboot"
)


@pytest.fixture
def lay_out(tmp_path: Path):
    """Write /proc/meminfo with the free memory in KiB, and /proc/swaps as Linux does."""

    def write(free: int, *places: str) -> Path:
        columns = [place.split() for place in places]
        lines = [
            f"{name:<40}partition\t{size}\t\t{used}\t\t{priority}"
            for name, size, used, priority in columns
        ]
        head = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority"
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc/swaps").write_text("\n".join([head, *lines, ""]))
        meminfo = f"MemTotal:        7802416 kB\nMemFree: 1 kB\nMemAvailable: {free} kB\n"
        (tmp_path / "proc/meminfo").write_text(meminfo)
        return tmp_path

    return write


@pytest.fixture
def jetson(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/nv_tegra_release").write_text("# R36 (release), REVISION: 4.4")


@pytest.mark.usefixtures("jetson")
@pytest.mark.parametrize(
    ("places", "found", "advice"),
    [
        ([], "no swap", NO_DISK.format("")),
        (["/swapfile 8388604 1048576 -2"], "swap 8.0 swapfile (1.0 used)", ""),
        (
            ["/dev/zram0 3145728 0 5", "/mnt/my\\040disk/8GB.swap 8388608 0 -2"],
            "swap 3.0 zram (0.0 used) and 8.0 8GB.swap (0.0 used)",
            BOTH,
        ),
    ],
)
def test_swap_of_a_small_board(lay_out, places, found, advice):
    expected = f"7.4 GiB for CPU and GPU, 5.0 free, {found}"
    assert memory(lay_out(5242880, *places)) == Check("memory", "ok", expected, advice)


@pytest.mark.usefixtures("jetson")
def test_zram_alone_and_too_little_for_a_build(lay_out):
    root = lay_out(1310720, "/dev/zram0 975300 524288 5", "/dev/zram1 2925900 0 5")
    (root / "sys/block/zram0").mkdir(parents=True)
    # orig_data_size, compr_data_size, mem_used_total, ... of half a GiB in a fifth of one
    (root / "sys/block/zram0/mm_stat").write_text("536870912 130000000 214748365 0 1 12 0 0 0\n")
    less = (
        "building an engine may not fit: end the desktop ( sudo systemctl isolate "
        "multi-user.target ), or export with --workspace 512"
    )
    why = ": zram takes its room from the memory itself"
    assert memory(root) == Check(
        "memory",
        "warn",
        "7.4 GiB for CPU and GPU, 1.2 free, swap 3.7 zram (0.5 used, in 0.2 of memory)",
        f"{less}\n{NO_DISK.format(why)}",
    )


def test_a_machine_that_is_no_jetson(lay_out):
    found = memory(lay_out(1048576, "/dev/zram0 2097152 0 100"))
    assert found == Check("memory", "ok", "7.4 GiB, 1.0 free, swap 2.0 zram (0.0 used)")


def test_without_linux_s_files(tmp_path):
    assert memory(tmp_path) == Check("memory", "ok", "not known: there is no /proc/meminfo")
