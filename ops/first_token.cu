/* first_token and its gradient on a GPU (first_token.c has the formulas): a block for each row of
 * what is made. Rows that are no sentence's, or no first, are zero. */
#include "ops/cuda.h"
#include "ops/offsets.cuh"

enum { THREADS = 128 };

/* to = from, or zeros where from is NULL; (d). */
static __device__ void copy_row(float *to, const float *from, int64_t d) {
    for (int64_t i = threadIdx.x; i < d; i += THREADS)
        to[i] = from ? from[i] : 0.0f;
}

/* x (N, d), y (B, d). */
static __global__ void first_token(const float *x, float *y, int64_t d, pr_sentences s) {
    int64_t sentence = blockIdx.x;
    if (sentence == 0 && threadIdx.x < PR_WARP) pr_check_offsets(s);
    int64_t row = sentence < s.live[PR_LIVE_SENTENCES] ? s.offset[sentence] : -1;
    bool exists = row >= 0 && row < s.live[PR_LIVE_TOKENS];
    copy_row(y + sentence * d, exists ? x + row * d : nullptr, d);
}

/* dy (B, d), dx (N, d). */
static __global__ void first_token_grad(const float *dy, float *dx, int64_t d, pr_sentences s) {
    int64_t row = blockIdx.x;
    if (row == 0 && threadIdx.x < PR_WARP) pr_check_offsets(s);
    int64_t sentence = pr_sentence_of(s, row);
    bool first = s.offset[sentence] == row;
    copy_row(dx + row * d, first ? dy + sentence * d : nullptr, d);
}

extern "C" pr_status pr_first_token_cuda(const pr_call *c) {
    pr_sentences s = {pr_integers(c->in[1]), pr_live(c),
                      pr_fault_of(c, PR_OFFSETS_ENDS("first_token")),
                      pr_fault_of(c, PR_OFFSETS_EMPTY("first_token"))};
    return pr_launch_blocks(c, first_token, c->out[0].shape.dim[0], THREADS, 0, pr_floats(c->in[0]),
                            pr_floats(c->out[0]), c->out[0].shape.dim[1], s);
}

extern "C" pr_status pr_first_token_grad_cuda(const pr_call *c) {
    pr_sentences s = {pr_integers(c->in[1]), pr_live(c),
                      pr_fault_of(c, PR_OFFSETS_ENDS("first_token_grad")),
                      pr_fault_of(c, PR_OFFSETS_EMPTY("first_token_grad"))};
    return pr_launch_blocks(c, first_token_grad, c->out[0].shape.dim[0], THREADS, 0,
                            pr_floats(c->in[0]), pr_floats(c->out[0]), c->out[0].shape.dim[1], s);
}
