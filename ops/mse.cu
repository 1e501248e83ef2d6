/* mse and its gradient on a GPU (mse.c has the formulas), over the run's own sentences. */
#include "backends/kernel.cuh"
#include "ops/cuda.h"

/* x (B, 1), target (B), loss (1); by one block. */
static __global__ void mse(const float *x, const float *target, const int32_t *live, float *loss) {
    int sentences = live[PR_LIVE_SENTENCES];
    double sum = 0.0;
    for (int b = threadIdx.x; b < sentences; b += PR_BLOCK) {
        double difference = (double)x[b] - target[b];
        sum += difference * difference;
    }
    sum = pr_block_sum<PR_BLOCK>(sum);
    if (threadIdx.x == 0) *loss = (float)(sum / (double)sentences);
}

/* dloss (1), x (B, 1), target (B), dx (B, 1), which may be x. */
static __global__ void mse_grad(const float *dloss, const float *x, const float *target, float *dx,
                                const int32_t *live, int64_t n) {
    int64_t b = pr_element();
    if (b >= n) return;
    double scale = *dloss * 2.0 / (double)live[PR_LIVE_SENTENCES];
    dx[b] = b < live[PR_LIVE_SENTENCES] ? (float)(scale * ((double)x[b] - target[b])) : 0.0f;
}

extern "C" pr_status pr_mse_cuda(const pr_call *c) {
    return pr_launch_blocks(c, mse, 1, PR_BLOCK, 0, pr_floats(c->in[0]), pr_floats(c->in[1]),
                            pr_live(c), pr_floats(c->out[0]));
}

extern "C" pr_status pr_mse_grad_cuda(const pr_call *c) {
    return pr_launch_elements(c, mse_grad, pr_size(c->out[0]), pr_floats(c->in[0]),
                              pr_floats(c->in[1]), pr_floats(c->in[2]), pr_floats(c->out[0]),
                              pr_live(c));
}
