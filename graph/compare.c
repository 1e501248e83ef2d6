#include "graph/compare.h"

#include <math.h>
#include <string.h>

#include "graph/bf16.h"
#include "graph/memory.h"
#include "graph/plan_internal.h"

typedef struct comparison {
    pr_plan *a, *b;
    pr_extent extent;
    char *room[2]; /* for the values of each */
    pr_compare_report report;
    void *context;
    pr_error *err;
} comparison;

/* ---- values ---- */

static pr_tensor tensor_of(const comparison *c, pr_tid t) {
    pr_tensor tensor = c->a->value[t].tensor;
    tensor.shape = pr_shape_bind(tensor.shape, c->extent);
    return tensor;
}

/* The bytes of t that count in this run; a parameter may be kept in another form by each. */
static size_t bytes_in(const pr_plan *plan, pr_tid t, pr_extent extent) {
    const pr_tensor *tensor = &plan->value[t].tensor;
    size_t bytes;
    return pr_shape_bytes(pr_shape_bind(tensor->shape, extent), tensor->dtype, &bytes) ? bytes : 0;
}

static pr_status failed(const comparison *c, pr_status status, pr_tid t) {
    return pr_fail(c->err, status, "'%s' could not be copied", c->a->value[t].tensor.name);
}

static pr_status fetch(const comparison *c, int which, const pr_plan *plan, pr_tid t) {
    pr_backend *backend = plan->backend;
    pr_status status = backend->download(backend, c->room[which], plan->value[t].address,
                                         bytes_in(plan, t, c->extent));
    return status == PR_OK ? PR_OK : failed(c, status, t);
}

/* What plan a's step reads, to where plan b's does, and past it what adds nothing. Inputs were fed
 * to both, and each has parameters of its own. */
static pr_status hand_over(const comparison *c, pr_tid t) {
    if (!t || c->a->value[t].tensor.role != PR_ROLE_VALUE) return PR_OK;
    pr_backend *to = c->b->backend;
    size_t bytes = bytes_in(c->b, t, c->extent), room = bytes_in(c->b, t, c->b->bound);
    char *address = c->b->value[t].address;
    pr_status status = fetch(c, 0, c->a, t);
    if (status != PR_OK) return status;
    bool lists = c->b->value[t].tensor.dtype == PR_I32; /* rows: -1 is none */
    if (room > bytes) memset(c->room[0] + bytes, lists ? 0xff : 0, room - bytes);
    status = to->upload(to, address, c->room[0], room > bytes ? room : bytes);
    return status == PR_OK ? PR_OK : failed(c, status, t);
}

/* ---- differences ---- */

static double element(const char *bytes, pr_dtype dtype, size_t i) {
    const char *at = bytes + i * pr_dtype_size(dtype);
    float f;
    double d;
    int32_t n;
    uint64_t u;
    uint16_t half;
    switch (dtype) {
    case PR_F32:
        memcpy(&f, at, sizeof f);
        return (double)f;
    case PR_F64:
        memcpy(&d, at, sizeof d);
        return d;
    case PR_BF16:
        memcpy(&half, at, sizeof half);
        return (double)pr_f32_from_bf16(half);
    case PR_I32:
        memcpy(&n, at, sizeof n);
        return (double)n;
    case PR_U64:
        memcpy(&u, at, sizeof u);
        return (double)u;
    }
    return 0.0;
}

/* NaN beside NaN is no difference; beside a number it is an infinite one. */
static double distance(double x, double y) {
    if (isnan(x) || isnan(y)) return isnan(x) && isnan(y) ? 0.0 : INFINITY;
    return x == y ? 0.0 : fabs(x - y);
}

static void measure(const comparison *c, pr_tid t, pr_difference *d) {
    pr_dtype dtype = c->a->value[t].tensor.dtype, other = c->b->value[t].tensor.dtype;
    bool exact = dtype == PR_I32 || dtype == PR_U64;
    double norm = 0.0, apart = 0.0;
    size_t n = 0;
    pr_shape_count(d->shape, &n);
    for (size_t i = 0; i < n; i++) {
        double x = element(c->room[0], dtype, i), y = element(c->room[1], other, i);
        double off = distance(x, y);
        if (exact && off > 0.0) off = INFINITY;
        if (isfinite(x)) norm += x * x;
        apart += off * off;
        if (off <= d->largest) continue;
        d->largest = off;
        d->at = i;
    }
    d->norm = sqrt(norm);
    d->apart = sqrt(apart);
}

/* rows: of the first dimension that count; -1: all. */
static pr_status compare_value(const comparison *c, const pr_step *step, pr_tid t, int64_t rows) {
    pr_tensor tensor = tensor_of(c, t);
    if (rows >= 0) tensor.shape.dim[0] = rows;
    pr_difference d = {.op = step->op,
                       .node = step->call.name,
                       .value = tensor.name,
                       .phase = step->phase,
                       .shape = tensor.shape};
    pr_status status = fetch(c, 0, c->a, t);
    if (status == PR_OK) status = fetch(c, 1, c->b, t);
    if (status != PR_OK) return status;
    measure(c, t, &d);
    status = c->report(c->context, &d);
    if (status == PR_OK) return PR_OK;
    return pr_fail(c->err, status, "the comparison ended at '%s'", tensor.name);
}

/* How many rows a sparse gradient holds, in out[0] and their list, out[1]: those past them mean
 * nothing. -1 where it is none. */
static pr_status count_rows(const comparison *c, const pr_step *step, int64_t *rows) {
    *rows = -1;
    if (!(step->op->flags & PR_OP_SPARSE)) return PR_OK;
    int64_t most = tensor_of(c, step->out[1]).shape.dim[0], n = 0;
    pr_status status = fetch(c, 0, c->a, step->out[1]);
    while (n < most && element(c->room[0], PR_I32, (size_t)n) >= 0.0)
        n++;
    *rows = n;
    return status;
}

static pr_status compare_step(const comparison *c, const pr_step *step) {
    int64_t rows;
    pr_status status = count_rows(c, step, &rows);
    for (int k = 0; k < step->op->n_out && status == PR_OK; k++) {
        if (step->out[k]) status = compare_value(c, step, step->out[k], k < 2 ? rows : -1);
    }
    for (int k = 0; k < step->op->n_in && status == PR_OK; k++) {
        if (step->in[k] && step->op->writes >> k & 1u)
            status = compare_value(c, step, step->in[k], -1);
    }
    return status;
}

/* ---- both plans ---- */

static pr_status call(pr_plan *plan, pr_step *step, pr_error *err) {
    step->call.err = err;
    pr_status status = step->kernel(&step->call);
    if (status == PR_OK) status = plan->backend->sync(plan->backend, err);
    if (status == PR_OK) return PR_OK;
    return pr_fail(err, status, "%s '%s' failed on %s", step->op->name, step->call.name,
                   plan->backend->name);
}

static pr_status run_both(const comparison *c, int32_t s) {
    pr_step *a = &c->a->step[s], *b = &c->b->step[s];
    pr_status status = PR_OK;
    for (int k = 0; k < a->op->n_in && status == PR_OK; k++)
        status = hand_over(c, a->in[k]);
    if (status == PR_OK) status = call(c->a, a, c->err);
    if (status == PR_OK) status = call(c->b, b, c->err);
    return status == PR_OK ? compare_step(c, a) : status;
}

static bool are_alike(const pr_plan *a, const pr_plan *b) {
    if (a->n_steps != b->n_steps || a->n_values != b->n_values) return false;
    for (int32_t s = 0; s < a->n_steps; s++) {
        const pr_step *x = &a->step[s], *y = &b->step[s];
        if (x->op != y->op || memcmp(x->in, y->in, sizeof x->in) != 0) return false;
    }
    return true;
}

/* At capacity. */
static size_t largest_bytes(const pr_plan *plan) {
    size_t most = 1;
    for (pr_tid t = 1; t <= plan->n_values; t++) {
        if (plan->value[t].bytes > most) most = plan->value[t].bytes;
    }
    return most;
}

pr_status pr_plan_compare(pr_plan *a, pr_plan *b, pr_extent extent, pr_compare_report report,
                          void *context, pr_error *err) {
    if (!are_alike(a, b)) {
        return pr_fail(err, PR_BAD_ARGUMENT, "the plans to compare are not of one graph");
    }
    pr_status status = pr_plan_begin(a, extent, err);
    if (status == PR_OK) status = pr_plan_begin(b, extent, err);
    if (status != PR_OK) return status;
    size_t bytes = largest_bytes(a) > largest_bytes(b) ? largest_bytes(a) : largest_bytes(b);
    char *room[2] = {pr_alloc(bytes, 1), pr_alloc(bytes, 1)};
    comparison c = {a, b, extent, {room[0], room[1]}, report, context, err};
    if (!room[0] || !room[1]) {
        pr_free(room[0]);
        pr_free(room[1]);
        return pr_fail_memory(err, "a comparison", 2 * bytes);
    }
    for (int32_t s = 0; s < a->n_steps && status == PR_OK; s++)
        status = run_both(&c, s);
    pr_free(room[0]);
    pr_free(room[1]);
    return status;
}
