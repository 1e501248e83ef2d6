/* clip_factor on a GPU (clip_factor.c has the formula). After a fault in a run's values, and after
 * a factor that is not finite, it is NaN: the host learns of either only when it waits, and until
 * then nothing may be updated. */
#include "backends/kernel.cuh"
#include "ops/cuda.h"

static __global__ void clip_factor(const double *total, float *y, double max_norm,
                                   pr_fault *fault) {
    double norm = sqrt(*total);
    double factor = max_norm == 0.0 ? 1.0 : fmin(1.0, max_norm / (norm + 1e-6));
    if (!isfinite(norm) || fault->taken) fault->held = 1;
    *y = fault->held ? NAN : (float)factor;
}

extern "C" pr_status pr_clip_factor_cuda(const pr_call *c) {
    return pr_launch_blocks(c, clip_factor, 1, 1, 0, (const double *)c->in[0].data,
                            pr_floats(c->out[0]), c->attr.f[0], pr_cuda_of(c->backend)->fault);
}
