"""The whole config of the service."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgecount._options import BACKENDS, ENGINES, MOST_THREADS, MOST_ZOOM, PRECISIONS
from edgecount.models import DEFAULT_MODEL
from edgecount.watch.config.camera import CameraConfig
from edgecount.watch.config.checks import CAMERA_ID, SettingError, check, check_number_of
from edgecount.watch.config.outputs import HistoryConfig, KeepConfig, ServeConfig, SinksConfig

MOST_CAMERAS = 64


@dataclass(frozen=True)
class WatchConfig:
    """The cameras, and the outputs for their counts.

    Relative paths start at the working folder.

    Attributes:
        cameras: the cameras by id: a-z, 0-9, _ and -.
        model: a bundled model, an .onnx file, a TensorRT engine, or a folder of edgecount export.
        backend: the engine; see `EdgeCounter`.
        device: number of the GPU, or of several, on which the engine has to run; None: the first,
            or the CPU.
        precision: the kind of numbers to compute in; see `EdgeCounter`.
        threads: threads of the engine on the CPU; None: one per core.
        max_side: larger pictures are shrunk until their longer side has this many pixels; "model":
            the model's own limit, "native": never shrink.
        zoom: times that dense regions are enlarged and searched again; see `EdgeCounter`.
        serve: the page; None: no page.
        history: the history of counts; None: no history.
        keep: folder for pictures to be labelled; None: none can be kept.
        sinks: receivers of readings and events.
        path: the file that it was read from; None: it was created by a program.
        version: SHA-256 of that file; empty: it was created by a program.
    """

    cameras: Mapping[str, CameraConfig]
    model: str = DEFAULT_MODEL
    backend: str = "auto"
    device: int | tuple[int, ...] | None = None
    precision: str = "auto"
    threads: int | None = None
    max_side: int | str = "model"
    zoom: int = 0
    serve: ServeConfig | None = None
    history: HistoryConfig | None = None
    keep: KeepConfig | None = None
    sinks: SinksConfig = field(default_factory=SinksConfig)
    path: Path | None = field(default=None, compare=False)
    version: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        check(bool(self.cameras), "cameras", "one camera or more", self.cameras)
        check_number_of("cameras", self.cameras, MOST_CAMERAS)
        for name in self.cameras:
            if not CAMERA_ID.fullmatch(name):
                raise SettingError(
                    ("cameras", name),
                    "expected an id of 1 to 64 characters of a-z, 0-9, _ and - (its title may be "
                    "anything)",
                )
        check(bool(self.model.strip()), "model", "a model's name or path", self.model)
        check(self.backend in BACKENDS, "backend", f"one of {', '.join(ENGINES)}", self.backend)
        self._check_gpus()
        kinds = ", ".join(PRECISIONS)
        check(self.precision in PRECISIONS, "precision", f"one of {kinds}", self.precision)
        threads = self.threads is None or 1 <= self.threads <= MOST_THREADS
        check(threads, "threads", f"1 to {MOST_THREADS}, or null for all cores", self.threads)
        side = self.max_side
        good = side in ("model", "native") if isinstance(side, str) else side >= 16
        check(good, "max_side", "pixels, 16 or more, model or native", side)
        check(0 <= self.zoom <= MOST_ZOOM, "zoom", f"0 to {MOST_ZOOM}", self.zoom)
        self._check_devices()
        self._check_files()
        if self.sinks.prometheus is not None and self.serve is None:
            raise SettingError(
                ("sinks", "prometheus"), "it is served with the page: give serve, too"
            )

    def _check_gpus(self) -> None:
        gpus = self.device if isinstance(self.device, tuple) else (self.device or 0,)
        if not gpus or min(gpus) < 0 or len(set(gpus)) < len(gpus):
            raise SettingError(
                ("device",),
                "expected the number of a GPU, 0 or more, or a list of different ones, or null",
                self.device,
            )

    def _check_devices(self) -> None:
        """Refuse a device that two cameras use: it can be opened only once."""
        seen: dict[str, str] = {}
        for name, camera in self.cameras.items():
            source = str(camera.source).strip()
            device = re.fullmatch(r"(?:/dev/video)?(\d{1,3})|(csi://\d*)/?(?:\?.*)?", source)
            if not device:
                continue
            other = seen.setdefault(device[1] or device[2], name)
            if other != name:
                raise SettingError(
                    ("cameras", name, "source"),
                    f"{other} uses this device already, which can be opened only once: define the "
                    "regions of both in one camera",
                )

    def _check_files(self) -> None:
        """Refuse a file that two sections write, or one writes and another one reads."""
        sinks = self.sinks
        files = (
            (("history", "path"), self.history),
            (("sinks", "jsonl", "path"), sinks.jsonl),
            (("sinks", "csv", "path"), sinks.csv),
            (("sinks", "webhook", "spool"), sinks.webhook),
            (("sinks", "clips", "folder"), sinks.clips),
            (("keep", "folder"), self.keep),
        )
        seen = dict(self._read_files())
        for keys, section in files:
            if section is None:
                continue
            name, path = ".".join(keys), Path(getattr(section, keys[-1]))
            other = seen.setdefault(path.absolute(), name)
            if other != name:
                raise SettingError(keys, f"expected a file of its own: {other} has the same")
        for key, lines in (("jsonl", sinks.jsonl), ("csv", sinks.csv)):
            full = None if lines is None else _full_files(lines.path)
            for path, name in seen.items():
                if full and full.fullmatch(str(path)):
                    raise SettingError(
                        ("sinks", key, "path"),
                        f"expected a file of its own: its full files get the name that {name} has, "
                        f"{path.name}",
                    )

    def _read_files(self) -> Iterator[tuple[Path, str]]:
        """Yield the files that are read, with their names in messages."""
        if self.path is not None:
            yield self.path.absolute(), "the config itself"
        sections = {
            "serve": (self.serve, ("token_file", "viewer_token_file")),
            "sinks.mqtt": (self.sinks.mqtt, ("ca_file", "password_file")),
            "sinks.webhook": (self.sinks.webhook, ("secret_file", "ca_file")),
        }
        for name, (section, keys) in sections.items():
            for key in keys:
                path: Path | None = getattr(section, key, None)
                if path is not None:
                    yield path.absolute(), f"{name}.{key}"


def _full_files(path: Path) -> re.Pattern[str]:
    """Return the paths of a file of lines once it is full, as `RotatingFile` names them."""
    place = path.absolute()
    stem, suffix = re.escape(str(place.with_suffix(""))), re.escape(place.suffix)
    return re.compile(rf"{stem}\.[1-9][0-9]{{0,5}}{suffix}")
