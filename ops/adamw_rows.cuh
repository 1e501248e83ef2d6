/* Rows of a sparsely updated parameter on a GPU: a block makes the updates that a row has missed,
 * as pr_adamw_replay does on the processor. */
#ifndef PR_ADAMW_ROWS_CUH
#define PR_ADAMW_ROWS_CUH

#include "backends/kernel.cuh"
#include "ops/adamw_step.h"

enum { PR_ROW_THREADS = 128 };

/* What adamw.c says of a step that has no rate. */
#define PR_ADAMW_OUT_OF_RANGE "%s: step %lld lies outside %lld to %lld"

struct pr_adamw_rows {
    float *p, *m, *v; /* (n_rows, d) */
    int32_t *done;    /* (n_rows): adamw.h's PR_STATE_ROWS */
    int64_t n_rows, d;
    const float *rates; /* of each update since the parameter began to train */
    pr_adamw_options options;
};

static inline pr_adamw_rows pr_adamw_rows_of(const pr_call *c, const int32_t *done,
                                             const float *rates) {
    const float *f = c->attr.f;
    pr_shape shape = c->in[0].shape;
    pr_adamw_rows t = {};
    t.p = pr_floats(c->in[0]);
    t.m = pr_floats(c->in[1]);
    t.v = pr_floats(c->in[2]);
    t.done = (int32_t *)done;
    t.n_rows = shape.dim[0];
    t.d = shape.n_dims > 1 ? shape.dim[1] : 1;
    t.rates = rates + c->attr.i[0];
    t.options = {f[0], f[1], f[2], f[3]};
    return t;
}

/* Brings the row to n updates; returns whether it ever had a gradient. The whole block calls it,
 * of PR_ROW_THREADS. What done says of the row then is up to the caller. */
static __device__ inline bool pr_adamw_catch_up_row(const pr_adamw_rows &t, int64_t row,
                                                    int64_t n) {
    __shared__ pr_adamw_step step[PR_ROW_THREADS];
    int32_t state = t.done[row];
    bool moved = state & 1;
    int64_t at = row * t.d;
    for (int64_t from = state >> 1; from < n; from += PR_ROW_THREADS) {
        int64_t most = PR_ROW_THREADS, steps = n - from < most ? n - from : most;
        __syncthreads(); /* nobody reads the steps before */
        if (threadIdx.x < steps) {
            int64_t k = from + threadIdx.x;
            step[threadIdx.x] = pr_adamw_step_of(&t.options, t.rates[k], k + 1);
        }
        __syncthreads();
        for (int64_t i = at + threadIdx.x; i < at + t.d; i += PR_ROW_THREADS) {
            float p = t.p[i], m = moved ? t.m[i] : 0.0f, v = moved ? t.v[i] : 0.0f;
            for (int64_t k = 0; k < steps; k++) {
                if (moved)
                    pr_adamw_update(&step[k], &p, &m, &v, 0.0f);
                else
                    p *= step[k].keep;
            }
            t.p[i] = p;
            if (!moved) continue;
            t.m[i] = m;
            t.v[i] = v;
        }
    }
    return moved;
}

#endif
