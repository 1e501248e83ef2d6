#include "tools/products.h"

#include <stdlib.h>

#include "graph/memory.h"
#include "tools/numbers.h"

static products_row *find_row(products *list, const product *p) {
    for (size_t i = 0; i < list->n; i++) {
        if (product_equal(&list->row[i].of, p)) return &list->row[i];
    }
    if (!pr_grow((void **)&list->row, &list->capacity, list->n + 1, sizeof *list->row)) return NULL;
    list->row[list->n] = (products_row){.of = *p};
    return &list->row[list->n++];
}

bool products_note(products *list, const pr_call *call, int place, double seconds) {
    const product p = product_of(call);
    products_row *row = find_row(list, &p);
    if (!row) return false;
    row->calls[place]++;
    row->seconds[place] += seconds;
    return true;
}

void products_free(products *list) {
    pr_free(list->row);
    *list = (products){0};
}

/* ---- a mean step ---- */

typedef struct mean_row {
    const product *of;
    double calls, seconds;
} mean_row;

static int longest_first(const void *a, const void *b) {
    double x = ((const mean_row *)a)->seconds, y = ((const mean_row *)b)->seconds;
    return (x < y) - (x > y);
}

static json_t *row_json(const mean_row *r) {
    char text[PRODUCT_TEXT];
    json_t *o = json_object();
    json_object_set_new(o, "product", json_string(product_text(text, r->of)));
    json_object_set_new(o, "calls", number_rounded(r->calls, 6));
    json_object_set_new(o, "seconds", number_exact(r->seconds));
    return o;
}

json_t *products_json(const products *list, double each, bool first) {
    mean_row *mean = pr_alloc(list->n + 1, sizeof *mean);
    if (!mean) return NULL;
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) {
        const products_row *r = &list->row[i];
        mean_row m = {&r->of, each * (r->calls[1] + (first ? r->calls[0] : 0.0)),
                      each * (r->seconds[1] + (first ? r->seconds[0] : 0.0))};
        if (m.calls > 0) mean[n++] = m;
    }
    qsort(mean, n, sizeof *mean, longest_first);
    json_t *rows = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(rows, row_json(&mean[i]));
    pr_free(mean);
    return rows;
}
