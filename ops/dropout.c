/* dropout: y = keep(x) x / (1 - p), keep 0 with probability p: drawn anew from the counters below
 * whenever it is wanted, never stored.
 *     x (N, d) with offsets i32 (B + 1), or (B, d) without; rng u64 (3): seed, step, number of the
 *     batch's first sentence.
 * Gradient: the same op with the same site on dy; reads rng and offsets alone.
 * in: x, rng, offsets. attr: site, f[0] p. */
#include "ops/dropout.h"

#include "ops/cuda.h"
#include "ops/kernel.h"
#include "ops/ops.h"
#include "ops/rule.h"
#include "ops/table.h"

enum { X, RNG, OFFSETS, INPUTS };

uint64_t pr_site(const char *name) {
    uint64_t hash = 0xCBF29CE484222325u;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001B3u;
    return hash;
}

static pr_status infer(pr_infer *c) {
    if (!pr_rule_rank(c, X, "x", PR_F32, 2) ||
        !pr_rule_shape(c, RNG, "rng", PR_U64, pr_shape_1(3))) {
        return PR_BAD_GRAPH;
    }
    if (c->has[OFFSETS] && !pr_rule_rank(c, OFFSETS, "offsets", PR_I32, 1)) return PR_BAD_GRAPH;
    if (!c->has[OFFSETS] && c->in[X].dim[0] == PR_TOKENS) {
        return pr_fail(c->err, PR_BAD_GRAPH, "%s: rows of tokens need the sentences' offsets",
                       c->what);
    }
    pr_rule_output(c, 0, PR_F32, c->in[X]);
    return PR_OK;
}

/* The sentence that holds the row: the last to start at or before it. */
static int64_t sentence_of(const int32_t *offset, int64_t sentences, int64_t row) {
    int64_t low = 0, high = sentences;
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (offset[middle] <= row)
            low = middle;
        else
            high = middle;
    }
    return low;
}

pr_drops pr_drops_from(const pr_call *c, const pr_view *rng, const pr_view *offsets, int64_t row) {
    const uint64_t *clock = rng->data;     /* (3) */
    const int32_t *offset = offsets->data; /* (B + 1) or NULL */
    return (pr_drops){
        .offset = offset,
        .sentence = offset ? sentence_of(offset, offsets->shape.dim[0] - 1, row) : row,
        .key = pr_philox_key(clock[0], c->attr.site),
        .first = clock[2],
        .step = (uint32_t)clock[1],
        .threshold = pr_dropout_threshold(c->attr.f[0]),
        .scale = 1.0f / (1.0f - c->attr.f[0]),
    };
}

PR_VECTOR static void drop_rows(const void *context, int64_t begin, int64_t end) {
    const pr_call *c = context;
    int64_t d = c->in[X].shape.dim[1];
    pr_drops at = pr_drops_from(c, &c->in[RNG], &c->in[OFFSETS], begin);
    for (int64_t row = begin; row < end; row++) {
        const float *x = (const float *)c->in[X].data + row * d; /* (N, d) or (B, d) */
        float *y = (float *)c->out[0].data + row * d;            /* as x */
        pr_drops_move(&at, row);
        pr_drop_columns(&at, 0, d, x, y);
    }
}

static pr_status dropout_cpu(const pr_call *c) {
    int64_t rows = c->in[X].shape.dim[0], d = c->in[X].shape.dim[1];
    if (c->in[OFFSETS].data && !pr_offsets_fit(c, "dropout", OFFSETS, rows)) {
        return PR_BAD_ARGUMENT;
    }
    pr_each_item(c, rows, d, drop_rows);
    return PR_OK;
}

static void vjp(pr_graph *g, const pr_node *n, const pr_tid *dy, unsigned need, pr_tid *dx) {
    const pr_tid in[INPUTS] = {dy[0], n->in[RNG], n->in[OFFSETS]};
    if (need >> X & 1u) dx[X] = pr_graph_node(g, &pr_op_dropout, in, n->attr, NULL);
}

/* The masks are drawn for (sentence, 0, column) either way. */
static pr_tid first_rows(pr_graph *g, const pr_node *n) {
    const pr_tid in[INPUTS] = {n->in[X], n->in[RNG], 0};
    return pr_graph_node(g, &pr_op_dropout, in, n->attr, NULL);
}

const pr_op pr_op_dropout = {
    .name = "dropout",
    .n_in = INPUTS,
    .n_out = 1,
    .optional_in = 1u << OFFSETS,
    .inplace = 1u << X,
    .by_row = 1u << X,
    .accumulate = -1,
    .flags = PR_OP_TRAINING_ONLY,
    .infer = infer,
    .vjp = vjp,
    .first_rows = first_rows,
    .kernel = {[PR_CPU] = dropout_cpu, [PR_CUDA] = PR_ON_CUDA(pr_dropout_cuda)},
};

pr_tid pr_dropout(pr_graph *g, pr_tid x, pr_tid rng, pr_tid offsets, float p, const char *site) {
    if (!(p >= 0.0f && p < 1.0f)) {
        return pr_graph_fault(g, "dropout '%s': expected a probability in [0, 1), found %g", site,
                              (double)p);
    }
    if (p == 0.0f) return x;
    pr_attr attr = {.site = pr_site(site), .f = {p}};
    return pr_graph_node(g, &pr_op_dropout, (pr_tid[INPUTS]){x, rng, offsets}, attr, NULL);
}
