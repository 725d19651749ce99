"""Annotated clips, written by FFmpeg through PyAV."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecount._files import replacing
from edgecount.errors import MissingExtraError, OutputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FALLBACK_FPS = 10.0  # for streams that do not say
_LOWEST = Fraction(1, 3600)  # frames per second
# s, of frames with times of their own: all usual rates are multiples of it, television's too.
_TICK = Fraction(1, 60_000)
_LONGEST = 3600.0  # s, that a frame is shown: MP4 holds pauses of 2^31 ticks at most
_MOST_TICKS = 65535  # units of time per second, in MPEG-4
# H.264 plays in browsers; MPEG-4 is for a build of FFmpeg without x264.
_ENCODERS = {
    "libx264": {"preset": "veryfast", "crf": "23"},
    "mpeg4": {"qmin": "3", "qmax": "8"},
}
_BT709 = 1  # of matrix, primaries and transfer in H.273; what browsers take for HD


class ClipWriter:
    """A writer of an .mp4 file, which takes its name when it is closed and whole.

    Args:
        path: the file to write; its folder is made.
        size: width and height of the frames in pixels, both even.
        fps: frames per second, rounded to what the format holds; None or 0 for 10.
        timed: whether every picture comes with its own time.

    Raises:
        MissingExtraError: PyAV is not installed.
        OutputError: the file cannot be made.
    """

    def __init__(
        self, path: Path, size: tuple[int, int], fps: float | None, *, timed: bool = False
    ) -> None:
        try:
            import av
            import av.video.reformatter
        except ImportError as error:
            raise MissingExtraError("av", "", "to write clips", packages=["av"]) from error

        self._av = av
        self._path = path
        self._start: float | None = None  # s, time that is shown at the clip's begin
        self._newest = 0.0  # s, time of the newest frame
        self._pts = -1
        self._reformatter = av.video.reformatter.VideoReformatter()
        self._rate = rate = clip_rate(fps)
        with ExitStack() as stack:
            temporary = stack.enter_context(replacing(path))
            # A file of Python's: what the disk refuses is an error of the write that met it.
            file = stack.enter_context(temporary.open("wb"))
            container = stack.enter_context(av.open(file, "w", format="mp4"))
            encoder = next(name for name in _ENCODERS if name in av.codecs_available)
            stream: Any = container.add_stream(encoder, rate=rate, options=_ENCODERS[encoder])
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            context = stream.codec_context
            context.time_base = _TICK if timed else 1 / rate
            if timed:  # else decoding times, by which a clip ends, lag behind uneven times
                context.max_b_frames = 0
            context.colorspace = context.color_primaries = context.color_trc = _BT709
            context.color_range = av.video.reformatter.ColorRange.MPEG
            self._container, self._stream = container, stream
            self._files = stack.pop_all()

    def write(self, picture: NDArray[np.uint8], time: float | None = None) -> None:
        """Append a BGR picture of the clip's size.

        Args:
            picture: uint8 (H, W, 3), BGR.
            time: when it was taken, in seconds, if pictures have times: it is shown as long after
                the first one; an hour at most after the last one, and where times begin anew in
                the pace of the clip. None: by its place in the clip.

        Raises:
            OutputError: it cannot be written; the file is deleted.
        """
        frame = self._reformatter.reformat(
            self._av.VideoFrame.from_ndarray(picture, "bgr24"),
            format="yuv420p",
            dst_colorspace=self._av.video.reformatter.Colorspace.ITU709,
            dst_color_range=self._av.video.reformatter.ColorRange.MPEG,
        )
        self._pts += 1
        if time is not None:
            self._pts = max(self._pts, round(self._shown(time) / _TICK))
        frame.pts, frame.time_base = self._pts, self._stream.codec_context.time_base
        self._encode(frame)

    def _shown(self, time: float) -> float:
        """Return the place in the clip of a picture's time, in seconds."""
        if self._start is None:
            self._start, self._newest = time, time
        step = time - self._newest
        if not 0 <= step <= _LONGEST:
            self._start += step - (_LONGEST if step > 0 else 1 / float(self._rate))
        self._newest = time
        return time - self._start

    def close(self) -> None:
        """Write what is left and give the file its name.

        Raises:
            OutputError: it cannot be written; the file is deleted.
        """
        self._encode(None)
        self._guarded(self._files.close)

    def _encode(self, frame: Any) -> None:
        def encode() -> None:
            self._container.mux(self._stream.encode(frame))

        try:
            self._guarded(encode)
        except OutputError as error:
            with suppress(Exception):  # it cannot be closed properly, but is deleted
                self._files.__exit__(type(error), error, error.__traceback__)
            raise

    def _guarded(self, call: Any) -> None:
        try:
            call()
        except (OSError, self._av.FFmpegError) as error:
            reason = getattr(error, "strerror", None) or error
            raise OutputError(f"cannot write {self._path}: {reason}") from None


def clip_rate(fps: float | None) -> Fraction:
    """Return a rate near the one that is asked for, in frames per second, which an .mp4 holds."""
    wanted = max(Fraction(fps or _FALLBACK_FPS), _LOWEST)
    if wanted < 1:
        return 1 / (1 / wanted).limit_denominator(1000)
    # 1001, for television's 30000 / 1001.
    most = min(1001, int(_MOST_TICKS / wanted))
    return wanted.limit_denominator(most) if most else Fraction(_MOST_TICKS)
