// Streams as Python holds them.
#pragma once

#include "edgecount/cuda/stream.h"
#include "gil.h"

namespace edgecount {

/// A stream that waits for its work, where it has to before it is freed, while other threads run.
class HeldStream : public cuda::Stream {
public:
    using cuda::Stream::Stream;
    ~HeldStream() {
        const ReleasedGil unlocked;
        finish();
    }
};

}  // namespace edgecount
