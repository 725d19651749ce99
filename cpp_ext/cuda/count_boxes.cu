// Four launches for a batch of boxes. The first kernel reads the scores of all levels and lists the
// candidates; the second one sorts runs of them; the third one brings the runs together and decodes
// the boxes; in the last one a block suppresses, counts and lists those of one image. What comes
// back it writes to the host itself.
#include "edgecount/cuda/count_boxes.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "box_arithmetic.h"
#include "box_candidates.cuh"
#include "box_plan.h"
#include "box_suppression.cuh"
#include "check.h"
#include "context.h"
#include "edgecount/cuda/memory.h"
#include "launch.h"
#include "make_plan.h"
#include "map_checks.h"
#include "message.h"
#include "workspace.h"

namespace edgecount::cuda {
namespace {

__global__ void __launch_bounds__(kThreads)
    find_candidates(const BoxPlan plan, const BoxMapsOnDevice maps) {
    scan_scores(plan, maps);
}

__global__ void __launch_bounds__(kThreads) sort_candidates(const BoxPlan plan) { sort_runs(plan); }

__global__ void __launch_bounds__(kThreads)
    order_candidates(const BoxPlan plan, const BoxMapsOnDevice maps) {
    place_boxes(plan, maps);
}

__global__ void __launch_bounds__(kThreads) keep_boxes(const BoxPlan plan) { finish_boxes(plan); }

// What stands for a map whose cells are not looked at.
constexpr char kSomewhere = 0;

std::string name_of(std::size_t level, const char* map) {
    return "levels[" + std::to_string(level) + "]." + map;
}

[[noreturn]] void reject_level(unsigned level, const char* map, std::size_t image) {
    reject_non_finite(name_of(level, map).c_str(), image);
}

BoxMaps maps_of(std::size_t batch, const std::vector<BoxLevelShape>& shapes, const Planes& masks) {
    BoxMaps maps;
    maps.batch = batch;
    maps.masks = masks;
    for (const BoxLevelShape& shape : shapes) {
        const std::size_t planes = batch * shape.anchors;
        BoxLevel level;
        level.scores = {&kSomewhere, shape.scores, planes, shape.height, shape.width};
        level.boxes = {&kSomewhere, shape.boxes, 4 * planes, shape.height, shape.width};
        level.stride = shape.stride;
        level.anchors = shape.anchors;
        maps.levels.push_back(level);
    }
    return maps;
}

/// Where the anchors of each level begin among those of an image, and who reads their scores.
void plan_levels(BoxPlan& plan, const std::vector<BoxLevel>& levels) {
    if (levels.size() > kMostLevels) {
        reject("levels: expected at most ", kMostLevels, " on a GPU, got ", levels.size());
    }
    plan.levels = static_cast<unsigned>(levels.size());
    std::size_t anchors = 0;
    std::size_t blocks = 0;
    for (unsigned i = 0; i < plan.levels; ++i) {
        const Planes& plane = levels[i].scores;
        LevelPlan& level = plan.level[i];
        level.anchors = narrow(levels[i].anchors, "levels: anchors");
        level.height = narrow(plane.height, "levels: rows");
        level.width = narrow(plane.width, "levels: columns");
        level.stride = static_cast<float>(levels[i].stride);
        level.quads = static_cast<unsigned>(ceil_div(level.width, 4));
        level.first = static_cast<unsigned>(anchors);
        level.first_block = static_cast<unsigned>(blocks);
        const std::size_t rows =
            narrow(std::size_t{level.anchors} * level.height, "levels: rows of an image");
        anchors += rows * level.width;
        narrow(anchors, "levels: anchors of an image");
        blocks += ceil_div(rows * level.quads, kThreads);
    }
    plan.room = static_cast<unsigned>(anchors);
    plan.scan_blocks = static_cast<unsigned>(blocks);
}

BoxPlan make_plan(const BoxMaps& maps, const BoxCounterOptions& options, std::size_t processors) {
    BoxPlan plan{};
    plan_levels(plan, maps.levels);
    plan.batch = narrow(maps.batch, "batch");
    // No more blocks than run at once.
    const std::size_t images = std::max<std::size_t>(maps.batch, 1);
    const std::size_t most = std::max<std::size_t>(processors * kBlocksPerProcessor / images, 1);
    const auto blocks_for = [&](std::size_t share) {
        return static_cast<unsigned>(std::clamp<std::size_t>(ceil_div(plan.room, share), 1, most));
    };
    plan.sort_blocks = blocks_for(kRun);
    plan.place_blocks = blocks_for(kThreads);
    narrow(maps.batch * std::max<std::size_t>(plan.scan_blocks, most), "levels: parts of a batch");
    const std::size_t room = plan.room;
    const std::size_t capacity = options.count.capacity == 0 ? room : options.count.capacity;
    plan.listed = static_cast<unsigned>(std::min({room, capacity, options.listed}));
    plan.threshold = options.count.threshold;
    plan.iou = options.count.iou;
    plan.width = options.count.width;
    plan.height = options.count.height;
    plan.regions = narrow(maps.masks.count, "masks: regions");
    return plan;
}

}  // namespace

struct BoxCounter::State {
    explicit State(int number) : device(number), memory(number) {}

    int device;
    BoxMaps maps;  // their sizes; there are no cells
    BoxCounterOptions options;
    BoxPlan plan{};
    // What comes back. It outlives the device's memory: freeing that waits for kernels that still
    // write here.
    PinnedMemory results;
    Workspace memory;

    void allocate_workspace(const Stream& stream) {
        const std::size_t room = std::size_t{plan.batch} * plan.room;
        memory.allocate(plan.keys, room);
        memory.allocate(plan.boxes, room);
        memory.allocate(plan.scores, room);
        memory.allocate(plan.counts, plan.batch, &stream);
        memory.allocate(plan.bad, plan.batch, &stream);
    }

    void upload_masks(const Stream& stream) {
        memory.upload(plan.masks, static_cast<const float*>(maps.masks.data),
                      maps.masks.count * maps.masks.cells(), stream);
        stream.synchronize();
        maps.masks.data = nullptr;
    }

    void allocate_results() {
        const std::size_t batch = plan.batch;
        const std::size_t boxes = batch * plan.listed;
        // The largest first, so that each is aligned.
        const std::size_t headers_at = boxes * sizeof(float4);
        const std::size_t tallies_at = headers_at + batch * sizeof(Header);
        const std::size_t scores_at = tallies_at + batch * plan.regions * sizeof(double);
        const std::size_t bytes = scores_at + boxes * sizeof(float);
        results = PinnedMemory(std::max<std::size_t>(bytes, 1), device);
        char* to = static_cast<char*>(results.data());
        plan.found_boxes = reinterpret_cast<float4*>(to);
        plan.headers = reinterpret_cast<Header*>(to + headers_at);
        plan.tallies = reinterpret_cast<double*>(to + tallies_at);
        plan.found_scores = reinterpret_cast<float*>(to + scores_at);
    }

    void load_kernels() const {
        load_kernel(find_candidates, device);
        load_kernel(sort_candidates, device);
        load_kernel(order_candidates, device);
        load_kernel(keep_boxes, device);
    }

    void launch(const BoxMapsOnDevice& given, cudaStream_t stream) const {
        const auto started = [this](const char* what) {
            check(cudaGetLastError(), device, "launch a kernel that ", what);
        };
        const dim3 block(kThreads);
        if (plan.scan_blocks != 0) {
            const dim3 scan(plan.batch * plan.scan_blocks);
            EDGECOUNT_LAUNCH(find_candidates, scan, block, 0, stream)(plan, given);
            started("finds candidates");
            const dim3 sort(plan.batch * plan.sort_blocks);
            EDGECOUNT_LAUNCH(sort_candidates, sort, block, 0, stream)(plan);
            started("sorts candidates");
            const dim3 place(plan.batch * plan.place_blocks);
            EDGECOUNT_LAUNCH(order_candidates, place, block, 0, stream)(plan, given);
            started("decodes boxes");
        }
        EDGECOUNT_LAUNCH(keep_boxes, dim3(plan.batch), block, 0, stream)(plan);
        started("suppresses boxes");
    }

    void refuse_bad(std::size_t image) const {
        const unsigned bad = plan.headers[image].bad;
        for (unsigned level = 0; level < plan.levels; ++level) {
            if ((bad & bad_scores(level)) != 0) reject_level(level, "scores", image);
        }
        for (unsigned level = 0; level < plan.levels; ++level) {
            if ((bad & bad_boxes(level)) != 0) reject_level(level, "boxes", image);
        }
    }

    /// Sets `waits` where boxes are still to come.
    ImageCount start_count(std::size_t image, const Stream& stream, std::vector<float>& scores,
                           bool& waits) const {
        ImageCount count;
        count.peak_count = plan.headers[image].peak_count;
        const auto found = static_cast<std::size_t>(count.peak_count);
        const std::size_t capacity = options.count.capacity;
        const std::size_t n = capacity == 0 ? found : std::min(found, capacity);
        const std::size_t here = std::min<std::size_t>(n, plan.listed);
        count.boxes.resize(n);
        scores.resize(n);
        for (std::size_t i = 0; i < here; ++i) {
            const float4& box = plan.found_boxes[image * plan.listed + i];
            count.boxes[i] = {box.x, box.y, box.z, box.w};
            scores[i] = plan.found_scores[image * plan.listed + i];
        }
        if (n > here) {
            static_assert(sizeof(Box) == sizeof(float4));
            waits = true;
            const std::size_t from = image * plan.room + here;
            stream.download(&count.boxes[here], plan.boxes + from, (n - here) * sizeof(Box));
            stream.download(&scores[here], plan.scores + from, (n - here) * sizeof(float));
        }
        return count;
    }

    void finish_count(ImageCount& count, std::size_t image,
                      const std::vector<float>& scores) const {
        for (std::size_t i = 0; i < count.boxes.size(); ++i) {
            count.peaks.push_back(centre_of(count.boxes[i], scores[i]));
        }
        const auto people = static_cast<double>(count.peak_count);
        count.whole = {people, 0.0, people};
        const double* tallies = plan.tallies + image * plan.regions;
        for (unsigned region = 0; region < plan.regions; ++region) {
            count.regions.push_back({tallies[region], 0.0, tallies[region]});
        }
    }
};

BoxCounter::BoxCounter(std::size_t batch, const std::vector<BoxLevelShape>& levels,
                       const Planes& masks, const BoxCounterOptions& options, int device)
    : state_(std::make_unique<State>(device)) {
    State& state = *state_;
    state.options = options;
    state.maps = maps_of(batch, levels, masks);
    check_boxes(state.maps, options.count);

    const CurrentDevice current(device);
    state.plan = make_plan(state.maps, options, processors_of(device));
    const Stream stream(device);
    state.load_kernels();
    state.allocate_workspace(stream);
    state.allocate_results();
    state.upload_masks(stream);
}

BoxCounter::~BoxCounter() = default;

void BoxCounter::enqueue(const std::vector<DeviceLevel>& levels, const Stream& stream) {
    const State& state = *state_;
    if (levels.size() != state.plan.levels) {
        reject("levels: expected ", state.plan.levels, ", as for the constructor, got ",
               levels.size());
    }
    BoxMapsOnDevice given{};
    for (std::size_t i = 0; i < levels.size(); ++i) {
        const BoxLevel& like = state.maps.levels[i];
        given.scores[i] = cells_of(name_of(i, "scores").c_str(), levels[i].scores, like.scores);
        given.boxes[i] = cells_of(name_of(i, "boxes").c_str(), levels[i].boxes, like.boxes);
    }
    if (state.plan.batch == 0) return;
    const CurrentDevice current(state.device);
    state.launch(given, static_cast<cudaStream_t>(stream.handle()));
}

std::vector<ImageCount> BoxCounter::read(const Stream& stream) {
    const State& state = *state_;
    const std::size_t batch = state.plan.batch;
    for (std::size_t image = 0; image < batch; ++image) state.refuse_bad(image);
    std::vector<ImageCount> counts;
    std::vector<std::vector<float>> scores(batch);
    bool waits = false;
    for (std::size_t image = 0; image < batch; ++image) {
        counts.push_back(state.start_count(image, stream, scores[image], waits));
    }
    // Not otherwise: the work of the next frame may be in the stream already.
    if (waits) stream.synchronize();
    for (std::size_t image = 0; image < batch; ++image) {
        state.finish_count(counts[image], image, scores[image]);
    }
    return counts;
}

}  // namespace edgecount::cuda
