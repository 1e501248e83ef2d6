/* What kernels on a GPU have in common: launches shaped by a call, sums over a warp and a block in
 * an order that the shape alone decides, and faults found in values.
 *
 * A kernel's host part is a function of op.h's kind, in the same .cu file:
 *
 *     extern "C" pr_status pr_relu_cuda(const pr_call *c) {
 *         return pr_launch_elements(c, relu, pr_size(c->out[0]), pr_floats(c->in[0]), ...);
 *     }
 */
#ifndef PR_KERNEL_CUH
#define PR_KERNEL_CUH

#include "backends/cuda_internal.h"
#include "backends/launch.cuh"

enum { PR_WARP = 32, PR_BLOCK = 256, PR_ARGUMENT_BYTES = 4096 /* that any kernel can be given */ };

/* ---- on the host ---- */

static inline cudaStream_t pr_stream(const pr_call *c) {
    return pr_cuda_of(c->backend)->stream;
}

/* i32 (3): tokens, sentences and longest sentence of the run at hand. */
static inline const int32_t *pr_live(const pr_call *c) {
    return c->backend->live;
}

static inline int64_t pr_size(pr_view v) {
    int64_t n = 1;
    for (int i = 0; i < v.shape.n_dims; i++)
        n *= v.shape.dim[i];
    return n;
}

/* The elements of a view that holds f32, i32 or u64. */
static inline float *pr_floats(pr_view v) {
    return (float *)v.data;
}

static inline int32_t *pr_integers(pr_view v) {
    return (int32_t *)v.data;
}

static inline uint64_t *pr_words(pr_view v) {
    return (uint64_t *)v.data;
}

/* Launches blocks of `threads`; nothing where there are no blocks. */
template <class... Parameters, class... Arguments>
static pr_status pr_launch_blocks(const pr_call *c, void (*kernel)(Parameters...), int64_t blocks,
                                  unsigned threads, size_t shared, Arguments... arguments) {
    if (blocks <= 0) return PR_OK;
    if (blocks > INT32_MAX) {
        return pr_fail(c->err, PR_UNSUPPORTED, "%s: a grid of %lld blocks is too large", c->name,
                       (long long)blocks);
    }
    return pr_cuda_launched(c, pr_launch(kernel, dim3((unsigned)blocks), dim3(threads), shared,
                                         pr_stream(c), arguments...));
}

/* Launches a thread for each of n elements, n itself the kernel's last parameter; see pr_element.
 */
template <class... Parameters, class... Arguments>
static pr_status pr_launch_elements(const pr_call *c, void (*kernel)(Parameters...), int64_t n,
                                    Arguments... arguments) {
    return pr_launch_blocks(c, kernel, (n + PR_BLOCK - 1) / PR_BLOCK, PR_BLOCK, 0, arguments..., n);
}

/* ---- on the device ---- */

/* This thread's element under pr_launch_elements; it may lie past the last. */
static __device__ inline int64_t pr_element(void) {
    return (int64_t)blockIdx.x * PR_BLOCK + threadIdx.x;
}

/* The last of 0 .. n - 1 that holds() is true of, where it is of all up to some number and of none
 * past it; 0 where it is of none. */
template <class Predicate> static __device__ inline int pr_find_last(int n, Predicate holds) {
    int low = 0, high = n;
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        if (holds(middle))
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* WIDTH floats, 1, 2 or 4, that are read and written at once: they lie at multiples of their size,
 * as rows do whose length is a multiple of WIDTH. */
template <int WIDTH> struct alignas(WIDTH * sizeof(float)) pr_pack { float at[WIDTH]; };

template <int WIDTH> static __device__ inline pr_pack<WIDTH> pr_read_pack(const float *from) {
    return *reinterpret_cast<const pr_pack<WIDTH> *>(from);
}

template <int WIDTH>
static __device__ inline void pr_write_pack(float *to, const pr_pack<WIDTH> &x) {
    *reinterpret_cast<pr_pack<WIDTH> *>(to) = x;
}

/* The sum over the lanes of a warp, all of which call it; the same in each. */
template <class T> static __device__ inline T pr_warp_sum(T x) {
    for (int distance = PR_WARP / 2; distance > 0; distance /= 2)
        x += __shfl_xor_sync(0xffffffffu, x, distance);
    return x;
}

static __device__ inline float pr_warp_max(float x) {
    for (int distance = PR_WARP / 2; distance > 0; distance /= 2)
        x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, distance));
    return x;
}

/* The sum over a block of THREADS threads, a multiple of 32, all of which call it; the same in
 * each. Calls may follow each other at once. */
template <int THREADS, class T> static __device__ inline T pr_block_sum(T x) {
    __shared__ T part[THREADS / PR_WARP];
    x = pr_warp_sum(x);
    __syncthreads(); /* nobody reads the parts of a call before */
    if (threadIdx.x % PR_WARP == 0) part[threadIdx.x / PR_WARP] = x;
    __syncthreads();
    T sum = 0;
    for (int i = 0; i < THREADS / PR_WARP; i++)
        sum += part[i];
    return sum;
}

/* ---- faults in values ---- */

/* What a kernel needs to tell of one: pr_fault_of on the host, pr_report on the device. */
struct pr_fault_site {
    pr_fault *fault;
    const char *format, *name;
};

/* format: one %s for the node's name, then up to three %lld. A string constant. */
static inline pr_fault_site pr_fault_of(const pr_call *c, const char *format) {
    return {pr_cuda_of(c->backend)->fault, format, c->name};
}

/* The first fault of a run stays; whoever waits for the run gets its message, as PR_BAD_ARGUMENT.
 * The kernel goes on, and touches nothing that is not its own. */
static __device__ inline void pr_report(const pr_fault_site &site, long long a, long long b = 0,
                                        long long c = 0) {
    if (atomicCAS(&site.fault->taken, 0, 1) != 0) return;
    site.fault->format = site.format;
    site.fault->name = site.name;
    site.fault->number[0] = a;
    site.fault->number[1] = b;
    site.fault->number[2] = c;
}

#endif
