// The loops over the cells and pixels of a row, once per instruction set.
//
// All sets compute the same bits: each loop is elementwise, or its order is spelled out, and
// nothing contracts a product and a sum into one rounding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "edgecount/maps.h"

namespace edgecount {

/// Cells that are scanned in one go, a bit of a word for each. Rows of keys are padded to whole
/// blocks.
constexpr std::size_t kBlock = 64;

/// Keys before and after a padded row that may be read: the largest radius, in whole cache lines.
constexpr std::size_t kMargin = 32;

/// The key of cells outside the map: less than any inside.
constexpr std::int16_t kOutside = std::numeric_limits<std::int16_t>::min();

/// Magnitudes that a scan keeps, at least one for each lane of the widest vectors.
constexpr std::size_t kLargest = 32;

/// Rows that are summed in float32 before the sum goes on in double.
constexpr std::size_t kSumRows = 8;

/// Padded rows of keys around row y, which is scanned.
struct ScanRows {
    const std::int16_t* row;        ///< y.
    const std::int16_t* next;       ///< y + radius.
    const std::int16_t* maxima[6];  ///< Slid maxima of y - radius .. y + radius - 1.
    std::int16_t* next_maxima;      ///< Those of y + radius, which the scan writes.
};

/// A plane of the heatmap and the row of it whose peaks are listed.
struct PeakRow {
    const void* plane;
    std::size_t height;
    std::size_t width;
    std::size_t y;
    float threshold;
    std::size_t radius;
};

/// Peaks that are placed in one go.
constexpr std::size_t kGroup = 256;

/// Peaks and the neighbours that their places depend on, an array for each, so that loops over them
/// become vector code.
struct PeakGroup {
    std::size_t count = 0;
    bool near_ties = false;  ///< Whether a peak has one.
    bool near_tie[kGroup];   ///< Whether another cell of the window nearly ties with the peak.
    std::uint32_t x[kGroup];
    std::uint32_t y[kGroup];
    float score[kGroup];
    float left[kGroup];
    float right[kGroup];
    float above[kGroup];
    float below[kGroup];
};

/// The loops that depend on how a cell is stored.
struct CellKernels {
    /// Writes the keys of n cells, and raises the largest magnitudes of keys seen so far: kLargest
    /// of them, one for each lane of a vector.
    void (*make_keys)(const void* cells, std::int16_t* keys, std::size_t n, std::int16_t* largest);

    /// Lists those of n cells whose key is not below the threshold's: all cells above it, and some
    /// that tie with it by their keys. Writes their indices, of which there is room for one per
    /// cell and three more, and returns how many. Raises the largest magnitudes as make_keys does.
    std::size_t (*list_above)(const void* cells, std::size_t n, std::int16_t threshold,
                              std::int16_t* largest, std::uint32_t* indices);

    /// Appends those of n cells of a row that are peaks to a group that has room for all.
    void (*append_peaks)(const PeakRow& row, const std::uint32_t* indices, std::size_t n,
                         PeakGroup& group);
};

struct PeakKernels {
    CellKernels floats;
    CellKernels halves;

    const CellKernels& cells(Scalar scalar) const {
        return scalar == Scalar::float32 ? floats : halves;
    }

    /// Slides the maximum over the row that comes into the window, and lists the cells of the row
    /// in its middle whose key is the window's largest and not below the threshold's: all peaks,
    /// and some cells that tie with one by their keys. Writes their indices, of which there is room
    /// for one per cell and three more, and returns how many.
    std::size_t (*scan_row)(const ScanRows& rows, std::int16_t threshold, std::size_t radius,
                            std::size_t blocks, std::uint32_t* indices);

    /// Places peaks between the cells by parabolas, at most half a cell from the middle of theirs.
    void (*place_peaks)(const PeakGroup& group, std::size_t n, Peak* places);
};

struct SumKernels {
    void (*halves_to_floats)(const std::uint16_t* in, float* out, std::size_t n);

    bool (*are_finite)(const float* values, std::size_t n);
    bool (*are_coverage)(const float* values, std::size_t n);  ///< In [0, 1].

    /// sums[x] += the sum of column x of `count` rows, `stride` floats apart: in float32 if there
    /// are kSumRows of them, and one by one if there are fewer. The first are added to 0. Masks
    /// whose rows are as far apart weight the cells; without them `masks` is null.
    void (*add_rows)(double* sums, bool first, const float* rows, const float* masks,
                     std::size_t stride, std::size_t count, std::size_t n);

    /// Part i * step = the lane sum of the columns of the i-th of some cells side by side, each
    /// `width` wide. Returns the sum of all. The parts may be where the columns are.
    double (*fold_columns)(const double* columns, std::size_t width, std::size_t cells,
                           std::size_t step, double* parts);

    /// weights[i] = the density_weight of n full cells.
    void (*weigh_cells)(const double* people, std::size_t n, double low, double high,
                        double* weights);

    /// Lane sums over n grid cells: density, peaks and their blend.
    Tally (*fuse_cells)(const double* density, const double* peaks, const double* weights,
                        std::size_t n);
};

/// What takes input channel source[c] to output channel c: (value - mean[c]) * scale[c].
struct Normalisation {
    float mean[3];
    float scale[3];
    std::size_t source[3];
};

struct YuvToBgr;

/// The loops over pixels; images have three interleaved channels of 8 bits.
struct ImageKernels {
    /// out = the BGR of n pixels, from their luma and from the U and V by turns of their pairs.
    void (*nv12_row)(const std::uint8_t* luma, const std::uint8_t* chroma, std::size_t n,
                     const YuvToBgr& by, std::uint8_t* out);

    /// out[c][x] = the normalised channels of pixel x.
    void (*convert_row)(const std::uint8_t* row, std::size_t n, const Normalisation& by,
                        float* const* out);

    /// out[i] = the sum of weights[t] * rows[t * stride + i] over the taps, for n values.
    void (*blend_rows)(const std::uint8_t* rows, std::size_t stride, const float* weights,
                       std::size_t taps, float* out, std::size_t n);

    /// Pixel x = the sum over the taps of weights[x * taps + t] times pixel first[x] + t of the
    /// row, for n pixels. Pixels come out four floats wide, and one float after the row is read.
    void (*resample_row)(const float* row, const std::uint32_t* first, const float* weights,
                         std::size_t taps, float* out, std::size_t n);

    /// out[c][x] = the normalised channels of pixel x, for pixels four floats wide.
    void (*split_row)(const float* pixels, std::size_t n, const Normalisation& by,
                      float* const* out);
};

struct Kernels {
    const char* name;
    PeakKernels peaks;
    SumKernels sums;
    ImageKernels images;
};

/// The kernels for the widest vectors that this processor has.
const Kernels& kernels();

/// All that this processor can run, narrowest first, and a way to choose: for tests.
std::vector<const Kernels*> available_kernels();
void use_kernels(const Kernels& chosen);

}  // namespace edgecount
