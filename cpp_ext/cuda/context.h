// Contexts: where the memory, streams and kernels of a device live.
//
// One device may have several: the primary one, which the runtime API, torch, ONNX Runtime and
// TensorRT share, and those that programs make for themselves.
#pragma once

#include <cuda_runtime_api.h>

#include "edgecount/cuda/current_device.h"
#include "edgecount/cuda/error.h"

namespace edgecount::cuda {

/// Whether this process was forked from one in which a context was opened here. Its locks may then
/// be held for ever, by threads that it does not have.
bool is_forked() noexcept;

/// While it lives, calls that CUDA forbids during a capture, as they might wait for it, are allowed
/// on this thread: those that take and free memory wait for no stream of ours.
class DuringCapture {
public:
    DuringCapture() { cudaThreadExchangeStreamCaptureMode(&mode_); }
    ~DuringCapture() { cudaThreadExchangeStreamCaptureMode(&mode_); }
    DuringCapture(const DuringCapture&) = delete;
    DuringCapture& operator=(const DuringCapture&) = delete;

private:
    cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

/// Calls a function that gives something back to a device: for destructors, where nothing may
/// throw, and where at exit the driver may be gone already.
template <typename Function>
void give_back(int device, const Function& function) noexcept {
    try {
        const CurrentDevice current(device);
        const DuringCapture allowed;
        if (function() != cudaSuccess) cudaGetLastError();
    } catch (const Error&) {
        // It goes with the process.
    }
}

}  // namespace edgecount::cuda
