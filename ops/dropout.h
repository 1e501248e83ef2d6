/* The masks that dropout draws for rows, for the CPU kernels of all ops that drop rows' elements.
 */
#ifndef PR_DROPOUT_H
#define PR_DROPOUT_H

#include "backends/philox.h"
#include "backends/simd.h"
#include "graph/op.h"

/* Draws are made for so many columns at a time; four columns share one. */
enum { PR_DRAWN_COLUMNS = 256 };

/* Where a row's draws are counted from. */
typedef struct pr_drops {
    const int32_t *offset; /* (B + 1); NULL: each row is a sentence's first */
    int64_t sentence;      /* in the batch at hand */
    uint64_t key, first;   /* first: the number of the batch's first sentence */
    uint32_t step, position, threshold;
    float scale;
} pr_drops;

/* Draws of c->attr's site and p, f[0], for rows from `row` on; rng and offsets as pr_dropout's. */
pr_drops pr_drops_from(const pr_call *c, const pr_view *rng, const pr_view *offsets, int64_t row);

/* Moves on to a row: first to the one that pr_drops_from was called with, then to each next. */
PR_INLINE void pr_drops_move(pr_drops *at, int64_t row) {
    if (!at->offset) {
        at->sentence = row;
        return;
    }
    at->sentence += row == at->offset[at->sentence + 1];
    at->position = (uint32_t)(row - at->offset[at->sentence]);
}

/* y = dropout(x) in the row's columns from .. from + n - 1, from a multiple of 4. x and y begin at
 * column `from`, and may be the same. */
PR_INLINE void pr_drop_columns(const pr_drops *at, int64_t from, int64_t n, const float *x,
                               float *y) {
    uint32_t word[PR_DRAWN_COLUMNS], sentence = (uint32_t)(at->first + (uint64_t)at->sentence);
    uint32_t threshold = at->threshold;
    float scale = at->scale;
    for (int64_t done = 0; done < n; done += PR_DRAWN_COLUMNS) {
        int64_t columns = n - done < PR_DRAWN_COLUMNS ? n - done : PR_DRAWN_COLUMNS;
#pragma omp simd
        for (int64_t i = 0; i < (columns + 3) / 4; i++) {
            pr_philox draw = pr_dropout_draw(at->key, at->step, sentence, at->position,
                                             (uint32_t)((from + done) / 4 + i));
            word[4 * i] = draw.word[0];
            word[4 * i + 1] = draw.word[1];
            word[4 * i + 2] = draw.word[2];
            word[4 * i + 3] = draw.word[3];
        }
#pragma omp simd
        for (int64_t i = 0; i < columns; i++)
            y[done + i] = word[i] < threshold ? 0.0f : x[done + i] * scale;
    }
}

#endif
