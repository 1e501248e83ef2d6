/* What the update (adamw.c) and the catching up of rows that a sparse gradient passed over share.
 *
 * PR_STATE_ROWS holds for each row 2 n + h: n updates of it are done; h is 1 once the row has had a
 * gradient. Where h is 0 the moments are zeros that were never written. */
#ifndef PR_ADAMW_H
#define PR_ADAMW_H

#include "backends/simd.h"
#include "ops/adamw_step.h"
#include "ops/ops.h"

/* A parameter that is updated row by row. */
typedef struct pr_adamw_table {
    float *p, *m, *v; /* (n_rows, d) */
    int32_t *done;    /* (n_rows): PR_STATE_ROWS */
    int64_t n_rows, d;
    const float *rates; /* of each update since the parameter began to train */
    pr_adamw_options options;
} pr_adamw_table;

/* Makes the updates with no gradient that the row has missed, up to n of them in all. */
void pr_adamw_replay(const pr_adamw_table *table, int64_t row, int64_t n);

/* Appends the node that catches up, before anything reads them, the rows that ids names. */
void pr_adamw_prologue(pr_graph *g, pr_tid param, pr_tid ids, pr_tid rates, pr_tid clock,
                       pr_attr attr);

#endif
