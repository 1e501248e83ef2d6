/* adamw: one update of a parameter and its moments (adamw.h) by gradient * factor. All that it
 * reads goes through the cache once. A factor that is NaN leaves everything as it is.
 * in: parameter (V, ...), first and second moments (V, ...), gradient (V, ...) or sparse (N, d),
 *     factor (1), rates (steps), clock u64 (3); where the gradient is sparse also its list of rows
 *     i32 (N), -1 past its end, and PR_STATE_ROWS i32 (V).
 * attr: f[0..3] beta_1, beta_2, epsilon, decay; i[0] the step at which the parameter began to
 * train. It has no output, and no gradient. */
#include "ops/adamw.h"

#include <math.h>
#include <string.h>

#include "backends/simd.h"
#include "ops/cuda.h"
#include "ops/kernel.h"
#include "ops/table.h"

enum { PARAM, FIRST, SECOND, GRADIENT, FACTOR, RATES, CLOCK, LIST, ROWS, INPUTS };

/* A sparse gradient's node: (dy, ids). */
enum { EMBED_GRAD_IDS = 1 };

enum { BLOCK = 64, BLOCK_GRAIN = 256, ROW_GRAIN = 8, PIECE = 4096 };

static pr_status infer(pr_infer *c) {
    char text[PR_SHAPE_TEXT], expected[PR_SHAPE_TEXT];
    pr_shape p = c->in[PARAM], gradient = c->in[GRADIENT];
    bool sparse = c->has[LIST];
    for (int k = FIRST; k <= SECOND; k++) {
        if (!pr_shape_equal(c->in[k], p)) {
            return pr_fail(c->err, PR_BAD_GRAPH, "%s: expected moments of %s, found %s", c->what,
                           pr_shape_text(p, expected), pr_shape_text(c->in[k], text));
        }
    }
    bool fits = sparse ? p.n_dims == 2 && gradient.n_dims == 2 && gradient.dim[1] == p.dim[1] &&
                             c->has[ROWS] && c->in_dtype[LIST] == PR_I32 &&
                             pr_shape_equal(c->in[ROWS], pr_shape_1(p.dim[0]))
                       : pr_shape_equal(gradient, p);
    if (!fits || c->in_dtype[GRADIENT] != PR_F32) {
        return pr_fail(c->err, PR_BAD_GRAPH, "%s: a gradient of %s does not fit a parameter of %s",
                       c->what, pr_shape_text(gradient, text), pr_shape_text(p, expected));
    }
    if (!pr_shape_equal(c->in[FACTOR], pr_shape_1(1)) || c->in_dtype[FACTOR] != PR_F32 ||
        c->in[RATES].n_dims != 1 || c->in_dtype[RATES] != PR_F32 ||
        !pr_shape_equal(c->in[CLOCK], pr_shape_1(3)) || c->in_dtype[CLOCK] != PR_U64) {
        return pr_fail(c->err, PR_BAD_GRAPH,
                       "%s: expected a factor f32 (1), rates f32 (steps), a clock u64 (3)",
                       c->what);
    }
    return PR_OK;
}

PR_VECTOR static void apply(const pr_adamw_step *step, int64_t n, float *restrict p,
                            float *restrict m, float *restrict v, const float *restrict gradient,
                            float factor) {
    const pr_adamw_step s = *step; /* a copy: stores through p cannot change it */
    for (int64_t i = 0; i < n; i++)
        pr_adamw_update(&s, p + i, m + i, v + i, gradient[i] * factor);
}

PR_VECTOR static void apply_nothing(const pr_adamw_step *step, int64_t n, float *restrict p,
                                    float *restrict m, float *restrict v) {
    const pr_adamw_step s = *step;
    for (int64_t i = 0; i < n; i++)
        pr_adamw_update(&s, p + i, m + i, v + i, 0.0f);
}

/* What apply_nothing comes to where the moments are zeros. */
PR_VECTOR static void decay(float keep, int64_t n, float *p) {
    for (int64_t i = 0; i < n; i++)
        p[i] *= keep;
}

void pr_adamw_replay(const pr_adamw_table *t, int64_t row, int64_t n) {
    int64_t done = t->done[row] >> 1, at = row * t->d;
    bool moved = t->done[row] & 1;
    if (done >= n) return;
    for (; done < n; done++) {
        pr_adamw_step s = pr_adamw_step_of(&t->options, t->rates[done], done + 1);
        if (moved) {
            apply_nothing(&s, t->d, t->p + at, t->m + at, t->v + at);
        } else if (s.keep != 1.0f) {
            decay(s.keep, t->d, t->p + at);
        }
    }
    t->done[row] = (int32_t)(n << 1) | moved;
}

typedef struct job {
    const pr_call *call;
    pr_adamw_step step;
    pr_adamw_table table;
    int64_t elements;
    int64_t t; /* the number of this update, from 1 */
    float factor;
} job;

/* Moments before their first update are zeros on pages that were never touched. Written first, such
 * a page costs one fault; read first, two, and the second stops all threads. */
static void write_zeros(const pr_adamw_table *t, int64_t at, int64_t n) {
    memset(t->m + at, 0, (size_t)n * sizeof *t->m);
    memset(t->v + at, 0, (size_t)n * sizeof *t->v);
}

static void dense_blocks(const void *context, int64_t begin, int64_t end) {
    const job *j = context;
    const float *gradient = j->call->in[GRADIENT].data;
    int64_t at = begin * BLOCK, past = end * BLOCK < j->elements ? end * BLOCK : j->elements;
    for (int64_t n; at < past; at += n) {
        n = past - at < PIECE ? past - at : PIECE;
        if (j->t == 1) write_zeros(&j->table, at, n);
        apply(&j->step, n, j->table.p + at, j->table.m + at, j->table.v + at, gradient + at,
              j->factor);
    }
}

static void sparse_rows(const void *context, int64_t begin, int64_t end) {
    const job *j = context;
    const pr_adamw_table *t = &j->table;
    const int32_t *list = j->call->in[LIST].data;       /* (N) */
    const float *gradient = j->call->in[GRADIENT].data; /* (N, d) */
    for (int64_t i = begin; i < end; i++) {
        int64_t row = list[i];
        if (row < 0 || row >= t->n_rows) continue;
        pr_adamw_replay(t, row, j->t - 1);
        int64_t at = row * t->d;
        if (!(t->done[row] & 1)) write_zeros(t, at, t->d);
        apply(&j->step, t->d, t->p + at, t->m + at, t->v + at, gradient + i * t->d, j->factor);
        t->done[row] = (int32_t)(j->t << 1) | 1;
    }
}

static pr_status adamw_cpu(const pr_call *c) {
    const float *rates = c->in[RATES].data;
    uint64_t step = ((const uint64_t *)c->in[CLOCK].data)[1];
    int64_t since = c->attr.i[0], n_rates = c->in[RATES].shape.dim[0];
    float factor = *(const float *)c->in[FACTOR].data;
    if (step >= (uint64_t)n_rates || (int64_t)step < since) {
        return pr_fail(c->err, PR_BAD_ARGUMENT, "%s: step %llu lies outside %lld to %lld", c->name,
                       (unsigned long long)step, (long long)since, (long long)n_rates - 1);
    }
    if (isnan(factor)) return PR_OK;
    const float *f = c->attr.f;
    pr_shape shape = c->in[PARAM].shape;
    job j = {
        .call = c,
        .t = (int64_t)step - since + 1,
        .factor = factor,
        .elements = pr_elements(c->in[PARAM]),
        .table = {.p = c->in[PARAM].data,
                  .m = c->in[FIRST].data,
                  .v = c->in[SECOND].data,
                  .done = c->in[ROWS].data,
                  .n_rows = shape.dim[0],
                  .d = shape.n_dims > 1 ? shape.dim[1] : 1,
                  .rates = rates + since,
                  .options = {f[0], f[1], f[2], f[3]}},
    };
    j.step = pr_adamw_step_of(&j.table.options, rates[step], j.t);
    if (c->in[LIST].data) {
        pr_parallel_range(c->backend, c->in[LIST].shape.dim[0], ROW_GRAIN, sparse_rows, &j);
    } else {
        int64_t blocks = (j.elements + BLOCK - 1) / BLOCK;
        pr_parallel_range(c->backend, blocks, BLOCK_GRAIN, dense_blocks, &j);
    }
    return PR_OK;
}

/* Parameter and moments are read and written, the gradient read. */
static double bytes(const pr_call *c) {
    size_t n;
    return pr_shape_bytes(c->in[GRADIENT].shape, PR_F32, &n) ? 7.0 * (double)n : 0.0;
}

const pr_op pr_op_adamw = {
    .name = "adamw",
    .n_in = INPUTS,
    .optional_in = 1u << LIST | 1u << ROWS,
    .writes = 1u << PARAM | 1u << FIRST | 1u << SECOND | 1u << ROWS,
    .accumulate = -1,
    .flags = PR_OP_NO_GRADIENT,
    .infer = infer,
    .bytes = bytes,
    .kernel = {[PR_CPU] = adamw_cpu, [PR_CUDA] = PR_ON_CUDA(pr_adamw_cuda)},
    .many = {[PR_CUDA] = PR_ON_CUDA(pr_adamw_cuda_many)},
};

pr_tid pr_adamw(pr_graph *g, pr_tid param, pr_tid gradient, pr_tid factor, pr_tid rates,
                pr_tid clock, const pr_adamw_options *o) {
    if (pr_graph_check(g, NULL) != PR_OK) return 0;
    const pr_tensor *t = param ? pr_graph_tensor(g, param) : NULL;
    if (!t || t->role != PR_ROLE_PARAM || !gradient) {
        return pr_graph_fault(g, "adamw: expected a parameter and its gradient");
    }
    int index = t->param;
    pr_shape shape = t->shape;
    const pr_param *p = pr_store_param(pr_graph_store(g), index);
    pr_attr attr = {
        .f = {o->beta_1, o->beta_2, o->epsilon, p->decay ? o->weight_decay : 0.0f},
        .i = {p->since},
    };
    pr_tid in[INPUTS] = {
        [PARAM] = param,
        [FIRST] = pr_graph_state(g, index, PR_STATE_FIRST, PR_F32, shape),
        [SECOND] = pr_graph_state(g, index, PR_STATE_SECOND, PR_F32, shape),
        [GRADIENT] = gradient,
        [FACTOR] = factor,
        [RATES] = rates,
        [CLOCK] = clock,
        [LIST] = pr_graph_tensor(g, gradient)->rows,
    };
    if (in[LIST]) {
        const pr_node *maker = pr_graph_get(g, pr_graph_tensor(g, gradient)->node);
        pr_tid ids = maker->in[EMBED_GRAD_IDS];
        in[ROWS] = pr_graph_state(g, index, PR_STATE_ROWS, PR_I32, pr_shape_1(shape.dim[0]));
        pr_adamw_prologue(g, param, ids, rates, clock, attr);
    }
    return pr_graph_node(g, &pr_op_adamw, in, attr, NULL);
}
