/* attention: for each sentence and head, y = dropout(softmax(q k' / sqrt(size))) v.
 *     q, k, v, y (N, d), d = heads * size; lse (N, heads): log of each row's sum of exp(scores).
 *     Or q (B, d), then y and lse too: each sentence's first token alone asks.
 * Gradient: attention_grad. Backward reads q, k, v, y and lse, and draws scores and masks again.
 * in: q, k, v, offsets (B + 1), rng (3) or none. out: y, lse.
 * attr: site; f[0] the dropout's p; i[0] heads; i[1] 1 where q is (B, d). */
#include "ops/attention.h"

#include "ops/cuda.h"
#include "ops/kernel.h"
#include "ops/ops.h"
#include "ops/rule.h"
#include "ops/table.h"

enum { Q, K, V, OFFSETS, RNG, INPUTS };

bool pr_attention_rule(pr_infer *c, pr_shape *keys) {
    pr_shape q = c->in[Q];
    if (!pr_rule_rank(c, Q, "q", PR_F32, 2) || !pr_rule_rank(c, OFFSETS, "offsets", PR_I32, 1) ||
        !pr_rule_rank(c, K, "k", PR_F32, 2)) {
        return false;
    }
    bool one = pr_asks_once(&c->attr);
    *keys = pr_shape_2(one ? c->in[K].dim[0] : q.dim[0], q.dim[1]);
    int64_t sentences = pr_rule_sentences(c->in[OFFSETS]);
    return !one || pr_rule_shape(c, Q, "q", PR_F32, pr_shape_2(sentences, q.dim[1]));
}

static pr_status infer(pr_infer *c) {
    int32_t heads = c->attr.i[0];
    float p = c->attr.f[0];
    pr_shape q = c->in[Q], keys;
    if (!pr_rule_rank(c, Q, "q", PR_F32, 2)) return PR_BAD_GRAPH;
    if (heads < 1 || q.dim[1] % heads != 0) {
        char text[PR_SHAPE_TEXT];
        return pr_fail(c->err, PR_BAD_GRAPH, "%s: %s cannot be cut into %d heads", c->what,
                       pr_shape_text(q, text), (int)heads);
    }
    if (!pr_attention_rule(c, &keys)) return PR_BAD_GRAPH;
    if (!pr_rule_shape(c, K, "k", PR_F32, keys) || !pr_rule_shape(c, V, "v", PR_F32, keys)) {
        return PR_BAD_GRAPH;
    }
    if (!(p >= 0.0f && p < 1.0f)) {
        return pr_fail(c->err, PR_BAD_GRAPH, "%s: expected a dropout in [0, 1), found %g", c->what,
                       (double)p);
    }
    if (p > 0.0f && !c->has[RNG]) {
        return pr_fail(c->err, PR_BAD_GRAPH, "%s: dropout needs rng, u64 (3)", c->what);
    }
    if (c->has[RNG] && !pr_rule_shape(c, RNG, "rng", PR_U64, pr_shape_1(3))) return PR_BAD_GRAPH;
    pr_rule_output(c, 0, PR_F32, q);
    pr_rule_output(c, 1, PR_F32, pr_shape_2(q.dim[0], heads));
    return PR_OK;
}

static double flops(const pr_call *c) {
    pr_shape q = c->in[Q].shape;
    return 4.0 * (double)q.dim[0] * (double)c->extent.longest * (double)q.dim[1];
}

/* Floats of one thread's scratch for a sentence of `longest` tokens. */
static size_t scratch_floats(const pr_call *c) {
    int64_t width = pr_panel_width(c->extent.longest);
    int64_t size = pr_panel_width(c->in[Q].shape.dim[1] / c->attr.i[0]);
    return (size_t)(width * (2 * size + PR_QUERY_BLOCK + 1));
}

static size_t workspace(const pr_call *c) {
    return scratch_floats(c) * sizeof(float) * (size_t)c->backend->threads;
}

/* Turns a row of scores (width) into weights, zero past the length; returns log sum exp. */
PR_INLINE float soften(const pr_head *h, float *row) {
    float lane[PR_LANES], most = -INFINITY, total = 0.0f;
    for (int64_t j = h->length; j < h->width; j++)
        row[j] = -INFINITY;
    for (int l = 0; l < PR_LANES; l++)
        lane[l] = -INFINITY;
    for (int64_t j = 0; j < h->width; j += PR_LANES) {
        for (int l = 0; l < PR_LANES; l++)
            lane[l] = row[j + l] > lane[l] ? row[j + l] : lane[l];
    }
    for (int l = 0; l < PR_LANES; l++)
        most = lane[l] > most ? lane[l] : most;
    for (int64_t j = 0; j < h->width; j++)
        row[j] = pr_expf((row[j] - most) * h->scale);
    for (int64_t j = h->length; j < h->width; j++)
        row[j] = 0.0f;
    for (int l = 0; l < PR_LANES; l++)
        lane[l] = 0.0f;
    for (int64_t j = 0; j < h->width; j += PR_LANES) {
        for (int l = 0; l < PR_LANES; l++)
            lane[l] += row[j + l];
    }
    for (int l = 0; l < PR_LANES; l++)
        total += lane[l];
    for (int64_t j = 0; j < h->width; j++)
        row[j] /= total;
    return most * h->scale + logf(total);
}

/* The row of weights after dropout. */
PR_INLINE void drop(const pr_drop *d, int64_t query, int64_t width, float *row, float *mask) {
    pr_drop_row(d, query, width, mask);
    for (int64_t j = 0; j < width; j++)
        row[j] *= mask[j];
}

PR_VECTOR static void attend(const pr_call *c, int64_t sentence, int64_t head, float *scratch) {
    pr_head h = pr_head_of(c, sentence, head);
    pr_drop dropout = pr_drop_of(c, sentence, head);
    int64_t at = h.first * h.d + h.column, size = pr_panel_width(h.size);
    int64_t query_at = h.first_query * h.d + h.column;
    const float *q = (const float *)c->in[Q].data + query_at; /* (queries, size), rows d apart */
    const float *k = (const float *)c->in[K].data + at;       /* (length, size) likewise */
    const float *v = (const float *)c->in[V].data + at;
    float *y = (float *)c->out[0].data + query_at;
    float *lse = c->out[1].data;                     /* (N, heads) */
    float *k_panels = scratch;                       /* of k' (size, length) */
    float *v_panels = k_panels + h.width * size;     /* of v (length, size) */
    float *scores = v_panels + h.width * size;       /* (PR_QUERY_BLOCK, width) */
    float *mask = scores + PR_QUERY_BLOCK * h.width; /* (width) */
    pr_panel_pack(h.size, h.length, k, 1, h.d, k_panels);
    pr_panel_pack(h.length, h.size, v, h.d, 1, v_panels);
    for (int64_t from = 0; from < h.queries; from += PR_QUERY_BLOCK) {
        int64_t rows = h.queries - from < PR_QUERY_BLOCK ? h.queries - from : PR_QUERY_BLOCK;
        pr_panel_product(rows, h.width, h.size, q + from * h.d, h.d, 1, k_panels, h.size * PR_LANES,
                         scores, h.width, false);
        for (int64_t i = 0; i < rows; i++) {
            float *row = scores + i * h.width, sum = soften(&h, row);
            if (lse) lse[(h.first_query + from + i) * c->attr.i[0] + head] = sum;
            if (dropout.threshold) drop(&dropout, from + i, h.width, row, mask);
        }
        pr_panel_product(rows, h.size, h.length, scores, h.width, 1, v_panels, h.length * PR_LANES,
                         y + from * h.d, h.d, false);
    }
}

static void attention_task(const void *context, int64_t task, int thread) {
    const pr_call *c = context;
    int64_t heads = c->attr.i[0];
    float *scratch = (float *)c->workspace + (size_t)thread * scratch_floats(c);
    attend(c, task / heads, task % heads, scratch);
}

static pr_status attention_cpu(const pr_call *c) {
    if (!pr_sentences_fit(c, "attention", OFFSETS, c->in[K].shape.dim[0])) return PR_BAD_ARGUMENT;
    int64_t tasks = (c->in[OFFSETS].shape.dim[0] - 1) * c->attr.i[0];
    pr_parallel_tasks(c->backend, tasks, attention_task, c);
    return PR_OK;
}

static void vjp(pr_graph *g, const pr_node *n, const pr_tid *dy, unsigned need, pr_tid *dx) {
    if (dy[1]) {
        pr_graph_fault(g, "attention '%s': the log-sum-exp has no gradient of its own", n->name);
        return;
    }
    pr_tid grad[3] = {0};
    pr_attention_grad(g, n, dy[0], grad);
    for (int k = Q; k <= V; k++) {
        if (need >> k & 1u) dx[k] = grad[k];
    }
}

static pr_tid first_rows(pr_graph *g, const pr_node *n) {
    pr_attr attr = n->attr;
    attr.i[1] = 1;
    return pr_graph_node(g, &pr_op_attention, n->in, attr, NULL);
}

const pr_op pr_op_attention = {
    .name = "attention",
    .n_in = INPUTS,
    .n_out = 2,
    .optional_in = 1u << RNG,
    .optional_out = 1u << 1,
    .by_row = 1u << Q,
    .accumulate = -1,
    .infer = infer,
    .vjp = vjp,
    .first_rows = first_rows,
    .workspace = {[PR_CPU] = workspace},
    .flops = flops,
    .kernel = {[PR_CPU] = attention_cpu, [PR_CUDA] = PR_ON_CUDA(pr_attention_cuda)},
};

pr_tid pr_attention(pr_graph *g, pr_tid q, pr_tid k, pr_tid v, pr_tid offsets, pr_tid rng,
                    int32_t heads, float p, const char *site) {
    const pr_tid in[INPUTS] = {q, k, v, offsets, rng};
    const pr_tensor *a = pr_graph_tensor(g, q), *b = pr_graph_tensor(g, k);
    const pr_tensor *o = pr_graph_tensor(g, offsets);
    bool one = a && b && o && a->shape.dim[0] != b->shape.dim[0] &&
               a->shape.dim[0] == pr_rule_sentences(o->shape);
    return pr_graph_node(g, &pr_op_attention, in,
                         (pr_attr){.site = pr_site(site), .f = {p}, .i = {heads, one}}, NULL);
}
