// Streams, events, captures and graphs of the emulated runtime.
#pragma once

#include <utility>

#include "device_state.h"

// Streams.

inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
    const emulate::Lock lock;
    *stream = *emulate::device().streams.insert(new CUstream_st).first;
    (*stream)->gpu = emulate::current_gpu();
    return cudaSuccess;
}
inline cudaError_t cudaStreamCreate(cudaStream_t* stream) {
    return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    const emulate::Lock lock;
    if (emulate::device().streams.count(stream) == 0) {
        return emulate::report(cudaErrorInvalidResourceHandle);
    }
    emulate::device().streams.erase(stream);
    // Work that is still to be done is, but later: it does not hold up the caller.
    emulate::device().leaving.push_back(stream);
    return cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
    const emulate::Lock lock;
    CUstream_st* stream = emulate::stream_of(handle);
    if (stream == nullptr) return emulate::report(cudaErrorInvalidResourceHandle);
    if (emulate::disturbs_capture()) return emulate::report(cudaErrorStreamCaptureUnsupported);
    emulate::drain(*stream);
    return cudaSuccess;
}
/// Each question does a piece of the work.
inline cudaError_t cudaStreamQuery(cudaStream_t handle) {
    const emulate::Lock lock;
    CUstream_st* stream = emulate::stream_of(handle);
    if (stream == nullptr) return emulate::report(cudaErrorInvalidResourceHandle);
    if (emulate::disturbs_capture()) return emulate::report(cudaErrorStreamCaptureUnsupported);
    if (stream->queue.empty()) return cudaSuccess;
    emulate::advance(*stream);
    return cudaErrorNotReady;
}
inline cudaError_t cudaDeviceSynchronize() {
    const emulate::Lock lock;
    if (emulate::disturbs_capture()) return emulate::report(cudaErrorStreamCaptureUnsupported);
    emulate::drain_all();
    return cudaSuccess;
}

// Events.

inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
    const emulate::Lock lock;
    *event = *emulate::device().events.insert(new CUevent_st).first;
    (*event)->gpu = emulate::current_gpu();
    (*event)->timing = (flags & cudaEventDisableTiming) == 0;
    return cudaSuccess;
}
inline cudaError_t cudaEventCreate(cudaEvent_t* event) {
    return cudaEventCreateWithFlags(event, cudaEventDefault);
}
inline cudaError_t cudaEventDestroy(cudaEvent_t event) {
    const emulate::Lock lock;
    if (emulate::device().events.erase(event) == 0) {
        return emulate::report(cudaErrorInvalidResourceHandle);
    }
    delete event;
    return cudaSuccess;
}
inline cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle = nullptr) {
    const emulate::Lock lock;
    CUstream_st* stream = emulate::stream_of(handle);
    if (stream == nullptr || emulate::device().events.count(event) == 0 ||
        event->gpu != stream->gpu) {
        return emulate::report(cudaErrorInvalidResourceHandle);
    }
    event->capture = stream->capture;
    if (event->capture != nullptr) return cudaSuccess;
    auto moment = std::make_shared<emulate::Moment>();
    moment->stream = stream;
    event->moment = moment;
    return emulate::report(emulate::enqueue(handle, [moment] {
        moment->time = std::chrono::steady_clock::now();
        moment->done = true;
    }));
}
/// An event that was recorded in a capture draws the stream into it. The order in which the work
/// was put into all its streams is one that the graph allows.
inline cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned = 0) {
    const emulate::Lock lock;
    CUstream_st* stream = emulate::stream_of(handle);
    if (stream == nullptr || emulate::device().events.count(event) == 0) {
        return emulate::report(cudaErrorInvalidResourceHandle);
    }
    if (event->capture != nullptr) {
        stream->capture = event->capture;
        return cudaSuccess;
    }
    if (event->moment == nullptr) return cudaSuccess;
    return emulate::report(
        emulate::enqueue(handle, [moment = event->moment] { emulate::finish(*moment); }));
}
inline cudaError_t cudaEventQuery(cudaEvent_t event) {
    const emulate::Lock lock;
    if (event->capture != nullptr) return emulate::report(cudaErrorCapturedEvent);
    if (event->moment == nullptr || event->moment->done) return cudaSuccess;
    emulate::advance(*event->moment->stream);
    return cudaErrorNotReady;
}
inline cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    const emulate::Lock lock;
    if (event->capture != nullptr) return emulate::report(cudaErrorCapturedEvent);
    if (event->moment != nullptr) emulate::finish(*event->moment);
    return cudaSuccess;
}
inline cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
    const emulate::Lock lock;
    if (!from->timing || !to->timing || from->moment == nullptr || to->moment == nullptr) {
        return emulate::report(cudaErrorInvalidResourceHandle);
    }
    if (!from->moment->done || !to->moment->done) return cudaErrorNotReady;
    const std::chrono::duration<float, std::milli> time = to->moment->time - from->moment->time;
    *milliseconds = time.count();
    return cudaSuccess;
}

// Captures and graphs.

inline cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
    const emulate::Lock lock;
    if (emulate::device().streams.count(handle) == 0) {
        return emulate::report(cudaErrorStreamCaptureUnsupported);
    }
    if (handle->capture != nullptr) return emulate::report(cudaErrorInvalidValue);
    handle->capture = std::make_shared<emulate::Capture>();
    handle->capture->origin = handle;
    handle->capture->mode = mode;
    handle->capture->thread = std::this_thread::get_id();
    emulate::device().captures.push_back(handle->capture);
    return cudaSuccess;
}
inline cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
    std::swap(*mode, emulate::thread_mode);
    return cudaSuccess;
}
inline cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
    const emulate::Lock lock;
    CUstream_st* stream = emulate::stream_of(handle);
    if (stream == nullptr) return emulate::report(cudaErrorInvalidResourceHandle);
    *status = stream->capture == nullptr ? cudaStreamCaptureStatusNone
              : stream->capture->spoilt  ? cudaStreamCaptureStatusInvalidated
                                         : cudaStreamCaptureStatusActive;
    return cudaSuccess;
}
inline cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph) {
    const emulate::Lock lock;
    *graph = nullptr;
    if (emulate::device().streams.count(handle) == 0 || handle->capture == nullptr ||
        handle->capture->origin != handle) {
        return emulate::report(cudaErrorStreamCaptureUnmatched);
    }
    const std::shared_ptr<emulate::Capture> capture = handle->capture;
    if (capture->mode != cudaStreamCaptureModeRelaxed &&
        capture->thread != std::this_thread::get_id()) {
        return emulate::report(cudaErrorStreamCaptureWrongThread);
    }
    std::erase(emulate::device().captures, capture);
    for (CUstream_st* stream : emulate::device().streams) {
        if (stream->capture == capture) stream->capture = nullptr;
    }
    if (capture->spoilt) return emulate::report(cudaErrorStreamCaptureInvalidated);
    *graph = new CUgraph_st{std::move(capture->work)};
    return cudaSuccess;
}
inline cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete graph;
    return cudaSuccess;
}
inline cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                        unsigned long long = 0) {
    *executable = new CUgraphExec_st{graph->work};
    return cudaSuccess;
}
inline cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* executable, cudaGraph_t graph,
                                                 unsigned long long flags = 0) {
    return cudaGraphInstantiate(executable, graph, flags);
}
inline cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
    delete executable;
    return cudaSuccess;
}
inline cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
    const emulate::Lock lock;
    for (const emulate::Work& work : executable->work) {
        if (const cudaError_t error = emulate::enqueue(stream, work)) return emulate::report(error);
    }
    return cudaSuccess;
}
