/* What the emulation's own tests share. */
#ifndef PR_EMULATION_TEST_H
#define PR_EMULATION_TEST_H

#include "tests/test.h"

#include <cuda_runtime_api.h>

#include "tests/emulation/emulation.h"
#include "tests/emulation_kernels.h"

static inline void ok(cudaError_t error) {
    if (error) fail_msg("%s: %s", cudaGetErrorName(error), emulation_message());
}

static inline void refused(cudaError_t error, cudaError_t expected) {
    if (error != expected) {
        fail_msg("%s, not %s: %s", cudaGetErrorName(error), cudaGetErrorName(expected),
                 emulation_message());
    }
}

static inline void says(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("'%s' is not in: %s", part, text);
}

/* A usual machine where nothing runs before something synchronises. */
static inline void start(uint64_t seed) {
    emulation_machine machine = emulation_usual();
    machine.seed = seed;
    machine.early = 0;
    emulation_start(&machine);
}

static inline void *device_memory(size_t bytes) {
    void *at;
    ok(cudaMalloc(&at, bytes));
    return at;
}

static inline void *device_copy(const void *from, size_t bytes) {
    void *at = device_memory(bytes);
    ok(cudaMemcpy(at, from, bytes, cudaMemcpyHostToDevice));
    return at;
}

/* Waits for what is queued. */
static inline void fetch(void *to, const void *at, size_t bytes) {
    ok(cudaMemcpy(to, at, bytes, cudaMemcpyDeviceToHost));
}

#endif
