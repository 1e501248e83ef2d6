/* adamw_catch_up: rows of a sparsely updated parameter that are about to be read make the updates
 * that they have missed (adamw.h). It runs in the prologue of a step.
 * in: parameter (V, d), first and second moments (V, d), PR_STATE_ROWS i32 (V), ids i32 (N), rates
 *     (steps), clock u64 (3), [1] being the number of updates made so far. attr: adamw's.
 * It has no output, and no gradient. */
#include "backends/parallel.h"
#include "ops/adamw.h"
#include "ops/cuda.h"
#include "ops/rule.h"
#include "ops/table.h"

enum { PARAM, FIRST, SECOND, ROWS, IDS, RATES, CLOCK, INPUTS };

enum { ROWS_OF_TASK = 64 };

static pr_status infer(pr_infer *c) {
    pr_shape p = c->in[PARAM];
    if (p.n_dims != 2 || c->in[IDS].n_dims != 1 || c->in_dtype[IDS] != PR_I32 ||
        c->in_dtype[ROWS] != PR_I32 || !pr_shape_equal(c->in[ROWS], pr_shape_1(p.dim[0])) ||
        !pr_shape_equal(c->in[FIRST], p) || !pr_shape_equal(c->in[SECOND], p)) {
        char text[PR_SHAPE_TEXT];
        return pr_fail(c->err, PR_BAD_GRAPH, "%s: what it was given does not fit a table of %s",
                       c->what, pr_shape_text(p, text));
    }
    if (!pr_rule_rank(c, RATES, "rates", PR_F32, 1) ||
        !pr_rule_shape(c, CLOCK, "the clock", PR_U64, pr_shape_1(3))) {
        return PR_BAD_GRAPH;
    }
    return PR_OK;
}

/* Room for each row that is behind, once. */
static size_t workspace(const pr_call *c) {
    return (size_t)c->in[IDS].shape.dim[0] * sizeof(int32_t);
}

typedef struct job {
    pr_adamw_table table;
    const int32_t *behind; /* distinct rows */
    int64_t updates;       /* made so far */
} job;

static void row_task(const void *context, int64_t task, int thread) {
    (void)thread;
    const job *j = context;
    pr_adamw_replay(&j->table, j->behind[task], j->updates);
}

/* Lists each row that is behind once: a listed row is marked by the complement of its count. */
static int64_t list_behind(const pr_adamw_table *t, const int32_t *ids, int64_t n, int64_t updates,
                           int32_t *behind) {
    int64_t found = 0;
    for (int64_t i = 0; i < n; i++) {
        int32_t row = ids[i];
        if (row < 0 || row >= t->n_rows || t->done[row] < 0) continue;
        if (t->done[row] >> 1 >= updates) continue;
        t->done[row] = ~t->done[row];
        behind[found++] = row;
    }
    for (int64_t i = 0; i < found; i++)
        t->done[behind[i]] = ~t->done[behind[i]];
    return found;
}

static pr_status adamw_catch_up_cpu(const pr_call *c) {
    uint64_t step = ((const uint64_t *)c->in[CLOCK].data)[1];
    int64_t since = c->attr.i[0], n_rates = c->in[RATES].shape.dim[0];
    if (step > (uint64_t)n_rates || (int64_t)step < since) {
        return pr_fail(c->err, PR_BAD_ARGUMENT, "%s: step %llu lies outside %lld to %lld", c->name,
                       (unsigned long long)step, (long long)since, (long long)n_rates);
    }
    const float *f = c->attr.f;
    job j = {
        .behind = c->workspace,
        .updates = (int64_t)step - since,
        .table = {.p = c->in[PARAM].data,
                  .m = c->in[FIRST].data,
                  .v = c->in[SECOND].data,
                  .done = c->in[ROWS].data,
                  .n_rows = c->in[PARAM].shape.dim[0],
                  .d = c->in[PARAM].shape.dim[1],
                  .rates = (const float *)c->in[RATES].data + since,
                  .options = {f[0], f[1], f[2], f[3]}},
    };
    int64_t n =
        list_behind(&j.table, c->in[IDS].data, c->in[IDS].shape.dim[0], j.updates, c->workspace);
    pr_parallel_tasks(c->backend, n, row_task, &j);
    return PR_OK;
}

const pr_op pr_op_adamw_catch_up = {
    .name = "adamw_catch_up",
    .n_in = INPUTS,
    .writes = 1u << PARAM | 1u << FIRST | 1u << SECOND | 1u << ROWS,
    .accumulate = -1,
    .flags = PR_OP_NO_GRADIENT,
    .infer = infer,
    .workspace = {[PR_CPU] = workspace},
    .kernel = {[PR_CPU] = adamw_catch_up_cpu, [PR_CUDA] = PR_ON_CUDA(pr_adamw_catch_up_cuda)},
};

void pr_adamw_prologue(pr_graph *g, pr_tid param, pr_tid ids, pr_tid rates, pr_tid clock,
                       pr_attr attr) {
    const pr_tensor *t = pr_graph_tensor(g, param);
    int index = t->param;
    pr_shape shape = t->shape;
    const pr_tid in[INPUTS] = {
        [PARAM] = param,
        [FIRST] = pr_graph_state(g, index, PR_STATE_FIRST, PR_F32, shape),
        [SECOND] = pr_graph_state(g, index, PR_STATE_SECOND, PR_F32, shape),
        [ROWS] = pr_graph_state(g, index, PR_STATE_ROWS, PR_I32, pr_shape_1(shape.dim[0])),
        [IDS] = ids,
        [RATES] = rates,
        [CLOCK] = clock,
    };
    pr_phase before = pr_graph_phase(g, PR_PROLOGUE);
    pr_graph_node(g, &pr_op_adamw_catch_up, in, attr, NULL);
    pr_graph_phase(g, before);
}

static void table_task(const void *context, int64_t task, int thread) {
    (void)thread;
    const job *j = context;
    int64_t end = (task + 1) * ROWS_OF_TASK;
    if (end > j->table.n_rows) end = j->table.n_rows;
    for (int64_t row = task * ROWS_OF_TASK; row < end; row++)
        pr_adamw_replay(&j->table, row, j->updates);
}

/* The kernel's own call, for all rows: on a backend whose memory the host does not see. room holds
 * the clock, then the rates. */
static pr_status call_kernel(pr_backend *backend, const pr_param *p, int64_t n_rates, char *room,
                             const pr_adamw_options *o, pr_error *err) {
    pr_shape table = p->shape, rows = pr_shape_1(p->shape.dim[0]);
    const pr_call c = {
        .in = {[PARAM] = {p->data, table, PR_F32},
               [FIRST] = {p->state[PR_STATE_FIRST], table, PR_F32},
               [SECOND] = {p->state[PR_STATE_SECOND], table, PR_F32},
               [ROWS] = {p->state[PR_STATE_ROWS], rows, PR_I32},
               [IDS] = {NULL, rows, PR_I32},
               [RATES] = {room + sizeof(uint64_t[3]), pr_shape_1(n_rates), PR_F32},
               [CLOCK] = {room, pr_shape_1(3), PR_U64}},
        .attr = {.f = {o->beta_1, o->beta_2, o->epsilon, p->decay ? o->weight_decay : 0.0f},
                 .i = {p->since}},
        .backend = backend,
        .name = p->name,
        .err = err,
    };
    pr_kernel kernel = pr_op_adamw_catch_up.kernel[backend->kind];
    if (!kernel) return pr_fail(err, PR_UNSUPPORTED, "%s: no kernel catches up its rows", p->name);
    pr_status status = kernel(&c);
    return status == PR_OK ? backend->sync(backend, err) : status;
}

static pr_status catch_up_far(pr_backend *backend, const pr_param *p, const float *rates,
                              int32_t step, const pr_adamw_options *options, pr_error *err) {
    const uint64_t clock[3] = {0, (uint64_t)step, 0};
    int64_t n_rates = step > 0 ? step : 1; /* those that count */
    size_t bytes = sizeof clock + (size_t)n_rates * sizeof *rates;
    char *room = backend->alloc(backend, bytes);
    if (!room) return pr_backend_no_memory(backend, p->name, bytes, NULL, err);
    pr_status status = backend->upload(backend, room, clock, sizeof clock);
    if (status == PR_OK && step > 0) {
        status = backend->upload(backend, room + sizeof clock, rates, (size_t)step * sizeof *rates);
    }
    if (status == PR_OK) status = call_kernel(backend, p, n_rates, room, options, err);
    backend->free(backend, room, bytes);
    return status == PR_OK ? PR_OK : pr_fail(err, status, "%s: its rows stay behind", p->name);
}

pr_status pr_adamw_catch_up(pr_store *store, int param, const float *rates, int32_t step,
                            const pr_adamw_options *options, pr_error *err) {
    const pr_param *p = pr_store_param(store, param);
    pr_backend *backend = pr_store_backend(store);
    if (!p) return pr_fail(err, PR_BAD_ARGUMENT, "there is no parameter number %d", param);
    if (!p->state[PR_STATE_ROWS]) return PR_OK;
    if (step < p->since) {
        return pr_fail(err, PR_BAD_ARGUMENT, "%s: step %d lies before %d, when it began to train",
                       p->name, (int)step, (int)p->since);
    }
    if (!backend->host_visible) return catch_up_far(backend, p, rates, step, options, err);
    job j = {
        .updates = step - p->since,
        .table = {.p = p->data,
                  .m = p->state[PR_STATE_FIRST],
                  .v = p->state[PR_STATE_SECOND],
                  .done = p->state[PR_STATE_ROWS],
                  .n_rows = p->shape.dim[0],
                  .d = p->shape.dim[1],
                  .rates = rates + p->since,
                  .options = *options},
    };
    if (!p->decay) j.table.options.weight_decay = 0.0f;
    pr_parallel_tasks(backend, (j.table.n_rows + ROWS_OF_TASK - 1) / ROWS_OF_TASK, table_task, &j);
    return PR_OK;
}
