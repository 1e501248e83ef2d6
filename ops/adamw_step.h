/* One update of AdamW, for the processor and for a GPU. With t the number of updates since the
 * parameter began to train, g the gradient:
 *     p = p (1 - rate * decay);  m = beta_1 m + (1 - beta_1) g;  v = beta_2 v + (1 - beta_2) g^2
 *     p = p - rate / (1 - beta_1^t) * m / (sqrt(v) / sqrt(1 - beta_2^t) + epsilon) */
#ifndef PR_ADAMW_STEP_H
#define PR_ADAMW_STEP_H

#include <math.h>

#include "backends/philox.h"
#include "ops/ops.h"

/* The constants of one update. */
typedef struct pr_adamw_step {
    float keep; /* 1 - rate * decay */
    float rate; /* over m's bias correction */
    float beta_1, rest_1, beta_2, rest_2;
    float inverse_root; /* 1 / sqrt of v's bias correction */
    float epsilon;
} pr_adamw_step;

/* Of the t-th update, t = 1, 2, ...; options.weight_decay is the parameter's own. */
static inline PR_BOTH pr_adamw_step pr_adamw_step_of(const pr_adamw_options *o, float rate,
                                                     int64_t t) {
    double correction_1 = 1.0 - pow((double)o->beta_1, (double)t);
    double correction_2 = 1.0 - pow((double)o->beta_2, (double)t);
    pr_adamw_step s;
    s.keep = (float)(1.0 - (double)rate * (double)o->weight_decay);
    s.rate = (float)((double)rate / correction_1);
    s.beta_1 = o->beta_1;
    s.rest_1 = (float)(1.0 - (double)o->beta_1);
    s.beta_2 = o->beta_2;
    s.rest_2 = (float)(1.0 - (double)o->beta_2);
    s.inverse_root = (float)(1.0 / sqrt(correction_2));
    s.epsilon = o->epsilon;
    return s;
}

/* One element. Where the gradient is zero the result is the same whichever product the compiler
 * fuses with a sum: what is added to is rounded alike. */
static inline PR_BOTH void pr_adamw_update(const pr_adamw_step *s, float *p, float *m, float *v,
                                           float g) {
    *m = s->beta_1 * *m + s->rest_1 * g;
    *v = s->beta_2 * *v + s->rest_2 * (g * g);
    *p = *p * s->keep - s->rate * *m / (sqrtf(*v) * s->inverse_root + s->epsilon);
}

#endif
