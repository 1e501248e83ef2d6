/* embed and its gradient on a GPU (embed.c has the formulas). The gradient sorts tokens by counting
 * for each how many come before it, so that every rank is found on its own. */
#include "backends/kernel.cuh"
#include "ops/cuda.h"

enum { THREADS = 128, SCANNERS = 1024 };

#define OUTSIDE "embed '%s': id %lld at token %lld is outside the table's %lld rows"

/* The id of a token, one of the table's rows whatever was fed. */
static __device__ int32_t id_of(const int32_t *id, int64_t token, int64_t n_rows) {
    int32_t row = id[token];
    return row < 0 ? 0 : row < n_rows ? row : (int32_t)(n_rows - 1);
}

static __device__ void check_id(const int32_t *id, int64_t token, int64_t n_rows,
                                const pr_fault_site &site) {
    if (id[token] < 0 || id[token] >= n_rows) pr_report(site, id[token], token, n_rows);
}

static __device__ float widen(float x) {
    return x;
}

static __device__ float widen(__nv_bfloat16 x) {
    return __bfloat162float(x);
}

/* table (V, d), id (N), y (N, d): a block a token. Those past the run's own have id 0. */
template <class T>
static __global__ void embed(const T *table, const int32_t *id, float *y, int64_t d, int64_t n_rows,
                             const int32_t *live, pr_fault_site outside) {
    int64_t token = blockIdx.x;
    if (token < live[PR_LIVE_TOKENS] && threadIdx.x == 0) check_id(id, token, n_rows, outside);
    const T *row = table + id_of(id, token, n_rows) * d;
    for (int64_t i = threadIdx.x; i < d; i += THREADS)
        y[token * d + i] = widen(row[i]);
}

extern "C" pr_status pr_embed_cuda(const pr_call *c) {
    int64_t n_rows = c->in[0].shape.dim[0], d = c->in[0].shape.dim[1], n = c->in[1].shape.dim[0];
    const int32_t *id = pr_integers(c->in[1]);
    float *y = pr_floats(c->out[0]);
    pr_fault_site outside = pr_fault_of(c, OUTSIDE);
    if (c->in[0].dtype == PR_BF16) {
        return pr_launch_blocks(c, embed<__nv_bfloat16>, n, THREADS, 0,
                                (const __nv_bfloat16 *)c->in[0].data, id, y, d, n_rows, pr_live(c),
                                outside);
    }
    return pr_launch_blocks(c, embed<float>, n, THREADS, 0, pr_floats(c->in[0]), id, y, d, n_rows,
                            pr_live(c), outside);
}

/* ---- the gradient ---- */

/* order (N): the live tokens by id, ties in order. A block a token, which counts. */
static __global__ void rank_tokens(const int32_t *id, int32_t *order, int64_t n_rows,
                                   const int32_t *live, pr_fault_site outside) {
    int64_t token = blockIdx.x;
    if (token >= live[PR_LIVE_TOKENS]) return;
    if (threadIdx.x == 0) check_id(id, token, n_rows, outside);
    int32_t own = id_of(id, token, n_rows), before = 0;
    for (int64_t j = threadIdx.x; j < live[PR_LIVE_TOKENS]; j += THREADS) {
        int32_t other = id_of(id, j, n_rows);
        before += other < own || (other == own && j < token);
    }
    before = pr_block_sum<THREADS>(before);
    if (threadIdx.x == 0) order[before] = (int32_t)token;
}

/* start (N + 1): where each distinct id's tokens begin in order, and behind the last the end;
 * distinct (N), -1 past their count (1). By one block, some tokens at a time. */
static __global__ void __launch_bounds__(SCANNERS)
    list_distinct(const int32_t *id, const int32_t *order, int32_t *start, int32_t *distinct,
                  int32_t *count, int64_t n, int64_t n_rows, const int32_t *live) {
    __shared__ int32_t begins[SCANNERS];
    int64_t tokens = live[PR_LIVE_TOKENS];
    int32_t found = 0;
    for (int64_t from = 0; from < tokens; from += SCANNERS) {
        int64_t k = from + threadIdx.x;
        int32_t own = k < tokens ? id_of(id, order[k], n_rows) : 0;
        bool first = k < tokens && (k == 0 || id_of(id, order[k - 1], n_rows) != own);
        begins[threadIdx.x] = first;
        __syncthreads();
        for (int distance = 1; distance < SCANNERS; distance *= 2) {
            int32_t left = (int)threadIdx.x >= distance ? begins[threadIdx.x - distance] : 0;
            __syncthreads();
            begins[threadIdx.x] += left;
            __syncthreads();
        }
        int32_t row = found + begins[threadIdx.x] - 1;
        if (first) {
            start[row] = (int32_t)k;
            distinct[row] = own;
        }
        found += begins[SCANNERS - 1];
        __syncthreads(); /* all have read what the next round writes */
    }
    for (int64_t k = found + threadIdx.x; k < n; k += SCANNERS)
        distinct[k] = -1;
    if (threadIdx.x == 0) {
        start[found] = (int32_t)tokens;
        *count = found;
    }
}

/* values (N, d): the sums of dy's rows (N, d) that share an id, in order; zeros past the count. */
static __global__ void sum_shared(const float *dy, const int32_t *order, const int32_t *start,
                                  const int32_t *count, float *values, int64_t d) {
    int64_t row = blockIdx.x;
    bool exists = row < *count;
    for (int64_t i = threadIdx.x; i < d; i += THREADS) {
        float sum = 0.0f;
        for (int32_t k = exists ? start[row] : 0; exists && k < start[row + 1]; k++)
            sum = k == start[row] ? dy[order[k] * d + i] : sum + dy[order[k] * d + i];
        values[row * d + i] = sum;
    }
}

/* The order, then the starts. */
extern "C" size_t pr_embed_grad_cuda_workspace(const pr_call *c) {
    return ((size_t)c->in[1].shape.dim[0] * 2 + 1) * sizeof(int32_t);
}

extern "C" pr_status pr_embed_grad_cuda(const pr_call *c) {
    int64_t n = c->in[1].shape.dim[0], d = c->in[0].shape.dim[1], n_rows = c->attr.i[0];
    const int32_t *id = pr_integers(c->in[1]);
    int32_t *order = (int32_t *)c->workspace, *start = order + n;
    int32_t *distinct = pr_integers(c->out[1]), *count = pr_integers(c->out[2]);
    pr_status status = pr_launch_blocks(c, rank_tokens, n, THREADS, 0, id, order, n_rows,
                                        pr_live(c), pr_fault_of(c, OUTSIDE));
    if (status != PR_OK) return status;
    status = pr_launch_blocks(c, list_distinct, 1, SCANNERS, 0, id, order, start, distinct, count,
                              n, n_rows, pr_live(c));
    if (status != PR_OK) return status;
    return pr_launch_blocks(c, sum_shared, n, THREADS, 0, pr_floats(c->in[0]), order, start, count,
                            pr_floats(c->out[0]), d);
}
