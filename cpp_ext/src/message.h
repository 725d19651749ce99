// Error messages in one form: what is wrong, where, and what was expected.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace edgecount {

template <typename... Parts>
[[noreturn]] void reject(const Parts&... parts) {
    std::ostringstream text;
    (text << ... << parts);
    throw std::invalid_argument(text.str());
}

[[noreturn]] inline void reject_non_finite(const char* map, std::size_t image) {
    reject(map, ": expected finite values, got a NaN or an infinity in image ", image,
           " of the batch");
}

}  // namespace edgecount
