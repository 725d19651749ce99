"""The commands of docs/history.md give what the page says."""

import re
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from recorded import START, event, rows, write_minutes

from edgecount.cli import cli

PAGE = Path(__file__).parents[4].joinpath("docs", "history.md").read_text(encoding="utf-8")


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def history(open_history):
    history = open_history()
    write_minutes(history, "count", {START + 60 * n: 2.0 for n in range(1440)})
    write_minutes(history, "line:gate", {START + 60 * n: (1.0, 0.0) for n in range(1440)})
    history.event(event(START, detail="more than 50 people"))
    return history


def test_each_question_in_sql_has_answers(history):
    questions = blocks("sql")
    assert len(questions) == 4
    with closing(sqlite3.connect(f"{history.path.as_uri()}?mode=ro", uri=True)) as database:
        for question in questions:
            assert database.execute(question).fetchall(), question


def test_the_program_runs(history, monkeypatch, capsys):
    monkeypatch.chdir(history.path.parent)
    (program,) = blocks("python")
    exec(compile(program, "docs/history.md", "exec"), {})  # noqa: S102
    assert capsys.readouterr().out == "[('door', 'count'), ('door', 'line:gate')]\n"


def test_copies_are_made_while_it_is_written(history, take):
    if shutil.which("sqlite3") is None:
        pytest.skip("needs sqlite3: apt-get install sqlite3")
    (commands,) = blocks("sh")
    for command in commands.splitlines():
        copy = history.path.with_name("copy.sqlite")
        copy.unlink(missing_ok=True)
        take(history, 60, count=7.0)
        subprocess.run(command, shell=True, cwd=history.path.parent, check=True)  # noqa: S602
        if "copy" in command:
            with closing(sqlite3.connect(copy)) as database:
                assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                assert database.execute("SELECT count(*) FROM minutes").fetchone()[0] >= 2880
    take(history, 60, count=7.0)
    assert history.problem is None
    assert max(one.max for one in rows(history, "minutes")) == 7.0


def test_another_program_may_put_the_file_in_order(history, take):
    with closing(sqlite3.connect(history.path)) as database:
        database.execute("VACUUM")
    for _ in range(3):
        take(history, 60, camera="hall", count=7.0)
    assert [one.mean for one in rows(history, "minutes", camera="hall")] == [7.0, 7.0]


def test_hours_that_are_not_made_yet_are_said_so(history, take):
    begin = START + 86_400
    times = [time.strftime("%Y-%m-%d %H:%M", time.localtime(begin + n)) for n in (0, 7200, 14_400)]
    now, later = ("--from", times[0], "--to", times[1]), ("--from", times[1], "--to", times[2])

    def told(*options):
        result = CliRunner().invoke(cli, ["history", str(history.path), *options])
        assert (result.exit_code, result.stdout.count("\n")) == (0, 1)
        return result.stderr

    write_minutes(history, "smooth", {begin + 60 * n: 2.0 for n in range(20)})
    with closing(sqlite3.connect(history.path)) as database, database:
        database.execute("DELETE FROM hours WHERE time >= ?", (begin - 3600,))
    for by in ("hours", "days"):
        text = told(*now, "--by", by, "--what", "smooth")
        assert text.startswith(f"no {by} from {times[0]} to {times[1]}: {by} that begin before")
        assert text.endswith("new ones are made of minutes every ten minutes: try --by minutes\n")
    expected = f"no counts from {times[1]} to {times[2]}: choose another time by --from and --to\n"
    for by in ("minutes", "hours"):
        assert told(*later, "--by", by) == expected
