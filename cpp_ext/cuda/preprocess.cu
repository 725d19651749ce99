// One launch writes one network input. The order of its operations is that of src/preprocess.cpp:
// rows are blended by the vertical filter, pixels of the blended row by the horizontal one, and
// what comes out is normalised. No product is fused with a sum (--fmad=false).
#include "edgecount/cuda/preprocess.h"

#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "check.h"
#include "context.h"
#include "edgecount/cuda/memory.h"
#include "edgecount/pixels.h"
#include "float_environment.h"
#include "kernels.h"
#include "launch.h"
#include "message.h"
#include "pixels.cuh"
#include "preprocess_options.h"
#include "resize.h"

namespace edgecount::cuda {
namespace {

// A block of either kernel is kBlockX x kBlockY threads. When converting, each thread writes a quad
// of pixels, when resizing one pixel.
constexpr unsigned kBlockX = 64;
constexpr unsigned kBlockY = 4;

// Blocks of `resize` that a multiprocessor has the registers for at a time: NV12 takes more of them.
// Before compute capability 8.0 it has threads for no more than four.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
template <Layout layout>
constexpr unsigned kResizeBlocks = 4;
#else
template <Layout layout>
constexpr unsigned kResizeBlocks = layout == Layout::nv12 ? 4 : 5;
#endif

/// Columns of the image whose blended rows lie in shared memory at a time. Up to a shrinking by
/// about 5.8 that is all that a block needs; beyond that it goes through them in pieces.
constexpr unsigned kColumns = 384;

/// The longest side: all of it is then exact in float32, and 32 bits hold every index of a row.
constexpr std::size_t kLongestSide = 1 << 20;

/// As many blocks as a grid may have from top to bottom.
constexpr std::size_t kTallest = 65535 * kBlockY;

/// EvenFilter in device memory, with the weights of one tap side by side.
struct DeviceFilter {
    const std::uint32_t* first;
    const float* weights;
    unsigned taps;
};

/// What becomes of a channel of the image.
struct Channel {
    std::size_t plane;  ///< Where its plane of the output begins.
    float mean;
    float scale;
};

/// What is the same for all frames.
struct Plan {
    unsigned height;
    unsigned width;
    unsigned out_height;
    unsigned out_width;
    unsigned resized_height;
    unsigned resized_width;
    Channel channels[3];
    float pad_value;
    DeviceFilter vertical;
    DeviceFilter horizontal;
};

__device__ float normalise(const Channel& channel, float value) {
    return (value - channel.mean) * channel.scale;
}

/// The first pixel of this thread's quad, or its pixel.
__device__ uint2 place_in_output(unsigned pixels) {
    return make_uint2(pixels * (blockIdx.x * kBlockX + threadIdx.x),
                      blockIdx.y * kBlockY + threadIdx.y);
}

template <Layout layout, typename Out>
__global__ void __launch_bounds__(kBlockX* kBlockY)
    convert(const Plan plan, const Frame frame, Out* out) {
    const uint2 at = place_in_output(kQuad);
    if (at.x >= plan.out_width || at.y >= plan.out_height) return;

    const unsigned inside = at.y < plan.height && at.x < plan.width ? plan.width - at.x : 0;
    Quad quad{};
    if (inside != 0) {
        const QuadPlace place = quad_place<layout>(frame, plan.width, at.y, at.x);
        quad = is_whole(frame, place) ? read_quad<layout, true>(frame, place)
                                      : read_quad<layout, false>(frame, place);
    }
    out += static_cast<std::size_t>(at.y) * plan.out_width + at.x;
    for (unsigned c = 0; c < 3; ++c) {
        const Channel& channel = plan.channels[c];
        float values[kQuad];
        for (unsigned i = 0; i < kQuad; ++i) {
            values[i] =
                i < inside ? normalise(channel, quad.biased[i][c] - kBias) : plan.pad_value;
        }
        write_values(out + channel.plane, values, plan.out_width - at.x);
    }
}

/// Blends the quads from a place in row `first_row` down, for row y of the output. `blended` has
/// room for all of a quad.
template <Layout layout, bool whole>
__device__ void blend_quads(const Plan& plan, const Frame& frame, QuadPlace place,
                            unsigned first_row, unsigned y, float* blended) {
    // The loads of two taps are on their way at a time; NV12 has no registers left for that.
    [[maybe_unused]] constexpr unsigned together = whole && layout != Layout::nv12 ? 2 : 1;
    // Pointers are moved on: to find each row and weight anew takes ten instructions a tap.
    const float* next_weight = plan.vertical.weights + y;
    float sums[kQuad][3] = {};
#pragma unroll (together)
    for (unsigned tap = 0; tap < plan.vertical.taps; ++tap) {
        const float weight = *next_weight;
        const float bias = -(weight * kBias);
        const Quad quad = read_quad<layout, whole>(frame, place);
        next_weight += plan.resized_height;
        move_down<layout>(frame, first_row + tap, place);
        for (unsigned i = 0; i < 3 * kQuad; ++i) {
            // weight * value, rounded once: the bias and its product are exact.
            sums[i / 3][i % 3] += __fmaf_rn(weight, quad.biased[i / 3][i % 3], bias);
        }
    }
    auto* to = reinterpret_cast<float4*>(blended);
    to[0] = make_float4(sums[0][0], sums[0][1], sums[0][2], sums[1][0]);
    to[1] = make_float4(sums[1][1], sums[1][2], sums[2][0], sums[2][1]);
    to[2] = make_float4(sums[2][2], sums[3][0], sums[3][1], sums[3][2]);
}

/// Blends columns first .. end - 1 for row y of the output, the threads of a row of the block
/// taking turns. `blended` has room for whole quads.
template <Layout layout>
__device__ void blend(const Plan& plan, const Frame& frame, unsigned y, unsigned first,
                      unsigned end, float* blended) {
    const unsigned first_row = plan.vertical.first[y];
    for (unsigned x = first + kQuad * threadIdx.x; x < end; x += kQuad * kBlockX) {
        const QuadPlace place = quad_place<layout>(frame, plan.width, first_row, x);
        float* to = blended + 3 * (x - first);
        if (is_whole(frame, place)) {
            blend_quads<layout, true>(plan, frame, place, first_row, y, to);
        } else {
            blend_quads<layout, false>(plan, frame, place, first_row, y, to);
        }
    }
}

/// Adds to the sums of the pixel in column x of the output what blended columns first .. end - 1
/// give to it.
__device__ void resample(const Plan& plan, unsigned x, unsigned first, unsigned end,
                         const float* blended, float (&sums)[3]) {
    const DeviceFilter& filter = plan.horizontal;
    const unsigned begin = filter.first[x];
    const unsigned from = begin < first ? first : begin;
    const unsigned to = begin + filter.taps < end ? begin + filter.taps : end;
    const unsigned columns = from < to ? to - from : 0;
    const std::size_t skipped = from - begin;
    const float* weight = filter.weights + skipped * plan.resized_width + x;
    const float* pixel = blended + 3 * (from - first);
#pragma unroll 4
    for (unsigned column = 0; column < columns; ++column) {
        for (unsigned i = 0; i < 3; ++i) sums[i] += *weight * pixel[i];
        weight += plan.resized_width;
        pixel += 3;
    }
}

template <Layout layout, typename Out>
__global__ void __launch_bounds__(kBlockX* kBlockY, kResizeBlocks<layout>)
    resize(const Plan plan, const Frame frame, Out* out) {
    EDGECOUNT_SHARED(float4, tile, [kBlockY][3 * kColumns / 4]);
    float* blended = &tile[threadIdx.y][0].x;
    const uint2 at = place_in_output(1);
    const bool inside = at.x < plan.resized_width && at.y < plan.resized_height;

    // The columns that the pixels of this block are made of; none where all of it is padding.
    const unsigned left = at.x - threadIdx.x;
    const unsigned right = min(left + kBlockX, plan.resized_width) - 1;
    const bool padding = left >= plan.resized_width || at.y - threadIdx.y >= plan.resized_height;
    const unsigned begin = padding ? 0 : plan.horizontal.first[left] / kQuad * kQuad;
    const unsigned end = padding ? 0 : plan.horizontal.first[right] + plan.horizontal.taps;

    float sums[3] = {0.0F, 0.0F, 0.0F};
    for (unsigned first = begin; first < end; first += kColumns) {
        const unsigned last = min(first + kColumns, end);
        if (first != begin) __syncthreads();
        if (at.y < plan.resized_height) blend<layout>(plan, frame, at.y, first, last, blended);
        __syncthreads();
        if (inside) resample(plan, at.x, first, last, blended, sums);
    }

    if (at.x >= plan.out_width || at.y >= plan.out_height) return;
    out += static_cast<std::size_t>(at.y) * plan.out_width + at.x;
    for (unsigned c = 0; c < 3; ++c) {
        const Channel& channel = plan.channels[c];
        write(out + channel.plane, inside ? normalise(channel, sums[c]) : plan.pad_value);
    }
}

/// The filters of both axes as the device reads them, in one piece.
std::vector<std::uint32_t> pack(const EvenFilter& vertical, const EvenFilter& horizontal) {
    std::vector<std::uint32_t> words;
    for (const EvenFilter* filter : {&vertical, &horizontal}) {
        const std::size_t size = filter->first.size();
        words.insert(words.end(), filter->first.begin(), filter->first.end());
        for (std::size_t tap = 0; tap < filter->taps; ++tap) {
            for (std::size_t i = 0; i < size; ++i) {
                std::uint32_t bits;
                std::memcpy(&bits, &filter->weights[i * filter->taps + tap], sizeof bits);
                words.push_back(bits);
            }
        }
    }
    return words;
}

DeviceFilter place(const std::uint32_t*& words, const EvenFilter& filter) {
    const std::size_t size = filter.first.size();
    const DeviceFilter placed{words, reinterpret_cast<const float*>(words + size),
                              static_cast<unsigned>(filter.taps)};
    words += size * (1 + filter.taps);
    return placed;
}

void place_channels(const Normalisation& by, const PreprocessOptions& options, Plan& plan) {
    for (std::size_t to = 0; to < 3; ++to) {
        const std::size_t plane = to * options.out_height * options.out_width;
        plan.channels[by.source[to]] = {plane, by.mean[to], by.scale[to]};
    }
}

unsigned in_blocks(std::size_t pixels, std::size_t block) {
    return static_cast<unsigned>((pixels + block - 1) / block);
}

void check_sides(const ImageView& image, const PreprocessOptions& options) {
    for (const std::size_t side :
         {image.height, image.width, options.out_height, options.out_width}) {
        if (side > kLongestSide) {
            reject("image, out_height, out_width: expected sides of at most ", kLongestSide,
                   " pixels on a GPU, got ", side);
        }
    }
    if (options.out_height > kTallest) {
        reject("out_height: expected at most ", kTallest, " pixels on a GPU, got ",
               options.out_height);
    }
}

}  // namespace

template <typename Out>
using Kernel = void (*)(Plan, Frame, Out*);

template <Layout layout, typename Out>
Kernel<Out> kernel_of(bool converts) {
    return converts ? convert<layout, Out> : resize<layout, Out>;
}

struct Preprocessor::State {
    Pixels pixels = Pixels::bgr;
    Scalar out = Scalar::float32;
    int device = 0;
    bool converts = false;  // keeps the size
    dim3 blocks;
    Plan plan{};
    DeviceMemory filters;

    void upload_filters();
    template <typename Out>
    Kernel<Out> kernel() const;
    template <typename Out>
    void launch(const Frame& frame, Out* to, const Stream& stream) const;
};

template <typename Out>
Kernel<Out> Preprocessor::State::kernel() const {
    if (is_nv12(pixels)) return kernel_of<Layout::nv12, Out>(converts);
    switch (bytes_per_pixel(pixels)) {
        case 3: return kernel_of<Layout::three, Out>(converts);
        case 4: return kernel_of<Layout::four, Out>(converts);
        default: return kernel_of<Layout::grey, Out>(converts);
    }
}

void Preprocessor::State::upload_filters() {
    const FloatEnvironment environment;
    const EvenFilter vertical(Filter(plan.height, plan.resized_height), plan.height);
    const EvenFilter horizontal(Filter(plan.width, plan.resized_width), plan.width);
    const std::vector<std::uint32_t> words = pack(vertical, horizontal);
    filters = DeviceMemory(4 * words.size(), device);
    // In a stream of its own: the default one would wait for the work of others.
    const Stream stream(device);
    stream.upload(filters.data(), words.data(), filters.bytes());
    stream.synchronize();

    const auto* at = static_cast<const std::uint32_t*>(filters.data());
    plan.vertical = place(at, vertical);
    plan.horizontal = place(at, horizontal);
}

template <typename Out>
void Preprocessor::State::launch(const Frame& frame, Out* to, const Stream& stream) const {
    const auto queue = static_cast<cudaStream_t>(stream.handle());
    EDGECOUNT_LAUNCH(kernel<Out>(), blocks, dim3(kBlockX, kBlockY), 0, queue)
    (plan, frame, to);
    check(cudaGetLastError(), device, "launch the preprocessing of ", plan.height, " x ",
          plan.width, " pixels");
}

Preprocessor::Preprocessor(std::size_t height, std::size_t width, Pixels pixels,
                           const PreprocessOptions& options, Scalar out, int device)
    : state_(std::make_unique<State>()) {
    ImageView image;
    image.height = height;
    image.width = width;
    image.pixels = pixels;
    check_preprocess(image, options);
    check_sides(image, options);

    state_->pixels = pixels;
    state_->out = out;
    state_->device = device;
    state_->converts = keeps_size(image, options);
    const std::size_t wide = kBlockX * (state_->converts ? kQuad : 1);
    state_->blocks = dim3(in_blocks(options.out_width, wide),
                          in_blocks(options.out_height, kBlockY));

    Plan& plan = state_->plan;
    plan.height = static_cast<unsigned>(height);
    plan.width = static_cast<unsigned>(width);
    plan.out_height = static_cast<unsigned>(options.out_height);
    plan.out_width = static_cast<unsigned>(options.out_width);
    plan.resized_height = static_cast<unsigned>(options.resized_height);
    plan.resized_width = static_cast<unsigned>(options.resized_width);
    place_channels(normalisation(pixels, options), options, plan);
    plan.pad_value = options.pad_value;
    const CurrentDevice current(device);
    if (out == Scalar::float32) {
        load_kernel(state_->kernel<float>(), device);
    } else {
        load_kernel(state_->kernel<__half>(), device);
    }
    if (!state_->converts) state_->upload_filters();
}

Preprocessor::~Preprocessor() = default;

void Preprocessor::enqueue(const ImageView& image, void* out, const Stream& stream) const {
    const State& state = *state_;
    if (image.height != state.plan.height || image.width != state.plan.width ||
        image.pixels != state.pixels) {
        reject("image: expected ", state.plan.height, " x ", state.plan.width, " pixels of ",
               name_of(state.pixels), ", as the preprocessor was made for, got ", image.height,
               " x ", image.width, " of ", name_of(image.pixels));
    }
    const auto address = reinterpret_cast<std::uintptr_t>(image.data) |
                         reinterpret_cast<std::uintptr_t>(image.chroma) | image.row_stride |
                         image.chroma_stride;
    const Frame frame{image.data, image.row_stride, image.chroma, image.chroma_stride,
                      yuv_to_bgr(image.pixels), address % sizeof(std::uint32_t) == 0};
    const CurrentDevice current(state.device);
    if (state.out == Scalar::float32) {
        state.launch(frame, static_cast<float*>(out), stream);
    } else {
        state.launch(frame, static_cast<__half*>(out), stream);
    }
}

}  // namespace edgecount::cuda
