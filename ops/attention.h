/* What attention and its gradient share: how scores and dropout masks are drawn. Both draw them for
 * one head of one sentence, a block of queries at a time, so that nothing quadratic is kept. */
#ifndef PR_ATTENTION_H
#define PR_ATTENTION_H

#include <math.h>

#include "backends/panel.h"
#include "backends/philox.h"
#include "backends/simd.h"
#include "graph/graph.h"
#include "ops/rule.h"

enum { PR_QUERY_BLOCK = 48 }; /* rows of scores drawn at once */

/* One head of one sentence. */
typedef struct pr_head {
    int64_t first, length;        /* the sentence's tokens */
    int64_t first_query, queries; /* the rows of q that ask: as many, or one */
    int64_t column, size;         /* the head's columns */
    int64_t width;                /* length in whole panels */
    int64_t d;
    float scale; /* 1 / sqrt(size) */
} pr_head;

/* Whether each sentence's first token alone asks: q then has a row a sentence. Sizes would not
 * tell, where what kernels see is rounded up to as many tokens as there may be sentences. */
static inline bool pr_asks_once(const pr_attr *attr) {
    return attr->i[1] != 0;
}

/* Checks q, offsets and k of a node whose first inputs are attention's, and gives the shape that k
 * and v have: a row a token, also where q has one a sentence. */
bool pr_attention_rule(pr_infer *c, pr_shape *keys);

/* Attention's dropout in one sentence; threshold 0 drops nothing. */
typedef struct pr_drop {
    uint64_t key;
    uint32_t step, sentence, head, threshold;
    float keep_scale; /* 1 / (1 - p) */
} pr_drop;

static inline pr_head pr_head_of(const pr_call *c, int64_t sentence, int64_t head) {
    const int32_t *offsets = c->in[3].data; /* (B + 1) */
    pr_head h = {.first = offsets[sentence], .d = c->in[0].shape.dim[1]};
    h.length = offsets[sentence + 1] - offsets[sentence];
    bool one = pr_asks_once(&c->attr);
    h.first_query = one ? sentence : h.first;
    h.queries = one ? 1 : h.length;
    h.width = pr_panel_width(h.length);
    h.size = h.d / c->attr.i[0];
    h.column = head * h.size;
    h.scale = 1.0f / sqrtf((float)h.size);
    return h;
}

static inline pr_drop pr_drop_of(const pr_call *c, int64_t sentence, int64_t head) {
    if (!c->training || c->attr.f[0] == 0.0f) return (pr_drop){.keep_scale = 1.0f};
    const uint64_t *rng = c->in[4].data; /* (3): seed, step, first sentence */
    return (pr_drop){
        .key = pr_philox_key(rng[0], c->attr.site),
        .step = (uint32_t)rng[1],
        .sentence = (uint32_t)(rng[2] + (uint64_t)sentence),
        .head = (uint32_t)head,
        .threshold = pr_dropout_threshold(c->attr.f[0]),
        .keep_scale = 1.0f / (1.0f - c->attr.f[0]),
    };
}

/* What to multiply the weights of one query's row with: 0 or keep_scale; mask (width). */
PR_INLINE void pr_drop_row(const pr_drop *d, int64_t query, int64_t width, float *mask) {
    uint32_t place = d->head << 16 | (uint32_t)query;
    for (int64_t j = 0; j < width / 4; j++) {
        pr_philox draw = pr_dropout_draw(d->key, d->step, d->sentence, place, (uint32_t)j);
        for (int l = 0; l < 4; l++)
            mask[4 * j + l] = draw.word[l] >= d->threshold ? d->keep_scale : 0.0f;
    }
}

/* Appends the node that makes dq, dk and dv from dy, the gradient of attention node n's output. */
void pr_attention_grad(pr_graph *g, const pr_node *n, pr_tid dy, pr_tid grad[3]);

#endif
