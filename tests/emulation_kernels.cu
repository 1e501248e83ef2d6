/* Kernels as real ones are written: what the emulation, and nvcc, must take. */
#include "tests/emulation_kernels.h"

#include "backends/launch.cuh"

enum { THREADS = 256, LANES = 32, TILE = 32 };

static int blocks_of(int n, int each) {
    return (n + each - 1) / each;
}

static __global__ void sum_shared(float *sums, const float *x, int n) {
    __shared__ float partial[THREADS];
    int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    partial[threadIdx.x] = i < n ? x[i] : 0.0f;
    for (unsigned most = THREADS / 2; most; most /= 2) {
        __syncthreads();
        if (threadIdx.x < most) partial[threadIdx.x] += partial[threadIdx.x + most];
    }
    if (!threadIdx.x) sums[blockIdx.x] = partial[0];
}

cudaError_t launch_sum_shared(float *sums, const float *x, int n, cudaStream_t stream) {
    return pr_launch(sum_shared, blocks_of(n, THREADS), THREADS, 0, stream, sums, x, n);
}

static __device__ __forceinline__ float sum_of_warp(float x) {
#pragma unroll
    for (int lanes = LANES / 2; lanes; lanes /= 2)
        x += __shfl_xor_sync(0xFFFFFFFF, x, lanes);
    return x;
}

template <int N> static __device__ float sum_of_block(float x) {
    __shared__ float of_warps[N / LANES];
    x = sum_of_warp(x);
    if (threadIdx.x % LANES == 0) of_warps[threadIdx.x / LANES] = x;
    __syncthreads();
    int lane = static_cast<int>(threadIdx.x % LANES);
    return sum_of_warp(lane < N / LANES ? of_warps[lane] : 0.0f);
}

template <int N>
static __global__ void __launch_bounds__(N)
    sum_warps(float *__restrict__ sums, const float *__restrict__ x, int n) {
    int i = static_cast<int>(blockIdx.x * N + threadIdx.x);
    float sum = sum_of_block<N>(i < n ? __ldg(x + i) : 0.0f);
    if (!threadIdx.x) sums[blockIdx.x] = sum;
}

cudaError_t launch_sum_warps(float *sums, const float *x, int n, cudaStream_t stream) {
    return pr_launch(sum_warps<THREADS>, blocks_of(n, THREADS), THREADS, 0, stream, sums, x, n);
}

static __global__ void transpose(float *y, const float *x, int rows, int columns) {
    __shared__ float tile[TILE][TILE + 1];
    int row = static_cast<int>(blockIdx.y * TILE), column = static_cast<int>(blockIdx.x * TILE);
    int in = static_cast<int>(threadIdx.x);
    for (int i = static_cast<int>(threadIdx.y); i < TILE; i += static_cast<int>(blockDim.y))
        if (row + i < rows && column + in < columns)
            tile[i][in] = x[(row + i) * columns + column + in];
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.y); i < TILE; i += static_cast<int>(blockDim.y))
        if (column + i < columns && row + in < rows)
            y[(column + i) * rows + row + in] = tile[in][i];
}

cudaError_t launch_transpose(float *y, const float *x, int rows, int columns, cudaStream_t stream) {
    dim3 grid(static_cast<unsigned>(blocks_of(columns, TILE)),
              static_cast<unsigned>(blocks_of(rows, TILE)));
    return pr_launch(transpose, grid, dim3(TILE, 8), 0, stream, y, x, rows, columns);
}

static __global__ void histogram(int *counts, unsigned *extremes, const unsigned *x, int n,
                                 int bins) {
    int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= n) return;
    atomicAdd(&counts[x[i] % static_cast<unsigned>(bins)], 1);
    atomicMax(&extremes[0], x[i]);
    atomicMin(&extremes[1], x[i]);
    unsigned before = extremes[2], expected;
    do {
        expected = before;
        before = atomicCAS(&extremes[2], expected, expected + 1);
    } while (before != expected);
}

cudaError_t launch_histogram(int *counts, unsigned *extremes, const unsigned *x, int n, int bins,
                             cudaStream_t stream) {
    return pr_launch(histogram, blocks_of(n, THREADS), THREADS, 0, stream, counts, extremes, x, n,
                     bins);
}

template <class T> struct pair_of;

template <> struct pair_of<__nv_bfloat16> {
    using type = __nv_bfloat162;
    static __device__ type scale(type x, float factor) {
        return __floats2bfloat162_rn(factor * __low2float(x),
                                     factor * __bfloat162float(__high2bfloat16(x)));
    }
};

template <class T> static __global__ void scale_pairs(T *y, const T *x, float factor, int n) {
    using pair = typename pair_of<T>::type;
    int i = 2 * static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i + 1 < n) {
        pair scaled = pair_of<T>::scale(*reinterpret_cast<const pair *>(x + i), factor);
        *reinterpret_cast<pair *>(y + i) = scaled;
    } else if (i < n) {
        y[i] = __float2bfloat16_rn(factor * __bfloat162float(x[i]));
    }
}

cudaError_t launch_scale_bf16(uint16_t *y, const uint16_t *x, float factor, int n,
                              cudaStream_t stream) {
    return pr_launch(scale_pairs<__nv_bfloat16>, blocks_of(n, 2 * THREADS), THREADS, 0, stream,
                     reinterpret_cast<__nv_bfloat16 *>(y),
                     reinterpret_cast<const __nv_bfloat16 *>(x), factor, n);
}

/* n is a multiple of 4. */
static __global__ void scale(float4 *y, const float4 *x, float factor, int n) {
    int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (4 * i >= n) return;
    float4 v = x[i];
    y[i] = make_float4(factor * v.x, factor * v.y, factor * v.z, factor * v.w);
}

/* The factor is a double: a launch converts it. */
cudaError_t launch_scale(float *y, const float *x, double factor, int n, cudaStream_t stream) {
    return pr_launch(scale, blocks_of(n, 4 * THREADS), THREADS, 0, stream,
                     reinterpret_cast<float4 *>(y), reinterpret_cast<const float4 *>(x), factor, n);
}

static __global__ void scan(int *y, const int *x, int n) {
    int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    int sum = i < n ? x[i] : 0;
    for (unsigned lanes = 1; lanes < LANES; lanes *= 2) {
        int below = __shfl_up_sync(0xFFFFFFFF, sum, lanes);
        if (threadIdx.x % LANES >= lanes) sum += below;
    }
    if (i < n) y[i] = sum;
}

cudaError_t launch_scan(int *y, const int *x, int n, cudaStream_t stream) {
    return pr_launch(scan, blocks_of(n, 64), 64, 0, stream, y, x, n);
}

static __global__ void exchanges(int *out) {
    int lane = static_cast<int>(threadIdx.x);
    const unsigned all = 0xFFFFFFFF, even = 0x55555555;
    out[0 * LANES + lane] = __shfl_sync(all, lane, lane + 9, 8);
    out[1 * LANES + lane] = __shfl_up_sync(all, lane, 3, 16);
    out[2 * LANES + lane] = __shfl_down_sync(all, lane, 3, 16);
    out[3 * LANES + lane] = __shfl_xor_sync(all, lane, 9, 8);
    out[4 * LANES + lane] = static_cast<int>(__ballot_sync(all, lane % 3 == 0));
    out[5 * LANES + lane] = __any_sync(all, lane == 5) + 2 * __all_sync(all, lane != 5) +
                            4 * __any_sync(all, lane == 40) + 8 * __all_sync(all, lane < 40);
    out[6 * LANES + lane] = __reduce_add_sync(all, lane) + __reduce_max_sync(all, -lane);
    if (lane % 2 == 0)
        out[7 * LANES + lane] = __shfl_xor_sync(even, lane, 2);
    else
        out[7 * LANES + lane] = __shfl_xor_sync(~even, lane, 4);
    __syncwarp();
}

cudaError_t launch_exchanges(int *out, cudaStream_t stream) {
    return pr_launch(exchanges, 1, LANES, 0, stream, out);
}

static __global__ void places(int *out) {
    unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    unsigned of_block = blockDim.x * blockDim.y * blockDim.z;
    unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    unsigned i = block * of_block + thread;
    out[i] = static_cast<int>(i);
}

cudaError_t launch_places(int *out, cudaStream_t stream) {
    return pr_launch(places, dim3(4, 2, 3), dim3(8, 4, 2), 0, stream, out);
}

static __global__ void reverse(float *y, const float *x) {
    float *all = pr_shared<float>();
    unsigned first = blockIdx.x * blockDim.x;
    all[threadIdx.x] = x[first + threadIdx.x];
    __syncthreads();
    y[first + threadIdx.x] = all[blockDim.x - 1 - threadIdx.x];
}

cudaError_t launch_reverse(float *y, const float *x, int threads, int blocks, size_t shared_bytes,
                           cudaStream_t stream) {
    return pr_launch(reverse, blocks, threads, shared_bytes, stream, y, x);
}

cudaError_t allow_reverse(int shared_bytes) {
    return cudaFuncSetAttribute(reinterpret_cast<const void *>(reverse),
                                cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes);
}

static __global__ void functions(float *y, const float *x, int n) {
    int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= n) return;
    float v = x[i];
    y[0 * n + i] = __fmaf_rn(v, v, 1.0f);
    y[1 * n + i] = rsqrtf(v) + sqrtf(v);
    y[2 * n + i] = erff(v) + tanhf(v);
    y[3 * n + i] = expf(-v) + __expf(v) + __logf(v);
    y[4 * n + i] = __uint_as_float(__float_as_uint(v) ^ 0x80000000u);
    y[5 * n + i] = static_cast<float>(__umulhi(0xD2511F53u, static_cast<unsigned>(i) << 20));
    y[6 * n + i] = fmaxf(v, 2.0f) + fminf(v, 2.0f) + static_cast<float>(max(i, 2) + min(i, 2));
    y[7 * n + i] = static_cast<float>(__popc(static_cast<unsigned>(i)) + __clz(i) + __ffs(i));
}

cudaError_t launch_functions(float *y, const float *x, int n, cudaStream_t stream) {
    return pr_launch(functions, blocks_of(n, THREADS), THREADS, 0, stream, y, x, n);
}

static __global__ void increment(int *x) {
    ++*x;
}

cudaError_t launch_increment(int *x, cudaStream_t stream) {
    return pr_launch(increment, 1, 1, 0, stream, x);
}

static __global__ void barriers(int *out, int count) {
    __shared__ int value[1024];
    unsigned next = (threadIdx.x + 1) % blockDim.x;
    value[threadIdx.x] = static_cast<int>(threadIdx.x);
    for (int i = 0; i < count; i++) {
        __syncthreads();
        int of_next = value[next];
        __syncthreads();
        value[threadIdx.x] = of_next;
    }
    out[blockIdx.x * blockDim.x + threadIdx.x] = value[threadIdx.x];
}

cudaError_t launch_barriers(int *out, int count, int blocks, int threads, cudaStream_t stream) {
    return pr_launch(barriers, blocks, threads, 0, stream, out, count);
}

static __global__ void any_block(int *out) {
    if (!threadIdx.x && !blockIdx.x) *out = static_cast<int>(blockDim.x);
}

cudaError_t launch_any_block(int *out, dim3 grid, dim3 block, cudaStream_t stream) {
    return pr_launch(any_block, grid, block, 0, stream, out);
}
