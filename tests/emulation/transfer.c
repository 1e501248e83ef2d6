/* Copies and memsets. Those from and to pinned memory wait in the stream like any work, and so what
 * the memory holds when they run is what counts. Pageable memory is copied by way of the driver's
 * own, as on a device: such a call waits for all that the stream held. */
#include "tests/emulation/internal.h"

#include <string.h>

typedef struct copy {
    void *to;
    const void *from;
    size_t bytes;
} copy;

typedef struct set {
    void *at;
    int value;
    size_t bytes;
} set;

static void run_copy(void *context) {
    const copy *c = context;
    memmove(c->to, c->from, c->bytes);
}

static void run_set(void *context) {
    const set *s = context;
    memset(s->at, s->value, s->bytes);
}

/* cudaSuccess where the addresses are of the kinds that the copy is said to be between. */
static cudaError_t check_copy(const copy *c, enum cudaMemcpyKind kind) {
    bool to_device = emulation_is_device(c->to), from_device = emulation_is_device(c->from);
    const bool fits[] = {
        [cudaMemcpyHostToHost] = !to_device && !from_device,
        [cudaMemcpyHostToDevice] = to_device && !from_device,
        [cudaMemcpyDeviceToHost] = !to_device && from_device,
        [cudaMemcpyDeviceToDevice] = to_device && from_device,
        [cudaMemcpyDefault] = true,
    };
    if ((unsigned)kind > cudaMemcpyDefault) return cudaErrorInvalidMemcpyDirection;
    if (!fits[kind]) {
        return emulation_refuse(cudaErrorInvalidValue, "a copy from %s to %s memory is no kind %d",
                                from_device ? "device" : "host", to_device ? "device" : "host",
                                (int)kind);
    }
    if ((to_device && !emulation_holds(c->to, c->bytes)) ||
        (from_device && !emulation_holds(c->from, c->bytes))) {
        return emulation_refuse(cudaErrorInvalidValue,
                                "the copy's %zu bytes of device memory are "
                                "not in one allocation",
                                c->bytes);
    }
    return cudaSuccess;
}

static bool is_pageable(const void *at) {
    return !emulation_is_device(at) && !emulation_is_pinned(at);
}

static cudaError_t queue_copy(const copy *c, enum cudaMemcpyKind kind, cudaStream_t stream) {
    cudaError_t error = check_copy(c, kind);
    if (error) return error;
    struct CUstream_st *s = emulation_stream(stream);
    if (!s) return cudaErrorInvalidResourceHandle;
    bool waits = is_pageable(c->to) || is_pageable(c->from);
    if (waits) error = emulation_uncapturable_on(s, "a copy of pageable memory");
    if (!error) error = emulation_queue(stream, (emulation_task){.run = run_copy}, c, sizeof *c);
    if (error) return error;
    emulation_counter()->copies++;
    if (waits) {
        emulation_counter()->synchronisations++;
        emulation_run_stream(s);
    }
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream) {
    copy c = {to, from, bytes};
    cudaError_t error = emulation_enter(__func__);
    return emulation_leave(error || !bytes ? error : queue_copy(&c, kind, stream));
}

static cudaError_t copy_now(const copy *c, enum cudaMemcpyKind kind) {
    cudaError_t error = emulation_uncapturable("cudaMemcpy");
    if (!error) error = check_copy(c, kind);
    if (!error) error = emulation_queue(NULL, (emulation_task){.run = run_copy}, c, sizeof *c);
    if (error) return error;
    emulation_counter()->copies++;
    emulation_counter()->synchronisations++;
    emulation_run_stream(emulation_stream(NULL));
    return cudaSuccess;
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind) {
    copy c = {to, from, bytes};
    cudaError_t error = emulation_enter(__func__);
    return emulation_leave(error || !bytes ? error : copy_now(&c, kind));
}

static cudaError_t queue_set(const set *s, cudaStream_t stream) {
    if (!emulation_holds(s->at, s->bytes)) {
        return emulation_refuse(cudaErrorInvalidValue,
                                "the %zu bytes to be set are not in one "
                                "allocation of device memory",
                                s->bytes);
    }
    cudaError_t error = emulation_queue(stream, (emulation_task){.run = run_set}, s, sizeof *s);
    if (!error) emulation_counter()->copies++;
    return error;
}

cudaError_t cudaMemsetAsync(void *at, int value, size_t bytes, cudaStream_t stream) {
    set s = {at, value, bytes};
    cudaError_t error = emulation_enter(__func__);
    return emulation_leave(error || !bytes ? error : queue_set(&s, stream));
}

/* The host does not wait for it, on a device neither. */
cudaError_t cudaMemset(void *at, int value, size_t bytes) {
    set s = {at, value, bytes};
    cudaError_t error = emulation_enter(__func__);
    if (!error) error = emulation_uncapturable(__func__);
    return emulation_leave(error || !bytes ? error : queue_set(&s, NULL));
}
