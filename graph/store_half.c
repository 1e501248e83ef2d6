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

void pr_store_expand(const pr_store_entry *e, float *to) {
    if (e->mapped) {
        memcpy(to, e->mapped, e->p.bytes);
        return;
    }
    for (size_t i = 0; i < e->p.bytes / sizeof *to; i++)
        to[i] = pr_f32_from_bf16(e->p.half[i]);
}

pr_status pr_store_widen(pr_store *store, pr_store_entry *e, pr_error *err) {
    if (!e->p.half) return PR_OK;
    float *data = (float *)e->mapped;
    if (!data) {
        data = store->backend->alloc(store->backend, e->p.bytes);
        if (!data) return pr_fail_memory(err, e->p.name, e->p.bytes);
        pr_store_expand(e, data);
        e->p.owned = true;
    }
    if (e->mapped_half) pr_store_release_pages(store, e->mapped_half, e->p.bytes / 2);
    pr_store_drop_half(store, e);
    e->p.data = data;
    return PR_OK;
}

/* Makes p.half of p.data. */
static pr_status narrow(pr_store *store, pr_store_entry *e, pr_error *err) {
    pr_backend *backend = store->backend;
    if (!backend->host_visible) {
        return pr_fail(err, PR_UNSUPPORTED,
                       "parameter '%s': bf16 is for backends that the CPU sees", e->p.name);
    }
    uint16_t *half = (uint16_t *)e->mapped_half;
    if (!half) {
        half = backend->alloc(backend, e->p.bytes / 2);
        if (!half) return pr_fail_memory(err, e->p.name, e->p.bytes / 2);
        for (size_t i = 0; i < e->p.bytes / sizeof *e->p.data; i++)
            half[i] = pr_bf16_from_f32(e->p.data[i]);
        e->half_owned = true;
    }
    pr_status status = PR_OK;
    if (e->half_owned) status = backend->protect(backend, half, e->p.bytes / 2, true);
    if (e->mapped)
        pr_store_release_pages(store, e->mapped, e->p.bytes);
    else if (e->p.owned)
        backend->free(backend, e->p.data, e->p.bytes);
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
