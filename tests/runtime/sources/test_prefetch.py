"""Reading ahead: order, bounds, errors after the items before them, threads that stop."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from edgecount.runtime.sources.prefetch import Ended, NotReady, ReadAhead, each


def wait_for(condition) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_items_come_in_order_and_end_for_good() -> None:
    with ReadAhead(range(20)) as reader:
        assert [reader.take() for _ in range(20)] == list(range(20))
        for _ in range(3):
            with pytest.raises(Ended):
                reader.take()


def test_reads_no_further_than_its_depth() -> None:
    read = []

    def items() -> Iterator[int]:
        for number in range(100):
            read.append(number)
            yield number

    with ReadAhead(items(), 3) as reader:
        wait_for(lambda: len(read) >= 3)
        time.sleep(0.05)
        assert len(read) == 3
        assert reader.take() == 0
        wait_for(lambda: len(read) == 4)


def test_what_follows_a_large_item_is_read_when_it_is_asked_for() -> None:
    read = []

    def items() -> Iterator[int]:
        for number in range(6):
            read.append(number)
            yield number

    with ReadAhead(items(), 3, is_large=lambda number: number < 4) as reader:
        for number in range(4):
            assert reader.take(10) == number
            time.sleep(0.02)
            assert len(read) == number + 1
        with pytest.raises(NotReady):  # a look is a question, too
            reader.take(0)
        wait_for(lambda: len(read) == 6)
        assert list(reader) == [4, 5]


def test_changes_are_told() -> None:
    told = threading.Semaphore(0)
    gate = threading.Event()

    def items() -> Iterator[int]:
        gate.wait(10)
        yield 1
        raise OSError("gone")

    with ReadAhead(items()) as reader:
        reader.on_change = told.release
        gate.set()
        for _ in range(2):  # an item, and the end
            assert told.acquire(timeout=10)
    assert told.acquire(timeout=10)  # closed


def test_threads_are_stopped_before_the_interpreter_ends() -> None:
    code = (
        "import threading, time\n"
        "from edgecount.runtime.sources.prefetch import ReadAhead\n"
        "def items():\n"
        "    try:\n"
        "        while True:\n"
        "            yield 0\n"
        "    finally:\n"
        "        print('closed', flush=True)\n"
        "reader = ReadAhead(items())\n"
        "reader.take()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "closed\n"


def test_a_thread_that_cannot_be_started_keeps_no_other_from_being_stopped() -> None:
    code = (
        "import os, threading\n"
        "from edgecount.runtime.sources import prefetch\n"
        "def items():\n"
        "    try:\n"
        "        while True:\n"
        "            yield 0\n"
        "    finally:\n"
        "        os.write(1, b'closed\\n')  # whole, whoever else writes\n"
        "def refuse(thread):\n"
        "    raise RuntimeError('no thread')\n"
        "start, kept = threading.Thread.start, []\n"
        "for chosen in (refuse, start) * 3:\n"
        "    threading.Thread.start = chosen\n"
        "    try:\n"
        "        kept.append(prefetch.ReadAhead(items()))\n"
        "        kept[-1].take()\n"
        "    except RuntimeError as error:\n"
        "        kept.append(error)  # and with it the reader\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("closed\n" * 3, "")


def test_an_error_comes_after_the_items_before_it_and_again() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("the camera is gone")

    with ReadAhead(items()) as reader:
        assert reader.take() == 1
        for _ in range(2):
            with pytest.raises(OSError, match="gone"):
                reader.take()


def test_says_when_nothing_is_there_yet() -> None:
    gate = threading.Event()

    def items() -> Iterator[int]:
        gate.wait(10)
        yield 7

    with ReadAhead(items()) as reader:
        for timeout in (0, 0.01):
            with pytest.raises(NotReady):
                reader.take(timeout)
        gate.set()
        assert reader.take() == 7


def test_closing_stops_the_thread_and_closes_the_generator() -> None:
    closed = []

    def items() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.append(threading.current_thread().name)

    reader = ReadAhead(items(), name="reader-of-test")
    assert reader.take() == 0
    reader.close()
    wait_for(lambda: closed == ["reader-of-test"])
    wait_for(lambda: all(t.name != "reader-of-test" for t in threading.enumerate()))


def test_closing_wakes_who_waits_for_an_item() -> None:
    gate = threading.Event()

    def items() -> Iterator[int]:
        gate.wait(10)
        yield 7

    reader = ReadAhead(items())
    ended = []

    def wait() -> None:
        try:
            reader.take()
        except Ended:
            ended.append(True)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.02)
    reader.close()
    thread.join(10)
    assert ended == [True]
    gate.set()


def test_what_cannot_be_iterated_is_told_where_items_are_taken() -> None:
    with ReadAhead(7) as reader, pytest.raises(TypeError, match="not iterable"):  # type: ignore[arg-type, var-annotated]
        reader.take(10)


def test_each_item_is_made_as_it_comes_and_in_the_reader_s_thread() -> None:
    threads = []
    done = []

    def items() -> Iterator[int]:
        try:
            for number in range(100):
                assert len(threads) == number  # the one before is made already
                yield number
        finally:
            done.append(threading.current_thread().name)

    def double(number: int) -> int:
        threads.append(threading.current_thread().name)
        return 2 * number

    given = items()  # which is closed though it is held here
    with ReadAhead(each(double, given), name="reader-of-test") as reader:
        assert [reader.take() for _ in range(3)] == [0, 2, 4]
    wait_for(lambda: done == ["reader-of-test"])
    assert set(threads) == {"reader-of-test"}


def test_what_cannot_be_made_ends_the_items_and_closes_them() -> None:
    closed = []

    def items() -> Iterator[int]:
        try:
            yield from (1, 0, 2)
        finally:
            closed.append(True)

    with ReadAhead(each(lambda number: 6 // number, items())) as reader:
        assert reader.take() == 6
        with pytest.raises(ZeroDivisionError):
            reader.take()
    assert closed == [True]


def test_it_is_iterable_to_its_end_or_its_error() -> None:
    with ReadAhead(range(5)) as reader:
        assert reader.take() == 0
        assert list(reader) == [1, 2, 3, 4]
        assert list(reader) == []

    def items() -> Iterator[int]:
        yield 1
        raise ValueError("cut off")

    found: list[int] = []
    with ReadAhead(items()) as reader, pytest.raises(ValueError, match="cut off"):
        found.extend(reader)
    assert found == [1]
