/* Launches of the kernels that the emulation is tried by. Pointers are to device memory. */
#ifndef PR_EMULATION_KERNELS_H
#define PR_EMULATION_KERNELS_H

#include <cuda_runtime_api.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* emulation_kernels.cu: these are right. Sums have a block for each 256 elements of x. */
cudaError_t launch_sum_shared(float *sums, const float *x, int n, cudaStream_t stream);
cudaError_t launch_sum_warps(float *sums, const float *x, int n, cudaStream_t stream);
cudaError_t launch_transpose(float *y, const float *x, int rows, int columns, cudaStream_t stream);
/* counts (bins) of x % bins; extremes: the largest, the smallest of x, and how many were seen. */
cudaError_t launch_histogram(int *counts, unsigned *extremes, const unsigned *x, int n, int bins,
                             cudaStream_t stream);
/* y = factor x, in bf16 (bits) by two at a time, and in float by four. */
cudaError_t launch_scale_bf16(uint16_t *y, const uint16_t *x, float factor, int n,
                              cudaStream_t stream);
cudaError_t launch_scale(float *y, const float *x, double factor, int n, cudaStream_t stream);
/* Sums of x up to each element, of each 32. */
cudaError_t launch_scan(int *y, const int *x, int n, cudaStream_t stream);
/* What lanes see: out is (8, 32), a row for each kind of exchange. */
cudaError_t launch_exchanges(int *out, cudaStream_t stream);
/* out[i] = the thread's place in the grid, of blocks 4 x 2 x 3 and threads 8 x 4 x 2. */
cudaError_t launch_places(int *out, cudaStream_t stream);
/* Each block's x in reverse, by way of dynamic shared memory. */
cudaError_t launch_reverse(float *y, const float *x, int threads, int blocks, size_t shared_bytes,
                           cudaStream_t stream);
cudaError_t allow_reverse(int shared_bytes);
/* y = f(x) for the functions of device.cuh; y is (8, n). */
cudaError_t launch_functions(float *y, const float *x, int n, cudaStream_t stream);
cudaError_t launch_increment(int *x, cudaStream_t stream);
/* Each thread adds what its neighbour had, between `barriers` barriers. */
cudaError_t launch_barriers(int *out, int barriers, int blocks, int threads, cudaStream_t stream);
cudaError_t launch_any_block(int *out, dim3 grid, dim3 block, cudaStream_t stream);

/* emulation_faults.cu: these are wrong. Each has 64 threads. */
cudaError_t launch_missing_barrier(int *y, const int *x, cudaStream_t stream);
cudaError_t launch_missing_warp_barrier(int *y, const int *x, cudaStream_t stream);
cudaError_t launch_early_exit(int *y, cudaStream_t stream);
cudaError_t launch_divergent(int *y, cudaStream_t stream);
cudaError_t launch_half_warp(int *y, cudaStream_t stream);
cudaError_t launch_inactive_lane(int *y, cudaStream_t stream);
cudaError_t launch_foreign_mask(int *y, cudaStream_t stream);
cudaError_t launch_missing_lanes(int *y, cudaStream_t stream);
/* Writes y[at]. */
cudaError_t launch_write(int *y, long at, cudaStream_t stream);
/* Reads shared[at] of 64; writes 2 elements of it and one of dynamic shared memory. */
cudaError_t launch_unwritten(float *y, int at, cudaStream_t stream);
cudaError_t launch_spin(int *lock, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
