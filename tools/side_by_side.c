#include "tools/side_by_side.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/memory.h"

/* ||g - g*|| <= 1e-4 ||g*|| + 1e-6 max over tensors ||g*||, as gradients are checked. */
static const double relative_f32 = 1e-4, relative_less = 1e-2, of_largest = 1e-2;

enum { SHOWN = 12 };

double side_by_side_tolerance(pr_precision a, pr_precision b) {
    return a == PR_PRECISION_F32 && b == PR_PRECISION_F32 ? relative_f32 : relative_less;
}

pr_status side_by_side_note(void *context, const pr_difference *d) {
    side_by_side *s = context;
    if (!pr_grow((void **)&s->row, &s->capacity, s->n + 1, sizeof *s->row)) return PR_NO_MEMORY;
    side_by_side_row row = {.d = *d, .step = s->step};
    row.d.node = pr_copy_text(d->node);
    row.d.value = pr_copy_text(d->value);
    s->row[s->n++] = row;
    return row.d.node && row.d.value ? PR_OK : PR_NO_MEMORY;
}

/* ---- judging ---- */

enum { PHASES = PR_UPDATE + 1 };

/* How many times what is allowed: 0 where nothing is apart, never NaN. */
static double excess(const side_by_side *s, const pr_difference *d, const double *largest) {
    if (d->apart == 0.0 || isinf(d->apart)) return d->apart;
    return d->apart / (s->tolerance * (d->norm + of_largest * largest[d->phase]));
}

typedef struct judged {
    double excess;
    size_t row;
} judged;

static int by_excess(const void *a, const void *b) {
    double x = ((const judged *)a)->excess, y = ((const judged *)b)->excess;
    return (x < y) - (x > y);
}

static void print_row(FILE *out, const side_by_side_row *r, int width, double over) {
    char shape[PR_SHAPE_TEXT];
    const pr_difference *d = &r->d;
    double relative = d->norm > 0.0 ? d->apart / d->norm : d->apart;
    fprintf(out, "%4d  %-22s %-*s %-14s %9.2e %9.2e %9.3g%s\n", (int)r->step, d->op->name, width,
            d->value, pr_shape_text(d->shape, shape), relative, d->largest, over,
            over > 1.0 ? " !" : "");
}

static void print_worst(FILE *out, const side_by_side *s, const judged *worst, size_t n) {
    size_t width = strlen("value");
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(s->row[worst[i].row].d.value);
        if (length > width) width = length;
    }
    fprintf(out, "%4s  %-22s %-*s %-14s %9s %9s %9s\n", "step", "op", (int)width, "value", "shape",
            "relative", "largest", "of limit");
    for (size_t i = 0; i < n; i++)
        print_row(out, &s->row[worst[i].row], (int)width, worst[i].excess);
}

/* All rows, the worst first; NULL when there is no memory. */
static judged *sort(const side_by_side *s) {
    double largest[PHASES] = {0};
    judged *all = pr_alloc(s->n, sizeof *all);
    for (size_t i = 0; i < s->n; i++) {
        const pr_difference *d = &s->row[i].d;
        if (isfinite(d->norm) && d->norm > largest[d->phase]) largest[d->phase] = d->norm;
    }
    for (size_t i = 0; all && i < s->n; i++)
        all[i] = (judged){excess(s, &s->row[i].d, largest), i};
    if (all) qsort(all, s->n, sizeof *all, by_excess);
    return all;
}

pr_status side_by_side_judge(const side_by_side *s, FILE *out, pr_error *err) {
    judged *all = sort(s);
    if (!all) return pr_fail_memory(err, "a comparison", s->n * sizeof *all);
    size_t differ = 0, wrong = 0;
    while (differ < s->n && all[differ].excess != 0.0)
        differ++;
    while (wrong < s->n && all[wrong].excess > 1.0)
        wrong++;
    if (differ) print_worst(out, s, all, differ < SHOWN ? differ : SHOWN);
    fprintf(out, "%zu values compared, %zu differ, %zu out of tolerance (%g of a value's norm)\n",
            s->n, differ, wrong, s->tolerance);
    pr_free(all);
    if (!wrong) return PR_OK;
    return pr_fail(err, PR_DEVICE, "%zu of %zu values are out of tolerance", wrong, s->n);
}

void side_by_side_free(side_by_side *s) {
    for (size_t i = 0; i < s->n; i++) {
        pr_free((char *)s->row[i].d.node);
        pr_free((char *)s->row[i].d.value);
    }
    pr_free(s->row);
    *s = (side_by_side){.n = 0};
}
