/* attention_grad on a GPU (attention_grad.c has the formulas): one kernel goes over keys for tiles
 * of queries and makes dq, one over queries for tiles of keys and makes dk and dv; each draws
 * weights and masks again. Nothing is added up between blocks. */
#include "ops/attention_tiles.cuh"
#include "ops/cuda.h"

enum { Q, K, V, OFFSETS, RNG, Y, LSE, DY };

struct operands {
    const float *q, *k, *v, *y, *dy; /* q, y, dy (N, d) or (B, d); k, v (N, d) */
    const float *lse;                /* (rows of q, heads) */
    float *dq, *dk, *dv;             /* as q, k and v; NULL where unread */
    float *delta;          /* as lse: the sums of y dy, which softmax's gradient takes off */
    int64_t queries, keys; /* rows of q, and of k */
};

/* delta and lse of a warp's rows, of which `rows` exist. */
template <int COLUMNS>
static __device__ inline void find_deltas(const operands &o, const pr_heads &h, int64_t first,
                                          const pr_block_head &b, int64_t rows, const float *dy,
                                          float *delta, float *lse) {
    int lane = (int)threadIdx.x % PR_WARP;
    for (int r = 0; r < PR_ROWS; r++) {
        float sum = 0.0f;
        for (int c = 0; c < COLUMNS; c++) {
            int k = lane + PR_WARP * c;
            if (r >= rows || k >= h.size) continue;
            sum += o.y[(first + r) * h.d + b.column + k] * dy[r * h.stride + k];
        }
        delta[r] = pr_warp_sum(sum);
        lse[r] = r < rows ? o.lse[(first + r) * h.heads + b.head] : 0.0f;
        if (lane == 0 && r < rows) o.delta[(first + r) * h.heads + b.head] = delta[r];
    }
}

/* Makes dq, where it is read, and delta. Shared: tiles of q and dy, groups of k and v, weights. */
template <int COLUMNS, int WIDTH>
static __global__ void __launch_bounds__(PR_ATTENTION_THREADS)
    make_dq(operands o, pr_heads h, pr_masks dropout) {
    pr_check_sentences(h);
    const pr_block_head b = pr_block_head_of(h, h.one);
    pr_clear_surplus(o.dq, h, b, h.sentences.live[h.one], o.queries);
    if (b.from >= b.queries) return;
    int lane = (int)threadIdx.x % PR_WARP, warp = (int)threadIdx.x / PR_WARP, row = warp * PR_ROWS;
    float *q = pr_shared<float>(), *dy = q + PR_TILE * h.stride;
    float *k = dy + PR_TILE * h.stride, *v = k + PR_WARP * h.stride;
    pr_weights *weight = reinterpret_cast<pr_weights *>(v + PR_WARP * h.stride) + warp * PR_WARP;
    pr_load_rows<WIDTH>(o.q, h, b.first_query, b.column, b.from, b.queries, PR_TILE, q);
    pr_load_rows<WIDTH>(o.dy, h, b.first_query, b.column, b.from, b.queries, PR_TILE, dy);
    __syncthreads();
    float total[PR_ROWS][COLUMNS] = {}, lse[PR_ROWS], delta[PR_ROWS], score[PR_ROWS], dp[PR_ROWS];
    int64_t first = b.from + row, rows = b.queries - first; /* the warp's */
    find_deltas<COLUMNS>(o, h, b.first_query + first, b, rows, dy + row * h.stride, delta, lse);
    for (int64_t key = 0; o.dq && key < b.length; key += PR_WARP) {
        int count = b.length - key < PR_WARP ? (int)(b.length - key) : (int)PR_WARP;
        __syncthreads(); /* nobody reads the group before */
        pr_load_rows<WIDTH>(o.k, h, b.first, b.column, key, b.length, PR_WARP, k);
        pr_load_rows<WIDTH>(o.v, h, b.first, b.column, key, b.length, PR_WARP, v);
        __syncthreads();
        if (rows <= 0) continue; /* all lanes alike */
        pr_weights mask = {1.0f, 1.0f, 1.0f, 1.0f}, ds;
        if (dropout.p != 0.0f) mask = pr_masks_of_key(dropout, b, first, key, weight);
        pr_products<WIDTH>(q + row * h.stride, k + lane * h.stride, h, score);
        pr_products<WIDTH>(dy + row * h.stride, v + lane * h.stride, h, dp);
        for (int r = 0; r < PR_ROWS; r++) {
            float p = expf(score[r] * h.scale - lse[r]);
            ds.at[r] = p * (dp[r] * mask.at[r] - delta[r]) * h.scale;
        }
        weight[lane] = ds;
        __syncwarp();
        pr_add_weighted<COLUMNS>(weight, k, h, count, total);
    }
    if (o.dq) pr_store_rows<COLUMNS>(o.dq, h, b.first_query + first, b.column, rows, total);
}

/* Makes those of dk, which needs delta, and dv that are read. Shared: tiles of k and v, groups of q
 * and dy, weights of dy and of q. */
template <int COLUMNS, int WIDTH>
static __global__ void __launch_bounds__(PR_ATTENTION_THREADS)
    make_dk_dv(operands o, pr_heads h, pr_masks dropout) {
    pr_check_sentences(h);
    const pr_block_head b = pr_block_head_of(h, false);
    pr_clear_surplus(o.dk, h, b, h.sentences.live[PR_LIVE_TOKENS], o.keys);
    pr_clear_surplus(o.dv, h, b, h.sentences.live[PR_LIVE_TOKENS], o.keys);
    if (b.from >= b.length) return;
    int lane = (int)threadIdx.x % PR_WARP, warp = (int)threadIdx.x / PR_WARP, row = warp * PR_ROWS;
    float *k = pr_shared<float>(), *v = k + PR_TILE * h.stride;
    float *q = v + PR_TILE * h.stride, *dy = q + PR_WARP * h.stride;
    pr_weights *by_dy = reinterpret_cast<pr_weights *>(dy + PR_WARP * h.stride) + warp * PR_WARP;
    pr_weights *by_q = by_dy + PR_ATTENTION_THREADS;
    pr_load_rows<WIDTH>(o.k, h, b.first, b.column, b.from, b.length, PR_TILE, k);
    pr_load_rows<WIDTH>(o.v, h, b.first, b.column, b.from, b.length, PR_TILE, v);
    float total_k[PR_ROWS][COLUMNS] = {}, total_v[PR_ROWS][COLUMNS] = {};
    float score[PR_ROWS], dp[PR_ROWS] = {};
    int64_t first = b.from + row, rows = b.length - first; /* the warp's */
    for (int64_t query = 0; query < b.queries; query += PR_WARP) {
        int count = b.queries - query < PR_WARP ? (int)(b.queries - query) : (int)PR_WARP;
        __syncthreads(); /* nobody reads the group before */
        pr_load_rows<WIDTH>(o.q, h, b.first_query, b.column, query, b.queries, PR_WARP, q);
        pr_load_rows<WIDTH>(o.dy, h, b.first_query, b.column, query, b.queries, PR_WARP, dy);
        __syncthreads();
        if (rows <= 0) continue; /* all lanes alike */
        int64_t own = (b.first_query + query + (lane < count ? lane : 0)) * h.heads + b.head;
        float lse = o.lse[own], delta = o.dk ? o.delta[own] : 0.0f;
        pr_weights mask = {1.0f, 1.0f, 1.0f, 1.0f}, p, ds;
        if (dropout.p != 0.0f) mask = pr_draw_mask(dropout, b, query + lane, first);
        pr_products<WIDTH>(k + row * h.stride, q + lane * h.stride, h, score);
        if (o.dk) pr_products<WIDTH>(v + row * h.stride, dy + lane * h.stride, h, dp);
        for (int r = 0; r < PR_ROWS; r++) {
            p.at[r] = expf(score[r] * h.scale - lse);
            ds.at[r] = p.at[r] * (dp[r] * mask.at[r] - delta) * h.scale;
            p.at[r] *= mask.at[r];
        }
        by_dy[lane] = p;
        by_q[lane] = ds;
        __syncwarp();
        if (o.dv) pr_add_weighted<COLUMNS>(by_dy, dy, h, count, total_v);
        if (o.dk) pr_add_weighted<COLUMNS>(by_q, q, h, count, total_k);
    }
    if (o.dk) pr_store_rows<COLUMNS>(o.dk, h, b.first + first, b.column, rows, total_k);
    if (o.dv) pr_store_rows<COLUMNS>(o.dv, h, b.first + first, b.column, rows, total_v);
}

typedef void (*gradient_kernel)(operands, pr_heads, pr_masks);

static gradient_kernel dq_kernel_for(int32_t size) {
    if (!pr_reads_by_four(size)) return make_dq<PR_MOST_COLUMNS, 1>;
    return size <= PR_WARP ? make_dq<1, 4> : make_dq<2, 4>;
}

static gradient_kernel dk_dv_kernel_for(int32_t size) {
    if (!pr_reads_by_four(size)) return make_dk_dv<PR_MOST_COLUMNS, 1>;
    return size <= PR_WARP ? make_dk_dv<1, 4> : make_dk_dv<2, 4>;
}

/* delta. */
extern "C" size_t pr_attention_grad_cuda_workspace(const pr_call *c) {
    return (size_t)pr_size(c->in[LSE]) * sizeof(float);
}

extern "C" pr_status pr_attention_grad_cuda(const pr_call *c) {
    pr_heads h = pr_heads_of(c, pr_fault_of(c, PR_OFFSETS_ENDS("attention_grad")),
                             pr_fault_of(c, PR_OFFSETS_EMPTY("attention_grad")),
                             pr_fault_of(c, PR_SENTENCE_TOO_LONG("attention_grad")));
    pr_masks dropout = pr_masks_of_call(c, RNG);
    operands o = {};
    o.q = pr_floats(c->in[Q]);
    o.k = pr_floats(c->in[K]);
    o.v = pr_floats(c->in[V]);
    o.y = pr_floats(c->in[Y]);
    o.dy = pr_floats(c->in[DY]);
    o.lse = pr_floats(c->in[LSE]);
    o.dq = pr_floats(c->out[0]);
    o.dk = pr_floats(c->out[1]);
    o.dv = pr_floats(c->out[2]);
    o.delta = (float *)c->workspace;
    o.queries = c->in[Q].shape.dim[0];
    o.keys = c->in[K].shape.dim[0];
    pr_status status = PR_OK;
    if (o.dq || o.dk) {
        status = pr_launch_heads(c, dq_kernel_for(h.size), h, h.one, pr_attention_shared(h, 2, 1),
                                 o, h, dropout);
    }
    if (status != PR_OK || !(o.dk || o.dv)) return status;
    return pr_launch_heads(c, dk_dv_kernel_for(h.size), h, false, pr_attention_shared(h, 2, 2), o,
                           h, dropout);
}
