/* The optimizer as nodes of the graph: the norm of all gradients, the clipping factor, and an AdamW
 * update a parameter. */
#ifndef PR_OPTIMIZER_H
#define PR_OPTIMIZER_H

#include "ops/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pr_optimizer {
    pr_adamw_options adamw;
    float clip;   /* the most that the norm of all gradients may be; 0: no clipping */
    pr_tid loss;  /* f32 (1); 0: somebody else sees to it that it is finite */
    pr_tid rates; /* input f32 (steps of the run) */
    pr_tid clock; /* input u64 (3): seed, step, first sentence */
} pr_optimizer;

/* AdamW with betas 0.9 and 0.999, epsilon 1e-8, weight decay 0.01; clipping at 1. */
pr_optimizer pr_optimizer_default(void);

/* Appends the updates of every parameter that has a gradient, in phase UPDATE, and makes their
 * states. gradient: of each tensor by its number, or NULL for those that the graph has. factor is
 * the tensor to look at after a step: NaN when the loss or a gradient was not finite, and nothing
 * was updated. */
pr_status pr_optimizer_emit(pr_graph *g, const pr_optimizer *optimizer, const pr_tid *gradient,
                            pr_tid *factor, pr_error *err);

#ifdef __cplusplus
}
#endif
#endif
