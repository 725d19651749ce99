"""Count people through a door: in, out and inside, a line a minute.

    python door_counter.py rtsp://user:password@camera/stream --line "55%,100%;55%,20%"

The line is drawn on the picture, in percent of its width and height. Walk from its start to its
end: who goes from your left to your right goes in. `--inside` is the part of the picture behind
the door, whose absolute count keeps in minus out from drifting.
"""

import argparse
import sys
import time
from collections.abc import Iterator

from edgecount import EdgeCounter, EdgeCountError, Source, open_sources
from edgecount.analytics import Anchor, LineCount, LineCounter, parse_line
from edgecount.regions import parse_region

WHOLE = "0%,0%;100%,0%;100%,100%;0%,100%"


def count_door(
    source: Source, counter: EdgeCounter, line: str, inside: str = WHOLE, every: float = 60.0
) -> Iterator[tuple[LineCount, float]]:
    """Yield those who went in and out, and how many are inside, every so many seconds."""
    door = parse_line(f"door:{line}")
    counter.regions = [parse_region(f"inside:{inside}")]
    lines = LineCounter([door], manifest=counter.manifest)
    anchor = Anchor(horizon=300)
    due = every
    report: tuple[LineCount, float] | None = None
    # Of a camera this is the newest picture each time; one that breaks off is opened again.
    for frame, result in counter.count_frames(source):
        crossed = lines.update(frame.time, result, frame.image)["door"]
        there = anchor.update(frame.time, result.regions["inside"].count, net=crossed.net)
        report = crossed, there
        if frame.time >= due:
            due = frame.time + every
            yield report
            report = None
    if report:  # what is left of a video
        yield report


def main() -> None:
    """Print a line a minute."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", help="a camera's address, or a video")
    parser.add_argument("--line", required=True, metavar="x,y;x,y", help="the door's sill")
    parser.add_argument("--inside", default=WHOLE, metavar="x,y;x,y;x,y", help="what is behind it")
    parser.add_argument("--every", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--model", default="edgecount-n")
    options = parser.parse_args()
    (source,) = open_sources(options.source)
    with EdgeCounter(options.model) as counter:
        reports = count_door(source, counter, options.line, options.inside, options.every)
        for crossed, there in reports:
            now = time.strftime("%Y-%m-%d %H:%M:%S")
            numbers = f"in {crossed.into:.0f}  out {crossed.out:.0f}  inside {there:.0f}"
            print(f"{now}  {numbers}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except EdgeCountError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        pass
