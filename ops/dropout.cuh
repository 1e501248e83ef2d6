/* Dropout's masks, for the kernels on a GPU of all ops that drop; and those of rows, whose elements
 * are dropped. Rows past the run's own draw as if the last sentence held them. */
#ifndef PR_DROPOUT_CUH
#define PR_DROPOUT_CUH

#include "backends/philox.h"
#include "ops/offsets.cuh"

enum { PR_DRAWN = 4 /* columns of a draw */ };

/* What masks are drawn from; p = 0 drops nothing. */
struct pr_masks {
    uint64_t site;
    const uint64_t *rng; /* (3) */
    float p;
};

/* Those of a call whose in[rng] they are drawn from, of attr's site and p, f[0]. */
static inline pr_masks pr_masks_of_call(const pr_call *c, int rng) {
    return {c->attr.site, pr_words(c->in[rng]), c->training ? c->attr.f[0] : 0.0f};
}

/* Where a row's draws are counted from. */
struct pr_row_masks {
    uint64_t key;
    uint32_t step, sentence, position, threshold;
    float scale;
};

static __device__ inline pr_row_masks pr_masks_of(const pr_masks &m, const pr_sentences &s,
                                                  int64_t row) {
    bool packed = s.offset != nullptr;
    int64_t sentence = packed ? pr_sentence_of(s, row) : row;
    return {pr_philox_key(m.rng[0], m.site),
            (uint32_t)m.rng[1],
            (uint32_t)(m.rng[2] + (uint64_t)sentence),
            packed ? (uint32_t)(row - s.offset[sentence]) : 0,
            pr_dropout_threshold(m.p),
            1.0f / (1.0f - m.p)};
}

/* The words of columns `column` to column + 3, a multiple of 4. */
static __device__ inline pr_philox pr_draw_columns(const pr_row_masks &m, int64_t column) {
    return pr_dropout_draw(m.key, m.step, m.sentence, m.position, (uint32_t)(column / PR_DRAWN));
}

static __device__ inline float pr_drop(const pr_row_masks &m, uint32_t word, float x) {
    return word < m.threshold ? 0.0f : x * m.scale;
}

#endif
