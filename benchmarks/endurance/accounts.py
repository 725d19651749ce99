"""Accounts of a soak: events at every receiver, minutes in the history, memory, and the goals."""

from __future__ import annotations

import csv
import sqlite3
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from endurance.faults import Fault
from endurance.receivers import Broker, Receiver
from endurance.subject import Look, Subject, documents, lines_of

_FLIGHT = 3.0  # s before a kill in which an event may not have come everywhere
_SLACK = 30.0  # s after a fault in which its events may come
_UNSEEN = 6.0  # s of a minute that the history may have less of than others have seen
_WINDOW = 120.0  # s of which the least memory counts: clips and new connections come and go


@dataclass
class Goal:
    """A goal, whether it was met, and what was found."""

    name: str
    is_met: bool
    found: str


@dataclass
class Accounts:
    """Tables and goals of a soak.

    Attributes:
        goals: what was asked for.
        tables: rows of text by the table's name, the first of them its head.
        details: what did not come out even, for people.
    """

    goals: list[Goal] = field(default_factory=list)
    tables: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    details: list[str] = field(default_factory=list)

    def judge(self, name: str, wrong: Iterable[str], found: str) -> None:
        """Note a goal, which is met if nothing is wrong."""
        wrongs = list(wrong)
        self.details += [f"{name}: {one}" for one in wrongs]
        self.goals.append(Goal(name, not wrongs, found))


def settle(
    subject: Subject,
    disk: Path,
    faults: list[Fault],
    broker: Broker,
    receiver: Receiver,
    ended: tuple[int | None, float],
) -> Accounts:
    """Compare what was sent, what came, and what was kept, after the service has ended."""
    accounts = Accounts()
    written = documents(disk)
    with closing(sqlite3.connect(disk / "history.sqlite")) as database:
        kept = _rows(database, "SELECT id, camera, time, kind, name, change FROM events")
        minutes = _rows(
            database,
            "SELECT camera, time, seconds, readings FROM minutes JOIN series ON id = series "
            "WHERE what = 'count'",
        )
    with closing(sqlite3.connect(disk / "spool.sqlite")) as database:
        spooled = {row["id"] for row in _rows(database, "SELECT id FROM messages")}
    events = {
        "jsonl": [one for one in written if one["type"] == "event"],
        "history": kept,
        "webhook": receiver.events,
        "mqtt": broker.events,
    }
    _settle_events(accounts, events, spooled, subject)
    _settle_csv(accounts, disk, events["jsonl"])
    known = {one["id"]: one for every in events.values() for one in every}
    _settle_faults(accounts, faults, list(known.values()), subject)
    _settle_alarms(accounts, list(known.values()), subject)
    readings = [one for one in written if one["type"] == "reading"] + broker.readings
    _settle_minutes(accounts, readings, minutes, subject)
    _settle_lines(accounts, readings, subject)
    _settle_process(accounts, subject, ended)
    return accounts


def _settle_events(
    accounts: Accounts, events: dict[str, list[Any]], spooled: set[str], subject: Subject
) -> None:
    """Look for every event that somebody has at everybody."""
    known = {one["id"]: one for every in events.values() for one in every}
    rows: list[tuple[Any, ...]] = [("receiver", "events", "twice", "missing", "in flight", "lost")]
    wrong = []
    for name, every in events.items():
        came = Counter(one["id"] for one in every)
        missing = [one for key, one in known.items() if key not in came]
        if name == "webhook":
            missing = [one for one in missing if one["id"] not in spooled]
        flying = [one for one in missing if _was_in_flight(_moment(one), subject.kills)]
        lost = [one for one in missing if one not in flying]
        twice = sum(number - 1 for number in came.values())
        rows.append((name, len(came), twice, len(missing), len(flying), len(lost)))
        wrong += [f"{name} has not {_shown(one)}" for one in lost]
    accounts.tables["events"] = rows
    found = f"{len(known)} events, {len(spooled)} in the spool"
    accounts.judge("every event delivered or accounted for", wrong, found)


def _settle_csv(accounts: Accounts, disk: Path, events: list[Any]) -> None:
    rows = list(csv.DictReader(lines_of(disk, "counts", ".csv")))
    wrong = [f"a row of the table: {row}" for row in rows if None in row or None in row.values()]
    found = Counter(
        (row["time"], row["camera"], row["kind"], row["name"], row["change"]) for row in rows
    )
    for one in events:
        key = (one["time"], one["camera"], one["kind"], one["name"], one["change"])
        if not found[key]:
            wrong.append(f"the table has not {_shown(one)}")
    accounts.judge("lines whole, and the table as the JSON lines", wrong, f"{len(rows)} rows")


def _settle_faults(
    accounts: Accounts, faults: list[Fault], events: list[Any], subject: Subject
) -> None:
    """Look whether everything came back, and was told."""
    groups: dict[tuple[str, str], list[Fault]] = defaultdict(list)
    late, untold = [], []
    for fault in faults:
        kind = "camera" if fault.target.startswith("c") and fault.target[1:].isdigit() else ""
        groups[kind or fault.target, fault.name].append(fault)
        at = f"{fault.target}, {fault.name}, {_clock(fault.begin)}"
        if fault.recovered is None or fault.note:
            late.append(f"{at}: {fault.note or 'not back in time'}")
        for expected in fault.expected:
            what = None if _was_told(fault, expected, events) else f"{at}: no {' '.join(expected)}"
            untold += [what] if what else []
    rows: list[tuple[Any, ...]] = [("what", "how often", "back s, median", "worst")]
    for (target, name), group in groups.items():
        took = [one.recovered - one.end for one in group if one.recovered is not None]
        times = (f"{statistics.median(took):.1f}", f"{max(took):.1f}") if took else ("", "")
        rows.append((f"{target}: {name}", len(group), *times))
    accounts.tables["faults"] = rows
    _count_cameras(accounts, subject)
    accounts.judge("no missed restart", late, f"{len(faults)} faults and crowds")
    # An alarm that was raised when the service was killed is told by none of them.
    explained = [one for one in untold if not _is_about_kill(one, faults, subject.kills)]
    accounts.judge("every alarm and lost camera told", explained, f"{len(untold)} not told")


def _was_told(fault: Fault, expected: tuple[str, str], events: list[Any]) -> bool:
    return any(
        one["camera"] == fault.target
        and (one["kind"], one["change"]) == expected
        and fault.begin - 1 <= _moment(one) <= (fault.recovered or fault.end) + _SLACK
        for one in events
    )


def _is_about_kill(text: str, faults: list[Fault], kills: list[float]) -> bool:
    return any(
        text.startswith(f"{one.target}, {one.name}, {_clock(one.begin)}")
        and any(one.begin - 5 < kill < one.end + _SLACK for kill in kills)
        for one in faults
    )


def _count_cameras(accounts: Accounts, subject: Subject) -> None:
    totals = subject.totals()
    names = ("frames_received", "frames_counted", "frames_dropped", "frames_damaged", "reconnects")
    cameras = sorted({key[1] for key in totals if key[0] == "camera_reconnects"})
    rows: list[tuple[Any, ...]] = [("camera", *names)]
    rows += [
        (camera, *(f"{totals[f'camera_{name}', camera]:.0f}" for name in names))
        for camera in cameras
    ]
    accounts.tables["cameras"] = rows
    sinks = sorted({key[1] for key in totals if key[0] == "sink_delivered"})
    rows = [("sink", "delivered", "dropped (readings while it did not work)")]
    for sink in sinks:
        numbers = (totals["sink_delivered", sink], totals["sink_dropped", sink])
        rows.append((sink, *(f"{number:.0f}" for number in numbers)))
    accounts.tables["sinks"] = rows


def _settle_minutes(
    accounts: Accounts, readings: list[Any], minutes: list[Any], subject: Subject
) -> None:
    """Look for every second that somebody has a count of in the history's minutes."""
    seen: dict[tuple[str, int], set[int]] = defaultdict(set)
    for one in readings:
        if one["count"] is not None:
            second = int(_moment(one))
            seen[one["camera"], second // 60 * 60].add(second)
    held = {(row["camera"], row["time"]): row["seconds"] for row in minutes}
    killed = {int(kill) // 60 * 60 for kill in subject.kills}
    wrong, lost = [], []
    for (camera, minute), seconds in sorted(seen.items()):
        short = len(seconds) - held.get((camera, minute), 0.0)
        if minute in killed:
            lost.append(f"{max(short, 0):.0f} s of {camera}")
        elif short > _UNSEEN:
            wrong.append(f"{camera} {_clock(minute)}: {short:.0f} of {len(seconds)} s missing")
    found = f"{len(seen)} minutes of cameras; of the minute of the kill: {', '.join(lost) or '-'}"
    accounts.judge("history complete to the minute after SIGKILL", wrong, found)


def _settle_lines(accounts: Accounts, readings: list[Any], subject: Subject) -> None:
    """Look whether counts of lines only grow, but for the last seconds before a kill."""
    newest: dict[str, Any] = {}
    wrong, steps = [], []
    for one in sorted(readings, key=_moment):
        line = one["lines"].get("middle")
        if line is None:
            continue
        before = newest.get(one["camera"])
        newest[one["camera"]] = one
        if before is None:
            continue
        old = before["lines"]["middle"]
        is_killed = any(_moment(before) <= kill <= _moment(one) for kill in subject.kills)
        if is_killed:
            steps.append(f"{one['camera']} {_sum(old):.0f} to {_sum(line):.0f}")
        at = f"{one['camera']} {_clock(_moment(one))}"
        if line["since"] != old["since"]:
            wrong.append(f"{at}: began anew")
        elif not is_killed and _sum(line) < _sum(old):
            wrong.append(f"{at}: {_sum(old):.1f} to {_sum(line):.1f}")
    total = sum(_sum(one["lines"]["middle"]) for one in newest.values())
    found = f"{total:.0f} crossings; at the kill {', '.join(steps) or '-'}"
    accounts.judge("counts of lines go on", wrong, found)


def _sum(line: dict[str, float]) -> float:
    return line["in"] + line["out"]


def _settle_alarms(accounts: Accounts, events: list[Any], subject: Subject) -> None:
    """Look whether each alarm was raised and cleared by turns, over a kill, too."""
    turns = sorted(
        (
            one
            for one in events
            if one["kind"] == "alarm" and one["change"] in {"raised", "cleared"}
        ),
        key=_moment,
    )
    wrong, over_kill = [], 0
    state: dict[str, Any] = {}
    for one in turns:
        before, state[one["camera"]] = state.get(one["camera"]), one
        if one["change"] == (before["change"] if before else "cleared"):
            wrong.append(f"twice: {_shown(one)}")
        elif before and one["change"] == "cleared":
            over_kill += any(_moment(before) < kill < _moment(one) for kill in subject.kills)
    raised = sum(one["change"] == "raised" for one in turns)
    found = f"{raised} raised, {over_kill} of them before the kill and cleared after it"
    accounts.judge("alarms raised and cleared by turns", wrong, found)


def _settle_process(accounts: Accounts, subject: Subject, ended: tuple[int | None, float]) -> None:
    """Look at memory, threads and descriptors, and at how the process ended."""
    rows: list[tuple[Any, ...]] = [("process", "until s", "least MiB", "threads", "descriptors")]
    grown = {}
    for life in range(1, subject.life + 1):
        looks = [look for look in subject.looks if look.life == life]
        marks = _marks(looks)
        for seconds, mark in marks:
            rows.append((life, f"{seconds:.0f}", *mark))
        if len(marks) > 1:
            grown[life] = marks[-1][1][0] / marks[-2][1][0] - 1
    accounts.tables["process"] = rows
    wrong = [f"process {life}: {share:+.1%}" for life, share in grown.items() if share >= 0.02]
    found = ", ".join(f"process {life}: {share:+.1%}" for life, share in grown.items())
    accounts.judge("memory grows by less than 2%", wrong, found or "not measured")
    log = subject.log.read_text()
    wrong = ["a traceback in its log"] if "Traceback" in log else []
    code, seconds = ended
    wrong += [] if code == 0 else [f"exit code {code}"]
    accounts.judge("ends cleanly at SIGTERM", wrong, f"in {seconds:.1f} s")


Mark = tuple[float, int, int]


def _marks(looks: list[Look]) -> list[tuple[float, Mark]]:
    """Return what a process held at the beginning, the middle and the end of its life.

    Everything has been used once by the middle: encoders, buffers of the largest pictures, files.
    """
    if not looks:
        return []
    begin, end = looks[0].time, looks[-1].time
    marks = []
    for until in (begin + _WINDOW, begin + (end - begin) / 2, end):
        chosen = [look for look in looks if until - _WINDOW <= look.time <= until]
        if chosen:
            mark = (
                round(min(look.mib for look in chosen), 1),
                round(statistics.median(look.threads for look in chosen)),
                round(statistics.median(look.descriptors for look in chosen)),
            )
            marks.append((until - begin, mark))
    return marks


def _rows(database: sqlite3.Connection, statement: str) -> list[Any]:
    cursor = database.execute(statement)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _moment(one: Any) -> float:
    """Return the UNIX time of a document or a row."""
    time: Any = one["time"]
    return datetime.fromisoformat(time).timestamp() if isinstance(time, str) else time


def _was_in_flight(moment: float, kills: list[float]) -> bool:
    return any(kill - _FLIGHT <= moment <= kill for kill in kills)


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%H:%M:%S")


def _shown(one: Any) -> str:
    at = _clock(_moment(one))
    return f"{one['camera']} {one['kind']} {one['name']} {one['change']} of {at}"


Show = Callable[[str], None]


def show(accounts: Accounts, out: Show = print) -> None:
    """Print tables and goals as Markdown."""
    for name, rows in accounts.tables.items():
        out(f"\n## {name}\n")
        for place, row in enumerate(rows):
            out("| " + " | ".join(map(str, row)) + " |")
            if place == 0:
                out("|" + "---|" * len(row))
    out("\n## goals\n")
    out("| goal | met | found |\n|---|---|---|")
    for goal in accounts.goals:
        out(f"| {goal.name} | {'yes' if goal.is_met else 'NO'} | {goal.found} |")
    for detail in accounts.details:
        out(f"- {detail}")
