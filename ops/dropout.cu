/* dropout on a GPU (dropout.c has the formula): a block for each row, a thread for each four
 * columns, which share a draw. Rows past the run's tokens draw as if the last sentence held them.
 */
#include "backends/philox.h"
#include "ops/cuda.h"
#include "ops/offsets.cuh"

enum { X, RNG, OFFSETS };
enum { THREADS = 128, DRAWN = 4 /* columns of a draw */ };

struct masks {
    uint64_t site;
    const uint64_t *rng; /* (3) */
    float p;
};

/* x, y (N, d) with offsets or (B, d) without; they may be the same. */
template <int WIDTH>
static __global__ void dropout(const float *x, float *y, int64_t d, masks m, pr_sentences s) {
    int64_t row = blockIdx.x;
    bool packed = s.offset != nullptr;
    if (packed && row == 0 && threadIdx.x < PR_WARP) pr_check_offsets(s);
    int64_t sentence = packed ? pr_sentence_of(s, row) : row;
    uint32_t position = packed ? (uint32_t)(row - s.offset[sentence]) : 0;
    uint64_t key = pr_philox_key(m.rng[0], m.site);
    uint32_t number = (uint32_t)(m.rng[2] + (uint64_t)sentence);
    uint32_t threshold = pr_dropout_threshold(m.p);
    float scale = 1.0f / (1.0f - m.p);
    x += row * d;
    y += row * d;
    for (int64_t from = DRAWN * threadIdx.x; from < d; from += DRAWN * THREADS) {
        pr_philox draw =
            pr_dropout_draw(key, (uint32_t)m.rng[1], number, position, (uint32_t)(from / DRAWN));
#pragma unroll
        for (int i = 0; i < DRAWN; i += WIDTH) {
            if (from + i >= d) break;
            pr_pack<WIDTH> v = pr_read_pack<WIDTH>(x + from + i);
            for (int k = 0; k < WIDTH; k++)
                v.at[k] = draw.word[i + k] < threshold ? 0.0f : v.at[k] * scale;
            pr_write_pack(y + from + i, v);
        }
    }
}

extern "C" pr_status pr_dropout_cuda(const pr_call *c) {
    masks m = {c->attr.site, pr_words(c->in[RNG]), c->attr.f[0]};
    pr_sentences s = {pr_integers(c->in[OFFSETS]), pr_live(c),
                      pr_fault_of(c, PR_OFFSETS_ENDS("dropout")),
                      pr_fault_of(c, PR_OFFSETS_EMPTY("dropout"))};
    int64_t rows = c->in[X].shape.dim[0], d = c->in[X].shape.dim[1];
    return pr_launch_blocks(c, d % DRAWN ? dropout<1> : dropout<DRAWN>, rows, THREADS, 0,
                            pr_floats(c->in[X]), pr_floats(c->out[0]), d, m, s);
}
