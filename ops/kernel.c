#include "ops/kernel.h"

/* Elements worth a second thread: about ten microseconds of work, twice what waking it costs. */
enum { GRAIN = 16384, CHUNK = 64 };

int64_t pr_elements(pr_view v) {
    int64_t n = 1;
    for (int i = 0; i < v.shape.n_dims; i++)
        n *= v.shape.dim[i];
    return n;
}

int64_t pr_grain(int64_t elements) {
    return GRAIN / (elements > 0 ? elements : 1) + 1;
}

void pr_each_item(const pr_call *c, int64_t n, int64_t elements, pr_range_body body) {
    pr_parallel_range(c->backend, n, pr_grain(elements), body, c);
}

typedef struct chunks {
    const pr_call *call;
    pr_range_body body;
    int64_t n;
} chunks;

static void run_chunks(const void *context, int64_t begin, int64_t end) {
    const chunks *all = context;
    int64_t last = end * CHUNK;
    all->body(all->call, begin * CHUNK, last < all->n ? last : all->n);
}

void pr_each_element(const pr_call *c, pr_range_body body) {
    chunks all = {.call = c, .body = body, .n = pr_elements(c->out[0])};
    int64_t n = all.n / CHUNK + (all.n % CHUNK != 0);
    pr_parallel_range(c->backend, n, pr_grain(CHUNK), run_chunks, &all);
}

int64_t pr_tiles(int64_t columns) {
    return columns / PR_TILE_COLUMNS + (columns % PR_TILE_COLUMNS != 0);
}

bool pr_offsets_fit(const pr_call *c, const char *op, int k, int64_t n) {
    const int32_t *offset = c->in[k].data; /* (B + 1) */
    int64_t sentences = c->in[k].shape.dim[0] - 1;
    if (sentences < 0 || offset[0] != 0 || offset[sentences] != n) {
        pr_fail(c->err, PR_BAD_ARGUMENT, "%s '%s': offsets must run from 0 to the %lld rows of x",
                op, c->name, (long long)n);
        return false;
    }
    for (int64_t s = 0; s < sentences; s++) {
        if (offset[s] < offset[s + 1]) continue;
        pr_fail(c->err, PR_BAD_ARGUMENT,
                "%s '%s': sentence %lld has no rows: its offsets are %d and %d", op, c->name,
                (long long)s, (int)offset[s], (int)offset[s + 1]);
        return false;
    }
    return true;
}

bool pr_sentences_fit(const pr_call *c, const char *op, int k, int64_t n) {
    if (!pr_offsets_fit(c, op, k, n)) return false;
    const int32_t *offset = c->in[k].data; /* (B + 1) */
    for (int64_t s = 0; s < c->in[k].shape.dim[0] - 1; s++) {
        if (offset[s + 1] - offset[s] <= c->extent.longest) continue;
        pr_fail(c->err, PR_BAD_ARGUMENT,
                "%s '%s': sentence %lld has %d rows, and the longest is said to have %lld", op,
                c->name, (long long)s, (int)(offset[s + 1] - offset[s]),
                (long long)c->extent.longest);
        return false;
    }
    return true;
}
