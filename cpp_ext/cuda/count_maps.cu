// Two launches for a batch of maps. The first kernel reads the maps: its blocks find the
// peaks in strips of the heatmaps or sum tiles of the densities, of all images at once. The second
// one brings the peaks in order and blends the sums, and the last block of each image adds up what
// the others have. What comes back they write to the host themselves.
#include "edgecount/cuda/count_maps.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "check.h"
#include "context.h"
#include "count_plan.h"
#include "density_sums.cuh"
#include "edgecount/cuda/memory.h"
#include "launch.h"
#include "make_plan.h"
#include "peak_list.cuh"
#include "peak_scan.cuh"
#include "plain_sums.cuh"
#include "tallies.cuh"
#include "workspace.h"

namespace edgecount::cuda {
namespace {

// As many blocks to a processor as registers allow, without any in memory.
template <unsigned radius>
__global__ void __launch_bounds__(kThreads, radius == 1 ? 4 : 3)
    read_maps(const Plan plan, const Cells heatmap, const Cells offset, const Cells density) {
    if (blockIdx.x < plan.heatmap.blocks) {
        scan_heatmap<radius>(plan, heatmap, offset);
        return;
    }
    const unsigned block = blockIdx.x - plan.heatmap.blocks;
    const unsigned plain = plan.density.plain_blocks;
    if (block >= plain + plan.density.kept_blocks) {
        sum_density(plan, density, block - plain - plan.density.kept_blocks);
    } else if (block >= plain) {
        keep_divided(plan.density, density, block - plain);
    } else if (plan.density.plain == PlainSums::squares) {
        sum_squares(plan, density, block);
    } else {
        sum_band(plan, density, block);
    }
}

__global__ void __launch_bounds__(kThreads, 4) count_images(const Plan plan, bool offset) {
    const std::size_t image = blockIdx.x / plan.list.blocks;
    const unsigned block = blockIdx.x % plan.list.blocks;
    if (block < plan.region.blocks) {
        tally_image(plan, image, block);
    } else {
        list_points(plan, offset);
    }
    if (is_last_block(plan.list, image)) finish_image(plan, image);
}

// A density of more bytes is copied when all is counted: kernels that write so much to the host
// would keep their processors waiting for the bus.
constexpr std::size_t kMostWritten = std::size_t{1} << 20;

// What stands for a map whose cells are not looked at.
constexpr char kSomewhere = 0;

Planes planes_of(const MapShape& shape, std::size_t count) {
    if (!shape.present) return {};
    return {&kSomewhere, shape.scalar, count, shape.height, shape.width};
}

}  // namespace

struct MapCounter::State {
    explicit State(int number) : device(number), memory(number) {}

    int device;
    Maps maps;  // their sizes; there are no cells
    CounterOptions options;
    Plan plan{};
    // What comes back. A copy would move all places of the lists, peaks or not, and come last. It
    // outlives the device's memory: freeing that waits for kernels that still write here.
    PinnedMemory results;
    PinnedMemory density_results;
    Workspace memory;
    DeviceMemory kept;  // a large density, before it is copied
    const Header* headers = nullptr;
    const Tally* tallies = nullptr;
    const Peak* points = nullptr;
    const float* density = nullptr;

    void make_plan() {
        const Grid grid = fusion_grid(maps, options.count);
        const std::size_t processors = processors_of(device);
        plan.batch = narrow(maps.batch, "batch");
        plan.heatmap = plan_heatmap(maps.heatmap, options.count, processors);
        plan.density = plan_density(maps.density, grid, options.count.unit, options.keep_density);
        plan.region = plan_regions(maps, grid, options.count, processors);
        plan.list = plan_list(maps, plan.heatmap, plan.region, options, processors);
    }

    void allocate_workspace(const Stream& stream) {
        const std::size_t batch = plan.batch;
        const std::size_t tallied = batch * (1 + plan.region.regions);
        const std::size_t cells = plan.region.cells;
        HeatmapPlan& heatmap = plan.heatmap;
        memory.allocate(heatmap.points, batch * heatmap.image_room);
        memory.allocate(heatmap.counts, heatmap.tasks);
        memory.allocate(heatmap.begins, std::size_t{heatmap.tasks} * (heatmap.strip_rows + 1));
        // Parts that cells at the right and at the bottom lack stay 0, and all without a density.
        memory.allocate(plan.density.parts, tallied * cells * plan.region.parts, &stream);
        memory.allocate(plan.region.sums, plan.region.parts != 1 ? tallied * cells : 0, &stream);
        memory.allocate(plan.region.weights, batch * cells, &stream);
        memory.allocate(plan.region.lanes, tallied * kTallyFields * kWarpLanes);
        memory.allocate(plan.region.shares, tallied * cells, &stream);
        memory.allocate(plan.list.bad, batch, &stream);
        memory.allocate(plan.list.tickets, batch, &stream);
        memory.allocate(plan.list.rest, batch * (plan.list.room - plan.list.listed));
    }

    void upload_masks(const Planes& masks, const Stream& stream) {
        memory.upload(plan.region.masks, static_cast<const float*>(masks.data),
                      masks.count * masks.cells(), stream);
        DensityPlan& sums = plan.density;
        const std::vector<MaskPart> parts = mask_parts(sums, masks);
        const std::vector<MaskTask> tasks = mask_tasks(sums, parts);
        memory.upload(plan.region.mask_parts, parts.data(), parts.size(), stream);
        memory.upload(sums.tasks, tasks.data(), tasks.size(), stream);
        stream.synchronize();
        sums.mask_tasks = narrow(tasks.size(), "masks: parts");
        const bool plain = sums.plain == PlainSums::parts;
        const std::size_t image_parts = plain ? std::size_t{sums.tiles} * sums.row_blocks : 0;
        const std::size_t whole = std::size_t{sums.plain_blocks} + sums.kept_blocks;
        sums.blocks = narrow(whole + plan.batch * (image_parts + tasks.size()),
                             "density: parts of a batch");
    }

    void allocate_results() {
        const std::size_t batch = plan.batch;
        const std::size_t tallied = batch * (1 + plan.region.regions);
        const std::size_t tallies_at = batch * sizeof(Header);
        const std::size_t points_at = tallies_at + tallied * sizeof(Tally);
        const std::size_t bytes = points_at + batch * plan.list.listed * sizeof(Peak);
        results = PinnedMemory(std::max<std::size_t>(bytes, 1), device);
        char* to = static_cast<char*>(results.data());
        plan.list.headers = reinterpret_cast<Header*>(to);
        plan.list.tallies = reinterpret_cast<Tally*>(to + tallies_at);
        plan.list.points = reinterpret_cast<Peak*>(to + points_at);
        headers = plan.list.headers;
        tallies = plan.list.tallies;
        points = plan.list.points;
        if (options.keep_density && plan.region.density) allocate_density();
    }

    void allocate_density() {
        const std::size_t bytes =
            std::max<std::size_t>(plan.batch * maps.density.cells() * sizeof(float), 1);
        density_results = PinnedMemory(bytes, device);
        density = static_cast<const float*>(density_results.data());
        if (bytes > kMostWritten) kept = DeviceMemory(bytes, device);
        void* to = bytes > kMostWritten ? kept.data() : density_results.data();
        plan.density.kept = static_cast<float*>(to);
    }

    auto reading_kernel() const {
        return options.count.window == 3   ? read_maps<1>
               : options.count.window == 5 ? read_maps<2>
                                           : read_maps<3>;
    }

    void load_kernels() const {
        load_kernel(reading_kernel(), device);
        load_kernel(count_images, device);
    }

    void launch(const Cells& heatmap, const Cells& offset, const Cells& density_map,
                cudaStream_t stream) const {
        const dim3 grid(plan.heatmap.blocks + plan.density.blocks);
        if (grid.x != 0) {
            const auto kernel = reading_kernel();
            EDGECOUNT_LAUNCH(kernel, grid, dim3(kThreads), 0, stream)(plan, heatmap, offset,
                                                                      density_map);
            check(cudaGetLastError(), device, "launch a kernel that reads maps");
        }
        const dim3 lists(plan.batch * plan.list.blocks);
        EDGECOUNT_LAUNCH(count_images, lists, dim3(kThreads), 0, stream)(plan,
                                                                         offset.data != nullptr);
        check(cudaGetLastError(), device, "launch a kernel that counts images");
    }

    void refuse_bad(std::size_t image) const {
        const unsigned bad = headers[image].bad;
        if ((bad & kBadHeatmap) != 0) reject_non_finite("heatmap", image);
        if ((bad & kBadOffset) != 0) reject_non_finite("offset", image);
        if ((bad & kBadDensity) != 0) reject_non_finite("density", image);
    }

    /// Sets `waits` where points are still to come.
    ImageCount count_of(std::size_t image, const Stream& stream, bool& waits) const {
        ImageCount count;
        count.peak_count = headers[image].peak_count;
        const ListPlan& list = plan.list;
        const auto found = static_cast<std::size_t>(count.peak_count);
        const std::size_t n = std::min<std::size_t>(found, list.room);
        const std::size_t here = std::min<std::size_t>(n, list.listed);
        const Peak* first = points + image * list.listed;
        count.peaks.assign(first, first + here);
        if (n > here) {
            waits = true;
            count.peaks.resize(n);
            stream.download(count.peaks.data() + here,
                            list.rest + image * (list.room - list.listed),
                            (n - here) * sizeof(Peak));
        }
        const Tally* own = tallies + image * (1 + plan.region.regions);
        count.whole = own[0];
        count.regions.assign(own + 1, own + 1 + plan.region.regions);
        return count;
    }
};

MapCounter::MapCounter(std::size_t batch, const MapShape& heatmap, bool offset,
                       const MapShape& density, const Planes& masks, const CounterOptions& options,
                       int device)
    : state_(std::make_unique<State>(device)) {
    State& state = *state_;
    state.options = options;
    state.maps.batch = batch;
    state.maps.heatmap = planes_of(heatmap, batch);
    if (offset) {
        const MapShape shape{heatmap.height, heatmap.width, heatmap.scalar, true};
        state.maps.offset = planes_of(shape, 2 * batch);
    }
    state.maps.density = planes_of(density, batch);
    state.maps.masks = masks;
    check_maps(state.maps, options.count);

    const CurrentDevice current(device);
    state.make_plan();
    const Stream stream(device);
    state.load_kernels();
    state.allocate_workspace(stream);
    state.allocate_results();
    state.upload_masks(masks, stream);
    state.maps.masks.data = nullptr;
}

MapCounter::~MapCounter() = default;

void MapCounter::enqueue(const DevicePlanes& heatmap, const DevicePlanes& offset,
                         const DevicePlanes& density, const Stream& stream) {
    const State& state = *state_;
    const Cells heat = cells_of("heatmap", heatmap, state.maps.heatmap);
    const Cells shift = cells_of("offset", offset, state.maps.offset);
    const Cells people = cells_of("density", density, state.maps.density);
    if (state.plan.batch == 0) return;
    const CurrentDevice current(state.device);
    state.launch(heat, shift, people, static_cast<cudaStream_t>(stream.handle()));
    if (state.kept.bytes() != 0) {
        stream.download(state.density_results.data(), state.kept.data(), state.kept.bytes());
    }
}

std::vector<ImageCount> MapCounter::read(const Stream& stream) {
    const State& state = *state_;
    for (std::size_t image = 0; image < state.plan.batch; ++image) state.refuse_bad(image);
    std::vector<ImageCount> counts;
    bool waits = false;
    counts.reserve(state.plan.batch);
    for (std::size_t image = 0; image < state.plan.batch; ++image) {
        counts.push_back(state.count_of(image, stream, waits));
    }
    // Not otherwise: the work of the next frame may be in the stream already.
    if (waits) stream.synchronize();
    return counts;
}

const float* MapCounter::density() const { return state_->density; }

}  // namespace edgecount::cuda
