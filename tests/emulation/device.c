/* What a program asks about drivers and devices. */
#include "tests/emulation/internal.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

enum {
    THREADS = 1024, /* of a block */
    MULTIPROCESSORS = 8,
    SHARED_OPTIN_8_0 = 163 << 10,
    SHARED_OPTIN_9_0 = 227 << 10,
    REGISTERS = 65536,
    RESIDENT_THREADS = 2048,
    LEVEL_2_BYTES = 4 << 20
};

int emulation_shared_limit(void) {
    return emulation_now()->major >= 9 ? SHARED_OPTIN_9_0 : SHARED_OPTIN_8_0;
}

/* Without a driver the runtime has none to ask: it tells version 0 and no error. */
cudaError_t cudaDriverGetVersion(int *version) {
    if (!version) return emulation_leave(cudaErrorInvalidValue);
    *version = emulation_now()->driver ? CUDART_VERSION : 0;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version) {
    if (!version) return emulation_leave(cudaErrorInvalidValue);
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count) {
    cudaError_t error = emulation_enter(__func__);
    if (!error && !count) error = cudaErrorInvalidValue;
    if (count) *count = error ? 0 : emulation_now()->devices;
    return emulation_leave(error);
}

static cudaError_t check_device(int device) {
    return device < 0 || device >= emulation_now()->devices ? cudaErrorInvalidDevice : cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
    cudaError_t error = emulation_enter(__func__);
    return emulation_leave(error ? error : check_device(device));
}

cudaError_t cudaGetDevice(int *device) {
    cudaError_t error = emulation_enter(__func__);
    if (!error && !device) error = cudaErrorInvalidValue;
    if (!error) *device = 0;
    return emulation_leave(error);
}

static void describe(struct cudaDeviceProp *p) {
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "an emulated device");
    p->totalGlobalMem = emulation_now()->memory;
    p->sharedMemPerBlock = EMULATION_STATIC_SHARED;
    p->sharedMemPerBlockOptin = (size_t)emulation_shared_limit();
    p->sharedMemPerMultiprocessor = (size_t)emulation_shared_limit() + 1024;
    p->reservedSharedMemPerBlock = 1024;
    p->regsPerBlock = p->regsPerMultiprocessor = REGISTERS;
    p->warpSize = EMULATION_WARP;
    p->maxThreadsPerBlock = THREADS;
    p->maxThreadsPerMultiProcessor = RESIDENT_THREADS;
    p->maxBlocksPerMultiProcessor = 32;
    p->maxThreadsDim[0] = p->maxThreadsDim[1] = THREADS;
    p->maxThreadsDim[2] = 64;
    p->maxGridSize[0] = INT_MAX;
    p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    p->major = emulation_now()->major;
    p->minor = emulation_now()->minor;
    p->multiProcessorCount = MULTIPROCESSORS;
    p->l2CacheSize = LEVEL_2_BYTES;
    p->memoryBusWidth = 256;
    p->unifiedAddressing = p->canMapHostMemory = p->concurrentKernels = p->asyncEngineCount = 1;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device) {
    cudaError_t error = emulation_enter(__func__);
    if (!error) error = properties ? check_device(device) : cudaErrorInvalidValue;
    if (!error) describe(properties);
    return emulation_leave(error);
}

static cudaError_t attribute_of(int *value, enum cudaDeviceAttr attribute) {
    struct cudaDeviceProp p;
    describe(&p);
    const struct {
        enum cudaDeviceAttr attribute;
        int value;
    } known[] = {
        {cudaDevAttrMaxThreadsPerBlock, p.maxThreadsPerBlock},
        {cudaDevAttrMaxBlockDimX, p.maxThreadsDim[0]},
        {cudaDevAttrMaxBlockDimY, p.maxThreadsDim[1]},
        {cudaDevAttrMaxBlockDimZ, p.maxThreadsDim[2]},
        {cudaDevAttrMaxGridDimX, p.maxGridSize[0]},
        {cudaDevAttrMaxGridDimY, p.maxGridSize[1]},
        {cudaDevAttrMaxGridDimZ, p.maxGridSize[2]},
        {cudaDevAttrMaxSharedMemoryPerBlock, (int)p.sharedMemPerBlock},
        {cudaDevAttrMaxSharedMemoryPerBlockOptin, (int)p.sharedMemPerBlockOptin},
        {cudaDevAttrMaxSharedMemoryPerMultiprocessor, (int)p.sharedMemPerMultiprocessor},
        {cudaDevAttrReservedSharedMemoryPerBlock, (int)p.reservedSharedMemPerBlock},
        {cudaDevAttrMaxRegistersPerBlock, p.regsPerBlock},
        {cudaDevAttrMaxThreadsPerMultiProcessor, p.maxThreadsPerMultiProcessor},
        {cudaDevAttrWarpSize, p.warpSize},
        {cudaDevAttrMultiProcessorCount, p.multiProcessorCount},
        {cudaDevAttrComputeCapabilityMajor, p.major},
        {cudaDevAttrComputeCapabilityMinor, p.minor},
        {cudaDevAttrL2CacheSize, p.l2CacheSize},
        {cudaDevAttrGlobalMemoryBusWidth, p.memoryBusWidth},
        {cudaDevAttrUnifiedAddressing, p.unifiedAddressing},
        {cudaDevAttrCanMapHostMemory, p.canMapHostMemory},
        {cudaDevAttrConcurrentKernels, p.concurrentKernels},
        {cudaDevAttrAsyncEngineCount, p.asyncEngineCount},
        {cudaDevAttrIntegrated, 0},
        {cudaDevAttrMemoryPoolsSupported, 0},
        {cudaDevAttrManagedMemory, 0},
        {cudaDevAttrCooperativeLaunch, 0},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].attribute != attribute) continue;
        *value = known[i].value;
        return cudaSuccess;
    }
    return emulation_refuse(cudaErrorInvalidValue, "the emulation has no device attribute %d",
                            (int)attribute);
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device) {
    cudaError_t error = emulation_enter(__func__);
    if (!error) error = value ? check_device(device) : cudaErrorInvalidValue;
    return emulation_leave(error ? error : attribute_of(value, attribute));
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *attributes, const void *at) {
    cudaError_t error = emulation_enter(__func__);
    if (!error && !attributes) error = cudaErrorInvalidValue;
    if (!error) {
        bool device = emulation_is_device(at), host = emulation_is_pinned(at);
        *attributes = (struct cudaPointerAttributes){
            .type = device ? cudaMemoryTypeDevice
                    : host ? cudaMemoryTypeHost
                           : cudaMemoryTypeUnregistered,
            .devicePointer = device || host ? (void *)at : NULL,
            .hostPointer = host ? (void *)at : NULL,
        };
    }
    return emulation_leave(error);
}
