"""Tell when a place is too full, once per breach, and when the camera cannot tell.

    python overcrowding.py rtsp://user:password@camera/stream --above 50

An event is raised when more than `--above` people are there for ten seconds, and cleared when
fewer than four fifths of that are there for half a minute. Pictures of a covered or turned camera
are not counted, and a camera that is away is no empty place: both are "lost" after ten seconds.
"""

import argparse
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator

from edgecount import EdgeCounter, EdgeCountError, Source, open_sources
from edgecount.analytics import Alarm, AlarmEvent, AlarmRule, PictureCheck, Smoother

END = -1.0


def watch(source: Source, counter: EdgeCounter, rule: AlarmRule) -> Iterator[AlarmEvent]:
    """Yield what happens to the alarm, until the source ends."""
    counts: queue.SimpleQueue[float | EdgeCountError | None] = queue.SimpleQueue()
    threading.Thread(target=_count, args=(source, counter, counts.put), daemon=True).start()
    alarm = Alarm(rule)
    while True:
        try:
            people = counts.get(timeout=1)
        except queue.Empty:  # no picture comes; the alarm has to know that time goes by
            yield from alarm.tick(time.monotonic())
            continue
        if isinstance(people, EdgeCountError):
            raise people
        if people == END:
            return
        yield from alarm.update(time.monotonic(), people)


def _count(source: Source, counter: EdgeCounter, put: Callable[..., None]) -> None:
    """Count in a thread: people, None for a picture not to be trusted, END at the end."""
    check, smoother = PictureCheck(), Smoother(median=3, mean=3)
    try:
        for frame, result in counter.count_frames(source):
            if check.update(frame.time, frame.image).state.is_trusted:
                put(smoother.update(frame.time, result.count).count)
            else:
                put(None)
        put(END)
    except EdgeCountError as error:
        put(error)


def main() -> None:
    """Print the events."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", help="a camera's address")
    parser.add_argument("--above", type=float, required=True, metavar="PEOPLE")
    parser.add_argument("--enter", type=float, default=10.0, metavar="SECONDS")
    parser.add_argument("--model", default="edgecount-n")
    options = parser.parse_args()
    (source,) = open_sources(options.source)
    rule = AlarmRule(options.above, 0.8 * options.above, enter=options.enter, leave=30, stale=10)
    with EdgeCounter(options.model) as counter:
        for event in watch(source, counter, rule):
            people = "unknown" if event.count is None else f"{event.count:.0f}"
            print(time.strftime("%H:%M:%S"), event.kind, f"people: {people}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except EdgeCountError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        pass
