/* How the warps of attention's blocks multiply: rows of a tile by those of a group, in shared
 * memory, and what weights are dropped. */
#ifndef PR_ATTENTION_TILES_CUH
#define PR_ATTENTION_TILES_CUH

#include "ops/attention.cuh"
#include "ops/dropout.cuh"

/* Rows `from` .. + count - 1 of a head of x (N, d), the sentence's first being row `first`, to
 * shared memory; zeros past its `rows`. The whole block calls it. */
template <int WIDTH>
static __device__ inline void pr_load_rows(const float *x, const pr_heads &h, int64_t first,
                                           int64_t column, int64_t from, int64_t rows, int count,
                                           float *to) {
    int packs = h.size / WIDTH;
    for (int i = (int)threadIdx.x; i < count * packs; i += PR_ATTENTION_THREADS) {
        int row = i / packs, k = i % packs * WIDTH;
        pr_pack<WIDTH> v = {};
        if (from + row < rows) v = pr_read_pack<WIDTH>(x + (first + from + row) * h.d + column + k);
        pr_write_pack(to + row * h.stride + k, v);
    }
}

/* The head's columns of x (rows, d), rows past the run's own: zeros. x may be NULL. */
static __device__ inline void pr_clear_surplus(float *x, const pr_heads &h, const pr_block_head &b,
                                               int64_t from, int64_t rows) {
    if (!b.leads || !x) return;
    for (int64_t i = threadIdx.x; i < (rows - from) * h.size; i += PR_ATTENTION_THREADS)
        x[(from + i / h.size) * h.d + b.column + i % h.size] = 0.0f;
}

/* The products of a warp's rows with the lane's own row of the other side. */
template <int WIDTH>
static __device__ inline void pr_products(const float *rows, const float *own, const pr_heads &h,
                                          float *product) {
#pragma unroll
    for (int r = 0; r < PR_ROWS; r++)
        product[r] = 0.0f;
    for (int k = 0; k < h.size; k += WIDTH) {
        pr_pack<WIDTH> b = pr_read_pack<WIDTH>(own + k);
#pragma unroll
        for (int r = 0; r < PR_ROWS; r++) {
            pr_pack<WIDTH> a = pr_read_pack<WIDTH>(rows + r * h.stride + k);
#pragma unroll
            for (int i = 0; i < WIDTH; i++)
                product[r] += a.at[i] * b.at[i];
        }
    }
}

/* total[r][c] += the sum of weight[j].at[r] rows[j][lane + 32 c] over the first `count` rows of the
 * other side; weight (32) is the warp's, written by its lanes before. */
template <int COLUMNS>
static __device__ inline void pr_add_weighted(const pr_weights *weight, const float *rows,
                                              const pr_heads &h, int count,
                                              float (*total)[COLUMNS]) {
    int lane = (int)threadIdx.x % PR_WARP;
    for (int j = 0; j < count; j++) {
        pr_weights w = weight[j];
#pragma unroll
        for (int c = 0; c < COLUMNS; c++) {
            float x = lane + PR_WARP * c < h.size ? rows[j * h.stride + lane + PR_WARP * c] : 0.0f;
#pragma unroll
            for (int r = 0; r < PR_ROWS; r++)
                total[r][c] += w.at[r] * x;
        }
    }
}

/* A warp's rows of the tile to x (N, d), as many as there are; row: where x has the first. */
template <int COLUMNS>
static __device__ inline void pr_store_rows(float *x, const pr_heads &h, int64_t row,
                                            int64_t column, int64_t rows,
                                            const float (*total)[COLUMNS]) {
    int lane = (int)threadIdx.x % PR_WARP;
#pragma unroll
    for (int r = 0; r < PR_ROWS; r++) {
#pragma unroll
        for (int c = 0; c < COLUMNS; c++) {
            int k = lane + PR_WARP * c;
            if (r < rows && k < h.size) x[(row + r) * h.d + column + k] = total[r][c];
        }
    }
}

/* ---- dropout ---- */

/* What the weights of a query by the four keys from number `key` on are multiplied by: 0 or
 * 1 / (1 - p). */
static __device__ inline pr_weights pr_draw_mask(const pr_masks &d, const pr_block_head &b,
                                                 int64_t query, int64_t key) {
    pr_philox draw = pr_dropout_draw(pr_philox_key(d.rng[0], d.site), (uint32_t)d.rng[1],
                                     (uint32_t)(d.rng[2] + (uint64_t)b.sentence),
                                     (uint32_t)b.head << 16 | (uint32_t)query, (uint32_t)(key / 4));
    uint32_t threshold = pr_dropout_threshold(d.p);
    pr_weights mask;
#pragma unroll
    for (int i = 0; i < PR_ROWS; i++)
        mask.at[i] = draw.word[i] >= threshold ? 1.0f / (1.0f - d.p) : 0.0f;
    return mask;
}

/* What the weights of a warp's queries, from number `query` on, by the lane's key (`key` is lane
 * 0's) are multiplied by. Each lane draws for one query and four keys; room (32) is the warp's,
 * which reads nothing there any more. */
static __device__ inline pr_weights pr_masks_of_key(const pr_masks &d, const pr_block_head &b,
                                                    int64_t query, int64_t key, pr_weights *room) {
    int lane = (int)threadIdx.x % PR_WARP, row = lane / 8, group = lane % 8 * PR_ROWS;
    pr_weights drawn = pr_draw_mask(d, b, query + row, key + group);
#pragma unroll
    for (int i = 0; i < PR_ROWS; i++)
        room[group + i].at[row] = drawn.at[i];
    __syncwarp();
    return room[lane];
}

#endif
