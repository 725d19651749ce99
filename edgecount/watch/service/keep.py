"""Pictures that are kept for labelling."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from edgecount._files import replacing
from edgecount._jpeg import encode_jpeg
from edgecount.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from edgecount.watch.camera import Camera
    from edgecount.watch.config import KeepConfig

_QUALITY = 95
_MEGABYTE = 1_000_000


def keep_picture(camera: Camera, config: KeepConfig) -> str:
    """Write the newest picture of a camera, as the camera gave it; return the file's name.

    Raises:
        ConfigError: there is no picture.
        OutputError: it cannot be written, or the folder is full.
    """
    picture = camera.picture()
    if picture is None:
        raise ConfigError(f"{camera.id}: expected a picture to keep, and none has come yet")
    data = encode_jpeg(picture.original, quality=_QUALITY)
    try:
        kept = sum(file.stat().st_size for file in config.folder.glob("*.jpg"))
    except OSError as error:
        raise OutputError(f"cannot read {config.folder}: {error.strerror or error}") from error
    if kept + len(data) > config.size_mb * _MEGABYTE:
        raise OutputError(
            f"{config.folder} is full: it has {kept / _MEGABYTE:.0f} MB of pictures, and "
            f"keep.size_mb allows {config.size_mb:g}"
        )
    moment = datetime.fromtimestamp(picture.reading.time, timezone.utc)
    name = f"{camera.id}-{moment:%Y%m%d-%H%M%S}-{moment.microsecond // 1000:03d}.jpg"
    with replacing(config.folder / name) as path:
        path.write_bytes(data)
    return name
