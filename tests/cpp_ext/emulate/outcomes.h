// What came out of a batch, on the GPU and on the CPU, and that it is the same bit for bit.
#pragma once

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "random_maps.h"

namespace {

int batches = 0;

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "failed: %s (batch %d)\n", what.c_str(), batches);
    std::exit(1);
}

/// What came out, or the message of the error.
struct Outcome {
    std::vector<ImageCount> counts;
    std::string error;
};

Outcome outcome_of(const std::function<std::vector<ImageCount>()>& count) {
    try {
        return {count(), ""};
    } catch (const std::invalid_argument& error) {
        return {{}, error.what()};
    }
}

template <typename T>
bool same_bits(const T& a, const T& b) {
    return std::memcmp(&a, &b, sizeof(T)) == 0;
}

void require_same(const std::string& what, double got, double expected) {
    if (same_bits(got, expected)) return;
    char text[100];
    std::snprintf(text, sizeof text, ": expected %.17g, got %.17g", expected, got);
    fail(what + text);
}

void require_same(const std::string& what, const Tally& got, const Tally& expected) {
    require_same(what + ", density", got.density, expected.density);
    require_same(what + ", peaks", got.peaks, expected.peaks);
    require_same(what + ", count", got.count, expected.count);
}

void require_same(const std::vector<Peak>& got, const std::vector<Peak>& expected) {
    if (got.size() != expected.size()) fail("length of the list of peaks");
    for (std::size_t i = 0; i < got.size(); ++i) {
        if (same_bits(got[i], expected[i])) continue;
        char text[200];
        std::snprintf(text, sizeof text, "peak %zu: expected %.9g %.9g %.9g, got %.9g %.9g %.9g", i,
                      expected[i].x, expected[i].y, expected[i].score, got[i].x, got[i].y,
                      got[i].score);
        fail(text);
    }
}

void require_same(const Outcome& got, const Outcome& expected) {
    if (got.error != expected.error) {
        fail("error: expected \"" + expected.error + "\", got \"" + got.error + "\"");
    }
    if (got.counts.size() != expected.counts.size()) fail("number of images");
    for (std::size_t i = 0; i < got.counts.size(); ++i) {
        const ImageCount& one = got.counts[i];
        const ImageCount& other = expected.counts[i];
        const std::string image = "image " + std::to_string(i);
        require_same(image + ", number of peaks", static_cast<double>(one.peak_count),
                     static_cast<double>(other.peak_count));
        require_same(one.peaks, other.peaks);
        require_same(image, one.whole, other.whole);
        for (std::size_t region = 0; region < other.regions.size(); ++region) {
            require_same(image + ", region " + std::to_string(region), one.regions.at(region),
                         other.regions.at(region));
        }
    }
}

}  // namespace
