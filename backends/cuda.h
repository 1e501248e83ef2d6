/* The CUDA backend: the memory of one NVIDIA GPU, one stream of work on it, and cuBLASLt for its
 * products. A plan's run is recorded as a CUDA graph when a number of tokens is met again, and
 * repeated with one call; nothing waits for the GPU but what reads a result.
 *
 * Built where CMake finds the CUDA toolkit (PR_CUDA). cuBLASLt is looked for at run time, by
 * pr_cuda_new alone: a program that never asks for a GPU loads none of it. */
#ifndef PR_CUDA_H
#define PR_CUDA_H

#include "graph/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pr_cuda_device {
    char name[256];
    int major, minor; /* compute capability */
    int multiprocessors;
    size_t bytes, free_bytes; /* of its memory; free: now */
} pr_cuda_device;

/* Whether this build has the backend at all. */
bool pr_cuda_is_built(void);

/* How many GPUs there are: 0, with err saying why there is none that can be used (no driver, one
 * that is too old for this build, none visible). */
int pr_cuda_count(pr_error *err);

/* What is known of a GPU, 0 .. pr_cuda_count() - 1. It becomes the calling thread's current device.
 * PR_BAD_ARGUMENT for another number; PR_DEVICE; PR_UNSUPPORTED in a build without CUDA. */
pr_status pr_cuda_describe(int number, pr_cuda_device *device, pr_error *err);

/* The backend of a GPU, which has to be the current device of every thread that uses it; it is made
 * that of the calling one. PRIMER_SYNC=1 in the environment makes runs wait after every node, so
 * that a fault names the node that it came from. NULL with err set: PR_UNSUPPORTED in a build
 * without CUDA; PR_BAD_ARGUMENT for a number that no GPU has; PR_DEVICE when there is none at all,
 * or it is older than compute capability 7.5, or its libraries are missing; PR_NO_MEMORY. Freed by
 * pr_backend_free. */
pr_backend *pr_cuda_new(int number, pr_error *err);

/* Bytes of GPU memory: what the backend's blocks take now, the most they ever took, and what is in
 * use on the GPU beside them now: CUDA's own context, code and libraries, and other programs'. */
typedef struct pr_cuda_memory {
    size_t allocated, peak, beside;
} pr_cuda_memory;
pr_cuda_memory pr_cuda_memory_of(const pr_backend *backend);

#ifdef __cplusplus
}
#endif
#endif
