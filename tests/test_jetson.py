"""The commands of docs/jetson.md and the Dockerfiles, as far as this machine can check them."""

from __future__ import annotations

import fnmatch
import re
import shlex
from pathlib import Path

import click
import pytest

from edgecount.cli import cli

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "jetson.md"
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))

if not PAGE.is_file() or not DOCKERFILES:
    pytest.skip("the repository is not at hand", allow_module_level=True)


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """(name, arguments) of each instruction, without comments and continued lines joined."""
    lines = [line for line in dockerfile.read_text().splitlines() if not line.startswith("#")]
    text = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in text.splitlines() if line]


def arguments(dockerfile: Path, name: str) -> list[str]:
    return [rest for instruction, rest in instructions(dockerfile) if instruction == name]


def code_blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.S)


def commands() -> list[list[str]]:
    """Return the edgecount commands of the page."""
    lines = "\n".join(code_blocks("bash")).splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.startswith("edgecount ")]


def test_there_are_commands():
    assert {command[1] for command in commands()} >= {"doctor", "export", "count", "bench"}


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_commands_and_options_exist(command):
    context = click.Context(cli)
    found = cli.get_command(context, command[1])
    assert found is not None
    found.make_context(command[1], command[2:], parent=context)


@pytest.mark.parametrize("code", code_blocks("python"))
def test_python_compiles(code):
    compile(code, str(PAGE), "exec")


def test_links_within_the_project():
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)(#[^)\s]*)?\)", PAGE.read_text()):
        page = (PAGE.parent / target).resolve() if target else PAGE
        assert page.is_file(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)", page.read_text(), re.M)
            assert anchor[1:] in {title.lower().replace(" ", "-") for title in titles}, anchor


def test_architectures_are_those_of_the_build():
    cmake = (ROOT / "cpp_ext" / "cmake" / "Architectures.cmake").read_text()
    match = re.search(r"foreach\(architecture ([\d ]+)\)", cmake)
    assert match is not None
    known = set(match[1].split())
    named = re.findall(r"CUDAARCHS=\"?([\d;]+)", "".join(d.read_text() for d in DOCKERFILES))
    named += re.findall(r"CUDAARCHS=([\d;]+)", PAGE.read_text())
    assert len(named) == len(DOCKERFILES) + 1
    assert {architecture for names in named for architecture in names.split(";")} <= known


def test_the_page_names_the_dockerfiles():
    assert set(re.findall(r"docker/\S+\.Dockerfile", PAGE.read_text())) == {
        dockerfile.relative_to(ROOT).as_posix() for dockerfile in DOCKERFILES
    }


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
class TestDockerfile:
    def test_sources_are_there_and_reach_the_build(self, dockerfile):
        ignored = (ROOT / ".dockerignore").read_text().splitlines()
        let_in = {line[1:] for line in ignored if line.startswith("!")}
        copied = [rest.split() for rest in arguments(dockerfile, "COPY") if "--from" not in rest]
        sources = [source for words in copied for source in words[:-1]]
        assert sources
        for source in sources:
            assert (ROOT / source).exists(), source
            assert source in let_in, f"{source} is not in .dockerignore"

    def test_what_the_build_reads_is_copied(self, dockerfile):
        """The folders of the package, and the files that pyproject.toml and CMake name."""
        text = (ROOT / "pyproject.toml").read_text()
        packages = re.search(r"\[tool\.scikit-build\.wheel\.packages\]\n((?:.+\n)+)", text)
        assert packages is not None
        needed = set(re.findall(r'= "(\w+)"', packages[1]))
        needed |= {"pyproject.toml", "README.md", "LICENSE", "NOTICE", "CMakeLists.txt", "cpp_ext"}
        copied = " ".join(arguments(dockerfile, "COPY")).split()
        assert needed <= set(copied)

    def test_extras_exist(self, dockerfile):
        text = (ROOT / "pyproject.toml").read_text()
        extras = re.search(r"\[project\.optional-dependencies\]\n(.*?)\n\[", text, re.S)
        assert extras is not None
        known = set(re.findall(r"^(\w+) = \[", extras[1], re.M))
        named = re.findall(r"\.whl\)\[([\w,]+)\]", dockerfile.read_text())
        assert named
        assert set(named[0].split(",")) <= known

    def test_stages(self, dockerfile):
        """The last stage has no compiler's stage below it, and what it copies from exists."""
        stages = re.findall(r"^FROM .*?(?: AS (\w+))?$", dockerfile.read_text(), re.M)
        assert stages == ["build", ""]
        for rest in arguments(dockerfile, "COPY"):
            for stage in re.findall(r"--from=(\w+)", rest):
                assert stage in stages
        variables = {rest.split("=")[0] for rest in arguments(dockerfile, "ARG")}
        used = set(re.findall(r"\$\{(\w+)\}", " ".join(arguments(dockerfile, "FROM"))))
        assert used == variables

    def test_it_runs_edgecount_and_not_as_root(self, dockerfile):
        names = [name for name, _ in instructions(dockerfile)]
        assert arguments(dockerfile, "ENTRYPOINT") == ['["edgecount"]']
        assert arguments(dockerfile, "USER") == ["edgecount"]
        assert names.index("USER") > max(i for i, name in enumerate(names) if name == "RUN")
        assert "-DEDGECOUNT_CUDA=ON" in dockerfile.read_text()


def test_nothing_but_the_sources_reaches_a_build():
    patterns = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in patterns
    let_in = [line[1:] for line in patterns if line.startswith("!")]
    for name in (".git", ".venv", "build", "tests", "benchmarks", "releases", "docs"):
        assert not any(fnmatch.fnmatch(name, pattern) for pattern in let_in), name
