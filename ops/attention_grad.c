/* attention_grad: from dy, the gradient of y = D(P) v with P = softmax(S), S = q k' / sqrt(size)
 * and D dropout's mask:
 *     dv = D(P)' dy;  dP = D(dy v');  dS = P (dP - delta) / sqrt(size), where delta, the sum of a
 *     row's P dP, is the sum of its y dy;  dq = dS k;  dk = dS' q.
 * P is drawn again as exp(S - lse), a block of queries at a time (Dao, Fu, Ermon, Rudra and Re:
 * "FlashAttention", 2022, algorithm 4).
 * in: q, k, v (N, d), offsets (B + 1), rng (3) or none, y (N, d), lse (N, heads), dy (N, d); where
 * q is (B, d), y, lse and dy too. out: dq as q, dk, dv (N, d), each only if read. attr:
 * attention's. */
#include "ops/attention.h"
#include "ops/cuda.h"
#include "ops/kernel.h"
#include "ops/ops.h"
#include "ops/rule.h"
#include "ops/table.h"

enum { Q, K, V, OFFSETS, RNG, Y, LSE, DY, INPUTS };

static pr_status infer(pr_infer *c) {
    static const char *const label[INPUTS] = {"q", "k", "v", "offsets", "rng", "y", "lse", "dy"};
    pr_shape q = c->in[Q], keys;
    if (!pr_attention_rule(c, &keys)) return PR_BAD_GRAPH;
    for (int k = K; k < INPUTS; k++) {
        if (k == OFFSETS || k == RNG) continue;
        pr_shape shape = k == LSE ? pr_shape_2(q.dim[0], c->attr.i[0]) : k <= V ? keys : q;
        if (!pr_rule_shape(c, k, label[k], PR_F32, shape)) return PR_BAD_GRAPH;
    }
    pr_rule_output(c, 0, PR_F32, q);
    pr_rule_output(c, 1, PR_F32, keys);
    pr_rule_output(c, 2, PR_F32, keys);
    return PR_OK;
}

static double flops(const pr_call *c) {
    int products = 1;
    bool q = c->out[0].shape.n_dims, k = c->out[1].shape.n_dims, v = c->out[2].shape.n_dims;
    products += (q || k) + q + k + v;
    return 2.0 * products * (double)c->in[Q].shape.dim[0] * (double)c->extent.longest *
           (double)c->in[Q].shape.dim[1];
}

/* Floats of one thread's scratch: five packed operands, two blocks of rows, a mask. */
static size_t scratch_floats(const pr_call *c) {
    int64_t width = pr_panel_width(c->extent.longest);
    int64_t size = pr_panel_width(c->in[Q].shape.dim[1] / c->attr.i[0]);
    return (size_t)(width * (5 * size + 2 * PR_QUERY_BLOCK + 1));
}

static size_t workspace(const pr_call *c) {
    return scratch_floats(c) * sizeof(float) * (size_t)c->backend->threads;
}

/* One head of one sentence, and where its scratch lies. */
typedef struct work {
    pr_head h;
    pr_drop dropout;
    int64_t heads, head;
    const float *q, *y, *dy; /* (queries, size), rows d apart */
    const float *k, *v;      /* (length, size), rows d apart */
    const float *lse;        /* (queries of the batch, heads) */
    float *dq, *dk, *dv;     /* as q, k and v; NULL where unread */
    float *k_transposed, *v_transposed, *k_panels, *q_panels, *dy_panels;
    float *p, *ds; /* (PR_QUERY_BLOCK, width): D(P), and dP that becomes dS */
    float *mask;   /* (width) */
} work;

static const float *input(const pr_call *c, int k, int64_t at) {
    return (const float *)c->in[k].data + at;
}

static float *output(const pr_call *c, int k, int64_t at) {
    return c->out[k].data ? (float *)c->out[k].data + at : NULL;
}

static work begin(const pr_call *c, int64_t sentence, int64_t head, float *scratch) {
    pr_head h = pr_head_of(c, sentence, head);
    int64_t at = h.first * h.d + h.column, query_at = h.first_query * h.d + h.column;
    int64_t packed = h.width * pr_panel_width(h.size);
    work w = {
        .h = h,
        .dropout = pr_drop_of(c, sentence, head),
        .heads = c->attr.i[0],
        .head = head,
        .q = input(c, Q, query_at),
        .k = input(c, K, at),
        .v = input(c, V, at),
        .y = input(c, Y, query_at),
        .dy = input(c, DY, query_at),
        .lse = c->in[LSE].data,
        .dq = output(c, 0, query_at),
        .dk = output(c, 1, at),
        .dv = output(c, 2, at),
        .k_transposed = scratch,
        .v_transposed = scratch + packed,
        .k_panels = scratch + 2 * packed,
        .q_panels = scratch + 3 * packed,
        .dy_panels = scratch + 4 * packed,
        .p = scratch + 5 * packed,
    };
    w.ds = w.p + PR_QUERY_BLOCK * h.width;
    w.mask = w.ds + PR_QUERY_BLOCK * h.width;
    return w;
}

PR_INLINE void pack(const work *w) {
    const pr_head *h = &w->h;
    pr_panel_pack(h->size, h->length, w->k, 1, h->d, w->k_transposed);
    if (w->dq || w->dk) pr_panel_pack(h->size, h->length, w->v, 1, h->d, w->v_transposed);
    if (w->dq) pr_panel_pack(h->length, h->size, w->k, h->d, 1, w->k_panels);
    if (w->dk) pr_panel_pack(h->queries, h->size, w->q, h->d, 1, w->q_panels);
    if (w->dv) pr_panel_pack(h->queries, h->size, w->dy, h->d, 1, w->dy_panels);
}

/* Turns a row of scores into D(P) and one of dy v' into dS. */
PR_INLINE void redraw(const work *w, int64_t query, float *p, float *ds) {
    const pr_head *h = &w->h;
    float lse = w->lse[(h->first_query + query) * w->heads + w->head], delta = 0.0f;
    for (int64_t x = 0; x < h->size; x++)
        delta += w->y[query * h->d + x] * w->dy[query * h->d + x];
    for (int64_t j = 0; j < h->width; j++)
        p[j] = pr_expf(p[j] * h->scale - lse);
    for (int64_t j = h->length; j < h->width; j++)
        p[j] = 0.0f;
    if (w->dropout.threshold) {
        pr_drop_row(&w->dropout, query, h->width, w->mask);
        for (int64_t j = 0; j < h->width; j++) {
            ds[j] = p[j] * (ds[j] * w->mask[j] - delta) * h->scale;
            p[j] *= w->mask[j];
        }
    } else {
        for (int64_t j = 0; j < h->width; j++)
            ds[j] = p[j] * (ds[j] - delta) * h->scale;
    }
}

PR_VECTOR static void attend_back(const work *w) {
    const pr_head *h = &w->h;
    int64_t by_size = h->size * PR_LANES, by_length = h->length * PR_LANES;
    int64_t by_queries = h->queries * PR_LANES;
    pack(w);
    for (int64_t from = 0; from < h->queries; from += PR_QUERY_BLOCK) {
        int64_t rows = h->queries - from < PR_QUERY_BLOCK ? h->queries - from : PR_QUERY_BLOCK;
        int64_t at = from * h->d;
        bool add = from > 0;
        pr_panel_product(rows, h->width, h->size, w->q + at, h->d, 1, w->k_transposed, by_size,
                         w->p, h->width, false);
        if (w->dq || w->dk) {
            pr_panel_product(rows, h->width, h->size, w->dy + at, h->d, 1, w->v_transposed, by_size,
                             w->ds, h->width, false);
        }
        for (int64_t i = 0; i < rows; i++)
            redraw(w, from + i, w->p + i * h->width, w->ds + i * h->width);
        if (w->dq) {
            pr_panel_product(rows, h->size, h->length, w->ds, h->width, 1, w->k_panels, by_length,
                             w->dq + at, h->d, false);
        }
        if (w->dk) {
            pr_panel_product(h->length, h->size, rows, w->ds, 1, h->width,
                             w->q_panels + from * PR_LANES, by_queries, w->dk, h->d, add);
        }
        if (w->dv) {
            pr_panel_product(h->length, h->size, rows, w->p, 1, h->width,
                             w->dy_panels + from * PR_LANES, by_queries, w->dv, h->d, add);
        }
    }
}

static void attention_grad_task(const void *context, int64_t task, int thread) {
    const pr_call *c = context;
    int64_t heads = c->attr.i[0];
    float *scratch = (float *)c->workspace + (size_t)thread * scratch_floats(c);
    work w = begin(c, task / heads, task % heads, scratch);
    attend_back(&w);
}

static pr_status attention_grad_cpu(const pr_call *c) {
    int64_t rows = c->in[K].shape.dim[0];
    if (!pr_sentences_fit(c, "attention_grad", OFFSETS, rows)) return PR_BAD_ARGUMENT;
    int64_t tasks = (c->in[OFFSETS].shape.dim[0] - 1) * c->attr.i[0];
    pr_parallel_tasks(c->backend, tasks, attention_grad_task, c);
    return PR_OK;
}

const pr_op pr_op_attention_grad = {
    .name = "attention_grad",
    .n_in = INPUTS,
    .n_out = 3,
    .optional_in = 1u << RNG,
    .optional_out = 7u,
    .accumulate = -1,
    .flags = PR_OP_NO_GRADIENT,
    .infer = infer,
    .workspace = {[PR_CPU] = workspace, [PR_CUDA] = PR_ON_CUDA(pr_attention_grad_cuda_workspace)},
    .flops = flops,
    .kernel = {[PR_CPU] = attention_grad_cpu, [PR_CUDA] = PR_ON_CUDA(pr_attention_grad_cuda)},
};

void pr_attention_grad(pr_graph *g, const pr_node *n, pr_tid dy, pr_tid grad[3]) {
    const pr_tid in[INPUTS] = {n->in[Q],   n->in[K],  n->in[V],  n->in[OFFSETS],
                               n->in[RNG], n->out[0], n->out[1], dy};
    pr_graph_node(g, &pr_op_attention_grad, in, n->attr, grad);
}
