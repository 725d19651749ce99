/* Stand-ins for libnvbufsurface and the driver's EGL functions, with the layout of their headers:
 * nvbufsurface.h of Jetson Linux r36 or, with NEWER, of r39 and DeepStream 8.0 on, and cudaEGL.h.
 * They note what is called, in order, and fail where they are told to. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    uint32_t num_planes, width[4], height[4], pitch[4], offset[4], psize[4], bytesPerPix[4];
    void *_reserved[4 * 4];
} NvBufSurfacePlaneParams;

typedef struct {
    void *basePtr, *dataPtr, *extMem, *mipmap;
    uint8_t reserved[64];
} NvBufSurfaceCudaBuffer;

typedef struct {
    void *addr[4];
    void *eglImage;
#ifdef NEWER
    void *nvmmPtr;
    NvBufSurfaceCudaBuffer *cudaPtr;
#endif
    void *_reserved[4];
} NvBufSurfaceMappedAddr;

typedef struct {
    uint32_t width, height, pitch;
    int colorFormat, layout;
    uint64_t bufferDesc;
    uint32_t dataSize;
    void *dataPtr;
    NvBufSurfacePlaneParams planeParams;
    NvBufSurfaceMappedAddr mappedAddr;
    void *paramex;
#ifdef NEWER
    void *cudaBuffer;
    void *_reserved[4];
#else
    void *_reserved[3];
#endif
} NvBufSurfaceParams;

typedef struct {
    uint32_t gpuId, batchSize, numFilled;
    bool isContiguous;
    int memType;
    NvBufSurfaceParams *surfaceList;
#ifdef NEWER
    bool isImportedBuf;
#endif
    void *_reserved[4];
} NvBufSurface;

typedef struct {
    union {
        void *pArray[3];
        void *pPitch[3];
    } frame;
    unsigned width, height, depth, pitch, planeCount, numChannels;
    int frameType, eglColorFormat, cuFormat;
} CUeglFrame;

static char calls[4096];
static char failing[64];
static NvBufSurface *with_fd;
static void *memory[8]; /* of the buffers that are no CUDA memory, by their descriptors */

static int note(const char *call) {
    strncat(calls, call, sizeof calls - strlen(calls) - 2);
    strcat(calls, " ");
    return strcmp(call, failing) == 0 ? -1 : 0;
}

/* For the tests. */

const char *stub_calls(void) { return calls; }
void stub_fail(const char *call) { snprintf(failing, sizeof failing, "%s", call); }
size_t stub_params_size(void) { return sizeof(NvBufSurfaceParams); }
size_t stub_surface_size(void) { return sizeof(NvBufSurface); }
size_t stub_egl_offset(void) {
    return offsetof(NvBufSurfaceParams, mappedAddr) + offsetof(NvBufSurfaceMappedAddr, eglImage);
}
size_t stub_egl_frame_size(void) { return sizeof(CUeglFrame); }

NvBufSurface *stub_surface(int buffers, int mem_type) {
    NvBufSurface *surface = calloc(1, sizeof *surface);
    surface->batchSize = surface->numFilled = buffers;
    surface->memType = mem_type;
    surface->surfaceList = calloc(buffers, sizeof(NvBufSurfaceParams));
    with_fd = surface;
    calls[0] = failing[0] = 0;
    return surface;
}

void stub_buffer(NvBufSurface *surface, int index, int color, int layout, uint32_t width,
                 uint32_t height, uint32_t pitch, int bytes, uint32_t chroma, void *pixels) {
    NvBufSurfaceParams *params = &surface->surfaceList[index];
    NvBufSurfacePlaneParams *planes = &params->planeParams;
    params->width = width, params->height = height, params->pitch = pitch;
    params->colorFormat = color, params->layout = layout;
    params->bufferDesc = index;
    if (surface->memType == 4)
        memory[index] = pixels;
    else
        params->dataPtr = pixels;
    planes->num_planes = chroma ? 2 : 1;
    planes->width[0] = width, planes->height[0] = height, planes->pitch[0] = pitch;
    planes->bytesPerPix[0] = bytes;
    if (chroma) {
        planes->width[1] = width / 2, planes->height[1] = height / 2, planes->pitch[1] = pitch;
        planes->offset[1] = chroma, planes->bytesPerPix[1] = 2;
    }
}

/* libnvbufsurface */

int NvBufSurfaceFromFd(int fd, void **surface) {
    *surface = with_fd;
    return note("FromFd") || fd != 7 ? -1 : 0;
}

int NvBufSurfaceMapEglImage(NvBufSurface *surface, int index) {
    surface->surfaceList[index].mappedAddr.eglImage = &surface->surfaceList[index];
    return note("MapEglImage");
}

int NvBufSurfaceUnMapEglImage(NvBufSurface *surface, int index) {
    surface->surfaceList[index].mappedAddr.eglImage = NULL;
    return note("UnMapEglImage");
}

#ifdef NEWER
int NvBufSurfaceMapCudaBuffer(NvBufSurface *surface, int index) {
    static NvBufSurfaceCudaBuffer buffers[8];
    buffers[index].dataPtr = memory[index];
    surface->surfaceList[index].mappedAddr.cudaPtr = &buffers[index];
    return note("MapCudaBuffer");
}

int NvBufSurfaceUnMapCudaBuffer(NvBufSurface *surface, int index) {
    surface->surfaceList[index].mappedAddr.cudaPtr = NULL;
    return note("UnMapCudaBuffer");
}
#endif

/* The driver */

int cuInit(unsigned flags) { return 0; }
int cuDevicePrimaryCtxRetain(void **context, int device) { return *context = NULL, device; }
int cuCtxPushCurrent_v2(void *context) { return note("push"); }
int cuCtxPopCurrent_v2(void **context) { return note("pop"); }

int cuGetErrorName(int error, const char **name) {
    *name = error == -1 ? "CUDA_ERROR_STUB" : NULL;
    return 0;
}

int cuGraphicsEGLRegisterImage(void **resource, void *image, unsigned flags) {
    *resource = image;
    return flags == 1 ? note("register") : 1;
}

int cuGraphicsResourceGetMappedEglFrame(CUeglFrame *frame, NvBufSurfaceParams *resource,
                                        unsigned index, unsigned level) {
    const NvBufSurfacePlaneParams *planes = &resource->planeParams;
    memset(frame, 0, sizeof *frame);
    frame->width = resource->width, frame->height = resource->height;
    frame->pitch = planes->pitch[0], frame->planeCount = planes->num_planes;
    frame->frameType = strcmp(failing, "array") == 0 ? 0 : 1;
    for (unsigned i = 0; i < planes->num_planes; ++i)
        frame->frame.pPitch[i] = (char *)memory[resource->bufferDesc] + planes->offset[i];
    return note("frame");
}

int cuGraphicsUnregisterResource(void *resource) { return note("unregister"); }
