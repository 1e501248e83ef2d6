/* What device.cuh has from the emulation: launches, and what a running thread may ask of its block.
 * Kernels do not call these by name. */
#ifndef PR_EMULATION_LAUNCH_H
#define PR_EMULATION_LAUNCH_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct emulation_launch {
    const void *kernel;                  /* its address */
    void (*call)(const void *arguments); /* calls it, as one thread */
    const void *arguments;               /* copied; as call wants them, aligned to 16 at most */
    size_t bytes;
    const void *const *pointers; /* those among the arguments */
    int n_pointers;
    dim3 grid, block;
    size_t shared; /* bytes of dynamic shared memory */
    cudaStream_t stream;
} emulation_launch;

cudaError_t emulation_launch_kernel(const emulation_launch *launch);

/* The block's dynamic shared memory. */
void *emulation_shared(void);

/* Waits for all threads of the block; line is the source's. */
void emulation_barrier(int line);

/* What the lanes of a warp that a mask names do together. */
typedef enum emulation_exchange {
    EMULATION_SYNC,
    EMULATION_SHUFFLE, /* from lane `lane` of the group */
    EMULATION_UP,      /* from `lane` lanes below */
    EMULATION_DOWN,    /* from `lane` lanes above */
    EMULATION_XOR,     /* from the lane whose number differs by these bits */
    EMULATION_BALLOT,  /* a bit for each lane whose value is not 0 */
    EMULATION_ADD,     /* the sum of all values, as 32-bit integers */
    EMULATION_MAX,     /* the largest */
    EMULATION_MAX_SIGNED
} emulation_exchange;

/* The groups are of `width` lanes. */
uint64_t emulation_warp(emulation_exchange exchange, unsigned mask, uint64_t value, int lane,
                        int width);

/* Told by each atomic operation: a thread that spins on one would never end. */
void emulation_atomic(void);

#ifdef __cplusplus
}
#endif
#endif
