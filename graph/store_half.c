/* Parameters that are kept in bf16 while they do not train. */
#include <string.h>

#include "graph/bf16.h"
#include "graph/memory.h"
#include "graph/store_internal.h"

void pr_store_keep(pr_store *store, int index, pr_keep keep) {
    if (index >= 0 && index < store->n) store->entry[index].keep = keep;
}

void pr_store_drop_half(pr_store *store, pr_store_entry *e) {
    if (e->half_owned) store->backend->free(store->backend, e->p.half, e->p.bytes / 2);
    e->p.half = NULL;
    e->half_owned = false;
}

/* The halves of one that is not mapped, as f32. They are copied to the end of `to`, so that each is
 * read before it is written over. */
static pr_status expand_halves(const pr_store *store, const pr_store_entry *e, float *to) {
    pr_backend *backend = store->backend;
    size_t n = e->p.bytes / sizeof *to;
    char *halves = (char *)to + e->p.bytes / 2;
    pr_status status = backend->download(backend, halves, e->p.half, e->p.bytes / 2);
    for (size_t i = 0; i < n && status == PR_OK; i++) {
        uint16_t half;
        memcpy(&half, halves + i * sizeof half, sizeof half);
        to[i] = pr_f32_from_bf16(half);
    }
    return status;
}

pr_status pr_store_expand(const pr_store *store, const pr_store_entry *e, float *to) {
    if (e->mapped) {
        memcpy(to, e->mapped, e->p.bytes);
        if (e->p.data != e->mapped) pr_store_release_pages(store, e->mapped, e->p.bytes);
        return PR_OK;
    }
    if (e->p.half) return expand_halves(store, e, to);
    return store->backend->download(store->backend, to, e->p.data, e->p.bytes);
}

/* Memory of the backend's with the values in f32. */
static pr_status make_wide(pr_store *store, const pr_store_entry *e, float **data, pr_error *err) {
    pr_backend *backend = store->backend;
    *data = backend->alloc(backend, e->p.bytes);
    if (!*data) return pr_backend_no_memory(backend, e->p.name, e->p.bytes, NULL, err);
    if (backend->host_visible) return pr_store_expand(store, e, *data);
    float *room = pr_alloc(e->p.bytes, 1);
    pr_status status = room ? pr_store_expand(store, e, room) : PR_NO_MEMORY;
    if (status == PR_OK) status = backend->upload(backend, *data, room, e->p.bytes);
    pr_free(room);
    if (status == PR_OK) return PR_OK;
    backend->free(backend, *data, e->p.bytes);
    return pr_fail(err, status, "parameter '%s' could not be widened", e->p.name);
}

pr_status pr_store_widen(pr_store *store, pr_store_entry *e, pr_error *err) {
    if (!e->p.half) return PR_OK;
    float *data = store->backend->host_visible ? (float *)e->mapped : NULL;
    if (!data) {
        pr_status status = make_wide(store, e, &data, err);
        if (status != PR_OK) return status;
        e->p.owned = true;
    }
    if (e->mapped_half) pr_store_release_pages(store, e->mapped_half, e->p.bytes / 2);
    pr_store_drop_half(store, e);
    e->p.data = data;
    return PR_OK;
}

static void round_all(const float *from, size_t n, uint16_t *to) {
    for (size_t i = 0; i < n; i++)
        to[i] = pr_bf16_from_f32(from[i]);
}

/* Rounds on the host what the host does not see: into the same bytes, each read before it is
 * written over. */
static pr_status round_far(pr_store *store, const pr_store_entry *e, uint16_t *half) {
    pr_backend *backend = store->backend;
    float *room = pr_alloc(e->p.bytes, 1);
    pr_status status = room ? pr_store_expand(store, e, room) : PR_NO_MEMORY;
    if (status == PR_OK) {
        for (size_t i = 0; i < e->p.bytes / sizeof *room; i++) {
            uint16_t rounded = pr_bf16_from_f32(room[i]);
            memcpy((char *)room + i * sizeof rounded, &rounded, sizeof rounded);
        }
        status = backend->upload(backend, half, room, e->p.bytes / 2);
    }
    pr_free(room);
    return status;
}

/* Memory of the backend's with the values in bf16. */
static pr_status make_half(pr_store *store, const pr_store_entry *e, uint16_t **half,
                           pr_error *err) {
    pr_backend *backend = store->backend;
    *half = backend->alloc(backend, e->p.bytes / 2);
    if (!*half) return pr_backend_no_memory(backend, e->p.name, e->p.bytes / 2, NULL, err);
    pr_status status = PR_OK;
    if (backend->host_visible)
        round_all(e->p.data, e->p.bytes / sizeof *e->p.data, *half);
    else
        status = round_far(store, e, *half);
    if (status == PR_OK) return PR_OK;
    backend->free(backend, *half, e->p.bytes / 2);
    return pr_fail(err, status, "parameter '%s' could not be rounded", e->p.name);
}

/* Makes p.half of p.data. */
static pr_status narrow(pr_store *store, pr_store_entry *e, pr_error *err) {
    pr_backend *backend = store->backend;
    uint16_t *half = (uint16_t *)e->mapped_half;
    pr_status status = PR_OK;
    if (!half) {
        status = make_half(store, e, &half, err);
        if (status != PR_OK) return status;
        e->half_owned = true;
        status = backend->protect(backend, half, e->p.bytes / 2, true);
    }
    if (e->mapped) pr_store_release_pages(store, e->mapped, e->p.bytes);
    if (e->p.owned && e->p.data) backend->free(backend, e->p.data, e->p.bytes);
    if (e->mapped) e->p.owned = false;
    /* What was its own stays so: the values are no longer those that were added. */
    e->p.data = NULL;
    e->p.half = half;
    e->protected = false;
    if (status == PR_OK) return PR_OK;
    return pr_fail(err, status, "parameter '%s' could not be made read-only", e->p.name);
}

pr_status pr_store_take_form(pr_store *store, pr_store_entry *e, pr_error *err) {
    bool in_half = e->keep == PR_KEEP_BF16 || (e->keep == PR_KEEP_AS_ADDED && e->mapped_half);
    if (in_half) return e->p.half ? PR_OK : narrow(store, e, err);
    return pr_store_widen(store, e, err);
}
