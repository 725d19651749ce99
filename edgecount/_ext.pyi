"""The kernels of edgecount in C++ and CUDA: preprocessing and counting.

Coordinates are continuous: cell (or pixel) i of an axis spans [i, i + 1). Arrays are NumPy arrays
in CPU memory, unless they are said to be on a device. Both functions release the GIL and may run on
several threads at once.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

_Map: TypeAlias = NDArray[np.float32] | NDArray[np.float16]

cuda_built: bool
"""Whether this build has the CUDA part."""

cuda_architectures: str
"""What the CUDA part was compiled for, in CMake's words, such as "87-real 87-virtual"."""

class MapCounts:
    """What ``count_maps`` found in a batch of B images with R regions."""

    @property
    def peaks(self) -> list[NDArray[np.float32]]:
        """B arrays (n, 3): x, y in heatmap cells and the score, in raster order."""

    @property
    def peak_count(self) -> NDArray[np.int64]:
        """(B,): all peaks, also those beyond the capacity."""

    @property
    def overflow(self) -> NDArray[np.bool_]:
        """(B,): whether the capacity cut the list of peaks."""

    @property
    def density_sum(self) -> NDArray[np.float64]:
        """(B,): people by the density; 0 without one."""

    @property
    def count(self) -> NDArray[np.float64]:
        """(B,): people, fused from density and peaks where both are there."""

    @property
    def region_count(self) -> NDArray[np.float64]:
        """(B, R): ``count`` per region."""

    @property
    def region_density(self) -> NDArray[np.float64]:
        """(B, R): ``density_sum`` per region."""

    @property
    def region_peaks(self) -> NDArray[np.float64]:
        """(B, R): peaks per region, each weighted by the coverage of its cell."""

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
    fuse_low: float = 0.0,
    fuse_high: float = 0.0,
) -> MapCounts:
    """Counts the people of a batch of maps, in one pass over each.

    A peak is a cell above ``threshold`` (as a float32) that is greater than every cell of its
    window that comes earlier in raster order, and not less than the later ones; cells outside the
    map do not exist. Where both maps are given and ``fuse_cell`` is not 0, density and peaks are
    blended per square of ``fuse_cell`` density cells: count = sum of w * D + (1 - w) * P. This is
    the two-stream fusion of RAZ-Net (Liu et al., CVPR 2019): the denser the square, the more its
    density weighs. The weight itself is ours: a smoothstep of the people per full square from
    ``fuse_low`` to ``fuse_high``, to be fitted on validation images. Else the count is the
    density's sum, or the number of peaks when there is no density. Sums are the same on every run
    and processor.

    Args:
        heatmap: (B, H, W), head probabilities.
        offset: (B, 2, H, W) of the heatmap's dtype: dx and dy of the head from the top-left corner
            of its cell, in cells. Without it a parabola through the peak and its neighbours gives
            the position, within half a cell of the centre; on a border the centre.
        density: (B, H / k, W / k) for a whole k, rounded up or, for a power of two, also down:
            people per cell times ``unit``.
        masks: (R, h, w), the share in [0, 1] of each cell that lies in the region, on the grid of
            the density or, without one, of the heatmap.
        window: Side of the peak window in cells: 3, 5 or 7.
        threshold: Peaks are strictly above it; at least 0.
        capacity: Most peaks listed per image; 0 for all. The rest still counts.
        unit: Density value of one person; above 0.
        fuse_cell: Side of a fusion square in density cells; 0 for no fusion.
        fuse_low: People per fusion square up to which the peaks alone count.
        fuse_high: People per fusion square from which the density alone counts; not above
            ``fuse_low``, the density counts in squares with more than ``fuse_low`` people.

    Returns:
        Peaks, counts and counts per region.

    Raises:
        TypeError: An argument is not an array, or has another dtype.
        ValueError: A shape, an option or the memory order is wrong, a mask is not in [0, 1], or a
            map holds a NaN or an infinity (offsets are looked at only where a listed peak is); the
            message names the map and the image.
    """

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
) -> None:
    """Writes the network input of one image into ``out``.

    The image is resized to (``resized_height``, ``resized_width``), normalised as
    (x - mean) * scale and placed at the top left; the rest is padding. The resize is
    ``torch.nn.functional.interpolate(mode="bilinear", align_corners=False, antialias=True)`` of the
    image as float32: values are not rounded on the way.

    Args:
        image: (H, W, 3) BGR or, with ``chroma``, (H, W): the luma of an NV12 image. Rows may lie
            apart, pixels may not.
        out: (3, ``out_height``, ``out_width``), C-contiguous, overwritten.
        out_height: Height of the network input in pixels.
        out_width: Width of the network input in pixels.
        resized_height: Height of the image inside it, at most ``out_height``.
        resized_width: Width of the image inside it, at most ``out_width``.
        mean: One value per output channel, on the scale 0 to 255.
        scale: One factor per output channel.
        swap_rb: Output channel 0 is input channel 2 and the other way round: BGR to RGB.
        pad_value: Value of the padding, already normalised.
        chroma: (H / 2, W): U and V of an NV12 image by turns, H and W even. BT.601 in limited
            range, rounded to 8-bit BGR as cv2.cvtColor does before anything else is done.

    Raises:
        TypeError: An argument is not an array, has another dtype, or ``out`` is read-only.
        ValueError: A shape, a size or the memory order is wrong.
    """

def cuda_device_count() -> int:
    """CUDA devices that can be used now.

    0 without the CUDA part (see ``cuda_built``), a driver or a device.
    """

# The CUDA part: these are there where ``cuda_built`` is true. They work in the primary context of
# their device, release the GIL, may be used on any thread, and raise RuntimeError when CUDA fails.
# Arrays of CuPy, torch, Numba and PyCUDA come in through `device_array`.

class DeviceBuffer:
    """Bytes of GPU memory, freed with the last object that uses them.

    Args:
        nbytes: 1 or more.
        device: Number of the GPU.
    """

    def __init__(self, nbytes: int, device: int = 0) -> None: ...
    @property
    def ptr(self) -> int:
        """Address, a multiple of 256."""

    @property
    def nbytes(self) -> int: ...
    @property
    def device(self) -> int: ...
    def array(self, shape: Sequence[int], dtype: str, offset: int = 0) -> DeviceArray:
        """A C-contiguous array over a part of the buffer, which it keeps alive.

        Args:
            shape: Of the array.
            dtype: "float32", "float16", "uint8", "int32", "int64" or "float64".
            offset: Bytes before it.

        Raises:
            ValueError: It does not fit, or the offset is not a multiple of the item's size.
        """

class DeviceArray:
    """An array in GPU memory. Owns nothing itself, and keeps alive what does."""

    @property
    def ptr(self) -> int: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def strides(self) -> tuple[int, ...]:
        """Bytes from one item to the next along each axis."""

    @property
    def dtype(self) -> str: ...
    @property
    def nbytes(self) -> int:
        """Bytes of the items."""

    @property
    def device(self) -> int: ...
    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """Version 3. Names no stream: wait for the one that writes the array before you read it."""

    def __dlpack_device__(self) -> tuple[int, int]: ...
    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """A DLPack capsule; the consumer's stream waits for the work in all of ours.

        Raises:
            ValueError: ``stream`` is 0 or below, and not -1.
            BufferError: Another device or a copy is asked for.
        """

    def __getitem__(self, key: int | slice | tuple[int | slice, ...]) -> DeviceArray:
        """A view, by whole numbers and by slices with a step of 1.

        Raises:
            IndexError: A number is out of its axis, or there are more of them than axes.
            ValueError: A slice has another step.
        """

class PinnedBuffer:
    """Page-locked bytes of the host: copies from and to it do not hold up the caller."""

    def __init__(self, nbytes: int, device: int = 0) -> None: ...
    @property
    def nbytes(self) -> int: ...
    def array(self, shape: Sequence[int], dtype: str, offset: int = 0) -> NDArray[Any]:
        """A writable NumPy array over a part of the buffer, which it keeps alive."""

class Stream:
    """A queue of work on a GPU.

    Args:
        device: Number of the GPU.
        handle: A cudaStream_t of another library, which must outlive this object; None: a stream of
            its own, which does not wait for the legacy default stream.
        inner: Whether its work writes to no array that a caller could hand over, as that of an
            engine: ``device_array`` of an array of ours does not wait for it.
    """

    def __init__(
        self, device: int = 0, *, handle: int | None = None, inner: bool = False
    ) -> None: ...
    @property
    def handle(self) -> int: ...
    @property
    def device(self) -> int: ...
    @property
    def idle(self) -> bool:
        """Whether all work is done."""

    def __cuda_stream__(self) -> tuple[int, int]: ...
    def synchronize(self) -> None: ...
    def wait(self, event: Event) -> None:
        """What comes later in this stream waits for the event."""

    def upload(self, target: DeviceArray, source: NDArray[Any]) -> None:
        """Copies a C-contiguous array of the same dtype and shape to the device.

        Without waiting if ``source`` lies in a `PinnedBuffer`, which then must stay as it is until
        the work is done. ``target`` is C-contiguous.

        Raises:
            TypeError: Not such arrays, or dtypes that differ.
            ValueError: Shapes that differ, a gap or another order, another device than the
                stream's, or a read-only target.
        """

    def download(self, source: DeviceArray, target: NDArray[Any]) -> None:
        """Copies to the host, see `upload`."""

    def begin_capture(self) -> None:
        """What is done in this stream from now on is recorded, and not done."""

    def end_capture(self) -> Graph:
        """The recorded work. Raises RuntimeError when some of it cannot be recorded."""

class Event:
    """A point in a stream."""

    def __init__(self, device: int = 0, *, timing: bool = False) -> None: ...
    @property
    def done(self) -> bool: ...
    def record(self, stream: Stream) -> None: ...
    def synchronize(self) -> None: ...
    def elapsed_ms(self, later: Event) -> float:
        """Milliseconds to a later event; both need ``timing`` and must be done."""

class Graph:
    """Recorded work, repeated at the cost of one launch.

    It reads and writes the arrays that were used while it was recorded, and keeps none alive.
    """

    def launch(self, stream: Stream) -> None: ...

def device_array(source: object, stream: Stream) -> DeviceArray:
    """Another library's array on the GPU, without a copy.

    Work in ``stream`` then waits for what the other library has queued: DLPack is told the stream,
    and the stream that a ``__cuda_array_interface__`` names is waited for. An array of our own
    comes back as it is, and ``stream`` waits for what all of our streams have queued.

    torch and CuPy queue that wait behind the stream which is current in the calling thread: call
    this where that is the one in which the array is made.

    Raises:
        TypeError: Neither ``__dlpack__`` nor ``__cuda_array_interface__``, a dtype that this module
            does not know, or a field of the interface that is of another type.
        ValueError: The array is in host memory, on another device than the stream, or in a CUDA
            context that is not the device's primary one (PyCUDA: use pycuda.autoprimaryctx); or a
            field of the interface is missing or makes no sense.
    """

def device_memory(device: int = 0) -> tuple[int, int]:
    """Free and total bytes of a GPU."""

class MapCounter:
    """`count_maps` on a GPU for batches of one shape: the same peaks and sums, bit for bit.

    It holds its workspace and results, so it is for one stream at a time.

    Args:
        batch: Images in a batch.
        heatmap: (height, width) in cells; None without one.
        density: (height, width) in cells; None without one.
        offset: Whether there is an offset map.
        masks: (R, h, w) as for `count_maps`, in host memory.
        heatmap_dtype: "float32" or "float16", also of the offset.
        density_dtype: "float32" or "float16".
        window, threshold, capacity, unit, fuse_cell, fuse_low, fuse_high: see `count_maps`.
        keep_density: Also bring back the density, see `density`.
        listed: Peaks per image that come back in one copy with the counts; more cost another.
        device: Number of the GPU.
    """

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
    ) -> None:
        """Counts maps (B, H, W), offsets (B, 2, H, W), whose rows and planes may lie apart.

        Waits for nothing, allocates nothing, and can be captured. The arrays must stay until the
        work is done.
        """

    def read(self, stream: Stream) -> MapCounts:
        """The counts of the last `enqueue`, whose work must be done: wait for it before.

        Raises as `count_maps` does.
        """

    @property
    def density(self) -> NDArray[np.float32] | None:
        """(B, h, w) people per cell, a copy, for which the work must be done; None unless kept."""

    def density_of(self, image: int) -> NDArray[np.float32] | None:
        """(h, w), a copy of one image's of `density`.

        Raises:
            IndexError: There is no such image in a batch.
        """

class Preprocessor:
    """`preprocess` on a GPU for frames of one size: the same values, bit for bit.

    May be used by several streams and threads at once.

    Args:
        height: Of the frame in pixels.
        width: Of the frame in pixels.
        nv12: Frames are NV12, not BGR.
        dtype: "float32" or "float16", of the output; float16 is rounded to nearest even.
        device: Number of the GPU.
        out_height, out_width, resized_height, resized_width, mean, scale, swap_rb, pad_value: see
            `preprocess`.
    """

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
        nv12: bool = False,
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
    ) -> None:
        """Writes one image, (3, out_height, out_width), C-contiguous.

        Args:
            image: uint8 (H, W, 3) BGR, or (H, W) luma. Rows may lie apart, pixels may not.
            out: Overwritten.
            stream: In which it is done; nothing is waited for.
            chroma: uint8 (H / 2, W): U and V by turns; of NV12 alone.

        Raises:
            TypeError: Not a DeviceArray, or another dtype.
            ValueError: Another shape, device or memory order.
        """
