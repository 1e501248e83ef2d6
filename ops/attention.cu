/* attention on a GPU (attention.c has the formula): scores stay in registers, and softmax goes on
 * from one group of keys to the next (Milakov and Gimelshein: "Online normalizer calculation for
 * softmax", 2018, algorithm 3). */
#include "ops/attention_tiles.cuh"
#include "ops/cuda.h"

enum { Q, K, V, OFFSETS, RNG };

/* Rows of q and y, and of k and v. */
struct attended {
    const float *q, *k, *v; /* q (N, d) or (B, d); k, v (N, d) */
    float *y, *lse;         /* as q; (.., heads) or NULL */
    int64_t queries;        /* rows of q */
};

/* The softmax of a warp's rows so far, by the keys that this lane had. */
struct progress {
    float most[PR_ROWS]; /* of the scores, of all lanes */
    float sum[PR_ROWS];  /* of exp(score - most) */
};

/* Goes on with the lane's scores: what they weigh, before dropout; total, what was summed up with
 * weights so far, is brought to the new most. */
template <int COLUMNS>
static __device__ inline pr_weights soften(const float *score, progress *so_far,
                                           float (*total)[COLUMNS]) {
    pr_weights weight;
#pragma unroll
    for (int r = 0; r < PR_ROWS; r++) {
        float most = fmaxf(so_far->most[r], pr_warp_max(score[r]));
        float shrink = expf(so_far->most[r] - most);
        weight.at[r] = expf(score[r] - most);
        so_far->most[r] = most;
        so_far->sum[r] = so_far->sum[r] * shrink + weight.at[r];
#pragma unroll
        for (int c = 0; c < COLUMNS; c++)
            total[r][c] *= shrink;
    }
    return weight;
}

/* Rows of y and lse past the run's own: zeros. */
static __device__ void clear_surplus(const attended &a, const pr_heads &h, const pr_block_head &b) {
    int64_t own = h.sentences.live[h.one];
    pr_clear_surplus(a.y, h, b, own, a.queries);
    if (!b.leads || !a.lse) return;
    for (int64_t i = own + threadIdx.x; i < a.queries; i += PR_ATTENTION_THREADS)
        a.lse[i * h.heads + b.head] = 0.0f;
}

/* Shared: q's tile, groups of k and of v, weights. */
template <int COLUMNS, int WIDTH>
static __global__ void __launch_bounds__(PR_ATTENTION_THREADS)
    attend(attended a, pr_heads h, pr_masks dropout) {
    pr_check_sentences(h);
    const pr_block_head b = pr_block_head_of(h, h.one);
    clear_surplus(a, h, b);
    if (b.from >= b.queries) return;
    int lane = (int)threadIdx.x % PR_WARP, warp = (int)threadIdx.x / PR_WARP, row = warp * PR_ROWS;
    float *q = pr_shared<float>(), *k = q + PR_TILE * h.stride, *v = k + PR_WARP * h.stride;
    pr_weights *weight = reinterpret_cast<pr_weights *>(v + PR_WARP * h.stride) + warp * PR_WARP;
    pr_load_rows<WIDTH>(a.q, h, b.first_query, b.column, b.from, b.queries, PR_TILE, q);
    float total[PR_ROWS][COLUMNS] = {}, score[PR_ROWS];
    progress so_far = {};
    for (int r = 0; r < PR_ROWS; r++)
        so_far.most[r] = -INFINITY;
    int64_t first = b.from + row, rows = b.queries - first; /* the warp's */
    for (int64_t key = 0; key < b.length; key += PR_WARP) {
        int count = b.length - key < PR_WARP ? (int)(b.length - key) : (int)PR_WARP;
        __syncthreads(); /* nobody reads the group before */
        pr_load_rows<WIDTH>(a.k, h, b.first, b.column, key, b.length, PR_WARP, k);
        pr_load_rows<WIDTH>(a.v, h, b.first, b.column, key, b.length, PR_WARP, v);
        __syncthreads();
        if (rows <= 0) continue; /* all lanes alike */
        pr_products<WIDTH>(q + row * h.stride, k + lane * h.stride, h, score);
        for (int r = 0; r < PR_ROWS; r++)
            score[r] = lane < count ? score[r] * h.scale : -INFINITY;
        pr_weights mine = soften<COLUMNS>(score, &so_far, total);
        if (dropout.p != 0.0f) {
            pr_weights mask = pr_masks_of_key(dropout, b, first, key, weight);
            for (int r = 0; r < PR_ROWS; r++)
                mine.at[r] *= mask.at[r];
        }
        weight[lane] = mine;
        __syncwarp();
        pr_add_weighted<COLUMNS>(weight, v, h, count, total);
    }
    for (int r = 0; r < PR_ROWS; r++) {
        float sum = pr_warp_sum(so_far.sum[r]);
        for (int c = 0; c < COLUMNS; c++)
            total[r][c] /= sum;
        if (!a.lse || lane != 0 || r >= rows) continue;
        a.lse[(b.first_query + first + r) * h.heads + b.head] = so_far.most[r] + logf(sum);
    }
    pr_store_rows<COLUMNS>(a.y, h, b.first_query + first, b.column, rows, total);
}

static decltype(&attend<1, 4>) kernel_for(int32_t size) {
    if (!pr_reads_by_four(size)) return attend<PR_MOST_COLUMNS, 1>;
    return size <= PR_WARP ? attend<1, 4> : attend<2, 4>;
}

extern "C" pr_status pr_attention_cuda(const pr_call *c) {
    pr_heads h = pr_heads_of(c, pr_fault_of(c, PR_OFFSETS_ENDS("attention")),
                             pr_fault_of(c, PR_OFFSETS_EMPTY("attention")),
                             pr_fault_of(c, PR_SENTENCE_TOO_LONG("attention")));
    attended a = {pr_floats(c->in[Q]),  pr_floats(c->in[K]),  pr_floats(c->in[V]),
                  pr_floats(c->out[0]), pr_floats(c->out[1]), c->in[Q].shape.dim[0]};
    return pr_launch_heads(c, kernel_for(h.size), h, h.one, pr_attention_shared(h, 1, 1), a, h,
                           pr_masks_of_call(c, RNG));
}
