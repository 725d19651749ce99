#include "edgecount/preprocess.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <stdexcept>
#include <string>

#include "arrays.h"
#include "bindings.h"
#include "edgecount/pixels.h"
#include "gil.h"
#include "options.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace edgecount {
namespace {

constexpr const char* kPreprocessDoc =
    R"(Write the network input of one image into `out`, on the CPU.

The image is resized to (`resized_height`, `resized_width`), normalised as (x - mean) * scale and
placed at the top left; the rest is padding. The resize is torch.nn.functional.interpolate(
mode="bilinear", align_corners=False, antialias=True) of the image as float32: values are not
rounded on the way.

Args:
    image: uint8 (H, W, 3), (H, W, 4) or, of grey and of the luma of NV12, (H, W), as `pixels` says.
        Rows may lie apart, pixels may not.
    out: (3, out_height, out_width) float32, C-contiguous, overwritten.
    out_height: Height of the network input in pixels.
    out_width: Width of the network input in pixels.
    resized_height: Height of the image inside it, at most `out_height`.
    resized_width: Width of the image inside it, at most `out_width`.
    mean: One value per output channel, on the scale 0 to 255.
    scale: One factor per output channel.
    swap_rb: Whether output channel 0 is input channel 2 and the other way round: BGR to RGB.
    pad_value: Value of the padding, already normalised.
    chroma: (H / 2, W) uint8: U and V of an NV12 image by turns, H and W even; None for others.
    pixels: "bgr", "rgb", "bgrx", "rgbx" (x: a byte that is not looked at), "grey", "nv12_bt601",
        "nv12_bt601_full", "nv12_bt709" or "nv12_bt709_full". NV12 is rounded to 8-bit BGR before
        anything else is done, of "nv12_bt601" as cv2.cvtColor does.

Raises:
    TypeError: An argument is not an array, has another dtype, or `out` is read-only.
    ValueError: A shape, a size, the name of the pixels or the memory order is wrong, items are not
        aligned, or `out` lies in memory of the image.)";

/// One plane of an image: an address and the bytes from one row to the next.
struct Plane {
    const std::uint8_t* data;
    std::size_t row_stride;
};

/// `channels` is 1 for planes without an axis for them.
Plane as_plane(const char* name, const AnyArray& array, std::size_t channels) {
    const auto width = static_cast<std::int64_t>(channels * array.shape(1));
    Plane plane{static_cast<const std::uint8_t*>(array.data()), static_cast<std::size_t>(width)};
    if (array.size() == 0) return plane;

    const bool channel_order = channels == 1 || array.stride(2) == 1;
    const bool pixels =
        array.shape(1) == 1 || array.stride(1) == static_cast<std::int64_t>(channels);
    const bool rows = array.shape(0) == 1 || array.stride(0) >= width;
    if (!channel_order || !pixels || !rows) {
        throw std::invalid_argument(
            std::string(name) +
            ": expected contiguous pixels in rows from top to bottom, got other strides; use "
            "numpy.ascontiguousarray");
    }
    if (array.shape(0) > 1) plane.row_stride = static_cast<std::size_t>(array.stride(0));
    return plane;
}

void require_pixels_shape(const AnyArray& image, Pixels pixels) {
    const std::size_t channels = bytes_per_pixel(pixels);
    const bool right = channels == 1 ? image.ndim() == 2
                                     : image.ndim() == 3 && image.shape(2) == channels;
    if (right) return;
    const std::string last = channels == 1 ? "" : ", " + std::to_string(channels);
    throw std::invalid_argument("image: expected shape (H, W" + last + ") for " +
                                name_of(pixels) + " pixels, got " + shape_name(image));
}

void read_chroma(const AnyArray& chroma, ImageView& image) {
    const std::size_t rows = image.height / 2;
    if (chroma.ndim() != 2 || chroma.shape(0) != rows || chroma.shape(1) != image.width) {
        throw std::invalid_argument("chroma: expected shape (H / 2, W) = (" + std::to_string(rows) +
                                    ", " + std::to_string(image.width) + "), got " +
                                    shape_name(chroma));
    }
    const Plane plane = as_plane("chroma", chroma, 1);
    image.chroma = plane.data;
    image.chroma_stride = plane.row_stride;
}

ImageView as_image(const AnyArray& array, Pixels pixels) {
    require_pixels_shape(array, pixels);
    const Plane plane = as_plane("image", array, bytes_per_pixel(pixels));
    ImageView image;
    image.pixels = pixels;
    image.data = plane.data;
    image.height = array.shape(0);
    image.width = array.shape(1);
    image.row_stride = plane.row_stride;
    return image;
}

void preprocess_python(nb::handle image, nb::handle out, std::int64_t out_height,
                       std::int64_t out_width, std::int64_t resized_height,
                       std::int64_t resized_width, nb::handle mean, nb::handle scale, bool swap_rb,
                       double pad_value, nb::handle chroma, const std::string& pixels) {
    const PreprocessOptions options = read_preprocess_options(
        out_height, out_width, resized_height, resized_width, mean, scale, swap_rb, pad_value);

    const Pixels format = as_pixels("pixels", pixels);
    require_chroma(!chroma.is_none(), format);

    const AnyArray source = as_array("image", image);
    require_dtype<std::uint8_t>("image", source.dtype());
    ImageView view = as_image(source, format);
    AnyArray colour;
    if (!chroma.is_none()) {
        colour = as_array("chroma", chroma);
        require_dtype<std::uint8_t>("chroma", colour.dtype());
        read_chroma(colour, view);
    }

    const WritableArray target = as_writable_array("out", out);
    require_dtype<float>("out", target.dtype());
    if (target.ndim() != 3 || target.shape(0) != 3 || target.shape(1) != options.out_height ||
        target.shape(2) != options.out_width) {
        throw std::invalid_argument("out: expected shape (3, " + std::to_string(out_height) + ", " +
                                    std::to_string(out_width) + "), got " +
                                    shape_name(AnyArray(target)));
    }
    require_contiguous("out", AnyArray(target));
    require_apart("image", source, "out", AnyArray(target));
    if (!chroma.is_none()) require_apart("chroma", colour, "out", AnyArray(target));

    ReleasedGil unlocked;
    preprocess(view, options, static_cast<float*>(target.data()));
}

}  // namespace

void bind_preprocess(nb::module_& module) {
    module.def("preprocess", &preprocess_python, "image"_a, "out"_a, "out_height"_a, "out_width"_a,
               "resized_height"_a, "resized_width"_a, "mean"_a, "scale"_a, "swap_rb"_a,
               "pad_value"_a, "chroma"_a = nb::none(), nb::kw_only(), "pixels"_a = "bgr",
               kPreprocessDoc);
}

}  // namespace edgecount
