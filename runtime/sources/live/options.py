"""How a live source is read: what is dropped, what is waited for, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgecount._numbers import check_seconds
from edgecount.errors import ConfigError


@dataclass(frozen=True)
class LiveOptions:
    """Options of a live source.

    Attributes:
        newest: whether a picture that nobody has taken is dropped for the next one; if not, every
            picture is given, and the camera waits for who takes them.
        reconnect: whether a camera that ends, stalls or is not there is opened again; if not, that
            is an error.
        finite: whether an address that has an end, such as a recording over HTTP, is read to it; if
            not, it is a fault like a camera that is away. After a reconnect it always is.
        give_up: seconds without a picture after which it is an error all the same; None: never.
        open_timeout: seconds until the address has answered.
        first_timeout: seconds from then to the first picture.
        stall_timeout: seconds that a camera may be without a picture.
        backoff: seconds before the first try and at most between two; they double from one try
            to the next, less up to a half by chance, and start anew when the camera has been well
            for a while.
        hardware: where to decode: "auto", or a device of FFmpeg such as "cuda", whose pictures come
            back to the host; "nvdec" ("nvdec:1" for the second GPU): NVIDIA's decoder, whose
            pictures stay on the GPU (`NV12Frame`); "nvv4l2": a Jetson's decoder, for rtsp://, whose
            pictures are an `NV12Frame` of the host; None: the CPU. It is for addresses: "nvdec:"
            before a file's name is for files, and cameras of this machine need no decoder.

    Raises:
        ConfigError: a value makes no sense.
    """

    newest: bool = True
    reconnect: bool = True
    finite: bool = True
    give_up: float | None = None
    open_timeout: float = 10.0
    first_timeout: float = 10.0
    stall_timeout: float = 5.0
    backoff: tuple[float, float] = (0.5, 30.0)
    hardware: str | None = None

    def __post_init__(self) -> None:
        for name in ("newest", "reconnect", "finite"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name}: expected True or False, got {getattr(self, name)!r}")
        for name in ("open_timeout", "first_timeout", "stall_timeout"):
            check_seconds(name, getattr(self, name), above_zero=True)
        check_seconds("give_up", self.give_up, above_zero=True, optional=True)
        self._check_backoff()
        hardware: object = self.hardware
        if hardware is not None and (not isinstance(hardware, str) or not hardware):
            raise ConfigError(
                f'hardware: expected "auto", a device such as "cuda", or None, '
                f"got {self.hardware!r}"
            )

    def _check_backoff(self) -> None:
        given: Any = self.backoff
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            raise ConfigError(
                f"backoff: expected two numbers, the seconds before the first try and at most "
                f"between two, got {given!r}"
            )
        first, most = given
        check_seconds("backoff", first, above_zero=True)
        check_seconds("backoff", most, above_zero=True)
        if first > most:
            raise ConfigError(f"backoff: expected the shorter time first, got {given!r}")
        object.__setattr__(self, "backoff", (float(first), float(most)))
