/* cross_entropy and its gradient on a GPU (cross_entropy.c has the formulas), over the run's own
 * sentences: a warp for each. */
#include "backends/kernel.cuh"
#include "ops/cuda.h"

/* Many warps: the loss is made by one block, so that its sum has one order. */
enum { LOSS_THREADS = 512, LOSS_ROWS = LOSS_THREADS / PR_WARP, GRAD_ROWS = PR_BLOCK / PR_WARP };

/* logits (B, classes), label (B). */
struct examples {
    const float *logits;
    const int32_t *label, *live;
    int64_t classes;
    pr_fault_site outside;
};

/* log of the sum of e^z over a row, by the warp that calls it. */
static __device__ double log_sum(const float *z, int64_t n) {
    int64_t lane = threadIdx.x % PR_WARP;
    float most = -INFINITY;
    for (int64_t i = lane; i < n; i += PR_WARP)
        most = fmaxf(most, z[i]);
    most = pr_warp_max(most);
    double sum = 0.0;
    for (int64_t i = lane; i < n; i += PR_WARP)
        sum += exp((double)z[i] - most);
    return most + log(pr_warp_sum(sum));
}

/* Whether sentence b's label is a class; it is reported where not. */
static __device__ bool label_fits(const examples &e, int64_t b) {
    int label = e.label[b];
    if (label >= 0 && label < e.classes) return true;
    if (threadIdx.x % PR_WARP == 0) pr_report(e.outside, label, b, e.classes);
    return false;
}

/* loss (1); by one block. */
static __global__ void __launch_bounds__(LOSS_THREADS) cross_entropy(examples e, float *loss) {
    int sentences = e.live[PR_LIVE_SENTENCES];
    double sum = 0.0; /* in a warp's first lane */
    for (int b = threadIdx.x / PR_WARP; b < sentences; b += LOSS_ROWS) {
        if (!label_fits(e, b)) continue;
        const float *z = e.logits + b * e.classes;
        double term = log_sum(z, e.classes) - z[e.label[b]];
        if (threadIdx.x % PR_WARP == 0) sum += term;
    }
    sum = pr_block_sum<LOSS_THREADS>(sum);
    if (threadIdx.x == 0) *loss = (float)(sum / (double)sentences);
}

/* dloss (1); dz (n, classes), which may be the logits. */
static __global__ void cross_entropy_grad(const float *dloss, examples e, float *dz, int64_t n) {
    int64_t b = (int64_t)blockIdx.x * GRAD_ROWS + threadIdx.x / PR_WARP;
    if (b >= n) return;
    const float *z = e.logits + b * e.classes;
    bool counts = b < e.live[PR_LIVE_SENTENCES] && label_fits(e, b);
    double scale = *dloss / (double)e.live[PR_LIVE_SENTENCES];
    double log_of_sum = counts ? log_sum(z, e.classes) : 0.0;
    for (int64_t i = threadIdx.x % PR_WARP; i < e.classes; i += PR_WARP) {
        double difference = counts ? exp(z[i] - log_of_sum) - (i == e.label[b]) : 0.0;
        dz[b * e.classes + i] = counts ? (float)(scale * difference) : 0.0f;
    }
}

static examples examples_of(const pr_call *c, int logits) {
    return {pr_floats(c->in[logits]), pr_integers(c->in[logits + 1]), pr_live(c),
            c->in[logits].shape.dim[1],
            pr_fault_of(c, "cross_entropy '%s': label %lld of sentence %lld is outside the %lld "
                           "classes")};
}

extern "C" pr_status pr_cross_entropy_cuda(const pr_call *c) {
    return pr_launch_blocks(c, cross_entropy, 1, LOSS_THREADS, 0, examples_of(c, 0),
                            pr_floats(c->out[0]));
}

extern "C" pr_status pr_cross_entropy_grad_cuda(const pr_call *c) {
    int64_t n = c->in[1].shape.dim[0];
    return pr_launch_blocks(c, cross_entropy_grad, (n + GRAD_ROWS - 1) / GRAD_ROWS, PR_BLOCK, 0,
                            pr_floats(c->in[0]), examples_of(c, 1), pr_floats(c->out[0]), n);
}
