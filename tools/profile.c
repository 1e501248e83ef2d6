#include "tools/profile.h"

#include <stdlib.h>
#include <string.h>

#include "graph/memory.h"
#include "ops/ops.h"
#include "ops/table.h"
#include "tools/numbers.h"
#include "tools/timing.h"

/* ---- gathering ---- */

static bool begins_with(const char *text, const char *beginning) {
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

/* A weight's gradient sums over the batch, which are its factors' rows; an activation's has them as
 * its own rows. */
static profile_part part_of_gradient(const pr_call *call, const pr_op *op) {
    if (op != &pr_op_matmul) return PROFILE_GRADIENT;
    bool sums_rows = call->attr.i[0] & PR_TRANSPOSE_A;
    return sums_rows ? PROFILE_GRADIENT_OF_WEIGHT : PROFILE_GRADIENT_OF_INPUT;
}

/* The parts of a step have scopes of their own: autograd/backward.c, train/optimizer.c
 * and train/parts.c. */
static profile_part part_of(const pr_call *call, const pr_op *op) {
    if (begins_with(call->name, "again/")) return PROFILE_RECOMPUTED;
    if (begins_with(call->name, "gradient")) return part_of_gradient(call, op);
    static const char *const updates[] = {"gather.", "clip/", "update."};
    for (int i = 0; i < 3; i++) {
        if (begins_with(call->name, updates[i])) return PROFILE_UPDATE;
    }
    return PROFILE_FORWARD;
}

static profile_row *find_row(profile *p, const char *op, profile_part part) {
    for (size_t i = 0; i < p->n; i++) {
        if (p->row[i].part == part && p->row[i].op == op) return &p->row[i];
    }
    if (!pr_grow((void **)&p->row, &p->capacity, p->n + 1, sizeof *p->row)) return NULL;
    p->row[p->n] = (profile_row){.op = op, .part = part};
    return &p->row[p->n++];
}

/* Where the step under way is summed: 0 for one that a long run leaves out. */
static int place(const profile *p) {
    return p->steps >= timing_warm_steps(SIZE_MAX);
}

pr_status profile_node(profile *p, const pr_call *call, const pr_op *op, double seconds) {
    profile_row *row = find_row(p, op->name, part_of(call, op));
    if (!row) return pr_fail_memory(call->err, "the profile", p->n * sizeof *row);
    profile_sums *sums = &row->sums[place(p)];
    double flops, bytes;
    pr_call_cost(call, op, &flops, &bytes);
    sums->calls++;
    sums->seconds += seconds;
    sums->flops += flops;
    sums->bytes += bytes;
    if (op != &pr_op_matmul || products_note(&p->products, call, place(p), seconds)) return PR_OK;
    return pr_fail_memory(call->err, "the profile", p->products.n * sizeof *p->products.row);
}

void profile_step(profile *p, double seconds) {
    p->step_seconds[place(p)] += seconds;
    p->steps++;
}

void profile_free(profile *p) {
    pr_free(p->row);
    products_free(&p->products);
    *p = (profile){0};
}

/* ---- a mean step ---- */

typedef struct mean_row {
    const char *op;
    profile_part part;
    profile_sums of;
    double share;
} mean_row;

typedef struct mean_step {
    mean_row *row;
    size_t n, steps;
    double each; /* what a sum is multiplied by */
    bool first;  /* no step was left out */
    double seconds, outside;
} mean_step;

static int longest_first(const void *a, const void *b) {
    double x = ((const mean_row *)a)->of.seconds, y = ((const mean_row *)b)->of.seconds;
    return (x < y) - (x > y);
}

static profile_sums add_sums(const profile_sums *a, const profile_sums *b, double factor) {
    return (profile_sums){factor * (a->calls + b->calls), factor * (a->seconds + b->seconds),
                          factor * (a->flops + b->flops), factor * (a->bytes + b->bytes)};
}

/* False without memory. The caller frees row. */
static bool mean(const profile *p, mean_step *m) {
    static const profile_sums none = {0};
    size_t warm = timing_warm_steps(p->steps);
    *m = (mean_step){.steps = p->steps - warm, .row = pr_alloc(p->n + 1, sizeof *m->row)};
    if (!m->row) return false;
    double each = m->steps ? 1.0 / (double)m->steps : 0.0;
    m->each = each;
    m->first = !warm;
    m->seconds = each * (p->step_seconds[1] + (warm ? 0.0 : p->step_seconds[0]));
    m->outside = m->seconds;
    for (size_t i = 0; i < p->n; i++) {
        const profile_row *r = &p->row[i];
        mean_row row = {r->op, r->part, .of = add_sums(&r->sums[1], warm ? &none : r->sums, each)};
        if (row.of.calls == 0) continue; /* of the first steps alone */
        row.share = row.of.seconds / m->seconds;
        m->outside -= row.of.seconds;
        m->row[m->n++] = row;
    }
    qsort(m->row, m->n, sizeof *m->row, longest_first);
    return true;
}

/* ---- telling ---- */

static const char *const part_name[] = {
    [PROFILE_FORWARD] = "forward",
    [PROFILE_RECOMPUTED] = "recomputed",
    [PROFILE_GRADIENT] = "gradient",
    [PROFILE_GRADIENT_OF_INPUT] = "gradient of input",
    [PROFILE_GRADIENT_OF_WEIGHT] = "gradient of weight",
    [PROFILE_UPDATE] = "update",
};

/* Billions of something a second; blank where there is nothing of it. */
static void print_rate(FILE *out, int width, double amount, double seconds) {
    if (amount > 0 && seconds > 0) {
        fprintf(out, "%*.1f", width, amount / seconds / 1e9);
    } else {
        fprintf(out, "%*s", width, "");
    }
}

static void print_row(const mean_row *r, FILE *out) {
    fprintf(out, "  %-22s %-18s %6.1f %% %9.3f %7.1f ", r->op, part_name[r->part], 100 * r->share,
            1e3 * r->of.seconds, r->of.calls);
    print_rate(out, 9, r->of.flops, r->of.seconds);
    print_rate(out, 8, r->of.bytes, r->of.seconds);
    fputc('\n', out);
}

void profile_print(const profile *p, const char *what, FILE *out) {
    mean_step m;
    if (!p->steps || !mean(p, &m)) return;
    fprintf(out, "A %s takes %.1f ms, the mean of %zu:\n", what, 1e3 * m.seconds, m.steps);
    fprintf(out, "  %-22s %-18s %8s %9s %7s %9s %7s\n", "op", "part", "time", "ms", "calls",
            "GFLOP/s", "GB/s");
    for (size_t i = 0; i < m.n; i++)
        print_row(&m.row[i], out);
    fprintf(out, "  %-41s %6.1f %% %9.3f\n", "outside of nodes", 100 * m.outside / m.seconds,
            1e3 * m.outside);
    pr_free(m.row);
}

static json_t *row_json(const mean_row *r) {
    json_t *o = json_object();
    json_object_set_new(o, "op", json_string(r->op));
    json_object_set_new(o, "part", json_string(part_name[r->part]));
    json_object_set_new(o, "share", number_rounded(r->share, 6));
    json_object_set_new(o, "calls", number_rounded(r->of.calls, 3));
    json_object_set_new(o, "seconds", number_exact(r->of.seconds));
    json_object_set_new(o, "flops", number_rounded(r->of.flops, 0));
    json_object_set_new(o, "bytes", number_rounded(r->of.bytes, 0));
    return o;
}

json_t *profile_json(const profile *p) {
    mean_step m;
    if (!mean(p, &m)) return NULL;
    json_t *o = json_object(), *ops = json_array();
    for (size_t i = 0; i < m.n; i++)
        json_array_append_new(ops, row_json(&m.row[i]));
    json_object_set_new(o, "steps", number_count(m.steps));
    json_object_set_new(o, "step_s", number_exact(m.seconds));
    json_object_set_new(o, "outside_s", number_exact(m.outside));
    json_object_set_new(o, "ops", ops);
    pr_free(m.row);
    if (json_object_set_new(o, "products", products_json(&p->products, m.each, m.first)) == 0)
        return o;
    json_decref(o);
    return NULL;
}
