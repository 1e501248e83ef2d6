/* Rows that change places between two parameters. */

#include "graph/memory.h"
#include "graph/store.h"

/* The bytes of a row; 0 when there is no such row. */
static size_t row_bytes(const pr_param *p, int64_t row) {
    if (!p || row < 0 || row >= p->shape.dim[0]) return 0;
    return p->bytes / (size_t)p->shape.dim[0];
}

/* Through the host: room is two rows. */
static pr_status swap(pr_backend *backend, char *a, char *b, size_t bytes, char *room) {
    pr_status status = backend->download(backend, room, a, bytes);
    if (status == PR_OK) status = backend->download(backend, room + bytes, b, bytes);
    if (status == PR_OK) status = backend->upload(backend, a, room + bytes, bytes);
    return status == PR_OK ? backend->upload(backend, b, room, bytes) : status;
}

/* Sparsely updated rows have a count of their own, which would have to move too. */
static bool can_swap(const pr_param *p) {
    return p->owned && p->require_grad && !p->state[PR_STATE_ROWS];
}

pr_status pr_store_swap_rows(pr_store *store, int a, int64_t row_a, int b, int64_t row_b,
                             pr_error *err) {
    const pr_param *p = pr_store_param(store, a), *q = pr_store_param(store, b);
    size_t bytes = row_bytes(p, row_a);
    if (!bytes || bytes != row_bytes(q, row_b) || !can_swap(p) || !can_swap(q) || a == b) {
        return pr_fail(err, PR_BAD_ARGUMENT,
                       "rows %lld of '%s' and %lld of '%s' can't change places", (long long)row_a,
                       p ? p->name : "nothing", (long long)row_b, q ? q->name : "nothing");
    }
    char *room = pr_alloc(bytes, 2);
    if (!room) return pr_fail_memory(err, "a row", 2 * bytes);
    size_t at_a = (size_t)row_a * bytes, at_b = (size_t)row_b * bytes;
    pr_backend *backend = pr_store_backend(store);
    pr_status status = swap(backend, (char *)p->data + at_a, (char *)q->data + at_b, bytes, room);
    for (int slot = PR_STATE_FIRST; slot <= PR_STATE_SECOND && status == PR_OK; slot++) {
        char *m = p->state[slot], *n = q->state[slot];
        if (m && n) status = swap(backend, m + at_a, n + at_b, bytes, room);
    }
    pr_free(room);
    if (status == PR_OK) return PR_OK;
    return pr_fail(err, status, "rows of '%s' and '%s' could not change places", p->name, q->name);
}
