/* Kernels with the faults that the emulation is there to find. */
#include "tests/emulation_kernels.h"

#include "backends/launch.cuh"

enum { THREADS = 64, LANES = 32 };

static __global__ void missing_barrier(int *y, const int *x) {
    __shared__ int all[THREADS];
    all[threadIdx.x] = x[threadIdx.x];
    y[threadIdx.x] = all[THREADS - 1 - threadIdx.x];
}

cudaError_t launch_missing_barrier(int *y, const int *x, cudaStream_t stream) {
    return pr_launch(missing_barrier, 1, THREADS, 0, stream, y, x);
}

/* The second of two exchanges by shared memory begins before the first is over. */
static __global__ void missing_warp_barrier(int *y, const int *x) {
    __shared__ int all[THREADS];
    unsigned other = threadIdx.x ^ 1;
    all[threadIdx.x] = x[threadIdx.x];
    __syncwarp();
    int theirs = all[other];
    all[threadIdx.x] = 2 * theirs;
    __syncwarp();
    y[threadIdx.x] = all[other];
}

cudaError_t launch_missing_warp_barrier(int *y, const int *x, cudaStream_t stream) {
    return pr_launch(missing_warp_barrier, 1, THREADS, 0, stream, y, x);
}

static __global__ void early_exit(int *y) {
    if (threadIdx.x == 5) return;
    __syncthreads();
    y[threadIdx.x] = 1;
}

cudaError_t launch_early_exit(int *y, cudaStream_t stream) {
    return pr_launch(early_exit, 3, THREADS, 0, stream, y);
}

static __global__ void divergent(int *y) {
    if (threadIdx.x % 2) {
        __syncthreads();
        y[threadIdx.x] = 1;
    } else {
        __syncthreads();
        y[threadIdx.x] = 2;
    }
}

cudaError_t launch_divergent(int *y, cudaStream_t stream) {
    return pr_launch(divergent, 1, THREADS, 0, stream, y);
}

static __global__ void half_warp(int *y) {
    if (threadIdx.x % LANES < 16) y[threadIdx.x] = __shfl_xor_sync(0xFFFFFFFF, 1, 1);
}

cudaError_t launch_half_warp(int *y, cudaStream_t stream) {
    return pr_launch(half_warp, 1, THREADS, 0, stream, y);
}

static __global__ void inactive_lane(int *y) {
    if (threadIdx.x % LANES < 16) y[threadIdx.x] = __shfl_down_sync(0x0000FFFF, 1, 8);
}

cudaError_t launch_inactive_lane(int *y, cudaStream_t stream) {
    return pr_launch(inactive_lane, 1, THREADS, 0, stream, y);
}

static __global__ void foreign_mask(int *y) {
    y[threadIdx.x] = __shfl_xor_sync(0x0000FFFF, 1, 1);
}

cudaError_t launch_foreign_mask(int *y, cudaStream_t stream) {
    return pr_launch(foreign_mask, 1, THREADS, 0, stream, y);
}

static __global__ void missing_lanes(int *y) {
    y[threadIdx.x] = __any_sync(0xFFFFFFFF, 1);
}

cudaError_t launch_missing_lanes(int *y, cudaStream_t stream) {
    return pr_launch(missing_lanes, 1, THREADS - 8, 0, stream, y);
}

static __global__ void write(int *y, long at) {
    if (threadIdx.x == 3) y[at] = 7;
}

cudaError_t launch_write(int *y, long at, cudaStream_t stream) {
    return pr_launch(write, 1, THREADS, 0, stream, y, at);
}

template <class T> static __global__ void unwritten(T *y, int at) {
    __shared__ T all[THREADS];
    const T *read = all;
    if (threadIdx.x) return;
    y[0] = read[0];
    y[1] = fmaxf(read[at], 1.0f);
    y[2] = pr_shared<T>()[1];
    all[0] = 1.0f;
}

cudaError_t launch_unwritten(float *y, int at, cudaStream_t stream) {
    return pr_launch(unwritten<float>, 2, THREADS, 64, stream, y, at);
}

static __global__ void spin(int *lock) {
    while (atomicCAS(lock, 0, 1)) {
    }
}

cudaError_t launch_spin(int *lock, cudaStream_t stream) {
    return pr_launch(spin, 1, THREADS, 0, stream, lock);
}
