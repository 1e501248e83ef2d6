/* Rows that change places between two parameters. */

#include "graph/memory.h"
#include "graph/store.h"

/* The bytes of a row; 0 when there is no such row. */
static size_t row_bytes(const pr_param *p, int64_t row) {
    if (!p || row < 0 || row >= p->shape.dim[0]) return 0;
    return p->bytes / (size_t)p->shape.dim[0];
}

/* Two rows of n numbers to the host, the one after the other. */
static pr_status read_both(pr_backend *backend, const float *a, const float *b, size_t n,
                           float *room) {
    pr_status status = backend->download(backend, room, a, n * sizeof *a);
    return status == PR_OK ? backend->download(backend, room + n, b, n * sizeof *b) : status;
}

static pr_status swap_moments(pr_backend *backend, float *a, float *b, size_t n, float *room) {
    pr_status status = read_both(backend, a, b, n, room);
    if (status == PR_OK) status = backend->upload(backend, a, room + n, n * sizeof *a);
    return status == PR_OK ? backend->upload(backend, b, room, n * sizeof *b) : status;
}

/* Sparsely updated rows have a count of their own, which would have to move too. */
static bool can_swap(const pr_param *p, const pr_param *q) {
    bool alike = p != q && p->require_grad == q->require_grad;
    for (int slot = PR_STATE_FIRST; slot <= PR_STATE_SECOND; slot++)
        alike &= !p->state[slot] == !q->state[slot];
    return alike && !p->state[PR_STATE_ROWS] && !q->state[PR_STATE_ROWS];
}

pr_status pr_store_swap_rows(pr_store *store, int a, int64_t row_a, int b, int64_t row_b,
                             pr_error *err) {
    const pr_param *p = pr_store_param(store, a), *q = pr_store_param(store, b);
    size_t bytes = row_bytes(p, row_a);
    if (!bytes || bytes != row_bytes(q, row_b) || !can_swap(p, q)) {
        return pr_fail(err, PR_BAD_ARGUMENT,
                       "rows %lld of '%s' and %lld of '%s' can't change places", (long long)row_a,
                       p ? p->name : "nothing", (long long)row_b, q ? q->name : "nothing");
    }
    float *room = pr_alloc(bytes, 2);
    if (!room) return pr_fail_memory(err, "a row", 2 * bytes);
    size_t n = bytes / sizeof *room, at_a = (size_t)row_a * n, at_b = (size_t)row_b * n;
    pr_backend *backend = pr_store_backend(store);
    pr_status status = read_both(backend, p->data + at_a, q->data + at_b, n, room);
    if (status == PR_OK) status = pr_store_write_rows(store, a, row_a, 1, room + n, err);
    if (status == PR_OK) status = pr_store_write_rows(store, b, row_b, 1, room, err);
    for (int slot = PR_STATE_FIRST; slot <= PR_STATE_SECOND && status == PR_OK; slot++) {
        float *moments_a = p->state[slot], *moments_b = q->state[slot];
        if (!moments_a) continue;
        status = swap_moments(backend, moments_a + at_a, moments_b + at_b, n, room);
    }
    pr_free(room);
    if (status == PR_OK) return PR_OK;
    return pr_fail(err, status, "rows of '%s' and '%s' could not change places", p->name, q->name);
}
