/* dropout on a GPU (dropout.c has the formula): a block for each row, a thread for each four
 * columns, which share a draw. */
#include "ops/cuda.h"
#include "ops/dropout.cuh"

enum { X, RNG, OFFSETS };
enum { THREADS = 128 };

/* x, y (N, d) with offsets or (B, d) without; they may be the same. */
template <int WIDTH>
static __global__ void dropout(const float *x, float *y, int64_t d, pr_masks m, pr_sentences s) {
    int64_t row = blockIdx.x;
    if (s.offset && row == 0 && threadIdx.x < PR_WARP) pr_check_offsets(s);
    pr_row_masks mask = pr_masks_of(m, s, row);
    x += row * d;
    y += row * d;
    for (int64_t from = PR_DRAWN * threadIdx.x; from < d; from += PR_DRAWN * THREADS) {
        pr_philox draw = pr_draw_columns(mask, from);
#pragma unroll
        for (int i = 0; i < PR_DRAWN; i += WIDTH) {
            if (from + i >= d) break;
            pr_pack<WIDTH> v = pr_read_pack<WIDTH>(x + from + i);
            for (int k = 0; k < WIDTH; k++)
                v.at[k] = pr_drop(mask, draw.word[i + k], v.at[k]);
            pr_write_pack(y + from + i, v);
        }
    }
}

extern "C" pr_status pr_dropout_cuda(const pr_call *c) {
    pr_masks m = pr_masks_of_call(c, RNG);
    pr_sentences s = {pr_integers(c->in[OFFSETS]), pr_live(c),
                      pr_fault_of(c, PR_OFFSETS_ENDS("dropout")),
                      pr_fault_of(c, PR_OFFSETS_EMPTY("dropout"))};
    int64_t rows = c->in[X].shape.dim[0], d = c->in[X].shape.dim[1];
    return pr_launch_blocks(c, d % PR_DRAWN ? dropout<1> : dropout<PR_DRAWN>, rows, THREADS, 0,
                            pr_floats(c->in[X]), pr_floats(c->out[0]), d, m, s);
}
