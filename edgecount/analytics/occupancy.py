"""How many people are in regions, from results, for cameras that stand and that turn."""

from __future__ import annotations

from collections.abc import Mapping

from edgecount._documents import shown
from edgecount._numbers import check_seconds
from edgecount.analytics._blend import Blend, Masks
from edgecount.analytics._checks import later
from edgecount.analytics._compare import (
    Image,
    Map,
    correlation,
    edges_of,
    grey_of,
    shrunk,
    take_image,
)
from edgecount.analytics.motion import CameraMotion
from edgecount.errors import ConfigError
from edgecount.manifest import Manifest
from edgecount.regions import RegionsLike, SizeWatch, read_regions
from edgecount.result import CountResult, RegionCount

_ALIKE = 0.5  # correlation of edges from which on a picture is one of a preset
_AGAIN = 1.0  # s after which the view is compared with the presets' again


class Occupancy:
    """A counter of the people in regions, from the results of a camera.

    Where regions were given to the `EdgeCounter` as well, the counts are those of
    `CountResult.regions`, but for head points at the border of two map cells. Here the regions may
    change with the view of a camera that turns, and nothing is counted while it does: what is not
    counted is None, and not 0.

    Args:
        regions: those of a camera that stands; None: there are presets.
        manifest: the model's, ``counter.manifest``: how density and points are blended.
        presets: regions by the name of the view that a PTZ camera is turned to.
        pictures: a picture of each preset, uint8 (H, W, 3) BGR of any size, by its name: the view
            is recognised by them. Without, `update` is told the preset.
        settle: seconds that the picture has to stand before it is counted again.

    Raises:
        ConfigError: there are neither regions nor presets or both, a region or ``settle`` makes no
            sense, or there are pictures of other presets.
    """

    def __init__(
        self,
        regions: RegionsLike | None = None,
        *,
        manifest: Manifest | None = None,
        presets: Mapping[str, RegionsLike] | None = None,
        pictures: Mapping[str, Image] | None = None,
        settle: float = 1.0,
    ) -> None:
        if bool(presets) == bool(regions):
            raise ConfigError("regions, presets: expected regions or presets, got both or neither")
        check_seconds("settle", settle)
        self._blend = Blend(manifest)
        self._presets = {name: Masks(read_regions(one)) for name, one in (presets or {}).items()}
        self._fixed = None if presets else Masks(read_regions(regions))
        self._views = _views(pictures, list(self._presets))
        self._motion = CameraMotion(settle)
        every = [self._fixed] if self._fixed else list(self._presets.values())
        self._sizes = SizeWatch([region for masks in every for region in masks.regions])
        self._time: float | None = None
        self._compared: float | None = None
        self._preset: str | None = None
        self._moving = False

    @property
    def preset(self) -> str | None:
        """The preset at the newest call; None: none of them, or without presets."""
        return self._preset

    @property
    def moving(self) -> bool:
        """Whether the picture moved at the newest call, or had not settled."""
        return self._moving

    def update(
        self,
        time: float,
        result: CountResult,
        image: Image | None = None,
        preset: str | None = None,
    ) -> dict[str, RegionCount] | None:
        """Take a frame, and return the counts of the regions in view by their names.

        Args:
            time: time of the frame, in seconds, not before that of the last call.
            result: its result.
            image: the frame, uint8 (H, W, 3) BGR, by which motion of the camera is seen and presets
                are recognised; None: no motion is looked for, and one that was seen ends after
                ``settle`` seconds.
            preset: the view that the camera has now; None: recognised, or none of them.

        Returns:
            The counts; None while the picture moves and right after, and where the view is no
            preset.

        Raises:
            InputError: the time is before the last one, the image is another array, or the result
                cannot be blended: see `EdgeCounter` on ``capacity``, and ``manifest``.
            ConfigError: there is no such preset.
        """
        if preset is not None and preset not in self._presets:
            raise ConfigError(
                f"preset: expected one of {sorted(self._presets)}, got {shown(preset)}"
            )
        later(time, self._time)
        self._time = time
        self._sizes.see(result.size)
        if image is None:
            self._moving = self._motion.moves_at(time)
        else:
            image = take_image(image)
            self._moving = self._motion.update(time, image)
        masks = self._fixed or self._in_view(time, image, preset)
        if self._moving or masks is None:
            return None
        return {count.name: count for count in self._blend.counts(result, *masks.of(result))}

    def _in_view(self, time: float, image: Image | None, preset: str | None) -> Masks | None:
        """Return the regions of the preset that is told or recognised."""
        if self._moving:
            self._preset = self._compared = None
            return None
        if preset is not None or not self._views:
            self._preset = preset
        elif image is not None and (self._compared is None or time - self._compared >= _AGAIN):
            self._compared = time
            self._preset = self._recognise(image)
        return None if self._preset is None else self._presets[self._preset]

    def _recognise(self, image: Image) -> str | None:
        edges = _view(image)
        alike = {name: correlation(edges, view) for name, view in self._views.items()}
        best = max(alike, key=alike.__getitem__)
        return best if alike[best] >= _ALIKE else None


def _views(pictures: Mapping[str, Image] | None, presets: list[str]) -> dict[str, Map]:
    """Return the edges of each preset's picture."""
    pictures = pictures or {}
    if pictures and set(pictures) != set(presets):
        raise ConfigError(
            f"pictures: expected one of each preset, {sorted(presets)}, got {sorted(pictures)}"
        )
    return {name: _view(take_image(image)) for name, image in pictures.items()}


def _view(image: Image) -> Map:
    return edges_of(grey_of(shrunk(image)))
