// Sums of a density map over the cells of a grid, plain and under masks.
#pragma once

#include <cstddef>
#include <vector>

#include "edgecount/maps.h"

namespace edgecount {

/// Rows and columns that are summed in one go: the rows stay in the cache for the masks that
/// follow, and on a GPU the tile is a block's.
constexpr std::size_t kBandRows = 64;
constexpr std::size_t kChunkColumns = 64;

/// The rectangles that a map is cut into; those at the right and bottom may be smaller.
struct Grid {
    std::size_t cell_height;
    std::size_t cell_width;
    std::size_t rows;
    std::size_t columns;

    /// Cells of `high` rows and `wide` columns; one for the whole map when `high` is 0.
    Grid(std::size_t height, std::size_t width, std::size_t high, std::size_t wide);

    std::size_t size() const { return rows * columns; }
    std::size_t index(std::size_t y, std::size_t x) const {
        return y / cell_height * columns + x / cell_width;
    }

    /// How many chunks lie side by side in a cell of a map this wide, and bands below each other.
    std::size_t chunks(std::size_t width) const;
    std::size_t bands(std::size_t height) const;
};

/// Sums of one density plane per grid cell: element 0 over the plain map, element 1 + r under mask
/// r.
///
/// A cell is cut into bands, and these into chunks. In a chunk each column is summed first, a few
/// rows at a time in float32 and their sums in double, and then the columns are; at last the chunks
/// of the cell, band by band. That order is the same for every vector width and on a GPU. Throws
/// std::invalid_argument naming "density" when a value is not finite.
std::vector<std::vector<double>> sum_density(const Planes& density, std::size_t plane,
                                             const Planes& masks, const Grid& grid);

}  // namespace edgecount
