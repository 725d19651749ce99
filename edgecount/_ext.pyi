"""Types of the compiled module. `help(edgecount._ext)` has the whole documentation."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

_Map: TypeAlias = NDArray[np.float32] | NDArray[np.float16]

cuda_built: bool

cuda_architectures: str

class MapCounts:
    """The peaks and counts of a batch of B images with R regions."""

    @property
    def peaks(self) -> list[NDArray[np.float32]]: ...
    @property
    def boxes(self) -> list[NDArray[np.float32]]: ...
    @property
    def peak_count(self) -> NDArray[np.int64]: ...
    @property
    def overflow(self) -> NDArray[np.bool_]: ...
    @property
    def density_sum(self) -> NDArray[np.float64]: ...
    @property
    def count(self) -> NDArray[np.float64]: ...
    @property
    def region_count(self) -> NDArray[np.float64]: ...
    @property
    def region_density(self) -> NDArray[np.float64]: ...
    @property
    def region_peaks(self) -> NDArray[np.float64]: ...

def count_maps(
    heatmap: _Map | None = None,
    offset: _Map | None = None,
    density: _Map | None = None,
    masks: NDArray[np.float32] | None = None,
    *,
    window: int = 3,
    threshold: float = 0.4,
    capacity: int = 0,
    unit: float = 1.0,
    fuse_cell: int = 0,
    fuse_width: int = 0,
    fuse_low: float = 0.0,
    fuse_high: float = 0.0,
) -> MapCounts:
    """Count the people of a batch of maps on the CPU."""

def count_boxes(
    levels: Sequence[tuple[_Map, _Map, int]],
    masks: NDArray[np.float32] | None = None,
    *,
    threshold: float = 0.4,
    iou: float = 0.5,
    capacity: int = 0,
    size: tuple[float, float] | None = None,
) -> MapCounts:
    """Count the heads of a batch of images on the CPU, by a detector's boxes."""

def preprocess(
    image: NDArray[np.uint8],
    out: NDArray[np.float32],
    out_height: int,
    out_width: int,
    resized_height: int,
    resized_width: int,
    mean: Sequence[float],
    scale: Sequence[float],
    swap_rb: bool,
    pad_value: float,
    chroma: NDArray[np.uint8] | None = None,
    *,
    pixels: str = "bgr",
) -> None:
    """Write the network input of one image into `out`, on the CPU."""

def cuda_device_count() -> int:
    """Return the number of CUDA devices that can be used now."""

# The CUDA part: these are there where `cuda_built` is true.

class DeviceBuffer:
    """A piece of GPU memory, freed with the last object that uses it."""

    def __init__(self, nbytes: int, device: int = 0) -> None: ...
    @property
    def ptr(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def device(self) -> int: ...
    def array(self, shape: Sequence[int], dtype: str, offset: int = 0) -> DeviceArray: ...

class DeviceArray:
    """An array in GPU memory."""

    @property
    def ptr(self) -> int: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def strides(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> str: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def device(self) -> int: ...
    @property
    def __cuda_array_interface__(self) -> dict[str, Any]: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...
    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any: ...
    def __getitem__(self, key: int | slice | tuple[int | slice, ...]) -> DeviceArray: ...

class PinnedBuffer:
    """A piece of page-locked host memory."""

    def __init__(self, nbytes: int, device: int = 0) -> None: ...
    @property
    def nbytes(self) -> int: ...
    def array(self, shape: Sequence[int], dtype: str, offset: int = 0) -> NDArray[Any]: ...
    def device_array(self, shape: Sequence[int], dtype: str, offset: int = 0) -> DeviceArray: ...

class _SupportsCudaStream(Protocol):
    """A stream of another library, by the CUDA stream protocol."""

    def __cuda_stream__(self) -> tuple[int, int]: ...

class Stream:
    """A queue of work on a GPU, done in the order in which it was put in."""

    def __init__(
        self,
        device: int = 0,
        *,
        handle: int | _SupportsCudaStream | None = None,
        owner: object = None,
        inner: bool = False,
    ) -> None: ...
    @property
    def handle(self) -> int: ...
    @property
    def device(self) -> int: ...
    @property
    def idle(self) -> bool: ...
    def __cuda_stream__(self) -> tuple[int, int]: ...
    def synchronize(self) -> None: ...
    def wait(self, event: Event) -> None: ...
    def upload(self, target: DeviceArray, source: NDArray[Any]) -> None: ...
    def download(self, source: DeviceArray, target: NDArray[Any]) -> None: ...
    def copy(self, target: DeviceArray, source: DeviceArray) -> None: ...
    def begin_capture(self) -> None: ...
    def end_capture(self) -> Graph: ...

class Event:
    """A point in the work of a stream, which others can wait for."""

    def __init__(self, device: int = 0, *, timing: bool = False) -> None: ...
    @property
    def done(self) -> bool: ...
    def record(self, stream: Stream) -> None: ...
    def synchronize(self) -> None: ...
    def elapsed_ms(self, later: Event) -> float: ...

class Graph:
    """Recorded work, repeated at the cost of one launch."""

    def launch(self, stream: Stream) -> None: ...

def device_array(source: object, stream: Stream) -> DeviceArray:
    """Return another library's array on the GPU as a `DeviceArray`, without a copy."""

def memory_device(address: int) -> int | None:
    """Return the number of the GPU whose memory an address is; None: it is of none."""

def device_memory(device: int = 0) -> tuple[int, int]:
    """Return the free and the total bytes of a GPU's memory."""

def shares_memory(device: int = 0) -> bool:
    """Return whether a GPU uses the CPU's memory and has none of its own."""

class MapCounter:
    """`count_maps` on a GPU for batches of one shape: the same bits."""

    def __init__(
        self,
        batch: int,
        heatmap: tuple[int, int] | None,
        density: tuple[int, int] | None,
        *,
        offset: bool = False,
        masks: NDArray[np.float32] | None = None,
        heatmap_dtype: str = "float32",
        density_dtype: str = "float32",
        window: int = 3,
        threshold: float = 0.4,
        capacity: int = 0,
        unit: float = 1.0,
        fuse_cell: int = 0,
        fuse_width: int = 0,
        fuse_low: float = 0.0,
        fuse_high: float = 0.0,
        keep_density: bool = False,
        listed: int = 1024,
        device: int = 0,
    ) -> None: ...
    def enqueue(
        self,
        heatmap: DeviceArray | None,
        offset: DeviceArray | None,
        density: DeviceArray | None,
        stream: Stream,
    ) -> None: ...
    def read(self, stream: Stream) -> MapCounts: ...
    @property
    def density(self) -> NDArray[np.float32] | None: ...
    def density_of(self, image: int) -> NDArray[np.float32] | None: ...

class BoxCounter:
    """`count_boxes` on a GPU for batches of one shape: the same bits."""

    def __init__(
        self,
        batch: int,
        levels: Sequence[tuple[int, int, int, int, str, str]],
        *,
        masks: NDArray[np.float32] | None = None,
        threshold: float = 0.4,
        iou: float = 0.5,
        capacity: int = 0,
        size: tuple[float, float] | None = None,
        listed: int = 1024,
        device: int = 0,
    ) -> None: ...
    def enqueue(
        self, levels: Sequence[tuple[DeviceArray, DeviceArray]], stream: Stream
    ) -> None: ...
    def read(self, stream: Stream) -> MapCounts: ...

class Preprocessor:
    """`preprocess` on a GPU for frames of one size: the same bits."""

    def __init__(
        self,
        height: int,
        width: int,
        out_height: int,
        out_width: int,
        resized_height: int,
        resized_width: int,
        mean: Sequence[float],
        scale: Sequence[float],
        swap_rb: bool,
        pad_value: float,
        *,
        pixels: str = "bgr",
        dtype: str = "float32",
        device: int = 0,
    ) -> None: ...
    def enqueue(
        self,
        image: DeviceArray,
        out: DeviceArray,
        stream: Stream,
        *,
        chroma: DeviceArray | None = None,
    ) -> None: ...
